// The settings of a member in the log, at each start: keys and forms of etcd's line of that name, for
// operators and programs that read it. Settings of etcd alone are omitted, our own are added at the end.

import { availableParallelism } from 'node:os';
import { goDuration } from '../../base/index.ts';
import { type Cluster, formatId, formatVersion, SERVER_RELEASE } from '../../membership/index.ts';
import { electionTicks, type ListenUrl, type ServerConfig } from '../config/index.ts';
import type { LogFields, Logger } from './log.ts';

export function logStart(log: Logger, config: ServerConfig, memberInitialized: boolean): void {
  log.info('starting an etcd server', {
    ...programFields(),
    'member-initialized': memberInitialized,
    ...raftFields(config),
    ...urlFields(config),
    ...clusterFields(config, memberInitialized),
    ...limitFields(config),
    ...discoveryFields(config),
    ...ownFields(config),
  });
}

/** Logged when the data directory has been read. */
export function logBooted(log: Logger, memberId: bigint, cluster: Cluster): void {
  const { id, version, downgrade } = cluster;
  if (downgrade.enabled) {
    log.info('cluster is downgrading to target version', {
      'target-cluster-version': downgrade.targetVersion,
      'current-server-version': SERVER_RELEASE,
    });
  }
  log.info('starting etcd server', {
    'local-member-id': formatId(memberId),
    'local-server-version': SERVER_RELEASE,
    'cluster-id': version && formatId(id),
    'cluster-version': version === undefined ? 'to_be_decided' : formatVersion(version),
  });
}

/** Logged when all ports serve. */
export function logServing(log: Logger, config: ServerConfig, memberId: bigint): void {
  const member = { 'local-member-id': formatId(memberId) };
  log.info('now serving peer/client/metrics', { ...member, ...urlFields(config) });
}

function programFields(): LogFields {
  return {
    'etcd-version': SERVER_RELEASE,
    'node-version': process.version,
    os: process.platform,
    arch: process.arch,
    // One thread runs the member.
    'max-cpu-set': 1,
    'max-cpu-available': availableParallelism(),
  };
}

function raftFields(config: ServerConfig): LogFields {
  const { heartbeatMs } = config;
  return {
    name: config.name,
    'data-dir': config.dataDir,
    'wal-dir': config.walDir,
    'wal-dir-dedicated': config.walDir,
    'member-dir': `${config.dataDir}/member`,
    'force-new-cluster': config.forceNewCluster,
    'heartbeat-interval': durationOf(heartbeatMs),
    'election-timeout': durationOf(electionTicks(config) * heartbeatMs),
    'initial-election-tick-advance': config.initialElectionTickAdvance,
    'snapshot-count': config.snapshotCount,
    'max-wals': config.maxWals,
    'max-snapshots': config.maxSnapshots,
    'snapshot-catchup-entries': config.snapshotCatchupEntries,
  };
}

function urlFields(config: ServerConfig): LogFields {
  const httpUrls = textsOf(config.listenClientHttpUrls);
  return {
    'initial-advertise-peer-urls': config.advertisePeerUrls,
    'listen-peer-urls': textsOf(config.listenPeerUrls),
    'advertise-client-urls': config.advertiseClientUrls,
    'listen-client-urls': textsOf(config.listenClientUrls),
    'listen-client-http-urls': httpUrls.length > 0 ? httpUrls : undefined,
    'listen-metrics-urls': textsOf(config.listenMetricsUrls),
  };
}

/** As in etcd, an initialized member ignores the initial cluster. */
function clusterFields(config: ServerConfig, memberInitialized: boolean): LogFields {
  const isUsed = !memberInitialized || config.forceNewCluster;
  const cluster = config.initialCluster.flatMap(({ name, peerURLs }) =>
    peerURLs.map((url) => `${name}=${url}`),
  );
  return {
    'initial-cluster': isUsed ? cluster.join(',') : '',
    'initial-cluster-state': config.initialClusterState,
    'initial-cluster-token': isUsed ? config.initialClusterToken : '',
  };
}

