// Decisions by two sets of voters at once, while the group moves from one to the other: both
// majorities must agree (Raft thesis, section 4.3).

import type { LogIndex } from '../../base/index.ts';
import type { NodeId } from '../ids.ts';
import { describeIdSet, type IdSet, unionOf } from './id-set.ts';
import {
  type AckedIndexes,
  describeAcked,
  majorityCommittedIndex,
  majorityVoteResult,
  VOTE_RESULTS,
  type VoteResult,
} from './majority.ts';

/** The voters of a configuration: two sets while it is joint. */
export interface JointVoters {
  /** The voters, or those that will be the voters when the transition is over. */
  readonly incoming: IdSet;
  /** Those that were the voters before; empty unless a transition is under way. */
  readonly outgoing: IdSet;
}

/** The highest index that both halves have committed. Infinity if both are empty. */
export function jointCommittedIndex(voters: JointVoters, acked: AckedIndexes): LogIndex {
  const incoming = majorityCommittedIndex(voters.incoming, acked);
  if (voters.outgoing.length === 0) return incoming;
  return Math.min(incoming, majorityCommittedIndex(voters.outgoing, acked));
}

export function jointVoteResult(
  voters: JointVoters,
  votes: ReadonlyMap<NodeId, boolean>,
): VoteResult {
  const incoming = majorityVoteResult(voters.incoming, votes);
  const outgoing = majorityVoteResult(voters.outgoing, votes);
  if (incoming === outgoing) return incoming;
  // One lost half loses the whole; else one has won and the other still waits.
  if (incoming === VOTE_RESULTS.LOST || outgoing === VOTE_RESULTS.LOST) return VOTE_RESULTS.LOST;
  return VOTE_RESULTS.PENDING;
}

/** Everyone who votes in either half. */
export function jointIds(voters: JointVoters): IdSet {
  return voters.outgoing.length === 0 ? voters.incoming : unionOf(voters.incoming, voters.outgoing);
}

/** Such as `(1 2 3)` or `(1 2 3)&&(2 3 4)`. */
export function describeJoint(voters: JointVoters): string {
  const incoming = describeIdSet(voters.incoming);
  return voters.outgoing.length === 0 ? incoming : `${incoming}&&${describeIdSet(voters.outgoing)}`;
}

export function describeJointAcked(voters: JointVoters, acked: AckedIndexes): string {
  return describeAcked(jointIds(voters), acked);
}
