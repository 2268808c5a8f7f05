// Changes of role. All but the one to pre-candidate reset the state of the old role.

import { invariant, type Term } from '../../base/index.ts';
import { NONE, type NodeId } from '../ids.ts';
import { EntryType } from '../raftpb.ts';
import { ReadOnly } from '../read-only.ts';
import { appendEntries } from './proposal.ts';
import { type Raft, ROLES } from './raft.ts';

export function becomeFollower(raft: Raft, term: Term, lead: NodeId): void {
  reset(raft, term);
  raft.lead = lead;
  raft.role = ROLES.FOLLOWER;
  raft.info(() => `${raft.name} became follower at term ${raft.term}`);
}

/** Enters the next term and votes for itself. */
export function becomeCandidate(raft: Raft): void {
  invariant(raft.role !== ROLES.LEADER, 'invalid transition [leader -> candidate]');
  reset(raft, raft.term + 1);
  raft.vote = raft.id;
  raft.role = ROLES.CANDIDATE;
  raft.info(() => `${raft.name} became candidate at term ${raft.term}`);
}

/** Term and vote are unchanged: a pre-vote promises nothing. */
export function becomePreCandidate(raft: Raft): void {
  invariant(raft.role !== ROLES.LEADER, 'invalid transition [leader -> pre-candidate]');
  raft.tracker.resetVotes();
  raft.lead = NONE;
  raft.role = ROLES.PRE_CANDIDATE;
  raft.info(() => `${raft.name} became pre-candidate at term ${raft.term}`);
}

export function becomeLeader(raft: Raft): void {
  invariant(raft.role !== ROLES.FOLLOWER, 'invalid transition [follower -> leader]');
  invariant(raft.vote === raft.id, 'a leader is elected with its own vote');
  invariant(!raft.log.hasPendingSnapshot(), 'a leader has no snapshot to install');
  reset(raft, raft.term);
  raft.lead = raft.id;
  raft.role = ROLES.LEADER;
  const own = raft.ownProgress();
  invariant(own !== undefined, 'a leader is in its own configuration');
  own.becomeReplicate();
  own.recentActive = true;
  // The uncommitted tail may hold a membership change. Scanning for it could take long, so the whole
  // tail has to be applied before the next change is proposed.
  raft.pendingConfIndex = raft.log.lastIndex();
  // An entry of its own term lets the leader commit what its predecessors left (paper, 5.4.2).
  const appended = appendEntries(raft, [{ type: EntryType.EntryNormal, data: undefined }]);
  invariant(appended, 'the empty entry of a new leader is never refused');
  raft.info(() => `${raft.name} became leader at term ${raft.term}`);
}

function reset(raft: Raft, term: Term): void {
  invariant(term >= raft.term, 'the term never goes back');
  if (raft.term !== term) {
    raft.term = term;
    raft.vote = NONE;
  }
  raft.lead = NONE;
  raft.electionElapsed = 0;
  raft.heartbeatElapsed = 0;
  drawElectionTimeout(raft);
  raft.leadTransferee = NONE;
  raft.tracker.resetVotes();
  raft.tracker.resetProgress(raft.id, raft.log.lastIndex());
  raft.pendingConfIndex = 0;
  raft.uncommittedSize = 0;
  raft.appendsDeferred = false;
  raft.commitDeferred = false;
  // Pending reads are dropped with the leadership, as a message can be: the caller retries.
  raft.readOnly = new ReadOnly();
  raft.pendingReads = [];
}

function drawElectionTimeout(raft: Raft): void {
  const { electionTicks, random } = raft.config;
  const drawn = random.below(electionTicks);
  invariant(
    drawn >= 0 && drawn < electionTicks,
    'an election timeout is at most twice its setting',
  );
  raft.randomizedElectionTimeout = electionTicks + drawn;
}
