// The log in memory, as a member keeps it beside its WAL: raft reads here, the WAL is what is durable.

import {
  EMPTY_BYTES,
  fail,
  invariant,
  type LogIndex,
  type Term,
  verify,
} from '../../base/index.ts';
import type { ConfState, Entry, HardState, Snapshot } from '../raftpb.ts';
import { EntryList } from './entry-list.ts';
import { emptyConfState, snapshotIndex, snapshotTerm } from './snapshot.ts';
import { type InitialState, LOG_GAPS, type LogGap, type Storage } from './storage.ts';

/** Outcomes of a change of a storage. */
export const STORAGE_OUTCOMES = {
  DONE: 'done',
  /** The index is at or before the log's base: that part is compacted already. */
  COMPACTED: 'requested index is unavailable due to compaction',
  /** The snapshot is not newer than the current one. */
  SNAPSHOT_OUT_OF_DATE: 'requested index is older than the existing snapshot',
} as const;

/** Outcome of a compaction: COMPACTED if that part of the log is gone already. */
export type CompactOutcome = typeof STORAGE_OUTCOMES.DONE | typeof STORAGE_OUTCOMES.COMPACTED;
/** Outcome of installing a snapshot: SNAPSHOT_OUT_OF_DATE unless it is newer than the current one. */
export type SnapshotOutcome =
  | typeof STORAGE_OUTCOMES.DONE
  | typeof STORAGE_OUTCOMES.SNAPSHOT_OUT_OF_DATE;

/**
 * A log in memory: what raft reads from. The shell that writes it to a disk reads it from there at
 * start.
 */
