// The metrics of etcd 3.7 in this release: name, type, label names, bounds and help of each, and a few of
// our own, named `tetcd_*`. As in etcd, several families named `*_total` are gauges. A metric without a
// source does not belong here; the fidelity test lists the missing ones.

import { Counter, exponentialBounds, Gauge, Histogram, MetricFamily } from '../../base/index.ts';

export type MetricType = 'counter' | 'gauge' | 'histogram';

/** Storage of one metric's numbers. */
export type MetricRecord = Counter | Gauge | Histogram;

export interface MetricRow<Store> {
  readonly name: string;
  readonly type: MetricType;
  /** In the order in which `MetricFamily.with` takes their values. */
  readonly labels: readonly string[];
  readonly help: string;
  /** Makes the storage: a record, or a family of records if there are labels. */
  readonly make: () => Store;
}

function counter(name: string, help: string): MetricRow<Counter> {
  return { name, type: 'counter', labels: [], help, make: () => new Counter() };
}

function gauge(name: string, help: string): MetricRow<Gauge> {
  return { name, type: 'gauge', labels: [], help, make: () => new Gauge() };
}

function histogram(name: string, bounds: readonly number[], help: string): MetricRow<Histogram> {
  return { name, type: 'histogram', labels: [], help, make: () => new Histogram(bounds) };
}

function counters(
  name: string,
  labels: readonly string[],
  help: string,
): MetricRow<MetricFamily<Counter>> {
  const make = () => new MetricFamily(labels.length, () => new Counter());
  return { name, type: 'counter', labels, help, make };
}

function gauges(
  name: string,
  labels: readonly string[],
  help: string,
): MetricRow<MetricFamily<Gauge>> {
  const make = () => new MetricFamily(labels.length, () => new Gauge());
  return { name, type: 'gauge', labels, help, make };
}

function histograms(
  name: string,
  labels: readonly string[],
  bounds: readonly number[],
  help: string,
): MetricRow<MetricFamily<Histogram>> {
  const make = () => new MetricFamily(labels.length, () => new Histogram(bounds));
  return { name, type: 'histogram', labels, help, make };
}

// Seconds, but for the two in milliseconds.
const FROM_1_MS = exponentialBounds(0.001, 2, 14);
const FROM_10_MS = exponentialBounds(0.01, 2, 15);
const FROM_100_US = exponentialBounds(0.0001, 2, 16);
const FROM_100_US_LONG = exponentialBounds(0.0001, 2, 20);
const FROM_100_MS = exponentialBounds(0.1, 2, 10);
const FROM_10_MS_LONG = exponentialBounds(0.01, 2, 17);
const DEFRAG_SECONDS = exponentialBounds(0.1, 2, 13);
const LEASE_TTL_SECONDS = exponentialBounds(1, 2, 24);
const INDEX_PAUSE_MS = exponentialBounds(0.5, 2, 14);
const DB_PAUSE_MS = exponentialBounds(1, 2, 13);
const DB_TOTAL_MS = exponentialBounds(100, 2, 14);

