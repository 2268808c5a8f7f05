// What services share: registering typed methods, headers as messages, and errors as statuses.

import { hasCode } from '../../base/index.ts';
import { type Server, STATUS, type StatusCode, type UnaryCall } from '../../grpc/index.ts';
import {
  ETCD_ERRORS,
  type EtcdErrorDefinition,
  type EtcdErrorName,
  type etcdserverpb,
  type MethodDescriptor,
} from '../../protocol/index.ts';
import type { MemberCore } from '../core.ts';

/** Answers with etcd's status and text for an error. */
export function failWith(call: UnaryCall, name: EtcdErrorName): void {
  const definition: EtcdErrorDefinition = ETCD_ERRORS[name];
  call.fail((definition.sent ?? definition.status) as StatusCode, definition.message);
}

/** Answers a request that is no message of its type, as grpc-go does. */
export function failMalformed(call: UnaryCall, error: unknown): void {
  if (!hasCode(error, 'MALFORMED') && !hasCode(error, 'NUMBER_TOO_LARGE')) throw error;
  call.fail(STATUS.INTERNAL, `grpc: error unmarshalling request: ${error.message}`);
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

/** Registers a unary method whose request is decoded before its handler sees it. */
export function registerUnary<Request, RequestInit, Response, ResponseInit>(
  server: Server,
  core: MemberCore,
  method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
  handler: (call: UnaryCall, request: Request, bytes: Uint8Array) => void,
): void {
  server.unary(method.path, (call, bytes) => {
    if (lacksRequiredLeader(core, call)) {
      failWith(call, 'NO_LEADER');
      return;
    }
    let request: Request;
    try {
      request = method.request.decode(bytes);
    } catch (error) {
      failMalformed(call, error);
      return;
    }
    handler(call, request, bytes);
  });
}

/** Whether the client demands a leader (`hasleader: true`) and there is none. */
export function lacksRequiredLeader(core: MemberCore, call: Pick<UnaryCall, 'metadata'>): boolean {
  return core.raft.leader === 0n && call.metadata.get('hasleader') === 'true';
}
