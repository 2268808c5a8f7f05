// From flag values to a checked `ServerConfig`: what a value of 0 or an empty one stands for, and
// the rules that settings must keep together. The texts of refusals are etcd's.

import { goDuration, goQuote } from '../../base/index.ts';
import type { FileRotation } from '../../env/index.ts';
import { LOG_BYTES_MAX } from '../limits.ts';
import { parseAutoCompaction } from './auto-compaction.ts';
import { assembleDiscovery, discoveryProblem, replacesInitialCluster } from './discovery-config.ts';
import type { FlagValues } from './flags.ts';
import { parseInitialCluster } from './initial-cluster.ts';
import type { LogNote } from './log-note.ts';
import { parseLogRotation } from './log-rotation.ts';
import {
  type AuthConfig,
  type InitialMember,
  JOURNAL_OUTPUT,
  type ListenUrl,
  LOG_FORMATS,
  LOG_LEVELS,
  type LogConfig,
  type ServerConfig,
} from './server-config.ts';
import { assembleTls, tlsNotes, tlsProblem } from './tls-config.ts';
import { buildTracing } from './tracing-config.ts';
import { advertiseProblem, bindProblem, type ParsedUrl } from './urls.ts';

/** 2 GiB. */
export const DEFAULT_QUOTA_BYTES = 2_147_483_648;
const MEBIBYTE = 1_048_576;
const DEFAULT_SNAPSHOT_COUNT = 10_000;
const DEFAULT_CATCHUP_ENTRIES = 5_000;
const DEFAULT_BATCH_INTERVAL_MS = 100;
const DEFAULT_BATCH_LIMIT = 10_000;
const DEFAULT_COMPACTION_BATCH = 1_000;
const DEFAULT_COMPACTION_SLEEP_MS = 10;
const DEFAULT_WARNING_UNARY_MS = 300;
const DEFAULT_PROGRESS_MS = 600_000;
const PROGRESS_MS_MIN = 100;
const ELECTION_MS_MAX = 50_000;
const STREAMS_MAX = 4_294_967_295;
const PEER_IO_TIMEOUT_MS_MIN = 5_000;
const DEFAULT_NAME = 'default';
const DEFAULT_TOKEN_TTL_SEC = 300;
const BCRYPT_COST = { min: 4, max: 31, byDefault: 10 };

export interface Built {
  readonly config: ServerConfig;
  readonly notes: readonly LogNote[];
}

/** `given` holds the names of the flags that were set. Returns the reason if they contradict. */
export function buildConfig(values: FlagValues, given: ReadonlySet<string>): Built | string {
  if (values['discovery-fallback'] === 'proxy') {
    return `v2 proxy is deprecated, and --discovery-fallback can't be configured as "proxy"`;
  }
  const log = buildLog(values);
  if (typeof log === 'string') return log;
  const problem =
    urlProblem(values) ??
    discoveryProblem(values, given) ??
    timingProblem(values, given) ??
    negativeProblem(values);
  if (problem !== undefined) return problem;
  if (given.has('listen-client-urls') && !given.has('advertise-client-urls')) {
    return '--advertise-client-urls is required when --listen-client-urls is set explicitly';
  }
  const gates = values['feature-gates'].enabled;
  if (gates.LeaseCheckpointPersist && !gates.LeaseCheckpoint) {
    return (
      'enabling feature gate LeaseCheckpointPersist requires enabling feature ' +
      'gate LeaseCheckpoint'
    );
  }
  const secured = tlsProblem(values);
  if (secured !== undefined) return secured;
  const autoCompaction = parseAutoCompaction(
    values['auto-compaction-mode'],
    values['auto-compaction-retention'],
  );
  if (typeof autoCompaction === 'string') return autoCompaction;
  const tracing = buildTracing(values);
  if (typeof tracing === 'string') return tracing;
  const initialCluster = buildInitialCluster(values, given);
  if (typeof initialCluster === 'string') return initialCluster;
  const parts = { log, autoCompaction, initialCluster, tracing };
  return { config: assemble(values, parts), notes: buildNotes(values, given) };
}

