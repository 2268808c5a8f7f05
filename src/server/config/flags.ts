// The table of flags: one row each. Names, kinds and defaults are etcd 3.7's; the words are ours.

import { goQuote } from '../../base/index.ts';
import {
  type ClusterVersion,
  compareVersions,
  formatVersion,
  OLDEST_CLUSTER_VERSION,
  parseVersion,
  SERVER_VERSION,
} from '../../membership/index.ts';
import { DISCOVERY_FLAGS } from './discovery-flags.ts';
import { DEFAULT_FEATURE_GATES, FEATURE_GATE_NAMES } from './feature-gates.ts';
import { FILE_SETTINGS } from './file-settings.ts';
import {
  boolFlag,
  choiceFlag,
  durationFlag,
  type FlagValue,
  featureGatesFlag,
  intFlag,
  optionalFlag,
  originsFlag,
  stringFlag,
  stringsFlag,
  uint32Flag,
  uintFlag,
  urlsFlag,
} from './flag-types.ts';
import { DEFAULT_LOG_ROTATION } from './log-rotation.ts';
import { TLS_FLAGS } from './tls-flags.ts';
import type { Parsed } from './values.ts';

const HELD_VERSIONS = [OLDEST_CLUSTER_VERSION, SERVER_VERSION].map(formatVersion).join(' to ');

