// The log as raft sees it: storage and unstable part as one, and the three marks that move along
// it.
//
//   applied <= applying <= committed <= lastIndex
//
// `applied` may lie above what is stable in synchronous mode only, where committed entries may be
// handed out together with the request to write them.

import { fail, invariant, type LogIndex, type Term, verify } from '../../base/index.ts';
import { LOG_LEVELS, type RaftLogger } from '../logger.ts';
import { type Entry, EntryType, type Snapshot } from '../raftpb.ts';
import { entriesSize, entrySize } from './entry-size.ts';
import { snapshotIndex, snapshotTerm } from './snapshot.ts';
import { LOG_GAPS, type LogGap, type Storage } from './storage.ts';
import { Unstable } from './unstable.ts';

/** Identifies an entry: two entries with the same id are the same. */
export interface EntryId {
  readonly term: Term;
  readonly index: LogIndex;
}

/** A run of entries as a leader of `term` sends it. Contiguous, and terms never fall. */
export interface LogSlice {
  /** The entry before the first one. */
  readonly prev: EntryId;
  readonly entries: readonly Entry[];
}

export class RaftLog {
  readonly unstable: Unstable;
  /** Known to be in the log of a quorum. Never goes back. */
  committed: LogIndex;
  /** Handed out for application. */
  applying: LogIndex;
  /** The application has reported it done. */
  applied: LogIndex;
  /** Bound of the bytes handed out for application and not reported done. Infinity for none. */
  readonly applyingSizeMax: number;
  readonly #storage: Storage;
  readonly #logger: RaftLogger;
  #applyingSize = 0;
  /** Nothing more is handed out until something is reported done. */
  #applyingPaused = false;

  constructor(storage: Storage, logger: RaftLogger, applyingSizeMax: number) {
    this.#storage = storage;
    this.#logger = logger;
    this.applyingSizeMax = applyingSizeMax;
    this.unstable = new Unstable(storage.lastIndex() + 1, logger);
    const base = storage.firstIndex() - 1;
    invariant(base >= 0, 'a log begins with index 1 or later');
    invariant(base <= storage.lastIndex(), 'a log ends at its base or after it');
    this.committed = base;
    this.applying = base;
    this.applied = base;
  }

  firstIndex(): LogIndex {
    return this.unstable.firstIndex() ?? this.#storage.firstIndex();
  }

  lastIndex(): LogIndex {
    return this.unstable.lastIndex() ?? this.#storage.lastIndex();
  }

  lastEntryId(): EntryId {
    const index = this.lastIndex();
    const term = this.term(index);
    if (term < 0) fail(`unexpected gap when getting the last term at ${index}: ${term}`);
    return { term, index };
  }

  /** Answers for [firstIndex - 1, lastIndex]. */
  term(index: LogIndex): Term | LogGap {
    const unstable = this.unstable.term(index);
    if (unstable !== undefined) return unstable;
    if (index + 1 < this.firstIndex()) return LOG_GAPS.COMPACTED;
    if (index > this.lastIndex()) return LOG_GAPS.UNAVAILABLE;
    return this.#storage.term(index);
  }

  /** The term at `index`, 0 if it is not known. */
  termOrZero(index: LogIndex): Term {
    return Math.max(this.term(index), 0);
  }

  matches(index: LogIndex, term: Term): boolean {
    return this.term(index) === term;
  }

  /**
   * Whether a log that ends with `theirs` is at least as complete as ours (paper, section 5.4.1).
   */
  isUpToDate(theirs: EntryId): boolean {
    const ours = this.lastEntryId();
    return theirs.term > ours.term || (theirs.term === ours.term && theirs.index >= ours.index);
  }

