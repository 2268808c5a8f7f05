// The part of the log that is not known to be on disk yet: new entries and possibly a snapshot
// before them.
//
//                  offset        nextToWrite          next
//   storage ...      v               v                  v
//   ... 8  9  10   [11  12  13  14  15  16  17  18  19 ]
//                   being written    not handed out yet
//
// `offset` may lie below the end of the storage: the next write then truncates the storage first.

import { invariant, type LogIndex, type Term } from '../../base/index.ts';
import { LOG_LEVELS, type RaftLogger } from '../logger.ts';
import type { Entry, Snapshot } from '../raftpb.ts';
import { EntryList } from './entry-list.ts';
import { snapshotIndex, snapshotTerm } from './snapshot.ts';

export class Unstable {
  readonly #entries: EntryList;
  /** A snapshot that came from the leader and is not in the storage yet. */
  #snapshot: Snapshot | undefined;
  #snapshotInProgress = false;
  /** Entries below this one have been handed out for writing. offset <= nextToWrite <= next. */
  #nextToWrite: LogIndex;
  readonly #logger: RaftLogger;

  constructor(offset: LogIndex, logger: RaftLogger) {
    invariant(offset >= 1, 'the first entry of a log has index 1');
    this.#entries = new EntryList(offset);
    this.#nextToWrite = offset;
    this.#logger = logger;
  }

  /** Index of the first entry here. */
  get offset(): LogIndex {
    return this.#entries.first;
  }

  /** See the picture above. */
  get nextToWrite(): LogIndex {
    return this.#nextToWrite;
  }

  get count(): number {
    return this.#entries.count;
  }

  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** Undefined without a snapshot: then the storage knows. */
  firstIndex(): LogIndex | undefined {
    return this.#snapshot === undefined ? undefined : snapshotIndex(this.#snapshot) + 1;
  }

  /** Undefined without entries and snapshot: then the storage knows. */
  lastIndex(): LogIndex | undefined {
    if (this.#entries.count > 0) return this.#entries.next - 1;
    return this.#snapshot === undefined ? undefined : snapshotIndex(this.#snapshot);
  }

  /** Undefined if `index` is not here: the storage may know. */
  term(index: LogIndex): Term | undefined {
    if (index >= this.#entries.first) {
      return index < this.#entries.next ? this.#entries.at(index).term : undefined;
    }
    const snapshot = this.#snapshot;
    return snapshot !== undefined && snapshotIndex(snapshot) === index
      ? snapshotTerm(snapshot)
      : undefined;
  }

  hasEntriesToWrite(): boolean {
    return this.#nextToWrite < this.#entries.next;
  }

  /** Entries not handed out for writing yet. */
  entriesToWrite(): Entry[] {
    const entries = this.#entries.slice(this.#nextToWrite, this.#entries.next);
    invariant(
      this.#nextToWrite + entries.length === this.#entries.next,
      'what was not written yet is written to the end',
    );
    return entries;
  }

  /** The snapshot, unless there is none or it is being written already. */
  snapshotToWrite(): Snapshot | undefined {
    return this.#snapshotInProgress ? undefined : this.#snapshot;
  }

  /** Everything here has been handed out for writing. */
  acceptInProgress(): void {
    invariant(this.#nextToWrite <= this.#entries.next, 'entries are handed out once');
    this.#nextToWrite = this.#entries.next;
    if (this.#snapshot !== undefined) this.#snapshotInProgress = true;
  }

  /**
   * Entries up to `index` are on disk, if the entry there still has `term`. The caller makes sure that
   * no write in progress can overwrite them.
   */
  stableTo(index: LogIndex, term: Term): void {
    const ours = this.term(index);
    if (ours === undefined) {
      this.#info(() => `entry at index ${index} missing from unstable log; ignoring`);
      return;
    }
    if (index < this.#entries.first) {
      this.#info(() => `entry at index ${index} matched unstable snapshot; ignoring`);
      return;
    }
    if (ours !== term) {
      // The entry was replaced while the old one was being written.
      this.#info(
        () =>
          `entry at (index,term)=(${index},${term}) mismatched with entry at ` +
          `(${index},${ours}) in unstable log; ignoring`,
      );
      return;
    }
    this.#entries.dropBefore(index + 1);
    this.#nextToWrite = Math.max(this.#nextToWrite, index + 1);
    invariant(this.#entries.first === index + 1, 'unstable entries begin after the stable ones');
    invariant(this.#nextToWrite <= this.#entries.next, 'entries are handed out once');
  }

  /** The snapshot that ends at `index` is on disk. */
  stableSnapshotTo(index: LogIndex): void {
    if (this.#snapshot === undefined || snapshotIndex(this.#snapshot) !== index) return;
    invariant(this.#snapshotInProgress, 'a snapshot is on disk after it was handed out');
    this.#snapshot = undefined;
    this.#snapshotInProgress = false;
  }

  /** The log is now `snapshot` and nothing after it. */
  restore(snapshot: Snapshot): void {
    const next = snapshotIndex(snapshot) + 1;
    invariant(next > 1, 'a snapshot that is restored covers an entry');
    this.#entries.clear(next);
    this.#nextToWrite = next;
    this.#snapshot = snapshot;
    this.#snapshotInProgress = false;
  }

  /** Appends `entries[skip...]`, which replace everything from their first index on. */
  truncateAndAppend(entries: readonly Entry[], skip: number): void {
    invariant(entries.length > skip, 'unstable: nothing to append');
    const from = entries[skip]!.index;
    if (from === this.#entries.next) {
      // The usual case: nothing is replaced.
    } else if (from <= this.#entries.first) {
      this.#info(() => `replace the unstable entries from index ${from}`);
      this.#entries.clear(from);
      this.#nextToWrite = from;
    } else {
      this.#info(() => `truncate the unstable entries before index ${from}`);
      this.#entries.truncateTo(from);
      this.#nextToWrite = Math.min(this.#nextToWrite, from);
    }
    invariant(this.#nextToWrite <= from, 'entries that are replaced are written again');
    this.#entries.append(entries, skip);
    invariant(this.#entries.next === from + entries.length - skip, 'the log ends with what came');
  }

  /** Appends one entry at the end. */
  push(entry: Entry): void {
    this.#entries.push(entry);
  }

  /** Entries [from, to), at most `sizeMax` bytes of them but at least one. */
  slice(from: LogIndex, to: LogIndex, sizeMax: number): Entry[] {
    return this.#entries.slice(from, this.#entries.limit(from, to, sizeMax));
  }

  #info(text: () => string): void {
    if (this.#logger.enabled(LOG_LEVELS.INFO)) this.#logger.log(LOG_LEVELS.INFO, text());
  }
}
