// ReadIndex: linearizable reads without a log entry (thesis, section 6.4). The leader records its
// commit index, confirms its leadership with a round of heartbeats, and answers with that index; the
// requesting member serves the read once it has applied that index.

import { invariant, type LogIndex } from '../../base/index.ts';
import { READ_ONLY_MODES } from '../config.ts';
import { hexId, NONE } from '../ids.ts';
import { PENDING_READS_MAX } from '../limits.ts';
import { type Message, MessageType } from '../raftpb.ts';
import { isVoter } from '../tracker/index.ts';
import { committedInCurrentTerm } from './commit.ts';
import { type Raft, ROLES } from './raft.ts';
import { broadcastHeartbeats } from './replication.ts';

/** MsgReadIndex on the leader, of its own shell or forwarded by a follower. */
export function onReadRequest(raft: Raft, request: Message): void {
  if (raft.pendingReads.length + raft.readOnly.waitingCount >= PENDING_READS_MAX) {
    raft.warn(() => `${raft.name} too many pending reads; dropping index reading msg`);
    return;
  }
  // Until it has committed in its own term, a leader does not know what is committed (paper, 8).
  // That holds for a leader alone in its group as well, where etcd answers at once: the commit
  // index on disk lags behind what was acknowledged, so that after a crash it would answer with an
  // old one.
  if (!committedInCurrentTerm(raft)) raft.pendingReads.push(request);
  else beginRead(raft, request);
}

/** After a commit: starts the reads that waited for the first one of this term. */
export function releasePendingReads(raft: Raft): void {
  if (raft.pendingReads.length === 0) return;
  if (!committedInCurrentTerm(raft)) {
    raft.error(
      () => 'pending MsgReadIndex should be released only after first commit in current term',
    );
    return;
  }
  invariant(raft.role === ROLES.LEADER, 'only a leader has pending reads');
  const requests = raft.pendingReads;
  raft.pendingReads = [];
  for (const request of requests) beginRead(raft, request);
}

/** MsgHeartbeatResp: answers the reads that a quorum has confirmed by now. */
export function confirmReads(raft: Raft, response: Message): void {
  if (raft.config.readOnlyMode !== READ_ONLY_MODES.SAFE || response.context.length === 0) return;
  raft.readOnly.acknowledge(response.from, response.context);
  for (const read of raft.readOnly.takeConfirmed(raft.tracker.config.voters)) {
    answerRead(raft, read.request, read.index);
  }
}

/** MsgReadIndexResp on a follower: the leader's answer to its request. */
export function onReadResponse(raft: Raft, response: Message): void {
  if (response.entries.length !== 1) {
    raft.error(
      () =>
        `${raft.name} invalid format of MsgReadIndexResp from ${hexId(response.from)}, ` +
        `entries count: ${response.entries.length}`,
    );
    return;
  }
  raft.readStates.push({ index: response.index, context: response.entries[0]!.data });
}

function beginRead(raft: Raft, request: Message): void {
  const index = raft.log.committed;
  invariant(committedInCurrentTerm(raft), 'a read waits for an entry of the term of its leader');
  // A single voter that is this node: no other can have been elected. (A leader that was removed may
  // still lead a group whose single voter is another node.)
  const alone = raft.tracker.isSingleton() && isVoter(raft.tracker.config, raft.id);
  if (alone || raft.config.readOnlyMode === READ_ONLY_MODES.LEASE_BASED) {
    answerRead(raft, request, index);
    return;
  }
  raft.readOnly.add({ request, index });
  raft.readOnly.acknowledge(raft.id, raft.readOnly.heartbeatContext());
  broadcastHeartbeats(raft);
}

function answerRead(raft: Raft, request: Message, index: LogIndex): void {
  invariant(index <= raft.log.committed, 'a read index is committed');
  invariant(request.entries.length === 1, 'a read has one context');
  if (request.from === NONE || request.from === raft.id) {
    raft.readStates.push({ index, context: request.entries[0]!.data });
    return;
  }
  const response = raft.messageTo(request.from, MessageType.MsgReadIndexResp);
  response.index = index;
  response.entries = request.entries;
  raft.send(response);
}
