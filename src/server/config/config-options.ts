// The settings of a member as a program gives them: etcd's flags with their names in camelCase.
// A time is a number of milliseconds, a list an array. What each means: `tetcd --help`.

import type { FeatureGateName } from './feature-gates.ts';
import type { LogFormat, LogLevel } from './server-config.ts';

/** All optional, with the defaults of the flags; `undefined` is as if left out. */
export interface ConfigOptions {
  /** Name of this member, for people; also its key in `initialCluster`. Default `default`. */
  readonly name?: string | undefined;
  /** Directory that holds all data. Default `<name>.etcd` in the working directory. */
  readonly dataDir?: string | undefined;
  /** Directory of the write-ahead log. Default `member/wal` in the data directory. */
  readonly walDir?: string | undefined;

  /**
   * URLs to serve clients at (`http://127.0.0.1:2379`, `unix://path`, encrypted `https` and `unixs`):
   * gRPC, and HTTP unless `listenClientHttpUrls` is given. Port 0 is replaced by a free one.
   * Default `http://localhost:2379`.
   */
  readonly listenClientUrls?: readonly string[] | undefined;
  /** Share TCP ports with other processes that do so, too (SO_REUSEPORT). Default false. */
  readonly socketReusePort?: boolean | undefined;
  /** URLs that serve HTTP only; `listenClientUrls` then serve gRPC only. Default none. */
  readonly listenClientHttpUrls?: readonly string[] | undefined;
  /** More URLs that serve `/metrics` and `/health` only. Default none. */
  readonly listenMetricsUrls?: readonly string[] | undefined;
  /** URLs where other members reach this one. Default `http://localhost:2380`. */
  readonly listenPeerUrls?: readonly string[] | undefined;
  /**
   * URLs under which clients reach this member. Default: where it listens, unless that is no single
   * address, such as `0.0.0.0`; then they must be given.
   */
  readonly advertiseClientUrls?: readonly string[] | undefined;
  /** URLs under which other members reach this one. Default: where it listens for them. */
  readonly initialAdvertisePeerUrls?: readonly string[] | undefined;

  /** Certificate to serve clients with: a PEM file, its issuers after it. Read again when it changes. */
  readonly certFile?: string | undefined;
  /** Private key of `certFile`. */
  readonly keyFile?: string | undefined;
  /** Clients must have a certificate; `trustedCaFile` means so, too. Default false. */
  readonly clientCertAuth?: boolean | undefined;
  /** Checked, and otherwise without effect. */
  readonly clientCertFile?: string | undefined;
  /** Private key of `clientCertFile`. */
  readonly clientKeyFile?: string | undefined;
  /** Authorities that issue the certificates of clients. */
  readonly trustedCaFile?: string | undefined;
  /** Revocation list: clients whose certificates it has are refused. PEM or DER. */
  readonly clientCrlFile?: string | undefined;
  /** Host names for one of which the certificate of a client must be. Default any. */
  readonly clientCertAllowedHostname?: readonly string[] | undefined;
  /** Serve clients with a certificate that the member makes, if `certFile` is not given. */
  readonly autoTls?: boolean | undefined;
  /** Encrypt between members with certificates that they make, and nobody verifies. Default false. */
  readonly peerAutoTls?: boolean | undefined;
  /** Years that such certificates are valid. Default 1. */
  readonly selfSignedCertValidity?: number | undefined;
  /** Certificate to serve other members with. */
  readonly peerCertFile?: string | undefined;
  /** Private key of `peerCertFile`. */
  readonly peerKeyFile?: string | undefined;
  /** Other members must have a certificate; `peerTrustedCaFile` means so, too. Default false. */
  readonly peerClientCertAuth?: boolean | undefined;
  /** Certificate shown to the members that this one connects to. Default `peerCertFile`. */
  readonly peerClientCertFile?: string | undefined;
  /** Private key of `peerClientCertFile`. */
  readonly peerClientKeyFile?: string | undefined;
  /** Authorities that issue the certificates of members. */
  readonly peerTrustedCaFile?: string | undefined;
  /** Common names of which the certificate of a member must have one. Default any. */
  readonly peerCertAllowedCn?: readonly string[] | undefined;
  /** Host names for one of which the certificate of a member must be. Default any. */
  readonly peerCertAllowedHostname?: readonly string[] | undefined;
  /** Revocation list: members whose certificates it has are refused. PEM or DER. */
  readonly peerCrlFile?: string | undefined;
  /** Do not compare the names in the certificate of a member with its address. Default false. */
  readonly peerSkipClientSanVerification?: boolean | undefined;
  /** Cipher suites of TLS 1.2, by the names that Go gives them. Default: good ones. */
  readonly cipherSuites?: readonly string[] | undefined;
  /** Oldest version of TLS. Default `TLS1.2`. */
  readonly tlsMinVersion?: 'TLS1.2' | 'TLS1.3' | undefined;
  /** Newest version of TLS. Default: the newest there is. */
  readonly tlsMaxVersion?: 'TLS1.2' | 'TLS1.3' | undefined;

