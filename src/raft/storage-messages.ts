// Asynchronous storage writes: the work of the two storage threads, and their responses.
//
//   Ready ── MsgStorageAppend ──> append thread: write, sync, then deliver the responses:
//                                   votes and acknowledgements to other nodes and to this one,
//                                   MsgStorageAppendResp to this one
//         └─ MsgStorageApply ───> apply thread: apply, then deliver MsgStorageApplyResp

import { invariant } from '../base/index.ts';
import type { Raft } from './core/raft.ts';
import { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD } from './ids.ts';
import type { Snapshot } from './raftpb.ts';
import { type Entry, type HardState, type Message, MessageType, newMessage } from './raftpb.ts';

/** What one Ready writes. */
interface StorageWork {
  readonly entries: Entry[];
  readonly hardState: HardState | undefined;
  readonly snapshot: Snapshot | undefined;
}

/** Undefined if there is nothing to write and no message waits for earlier writes. */
export function storageAppend(raft: Raft, work: StorageWork): Message | undefined {
  const { entries, hardState, snapshot } = work;
  const waiting = raft.messagesAfterAppend;
  const idle = entries.length === 0 && hardState === undefined && snapshot === undefined;
  if (idle && waiting.length === 0) return undefined;
  const message = newMessage(MessageType.MsgStorageAppend, LOCAL_APPEND_THREAD);
  message.from = raft.id;
  message.entries = entries;
  message.snapshot = snapshot;
  if (hardState !== undefined) {
    // All three or none: together they are the hard state to write.
    message.term = hardState.term;
    message.vote = hardState.vote;
    message.commit = hardState.commit;
  }
  // The leader's own acknowledgements come before MsgStorageAppendResp: while they are handled, the
  // unstable part still knows the terms of the new entries.
  const response = storageAppendResponse(raft, snapshot);
  invariant(
    entries.length === 0 || response !== undefined,
    'a write of entries is reported when it is done',
  );
  message.responses = waiting;
  if (response !== undefined) message.responses.push(response);
  return message;
}

/**
 * Reports that everything unstable now is on disk. Undefined if nothing is.
 *
 * It names the end of the whole unstable part, not of the entries in this Ready, and our term at
 * this moment; it does not count if the term has changed when it arrives. Both matter in this race:
 *
 * 1. Of nodes A to E, A leads and sends entries x to B, which begins to write them.
 * 2. A stops; C, elected by D and E, sends B entries y in their place; B begins to write those.
 * 3. C stops; A, elected again, sends x once more; B begins to write x a second time.
 * 4. The first write of x is reported. Its (index, term) match the unstable part, yet the write of
 *    y is still under way: if x left the unstable part now, the storage would for a while answer
 *    with y.
 *
 * The first report is of an earlier term and so ignored. What it reported is reported again: every
 * later write, even of the hard state alone, covers the whole unstable part, and a change of term
 * always causes one.
 */
export function storageAppendResponse(
  raft: Raft,
  snapshot: Snapshot | undefined,
): Message | undefined {
  const unstableEntries = raft.log.unstable.count > 0;
  if (!unstableEntries && snapshot === undefined) return undefined;
  const response = newMessage(MessageType.MsgStorageAppendResp, raft.id);
  response.from = LOCAL_APPEND_THREAD;
  response.term = raft.term;
  if (unstableEntries) {
    const last = raft.log.lastEntryId();
    invariant(last.term <= raft.term, 'no entry is of a later term than the node');
    response.index = last.index;
    response.logTerm = last.term;
  }
  response.snapshot = snapshot;
  return response;
}

/** Entries are applied under no particular term. */
export function storageApply(raft: Raft, entries: Entry[]): Message {
  invariant(entries.length > 0, 'there is something to apply');
  const message = newMessage(MessageType.MsgStorageApply, LOCAL_APPLY_THREAD);
  message.from = raft.id;
  message.entries = entries;
  message.responses = [storageApplyResponse(raft, entries)];
  return message;
}

export function storageApplyResponse(raft: Raft, entries: Entry[]): Message {
  const response = newMessage(MessageType.MsgStorageApplyResp, raft.id);
  response.from = LOCAL_APPLY_THREAD;
  response.entries = entries;
  return response;
}
