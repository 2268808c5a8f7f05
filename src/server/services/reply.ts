// What services share: registering typed methods, headers as messages, and errors as statuses.

import { hasCode, InvariantError } from '../../base/index.ts';
import {
  type Server,
  STATUS,
  type StatusCode,
  type StreamCall,
  type UnaryCall,
} from '../../grpc/index.ts';
import {
  ETCD_ERRORS,
  EtcdError,
  type EtcdErrorDefinition,
  type EtcdErrorName,
  type etcdserverpb,
  type MethodDescriptor,
  wasPlain,
} from '../../protocol/index.ts';
import type { MemberCore } from '../core.ts';
import { asError } from '../telemetry/log.ts';

/** Answers with etcd's status and text for an error. */
export function failWith(call: UnaryCall, name: EtcdErrorName): void {
  const definition: EtcdErrorDefinition = ETCD_ERRORS[name];
  call.fail((definition.sent ?? definition.status) as StatusCode, definition.message);
}

/** Answers a request that is no message of its type, as grpc-go does. */
export function failMalformed(call: UnaryCall, error: unknown): void {
  call.fail(STATUS.INTERNAL, `grpc: error unmarshalling request: ${malformation(error)}`);
}

/** {@link failMalformed} for a stream; its handler lets go of what it holds. */
export function endMalformed(call: StreamCall, error: unknown): void {
  call.end(
    STATUS.INTERNAL,
    `grpc: failed to unmarshal the received message: ${malformation(error)}`,
  );
}

function malformation(error: unknown): string {
  if (!hasCode(error, 'MALFORMED') && !hasCode(error, 'NUMBER_TOO_LARGE')) throw error;
  return error.message;
}

/** How a read that failed is to be answered. */
export interface ReadFailure {
  readonly status: StatusCode;
  readonly message: string;
}

/**
 * The answer for an error of a read. A page that cannot be read or an answer that finds no memory is
 * logged and costs the client its answer, not the member its life: reads run where nobody else would
 * catch it. Only a mistake of ours is thrown on.
 */
export function readFailure(core: Pick<MemberCore, 'log'>, error: unknown): ReadFailure {
  if (error instanceof EtcdError) return statusOf(error.code);
  // The view was held for longer than compaction may be held back.
  if (hasCode(error, 'TIMEOUT')) return statusOf('TIMEOUT');
  if (error instanceof InvariantError) throw error;
  core.log.error('a read failed unexpectedly', { error: asError(error) });
  return { status: STATUS.INTERNAL, message: 'internal error' };
}

function statusOf(name: EtcdErrorName): ReadFailure {
  const { status, sent, message }: EtcdErrorDefinition = ETCD_ERRORS[name];
  return { status: (sent ?? status) as StatusCode, message };
}

/** Ends a stream with etcd's status and text for an error. */
export function endWith(call: StreamCall, name: EtcdErrorName): void {
  const definition: EtcdErrorDefinition = ETCD_ERRORS[name];
  call.end((definition.sent ?? definition.status) as StatusCode, definition.message);
}

/** The header as a message, for answers that are not worth a hand-written encoder. */
export function headerOf(core: MemberCore): etcdserverpb.ResponseHeader {
  return {
    clusterId: core.clusterId,
    memberId: core.memberId,
    revision: core.machine.kv.currentRev,
    raftTerm: core.raft.term,
  };
}

/**
 * Registers a unary method whose request is decoded before its handler sees it. The handler gets it as
 * bytes too, for the log: the client's own, or, where some release would refuse them or read something
 * else, what was understood of them.
 */
export function registerUnary<Request, RequestInit, Response, ResponseInit>(
  server: Server,
  core: MemberCore,
  method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
  handler: (call: UnaryCall, request: Request, bytes: Uint8Array) => void,
  servedByLearner?: (request: Request) => boolean,
): void {
  server.unary(method.path, (call, bytes) => {
    let request: Request;
    try {
      request = method.request.decodeRequest(bytes);
    } catch (error) {
      failMalformed(call, error);
      return;
    }
    const logged = wasPlain() ? bytes : method.request.encode(request);
    const refusal = refusalOf(core, call, servedByLearner?.(request) === true);
    if (refusal === undefined) handler(call, request, logged);
    else failWith(call, refusal);
  });
}

/** Why this member does not serve the call now. A learner serves next to nothing. */
export function refusalOf(
  core: MemberCore,
  call: Pick<UnaryCall, 'metadata'>,
  servedByLearner: boolean,
): EtcdErrorName | undefined {
  if (core.isLearner && !servedByLearner) return 'NOT_SUPPORTED_FOR_LEARNER';
  return core.raft.leader === 0n && requiresLeader(call) ? 'NO_LEADER' : undefined;
}

/** What is said where the heap is too full for one more watcher, stream or lease. */
export const TOO_MUCH_OPEN: string = ETCD_ERRORS.REQUEST_TOO_MANY_REQUESTS.message;

/** Ends a stream that this member does not serve now; it would take memory as long as it is open. */
export function refusesStream(
  core: MemberCore,
  call: StreamCall,
  servedByLearner: boolean,
): boolean {
  if (!core.quota.mayGrow()) {
    call.end(STATUS.RESOURCE_EXHAUSTED, TOO_MUCH_OPEN);
    return true;
  }
  const refusal = refusalOf(core, call, servedByLearner);
  if (refusal !== undefined) endWith(call, refusal);
  return refusal !== undefined;
}

/** Whether the client would rather be refused than wait for a leader. */
export function requiresLeader(call: Pick<UnaryCall, 'metadata'>): boolean {
  return call.metadata.get('hasleader') === 'true';
}
