import { hexId } from '../ids.ts';
import { type Message, MessageType } from '../raftpb.ts';
import { onAppendResponse, onHeartbeatResponse } from './append-response.ts';
import { proposeAsLeader } from './proposal.ts';
import type { Raft } from './raft.ts';
import { onReadRequest } from './reads.ts';
import { STEP_RESULTS, type StepResult } from './step-results.ts';
import { beginTransfer } from './transfer.ts';

export function stepLeader(raft: Raft, message: Message): StepResult {
  switch (message.type) {
    case MessageType.MsgProp:
      return proposeAsLeader(raft, message.entries);
    case MessageType.MsgReadIndex:
      onReadRequest(raft, message);
      return STEP_RESULTS.OK;
    case MessageType.MsgForgetLeader:
      return STEP_RESULTS.OK;
    default:
      return stepFromMember(raft, message);
  }
}

/** What counts only if it comes from a member, or is about one. */
function stepFromMember(raft: Raft, message: Message): StepResult {
  const progress = raft.tracker.progress(message.from);
  if (progress === undefined) {
    raft.debug(() => `${raft.name} no progress available for ${hexId(message.from)}`);
    return STEP_RESULTS.OK;
  }
  switch (message.type) {
    case MessageType.MsgAppResp:
      // Within a term the leader's log only grows: no follower can have an entry beyond it.
      if (message.index > raft.log.lastIndex()) return STEP_RESULTS.MALFORMED;
      onAppendResponse(raft, message, progress);
      break;
    case MessageType.MsgHeartbeatResp:
      onHeartbeatResponse(raft, message, progress);
      break;
    case MessageType.MsgTransferLeader:
      beginTransfer(raft, message.from, progress);
      break;
    default:
      break;
  }
  return STEP_RESULTS.OK;
}
