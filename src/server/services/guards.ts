// What a member refuses before any handler sees it. Where authentication and the rest of what decides
// about whole requests stand, too: the order here is the order in which they are asked.
//
//     learner ──► leader ──► memory ──► handler

import { STATUS } from '../../grpc/index.ts';
import { ETCD_ERRORS } from '../../protocol/index.ts';
import { type Call, type Guard, type RpcStatus, statusOfError } from '../../rpc/index.ts';
import type { OwnMembership } from '../cluster/own-membership.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { Quota } from '../duties/quota.ts';

/** What is said where the heap is too full for one more watcher, stream or lease. */
export const TOO_MUCH_OPEN: string = ETCD_ERRORS.REQUEST_TOO_MANY_REQUESTS.message;

const NOT_FOR_LEARNER = statusOfError('NOT_SUPPORTED_FOR_LEARNER');
const NO_LEADER = statusOfError('NO_LEADER');
const NO_MEMORY: RpcStatus = { status: STATUS.RESOURCE_EXHAUSTED, message: TOO_MUCH_OPEN };

export interface GuardParts {
  readonly raft: Pick<RaftState, 'leader'>;
  readonly membership: Pick<OwnMembership, 'isLearner'>;
  readonly quota: Pick<Quota, 'mayGrow'>;
}

/** A new guard gets its place in this list. */
export function memberGuards(parts: GuardParts): readonly Guard[] {
  return [forLearner(parts), forLeader(parts), forMemory(parts)];
}

/** A learner serves next to nothing. */
function forLearner({ membership }: GuardParts): Guard {
  return (_call, { traits: { servedByLearner = false } }, request) => {
    if (!membership.isLearner) return undefined;
    const serves =
      typeof servedByLearner === 'boolean' ? servedByLearner : servedByLearner(request);
    return serves ? undefined : NOT_FOR_LEARNER;
  };
}

function forLeader({ raft }: GuardParts): Guard {
  return (call, { traits }) => {
    if (raft.leader !== 0n || traits.servedWithoutLeader === true) return undefined;
    return requiresLeader(call) ? NO_LEADER : undefined;
  };
}

/** Near the limit of the heap nothing is added that stays. */
function forMemory({ quota }: GuardParts): Guard {
  return (_call, { traits }) =>
    traits.holdsMemory === true && !quota.mayGrow() ? NO_MEMORY : undefined;
}

/** Whether the client would rather be refused than wait for a leader. */
export function requiresLeader(call: Pick<Call, 'metadata'>): boolean {
  return call.metadata.get('hasleader') === 'true';
}