  /** `name=peerURL,...` of a new cluster, for the first start. Default: this member alone. */
  readonly initialCluster?: string | undefined;
  /** `new` (default) to found a cluster, `existing` to join one. For the first start. */
  readonly initialClusterState?: 'new' | 'existing' | undefined;
  /** Makes the ids of a new cluster differ from those of all others. Default `etcd-cluster`. */
  readonly initialClusterToken?: string | undefined;
  /** Domain whose SRV records name the members, in place of `initialCluster`. For the first start. */
  readonly discoverySrv?: string | undefined;
  /** Suffix of the names of services in those records. */
  readonly discoverySrvName?: string | undefined;
  /**
   * Client addresses of another cluster, where the members of a new one find each other, in place of
   * `initialCluster`; with `discoveryToken`. For the first start.
   */
  readonly discoveryEndpoints?: readonly string[] | undefined;
  /** Name of the new cluster there. */
  readonly discoveryToken?: string | undefined;
  /** Milliseconds for a connection there. Default 2,000. */
  readonly discoveryDialTimeout?: number | undefined;
  /** Milliseconds for a request there. Default 5,000. */
  readonly discoveryRequestTimeout?: number | undefined;
  /** Milliseconds of silence after which a connection there is probed, at least 10,000. */
  readonly discoveryKeepaliveTime?: number | undefined;
  /** Milliseconds after which a probed connection is given up. Default 6,000. */
  readonly discoveryKeepaliveTimeout?: number | undefined;
  /** No TLS unless certificates or `https://` addresses are given. Default true. */
  readonly discoveryInsecureTransport?: boolean | undefined;
  /** Take any certificate there. Default false. */
  readonly discoveryInsecureSkipTlsVerify?: boolean | undefined;
  /** Certificate shown there: a PEM file. */
  readonly discoveryCert?: string | undefined;
  /** Private key of `discoveryCert`. */
  readonly discoveryKey?: string | undefined;
  /** Authorities that vouch for the other cluster: a PEM file. */
  readonly discoveryCacert?: string | undefined;
  /** Name of a user there. */
  readonly discoveryUser?: string | undefined;
  /** Password of `discoveryUser`. */
  readonly discoveryPassword?: string | undefined;
  /** Start alone with what the directory holds; the other members are removed. Default false. */
  readonly forceNewCluster?: boolean | undefined;
  /** Refuse a change of members that could cost the quorum. Default true. */
  readonly strictReconfigCheck?: boolean | undefined;
  /** Largest number of learners. Default 1. */
  readonly maxLearners?: number | undefined;
  /** Hold the cluster version at this release, `MAJOR.MINOR`. */
  readonly maxClusterVersion?: string | undefined;
  /** Milliseconds between two looks whether a downgrade is complete. 0: never. Default 5,000. */
  readonly downgradeCheckTime?: number | undefined;

  /** Serve the API as JSON too, under `/v3/` of the client addresses. Default true. */
  readonly enableGrpcGateway?: boolean | undefined;
  /** Origins (`http://host:port`) whose pages may read what HTTP answers. Default `*`: all. */
  readonly cors?: readonly string[] | undefined;
  /** Names of this host that HTTP requests without TLS may be for. Default `*`: any. */
  readonly hostWhitelist?: readonly string[] | undefined;

  /** Milliseconds between a leader's heartbeats. Default 100. */
  readonly heartbeatInterval?: number | undefined;
  /** Milliseconds without a leader before an election; at least 5 heartbeats. Default 1,000. */
  readonly electionTimeout?: number | undefined;
  /** Hold the first election sooner after the start. Default true. */
  readonly initialElectionTickAdvance?: boolean | undefined;
  /** Ask whether an election could be won before calling it. Default true. */
  readonly preVote?: boolean | undefined;
  /** Milliseconds that a link to another member may be silent; at least 5,000. Default 5,000. */
  readonly raftReadTimeout?: number | undefined;
  /** See `raftReadTimeout`: the longer of the two holds. */
  readonly raftWriteTimeout?: number | undefined;

