// Errors of calls as etcdctl words them.

import {
  EtcdError,
  GrpcStatusError,
  STATUS,
  TetcdError,
  WatchCompactedError,
} from '../../client/index.ts';

const GO_CODE_NAMES: readonly string[] = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];

export function errorText(error: unknown): string {
  if (error instanceof WatchCompactedError || error instanceof EtcdError) return error.message;
  if (error instanceof GrpcStatusError) {
    if (error.code === STATUS.DEADLINE_EXCEEDED) return 'context deadline exceeded';
    return `rpc error: code = ${GO_CODE_NAMES[error.code]} desc = ${error.details}`;
  }
  if (error instanceof TetcdError) return error.message;
  return error instanceof Error ? error.message : String(error);
}
