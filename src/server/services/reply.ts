// What services share: headers as messages, and failed reads as statuses.

import { ERROR_CODES, hasCode, InvariantError } from '../../base/index.ts';
import { STATUS } from '../../grpc/index.ts';
import { EtcdError, type etcdserverpb } from '../../protocol/index.ts';
import { type RpcStatus, statusOf } from '../../rpc/index.ts';
import type { MemberCore } from '../core.ts';
import { asError } from '../telemetry/log.ts';

/**
 * The answer for an error of a read. A page that cannot be read or an answer that finds no memory is
 * logged and costs the client its answer, not the member its life: reads run where nobody else would
 * catch it. Only a mistake of ours is thrown on.
 */
export function readFailure(core: Pick<MemberCore, 'log'>, error: unknown): RpcStatus {
  if (error instanceof EtcdError) return statusOf(error.code);
  // The view was held for longer than compaction may be held back.
  if (hasCode(error, ERROR_CODES.TIMEOUT)) return statusOf('TIMEOUT');
  if (error instanceof InvariantError) throw error;
  core.log.error('a read failed unexpectedly', { error: asError(error) });
  return { status: STATUS.INTERNAL, message: 'internal error' };
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
