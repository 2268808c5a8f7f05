// gRPC statuses for etcd's errors and for malformed requests.

import { ERROR_CODES, hasCode } from '../base/index.ts';
import { STATUS, type StatusCode, statusName } from '../grpc/index.ts';
import { ETCD_ERRORS, type EtcdErrorDefinition, type EtcdErrorName } from '../protocol/index.ts';
import type { StreamCall, UnaryCall } from './call.ts';

/** A status other than OK, and its message. */
export interface RpcStatus {
  readonly status: StatusCode;
  readonly message: string;
}

/** The status as Go prints it as an error. */
export function textOfStatus({ status, message }: RpcStatus): string {
  return `rpc error: code = ${statusName(status)} desc = ${message}`;
}

/** The status and text that etcd sends for an error. */
export function statusOfError(name: EtcdErrorName): RpcStatus {
  const { status, sent, message }: EtcdErrorDefinition = ETCD_ERRORS[name];
  return { status: (sent ?? status) as StatusCode, message };
}

/** Answers with etcd's status and text for an error. */
export function failWith(call: UnaryCall, name: EtcdErrorName): void {
  const { status, message } = statusOfError(name);
  call.fail(status, message);
}

/** Ends a stream with etcd's status and text for an error. */
export function endWith(call: StreamCall, name: EtcdErrorName): void {
  const { status, message } = statusOfError(name);
  call.end(status, message);
}

/** Answers a malformed request as grpc-go does; any other error is thrown on. */
export function failMalformed(call: UnaryCall, error: unknown): void {
  call.fail(STATUS.INTERNAL, `grpc: error unmarshalling request: ${malformation(error)}`);
}

/** {@link failMalformed} for a stream; its handler releases what it holds. */
export function endMalformed(call: StreamCall, error: unknown): void {
  call.endUnreadable(`grpc: failed to unmarshal the received message: ${malformation(error)}`);
}

function malformation(error: unknown): string {
  if (!hasCode(error, ERROR_CODES.MALFORMED) && !hasCode(error, ERROR_CODES.NUMBER_TOO_LARGE))
    throw error;
  return error.message;
}
