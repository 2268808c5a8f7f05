// The stable part of the log as raft reads it. The shell writes it, as `Ready` or the storage messages
// ask.

import type { LogIndex, Term } from '../../base/index.ts';
import type { ConfState, Entry, HardState, Snapshot } from '../raftpb.ts';

/**
 * Why a storage cannot return an entry or a term. Negative, so that no term equals one of them.
 */
export const LOG_GAPS = {
  /** It is older than the log's first entry: a snapshot covers it. */
  COMPACTED: -1,
  /** It is younger than the log's last entry. */
  UNAVAILABLE: -2,
} as const;

/** One of {@link LOG_GAPS}. */
export type LogGap = (typeof LOG_GAPS)[keyof typeof LOG_GAPS];

/** What a storage knows when a node starts. */
export interface InitialState {
  /** Undefined if none was ever saved. */
  readonly hardState: HardState | undefined;
  /** Empty lists if none was ever saved. */
  readonly confState: ConfState;
}

/**
 * The stable part of the log. All methods are synchronous; entries and snapshots handed out are
 * shared and never changed by either side.
 *
 * A method that cannot do its work (disk, corruption) throws a TetcdError. The raw node then is
 * inoperable: it hands the error to its shell and refuses everything that follows.
 */
export interface Storage {
  initialState(): InitialState;
  /** Index of the oldest entry that `entries` can return; 1 of an empty log without snapshot. */
  firstIndex(): LogIndex;
  /** Index of the youngest entry; firstIndex() - 1 of an empty log. */
  lastIndex(): LogIndex;
  /** The term at `index`, which may also be firstIndex() - 1. */
  term(index: LogIndex): Term | LogGap;
  /**
   * Entries [from, to), as many as fit into `sizeMax` bytes of their encoded form but at least one.
   * The caller owns the array. COMPACTED if `from` is below firstIndex(), UNAVAILABLE if the
   * range goes past lastIndex().
   */
  entries(from: LogIndex, to: LogIndex, sizeMax: number): Entry[] | LogGap;
  /** The newest snapshot; undefined while it is being prepared, and raft will ask again later. */
  snapshot(): Snapshot | undefined;
}
