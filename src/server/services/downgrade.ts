// etcdserverpb.Maintenance.Downgrade: whether the cluster may be downgraded, and the begin and the end of it.
//
// ENABLE only opens the way: `cluster/cluster-version.ts` lowers the cluster version,
// `cluster/storage-version.ts` the databases, and the operator replaces one program after the other.

import {
  type ClusterVersion,
  compareVersions,
  downgradeTargetOf,
  formatStoredVersion,
  formatVersion,
  parseTargetVersion,
} from '../../membership/index.ts';
import { ETCD_ERRORS, type EtcdErrorName, etcdserverpb } from '../../protocol/index.ts';
import { failWith, type ServiceTable, type UnaryCall } from '../../rpc/index.ts';
import { logDowngrade, type MembershipLogParts } from '../cluster/publication.ts';
import type { ReadIndexQueue } from '../consensus/read-index-queue.ts';
import type { StoreView } from '../consensus/store-view.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ResponseHeaders } from './response-header.ts';

const { DowngradeAction, MaintenanceService } = etcdserverpb;
const method = MaintenanceService.methods.downgrade;

export interface DowngradeParts extends MembershipLogParts {
  readonly log: Pick<Logger, 'warn'>;
  readonly header: Pick<ResponseHeaders, 'message'>;
  readonly reads: Pick<ReadIndexQueue, 'whenLinearizable'>;
  readonly store: StoreView<'cluster' | 'kv'>;
}

export function registerDowngrade(table: ServiceTable, parts: DowngradeParts): void {
  table.unary(method, (call, request) => void serve(parts, call, request), { access: 'root' });
}

async function serve(
  parts: DowngradeParts,
  call: UnaryCall,
  { action, version }: etcdserverpb.DowngradeRequest,
): Promise<void> {
  const { header, log, store } = parts;
  const outcome = await perform(parts, call, action, version);
  if ('error' in outcome) {
    const { error } = outcome;
    if (action === DowngradeAction.ENABLE) {
      log.warn('reject downgrade request', { error: ETCD_ERRORS[error].message });
    }
    failWith(call, error);
    return;
  }
  call.reply(method.response, {
    header: header.message(store.machine.kv.currentRev),
    version: formatVersion(outcome.version),
  });
}

/** The cluster version, or why the request is refused. */
type Outcome = { readonly version: ClusterVersion } | { readonly error: EtcdErrorName };

async function perform(
  parts: DowngradeParts,
  call: UnaryCall,
  action: number,
  text: string,
): Promise<Outcome> {
  switch (action) {
    case DowngradeAction.VALIDATE:
      return validate(parts, parseTargetVersion(text));
    case DowngradeAction.ENABLE: {
      const target = parseTargetVersion(text);
      const allowed = await validate(parts, target);
      if ('error' in allowed || target === undefined) return allowed;
      return change(parts, call, { enabled: true, ver: formatStoredVersion(target) });
    }
    case DowngradeAction.CANCEL:
      return cancel(parts, call);
    default:
      return { error: 'UNKNOWN_METHOD' };
  }
}

/** In etcd's order. The version is as of the request: a client may wait for it to change. */
async function validate(
  { reads, store }: DowngradeParts,
  target: ClusterVersion | undefined,
): Promise<Outcome> {
  if (target === undefined) return { error: 'WRONG_DOWNGRADE_VERSION_FORMAT' };
  const asked = store.machine.cluster.version;
  if (asked === undefined) return { error: 'CLUSTER_VERSION_UNAVAILABLE' };
  const failure = await reads.whenLinearizable();
  if (failure !== undefined) return { error: failure };
  const { version = asked, downgrade } = store.machine.cluster;
  if (compareVersions(target, downgradeTargetOf(version)) !== 0) {
    return { error: 'INVALID_DOWNGRADE_TARGET_VERSION' };
  }
  return downgrade.enabled ? { error: 'DOWNGRADE_IN_PROCESS' } : { version: asked };
}

/** As in etcd, there need be no downgrade to cancel. */
async function cancel(parts: DowngradeParts, call: UnaryCall): Promise<Outcome> {
  const { log, reads, store } = parts;
  const failure = await reads.whenLinearizable();
  if (failure !== undefined) return { error: failure };
  if (store.machine.cluster.downgrade.enabled) {
    return change(parts, call, { enabled: false, ver: '' });
  }
  log.warn('failed to cancel downgrade', { error: ETCD_ERRORS.NO_INFLIGHT_DOWNGRADE.message });
  return presentVersion(parts);
}

async function change(
  parts: DowngradeParts,
  call: UnaryCall,
  request: { readonly enabled: boolean; readonly ver: string },
): Promise<Outcome> {
  const error = await logDowngrade(parts, call.caller, request);
  return error === undefined ? presentVersion(parts) : { error };
}

function presentVersion({ store }: DowngradeParts): Outcome {
  const { version } = store.machine.cluster;
  return version === undefined ? { error: 'CLUSTER_VERSION_UNAVAILABLE' } : { version };
}
