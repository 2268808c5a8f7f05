// Maintenance.Defragment: rewrites the database without free pages, one at a time. The member serves
// during it; with the feature gate StopGRPCServiceOnDefrag its health is NOT_SERVING.

import { ERROR_CODES, hasCode, TetcdError } from '../../base/index.ts';
import { STATUS } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { ServiceTable, UnaryCall } from '../../rpc/index.ts';
import { type DefragmentParts, defragmentBackend } from '../boot/defragment-backend.ts';
import type { ServerConfig } from '../config/index.ts';
import type { StateMachineOwner } from '../consensus/state-machine-owner.ts';
import { asError } from '../telemetry/log.ts';
import type { ServingState } from './health.ts';

const method = etcdserverpb.MaintenanceService.methods.defragment;

export interface DefragmentServiceParts extends DefragmentParts {
  readonly config: Pick<ServerConfig, 'featureGates'>;
  readonly serving: Pick<ServingState, 'start' | 'stop'>;
  readonly store: Pick<StateMachineOwner, 'machine'>;
}

export function registerDefragment(table: ServiceTable, parts: DefragmentServiceParts): void {
  let isUnderWay = false;
  const run = async (call: UnaryCall): Promise<void> => {
    if (isUnderWay) {
      const text = 'a defragmentation of this member is under way';
      call.fail(STATUS.FAILED_PRECONDITION, text);
      return;
    }
    isUnderWay = true;
    try {
      await defragmentMember(parts);
      call.reply(method.response, { header: undefined });
    } catch (error) {
      call.fail(statusOf(error), error instanceof Error ? error.message : String(error));
    } finally {
      isUnderWay = false;
    }
  };
  // The client may time out before it ends, as etcd's own client does after five seconds.
  table.unary(method, (call) => void run(call), { access: 'root' });
}

async function defragmentMember(parts: DefragmentServiceParts): Promise<void> {
  const { config, log, serving, store } = parts;
  log.info('starting defragment');
  if (config.featureGates.enabled.StopGRPCServiceOnDefrag) serving.stop('defrag is active');
  try {
    await defragmentBackend(parts, store.machine.backend);
    log.info('finished defragment');
  } catch (error) {
    log.warn('failed to defragment', { error: asError(error) });
    throw error;
  } finally {
    serving.start();
  }
}

function statusOf(error: unknown) {
  if (!(error instanceof TetcdError)) return STATUS.UNKNOWN;
  if (hasCode(error, ERROR_CODES.DISK_FULL)) return STATUS.RESOURCE_EXHAUSTED;
  if (hasCode(error, ERROR_CODES.LIMIT_EXCEEDED)) return STATUS.RESOURCE_EXHAUSTED;
  if (hasCode(error, ERROR_CODES.CLOSED)) return STATUS.UNAVAILABLE;
  return STATUS.UNKNOWN;
}
