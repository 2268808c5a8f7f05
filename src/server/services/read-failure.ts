// What a client is told of a read that has failed.

import { ERROR_CODES, hasCode, InvariantError } from '../../base/index.ts';
import { STATUS } from '../../grpc/index.ts';
import { EtcdError } from '../../protocol/index.ts';
import { type RpcStatus, statusOfError } from '../../rpc/index.ts';
import { asError, type Logger } from '../telemetry/log.ts';

/**
 * The answer for an error of a read. A page that cannot be read or an answer that finds no memory is
 * logged and costs the client its answer, not the member its life: reads run where nobody else would
 * catch it. Only a mistake of ours is thrown on.
 */
export function readFailure(log: Logger, error: unknown): RpcStatus {
  if (error instanceof EtcdError) return statusOfError(error.code);
  // The view was held for longer than compaction may be held back.
  if (hasCode(error, ERROR_CODES.TIMEOUT)) return statusOfError('TIMEOUT');
  if (error instanceof InvariantError) throw error;
  log.error('a read failed unexpectedly', { error: asError(error) });
  return { status: STATUS.INTERNAL, message: 'internal error' };
}