function buildLog(values: FlagValues): LogConfig | string {
  if (values.logger === 'capnslog') return '--logger=capnslog is removed in v3.5';
  if (values.logger !== 'zap') return `unknown logger option ${goQuote(values.logger)}`;
  const level = LOG_LEVELS.find((known) => known === values['log-level']);
  if (level === undefined) return `unrecognized level: ${goQuote(values['log-level'])}`;
  const format = LOG_FORMATS.find((known) => known === values['log-format']);
  if (format === undefined) {
    return `unknown log format: ${values['log-format']}, supported values json, console`;
  }
  const outputs = values['log-outputs'];
  if (outputs.length > 1 && outputs.includes('default')) {
    return 'multi logoutput for "default" is not supported yet';
  }
  const rotation = values['enable-log-rotation'] ? buildRotation(values) : undefined;
  if (typeof rotation === 'string') return rotation;
  if (outputs.includes(JOURNAL_OUTPUT) && outputs.length > 1) {
    const listed = [...outputs].sort().map(goQuote).join(' ');
    return (
      `running with systemd/journal but other '--log-outputs' values ([${listed}]) are configured ` +
      `with 'default'; override 'default' value with something else`
    );
  }
  if (outputs.includes('')) return '--log-outputs must not contain an empty name';
  if (outputs.includes('/dev/null')) return { level, format, outputs: ['/dev/null'], rotation };
  const named = outputs.map((name) => (name === 'default' ? 'stderr' : name));
  return { level, format, outputs: named, rotation };
}

const STANDARD_OUTPUTS: ReadonlySet<string> = new Set(['default', 'stderr', 'stdout']);

/** As in etcd, the journal counts as a file, and two standard outputs without one are no mistake. */
function buildRotation(values: FlagValues): FileRotation | string {
  const outputs = values['log-outputs'];
  const files = outputs.filter((name) => !STANDARD_OUTPUTS.has(name)).length;
  if (files > 1 || (files === 0 && outputs.length === 1)) {
    return '--log-outputs requires a single file path when --log-rotate-config-json is defined';
  }
  return parseLogRotation(values['log-rotation-config-json']);
}

function urlProblem(values: FlagValues): string | undefined {
  const peers = values['initial-advertise-peer-urls'];
  const clients = values['advertise-client-urls'];
  const bad =
    bindProblem(values['listen-peer-urls']) ??
    bindProblem(values['listen-client-urls']) ??
    bindProblem(values['listen-client-http-urls']) ??
    bindProblem(values['listen-metrics-urls']);
  if (bad !== undefined) return bad;
  const badPeer = advertiseProblem(peers);
  if (badPeer !== undefined) {
    return `--initial-advertise-peer-urls ${goQuote(joined(peers))} must be "host:port" (${badPeer})`;
  }
  const badClient = advertiseProblem(clients);
  if (badClient !== undefined) {
    return (
      `--advertise-client-urls ${goQuote(joined(clients))} must be in the format "host:port", ` +
      `"unix:/path/to/socket" or "unixs:/path/to/socket" (${badClient})`
    );
  }
  const grpc = new Set(values['listen-client-urls'].map(addressOf));
  const shared = values['listen-client-http-urls'].find((url) => grpc.has(addressOf(url)));
  if (shared === undefined) return undefined;
  return (
    `cannot bind both --listen-client-urls and --listen-client-http-urls on ` +
    `the same url ${shared.text}`
  );
}

function timingProblem(values: FlagValues, given: ReadonlySet<string>): string | undefined {
  const heartbeat = values['heartbeat-interval'];
  const election = values['election-timeout'];
  if (heartbeat === 0) return '--heartbeat-interval must be >0 (set to 0ms)';
  if (election === 0) return '--election-timeout must be >0 (set to 0ms)';
  if (5 * heartbeat > election) {
    return (
      `--election-timeout[${election}ms] should be at least as 5 times as ` +
      `--heartbeat-interval[${heartbeat}ms]`
    );
  }
  if (election > ELECTION_MS_MAX) {
    return (
      `--election-timeout[${election}ms] is too long, and should be set less ` +
      `than ${ELECTION_MS_MAX}ms`
    );
  }
  if (given.has('max-request-bytes') && values['max-request-bytes'] === 0) {
    return '--max-request-bytes must be >0 (set to 0)';
  }
  const hashCheckMs = values['compact-hash-check-time'];
  if (hashCheckMs <= 0) {
    const shown = `${hashCheckMs < 0 ? '-' : ''}${goDuration(Math.abs(hashCheckMs) * 1e6)}`;
    return `--compact-hash-check-time must be >0 (set to ${shown})`;
  }
  return undefined;
}