function limitFields(config: ServerConfig): LogFields {
  return {
    'quota-backend-bytes': config.quotaBackendBytes ?? -1,
    'max-request-bytes': config.grpc.maxRequestBytes,
    'max-concurrent-streams': config.grpc.maxConcurrentStreams,
    'pre-vote': config.preVote,
    cors: config.http.origins,
    'host-whitelist': config.http.hosts,
    'feature-gates': config.featureGates.text,
    // As in etcd, which looks at a field that nothing sets; the gate is in the line above.
    'initial-corrupt-check': false,
    'corrupt-check-time-interval': durationOf(config.corruptCheckTimeMs),
    'compact-check-time-interval': durationOf(config.compactHashCheckTimeMs),
    'auto-compaction-mode': config.autoCompaction.mode,
    // As etcd has it, where revisions are so many nanoseconds.
    'auto-compaction-retention': retentionOf(config.autoCompaction),
    'auto-compaction-interval': retentionOf(config.autoCompaction),
    'max-learners': config.maxLearners,
    'downgrade-check-interval': durationOf(config.downgradeCheckTimeMs),
    'v2-deprecation': 'write-only',
  };
}

function discoveryFields({ serviceDiscovery: service, srvDiscovery }: ServerConfig): LogFields {
  const { tls, auth } = service ?? {};
  return {
    'discovery-token': service?.token ?? '',
    'discovery-endpoints': service?.endpoints.join(',') ?? '',
    'discovery-dial-timeout': service && durationOf(service.dialTimeoutMs),
    'discovery-request-timeout': service && durationOf(service.requestTimeoutMs),
    'discovery-keepalive-time': service && durationOf(service.keepaliveTimeMs),
    'discovery-keepalive-timeout': service && durationOf(service.keepaliveTimeoutMs),
    'discovery-insecure-transport': tls?.insecureTransport,
    'discovery-insecure-skip-tls-verify': tls?.insecureSkipVerify,
    'discovery-cert': tls?.certFile,
    'discovery-key': tls?.keyFile,
    'discovery-cacert': tls?.trustedCaFile,
    'discovery-user': service && (auth !== undefined && 'user' in auth ? auth.user : ''),
    'discovery-srv': srvDiscovery?.domain,
    'discovery-srv-name': srvDiscovery?.serviceName,
  };
}

function ownFields(config: ServerConfig): LogFields {
  const { grpc, log, maxClusterVersion } = config;
  return {
    'strict-reconfig-check': config.strictReconfigCheck,
    'enable-grpc-gateway': config.enableGrpcGateway,
    'unsafe-no-fsync': config.unsafeNoFsync,
    'backend-batch-interval': durationOf(config.backendBatchIntervalMs),
    'backend-batch-limit': config.backendBatchLimit,
    'compaction-batch-limit': config.compactionBatchLimit,
    'compaction-sleep-interval': durationOf(config.compactionSleepIntervalMs),
    'max-txn-ops': config.maxTxnOps,
    'watch-progress-notify-interval': durationOf(config.watchProgressNotifyIntervalMs),
    'warning-apply-duration': durationOf(config.warningApplyDurationMs),
    'warning-unary-request-duration': durationOf(config.warningUnaryRequestDurationMs),
    'grpc-keepalive-min-time': durationOf(grpc.keepaliveMinTimeMs),
    'grpc-keepalive-interval': durationOf(grpc.keepaliveIntervalMs),
    'grpc-keepalive-timeout': durationOf(grpc.keepaliveTimeoutMs),
    metrics: config.metrics,
    'log-level': log.level,
    'log-format': log.format,
    'log-outputs': log.outputs,
    'max-cluster-version': maxClusterVersion && formatVersion(maxClusterVersion),
  };
}

function retentionOf({ mode, retention }: ServerConfig['autoCompaction']): string {
  return mode === 'revision' ? goDuration(retention) : durationOf(retention);
}

function durationOf(ms: number): string {
  return goDuration(ms * 1e6);
}

function textsOf(urls: readonly ListenUrl[]): string[] {
  return urls.map(({ text }) => text);
}