const SERVER = {
  hasLeader: gauge('etcd_server_has_leader', '1 while a leader is known'),
  isLeader: gauge('etcd_server_is_leader', '1 while local member leads'),
  isLearner: gauge('etcd_server_is_learner', '1 while local member is learner'),
  leaderChangesSeen: counter('etcd_server_leader_changes_seen_total', 'leader switches observed'),
  proposalsCommitted: gauge('etcd_server_proposals_committed_total', 'raft committed index'),
  proposalsApplied: gauge('etcd_server_proposals_applied_total', 'raft applied index'),
  proposalsPending: gauge('etcd_server_proposals_pending', 'proposals waiting'),
  proposalsFailed: counter('etcd_server_proposals_failed_total', 'proposals that failed'),
  slowReadIndexes: counter(
    'etcd_server_slow_read_indexes_total',
    'read index rounds retried or timed out',
  ),
  readIndexesFailed: counter('etcd_server_read_indexes_failed_total', 'read index errors'),
  authRevision: gauge('etcd_debugging_auth_revision', 'present auth store revision'),
  slowApplies: counter('etcd_server_slow_apply_total', 'applies over the warning threshold'),
  learnerPromotions: counter('etcd_server_learner_promote_successes', 'promotions done'),
  learnerPromotionFailures: counters(
    'etcd_server_learner_promote_failures',
    ['Reason'],
    'refused promotions by error text',
  ),
  heartbeatSendFailures: counter(
    'etcd_server_heartbeat_send_failures_total',
    'late or failed leader heartbeats',
  ),
  /** Of requests that went through the log, and of reads. */
  requestSeconds: histograms(
    'etcd_server_request_duration_seconds',
    ['type', 'success'],
    FROM_1_MS,
    'server side request time by kind',
  ),
  applySeconds: histograms(
    'etcd_server_apply_duration_seconds',
    ['version', 'op', 'success'],
    FROM_100_US_LONG,
    'apply time per operation',
  ),
  rangeSeconds: histograms(
    'etcd_server_range_duration_seconds',
    ['success'],
    FROM_100_US_LONG,
    'range execution time',
  ),
  clientRequests: counters(
    'etcd_server_client_requests_total',
    ['type', 'client_api_version'],
    'calls by kind and client version metadata',
  ),
  snapshotInstalls: gauge(
    'etcd_server_snapshot_apply_in_progress_total',
    '1 while applying received snapshot',
  ),
  quotaBackendBytes: gauge('etcd_server_quota_backend_bytes', 'active backend quota'),
  version: gauges('etcd_server_version', ['server_version'], '1 on running version label'),
  /** Node's. */
  runtimeVersion: gauges(
    'etcd_server_go_version',
    ['server_go_version'],
    '1 on runtime version label',
  ),
  serverId: gauges('etcd_server_id', ['server_id'], '1 on own hex member ID label'),
  featureEnabled: gauges('etcd_server_feature_enabled', ['name', 'stage'], 'gate state 1/0'),
  clusterVersion: gauges(
    'etcd_cluster_version',
    ['cluster_version'],
    '1 on the active cluster version label (major.minor), old label set 0',
  ),
  /** Labels: hex id of the member that raised it, name of the alarm. */
  alarms: gauges(
    'etcd_debugging_server_alarms',
    ['server_id', 'alarm_type'],
    'raised alarms per member and kind',
  ),
  healthSuccess: counter('etcd_server_health_success', 'health probes answered healthy'),
  healthFailures: counter('etcd_server_health_failures', 'health probes answered unhealthy'),
  healthcheck: gauges(
    'etcd_server_healthcheck',
    ['type', 'name'],
    'last result per sub-check, 1 good 0 bad',
  ),
  healthchecks: counters(
    'etcd_server_healthchecks_total',
    ['type', 'name', 'status'],
    'sub-check runs by outcome',
  ),
} as const;

const NETWORK = {
  grpcSentBytes: counter(
    'etcd_network_client_grpc_sent_bytes_total',
    'gRPC response payload bytes',
  ),
  grpcReceivedBytes: counter(
    'etcd_network_client_grpc_received_bytes_total',
    'gRPC request payload bytes',
  ),
  streamFailures: counters(
    'etcd_network_server_stream_failures_total',
    ['Type', 'API'],
    'server stream errors',
  ),
  // Members are named by their ids in hexadecimal.
  knownPeers: gauges(
    'etcd_network_known_peers',
    ['Local', 'Remote'],
    '1 per member known besides self, 0 once removed',
  ),
  activePeers: gauges('etcd_network_active_peers', ['Local', 'Remote'], 'live peer links'),
  disconnectedPeers: counters(
    'etcd_network_disconnected_peers_total',
    ['Local', 'Remote'],
    'peer link drops',
  ),
  peerSentBytes: counters('etcd_network_peer_sent_bytes_total', ['To'], 'bytes written to a peer'),
  peerReceivedBytes: counters(
    'etcd_network_peer_received_bytes_total',
    ['From'],
    'bytes read from a peer',
  ),
  peerSentFailures: counters(
    'etcd_network_peer_sent_failures_total',
    ['To'],
    'failed sends to a peer',
  ),
  peerReceivedFailures: counters(
    'etcd_network_peer_received_failures_total',
    ['From'],
    'failed receives; label may be remote address',
  ),
  peerRoundTripSeconds: histograms(
    'etcd_network_peer_round_trip_time_seconds',
    ['To'],
    FROM_100_US,
    'smoothed probe round trip per peer',
  ),
  snapshotSendSuccess: counters(
    'etcd_network_snapshot_send_success',
    ['To'],
    'snapshots delivered',
  ),
  snapshotSendFailures: counters(
    'etcd_network_snapshot_send_failures',
    ['To'],
    'snapshot sends that failed',
  ),
  snapshotSendInflight: gauges(
    'etcd_network_snapshot_send_inflights_total',
    ['To'],
    'snapshots being sent now',
  ),
  snapshotSendSeconds: histograms(
    'etcd_network_snapshot_send_total_duration_seconds',
    ['To'],
    FROM_100_MS,
    'time to send a snapshot',
  ),
  snapshotReceiveSuccess: counters(
    'etcd_network_snapshot_receive_success',
    ['From'],
    'snapshots received',
  ),
  snapshotReceiveFailures: counters(
    'etcd_network_snapshot_receive_failures',
    ['From'],
    'snapshot receives that failed',
  ),
  snapshotReceiveInflight: gauges(
    'etcd_network_snapshot_receive_inflights_total',
    ['From'],
    'snapshots being received now',
  ),
  snapshotReceiveSeconds: histograms(
    'etcd_network_snapshot_receive_total_duration_seconds',
    ['From'],
    FROM_100_MS,
    'time to receive a snapshot',
  ),
} as const;

