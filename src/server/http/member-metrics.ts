// Metrics of the parts of a member, read at each scrape.

import type { MethodStats, Server } from '../../grpc/index.ts';
import { formatId, formatVersion, SERVER_RELEASE } from '../../membership/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { MethodKind, ServiceTable } from '../../rpc/index.ts';
import type { OwnMembership } from '../cluster/own-membership.ts';
import { FEATURE_GATES, type FeatureGateName, type ServerConfig } from '../config/index.ts';
import type { Proposals } from '../consensus/proposals.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { ReadIndexQueue } from '../consensus/read-index-queue.ts';
import type { StoreView } from '../consensus/store-view.ts';
import type { Quota } from '../duties/quota.ts';
import { alarmName } from '../services/maintenance.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { GrpcMethodMetrics } from '../telemetry/metrics-grpc.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';

interface MemberMetricsParts {
  readonly memberId: bigint;
  readonly config: Pick<ServerConfig, 'featureGates'>;
  readonly log: Logger;
  readonly metrics: ServerMetrics;
  readonly raft: Pick<RaftState, 'leader' | 'leads' | 'committedIndex' | 'appliedIndex'>;
  readonly membership: Pick<OwnMembership, 'isLearner'>;
  readonly proposals: Pick<Proposals, 'pendingCount' | 'failedCount'>;
  readonly reads: Pick<ReadIndexQueue, 'failedCount' | 'slowCount'>;
  readonly quota: Pick<Quota, 'limitBytes' | 'diskFull'>;
  readonly store: StoreView<'alarms' | 'auth' | 'backend' | 'cluster' | 'kv' | 'watch'>;
  readonly grpc: Server;
  readonly services: ServiceTable;
}

/** Sets what does not change, and reads the rest from its owners at each scrape. */
export function collectMemberMetrics(metrics: Metrics, parts: MemberMetricsParts): void {
  const { records } = metrics;
  const methods = parts.grpc.methods.map((stats) => {
    const kind = parts.services.get(stats.path)?.kind ?? 'unary';
    return [stats, registerMethod(metrics, stats, kind)] as const;
  });
  records.server.version.with(SERVER_RELEASE).value = 1;
  records.server.runtimeVersion.with(process.version).value = 1;
  records.server.serverId.with(formatId(parts.memberId)).value = 1;
  for (const [name, { stage }] of Object.entries(FEATURE_GATES)) {
    const isOpen = parts.config.featureGates.enabled[name as FeatureGateName];
    records.server.featureEnabled.with(name, stage).value = isOpen ? 1 : 0;
  }
  metrics.onCollect(() => {
    collectServer(parts);
    collectStore(parts);
    collectOwn(parts);
    let sent = 0;
    let received = 0;
    for (const [stats, metric] of methods) {
      collectMethod(stats, metric);
      collectStreamFailures(stats, records);
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

/**
 * Messages are counted as etcd's middleware does: each attempt. A unary call that failed has sent one; a
 * stream in both directions has received one more, the end.
 */
function collectMethod(stats: MethodStats, metric: GrpcMethodMetrics): void {
  const ended = stats.ended.reduce((sum, count) => sum + count, 0);
  metric.started.value = stats.started;
  metric.received.value = stats.messagesReceived + (metric.type === 'bidi_stream' ? ended : 0);
  metric.sent.value = stats.unary ? ended : stats.messagesSent;
  metric.handled.set(stats.ended);
}

/** etcd's names of the methods whose streams it watches for failures. */
const WATCHED_STREAMS: Readonly<Record<string, string>> = {
  '/etcdserverpb.Watch/Watch': 'watch',
  '/etcdserverpb.Lease/LeaseKeepAlive': 'lease-keepalive',
};

/** Sending does not fail here: what a connection does not take waits, or ends with it. */
function collectStreamFailures(
  { path, receiveFailures }: MethodStats,
  metrics: ServerMetrics,
): void {
  const api = WATCHED_STREAMS[path];
  if (api === undefined || receiveFailures === 0) return;
  metrics.network.streamFailures.with('receive', api).value = receiveFailures;
}

function collectServer(parts: MemberMetricsParts): void {
  const { raft, membership, proposals, quota, reads } = parts;
  const { machine } = parts.store;
  const { server } = parts.metrics;
  server.hasLeader.value = raft.leader === 0n ? 0 : 1;
  server.isLeader.value = raft.leads ? 1 : 0;
  server.authRevision.value = machine.auth.state.revision;
  server.isLearner.value = membership.isLearner ? 1 : 0;
  server.proposalsCommitted.value = raft.committedIndex;
  server.proposalsApplied.value = raft.appliedIndex;
  server.proposalsPending.value = proposals.pendingCount;
  server.proposalsFailed.value = proposals.failedCount;
  server.readIndexesFailed.value = reads.failedCount;
  server.slowReadIndexes.value = reads.slowCount;
  server.quotaBackendBytes.value = quota.limitBytes ?? 0;
  for (const { metric } of server.clusterVersion.children()) metric.value = 0;
  const { version } = machine.cluster;
  if (version !== undefined) server.clusterVersion.with(formatVersion(version)).value = 1;
  collectMembers(parts);
  for (const { metric } of server.alarms.children()) metric.value = 0;
  for (const { memberID, alarm } of machine.alarms.list(etcdserverpb.AlarmType.NONE)) {
    server.alarms.with(formatId(memberID), alarmName(alarm)).value = 1;
  }
}

/** As in etcd this member is among them. */
function collectMembers({ memberId, metrics: { network }, store }: MemberMetricsParts): void {
  const { members, removed } = store.machine.cluster.state();
  const local = formatId(memberId);
  for (const { id } of members) network.knownPeers.with(local, formatId(id)).value = 1;
  for (const id of removed) network.knownPeers.with(local, formatId(id)).value = 0;
}

function collectStore({ store, metrics }: MemberMetricsParts): void {
  const { kv, backend, watch } = store.machine;
  const { mvcc } = metrics;
  mvcc.keys.value = kv.index.liveCount;
  mvcc.currentRevision.value = kv.currentRev;
  mvcc.compactRevision.value = kv.compactedRev;
  mvcc.watchers.value = watch.hub.syncedCount + watch.hub.unsyncedCount;
  mvcc.slowWatchers.value = watch.hub.unsyncedCount;
  mvcc.dbTotalBytes.value = backend.sizeBytes;
  mvcc.dbInUseBytes.value = backend.sizeInUseBytes;
  mvcc.openReadTransactions.value = backend.database.statistics().openReaders;
}

function collectOwn({ log, quota, metrics }: MemberMetricsParts): void {
  const { backendDiskFull, logLinesDropped } = metrics.own;
  backendDiskFull.value = quota.diskFull ? 1 : 0;
  logLinesDropped.with('output').value = log.missing.lost;
  logLinesDropped.with('rate').value = log.missing.suppressed;
}
