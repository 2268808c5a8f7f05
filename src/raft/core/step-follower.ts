import { READ_ONLY_MODES } from '../config.ts';
import { hexId, NONE } from '../ids.ts';
import { type Message, MessageType } from '../raftpb.ts';
import { answerAppend, answerHeartbeat } from './append-request.ts';
import { CAMPAIGNS, maybeCampaign } from './election.ts';
import type { Raft } from './raft.ts';
import { onReadResponse } from './reads.ts';
import { answerSnapshot } from './snapshot-request.ts';
import { STEP_RESULTS, type StepResult } from './step-results.ts';

export function stepFollower(raft: Raft, message: Message): StepResult {
  switch (message.type) {
    case MessageType.MsgProp:
      return forwardProposal(raft, message);
    case MessageType.MsgApp:
      heardFromLeader(raft, message);
      answerAppend(raft, message);
      break;
    case MessageType.MsgHeartbeat:
      heardFromLeader(raft, message);
      answerHeartbeat(raft, message);
      break;
    case MessageType.MsgSnap:
      heardFromLeader(raft, message);
      answerSnapshot(raft, message);
      break;
    case MessageType.MsgTransferLeader:
      forward(raft, message, 'leader transfer');
      break;
    case MessageType.MsgReadIndex:
      forward(raft, message, 'index reading');
      break;
    case MessageType.MsgReadIndexResp:
      onReadResponse(raft, message);
      break;
    case MessageType.MsgForgetLeader:
      forgetLeader(raft);
      break;
    case MessageType.MsgTimeoutNow:
      raft.info(
        () =>
          `${raft.name} [term ${raft.term}] received MsgTimeoutNow from ${hexId(message.from)} ` +
          'and starts an election to get leadership.',
      );
      // No pre-vote: the leader itself asked for this election.
      maybeCampaign(raft, CAMPAIGNS.TRANSFER);
      break;
    default:
      break;
  }
  return STEP_RESULTS.OK;
}

function heardFromLeader(raft: Raft, message: Message): void {
  raft.electionElapsed = 0;
  raft.lead = message.from;
}

function forwardProposal(raft: Raft, message: Message): StepResult {
  if (raft.lead === NONE) {
    raft.info(() => `${raft.name} no leader at term ${raft.term}; dropping proposal`);
    return STEP_RESULTS.PROPOSAL_DROPPED;
  }
  if (raft.config.disableProposalForwarding) {
    raft.info(
      () =>
        `${raft.name} not forwarding to leader ${hexId(raft.lead)} at term ${raft.term}; ` +
        'dropping proposal',
    );
    return STEP_RESULTS.PROPOSAL_DROPPED;
  }
  raft.send({ ...message, to: raft.lead });
  return STEP_RESULTS.OK;
}

function forward(raft: Raft, message: Message, what: string): void {
  if (raft.lead === NONE) {
    raft.info(() => `${raft.name} no leader at term ${raft.term}; dropping ${what} msg`);
    return;
  }
  raft.send({ ...message, to: raft.lead, term: 0 });
}

/** Clears the known leader: this node may then grant a vote in the same term if it has cast none. */
function forgetLeader(raft: Raft): void {
  if (raft.config.readOnlyMode === READ_ONLY_MODES.LEASE_BASED) {
    // The leader's read lease relies on followers not voting for another candidate.
    raft.error(() => 'ignoring MsgForgetLeader due to ReadOnlyLeaseBased');
    return;
  }
  if (raft.lead === NONE) return;
  raft.info(() => `${raft.name} forgetting leader ${hexId(raft.lead)} at term ${raft.term}`);
  raft.lead = NONE;
}