const DISK = {
  walFsyncSeconds: histogram('etcd_disk_wal_fsync_duration_seconds', FROM_1_MS, 'WAL fsync time'),
  walWriteSeconds: histogram(
    'etcd_disk_wal_write_duration_seconds',
    FROM_1_MS,
    'WAL buffered write time',
  ),
  walWriteBytes: gauge('etcd_disk_wal_write_bytes_total', 'WAL bytes written'),
  backendCommitSeconds: histogram(
    'etcd_disk_backend_commit_duration_seconds',
    FROM_1_MS,
    'database commit time',
  ),
  backendRebalanceSeconds: histogram(
    'etcd_debugging_disk_backend_commit_rebalance_duration_seconds',
    FROM_1_MS,
    'rebalance part of commit',
  ),
  backendSpillSeconds: histogram(
    'etcd_debugging_disk_backend_commit_spill_duration_seconds',
    FROM_1_MS,
    'spill part of commit',
  ),
  backendWriteSeconds: histogram(
    'etcd_debugging_disk_backend_commit_write_duration_seconds',
    FROM_1_MS,
    'write part of commit',
  ),
  backendSnapshotSeconds: histogram(
    'etcd_disk_backend_snapshot_duration_seconds',
    FROM_10_MS_LONG,
    'time a backend snapshot stays open',
  ),
  backendDefragSeconds: histogram(
    'etcd_disk_backend_defrag_duration_seconds',
    DEFRAG_SECONDS,
    'defragment time',
  ),
  defragInflight: gauge('etcd_disk_defrag_inflight', '1 while defragmenting'),
  snapDbFsyncSeconds: histogram(
    'etcd_snap_db_fsync_duration_seconds',
    FROM_1_MS,
    'fsync time of received db',
  ),
  snapDbSaveSeconds: histogram(
    'etcd_snap_db_save_total_duration_seconds',
    FROM_100_MS,
    'time to store a received db',
  ),
  snapMarshalSeconds: histogram(
    'etcd_debugging_snap_save_marshalling_duration_seconds',
    FROM_1_MS,
    'encoding time inside snap save',
  ),
  snapFsyncSeconds: histogram(
    'etcd_snap_fsync_duration_seconds',
    FROM_1_MS,
    'fsync time of .snap files',
  ),
  snapSaveSeconds: histogram(
    'etcd_debugging_snap_save_total_duration_seconds',
    FROM_1_MS,
    'whole snap save time',
  ),
} as const;

