// What the client's promises reject with: an EtcdError where etcd has a name for what went wrong
// (`code` is that name, such as 'COMPACTED'), else a GrpcStatusError (`code` is the gRPC status).
// Arguments that make no sense are a TetcdError, INVALID_ARGUMENT; a closed client is CLOSED.

import { ERROR_CODES, TetcdError } from '../base/index.ts';
import { type CallStatus, GrpcStatusError, STATUS, type StatusCode } from '../grpc/index.ts';
import { EtcdError, type EtcdErrorName, etcdErrorOfMessage } from '../protocol/index.ts';

/** A watch asked for a revision that was compacted. */
export class WatchCompactedError extends EtcdError {
  /** The oldest revision that can still be watched. */
  readonly compactRevision: number;

  constructor(compactRevision: number) {
    super('COMPACTED');
    this.compactRevision = compactRevision;
  }
}

/** Go's words for a time limit or a cancellation, ours or the server's: the status says as much. */
const OF_GO: ReadonlySet<EtcdErrorName> = new Set<EtcdErrorName>([
  'CONTEXT_CANCELED',
  'CONTEXT_DEADLINE_EXCEEDED',
]);

/** The error for a status that is not OK. */
export function errorOfStatus(status: Pick<CallStatus, 'code' | 'message'>): Error {
  const name = etcdErrorOfMessage(status.message);
  const error = new GrpcStatusError(status.code, status.message);
  return name === undefined || OF_GO.has(name) ? error : new EtcdError(name, { cause: error });
}

/** gRPC status of an error of this client; UNKNOWN for one that has none. */
export function statusOf(error: unknown): StatusCode {
  if (error instanceof GrpcStatusError) return error.code;
  if (error instanceof EtcdError) {
    return error.cause instanceof GrpcStatusError ? error.cause.code : (error.status as StatusCode);
  }
  return STATUS.UNKNOWN;
}

/** `reason`: why there was no connection, if there was none. */
export function deadlineExceeded(reason?: string): Error {
  const text =
    reason === undefined ? 'context deadline exceeded' : `latest balancer error: ${reason}`;
  return new GrpcStatusError(STATUS.DEADLINE_EXCEEDED, text);
}

export function invalidArgument(text: string): TetcdError {
  return new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
}

export function clientClosed(): TetcdError {
  return new TetcdError(ERROR_CODES.CLOSED, 'the client is closed');
}
