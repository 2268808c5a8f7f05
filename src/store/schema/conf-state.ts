// Raft's ConfState as the meta bucket has it: JSON with the ids as exact numbers.
//
//     {"voters":[10501334649042878790],"auto_leave":false}
//
// Releases 3.5 and 3.6 always write `auto_leave`, 3.7 leaves it out when unset; all read both.

import { bytesFromUtf8 } from '../../base/index.ts';
import type { Member } from '../../membership/index.ts';
import type { raftpb } from '../../protocol/index.ts';

type ConfState = raftpb.ConfState;

function idList(ids: readonly bigint[]): string {
  return `[${ids.join(',')}]`;
}

export function encodeConfState(state: ConfState): Uint8Array {
  const fields: string[] = [];
  if (state.voters.length > 0) fields.push(`"voters":${idList(state.voters)}`);
  if (state.learners.length > 0) fields.push(`"learners":${idList(state.learners)}`);
  if (state.votersOutgoing.length > 0) {
    fields.push(`"voters_outgoing":${idList(state.votersOutgoing)}`);
  }
  if (state.learnersNext.length > 0) fields.push(`"learners_next":${idList(state.learnersNext)}`);
  fields.push(`"auto_leave":${state.autoLeave === true}`);
  return bytesFromUtf8(`{${fields.join(',')}}`);
}

/** The configuration that a cluster of these members has: etcd makes simple changes only. */
export function confStateOfMembers(members: readonly Member[]): ConfState {
  return {
    voters: members.filter((member) => !member.isLearner).map((member) => member.id),
    learners: members.filter((member) => member.isLearner).map((member) => member.id),
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
}