const NEVER_NEGATIVE = [
  'backend-batch-interval',
  'backend-batch-limit',
  'compaction-batch-limit',
  'compaction-sleep-interval',
  'corrupt-check-time',
  'downgrade-check-time',
  'max-learners',
  'warning-apply-duration',
  'warning-unary-request-duration',
] as const;

function negativeProblem(values: FlagValues): string | undefined {
  const name = NEVER_NEGATIVE.find((flag) => values[flag] < 0);
  return name && `--${name} must not be negative`;
}

/** Without `--initial-cluster`, the cluster is this member alone under its peer URLs. */
function buildInitialCluster(
  values: FlagValues,
  given: ReadonlySet<string>,
): readonly InitialMember[] | string {
  const name = values.name === '' ? DEFAULT_NAME : values.name;
  const alone = [{ name, peerURLs: texts(values['initial-advertise-peer-urls']) }];
  if (values['discovery-endpoints'].length > 0) return alone;
  const isGiven = given.has('initial-cluster');
  if (!isGiven && replacesInitialCluster(values)) return [];
  if (!isGiven && name !== DEFAULT_NAME) return alone;
  const members = parseInitialCluster(values['initial-cluster']);
  return typeof members === 'string' ? `error setting up initial cluster: ${members}` : members;
}

function buildNotes(values: FlagValues, given: ReadonlySet<string>): LogNote[] {
  const notes: LogNote[] = [];
  const warn = (msg: string, fields: LogNote['fields'] = {}): void => {
    notes.push({ level: 'warn', msg, fields });
  };
  if (values['listen-client-http-urls'].length === 0) {
    warn('Running http and grpc server on single port. This is not recommended for production.');
  }
  if (values.name === DEFAULT_NAME) {
    warn(
      "it isn't recommended to use default name, please set a value for --name. Note that etcd " +
        'might run into issue when multiple members have the same default name',
      { name: values.name },
    );
  }
  const interval = values['watch-progress-notify-interval'];
  if (interval > 0 && interval < PROGRESS_MS_MIN) {
    warn('adjusting watch progress notify interval to minimum period', {
      'min-watch-progress-notify-interval': `${PROGRESS_MS_MIN}ms`,
    });
  }
  if (bcryptCostOf(values) !== values['bcrypt-cost']) {
    warn('use default bcrypt cost instead of the invalid given cost', {
      'min-cost': BCRYPT_COST.min,
      'max-cost': BCRYPT_COST.max,
      'default-cost': BCRYPT_COST.byDefault,
      'given-cost': values['bcrypt-cost'],
    });
  }
  if (values['data-dir'] === '') {
    warn("'data-dir' was empty; using default", { 'data-dir': dataDirOf(values) });
  }
  if (given.has('unsafe-no-fsync') && values['unsafe-no-fsync']) {
    warn('--unsafe-no-fsync is set: data is lost when the machine stops');
  }
  notes.push(...tlsNotes(values));
  return notes;
}

function bcryptCostOf(values: FlagValues): number {
  const cost = values['bcrypt-cost'];
  return cost < BCRYPT_COST.min || cost > BCRYPT_COST.max ? BCRYPT_COST.byDefault : cost;
}

function authConfigOf(values: FlagValues): AuthConfig {
  return {
    token: values['auth-token'],
    simpleTokenTtlMs: (values['auth-token-ttl'] || DEFAULT_TOKEN_TTL_SEC) * 1000,
    bcryptCost: bcryptCostOf(values),
  };
}

function dataDirOf(values: FlagValues): string {
  return values['data-dir'] === '' ? `${values.name}.etcd` : values['data-dir'];
}

