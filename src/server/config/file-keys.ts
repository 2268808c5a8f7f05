// The keys of a configuration file: the flag that each stands for, and its type in etcd, which is named
// when a value has another one. Facts: etcd v3.7.1 `server/embed/config.go`.

export const VALUE_TYPES = {
  string: 'string',
  bool: 'bool',
  uint: 'uint',
  uint32: 'uint32',
  uint64: 'uint64',
  int: 'int',
  int64: 'int64',
  /** Nanoseconds. */
  duration: 'time.Duration',
  strings: '[]string',
  v2Deprecation: 'config.V2DeprecationEnum',
} as const;
export type ValueType = (typeof VALUE_TYPES)[keyof typeof VALUE_TYPES];

/** A key with a value. */
export interface ValueKey {
  readonly type: ValueType;
  /** The flag, or the setting of a file alone. */
  readonly flag: string;
}

/** A key with keys of its own. */
export interface Section {
  /** The type in etcd. */
  readonly type: string;
  readonly keys: Readonly<Record<string, FileKey>>;
}

export interface FileKey {
  /** What Go puts before the key's name when it names a field of the outermost type. */
  readonly owner?: string;
  readonly value?: ValueKey;
  readonly section?: Section;
}

function flags(owner: string, type: ValueType, names: string): [string, FileKey][] {
  return names
    .trim()
    .split(/\s+/)
    .map((name) => [name, { owner, value: { type, flag: name } }]);
}

type Row = readonly [type: ValueType, flag: string];

function isSection(key: Row | Section): key is Section {
  return !Array.isArray(key);
}

/** Keys of a section, as `key: [type, flag]`. */
function section(type: string, keys: Readonly<Record<string, Row | Section>>): Section {
  const entries = Object.entries(keys).map(([name, key]): [string, FileKey] => [
    name,
    isSection(key) ? { section: key } : { value: { type: key[0], flag: key[1] } },
  ]);
  return { type, keys: Object.fromEntries(entries) };
}

const { string, bool, uint, uint32, uint64, int, int64, duration, strings } = VALUE_TYPES;

/** Keys whose flags have other names, or that no flag stands for. */
type Others = Readonly<
  Record<'allowed-cn' | 'allowed-hostname' | 'skip-client-san-verification', string>
>;

/** `prefix` is that of the side's flags. */
function transportSecurity(prefix: '' | 'peer-', others: Others): Section {
  const flag = (name: string): string => `${prefix}${name}`;
  return section('embed.securityConfig', {
    'cert-file': [string, flag('cert-file')],
    'key-file': [string, flag('key-file')],
    'client-cert-file': [string, flag('client-cert-file')],
    'client-key-file': [string, flag('client-key-file')],
    'client-cert-auth': [bool, flag('client-cert-auth')],
    'trusted-ca-file': [string, flag('trusted-ca-file')],
    'auto-tls': [bool, flag('auto-tls')],
    'allowed-cn': [strings, others['allowed-cn']],
    'allowed-hostname': [strings, others['allowed-hostname']],
    'skip-client-san-verification': [bool, others['skip-client-san-verification']],
  });
}

const DISCOVERY = section('v3discovery.DiscoveryConfig', {
  token: [string, 'discovery-token'],
  client: section('clientv3.ConfigSpec', {
    endpoints: [strings, 'discovery-endpoints'],
    'request-timeout': [duration, 'discovery-request-timeout'],
    'dial-timeout': [duration, 'discovery-dial-timeout'],
    'keepalive-time': [duration, 'discovery-keepalive-time'],
    'keepalive-timeout': [duration, 'discovery-keepalive-timeout'],
    'max-request-bytes': [int, 'discovery-config.client.max-request-bytes'],
    'max-recv-bytes': [int, 'discovery-config.client.max-recv-bytes'],
    secure: section('clientv3.SecureConfig', {
      cert: [string, 'discovery-cert'],
      key: [string, 'discovery-key'],
      cacert: [string, 'discovery-cacert'],
      'server-name': [string, 'discovery-config.client.secure.server-name'],
      'insecure-transport': [bool, 'discovery-insecure-transport'],
      'insecure-skip-tls-verify': [bool, 'discovery-insecure-skip-tls-verify'],
    }),
    auth: section('clientv3.AuthConfig', {
      username: [string, 'discovery-user'],
      password: [string, 'discovery-password'],
      token: [string, 'discovery-config.client.auth.token'],
    }),
  }),
});

