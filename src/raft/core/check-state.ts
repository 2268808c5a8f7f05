// What holds between any two inputs of a node: run after each of them under TETCD_VERIFY=all.

import { invariant } from '../../base/index.ts';
import { NONE } from '../ids.ts';
import { type Raft, ROLES } from './raft.ts';

/** Asserts the relations between term, role, log and the progress of followers. */
export function checkState(raft: Raft): void {
  const { log, tracker } = raft;
  log.check();
  const last = log.lastEntryId();
  // A node that never ran has term 0, over a snapshot of any term.
  invariant(raft.term === 0 || last.term <= raft.term, 'no entry is of a later term than the node');
  invariant(raft.term > 0 || raft.vote === NONE, 'no vote before the first term');
  for (const progress of tracker.all) progress.check();
  switch (raft.role) {
    case ROLES.LEADER:
      checkLeader(raft);
      return;
    case ROLES.CANDIDATE:
      invariant(raft.vote === raft.id, 'a candidate votes for itself');
      invariant(raft.lead === NONE, 'a candidate follows no leader');
      break;
    case ROLES.PRE_CANDIDATE:
      invariant(raft.lead === NONE, 'a pre-candidate follows no leader');
      break;
    case ROLES.FOLLOWER:
      break;
  }
  invariant(raft.leadTransferee === NONE, 'only a leader transfers leadership');
  invariant(raft.uncommittedSize === 0, 'only a leader counts uncommitted bytes');
  invariant(!raft.appendsDeferred && !raft.commitDeferred, 'only a leader defers appends');
  const reads = raft.pendingReads.length + raft.readOnly.waitingCount;
  invariant(reads === 0, 'only a leader has pending reads');
}

function checkLeader(raft: Raft): void {
  const { log, tracker } = raft;
  invariant(raft.lead === raft.id, 'a leader follows itself');
  invariant(raft.vote === raft.id, 'a leader voted for itself');
  invariant(raft.pendingConfIndex <= log.lastIndex(), 'a pending change is in the log');
  for (const { match } of tracker.all) {
    invariant(match <= log.lastIndex(), 'no follower acknowledges what the leader lacks');
  }
}
