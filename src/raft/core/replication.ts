// The leader sends: appends, snapshots, heartbeats.

import { fail, invariant, type LogIndex } from '../../base/index.ts';
import { hexId, type NodeId } from '../ids.ts';
import { isEmptySnapshot, payloadsSize, snapshotIndex, snapshotTerm } from '../log/index.ts';
import { type Entry, MessageType, NO_ENTRIES } from '../raftpb.ts';
import { PROGRESS_STATES, type Progress } from '../tracker/index.ts';
import { acknowledgeOwnAppend } from './proposal.ts';
import { type Raft, ROLES } from './raft.ts';

/**
 * A run of entries read once for all followers that stand at the same place. Lives for one
 * broadcast only, within which the log does not change.
 */
interface SharedRun {
  from: LogIndex;
  entries: Entry[];
  payload: number;
}

/**
 * One append to every follower that is not paused, an empty one where there is nothing to send.
 */
export function broadcastAppends(raft: Raft): void {
  const shared: SharedRun = { from: 0, entries: NO_ENTRIES, payload: 0 };
  const { ids, all } = raft.tracker;
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] !== raft.id) sendAppendTo(raft, ids[i]!, all[i]!, true, shared);
  }
}

/**
 * With `deferAppends`: acknowledges and sends all that was proposed since the last Ready, together
 * with the commit index.
 */
export function flushDeferredAppends(raft: Raft): void {
  if (!raft.appendsDeferred) return;
  invariant(raft.role === ROLES.LEADER, 'only a leader defers appends');
  raft.appendsDeferred = false;
  acknowledgeOwnAppend(raft);
  sendPendingAppends(raft);
}

/** Sends every follower the entries that it lacks, and the commit index if it may lack that. */
export function sendPendingAppends(raft: Raft): void {
  invariant(raft.role === ROLES.LEADER, 'only a leader sends appends');
  raft.commitDeferred = false;
  const { ids, all } = raft.tracker;
  const shared: SharedRun = { from: 0, entries: NO_ENTRIES, payload: 0 };
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] === raft.id) continue;
    const progress = all[i]!;
    // As many messages as the window takes, as after an acknowledgement.
    while (sendAppendTo(raft, ids[i]!, progress, false, shared));
    if (progress.canBumpCommit(raft.log.committed)) {
      sendAppendTo(raft, ids[i]!, progress, true, shared);
    }
  }
}

/** The commit index has moved: sends it to every follower, with `deferAppends` later. */
export function broadcastCommit(raft: Raft): void {
  if (!raft.config.deferAppends) broadcastAppends(raft);
  else if (raft.tracker.ids.length > 1) raft.commitDeferred = true;
}

/** Sends the commit index to one follower if it may lack it, with `deferAppends` later. */
export function sendCommitTo(raft: Raft, to: NodeId, progress: Progress): void {
  if (!progress.canBumpCommit(raft.log.committed)) return;
  if (raft.config.deferAppends) raft.commitDeferred = true;
  else sendAppend(raft, to);
}

/** After a configuration change: sends entries to those that lack some, and no empty append. */
export function probeFollowers(raft: Raft): void {
  for (const id of raft.tracker.ids) if (id !== raft.id) maybeSendAppend(raft, id, false);
}

/** Sends an append, possibly empty, unless the follower is paused. */
export function sendAppend(raft: Raft, to: NodeId): void {
  maybeSendAppend(raft, to, true);
}

/**
 * Whether an append or a snapshot was sent. Without `evenEmpty` only if there are entries to send.
 */
export function maybeSendAppend(raft: Raft, to: NodeId, evenEmpty: boolean): boolean {
  const progress = raft.tracker.progress(to);
  return progress !== undefined && sendAppendTo(raft, to, progress, evenEmpty, undefined);
}