const MVCC = {
  ranges: counter('etcd_mvcc_range_total', 'ranges executed'),
  puts: counter('etcd_mvcc_put_total', 'puts executed'),
  deletes: counter('etcd_mvcc_delete_total', 'deletes executed'),
  txns: counter('etcd_mvcc_txn_total', 'txns with more than one op kind executed'),
  keys: gauge('etcd_debugging_mvcc_keys_total', 'live keys'),
  watchStreams: gauge('etcd_debugging_mvcc_watch_stream_total', 'open watch streams'),
  watchers: gauge('etcd_debugging_mvcc_watcher_total', 'open watchers'),
  slowWatchers: gauge('etcd_debugging_mvcc_slow_watcher_total', 'unsynced watchers'),
  events: counter('etcd_debugging_mvcc_events_total', 'events delivered'),
  /** Of responses in the buffers of streams that are full. */
  pendingEvents: gauge('etcd_debugging_mvcc_pending_events_total', 'events queued'),
  indexCompactionPauseMs: histogram(
    'etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds',
    INDEX_PAUSE_MS,
    'index compaction stall',
  ),
  dbCompactionPauseMs: histogram(
    'etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds',
    DB_PAUSE_MS,
    'db compaction batch stall',
  ),
  dbCompactionTotalMs: histogram(
    'etcd_debugging_mvcc_db_compaction_total_duration_milliseconds',
    DB_TOTAL_MS,
    'db compaction whole time',
  ),
  dbCompactionLast: gauge(
    'etcd_debugging_mvcc_db_compaction_last',
    'unix seconds of latest db compaction',
  ),
  dbCompactionKeys: counter(
    'etcd_debugging_mvcc_db_compaction_keys_total',
    'revisions removed by compaction',
  ),
  dbTotalBytes: gauge('etcd_mvcc_db_total_size_in_bytes', 'database file allocation'),
  dbInUseBytes: gauge('etcd_mvcc_db_total_size_in_use_in_bytes', 'database bytes not free'),
  openReadTransactions: gauge('etcd_mvcc_db_open_read_transactions', 'open read transactions'),
  hashSeconds: histogram('etcd_mvcc_hash_duration_seconds', FROM_10_MS, 'Hash time'),
  hashRevSeconds: histogram('etcd_mvcc_hash_rev_duration_seconds', FROM_10_MS, 'HashKV time'),
  currentRevision: gauge('etcd_debugging_mvcc_current_revision', 'store revision'),
  compactRevision: gauge(
    'etcd_debugging_mvcc_compact_revision',
    'compacted revision (-1 before any)',
  ),
  totalPutBytes: gauge('etcd_debugging_mvcc_total_put_size_in_bytes', 'key plus value bytes put'),
} as const;

/** Times within the service, without what the connection's buffer still holds. */
const WATCH = {
  responseSeconds: histogram(
    'etcd_debugging_server_watch_send_loop_watch_stream_duration_seconds',
    FROM_1_MS,
    'time to send one watch batch',
  ),
  eventSeconds: histogram(
    'etcd_debugging_server_watch_send_loop_watch_stream_duration_per_event_seconds',
    FROM_1_MS,
    'that time divided by events',
  ),
  controlSeconds: histogram(
    'etcd_debugging_server_watch_send_loop_control_stream_duration_seconds',
    FROM_1_MS,
    'time to send a watch control reply',
  ),
  progressSeconds: histogram(
    'etcd_debugging_server_watch_send_loop_progress_duration_seconds',
    FROM_1_MS,
    'time to send progress notices',
  ),
} as const;

/**
 * The v2 store, which is only a form of the membership in `.snap` files: as in etcd 3.7 it has no keys of
 * clients and no watchers.
 */
const V2_STORE = {
  writes: counters('etcd_debugging_store_writes_total', ['action'], 'v2 store writes by action'),
  expires: counter('etcd_debugging_store_expires_total', 'v2 keys expired'),
  watchRequests: counter('etcd_debugging_store_watch_requests_total', 'v2 watches opened'),
  watchers: gauge('etcd_debugging_store_watchers', 'v2 watches now open'),
} as const;

const LEASE = {
  granted: counter('etcd_debugging_lease_granted_total', 'leases granted'),
  revoked: counter('etcd_debugging_lease_revoked_total', 'leases revoked'),
  renewed: counter('etcd_debugging_lease_renewed_total', 'leases renewed at leader'),
  expired: counter('etcd_debugging_server_lease_expired_total', 'leases expired'),
  ttlSeconds: histogram(
    'etcd_debugging_lease_ttl_total',
    LEASE_TTL_SECONDS,
    'granted TTL distribution',
  ),
} as const;

const OS = {
  fdUsed: gauge('os_fd_used', 'open file descriptors'),
  fdLimit: gauge('os_fd_limit', 'file descriptor ceiling'),
} as const;

