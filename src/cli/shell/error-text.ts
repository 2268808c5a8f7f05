// Errors of calls as etcdctl words them.

import {
  EtcdError,
  GrpcStatusError,
  STATUS,
  statusName,
  WatchCompactedError,
} from '../../client/index.ts';
import { messageOf } from './exit.ts';

export function errorText(error: unknown): string {
  if (error instanceof WatchCompactedError || error instanceof EtcdError) return error.message;
  if (error instanceof GrpcStatusError) {
    if (error.code === STATUS.DEADLINE_EXCEEDED) return 'context deadline exceeded';
    return `rpc error: code = ${statusName(error.code)} desc = ${error.details}`;
  }
  return messageOf(error);
}