export class MemoryStorage implements Storage {
  #hardState: HardState | undefined;
  #snapshot: Snapshot = {
    data: EMPTY_BYTES,
    metadata: { confState: emptyConfState(), index: 0, term: 0 },
  };
  readonly #entries = new EntryList(1);
  /** Term of the last compacted entry, the one before the first. */
  #baseTerm: Term = 0;
  /** Bytes of the payloads of all entries. */
  #payloadBytes = 0;

  initialState(): InitialState {
    const confState = this.#snapshot.metadata?.confState ?? emptyConfState();
    return { hardState: this.#hardState, confState };
  }

  firstIndex(): LogIndex {
    return this.#entries.first;
  }

  lastIndex(): LogIndex {
    return this.#entries.next - 1;
  }

  term(index: LogIndex): Term | LogGap {
    const base = this.#entries.first - 1;
    if (index < base) return LOG_GAPS.COMPACTED;
    if (index === base) return this.#baseTerm;
    return index < this.#entries.next ? this.#entries.at(index).term : LOG_GAPS.UNAVAILABLE;
  }

  entries(from: LogIndex, to: LogIndex, sizeMax: number): Entry[] | LogGap {
    if (from < this.#entries.first) return LOG_GAPS.COMPACTED;
    if (to > this.#entries.next) return LOG_GAPS.UNAVAILABLE;
    return this.#entries.slice(from, this.#entries.limit(from, to, sizeMax));
  }

  snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Bytes of the payloads of all entries that it holds. */
  get payloadBytes(): number {
    return this.#payloadBytes;
  }

  /**
   * The lowest index that a compaction can drop the log up to so that the payloads behind it, up to and
   * including `end`, are `bytesMax` bytes at most; the entry at `end` stays, however large. The log's
   * base if nothing has to go. `end` must be in the log.
   */
  compactIndexFor(end: LogIndex, bytesMax: number): LogIndex {
    const { first, next } = this.#entries;
    invariant(end >= first && end < next, 'the end of what is kept is in the log');
    let index = first - 1;
    if (this.#payloadBytes <= bytesMax) return index;
    let kept = this.#payloadBytes - this.#bytesOf(end + 1, next);
    while (kept > bytesMax && index + 1 < end) kept -= this.#entries.at(++index).data.length;
    return index;
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  /**
   * Appends `entries`, whose indexes must be contiguous. They replace what the log holds from the
   * first of them on; those at or before the base are skipped. The log must reach up to the first.
   */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const from = entries[0]!.index;
    const skipped = Math.max(this.#entries.first - from, 0);
    if (skipped >= entries.length) return;
    const start = from + skipped;
    if (start > this.#entries.next) {
      fail(`missing log entry [last: ${this.lastIndex()}, append at: ${start}]`);
    }
    if (start < this.#entries.next) {
      this.#payloadBytes -= this.#bytesOf(start, this.#entries.next);
      this.#entries.truncateTo(start);
    }
    this.#entries.append(entries, skipped);
    for (let i = skipped; i < entries.length; i++) this.#payloadBytes += entries[i]!.data.length;
    invariant(
      this.lastIndex() === from + entries.length - 1,
      'the log ends with what was appended',
    );
  }

  /** Replaces everything by `snapshot`. */
  applySnapshot(snapshot: Snapshot): SnapshotOutcome {
    const current = snapshotIndex(this.#snapshot);
    const index = snapshotIndex(snapshot);
    // At bootstrap a snapshot of index 0 may carry the first configuration.
    if (current !== 0 && current >= index) return STORAGE_OUTCOMES.SNAPSHOT_OUT_OF_DATE;
    this.#snapshot = snapshot;
    this.#entries.clear(index + 1);
    this.#payloadBytes = 0;
    this.#baseTerm = snapshotTerm(snapshot);
    invariant(this.lastIndex() === index, 'a log that is replaced ends with its snapshot');
    return STORAGE_OUTCOMES.DONE;
  }

  /**
   * Makes the snapshot that `snapshot()` then returns: `data` is the state machine after the entry
   * at `index`, which must be in the log or be its base. Without `confState` the previous one
   * stays. The entries stay too; see `compact`.
   */
  createSnapshot(
    index: LogIndex,
    confState: ConfState | undefined,
    data: Uint8Array,
  ): Snapshot | typeof STORAGE_OUTCOMES.SNAPSHOT_OUT_OF_DATE {
    if (index <= snapshotIndex(this.#snapshot)) return STORAGE_OUTCOMES.SNAPSHOT_OUT_OF_DATE;
    if (index > this.lastIndex()) {
      fail(`snapshot ${index} is out of bound lastindex(${this.lastIndex()})`);
    }
    const term = this.term(index);
    invariant(term >= 0, 'a snapshot is made where the log still knows the term');
    this.#snapshot = {
      data,
      metadata: {
        confState: confState ?? this.#snapshot.metadata?.confState ?? emptyConfState(),
        index,
        term,
      },
    };
    return this.#snapshot;
  }

  /** Drops the entries up to and including `index`, which must have been applied. */
  compact(index: LogIndex): CompactOutcome {
    if (index < this.#entries.first) return STORAGE_OUTCOMES.COMPACTED;
    if (index > this.lastIndex()) {
      fail(`compact ${index} is out of bound lastindex(${this.lastIndex()})`);
    }
    this.#baseTerm = this.#entries.at(index).term;
    const last = this.lastIndex();
    this.#payloadBytes -= this.#bytesOf(this.#entries.first, index + 1);
    this.#entries.dropBefore(index + 1);
    invariant(this.firstIndex() === index + 1, 'a compacted log begins after the index');
    invariant(this.lastIndex() === last, 'a compaction keeps the end of the log');
    if (verify.all) this.#verifyBytes();
    return STORAGE_OUTCOMES.DONE;
  }

  /** Of the payloads of the entries [from, to). */
  #bytesOf(from: LogIndex, to: LogIndex): number {
    let bytes = 0;
    for (let index = from; index < to; index++) bytes += this.#entries.at(index).data.length;
    return bytes;
  }

  #verifyBytes(): void {
    const { first, next } = this.#entries;
    invariant(this.#payloadBytes === this.#bytesOf(first, next), 'each payload is counted once');
  }
}
