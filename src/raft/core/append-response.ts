// The leader's side of responses: acknowledgements, rejections, heartbeat responses, and the reports
// of the transport.

import { invariant } from '../../base/index.ts';
import { hexId, type NodeId } from '../ids.ts';
import type { Message } from '../raftpb.ts';
import { PROGRESS_STATES, type Progress } from '../tracker/index.ts';
import { maybeCommit } from './commit.ts';
import { type Raft, ROLES } from './raft.ts';
import { confirmReads, releasePendingReads } from './reads.ts';
import { broadcastCommit, maybeSendAppend, sendAppend, sendCommitTo } from './replication.ts';
import { sendTimeoutNow } from './transfer.ts';

const { PROBE, REPLICATE, SNAPSHOT } = PROGRESS_STATES;

export function onAppendResponse(raft: Raft, response: Message, progress: Progress): void {
  invariant(raft.role === ROLES.LEADER, 'acknowledgements are for a leader');
  progress.recentActive = true;
  if (response.reject) onRejection(raft, response, progress);
  else onAcknowledgement(raft, response, progress);
}

/**
 * The follower's log does not contain the entry before the append. Its hint is the highest index at
 * which the logs may agree as far as it knows; the leader's terms may lower it further. With
 *
 *     index        1 2 3 4 5 6 7 8 9
 *     leader term  1 3 3 3 5 5 5 5 5
 *     follower     1 1 1 1 2 2
 *
 * an append after 9 is rejected with the hint (6, term 2). At 6 down to 2 the leader has terms
 * above 2; were one of them in the follower's log, its term at 6 could not be 2. So the next probe
 * is at 1: at most one probe per term, on either side, instead of one per entry.
 */
function onRejection(raft: Raft, response: Message, progress: Progress): void {
  const { from, index, rejectHint, logTerm } = response;
  raft.debug(
    () =>
      `${raft.name} received MsgAppResp(rejected, hint: (index ${rejectHint}, ` +
      `term ${logTerm})) from ${hexId(from)} for index ${index}`,
  );
  // Without a term (an empty log, or an old release) the hint stands as it is.
  const base = logTerm > 0 ? raft.log.findConflictByTerm(rejectHint, logTerm).index : rejectHint;
  if (!progress.maybeDecreaseTo(index, base)) return;
  raft.debug(() => `${raft.name} decreased progress of ${hexId(from)} to [${progress.describe()}]`);
  if (progress.state === REPLICATE) progress.becomeProbe();
  invariant(progress.state !== REPLICATE, 'a rejection ends the stream of appends');
  invariant(progress.next > progress.match, 'a probe is after what is known to match');
  sendAppend(raft, from);
}

function onAcknowledgement(raft: Raft, response: Message, progress: Progress): void {
  const { from, index } = response;
  // In PROBE a repeated acknowledgement counts too: it ends the probe.
  const resumes = progress.match === index && progress.state === PROBE;
  if (!progress.maybeUpdate(index) && !resumes) return;
  invariant(progress.match >= index, 'an acknowledgement is known to match');
  leaveWaitingState(raft, response, progress);
  const own = from === raft.id;
  if (maybeCommit(raft)) {
    releasePendingReads(raft);
    broadcastCommit(raft);
  } else if (!own) {
    sendCommitTo(raft, from, progress);
  }
  // The window has moved: fill it.
  if (!own) while (maybeSendAppend(raft, from, false));
  if (from === raft.leadTransferee && progress.match === raft.log.lastIndex()) {
    raft.info(() => `${raft.name} sent MsgTimeoutNow to ${hexId(from)} after received MsgAppResp`);
    sendTimeoutNow(raft, from);
  }
}

function leaveWaitingState(raft: Raft, response: Message, progress: Progress): void {
  switch (progress.state) {
    case PROBE:
      progress.becomeReplicate();
      break;
    case SNAPSHOT:
      // The follower has some snapshot, of whatever age and source, that this log continues.
      if (progress.match + 1 >= raft.log.firstIndex()) {
        raft.debug(
          () =>
            `${raft.name} recovered from needing snapshot, resumed sending replication ` +
            `messages to ${hexId(response.from)} [${progress.describe()}]`,
        );
        progress.becomeProbe();
        progress.becomeReplicate();
        invariant(progress.pendingSnapshot === 0, 'a stream of appends has no snapshot before it');
      }
      break;
    case REPLICATE:
      progress.inflights.freeTo(response.index);
      break;
  }
}

export function onHeartbeatResponse(raft: Raft, response: Message, progress: Progress): void {
  progress.recentActive = true;
  progress.appendsPaused = false;
  // Behind: send, even if the window is full and the append empty. Not behind but in PROBE (after
  // MsgUnreachable): the response to an empty append ends the probe.
  if (progress.match < raft.log.lastIndex() || progress.state === PROBE) {
    sendAppend(raft, response.from);
  }
  confirmReads(raft, response);
}

/** The transport's report on the snapshot that was sent to `id`. */
export function onSnapshotReport(raft: Raft, id: NodeId, failed: boolean): void {
  const progress = progressOnLeader(raft, id);
  if (progress === undefined || progress.state !== SNAPSHOT) return;
  // A failed snapshot was not applied: probe from what matched before it.
  if (failed) progress.pendingSnapshot = 0;
  progress.becomeProbe();
  raft.debug(
    () =>
      `${raft.name} snapshot ${failed ? 'failed' : 'succeeded'}, resumed sending replication ` +
      `messages to ${hexId(id)} [${progress.describe()}]`,
  );
  // Wait for the follower's own answer, or after a failure for a heartbeat interval.
  progress.appendsPaused = true;
}

/** MsgUnreachable: the transport dropped a message to `id`, so appends to it are probably lost. */
export function onUnreachable(raft: Raft, id: NodeId): void {
  const progress = progressOnLeader(raft, id);
  if (progress === undefined) return;
  if (progress.state === REPLICATE) progress.becomeProbe();
  raft.debug(
    () =>
      `${raft.name} failed to send message to ${hexId(id)} because it is unreachable ` +
      `[${progress.describe()}]`,
  );
}

function progressOnLeader(raft: Raft, id: NodeId): Progress | undefined {
  if (raft.role !== ROLES.LEADER) return undefined;
  const progress = raft.tracker.progress(id);
  if (progress === undefined) {
    raft.debug(() => `${raft.name} no progress available for ${hexId(id)}`);
  }
  return progress;
}
