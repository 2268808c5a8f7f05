// Statuses of failed reads.

import { ERROR_CODES, hasCode, InvariantError } from '../../base/index.ts';
import { STATUS } from '../../grpc/index.ts';
import { EtcdError } from '../../protocol/index.ts';
import { type RpcStatus, statusOfError } from '../../rpc/index.ts';
import { asError, type Logger } from '../telemetry/log.ts';

/**
 * The status for an error of a read. An unreadable page or a failed allocation is logged and fails the
 * call, but does not stop the member. Only an InvariantError is thrown on.
 */
export function readFailure(log: Logger, error: unknown): RpcStatus {
  if (error instanceof EtcdError) return statusOfError(error.code);
  // The view was held longer than PIN_MS_MAX.
  if (hasCode(error, ERROR_CODES.TIMEOUT)) return statusOfError('TIMEOUT');
  if (error instanceof InvariantError) throw error;
  log.error('a read failed unexpectedly', { error: asError(error) });
  return { status: STATUS.INTERNAL, message: 'internal error' };
}