  /**
   * Appends a leader's entries and adopts its commit index. Returns the index up to which the logs now
   * agree, or undefined if this log does not contain the entry before them.
   */
  maybeAppend(slice: LogSlice, committed: LogIndex): LogIndex | undefined {
    if (!this.matches(slice.prev.index, slice.prev.term)) return undefined;
    const last = slice.prev.index + slice.entries.length;
    const lastBefore = this.lastIndex();
    const conflict = this.findConflict(slice.entries);
    if (conflict !== 0) {
      if (conflict <= this.committed) {
        fail(`entry ${conflict} conflict with committed entry [committed(${this.committed})]`);
      }
      this.unstable.truncateAndAppend(slice.entries, conflict - (slice.prev.index + 1));
    }
    invariant(this.lastIndex() >= last, 'the log reaches the end of what a leader sent');
    invariant(
      this.lastIndex() === (conflict === 0 ? lastBefore : last),
      'the log is cut off only where it conflicts with the leader',
    );
    if (verify.all) this.#checkMatches(slice);
    this.commitTo(Math.min(committed, last));
    return last;
  }

  /** Appends one entry of our own, whose index is lastIndex() + 1. */
  push(entry: Entry): void {
    invariant(entry.index > this.committed, 'an append must not touch committed entries');
    this.unstable.push(entry);
  }