function sendAppendTo(
  raft: Raft,
  to: NodeId,
  progress: Progress,
  evenEmpty: boolean,
  shared: SharedRun | undefined,
): boolean {
  if (progress.isPaused()) return false;
  const prevIndex = progress.next - 1;
  const prevTerm = raft.log.term(prevIndex);
  // The log is compacted up to there: only a snapshot helps.
  if (prevTerm < 0) return maybeSendSnapshot(raft, to, progress);
  let entries: Entry[] = NO_ENTRIES;
  let payload = 0;
  // A full window gets empty appends only. If everything in it was lost, the rejection of one of
  // them reopens it.
  if (progress.state !== PROGRESS_STATES.REPLICATE || !progress.inflights.full()) {
    if (shared !== undefined && shared.from === progress.next) {
      entries = shared.entries;
      payload = shared.payload;
    } else {
      const run = raft.log.entriesFrom(progress.next, raft.config.messageBytesMax);
      if (typeof run === 'number') return maybeSendSnapshot(raft, to, progress);
      entries = run;
      payload = payloadsSize(run);
      if (shared !== undefined) {
        shared.from = progress.next;
        shared.entries = run;
        shared.payload = payload;
      }
    }
  }
  if (entries.length === 0 && !evenEmpty) return false;
  invariant(progress.match < progress.next, 'progress: match < next');
  invariant(
    entries.length === 0 || entries[0]!.index === progress.next,
    'an append begins at the next index of its follower',
  );
  const append = raft.messageTo(to, MessageType.MsgApp);
  append.index = prevIndex;
  append.logTerm = prevTerm;
  append.entries = entries;
  append.commit = raft.log.committed;
  raft.send(append);
  progress.sentEntries(entries.length, payload);
  invariant(
    progress.next <= raft.log.lastIndex() + 1,
    'the next index is in the log or right after it',
  );
  progress.sentCommit(raft.log.committed);
  return true;
}

function maybeSendSnapshot(raft: Raft, to: NodeId, progress: Progress): boolean {
  if (!progress.recentActive) {
    raft.debug(() => `ignore sending snapshot to ${hexId(to)} since it is not recently active`);
    return false;
  }
  const snapshot = raft.log.snapshot();
  if (snapshot === undefined) {
    raft.debug(
      () =>
        `${raft.name} failed to send snapshot to ${hexId(to)} ` +
        'because snapshot is temporarily unavailable',
    );
    return false;
  }
  if (isEmptySnapshot(snapshot)) fail('need non-empty snapshot');
  const index = snapshotIndex(snapshot);
  invariant(index <= raft.log.committed, 'a snapshot covers committed entries only');
  raft.debug(
    () =>
      `${raft.name} [firstindex: ${raft.log.firstIndex()}, commit: ${raft.log.committed}] ` +
      `sent snapshot[index: ${index}, term: ${snapshotTerm(snapshot)}] ` +
      `to ${hexId(to)} [${progress.describe()}]`,
  );
  progress.becomeSnapshot(index);
  invariant(progress.isPaused(), 'a snapshot pauses appends');
  raft.debug(
    () =>
      `${raft.name} paused sending replication messages to ${hexId(to)} ` +
      `[${progress.describe()}]`,
  );
  const message = raft.messageTo(to, MessageType.MsgSnap);
  message.snapshot = snapshot;
  raft.send(message);
  return true;
}

/** A heartbeat to every follower; it carries the reads that wait for confirmation. */
export function broadcastHeartbeats(raft: Raft): void {
  invariant(raft.role === ROLES.LEADER, 'only a leader sends heartbeats');
  const context = raft.readOnly.heartbeatContext();
  const { ids, all } = raft.tracker;
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] === raft.id) continue;
    const progress = all[i]!;
    // The follower may lack entries, or hold others: only what is known to match may be committed.
    const commit = Math.min(progress.match, raft.log.committed);
    invariant(commit <= raft.log.committed, 'a heartbeat commits what is committed');
    const heartbeat = raft.messageTo(ids[i]!, MessageType.MsgHeartbeat);
    heartbeat.commit = commit;
    heartbeat.context = context;
    raft.send(heartbeat);
    progress.sentCommit(commit);
  }
}