export const FLAGS = {
  name: stringFlag('default', {
    group: 'member',
    help: 'Name of this member, for people; also its key in --initial-cluster.',
  }),
  'data-dir': stringFlag('', {
    group: 'member',
    help: 'Directory that holds all data. Empty means <name>.etcd in the working directory.',
  }),
  'wal-dir': stringFlag('', {
    group: 'member',
    help: 'Directory of the write-ahead log, if it shall lie elsewhere (on its own disk, say).',
  }),
  'snapshot-count': uintFlag(10_000, {
    group: 'member',
    help: 'Number of applied entries after which a snapshot is taken.',
  }),
  'heartbeat-interval': uintFlag(100, {
    group: 'member',
    help: "Milliseconds between a leader's heartbeats.",
  }),
  'election-timeout': uintFlag(1_000, {
    group: 'member',
    help: 'Milliseconds without a leader before an election: at least 5 heartbeats, at most 50000.',
  }),
  'raft-read-timeout': durationFlag('5s', {
    group: 'member',
    help:
      'How long a link to another member may be silent, and how long what is sent may wait there: ' +
      'the longer of this and --raft-write-timeout, at least 5s.',
  }),
  'raft-write-timeout': durationFlag('5s', { group: 'member', help: 'See --raft-read-timeout.' }),
  'initial-election-tick-advance': boolFlag(true, {
    group: 'member',
    help: 'Whether to hold the first election sooner after the start.',
  }),
  'enable-grpc-gateway': boolFlag(true, {
    group: 'member',
    help: 'Whether client addresses serve the API as JSON, under /v3/.',
  }),
  'listen-peer-urls': urlsFlag('http://localhost:2380', {
    group: 'member',
    help: 'Addresses to listen on for other members.',
  }),
  'listen-client-urls': urlsFlag('http://localhost:2379', {
    group: 'member',
    help:
      'Addresses to listen on for clients: gRPC, and HTTP unless ' +
      '--listen-client-http-urls is given.',
  }),
  'listen-client-http-urls': urlsFlag('', {
    group: 'member',
    help: 'Addresses to listen on for HTTP only; --listen-client-urls then serve gRPC only.',
  }),
  'max-snapshots': uintFlag(5, {
    group: 'member',
    help: 'Number of .snap files to keep (0: all). Deprecated.',
    deprecation: '--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8.',
  }),
  'max-wals': uintFlag(5, {
    group: 'member',
    help: 'Number of segments of the write-ahead log to keep (0: all).',
  }),
  'quota-backend-bytes': intFlag(0, {
    group: 'member',
    help:
      'Bytes that the database may take before writes are refused. 0 means 2 ' +
      'GiB, a negative number no limit.',
  }),
  'backend-batch-interval': durationFlag('0s', {
    group: 'member',
    help: 'Longest time before changes are committed to the database file. 0 means 100ms.',
  }),
  'backend-batch-limit': intFlag(0, {
    group: 'member',
    help: 'Number of changes after which they are committed to the database file. 0 means 10000.',
  }),
  'max-txn-ops': uintFlag(128, {
    group: 'member',
    help: 'Largest number of operations in one transaction.',
  }),
  'max-request-bytes': uintFlag(1_572_864, {
    group: 'member',
    help: 'Size in bytes of the largest request that a client may send.',
  }),
  'max-concurrent-streams': uint32Flag(4_294_967_295, {
    group: 'member',
    help: 'Number of streams that a client may have open on one connection.',
  }),
  'grpc-keepalive-min-time': durationFlag('5s', {
    group: 'member',
    help:
      "Shortest time between a client's pings; a client that pings faster is disconnected. " +
      '0 means 5m0s.',
  }),
  'grpc-keepalive-interval': durationFlag('2h0m0s', {
    group: 'member',
    help: 'Time without traffic after which the server pings a client. 0 means 2h0m0s.',
  }),
  'grpc-keepalive-timeout': durationFlag('20s', {
    group: 'member',
    help:
      'How long to wait for the answer to a ping before closing the connection. 0 means 20s, ' +
      'and an interval of 2h0m0s.',
  }),
  'socket-reuse-address': boolFlag(false, {
    group: 'member',
    help: 'Accepted for compatibility: the runtime always sets SO_REUSEADDR where that is safe.',
  }),
  'socket-reuse-port': boolFlag(false, {
    group: 'member',
    help:
      'Share the ports with other processes that do so, too (SO_REUSEPORT). Needs Node.js 22.12 or ' +
      'the package node-unix-socket.',
  }),
  'feature-gates': featureGatesFlag(DEFAULT_FEATURE_GATES, {
    group: 'member',
    help:
      `Gates to open or close, as Name=bool[,Name=bool...]. Known: AllAlpha, ` +
      `AllBeta, ${FEATURE_GATE_NAMES.join(', ')}.`,
  }),

  'initial-advertise-peer-urls': urlsFlag('http://localhost:2380', {
    group: 'clustering',
    help: 'Addresses under which other members reach this one.',
  }),
  'initial-cluster': stringFlag('default=http://localhost:2380', {
    group: 'clustering',
    help:
      'The members of a new cluster: name=peerURL, comma separated. Used for ' +
      'the first start only.',
  }),
  'initial-cluster-state': choiceFlag(['new', 'existing'], {
    group: 'clustering',
    help: "'new' to found a cluster, 'existing' to join one. Used for the first start only.",
  }),
  'initial-cluster-token': stringFlag('etcd-cluster', {
    group: 'clustering',
    help: 'Text that makes the ids of a new cluster differ from those of all others.',
  }),
  'advertise-client-urls': urlsFlag('http://localhost:2379', {
    group: 'clustering',
    help: 'Addresses under which clients reach this member. Required with --listen-client-urls.',
  }),
  ...DISCOVERY_FLAGS,
  'strict-reconfig-check': boolFlag(true, {
    group: 'clustering',
    help: 'Whether to refuse a change of members that could cost the quorum.',
  }),
  'pre-vote': boolFlag(true, {
    group: 'clustering',
    help: 'Whether a member asks if it could win before it calls an election.',
  }),

  'auth-token': stringFlag('simple', {
    group: 'auth',
    help:
      "Kind of the tokens that a login gives: 'simple', or 'jwt,sign-method=ALGORITHM', with " +
      "',priv-key=FILE' to issue them, ',pub-key=FILE' to take those of others, ',ttl=DURATION'.",
  }),
  'auth-token-ttl': uintFlag(300, {
    group: 'auth',
    help: 'Seconds that a simple token lives after its last use. 0 means 300.',
  }),
  'bcrypt-cost': uintFlag(10, {
    group: 'auth',
    help: 'Cost of hashing a password, 4 to 31: one more takes twice the time.',
  }),

  metrics: stringFlag('basic', {
    group: 'monitoring',
    help: "'extensive' adds a latency histogram of every gRPC method.",
  }),
  'listen-metrics-urls': urlsFlag('', {
    group: 'monitoring',
    help: 'More addresses that serve /metrics and /health, and nothing else.',
  }),

  'enable-pprof': boolFlag(false, {
    group: 'monitoring',
    help: 'Whether client addresses serve profiles, under /debug/pprof/.',
  }),

  'enable-distributed-tracing': boolFlag(false, {
    group: 'tracing',
    help: 'Whether spans of requests are sent to a collector of OpenTelemetry.',
  }),
  'distributed-tracing-address': stringFlag('localhost:4317', {
    group: 'tracing',
    help: 'Address of the collector, which takes OTLP over gRPC without TLS.',
  }),
  'distributed-tracing-service-name': stringFlag('etcd', {
    group: 'tracing',
    help: 'Name of the service in the traces: the same for all members.',
  }),
  'distributed-tracing-instance-id': stringFlag('', {
    group: 'tracing',
    help: 'Id of this member in the traces: another one for each member.',
  }),
  'distributed-tracing-sampling-rate': intFlag(0, {
    group: 'tracing',
    help:
      'How many of a million requests are traced, of those whose clients do not say. 0 means only ' +
      'requests that their clients trace.',
  }),

  ...TLS_FLAGS,
  cors: originsFlag({
    group: 'security',
    help: "Origins (http://host:port) whose pages may read what HTTP answers, comma separated; '*' is all.",
  }),
  'host-whitelist': stringsFlag('*', {
    group: 'security',
    help:
      "Names of this host that HTTP requests without TLS may be for, comma separated; '*' is any. " +
      'Keeps out pages that have their own name resolve to this host.',
  }),

  logger: stringFlag('zap', {
    group: 'logging',
    help: "Only 'zap' is accepted: it names the form of the log, which is that of zap.",
  }),
  'log-outputs': stringsFlag('default', {
    group: 'logging',
    help:
      "Where to log: 'stderr' (or 'default'), 'stdout', or paths of files, comma separated; or " +
      "'systemd/journal' alone.",
  }),
  'log-level': stringFlag('info', {
    group: 'logging',
    help: 'Least important level that is logged: debug, info, warn, error, panic or fatal.',
  }),
  'log-format': stringFlag('json', {
    group: 'logging',
    help: "'json' for one JSON object per line, 'console' for people.",
  }),
  'enable-log-rotation': boolFlag(false, {
    group: 'logging',
    help: 'Replaces the file of --log-outputs when it is full, and keeps former ones. One file at most.',
  }),
  'log-rotation-config-json': stringFlag(DEFAULT_LOG_ROTATION, {
    group: 'logging',
    help:
      'maxsize: megabytes of the file; maxage, maxbackups: days and number of former ones that are ' +
      'kept (0: all); localtime: in their names; compress: with gzip.',
  }),
  'warning-unary-request-duration': durationFlag('300ms', {
    group: 'logging',
    help: 'A request that takes longer is logged as a warning. 0 means 300ms.',
  }),

  'auto-compaction-mode': stringFlag('periodic', {
    group: 'features',
    help:
      "What --auto-compaction-retention counts: 'periodic' for a time, 'revision' for a number of " +
      'revisions.',
  }),
  'auto-compaction-retention': stringFlag('0', {
    group: 'features',
    help:
      'How much history automatic compaction keeps: a duration (a number alone counts hours), or a ' +
      'number of revisions. 0 means no automatic compaction.',
  }),
  'compaction-batch-limit': intFlag(0, {
    group: 'features',
    help: 'Number of revisions that compaction removes at a time. 0 means 1000.',
  }),
  'compaction-sleep-interval': durationFlag('0s', {
    group: 'features',
    help: 'How long compaction pauses after each batch. 0 means 10ms.',
  }),
  'corrupt-check-time': durationFlag('0s', {
    group: 'features',
    help: 'How often the leader compares the keys of all members. 0 means never.',
  }),
  'compact-hash-check-time': durationFlag('1m0s', {
    group: 'features',
    help:
      'How often the leader compares the checksums that members made when they compacted, with the ' +
      'feature gate CompactHashCheck.',
  }),
  'bootstrap-defrag-threshold-megabytes': uintFlag(0, {
    group: 'features',
    help:
      'Mebibytes that a defragmentation of the database must give back to be made at start. ' +
      '0 means never.',
  }),
  'memory-mlock': boolFlag(false, {
    group: 'features',
    help:
      'Keep the database file in memory: its pages are locked. Needs Linux, the package ffi-rs and a ' +
      'high enough ulimit -l.',
  }),
  'backend-bbolt-freelist-type': stringFlag('', {
    group: 'features',
    help: 'Accepted for compatibility: how free pages are kept in memory changes no file.',
  }),
  'max-learners': intFlag(1, {
    group: 'features',
    help: 'Largest number of members that are learners.',
  }),
  'snapshot-catchup-entries': uintFlag(5_000, {
    group: 'features',
    help: 'Number of entries kept in memory behind a snapshot, for followers that lag.',
  }),
  'warning-apply-duration': durationFlag('100ms', {
    group: 'features',
    help: 'An entry that takes longer to apply is logged as a warning.',
  }),
  'watch-progress-notify-interval': durationFlag('0s', {
    group: 'features',
    help: 'How often an idle watch reports its progress. 0 means 10m; less than 100ms means 100ms.',
  }),

  'downgrade-check-time': durationFlag('5s', {
    group: 'features',
    help: 'How often the leader looks whether a downgrade is complete. 0 means never.',
  }),

  'max-cluster-version': optionalFlag(parseHeldVersion, {
    group: 'compatibility',
    help:
      'Hold the cluster version at this release (MAJOR.MINOR), so that an etcd of that release ' +
      `can take the data directory over: ${HELD_VERSIONS}. Not a flag of etcd.`,
  }),
  'v2-deprecation': optionalFlag(parseV2Deprecation, {
    group: 'compatibility',
    help: 'Accepted for compatibility, without effect.',
    deprecation:
      '--v2-deprecation is deprecated and scheduled for removal in v3.8. ' +
      'The default value is enforced, ignoring user input.',
  }),

  'force-new-cluster': boolFlag(false, {
    group: 'unsafe',
    help:
      'Start alone with what the data directory holds: uncommitted entries are discarded, the ' +
      'other members removed.',
  }),
  'unsafe-no-fsync': boolFlag(false, {
    group: 'unsafe',
    help: 'Never wait for the disk. Data is lost when the machine stops.',
  }),

  'config-file': stringFlag('', {
    group: 'misc',
    help: 'File with the settings, as YAML; other flags and the environment are ignored then.',
  }),
  version: boolFlag(false, { group: 'misc', help: 'Print versions and exit.' }),
} as const;