  /** Applied entries after which a snapshot is taken. Default 10,000. */
  readonly snapshotCount?: number | undefined;
  /** Entries kept in memory behind a snapshot, for followers that lag. Default 5,000. */
  readonly snapshotCatchupEntries?: number | undefined;
  /** `.snap` files to keep; 0 keeps all. Default 5. */
  readonly maxSnapshots?: number | undefined;
  /** Segments of the write-ahead log to keep; 0 keeps all. Default 5. */
  readonly maxWals?: number | undefined;
  /** Never wait for the disk: data is lost when the machine stops. Default false. */
  readonly unsafeNoFsync?: boolean | undefined;
  /** Bytes that the database may take. 0 (default) is 2 GiB, a negative number no limit. */
  readonly quotaBackendBytes?: number | undefined;
  /** Milliseconds before changes are committed to the database file. Default 100. */
  readonly backendBatchInterval?: number | undefined;
  /** Changes after which they are committed to the database file. Default 10,000. */
  readonly backendBatchLimit?: number | undefined;
  /** What `autoCompactionRetention` counts. Default `periodic`. */
  readonly autoCompactionMode?: 'periodic' | 'revision' | undefined;
  /**
   * History that automatic compaction keeps: a duration such as `30m` (a number alone counts hours), or
   * a number of revisions. Default `0`: no automatic compaction.
   */
  readonly autoCompactionRetention?: string | undefined;
  /** Revisions that compaction removes at a time. Default 1,000. */
  readonly compactionBatchLimit?: number | undefined;
  /** Milliseconds that compaction pauses after each batch. Default 10. */
  readonly compactionSleepInterval?: number | undefined;
  /** Milliseconds between two comparisons of the keys of all members. Default 0: never. */
  readonly corruptCheckTime?: number | undefined;
  /**
   * Milliseconds between two comparisons of the checksums of compactions, with the feature gate
   * `CompactHashCheck`. Default 60,000.
   */
  readonly compactHashCheckTime?: number | undefined;
  /** MiB that a defragmentation must give back to be made at start. 0 (default): never. */
  readonly bootstrapDefragThresholdMegabytes?: number | undefined;

  /** Keep the database file in memory, locked; needs Linux and the package `ffi-rs`. Default false. */
  readonly memoryMlock?: boolean | undefined;
  /** Operations in one transaction, at most. Default 128. */
  readonly maxTxnOps?: number | undefined;
  /** Bytes of the largest request. Default 1,572,864. */
  readonly maxRequestBytes?: number | undefined;
  /** Streams that a client may have open on one connection. Default 4,294,967,295. */
  readonly maxConcurrentStreams?: number | undefined;
  /** Milliseconds between a client's pings, at least. Default 5,000. */
  readonly grpcKeepaliveMinTime?: number | undefined;
  /** Milliseconds without traffic after which a client is pinged. Default 7,200,000. */
  readonly grpcKeepaliveInterval?: number | undefined;
  /** Milliseconds to wait for the answer to a ping. Default 20,000. */
  readonly grpcKeepaliveTimeout?: number | undefined;
  /** Milliseconds after which an idle watch reports its progress. Default 600,000. */
  readonly watchProgressNotifyInterval?: number | undefined;
  /** Gates to open (true) or close (false). */
  readonly featureGates?: Partial<Readonly<Record<FeatureGateName, boolean>>> | undefined;

  /** Kind of the tokens that a login gives, as `--auth-token` has it. Default `simple`. */
  readonly authToken?: string | undefined;
  /** Seconds that a simple token lives after its last use. Default 300. */
  readonly authTokenTtl?: number | undefined;
  /** Cost of hashing a password, 4 to 31: one more takes twice the time. Default 10. */
  readonly bcryptCost?: number | undefined;

  /** `extensive` adds a latency histogram of every gRPC method. Default `basic`. */
  readonly metrics?: 'basic' | 'extensive' | undefined;
  /** Serve profiles under `/debug/pprof/` of the client addresses. Default false. */
  readonly enablePprof?: boolean | undefined;
  /** Send spans of requests to a collector of OpenTelemetry (OTLP over gRPC). Default false. */
  readonly enableDistributedTracing?: boolean | undefined;
  /** Address of the collector. Default `localhost:4317`. */
  readonly distributedTracingAddress?: string | undefined;
  /** Name of the service in the traces. Default `etcd`. */
  readonly distributedTracingServiceName?: string | undefined;
  /** Id of this member in the traces. Default: none. */
  readonly distributedTracingInstanceId?: string | undefined;
  /** How many of a million requests are traced, of those whose clients do not say. Default 0. */
  readonly distributedTracingSamplingRate?: number | undefined;
  /** Least important level that is logged. Default `info`. */
  readonly logLevel?: LogLevel | undefined;
  /** `json` (default), or `console` for people. */
  readonly logFormat?: LogFormat | undefined;
  /** Where to log: `stderr`, `stdout` or paths of files, or `systemd/journal` alone. Default: nowhere. */
  readonly logOutputs?: readonly string[] | undefined;
  /** Replaces the one file of `logOutputs` when it is full. Default false. */
  readonly enableLogRotation?: boolean | undefined;
  /** When, and which former files are kept, as `--log-rotation-config-json` has it. */
  readonly logRotationConfigJson?: string | undefined;
  /** An entry that takes longer to apply is logged; milliseconds. Default 100. */
  readonly warningApplyDuration?: number | undefined;
  /** A request that takes longer is logged; milliseconds. Default 300. */
  readonly warningUnaryRequestDuration?: number | undefined;
}
