// What a node wants its shell to do.

import type { SoftState } from './core/raft.ts';
import type { Entry, HardState, Message, Snapshot } from './raftpb.ts';
import type { ReadState } from './read-only.ts';

/**
 * All that has gathered since the last one. The shell reads it and changes nothing in it; arrays,
 * entries and messages are shared with raft.
 *
 * In synchronous mode the order is: write `hardState`, `entries` and `snapshot` (synced if
 * `mustSync`), send `messages`, apply `committedEntries`, call `advance`. With asynchronous storage
 * writes it only delivers `messages`, among them one for each storage thread, which repeat what the
 * other fields say; each carries the responses to deliver when its work is done.
 */
export interface Ready {
  /** Undefined if unchanged. Not to be stored. */
  readonly softState: SoftState | undefined;
  /** Undefined if unchanged. */
  readonly hardState: HardState | undefined;
  /** Reads that may be served once their index is applied. */
  readonly readStates: readonly ReadState[];
  /** To be appended to the log; replaces what the log has from the first one's index on. */
  readonly entries: readonly Entry[];
  /** To be written and applied before anything else; undefined if there is none. */
  readonly snapshot: Snapshot | undefined;
  /** To be applied to the state machine, in order. */
  readonly committedEntries: readonly Entry[];
  /**
   * To be sent, in synchronous mode after `entries` and `hardState` are on disk. The outcome of a
   * MsgSnap must be reported by `reportSnapshot`.
   */
  readonly messages: readonly Message[];
  /** Whether `hardState` and `entries` must be synced, or may be written lazily. */
  readonly mustSync: boolean;
}