function assemble(
  values: FlagValues,
  parts: Pick<ServerConfig, 'log' | 'autoCompaction' | 'initialCluster' | 'tracing'>,
): ServerConfig {
  // As in etcd, what is not positive leaves these at their defaults.
  const progress = Math.max(0, values['watch-progress-notify-interval']);
  return Object.freeze<ServerConfig>({
    name: values.name,
    dataDir: dataDirOf(values),
    walDir: values['wal-dir'],
    socketReusePort: values['socket-reuse-port'],
    listenPeerUrls: values['listen-peer-urls'].map(listenUrl),
    listenClientUrls: values['listen-client-urls'].map(listenUrl),
    listenClientHttpUrls: values['listen-client-http-urls'].map(listenUrl),
    listenMetricsUrls: values['listen-metrics-urls'].map(listenUrl),
    advertisePeerUrls: texts(values['initial-advertise-peer-urls']),
    advertiseClientUrls: texts(values['advertise-client-urls']),
    ...assembleTls(values),
    ...parts,
    initialClusterState: values['initial-cluster-state'],
    initialClusterToken: values['discovery-token'] || values['initial-cluster-token'],
    ...assembleDiscovery(values),
    forceNewCluster: values['force-new-cluster'],
    strictReconfigCheck: values['strict-reconfig-check'],
    maxLearners: values['max-learners'],
    enableGrpcGateway: values['enable-grpc-gateway'],
    http: { hosts: [...values['host-whitelist']].sort(), origins: [...values.cors].sort() },
    heartbeatMs: values['heartbeat-interval'],
    electionMs: values['election-timeout'],
    initialElectionTickAdvance: values['initial-election-tick-advance'],
    preVote: values['pre-vote'],
    snapshotCount: values['snapshot-count'] || DEFAULT_SNAPSHOT_COUNT,
    snapshotCatchupEntries: values['snapshot-catchup-entries'] || DEFAULT_CATCHUP_ENTRIES,
    logBytesMax: LOG_BYTES_MAX,
    ...{ maxSnapshots: values['max-snapshots'], maxWals: values['max-wals'] },
    unsafeNoFsync: values['unsafe-no-fsync'],
    quotaBackendBytes: quotaOf(values['quota-backend-bytes']),
    backendBatchIntervalMs: values['backend-batch-interval'] || DEFAULT_BATCH_INTERVAL_MS,
    backendBatchLimit: values['backend-batch-limit'] || DEFAULT_BATCH_LIMIT,
    compactionBatchLimit: values['compaction-batch-limit'] || DEFAULT_COMPACTION_BATCH,
    compactionSleepIntervalMs: values['compaction-sleep-interval'] || DEFAULT_COMPACTION_SLEEP_MS,
    corruptCheckTimeMs: values['corrupt-check-time'],
    compactHashCheckTimeMs: values['compact-hash-check-time'],
    bootstrapDefragThresholdBytes: values['bootstrap-defrag-threshold-megabytes'] * MEBIBYTE,
    downgradeCheckTimeMs: values['downgrade-check-time'],
    memoryMlock: values['memory-mlock'],
    maxTxnOps: values['max-txn-ops'],
    watchProgressNotifyIntervalMs: Math.max(progress || DEFAULT_PROGRESS_MS, PROGRESS_MS_MIN),
    peerIoTimeoutMs: Math.max(
      values['raft-read-timeout'],
      values['raft-write-timeout'],
      PEER_IO_TIMEOUT_MS_MIN,
    ),
    warningApplyDurationMs: values['warning-apply-duration'],
    warningUnaryRequestDurationMs:
      values['warning-unary-request-duration'] || DEFAULT_WARNING_UNARY_MS,
    grpc: {
      maxRequestBytes: values['max-request-bytes'],
      maxConcurrentStreams: values['max-concurrent-streams'] || STREAMS_MAX,
      keepaliveMinTimeMs: Math.max(0, values['grpc-keepalive-min-time']),
      keepaliveIntervalMs: Math.max(0, values['grpc-keepalive-interval']),
      keepaliveTimeoutMs: Math.max(0, values['grpc-keepalive-timeout']),
    },
    auth: authConfigOf(values),
    enablePprof: values['enable-pprof'],
    metrics: values.metrics === 'extensive' ? 'extensive' : 'basic',
    featureGates: values['feature-gates'],
    maxClusterVersion: values['max-cluster-version'],
  });
}

function quotaOf(bytes: number): number | undefined {
  if (bytes === 0) return DEFAULT_QUOTA_BYTES;
  return bytes < 0 ? undefined : bytes;
}

function listenUrl({ text, scheme, host, port, path }: ParsedUrl): ListenUrl {
  return { text, scheme, host, port, path };
}

function addressOf({ host, port, path }: ParsedUrl): string {
  return `${host}:${port}${path}`;
}

function texts(urls: readonly ParsedUrl[]): string[] {
  return urls.map((url) => url.text);
}

function joined(urls: readonly ParsedUrl[]): string {
  return texts(urls).join(',');
}
