// Brings what the parts of a member know into the metrics page, at each scrape.

import type { MethodStats, Server } from '../../grpc/index.ts';
import { formatId, formatVersion, SERVER_RELEASE } from '../../membership/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { MethodKind, ServiceTable } from '../../rpc/index.ts';
import { FEATURE_GATES, type FeatureGateName } from '../config/index.ts';
import type { MemberCore } from '../core.ts';
import { alarmName } from '../services/maintenance.ts';
import type { Metrics } from './metrics.ts';
import type { GrpcMethodMetrics } from './metrics-grpc.ts';

/** Sets what does not change, and reads the rest from its owners at each scrape. */
export function collectMemberMetrics(
  metrics: Metrics,
  core: MemberCore & { readonly grpc: Server; readonly services: ServiceTable },
): void {
  const { records } = metrics;
  const methods = core.grpc.methods.map((stats) => {
    const kind = core.services.get(stats.path)?.kind ?? 'unary';
    return [stats, registerMethod(metrics, stats, kind)] as const;
  });
  records.server.version.with(SERVER_RELEASE).value = 1;
  records.server.serverId.with(formatId(core.memberId)).value = 1;
  for (const [name, { stage }] of Object.entries(FEATURE_GATES)) {
    const isOpen = core.config.featureGates.enabled[name as FeatureGateName];
    records.server.featureEnabled.with(name, stage).value = isOpen ? 1 : 0;
  }
  metrics.onCollect(() => {
    collectServer(core);
    collectStore(core);
    collectOwn(core);
    let sent = 0;
    let received = 0;
    for (const [stats, metric] of methods) {
      metric.started.value = stats.started;
      metric.received.value = stats.messagesReceived;
      metric.sent.value = stats.messagesSent;
      metric.handled.set(stats.ended);
      sent += stats.bytesSent;
      received += stats.bytesReceived;
    }
    records.network.grpcSentBytes.value = sent;
    records.network.grpcReceivedBytes.value = received;
  });
}

function registerMethod(metrics: Metrics, stats: MethodStats, kind: MethodKind): GrpcMethodMetrics {
  const [, service = '', method = ''] = stats.path.split('/');
  return metrics.grpc.add(service, method, kind);
}

function collectServer(core: MemberCore): void {
  const { raft, machine, proposals, reads } = core;
  const server = core.metrics.server;
  server.hasLeader.value = raft.leader === 0n ? 0 : 1;
  server.isLeader.value = raft.leader === core.memberId ? 1 : 0;
  server.isLearner.value = core.isLearner ? 1 : 0;
  server.proposalsCommitted.value = raft.committedIndex;
  server.proposalsApplied.value = raft.appliedIndex;
  server.proposalsPending.value = proposals.pendingCount;
  server.proposalsFailed.value = proposals.failedCount;
  server.readIndexesFailed.value = reads.failedCount;
  server.slowReadIndexes.value = reads.slowCount;
  server.quotaBackendBytes.value = core.quota.limitBytes ?? 0;
  for (const { metric } of server.clusterVersion.children()) metric.value = 0;
  const { version } = machine.cluster;
  if (version !== undefined) server.clusterVersion.with(formatVersion(version)).value = 1;
  for (const { metric } of server.alarms.children()) metric.value = 0;
  for (const { memberID, alarm } of machine.alarms.list(etcdserverpb.AlarmType.NONE)) {
    server.alarms.with(formatId(memberID), alarmName(alarm)).value = 1;
  }
}

function collectStore(core: MemberCore): void {
  const { kv, backend, watch } = core.machine;
  const mvcc = core.metrics.mvcc;
  mvcc.keys.value = kv.index.liveCount;
  mvcc.currentRevision.value = kv.currentRev;
  mvcc.compactRevision.value = kv.compactedRev;
  mvcc.watchers.value = watch.hub.syncedCount + watch.hub.unsyncedCount;
  mvcc.slowWatchers.value = watch.hub.unsyncedCount;
  mvcc.dbTotalBytes.value = backend.sizeBytes;
  mvcc.dbInUseBytes.value = backend.sizeInUseBytes;
  mvcc.openReadTransactions.value = backend.database.statistics().openReaders;
}

function collectOwn({ log, quota, metrics }: MemberCore): void {
  const { backendDiskFull, logLinesDropped } = metrics.own;
  backendDiskFull.value = quota.diskFull ? 1 : 0;
  logLinesDropped.with('output').value = log.missing.lost;
  logLinesDropped.with('rate').value = log.missing.suppressed;
}
