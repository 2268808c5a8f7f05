// Failpoints: named moments at which a test has a running member sleep, end or fail. Names, terms and
// texts are those of gofail, with which etcd is built for its own tests.
//
// They exist only in a process that was started with them; elsewhere `failpoints.active` is undefined,
// and a moment costs one comparison:
//
//     failpoints.active?.hit('raftBeforeSave');
//     const held = failpoints.active?.hold('walBeforeSync');
//     if (held !== undefined) await held;

import { FailpointTerms, type FailpointValue, sleepMsOf } from './failpoint-terms.ts';

/** Moments that carry nothing. A few more of etcd's have no counterpart: see `docs/failpoints.md`. */
const MOMENTS = [
  'afterCommit',
  'afterStartDBTxn',
  'applyAfterOpenSnapshot',
  'applyBeforeOpenSnapshot',
  'beforeApplyOneConfChange',
  'beforeApplyOneEntryNormal',
  'beforeBucketPut',
  'beforeCheckpointInLeaseRenew',
  'beforeCommit',
  'beforeLookupWhenForwardLeaseTimeToLive',
  'beforeLookupWhenLeaseTimeToLive',
  'beforePublishing',
  'beforeRangeStreamChunk',
  'beforeSendWatchResponse',
  'beforeServeHTTPLeaseRenew',
  'beforeStartDBTxn',
  'beforeSyncDataPages',
  'beforeSyncMetaPage',
  'commitAfterPreCommitHook',
  'commitBeforePreCommitHook',
  'compactAfterAcquiredBatchTxLock',
  'compactAfterCommitBatch',
  'compactAfterCommitScheduledCompact',
  'compactAfterSetFinishedCompact',
  'compactBeforeCommitBatch',
  'compactBeforeCommitScheduledCompact',
  'compactBeforeSetFinishedCompact',
  'defragBeforeCopy',
  'defragBeforeRename',
  'raftAfterApplySnap',
  'raftAfterSave',
  'raftAfterSaveSnap',
  'raftAfterWALRelease',
  'raftBeforeAdvance',
  'raftBeforeApplySnap',
  'raftBeforeFollowerSend',
  'raftBeforeLeaderSend',
  'raftBeforeSave',
  'raftBeforeSaveSnap',
  'raftBeforeWALSaveSnaphot',
  'raftDropHeartbeat',
  'walAfterSync',
  'walBeforeSync',
] as const;

/** Moments at which `return("text")` is a failure with that text. */
const FAILURES = [
  'beforeWriteMetaError',
  'defragOpenFileError',
  'defragdbFail',
  'lackOfDiskSpace',
  'resizeFileError',
] as const;

export type FailpointMoment = (typeof MOMENTS)[number];
export type FailpointFailure = (typeof FAILURES)[number];

export const FAILPOINT_NAMES: readonly string[] = [...MOMENTS, ...FAILURES].sort();

/** What the terms do to the process. */
export interface FailpointEffects {
  /** A line on standard output. */
  print(line: string): void;
  /** Ends the process as Go's runtime does. */
  panic(text: string): never;
  /** Holds everything that the process does. */
  holdThread(ms: number): void;
  /** Resolves when it is over. */
  sleep(ms: number): Promise<void>;
  /** From 0 to 1. */
  random(): number;
}

export const FAILPOINT_ERRORS = {
  UNKNOWN: 'failpoint: failpoint does not exist',
  DISABLED: 'failpoint: failpoint is disabled',
  BAD_TERMS: 'failpoint: could not parse terms',
} as const;

export class Failpoints {
  readonly #effects: FailpointEffects;
  /** By name; undefined: nothing happens there. */
  readonly #terms = new Map<string, FailpointTerms | undefined>();

  constructor(effects: FailpointEffects) {
    this.#effects = effects;
    for (const name of FAILPOINT_NAMES) this.#terms.set(name, undefined);
  }

  // --- What an operator sets ---------------------------------------------------------------------------

  isKnown(name: string): boolean {
    return this.#terms.has(name);
  }

  /** The terms of a failpoint; undefined if there are none. */
  termsOf(name: string): FailpointTerms | undefined {
    return this.#terms.get(name);
  }

  /** Reads the terms and says what is wrong, or sets them when `set` is called. */
  prepare(name: string, text: string): { readonly error: string } | { set(): void } {
    if (!this.isKnown(name)) return { error: FAILPOINT_ERRORS.UNKNOWN };
    const terms = FailpointTerms.parse(text);
    if (terms === undefined) {
      const error = FAILPOINT_ERRORS.BAD_TERMS;
      this.#effects.print(`failed to enable "${name}=${text}" (${error})`);
      return { error };
    }
    return { set: () => void this.#terms.set(name, terms) };
  }

  /** False if there were none. */
  disable(name: string): boolean {
    const hadTerms = this.#terms.get(name) !== undefined;
    if (hadTerms) this.#terms.set(name, undefined);
    return hadTerms;
  }

  // --- The moments -----------------------------------------------------------------------------------------

  /**
   * A moment within a turn: a sleep holds the whole process. Returns what a `return` carries, undefined
   * without one.
   */
  hit(name: FailpointMoment): FailpointValue | undefined {
    const { value, sleepMs } = this.#happen(name);
    if (sleepMs > 0) this.#effects.holdThread(sleepMs);
    return value;
  }

  /** A moment that can be waited for: a promise if there is a sleep, which holds only what awaits it. */
  hold(name: FailpointMoment): Promise<void> | undefined {
    const { sleepMs } = this.#happen(name);
    return sleepMs > 0 ? this.#effects.sleep(sleepMs) : undefined;
  }

  /** The text of a failure that is to happen here. */
  failure(name: FailpointFailure): string | undefined {
    const { value, sleepMs } = this.#happen(name);
    if (sleepMs > 0) this.#effects.holdThread(sleepMs);
    if (value === undefined || typeof value === 'string') return value;
    const got = `got value ${value} of type "${typeof value}" but expected type "string"`;
    this.#effects.print(`failpoint: "${name}" ${got}`);
    return undefined;
  }

  #happen(name: string): { readonly value?: FailpointValue | undefined; readonly sleepMs: number } {
    const { print, panic, random } = this.#effects;
    const term = this.#terms.get(name)?.next(random);
    switch (term?.action) {
      case undefined:
      case 'off':
        return NOTHING_HAPPENS;
      case 'return':
        return { value: term.value, sleepMs: 0 };
      case 'sleep': {
        const sleepMs = sleepMsOf(term.value);
        if (sleepMs === undefined) {
          print(`failpoint: ignoring sleep(${term.value ?? '<nil>'}) on ${name}`);
        }
        return { sleepMs: sleepMs ?? 0 };
      }
      case 'panic':
        return panic(`failpoint panic: ${term.value ?? name}`);
      case 'print':
        print(`failpoint print: ${name}`);
        return NOTHING_HAPPENS;
      case 'break':
        print(`failpoint: ignoring break on ${name}`);
        return NOTHING_HAPPENS;
    }
  }
}

const NOTHING_HAPPENS = { sleepMs: 0 };

/** Those of this process, if it was started with any. */
export const failpoints: { active: Failpoints | undefined } = { active: undefined };
