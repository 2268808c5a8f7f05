// The settings of one member, checked and immutable. `parseConfig` makes them from flags and
// environment, `configFromOptions` from the options of a program that embeds the server.

import type { FileRotation } from '../../env/index.ts';
import type { ClusterVersion } from '../../membership/index.ts';
import type { ServiceDiscovery, SrvDiscovery } from './discovery-config.ts';
import type { FeatureGates } from './feature-gates.ts';

/** One address to listen on, taken from a URL flag. */
export interface ListenUrl {
  /** The URL as etcd prints it, such as `https://127.0.0.1:2379` or `unix://etcd.sock`. */
  readonly text: string;
  readonly scheme: 'http' | 'https' | 'unix' | 'unixs';
  /** Host name or IP address without brackets; empty for all interfaces and for Unix sockets. */
  readonly host: string;
  /** 0 to 65535; 0 lets the system choose. */
  readonly port: number;
  /** Path of a Unix socket, else empty. */
  readonly path: string;
}

/** One member named by `--initial-cluster`. */
export interface InitialMember {
  readonly name: string;
  /** Sorted; duplicates removed. */
  readonly peerURLs: readonly string[];
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'panic', 'fatal'] as const;
/** How important a line of the log is, least important first. */
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ['json', 'console'] as const;
/** How lines of the log are written: JSON, or columns for people. */
export type LogFormat = (typeof LOG_FORMATS)[number];

/** The output that is systemd's journal. */
export const JOURNAL_OUTPUT = 'systemd/journal';

export interface LogConfig {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /**
   * `stderr`, `stdout` or file paths, or `JOURNAL_OUTPUT` alone; `default` has become `stderr`. Never empty.
   */
  readonly outputs: readonly string[];
  /** How the one file rotates, if it does. */
  readonly rotation: FileRotation | undefined;
}

export interface GrpcConfig {
  /** Largest client request in bytes; the transport accepts 524,288 more for the envelope. */
  readonly maxRequestBytes: number;
  /** Streams a client may have open on one connection, 1 to 2^32-1. */
  readonly maxConcurrentStreams: number;
  /** Shortest tolerated time between a client's pings. */
  readonly keepaliveMinTimeMs: number;
  /** Time without traffic after which the server pings; 0 means never. */
  readonly keepaliveIntervalMs: number;
  /** How long to wait for the answer to a ping; 0 means without limit. */
  readonly keepaliveTimeoutMs: number;
}

/** Versions of TLS, by Node's names. */
export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** TLS of the client ports, or of peers in both directions. Paths are empty where there is no file. */
export interface EndpointTls {
  readonly certFile: string;
  readonly keyFile: string;
  /** Shown by the side that connects, in place of `certFile`. */
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
  /** Clients must have a certificate; implied by `trustedCaFile`. */
  readonly clientCertAuth: boolean;
  readonly trustedCaFile: string;
  readonly crlFile: string;
  /** Empty: any. Not together with `allowedHostnames`. */
  readonly allowedCommonNames: readonly string[];
  readonly allowedHostnames: readonly string[];
  /** Without files: the member makes its own certificate. */
  readonly generates: boolean;
  /** The names in a certificate are not compared with the address: of a peer, or at metrics URLs. */
  readonly skipsSanVerification: boolean;
}

/** What holds for TLS everywhere. */
interface TlsLimits {
  /** Go's names; empty: Node's secure suites. */
  readonly cipherSuites: readonly string[];
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** Of certificates that the member makes. */
  readonly selfSignedYears: number;
}

/** Of users and their tokens. */
export interface AuthConfig {
  /** `--auth-token` as it was given; see `auth/token-option.ts`. */
  readonly token: string;
  /** How long a simple token lives after its last use. */
  readonly simpleTokenTtlMs: number;
  /** Of hashing a password, 4 to 31. */
  readonly bcryptCost: number;
}

/** Where spans of requests go (OTLP over gRPC, without TLS), and as what. */
export interface TracingConfig {
  readonly address: {
    readonly host: string;
    readonly port: number;
    /** Of a Unix socket, in place of both. */
    readonly path?: string;
  };
  readonly serviceName: string;
  /** Empty: none is told. */
  readonly instanceId: string;
  /** Of a million requests whose clients do not say, 0 to 1,000,000. */
  readonly samplesPerMillion: number;
}

/** Which requests of browsers are served on client URLs; `*` among them: all. */
export interface HttpAccessConfig {
  /** Names that a request without TLS may have in `Host`. */
  readonly hosts: readonly string[];
  /** Origins whose pages may read answers. */
  readonly origins: readonly string[];
}

export interface AutoCompactionConfig {
  readonly mode: 'periodic' | 'revision';
  /** History that is kept: milliseconds, or revisions. 0: nothing is compacted by itself. */
  readonly retention: number;
}