/** With those of a configuration file alone. */
export const SETTINGS = { ...FLAGS, ...FILE_SETTINGS } as const;

export type FlagName = keyof typeof FLAGS;
export type SettingName = keyof typeof SETTINGS;
export type FlagValues = { readonly [Name in SettingName]: FlagValue<(typeof SETTINGS)[Name]> };

export function isFlagName(name: string): name is FlagName {
  return Object.hasOwn(FLAGS, name);
}

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}

/** Names from etcd's past: taken as truth values, without effect. */
export const IGNORED_FLAGS: ReadonlySet<string> = new Set([
  'cluster-active-size',
  'cluster-remove-delay',
  'cluster-sync-interval',
  'config',
  'force',
  'max-result-buffer',
  'max-retry-attempts',
  'peer-heartbeat-interval',
  'peer-election-timeout',
  'retry-interval',
  'snapshot',
  'v',
  'vv',
  'test.coverprofile',
  'test.outputdir',
]);

function parseHeldVersion(text: string): Parsed<ClusterVersion> {
  const value = parseVersion(text);
  const isKnown =
    value !== undefined &&
    compareVersions(value, OLDEST_CLUSTER_VERSION) >= 0 &&
    compareVersions(value, SERVER_VERSION) <= 0;
  if (isKnown) return { value };
  return { reason: `must be MAJOR.MINOR from ${HELD_VERSIONS}` };
}

const V2_DEPRECATION_STAGES: ReadonlySet<string> = new Set([
  'write-only',
  'write-only-skip-check',
  'write-only-drop-data',
  'gone',
]);

function parseV2Deprecation(text: string): Parsed<string> {
  const unknown = text.split(',').find((stage) => !V2_DEPRECATION_STAGES.has(stage));
  return unknown === undefined ? { value: text } : { reason: `invalid value ${goQuote(unknown)}` };
}
