// The keys that this proxy owns, with what they are: pure, told of everything by others.
//
//     acquire ──► owned ──► given up, by wish of another or our own; lost with the session
//                  │ ▲
//                  ▼ │
//                 being written: reads go to the cluster. With two writes at once nobody knows which was
//                 the last one: the key is given up.

import type { etcdserverpb, mvccpb } from '../../protocol/index.ts';
import { isWithin } from '../kv/key-range.ts';
import {
  LEASED_BYTES_MAX,
  LEASED_KEYS_MAX,
  LEASED_VALUE_BYTES_MAX,
  REVOKED_KEYS_MAX,
  REVOKED_PAUSE_MS,
} from '../limits.ts';
import { type KeyState, stateAfter } from './leased-answers.ts';
import type { Targets, Written } from './txn-targets.ts';

class LeasedKey {
  readonly key: string;
  /** In which it was acquired: its leasing key was created then. */
  readonly revision: number;
  state: KeyState;
  /** Writes of this proxy under way that may change it. */
  writers = 0;
  /** Whether there has been more than one at a time. */
  hasOverlapped = false;

  constructor(key: string, revision: number, state: KeyState) {
    this.key = key;
    this.revision = revision;
    this.state = state;
  }

  get bytes(): number {
    return this.key.length + (this.state?.value.length ?? 0);
  }
}

interface LeasedKeysParts {
  readonly nowMs: () => number;
  /** The leasing key is to be deleted, if it was created in this revision or before. */
  readonly giveUp: (key: string, revision: number) => void;
}

/** An attempt to acquire a key. */
export interface Acquiring {
  readonly key: string;
  /** In which the key was revoked meanwhile; 0 if it was not. */
  revokedRevision: number;
}

export class LeasedKeys {
  readonly #parts: LeasedKeysParts;
  /** Least recently used first. */
  readonly #keys = new Map<string, LeasedKey>();
  readonly #acquiring = new Map<string, Acquiring>();
  /** Until when a key that another one wanted is left alone, in the order of the times. */
  readonly #revokedUntilMs = new Map<string, number>();
  #bytes = 0;
  /** Of the newest answer; there is one before any key is owned. */
  #header: etcdserverpb.ResponseHeader | undefined;

