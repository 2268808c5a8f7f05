// The types that callers pass to the log and get from it.

import type { LogIndex, Term, TetcdError } from '../base/index.ts';
import type { Env } from '../env/index.ts';
import type { raftpb, walpb } from '../protocol/index.ts';

/** The part of `Env` that the write-ahead log uses. */
export type WalEnv = Pick<Env, 'clock' | 'timers' | 'disk'>;

/** A snapshot record: since 3.5 `confState` is there unless the index is 0. */
export type WalSnapshot = walpb.Snapshot;

/** Where reading begins: after this snapshot. `{ index: 0, term: 0 }` is the beginning of the log. */
export interface WalPosition {
  readonly index: LogIndex;
  readonly term: Term;
}

/**
 * One append. The caller makes the record (a class with a `complete` method, pooled on a hot path) and
 * changes neither it nor what it refers to until `complete`; from then on the caller owns it again.
 */
export interface WalAppend {
  /** Written after the entries; nothing is written if it is undefined or all zero. */
  readonly hardState: raftpb.HardState | undefined;
  /** Contiguous; they replace what the log has from the first one's index on. */
  readonly entries: readonly raftpb.Entry[];
  /** Whether to complete only once the append is synced; else once it is written. */
  readonly mustSync: boolean;
  /**
   * Nothing else in this process would wait if the turn waited for the disk: a sync may be done within it.
   * Default false.
   */
  readonly isAlone?: boolean;
  /**
   * Called once, never from within `append`, in the order of the appends. After an error (DISK_FULL,
   * DISK_FAILED, LOCKED, CLOSED) every later append fails too: what the disk holds is unknown.
   */
  complete(error: TetcdError | undefined): void;
}

/** Callbacks for metrics and logs; every one is optional. */
export interface WalObserver {
  /** Seconds of one `fdatasync` or directory sync: `etcd_disk_wal_fsync_duration_seconds`. */
  synced?(seconds: number): void;
  /** Bytes and seconds of one write: `etcd_disk_wal_write_bytes_total`, `..._duration_seconds`. */
  wrote?(bytes: number, seconds: number): void;
  /** A new segment is in use. */
  segmentCreated?(path: string): void;
  /**
   * No zeros could be written ahead, in the newest segment or for the next one (the disk is full, say).
   * The append that needs them tries again.
   */
  prepareFailed?(error: TetcdError): void;
  /** A torn tail was cut off on opening. */
  repaired?(repair: WalRepair): void;
  /** A file in the directory that does not belong to the log; it is not touched. */
  ignoredFile?(path: string): void;
  /** An old segment was removed. */
  purged?(path: string): void;
}

/** Options of a write-ahead log. Sizes are in bytes. */
export interface WalOptions {
  /** Bytes; 64,000,000 by default. */
  readonly segmentSize?: number;
  /** Bytes of zeros that are written ahead of the records at a time; 1 MiB by default. */
  readonly fillSize?: number;
  /** Never sync: fast, and unsafe against anything but a crash of this process alone. */
  readonly unsafeNoFsync?: boolean;
  readonly observer?: WalObserver;
}

/** A torn tail that was cut off. */
export interface WalRepair {
  readonly path: string;
  /** A copy of the segment as it was found. */
  readonly brokenPath: string;
  /** Where the torn record began; from there on the segment is zeros now. */
  readonly offset: number;
}

/** The content of a log after a position. */
export interface WalContent {
  /** The caller's bytes given to `createWal`. */
  readonly metadata: Uint8Array;
  /** The newest one; all zero if there is none. */
  readonly hardState: raftpb.HardState;
  /**
   * Every entry after the position, contiguous, without those that were replaced; some may not be
   * committed. Their data are views of larger blocks.
   */
  readonly entries: raftpb.Entry[];
}