/** Where etcd reads texts that it makes URLs and gates of afterwards. */
const TEXTS = 'configJSON';
const CONFIG = 'Config';

export const FILE_KEYS: Readonly<Record<string, FileKey>> = Object.fromEntries([
  ...flags(
    CONFIG,
    string,
    `name data-dir wal-dir initial-cluster initial-cluster-state initial-cluster-token
    discovery-srv discovery-srv-name
    auto-compaction-mode auto-compaction-retention auth-token metrics
    listen-metrics-urls logger log-level log-format log-rotation-config-json tls-min-version
    tls-max-version backend-bbolt-freelist-type distributed-tracing-address
    distributed-tracing-service-name distributed-tracing-instance-id`,
  ),
  ...flags(
    CONFIG,
    bool,
    `initial-election-tick-advance strict-reconfig-check pre-vote force-new-cluster enable-pprof
    enable-distributed-tracing enable-log-rotation enable-grpc-gateway unsafe-no-fsync
    memory-mlock`,
  ),
  ...flags(
    CONFIG,
    uint,
    `max-snapshots max-wals heartbeat-interval election-timeout max-txn-ops max-request-bytes
    self-signed-cert-validity bcrypt-cost auth-token-ttl bootstrap-defrag-threshold-megabytes`,
  ),
  ...flags(CONFIG, uint64, 'snapshot-count snapshot-catchup-entries'),
  ...flags(CONFIG, uint32, 'max-concurrent-streams'),
  ...flags(
    CONFIG,
    int,
    'backend-batch-limit compaction-batch-limit max-learners distributed-tracing-sampling-rate',
  ),
  ...flags(CONFIG, int64, 'quota-backend-bytes'),
  ...flags(
    CONFIG,
    duration,
    `backend-batch-interval grpc-keepalive-min-time grpc-keepalive-interval grpc-keepalive-timeout
    corrupt-check-time compact-hash-check-time compaction-sleep-interval
    watch-progress-notify-interval warning-apply-duration warning-unary-request-duration
    downgrade-check-time`,
  ),
  ...flags(CONFIG, strings, 'cipher-suites log-outputs'),
  ...flags(CONFIG, VALUE_TYPES.v2Deprecation, 'v2-deprecation'),
  ...flags(
    TEXTS,
    string,
    `listen-peer-urls listen-client-urls listen-client-http-urls initial-advertise-peer-urls
    advertise-client-urls cors host-whitelist feature-gates`,
  ),
  ['discovery-config', { owner: CONFIG, section: DISCOVERY }],
  [
    'socket-options',
    {
      owner: CONFIG,
      section: section('transport.SocketOpts', {
        'reuse-port': [bool, 'socket-reuse-port'],
        'reuse-address': [bool, 'socket-reuse-address'],
      }),
    },
  ],
  [
    'client-transport-security',
    {
      owner: TEXTS,
      section: transportSecurity('', {
        'allowed-cn': 'client-transport-security.allowed-cn',
        'allowed-hostname': 'client-cert-allowed-hostname',
        'skip-client-san-verification': 'client-transport-security.skip-client-san-verification',
      }),
    },
  ],
  [
    'peer-transport-security',
    {
      owner: TEXTS,
      section: transportSecurity('peer-', {
        'allowed-cn': 'peer-cert-allowed-cn',
        'allowed-hostname': 'peer-cert-allowed-hostname',
        'skip-client-san-verification': 'peer-skip-client-san-verification',
      }),
    },
  ],
]);
