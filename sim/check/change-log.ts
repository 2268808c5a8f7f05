// What happened to the keys, revision by revision: the truth that reads and watches are compared
// with. It is made of the rows that members store, or of a linearization of the history.
//
// Compaction removes rows, so a log from one member at one time may begin late. Logs taken at several
// times (before each compaction) and of several members are merged; where two of them know the same
// revision they must agree.

import { includes, type Keys, type StoredKey } from './history.ts';

/** One change of one key; several of a transaction share a revision and come in its order. */
export interface Change {
  readonly revision: number;
  readonly key: string;
  /** Undefined: the key was deleted; then the rest is 0. */
  readonly value: string | undefined;
  readonly createRevision: number;
  readonly version: number;
  readonly lease: string;
}

export class ChangeLog {
  /** Every change of the revisions from `first` to `last` is known. */
  readonly first: number;
  readonly last: number;
  readonly #all: readonly Change[];
  readonly #byRevision = new Map<number, Change[]>();
  /** In order; what was there before `first`, as far as it was still there, included. */
  readonly #byKey = new Map<string, Change[]>();

  /**
   * `changes`: in order of revision. Those before `first` are what a compaction left: each key's
   * newest change before it, unless that was a deletion.
   */
  constructor(changes: readonly Change[], first: number, last: number) {
    this.#all = [...changes];
    this.first = first;
    this.last = last;
    for (const change of changes) {
      push(this.#byKey, change.key, change);
      if (change.revision >= first) push(this.#byRevision, change.revision, change);
    }
  }

  covers(revision: number): boolean {
    return revision >= this.first && revision <= this.last;
  }

  /** Changes of one revision, in the order of the transaction. */
  at(revision: number): readonly Change[] {
    return this.#byRevision.get(revision) ?? [];
  }

  /** Whether `stateAt` can tell: every covered revision and the one before them. */
  knowsState(revision: number): boolean {
    return revision >= this.first - 1 && revision <= this.last;
  }

  /** The keys of a range after this revision, sorted. */
  stateAt(revision: number, keys: Keys = { key: '\0', end: '\0' }): StoredKey[] {
    const found: StoredKey[] = [];
    const consider = (key: string): void => {
      const stored = this.keyAt(key, revision);
      if (stored !== undefined) found.push(stored);
    };
    if (keys.end === undefined) consider(keys.key);
    else for (const key of this.#byKey.keys()) if (includes(keys, key)) consider(key);
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  keyAt(key: string, revision: number): StoredKey | undefined {
    const changes = this.#byKey.get(key) ?? [];
    let low = 0;
    let high = changes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (changes[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    const change = changes[low - 1];
    return change === undefined ? undefined : storedKey(change);
  }

  /** Changes of a range from one revision to another, both included, in order. */
  between(from: number, to: number, keys: Keys): Change[] {
    const found: Change[] = [];
    for (let revision = from; revision <= to; revision++) {
      for (const change of this.at(revision)) if (includes(keys, change.key)) found.push(change);
    }
    return found;
  }

  /** Every change, what was there before `first` included. */
  changes(): readonly Change[] {
    return this.#all;
  }
}

export function storedKey({ value, revision, ...rest }: Change): StoredKey | undefined {
  if (value === undefined) return undefined;
  const { key, createRevision, version, lease } = rest;
  return { key, value, createRevision, modRevision: revision, version, lease };
}

/**
 * The log of a member's rows, in order of revision and position, as its key bucket holds them.
 * `compacted`: its compacted revision, 0 or less if none; `current`: its newest revision.
 */
export function changeLogOfRows(
  rows: readonly Change[],
  { compacted, current }: { readonly compacted: number; readonly current: number },
): ChangeLog {
  return new ChangeLog(rows, Math.max(2, compacted + 1), current);
}

export interface MergedLogs {
  readonly log: ChangeLog;
  /** Revisions at which two logs differ, or that none of them knows. */
  readonly conflicts: readonly string[];
}

/** One log of all that is known. */
export function mergeChangeLogs(logs: readonly ChangeLog[]): MergedLogs {
  const conflicts: string[] = [];
  const sorted = [...logs].sort((a, b) => a.first - b.first || b.last - a.last);
  const [oldest] = sorted;
  if (oldest === undefined) return { log: new ChangeLog([], 2, 1), conflicts };
  let { first, last } = oldest;
  let changes = [...oldest.changes()];
  const known = new Map<number, readonly Change[]>();
  for (let revision = first; revision <= last; revision++) known.set(revision, oldest.at(revision));
  for (const log of sorted.slice(1)) {
    if (log.first > last + 1) {
      conflicts.push(`unknown revisions from ${last + 1} to ${log.first - 1}`);
      // What comes before the gap cannot be continued.
      changes = [...log.changes()];
      ({ first, last } = log);
      known.clear();
      for (let revision = first; revision <= last; revision++)
        known.set(revision, log.at(revision));
      continue;
    }
    for (let revision = log.first; revision <= log.last; revision++) {
      const rows = log.at(revision);
      const others = known.get(revision);
      if (others === undefined) {
        known.set(revision, rows);
        changes.push(...rows);
      } else if (!equalChanges(rows, others)) {
        const texts = `${JSON.stringify(others)} and ${JSON.stringify(rows)}`;
        conflicts.push(`two histories of revision ${revision}: ${texts}`);
      }
    }
    last = Math.max(last, log.last);
  }
  return { log: new ChangeLog(changes, first, last), conflicts };
}

export function equalChanges(a: readonly Change[], b: readonly Change[]): boolean {
  return a.length === b.length && a.every((each, i) => equalChange(each, b[i]!));
}

function equalChange(a: Change, b: Change): boolean {
  return (
    a.revision === b.revision &&
    a.key === b.key &&
    a.value === b.value &&
    a.createRevision === b.createRevision &&
    a.version === b.version &&
    a.lease === b.lease
  );
}

function push<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
