// Time, counted in ticks: election timeouts, heartbeats, CheckQuorum.

import { invariant } from '../../base/index.ts';
import { NONE } from '../ids.ts';
import { promotable, standForElection } from './election.ts';
import { type Raft, ROLES } from './raft.ts';
import { broadcastHeartbeats } from './replication.ts';
import { becomeFollower } from './roles.ts';
import { abortTransfer } from './transfer.ts';

export function tick(raft: Raft): void {
  if (raft.role === ROLES.LEADER) tickLeader(raft);
  else tickElection(raft);
}

function tickElection(raft: Raft): void {
  raft.electionElapsed++;
  if (promotable(raft) && raft.electionElapsed >= raft.randomizedElectionTimeout) {
    raft.electionElapsed = 0;
    standForElection(raft);
  }
}

function tickLeader(raft: Raft): void {
  invariant(raft.lead === raft.id, 'a leader follows itself');
  raft.heartbeatElapsed++;
  raft.electionElapsed++;
  if (raft.electionElapsed >= raft.config.electionTicks) {
    raft.electionElapsed = 0;
    if (raft.config.checkQuorum) checkQuorum(raft);
    // A transfer that takes longer than an election timeout has failed.
    if (raft.leadTransferee !== NONE) abortTransfer(raft);
  }
  if (raft.role !== ROLES.LEADER) return;
  if (raft.heartbeatElapsed >= raft.config.heartbeatTicks) {
    raft.heartbeatElapsed = 0;
    broadcastHeartbeats(raft);
  }
}

/** CheckQuorum: a leader without messages from a quorum for an election timeout steps down. */
function checkQuorum(raft: Raft): void {
  if (!raft.tracker.quorumActive()) {
    raft.warn(() => `${raft.name} stepped down to follower since quorum is not active`);
    becomeFollower(raft, raft.term, NONE);
  }
  const { ids, all } = raft.tracker;
  for (let i = 0; i < ids.length; i++) if (ids[i] !== raft.id) all[i]!.recentActive = false;
}