/** Whole heartbeats in an election timeout. */
export function electionTicks(config: Pick<ServerConfig, 'electionMs' | 'heartbeatMs'>): number {
  return Math.floor(config.electionMs / config.heartbeatMs);
}

export interface ServerConfig {
  readonly name: string;
  /** Relative paths are relative to the working directory. */
  readonly dataDir: string;
  /** Directory of the write-ahead log; empty means `<dataDir>/member/wal`. */
  readonly walDir: string;

  /** Other processes may listen at the same TCP ports. */
  readonly socketReusePort: boolean;
  readonly listenPeerUrls: readonly ListenUrl[];
  /** Empty only if the flag was given empty. */
  readonly listenClientUrls: readonly ListenUrl[];
  /** When not empty, HTTP is served here and `listenClientUrls` serve gRPC only. */
  readonly listenClientHttpUrls: readonly ListenUrl[];
  /** Further addresses that serve metrics and health only. */
  readonly listenMetricsUrls: readonly ListenUrl[];
  /** Sorted; duplicates removed. */
  readonly advertisePeerUrls: readonly string[];
  /** Sorted; duplicates removed. */
  readonly advertiseClientUrls: readonly string[];

  readonly clientTls: EndpointTls;
  readonly peerTls: EndpointTls;
  readonly tls: TlsLimits;

  /**
   * Used for the first start only. Sorted by name. With `serviceDiscovery` this member alone, with
   * `srvDiscovery` empty: the others are found at the start.
   */
  readonly initialCluster: readonly InitialMember[];
  /** Not together with `serviceDiscovery`. */
  readonly srvDiscovery: SrvDiscovery | undefined;
  readonly serviceDiscovery: ServiceDiscovery | undefined;
  readonly initialClusterState: 'new' | 'existing';
  readonly initialClusterToken: string;
  /** Go on alone with what is in the directory: every other member is removed. */
  readonly forceNewCluster: boolean;
  readonly strictReconfigCheck: boolean;
  readonly maxLearners: number;

  /** Whether client addresses serve JSON under `/v3/`. */
  readonly enableGrpcGateway: boolean;
  readonly http: HttpAccessConfig;

  /** One raft tick. At least 1. */
  readonly heartbeatMs: number;
  /** At least five heartbeats, at most 50,000. */
  readonly electionMs: number;
  readonly initialElectionTickAdvance: boolean;
  readonly preVote: boolean;

  /** Applied entries between two snapshots on disk. */
  readonly snapshotCount: number;
  /** Entries kept in memory behind a snapshot for slow followers. */
  readonly snapshotCatchupEntries: number;
  /** Bytes of these, at most, and about what is in the log behind the newest snapshot. No flag sets it. */
  readonly logBytesMax: number;
  /** `.snap` files kept; 0 keeps all. */
  readonly maxSnapshots: number;
  /** Segments of the log kept; 0 keeps all. */
  readonly maxWals: number;
  readonly unsafeNoFsync: boolean;

  /** Bytes the backend may take. 0 on the command line has become 2 GiB; undefined: no limit. */
  readonly quotaBackendBytes: number | undefined;
  readonly backendBatchIntervalMs: number;
  readonly backendBatchLimit: number;
  readonly autoCompaction: AutoCompactionConfig;
  readonly compactionBatchLimit: number;
  readonly compactionSleepIntervalMs: number;
  /** Interval at which the leader compares the keys of all members; 0: never. */
  readonly corruptCheckTimeMs: number;
  /** Interval at which the leader compares checksums of compactions, with the gate CompactHashCheck. */
  readonly compactHashCheckTimeMs: number;
  /** Free bytes of the database from which it is defragmented at start; 0: never. */
  readonly bootstrapDefragThresholdBytes: number;
  /** Interval at which the leader looks whether a downgrade is complete; 0: never. */
  readonly downgradeCheckTimeMs: number;
  /** Keep the database file in memory. */
  readonly memoryMlock: boolean;
  readonly maxTxnOps: number;

  readonly watchProgressNotifyIntervalMs: number;
  /** Silence after which a link to another member counts as broken; at least 5,000. */
  readonly peerIoTimeoutMs: number;
  readonly warningApplyDurationMs: number;
  readonly warningUnaryRequestDurationMs: number;

  readonly grpc: GrpcConfig;
  readonly auth: AuthConfig;
  /** `extensive` adds the latency histogram of every gRPC method. */
  readonly metrics: 'basic' | 'extensive';
  /** Whether client addresses serve profiles under `/debug/pprof/`. */
  readonly enablePprof: boolean;
  /** Undefined: nothing is traced. */
  readonly tracing: TracingConfig | undefined;
  readonly log: LogConfig;
  readonly featureGates: FeatureGates;
  /** Ours: hold the cluster version at this release; undefined: no limit but our own release. */
  readonly maxClusterVersion: ClusterVersion | undefined;
}
