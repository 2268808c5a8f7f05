// Decisions by majority of one set of voters: the committed index, the result of a vote.
//
// An empty set agrees to everything. That makes a joint configuration whose second half is empty
// behave like its first half alone.

import { invariant, type LogIndex } from '../../base/index.ts';
import { hexId, type NodeId } from '../ids.ts';
import type { IdSet } from './id-set.ts';

/** What each voter has acknowledged. */
export interface AckedIndexes {
  /** Highest index that voter `id` is known to hold; undefined if it has not reported at all. */
  ackedIndex(id: NodeId): LogIndex | undefined;
}

export const VOTE_RESULTS = {
  /** Neither side has its quorum yet. */
  PENDING: 'VotePending',
  /** A quorum of yes cannot be reached any more. */
  LOST: 'VoteLost',
  /** A quorum has voted yes. */
  WON: 'VoteWon',
} as const;

export type VoteResult = (typeof VOTE_RESULTS)[keyof typeof VOTE_RESULTS];

// Reused by every call: called once per acknowledgement, never re-entered. It keeps the length of
// the largest group seen.
const scratch: number[] = [];

/**
 * The highest index that more than half of `voters` have acknowledged; a voter that has not
 * reported counts as 0. Infinity for no voters.
 */
export function majorityCommittedIndex(voters: IdSet, acked: AckedIndexes): LogIndex {
  const count = voters.length;
  if (count === 0) return Number.POSITIVE_INFINITY;
  for (let i = 0; i < count; i++) {
    // Insertion sort, ascending, over the first i places.
    const index = acked.ackedIndex(voters[i]!) ?? 0;
    let at = i;
    for (; at > 0 && scratch[at - 1]! > index; at--) scratch[at] = scratch[at - 1]!;
    scratch[at] = index;
  }
  // At this place and right of it stand floor(count / 2) + 1 voters: the smallest majority.
  return scratch[count - (Math.floor(count / 2) + 1)]!;
}

/** `votes` holds those who have voted, true for yes; other ids than voters do not count. */
export function majorityVoteResult(voters: IdSet, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  if (voters.length === 0) return VOTE_RESULTS.WON;
  let yes = 0;
  let missing = 0;
  for (const id of voters) {
    const vote = votes.get(id);
    if (vote === undefined) missing++;
    else if (vote) yes++;
  }
  const quorum = Math.floor(voters.length / 2) + 1;
  invariant(yes + missing <= voters.length, 'a voter votes once');
  invariant(quorum * 2 > voters.length, 'two quorums have a voter in common');
  if (yes >= quorum) return VOTE_RESULTS.WON;
  return yes + missing >= quorum ? VOTE_RESULTS.PENDING : VOTE_RESULTS.LOST;
}

/** `∞` for the index that an empty configuration commits. */
export function describeIndex(index: LogIndex): string {
  return index === Number.POSITIVE_INFINITY ? '∞' : String(index);
}

/**
 * One line per voter in the order of ids, with a bar that is longer the higher the acknowledged
 * index ranks among the others. For example, with voter 1 at 100, voter 2 at 101, voter 3 silent:
 *
 * ```text
 *        idx
 * x>     100    (id=1)
 * xx>    101    (id=2)
 * ?        0    (id=3)
 * ```
 */
export function describeAcked(voters: IdSet, acked: AckedIndexes): string {
  if (voters.length === 0) return '<empty majority quorum>';
  const count = voters.length;
  const indexes = voters.map((id) => acked.ackedIndex(id));
  const ascending = indexes.map((index) => index ?? 0).sort((a, b) => a - b);
  let text = `${' '.repeat(count)}    idx\n`;
  voters.forEach((id, i) => {
    const index = indexes[i];
    // Equal indexes get equal bars: the number of strictly smaller ones.
    const bar = ascending.indexOf(index ?? 0);
    text +=
      index === undefined
        ? `?${' '.repeat(count)}`
        : `${'x'.repeat(bar)}>${' '.repeat(count - bar)}`;
    text += ` ${String(index ?? 0).padStart(5)}    (id=${hexId(id)})\n`;
  });
  return text;
}
