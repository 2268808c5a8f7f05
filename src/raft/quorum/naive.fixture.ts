import type { LogIndex } from '../../base/index.ts';
import type { NodeId } from '../ids.ts';
import type { AckedIndexes, IdSet, JointVoters } from './index.ts';
import { VOTE_RESULTS, type VoteResult } from './index.ts';

/** By definition: the highest acknowledged index that more than half have acknowledged, else 0. */
export function naiveCommittedIndex(voters: IdSet, acked: AckedIndexes): LogIndex {
  if (voters.length === 0) return Number.POSITIVE_INFINITY;
  const indexes = voters.map((id) => acked.ackedIndex(id) ?? 0);
  const held = (index: number): number => indexes.filter((other) => other >= index).length;
  return Math.max(0, ...indexes.filter((index) => held(index) * 2 > voters.length));
}

/** By definition: try both outcomes of every missing vote. */
export function naiveVoteResult(
  voters: JointVoters,
  votes: ReadonlyMap<NodeId, boolean>,
): VoteResult {
  const winsWith = (missing: boolean): boolean =>
    [voters.incoming, voters.outgoing].every((half) => {
      const yes = half.filter((id) => votes.get(id) ?? missing).length;
      return half.length === 0 || yes * 2 > half.length;
    });
  if (winsWith(false)) return VOTE_RESULTS.WON;
  return winsWith(true) ? VOTE_RESULTS.PENDING : VOTE_RESULTS.LOST;
}
