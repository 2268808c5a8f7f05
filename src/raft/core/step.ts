// Entry point of messages: first the term decides (a later one makes this node a follower, an earlier
// one is ignored), then the message's type and this node's role.

import { describeMessageType } from '../describe.ts';
import { hexId, NONE } from '../ids.ts';
import { type Message, MessageType } from '../raftpb.ts';
import { wellFormed } from './append-request.ts';
import { answerVoteRequest, describeVote, leaseForbids } from './election.ts';
import { type Raft, ROLES } from './raft.ts';
import { becomeFollower } from './roles.ts';
import { stepCandidate } from './step-candidate.ts';
import { stepFollower } from './step-follower.ts';
import { stepLeader } from './step-leader.ts';
import { STEP_RESULTS, type StepResult } from './step-results.ts';
import { onAppendStored, onAppendStoredInEarlierTerm, onApplied } from './storage-response.ts';

/**
 * Processes one message. Takes over the message, its entries and their bytes: the caller may not change
 * them afterwards.
 */
export function step(raft: Raft, message: Message): StepResult {
  if (!plausible(message)) return STEP_RESULTS.MALFORMED;
  // Proposals, read requests and the like carry no term: they apply to any term.
  if (message.term !== 0) {
    if (message.term > raft.term) {
      if (!enterLaterTerm(raft, message)) return STEP_RESULTS.OK;
    } else if (message.term < raft.term) {
      answerEarlierTerm(raft, message);
      return STEP_RESULTS.OK;
    }
  }
  switch (message.type) {
    case MessageType.MsgStorageAppendResp:
      onAppendStored(raft, message);
      return STEP_RESULTS.OK;
    case MessageType.MsgStorageApplyResp:
      onApplied(raft, message);
      return STEP_RESULTS.OK;
    case MessageType.MsgVote:
    case MessageType.MsgPreVote:
      answerVoteRequest(raft, message);
      return STEP_RESULTS.OK;
    default:
      break;
  }
  switch (raft.role) {
    case ROLES.LEADER:
      return stepLeader(raft, message);
    case ROLES.FOLLOWER:
      return stepFollower(raft, message);
    case ROLES.CANDIDATE:
    case ROLES.PRE_CANDIDATE:
      return stepCandidate(raft, message);
  }
}

/**
 * Whether the message can have been sent by a node that works. The gateway: nothing later checks.
 */
function plausible(message: Message): boolean {
  switch (message.type) {
    case MessageType.MsgProp:
      return message.entries.length > 0;
    case MessageType.MsgReadIndex:
      return message.entries.length === 1;
    case MessageType.MsgApp: {
      const prev = { term: message.logTerm, index: message.index };
      return message.term !== 0 && wellFormed(message.entries, prev, message.term);
    }
    case MessageType.MsgHeartbeat:
    case MessageType.MsgSnap:
      return message.term !== 0;
    case MessageType.MsgVote:
    case MessageType.MsgPreVote:
      return message.term !== 0;
    default:
      return true;
  }
}

/** A later term: this node becomes a follower in it, pre-votes excepted. False to ignore the message. */
function enterLaterTerm(raft: Raft, message: Message): boolean {
  switch (message.type) {
    case MessageType.MsgPreVote:
      if (leaseForbids(raft, message)) return ignoreForLease(raft, message);
      // No node has entered that term yet.
      return true;
    case MessageType.MsgPreVoteResp:
      // A granted one carries the term that we asked about, a rejection the term of its sender.
      if (!message.reject) return true;
      break;
    case MessageType.MsgVote:
      if (leaseForbids(raft, message)) return ignoreForLease(raft, message);
      break;
    default:
      break;
  }
  raft.info(
    () =>
      `${raft.name} [term: ${raft.term}] received a ${describeMessageType(message.type)} message ` +
      `with higher term from ${hexId(message.from)} [term: ${message.term}]`,
  );
  const fromLeader =
    message.type === MessageType.MsgApp ||
    message.type === MessageType.MsgHeartbeat ||
    message.type === MessageType.MsgSnap;
  becomeFollower(raft, message.term, fromLeader ? message.from : NONE);
  return true;
}

function ignoreForLease(raft: Raft, message: Message): false {
  raft.info(
    () =>
      `${describeVote(raft, 'ignored', message)}: lease is not expired ` +
      `(remaining ticks: ${raft.config.electionTicks - raft.electionElapsed})`,
  );
  return false;
}

/** An earlier term: the message is ignored, but some senders get an answer with the current term. */
function answerEarlierTerm(raft: Raft, message: Message): void {
  const { checkQuorum, preVote } = raft.config;
  switch (message.type) {
    case MessageType.MsgApp:
    case MessageType.MsgHeartbeat:
      if (!checkQuorum && !preVote) break;
      // The leader of an earlier term: this node raised its own by campaigning while partitioned.
      // The leader's lease makes the others ignore this node's vote requests, so it would stay
      // stuck; an answer of the later term makes the leader step down. A removed node gets no
      // appends, so this path lets it disrupt nothing.
      raft.send(raft.messageTo(message.from, MessageType.MsgAppResp));
      return;
    case MessageType.MsgPreVote: {
      // Without an answer a group could lock up while it changes over to pre-votes: the candidate
      // with the higher term has the shorter log.
      raft.info(() => describeVote(raft, 'rejected', message));
      const response = raft.messageTo(message.from, MessageType.MsgPreVoteResp);
      response.term = raft.term;
      response.reject = true;
      raft.send(response);
      return;
    }
    case MessageType.MsgStorageAppendResp:
      onAppendStoredInEarlierTerm(raft, message);
      return;
    default:
      break;
  }
  raft.info(
    () =>
      `${raft.name} [term: ${raft.term}] ignored a ${describeMessageType(message.type)} message ` +
      `with lower term from ${hexId(message.from)} [term: ${message.term}]`,
  );
}
