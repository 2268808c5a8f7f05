// The flags of `tetcd grpc-proxy start`, which are etcd's.

import {
  boolFlag,
  durationFlag,
  type Flag,
  intFlag,
  stringFlag,
  stringsFlag,
  uintFlag,
} from '../../shell/flags.ts';

/** By the flags' names in camel case. Durations are in milliseconds. */
export interface GrpcProxyFlags {
  readonly listenAddr: string;
  readonly discoverySrv: string;
  readonly discoverySrvName: string;
  readonly insecureDiscovery: boolean;
  readonly metricsAddr: string;
  readonly endpoints: readonly string[];
  readonly endpointsAutoSyncInterval: number;
  readonly dialKeepaliveTime: number;
  readonly dialKeepaliveTimeout: number;
  readonly permitWithoutStream: boolean;
  readonly advertiseClientUrl: string;
  readonly resolverPrefix: string;
  readonly resolverTtl: bigint;
  readonly namespace: string;
  readonly enablePprof: boolean;
  readonly dataDir: string;
  readonly maxSendBytes: bigint;
  readonly maxRecvBytes: bigint;
  readonly grpcKeepaliveMinTime: number;
  readonly grpcKeepaliveInterval: number;
  readonly grpcKeepaliveTimeout: number;
  readonly cert: string;
  readonly key: string;
  readonly cacert: string;
  readonly insecureSkipTlsVerify: boolean;
  readonly certFile: string;
  readonly keyFile: string;
  readonly trustedCaFile: string;
  readonly listenCipherSuites: readonly string[];
  readonly autoTls: boolean;
  readonly clientCrlFile: string;
  readonly selfSignedCertValidity: bigint;
  readonly tlsMinVersion: string;
  readonly tlsMaxVersion: string;
  readonly experimentalSerializableOrdering: boolean;
  readonly experimentalLeasingPrefix: string;
  readonly experimentalEnableGrpcLogging: boolean;
  readonly debug: boolean;
  readonly maxConcurrentStreams: bigint;
}

export function grpcProxyFlags(): Flag[] {
  return [
    ...upstreamFlags(),
    ...addressFlags(),
    ...listenTlsFlags(),
    ...keepaliveFlags(),
    ...experimentalFlags(),
  ];
}

function text(name: string, help: string, initial = ''): Flag {
  return stringFlag({ flag: `--${name}`, help, initial });
}

function truth(name: string, help: string): Flag {
  return boolFlag({ flag: `--${name}`, help });
}

function duration(name: string, help: string, initial: number): Flag {
  return durationFlag({ flag: `--${name}`, help, initial });
}

function texts(name: string, help: string, initial: readonly string[]): Flag {
  return stringsFlag({ flag: `--${name}`, help, initial });
}

function upstreamFlags(): Flag[] {
  return [
    texts('endpoints', 'endpoints of the cluster, with commas between', ['127.0.0.1:2379']),
    duration(
      'endpoints-auto-sync-interval',
      'interval at which the member list is asked for endpoints; 0 is never',
      0,
    ),
    text('discovery-srv', 'domain whose SRV records name the endpoints'),
    text('discovery-srv-name', 'suffix of the service name in DNS'),
    truth('insecure-discovery', 'take SRV records without a check by TLS'),
    text('cacert', 'authorities that may vouch for members'),
    text('cert', 'certificate that members are shown; without a common name'),
    text('key', 'key of that certificate'),
    truth('insecure-skip-tls-verify', 'take any certificate of a member, for tests only'),
    intFlag({
      flag: '--max-send-bytes',
      help: 'largest request passed on, in bytes',
      initial: 1_572_864n,
    }),
    intFlag({
      flag: '--max-recv-bytes',
      help: 'largest answer of a member, in bytes',
      initial: 2n ** 31n - 1n,
    }),
  ];
}

function addressFlags(): Flag[] {
  return [
    text('listen-addr', 'address to listen at', '127.0.0.1:23790'),
    text('metrics-addr', 'URL of another port for metrics and health'),
    text(
      'advertise-client-url',
      'address at which clients reach this proxy, for the member list',
      '127.0.0.1:23790',
    ),
    text('resolver-prefix', 'prefix of the keys under which proxies register'),
    intFlag({
      flag: '--resolver-ttl',
      help: 'seconds for which a registration outlives its proxy',
    }),
    text('namespace', 'prefix that is put before all keys'),
    text('data-dir', 'directory of generated certificates', 'default.proxy'),
  ];
}

function listenTlsFlags(): Flag[] {
  return [
    text('cert-file', 'certificate that clients are shown'),
    text('key-file', 'key of that certificate'),
    text('trusted-ca-file', 'authorities that may vouch for clients'),
    text('client-crl-file', 'list of revoked certificates of clients'),
    truth('auto-tls', 'serve clients with a certificate made for it'),
    uintFlag('uint', {
      flag: '--self-signed-cert-validity',
      help: 'years for which a certificate is made',
      initial: 1n,
    }),
    texts(
      'listen-cipher-suites',
      'TLS cipher suites for clients; empty: those that are secure',
      [],
    ),
    text('tls-min-version', 'lowest version of TLS for clients: TLS1.2 or TLS1.3', 'TLS1.2'),
    text('tls-max-version', 'highest version of TLS for clients: TLS1.2 or TLS1.3'),
  ];
}

function keepaliveFlags(): Flag[] {
  return [
    duration(
      'dial-keepalive-time',
      'time without input after which a member is pinged; 0 is never',
      0,
    ),
    duration('dial-keepalive-timeout', 'time for a member to answer a ping', 20_000),
    truth('permit-without-stream', 'ping members while no call is open too'),
    duration('grpc-keepalive-min-time', 'shortest interval of pings allowed to clients', 5000),
    duration(
      'grpc-keepalive-interval',
      'time without input after which a client is pinged; 0 is never',
      7_200_000,
    ),
    duration('grpc-keepalive-timeout', 'time for a client to answer a ping', 20_000),
    uintFlag('uint32', {
      flag: '--max-concurrent-streams',
      help: 'streams that a client may have open on a connection',
      initial: 2n ** 32n - 1n,
    }),
  ];
}

function experimentalFlags(): Flag[] {
  return [
    truth('enable-pprof', 'serve profiles of this process at /debug/pprof/'),
    truth('debug', 'log debug messages'),
    truth(
      'experimental-serializable-ordering',
      'serializable reads never go back to an older revision',
    ),
    text(
      'experimental-leasing-prefix',
      'prefix of the keys by which proxies own keys, to answer linearizable reads alone',
    ),
    truth('experimental-enable-grpc-logging', 'log requests and answers'),
  ];
}
