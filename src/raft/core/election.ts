// Elections: campaigning, requesting votes, granting them, counting them.

import { bytesFromUtf8, equalBytes, fail, invariant } from '../../base/index.ts';
import { describeMessageType } from '../describe.ts';
import { hexId, NONE } from '../ids.ts';
import { jointIds, VOTE_RESULTS } from '../quorum/index.ts';
import { type Message, MessageType } from '../raftpb.ts';
import { type Raft, ROLES } from './raft.ts';
import { broadcastAppends } from './replication.ts';
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate } from './roles.ts';

export const CAMPAIGNS = {
  /** A pre-vote: whether an election could be won, without a new term. */
  PRE_ELECTION: 'CampaignPreElection',
  ELECTION: 'CampaignElection',
  /** Leadership transfer, asked for by the old leader: voters disregard its lease. */
  TRANSFER: 'CampaignTransfer',
} as const;

type Campaign = (typeof CAMPAIGNS)[keyof typeof CAMPAIGNS];

const TRANSFER_CONTEXT = bytesFromUtf8(CAMPAIGNS.TRANSFER);

/**
 * Whether this node may become leader: a voter in its own configuration, no snapshot in between.
 */
export function promotable(raft: Raft): boolean {
  const own = raft.ownProgress();
  return own !== undefined && !own.isLearner && !raft.log.hasPendingSnapshot();
}

/** Stands for election in the configured way. */
export function standForElection(raft: Raft): void {
  maybeCampaign(raft, raft.config.preVote ? CAMPAIGNS.PRE_ELECTION : CAMPAIGNS.ELECTION);
}

/** Campaigns unless this node leads already, may not lead, or has a membership change to apply. */
export function maybeCampaign(raft: Raft, campaign: Campaign): void {
  if (raft.role === ROLES.LEADER) {
    raft.debug(() => `${raft.name} ignoring MsgHup because already leader`);
    return;
  }
  if (!promotable(raft)) {
    raft.warn(() => `${raft.name} is unpromotable and can not campaign`);
    return;
  }
  if (raft.log.hasUnappliedConfChange()) {
    raft.warn(
      () =>
        `${raft.name} cannot campaign at term ${raft.term} since there are still ` +
        'pending configuration changes to apply',
    );
    return;
  }
  raft.info(() => `${raft.name} is starting a new election at term ${raft.term}`);
  runCampaign(raft, campaign);
}

function runCampaign(raft: Raft, campaign: Campaign): void {
  const asksFirst = campaign === CAMPAIGNS.PRE_ELECTION;
  if (asksFirst) becomePreCandidate(raft);
  else becomeCandidate(raft);
  // A pre-vote is about the term that the election would have.
  const term = asksFirst ? raft.term + 1 : raft.term;
  invariant(asksFirst || raft.vote === raft.id, 'a candidate votes for itself');
  invariant(raft.lead === NONE, 'a candidate follows no leader');
  const type = asksFirst ? MessageType.MsgPreVote : MessageType.MsgVote;
  const last = raft.log.lastEntryId();
  for (const id of jointIds(raft.tracker.config.voters)) {
    if (id === raft.id) {
      // A node's vote for itself counts once it is synced: this response is delivered to it then.
      const own = raft.messageTo(id, responseType(type));
      own.term = term;
      raft.send(own);
      continue;
    }
    raft.info(
      () =>
        `${raft.name} [logterm: ${last.term}, index: ${last.index}] sent ` +
        `${describeMessageType(type)} request to ${hexId(id)} at term ${raft.term}`,
    );
    const request = raft.messageTo(id, type);
    request.term = term;
    request.index = last.index;
    request.logTerm = last.term;
    if (campaign === CAMPAIGNS.TRANSFER) request.context = TRANSFER_CONTEXT;
    raft.send(request);
  }
}

/**
 * Whether the current leader's lease makes this node ignore a vote request of a later term: a message
 * of the leader arrived within the election timeout (CheckQuorum; thesis, section 4.2.3).
 */