/** Of the handler of `/metrics`, by the names of Go's library. */
const SCRAPES = {
  inFlight: gauge('promhttp_metric_handler_requests_in_flight', 'scrapes being served'),
  /** By HTTP status. */
  answered: counters('promhttp_metric_handler_requests_total', ['code'], 'scrapes by status'),
} as const;

/** Of the process, where the numbers of Go's library have a counterpart in Node. */
const RUNTIME = {
  info: gauges('go_info', ['version'], '1 on runtime version label'),
  threads: gauge('go_threads', 'threads of the operating system'),
  allocatedBytes: gauge('go_memstats_alloc_bytes', 'heap bytes in use'),
  heapAllocatedBytes: gauge('go_memstats_heap_alloc_bytes', 'heap bytes in use'),
  heapInUseBytes: gauge('go_memstats_heap_inuse_bytes', 'heap bytes in use'),
  heapIdleBytes: gauge('go_memstats_heap_idle_bytes', 'heap bytes reserved and not in use'),
  heapTotalBytes: gauge('go_memstats_heap_sys_bytes', 'heap bytes reserved'),
  totalBytes: gauge('go_memstats_sys_bytes', 'bytes reserved, buffers outside the heap included'),
  virtualMemoryMaxBytes: gauge('process_virtual_memory_max_bytes', 'limit of the address space'),
  networkReceivedBytes: counter(
    'process_network_receive_bytes_total',
    'bytes received by the network namespace',
  ),
  networkSentBytes: counter(
    'process_network_transmit_bytes_total',
    'bytes sent by the network namespace',
  ),
} as const;

/** How late the event loop was since the last scrape, under prom-client's names. */
export const LAGS = {
  min: gauge('nodejs_eventloop_lag_min_seconds', 'the least lag of the event loop'),
  max: gauge('nodejs_eventloop_lag_max_seconds', 'the greatest lag of the event loop'),
  mean: gauge('nodejs_eventloop_lag_mean_seconds', 'the mean lag of the event loop'),
  stddev: gauge('nodejs_eventloop_lag_stddev_seconds', 'standard deviation of this lag'),
  p50: gauge('nodejs_eventloop_lag_p50_seconds', '50th percentile of this lag'),
  p90: gauge('nodejs_eventloop_lag_p90_seconds', '90th percentile of this lag'),
  p99: gauge('nodejs_eventloop_lag_p99_seconds', '99th percentile of this lag'),
} as const;

/** Metrics without a name in etcd. */
const OWN = {
  backendDiskFull: gauge(
    'tetcd_backend_disk_full',
    '1 while the database cannot be written for want of space',
  ),
  defragCopiedBytes: gauge(
    'tetcd_defrag_copied_bytes',
    'bytes of the new file of the defragmentation under way, 0 without one',
  ),
  /** Label `output`: lost by an output; `rate`: suppressed by the rate limit. */
  logLinesDropped: counters(
    'tetcd_log_lines_dropped_total',
    ['reason'],
    'log lines left out, because of an output that did not take them or too many of a kind',
  ),
} as const;

const TLS = {
  rejectedConnections: counters(
    'tetcd_tls_rejected_connections_total',
    ['endpoint'],
    'connections that were refused, or broken off, before they were served',
  ),
  /** Negative after the expiry. */
  certificateDays: gauges(
    'tetcd_tls_certificate_expiry_days',
    ['endpoint', 'file'],
    'days until the first certificate of a file expires, or a new revocation list is due',
  ),
} as const;

/** By owner, so that each owner gets only its part. */
export const METRICS = {
  server: SERVER,
  network: NETWORK,
  disk: DISK,
  mvcc: MVCC,
  watch: WATCH,
  v2Store: V2_STORE,
  lease: LEASE,
  os: OS,
  scrapes: SCRAPES,
  runtime: RUNTIME,
  lags: LAGS,
  own: OWN,
  tls: TLS,
} as const;

type Records<Rows> = {
  readonly [Key in keyof Rows]: Rows[Key] extends MetricRow<infer Store> ? Store : never;
};

/** The storage of every metric of the table. */
export type ServerMetrics = {
  readonly [Owner in keyof typeof METRICS]: Records<(typeof METRICS)[Owner]>;
};
