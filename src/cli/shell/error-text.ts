// Errors of calls as etcdctl words them.

import {
  EtcdError,
  GrpcStatusError,
  STATUS,
  statusName,
  TetcdError,
  WatchCompactedError,
} from '../../client/index.ts';

export function errorText(error: unknown): string {
  if (error instanceof WatchCompactedError || error instanceof EtcdError) return error.message;
  if (error instanceof GrpcStatusError) {
    if (error.code === STATUS.DEADLINE_EXCEEDED) return 'context deadline exceeded';
    return `rpc error: code = ${statusName(error.code)} desc = ${error.details}`;
  }
  if (error instanceof TetcdError) return error.message;
  return error instanceof Error ? error.message : String(error);
}