export function leaseForbids(raft: Raft, request: Message): boolean {
  if (equalBytes(request.context, TRANSFER_CONTEXT)) return false;
  return (
    raft.config.checkQuorum &&
    raft.lead !== NONE &&
    raft.electionElapsed < raft.config.electionTicks
  );
}

/**
 * Such as `1 [logterm: 1, index: 10, vote: 0] cast MsgVote from 2 [logterm: 1, index: 11] at term
 * 1`.
 */
export function describeVote(raft: Raft, verb: string, request: Message): string {
  const last = raft.log.lastEntryId();
  const type = describeMessageType(request.type);
  const preposition = verb === 'cast' ? 'for' : 'from';
  return (
    `${raft.name} [logterm: ${last.term}, index: ${last.index}, vote: ${hexId(raft.vote)}] ` +
    `${verb} ${type} ${preposition} ${hexId(request.from)} ` +
    `[logterm: ${request.logTerm}, index: ${request.index}] at term ${raft.term}`
  );
}

/** Answers MsgVote and MsgPreVote of the current term, or a pre-vote of a later one. */
export function answerVoteRequest(raft: Raft, request: Message): void {
  const canVote =
    // It is a repetition,
    raft.vote === request.from ||
    // or this node has not voted and knows no leader,
    (raft.vote === NONE && raft.lead === NONE) ||
    // or it commits to nothing.
    (request.type === MessageType.MsgPreVote && request.term > raft.term);
  const theirs = { term: request.logTerm, index: request.index };
  const response = raft.messageTo(request.from, responseType(request.type));
  // A learner votes too. It may be a voter by now: the entry that promotes it can be committed before
  // it arrives here, and then the group may need this vote to elect the leader that sends the entry.
  if (canVote && raft.log.isUpToDate(theirs)) {
    raft.info(() => describeVote(raft, 'cast', request));
    // The term of the request: a pre-candidate behind us would ignore the answer otherwise.
    response.term = request.term;
    raft.send(response);
    if (request.type === MessageType.MsgVote) {
      invariant(request.term === raft.term, 'a vote is given in its own term');
      invariant(raft.vote === NONE || raft.vote === request.from, 'one vote per term');
      raft.electionElapsed = 0;
      raft.vote = request.from;
    }
  } else {
    raft.info(() => describeVote(raft, 'rejected', request));
    response.term = raft.term;
    response.reject = true;
    raft.send(response);
  }
}

/** A candidate, or pre-candidate, counts an answer to its own request. */
export function countVote(raft: Raft, response: Message): void {
  const type = describeMessageType(response.type);
  raft.info(
    () =>
      `${raft.name} received ${type}${response.reject ? ' rejection' : ''} ` +
      `from ${hexId(response.from)} at term ${raft.term}`,
  );
  invariant(
    raft.role === ROLES.CANDIDATE || raft.role === ROLES.PRE_CANDIDATE,
    'votes are counted by a candidate',
  );
  raft.tracker.recordVote(response.from, !response.reject);
  const tally = raft.tracker.tallyVotes();
  raft.info(
    () =>
      `${raft.name} has received ${tally.granted} ${type} votes ` +
      `and ${tally.rejected} vote rejections`,
  );
  switch (tally.result) {
    case VOTE_RESULTS.WON:
      if (raft.role === ROLES.PRE_CANDIDATE) {
        runCampaign(raft, CAMPAIGNS.ELECTION);
      } else {
        becomeLeader(raft);
        broadcastAppends(raft);
      }
      break;
    case VOTE_RESULTS.LOST:
      becomeFollower(raft, raft.term, NONE);
      break;
    case VOTE_RESULTS.PENDING:
      break;
  }
}

function responseType(type: number): number {
  switch (type) {
    case MessageType.MsgVote:
      return MessageType.MsgVoteResp;
    case MessageType.MsgPreVote:
      return MessageType.MsgPreVoteResp;
    default:
      return fail('not a vote message');
  }
}
