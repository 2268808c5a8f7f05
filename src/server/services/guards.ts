// What a member refuses before any handler sees it, in the order in which it is asked.
//
//     learner ──► client's version ──► leader ──► memory ──► request ──► authentication ──► handler

import { STATUS } from '../../grpc/index.ts';
import { ETCD_ERRORS, EtcdError } from '../../protocol/index.ts';
import {
  type Call,
  type Gate,
  type Guard,
  type RpcStatus,
  statusOfError,
} from '../../rpc/index.ts';
import type { Callers, Identity } from '../auth/callers.ts';
import type { OwnMembership } from '../cluster/own-membership.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { StoreView } from '../consensus/store-view.ts';
import type { Quota } from '../duties/quota.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';
import { countingClients } from './client-requests.ts';

/** Error text when the heap is too full for another watcher, stream or lease. */
export const TOO_MUCH_OPEN: string = ETCD_ERRORS.REQUEST_TOO_MANY_REQUESTS.message;

const NOT_FOR_LEARNER = statusOfError('NOT_SUPPORTED_FOR_LEARNER');
const NO_LEADER = statusOfError('NO_LEADER');
const NO_USER = statusOfError('USER_EMPTY');
const NO_MEMORY: RpcStatus = { status: STATUS.RESOURCE_EXHAUSTED, message: TOO_MUCH_OPEN };

export interface GuardParts {
  readonly raft: Pick<RaftState, 'leader'>;
  readonly membership: Pick<OwnMembership, 'isLearner'>;
  readonly quota: Pick<Quota, 'mayGrow'>;
  readonly metrics: Pick<ServerMetrics, 'server'>;
}

/** A new guard gets its place in this list. */
export function memberGuards(parts: GuardParts): readonly Guard[] {
  return [
    forLearner(parts),
    countingClients(parts.metrics),
    forLeader(parts),
    forMemory(parts),
    forRequest,
  ];
}

/** A learner serves only methods with the trait `servedByLearner`. */
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

/** Near the heap limit, methods with the trait `holdsMemory` are refused. */
function forMemory({ quota }: GuardParts): Guard {
  return (_call, { traits }) =>
    traits.holdsMemory === true && !quota.mayGrow() ? NO_MEMORY : undefined;
}

/** Validation of the request alone. */
const forRequest: Guard = (_call, { traits: { check } }, request) => {
  if (check === undefined || request === undefined) return undefined;
  try {
    check(request);
    return undefined;
  } catch (error) {
    if (!(error instanceof EtcdError)) throw error;
    return statusOfError(error.code);
  }
};

export interface AuthGateParts {
  readonly store: StoreView<'auth'>;
  readonly callers: Pick<Callers, 'areAsked' | 'identify'>;
}

/** Authenticates the caller while authentication is on, and records it in the call. */
export function authGate({ store, callers }: AuthGateParts): Gate {
  const decide = (needed: 'token' | 'user' | 'root', identity: Identity) => {
    if (typeof identity === 'string') return statusOfError(identity);
    if (needed === 'user' && identity === undefined && callers.areAsked) return NO_USER;
    const refusal = needed === 'root' ? store.machine.auth.state.adminRefusal(identity) : undefined;
    return refusal && statusOfError(refusal);
  };
  return (call, { traits: { access = 'root' } }, request) => {
    if (!callers.areAsked) return undefined;
    const needed = typeof access === 'string' ? access : access(request);
    if (needed === 'everybody' || needed === 'handler') return undefined;
    const identity = callers.identify(call);
    if (!(identity instanceof Promise)) return decide(needed, identity);
    return identity.then((known) => decide(needed, known));
  };
}

/** Whether the client requires a leader (`hasleader` metadata). */
export function requiresLeader(call: Pick<Call, 'metadata'>): boolean {
  return call.metadata.get('hasleader') === 'true';
}