  /**
   * Index of the first of `entries` (contiguous) that our log lacks or has with another term; 0 if
   * it has them all.
   */
  findConflict(entries: readonly Entry[]): LogIndex {
    for (let i = 0; i < entries.length; i++) {
      const { index, term } = entries[i]!;
      const ours = this.term(index);
      if (ours === term) continue;
      if (index <= this.lastIndex() && this.#logger.enabled(LOG_LEVELS.INFO)) {
        this.#logger.log(
          LOG_LEVELS.INFO,
          `found conflict at index ${index} [existing term: ${Math.max(ours, 0)}, ` +
            `conflicting term: ${term}]`,
        );
      }
      return index;
    }
    return 0;
  }

  /**
   * The best guess where this log and another part, of which only one entry's (index, term) is
   * known: the highest index <= `index` whose term is <= `term` or unknown (then with term 0).
   */
  findConflictByTerm(index: LogIndex, term: Term): EntryId {
    for (let guess = index; guess > 0; guess--) {
      const ours = this.term(guess);
      if (ours < 0) return { index: guess, term: 0 };
      if (ours <= term) return { index: guess, term: ours };
    }
    return { index: 0, term: 0 };
  }

  /** Raises the commit index to `index`, which must be in the log; never lowers it. */
  commitTo(index: LogIndex): void {
    if (index <= this.committed) return;
    const last = this.lastIndex();
    if (last < index) {
      fail(
        `tocommit(${index}) is out of range [lastIndex(${last})]. ` +
          'Was the raft log corrupted, truncated, or lost?',
      );
    }
    this.committed = index;
  }

  /** Commits up to `index` if it is above the commit index and of `term` (paper, section 5.4.2). */
  maybeCommit(index: LogIndex, term: Term): boolean {
    if (index <= this.committed || term === 0 || !this.matches(index, term)) return false;
    this.commitTo(index);
    invariant(this.committed === index, 'what a quorum holds is committed');
    return true;
  }

  /** The log is now `snapshot`, all committed. It must end above the commit index. */
  restore(snapshot: Snapshot): void {
    invariant(
      snapshotIndex(snapshot) > this.committed,
      'a restored snapshot ends above the commit index',
    );
    if (this.#logger.enabled(LOG_LEVELS.INFO)) {
      this.#logger.log(
        LOG_LEVELS.INFO,
        `log [${this.describe()}] starts to restore snapshot ` +
          `[index: ${snapshotIndex(snapshot)}, term: ${snapshotTerm(snapshot)}]`,
      );
    }
    this.committed = snapshotIndex(snapshot);
    this.unstable.restore(snapshot);
    invariant(this.lastIndex() === this.committed, 'a restored log ends with its snapshot');
    invariant(this.firstIndex() === this.committed + 1, 'a restored log has no entries');
  }

  /** The newest snapshot, unstable or stored; undefined while the storage is preparing one. */
  snapshot(): Snapshot | undefined {
    return this.unstable.snapshot ?? this.#storage.snapshot();
  }

  /** Whether a snapshot waits to be written, or is being written. */
  hasPendingSnapshot(): boolean {
    return this.unstable.snapshot !== undefined;
  }

  /**
   * Entries from `from` on, `sizeMax` bytes at most but at least one; none if `from` is past the
   * end.
   */
  entriesFrom(from: LogIndex, sizeMax: number): Entry[] | LogGap {
    const next = this.lastIndex() + 1;
    return from >= next ? [] : this.slice(from, next, sizeMax);
  }

  /** Entries [from, to) across storage and unstable part, `sizeMax` bytes at most, at least one. */
  slice(from: LogIndex, to: LogIndex, sizeMax: number): Entry[] | LogGap {
    invariant(from <= to, 'log slice: negative range');
    if (from < this.firstIndex()) return LOG_GAPS.COMPACTED;
    if (to > this.lastIndex() + 1) {
      fail(`slice[${from},${to}) out of bound [${this.firstIndex()},${this.lastIndex()}]`);
    }
    if (from === to) return [];
    invariant(sizeMax >= 0, 'a size limit is not negative');
    const offset = this.unstable.offset;
    if (from >= offset) return this.unstable.slice(from, to, sizeMax);
    const cut = Math.min(to, offset);
    const stored = this.#storage.entries(from, cut, sizeMax);
    if (stored === LOG_GAPS.COMPACTED) return stored;
    if (stored === LOG_GAPS.UNAVAILABLE) {
      fail(`entries[${from}:${cut}) is unavailable from storage`);
    }
    // A short answer means that the size limit was reached.
    if (to <= offset || stored.length < cut - from) return stored;
    return this.#extendFromUnstable(stored, to, sizeMax);
  }

  /** Whether `entriesToApply` would return any. */
  hasEntriesToApply(allowUnstable: boolean): boolean {
    if (this.#applyingPaused || this.hasPendingSnapshot()) return false;
    return this.applying < this.maxAppliable(allowUnstable);
  }

  /**
   * Committed entries not handed out yet, within the size limit. None while a snapshot waits, since
   * it comes before them. With `allowUnstable` also those that are not on our own disk yet.
   */
  entriesToApply(allowUnstable: boolean): Entry[] {
    if (!this.hasEntriesToApply(allowUnstable)) return [];
    const room = this.applyingSizeMax - this.#applyingSize;
    invariant(room > 0, 'application pauses when its size limit is reached');
    const to = this.maxAppliable(allowUnstable) + 1;
    const entries = this.slice(this.applying + 1, to, room);
    if (typeof entries === 'number') {
      return fail(`unexpected gap when getting unapplied entries (${entries})`);
    }
    invariant(entries.length > 0, 'where there is something to apply, an entry is handed out');
    return entries;
  }

  /** `entries`, as returned by `entriesToApply`, are handed out. */
  acceptApplying(entries: readonly Entry[], allowUnstable: boolean): void {
    const last = entries[entries.length - 1]!.index;
    invariant(
      entries[0]!.index === this.applying + 1,
      'entries are applied in order, none left out',
    );
    invariant(last <= this.committed, 'only committed entries are applied');
    invariant(
      last - this.applying === entries.length,
      'entries that are handed out follow one another',
    );
    invariant(
      last <= this.maxAppliable(allowUnstable),
      'an entry is applied after it is stable, where that is asked for',
    );
    this.applying = last;
    this.#applyingSize += entriesSize(entries);
    // Pause when the limit is reached, and also when it cut this run short: the next entry would
    // cross it.
    this.#applyingPaused =
      this.#applyingSize >= this.applyingSizeMax || last < this.maxAppliable(allowUnstable);
  }

  /** Entries up to `index` are applied; `size` bytes of those handed out are done with. */
  appliedTo(index: LogIndex, size: number): void {
    if (index > this.committed || index < this.applied) {
      fail(
        `applied(${index}) is out of range ` +
          `[prevApplied(${this.applied}), committed(${this.committed})]`,
      );
    }
    this.applied = index;
    this.applying = Math.max(this.applying, index);
    this.#applyingSize = Math.max(this.#applyingSize - size, 0);
    this.#applyingPaused = this.#applyingSize >= this.applyingSizeMax;
    invariant(this.applied <= this.applying, 'log: applied <= applying');
  }

  /** Whether a membership change is committed but not applied; reads page by page. */
  hasUnappliedConfChange(): boolean {
    const to = this.committed + 1;
    for (let from = this.applied + 1; from < to; ) {
      const page = this.slice(from, to, this.applyingSizeMax);
      if (typeof page === 'number' || page.length === 0) {
        return fail(`error scanning unapplied entries [${from}, ${to})`);
      }
      if (page.some((entry) => entry.type !== EntryType.EntryNormal)) return true;
      from += page.length;
    }
    return false;
  }

  /** Asserts the order of the marks, and of those of the unstable part. */
  check(): void {
    const { offset, nextToWrite, count } = this.unstable;
    invariant(this.applied <= this.applying, 'log: applied <= applying');
    invariant(this.applying <= this.committed, 'log: applying <= committed');
    invariant(this.committed <= this.lastIndex(), 'log: committed <= last index');
    invariant(this.committed + 1 >= this.firstIndex(), 'log: only committed entries are compacted');
    invariant(
      offset <= nextToWrite && nextToWrite <= offset + count,
      'log: unstable marks in order',
    );
    invariant(
      count === 0 || offset <= this.#storage.lastIndex() + 1 || this.hasPendingSnapshot(),
      'log: no gap between storage and unstable entries',
    );
  }

  describe(): string {
    const { offset, nextToWrite, count } = this.unstable;
    return (
      `committed=${this.committed}, applied=${this.applied}, applying=${this.applying}, ` +
      `unstable.offset=${offset}, unstable.offsetInProgress=${nextToWrite}, ` +
      `len(unstable.Entries)=${count}`
    );
  }

  /** The highest index that may be handed out for application. */
  maxAppliable(allowUnstable: boolean): LogIndex {
    if (allowUnstable) return this.committed;
    const stable = this.unstable.offset - 1;
    invariant(stable >= 0, 'stable entries end at index 0 or later');
    return Math.min(this.committed, stable);
  }

  /** Log matching: after an append this log equals the leader's from `prev` on. */
  #checkMatches({ prev, entries }: LogSlice): void {
    let term = prev.term;
    for (const entry of entries) {
      invariant(this.matches(entry.index, entry.term), 'an appended entry is in the log');
      invariant(entry.term >= term, 'terms never fall along the log');
      term = entry.term;
    }
  }

  #extendFromUnstable(stored: Entry[], to: LogIndex, sizeMax: number): Entry[] {
    invariant(
      stored.length === 0 || stored[stored.length - 1]!.index + 1 === this.unstable.offset,
      'stored entries reach up to the unstable ones',
    );
    const size = entriesSize(stored);
    if (size >= sizeMax) return stored;
    const more = this.unstable.slice(this.unstable.offset, to, sizeMax - size);
    invariant(more.length > 0, 'a slice goes on with an unstable entry');
    // The first entry is returned at any size; only then can the limit be crossed.
    if (more.length === 1 && size + entrySize(more[0]!) > sizeMax) return stored;
    for (let i = 0; i < more.length; i++) stored.push(more[i]!);
    if (verify.all) verifyRun(stored);
    return stored;
  }
}

/** A run of entries as the log holds it: indexes without a gap, terms that never fall. */
function verifyRun(entries: readonly Entry[]): void {
  for (let i = 1; i < entries.length; i++) {
    invariant(entries[i]!.index === entries[i - 1]!.index + 1, 'entries of a log have no gap');
    invariant(entries[i]!.term >= entries[i - 1]!.term, 'terms never fall along the log');
  }
}
