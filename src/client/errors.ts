// The errors of the client: an EtcdError where etcd has a name for the failure (`code` is that name, such
// as 'COMPACTED'), else a GrpcStatusError (`code` is the gRPC status). Invalid arguments are a TetcdError,
// INVALID_ARGUMENT; a closed client is CLOSED.

import { ERROR_CODES, TetcdError } from '../base/index.ts';
import { type CallStatus, GrpcStatusError, STATUS, type StatusCode } from '../grpc/index.ts';
import { EtcdError, type EtcdErrorName, etcdErrorOfMessage } from '../protocol/index.ts';

/** The start revision of a watch, or the revision to continue at, is compacted. */
export class WatchCompactedError extends EtcdError {
  /** The oldest revision that can still be watched. */
  readonly compactRevision: number;

  constructor(compactRevision: number) {
    super('COMPACTED');
    this.compactRevision = compactRevision;
  }
}

/** Go's texts for timeouts and cancellations: reported by their gRPC status, not as an EtcdError. */
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
