import { hexId } from '../ids.ts';
import { type Message, MessageType } from '../raftpb.ts';
import { answerAppend, answerHeartbeat } from './append-request.ts';
import { countVote } from './election.ts';
import { type Raft, ROLES } from './raft.ts';
import { becomeFollower } from './roles.ts';
import { answerSnapshot } from './snapshot-request.ts';
import { STEP_RESULTS, type StepResult } from './step-results.ts';

/** Candidates and pre-candidates alike; they differ in the kind of vote they count. */
export function stepCandidate(raft: Raft, message: Message): StepResult {
  switch (message.type) {
    case MessageType.MsgProp:
      raft.info(() => `${raft.name} no leader at term ${raft.term}; dropping proposal`);
      return STEP_RESULTS.PROPOSAL_DROPPED;
    // Another node has won the election of this term.
    case MessageType.MsgApp:
      becomeFollower(raft, message.term, message.from);
      answerAppend(raft, message);
      break;
    case MessageType.MsgHeartbeat:
      becomeFollower(raft, message.term, message.from);
      answerHeartbeat(raft, message);
      break;
    case MessageType.MsgSnap:
      becomeFollower(raft, message.term, message.from);
      answerSnapshot(raft, message);
      break;
    // A late pre-vote must not count as a vote, nor the other way round.
    case MessageType.MsgPreVoteResp:
      if (raft.role === ROLES.PRE_CANDIDATE) countVote(raft, message);
      break;
    case MessageType.MsgVoteResp:
      if (raft.role === ROLES.CANDIDATE) countVote(raft, message);
      break;
    case MessageType.MsgTimeoutNow:
      raft.debug(
        () =>
          `${raft.name} [term ${raft.term} state ${raft.role}] ` +
          `ignored MsgTimeoutNow from ${hexId(message.from)}`,
      );
      break;
    default:
      break;
  }
  return STEP_RESULTS.OK;
}
