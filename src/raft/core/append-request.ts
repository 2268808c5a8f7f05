// A follower's side of replication: appends and heartbeats from the leader.

import { invariant, type LogIndex, type Term } from '../../base/index.ts';
import { hexId } from '../ids.ts';
import type { EntryId } from '../log/index.ts';
import { type Entry, type Message, MessageType } from '../raftpb.ts';
import { type Raft, ROLES } from './raft.ts';

export function answerAppend(raft: Raft, request: Message): void {
  const { log } = raft;
  invariant(raft.role === ROLES.FOLLOWER, 'appends are for a follower');
  invariant(raft.lead === request.from, 'appends come from the leader of the term');
  const committed = log.committed;
  const response = raft.messageTo(request.from, MessageType.MsgAppResp);
  if (request.index < log.committed) {
    // Reordered or repeated: everything up to the commit index equals the leader's log.
    response.index = log.committed;
    raft.send(response);
    return;
  }
  const prev = { term: request.logTerm, index: request.index };
  const last = log.maybeAppend({ prev, entries: request.entries }, request.commit);
  if (last !== undefined) {
    invariant(log.committed >= committed, 'the commit index never goes back');
    invariant(log.lastIndex() >= last, 'what is acknowledged is in the log');
    response.index = last;
    raft.send(response);
    return;
  }
  raft.debug(
    () =>
      `${raft.name} [logterm: ${log.termOrZero(request.index)}, index: ${request.index}] ` +
      `rejected MsgApp [logterm: ${request.logTerm}, index: ${request.index}] ` +
      `from ${hexId(request.from)}`,
  );
  // A hint where the logs may agree: not after the end of this log, and not where its term is above
  // the leader's at that place, since terms never fall along a log. That skips the whole uncommitted
  // tail of another leader at once.
  const hint = log.findConflictByTerm(Math.min(request.index, log.lastIndex()), request.logTerm);
  invariant(hint.index <= request.index, 'a hint is not after the rejected place');
  response.index = request.index;
  response.reject = true;
  response.rejectHint = hint.index;
  response.logTerm = hint.term;
  raft.send(response);
}

export function answerHeartbeat(raft: Raft, request: Message): void {
  invariant(raft.role === ROLES.FOLLOWER, 'heartbeats are for a follower');
  raft.log.commitTo(request.commit);
  const response = raft.messageTo(request.from, MessageType.MsgHeartbeatResp);
  response.context = request.context;
  raft.send(response);
}

/**
 * Whether `entries` can be what a leader of `term` has after `prev`: contiguous, terms never
 * falling and none above the leader's.
 */
export function wellFormed(entries: readonly Entry[], prev: EntryId, term: Term): boolean {
  let last: Term = prev.term;
  let next: LogIndex = prev.index + 1;
  for (let i = 0; i < entries.length; i++, next++) {
    const entry = entries[i]!;
    if (entry.index !== next || entry.term < last) return false;
    last = entry.term;
  }
  return last <= term;
}