  constructor(parts: LeasedKeysParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** What an answer that is given now bears: no owned key has changed since. */
  get header(): etcdserverpb.ResponseHeader | undefined {
    return this.#header;
  }

  /** Takes note of any answer of the cluster. */
  noteHeader(header: etcdserverpb.ResponseHeader | undefined): void {
    if (header === undefined) return;
    if (this.#header === undefined || header.revision > this.#header.revision)
      this.#header = header;
  }

  get(key: string): LeasedKey | undefined {
    return this.#keys.get(key);
  }

  /** Undefined if it is not owned, or is being written. */
  readable(key: string): LeasedKey | undefined {
    const found = this.#keys.get(key);
    if (found === undefined || found.writers > 0) return undefined;
    this.#keys.delete(key);
    this.#keys.set(key, found);
    return found;
  }

  // Acquiring

  /** Undefined where it is better not tried. */
  beginAcquire(key: string): Acquiring | undefined {
    if (this.#keys.has(key) || this.#acquiring.has(key)) return undefined;
    if ((this.#revokedUntilMs.get(key) ?? 0) > this.#parts.nowMs()) return undefined;
    const acquiring: Acquiring = { key, revokedRevision: 0 };
    this.#acquiring.set(key, acquiring);
    return acquiring;
  }

  /** It is not owned. */
  abandon(acquiring: Acquiring): void {
    if (this.#acquiring.get(acquiring.key) === acquiring) this.#acquiring.delete(acquiring.key);
  }

  /** It has been owned since `revision`, if nobody wanted it since. */
  acquired(acquiring: Acquiring, revision: number, kv: mvccpb.KeyValue | undefined): void {
    const { key, revokedRevision } = acquiring;
    if (this.#acquiring.get(key) !== acquiring) return;
    this.#acquiring.delete(key);
    if (revokedRevision > revision) return;
    const leased = new LeasedKey(key, revision, kv);
    this.#keys.set(key, leased);
    this.#bytes += leased.bytes;
    if (leased.bytes > LEASED_VALUE_BYTES_MAX) this.#giveUp(leased);
    this.#makeRoom();
  }

  #makeRoom(): void {
    while (this.#keys.size > LEASED_KEYS_MAX || this.#bytes > LEASED_BYTES_MAX) {
      const [oldest] = this.#keys.values();
      this.#giveUp(oldest!);
    }
  }

  // Losing

  /**
   * Another one wants the key, or its leasing key is gone: both happened in `revision`. Returns whether the
   * key was owned until now.
   */
  revoke(key: string, revision: number): boolean {
    const acquiring = this.#acquiring.get(key);
    if (acquiring !== undefined) acquiring.revokedRevision = revision;
    const leased = this.#keys.get(key);
    if (leased === undefined || leased.revision >= revision) return false;
    this.#remove(leased);
    return true;
  }

  /** The key is left alone for a while: who wanted it may want it again. */
  avoid(key: string): void {
    const nowMs = this.#parts.nowMs();
    this.#revokedUntilMs.delete(key);
    this.#revokedUntilMs.set(key, nowMs + REVOKED_PAUSE_MS);
    for (const [other, untilMs] of this.#revokedUntilMs) {
      if (untilMs > nowMs && this.#revokedUntilMs.size <= REVOKED_KEYS_MAX) break;
      this.#revokedUntilMs.delete(other);
    }
  }

  /** With the session. */
  clear(): void {
    this.#keys.clear();
    this.#acquiring.clear();
    this.#bytes = 0;
  }

  #giveUp(leased: LeasedKey): void {
    this.#remove(leased);
    this.avoid(leased.key);
    this.#parts.giveUp(leased.key, leased.revision);
  }

  #remove(leased: LeasedKey): void {
    if (this.#keys.get(leased.key) !== leased) return;
    this.#keys.delete(leased.key);
    this.#bytes -= leased.bytes;
  }

  // Writing

  /** Before a write is sent; `nameOf` gives the leasing key of a key. */
  beginWrite(targets: Targets, nameOf: (key: string) => string): LeasedWrite {
    const isTarget = (key: string): boolean =>
      targets.points.has(key) || targets.ranges.some((range) => isWithin(key, range));
    const concerned: LeasedKey[] = [];
    if (targets.ranges.length === 0) {
      for (const point of targets.points) {
        const leased = this.#keys.get(point);
        if (leased !== undefined) concerned.push(leased);
      }
    } else {
      for (const leased of this.#keys.values()) {
        if (isTarget(leased.key) || isTarget(nameOf(leased.key))) concerned.push(leased);
      }
    }
    for (const leased of concerned) {
      leased.hasOverlapped ||= leased.writers > 0;
      leased.writers++;
    }
    return new LeasedWrite(concerned, {
      set: (leased, state) => this.#set(leased, state),
      giveUp: (leased) => this.#giveUp(leased),
      isNameWritten: (leased) => isTarget(nameOf(leased.key)),
      owns: (leased) => this.#keys.get(leased.key) === leased,
    });
  }

  #set(leased: LeasedKey, state: KeyState): void {
    this.#bytes -= leased.bytes;
    leased.state = state;
    this.#bytes += leased.bytes;
    if (leased.bytes > LEASED_VALUE_BYTES_MAX) this.#giveUp(leased);
    else this.#makeRoom();
  }
}

interface WriteEffects {
  readonly set: (leased: LeasedKey, state: KeyState) => void;
  readonly giveUp: (leased: LeasedKey) => void;
  /** Whether the write may change the leasing key too, past the protocol. */
  readonly isNameWritten: (leased: LeasedKey) => boolean;
  readonly owns: (leased: LeasedKey) => boolean;
}

/** A write under way, and the owned keys that it may change. Ends once, in one of three ways. */
class LeasedWrite {
  readonly #keys: readonly LeasedKey[];
  readonly #effects: WriteEffects;

  constructor(keys: readonly LeasedKey[], effects: WriteEffects) {
    this.#keys = keys;
    this.#effects = effects;
  }

  /** It was executed in `revision`. */
  done(written: readonly Written[], revision: number): void {
    this.#end((leased) => {
      const state = stateAfter(leased.key, leased.state, written, revision);
      if (state === 'attached' || this.#effects.isNameWritten(leased)) this.#effects.giveUp(leased);
      else if (state !== leased.state) this.#effects.set(leased, state);
    });
  }

  /** It was not executed. */
  refused(): void {
    this.#end(() => {});
  }

  /** Nobody knows whether it was executed, or still will be: not on what is owned from now on. */
  lost(): void {
    this.#end((leased) => this.#effects.giveUp(leased));
  }

  #end(settle: (leased: LeasedKey) => void): void {
    for (const leased of this.#keys) {
      leased.writers--;
      if (!this.#effects.owns(leased)) continue;
      if (leased.hasOverlapped) this.#effects.giveUp(leased);
      else settle(leased);
    }
  }
}
