// `tetcd grpc-proxy start`: the settings of a gRPC proxy, checked as etcd does.

import type { Env, StreamAddress } from '../../../env/index.ts';
import type { MethodStats } from '../../../grpc/index.ts';
import type { ServerTls } from '../../../net/index.ts';
import { startGrpcProxy } from '../../../proxy/index.ts';
import { type Logger, openProcessProfiles } from '../../../server/index.ts';
import { checkedConnect, discoveredEndpoints } from './discovered-endpoints.ts';
import type { GrpcProxyFlags } from './grpc-proxy-flags.ts';
import { checkTlsFlags, clusterTls, listenTls } from './grpc-proxy-tls.ts';

/** Resolves when it listens, with what closes it. Rejects with the text for standard error. */
export async function startProxy(
  flags: GrpcProxyFlags,
  env: Env,
  log: Logger,
): Promise<() => Promise<void>> {
  check(flags);
  const connect = () => checkedConnect(flags.discoverySrv, flags.cacert);
  const found = await discoveredEndpoints(flags, env, log, connect);
  const serving = await listenTls(flags, env, log);
  const proxy = await startGrpcProxy({
    env,
    log,
    listen: addressOf(flags.listenAddr),
    listenTls: serving,
    listenMetrics: metricsAddress(flags.metricsAddr, serving),
    keepalive: keepaliveOf(flags),
    maxConcurrentStreams: Number(flags.maxConcurrentStreams),
    endpoints: found.length > 0 ? found.map(({ url }) => url) : flags.endpoints,
    upstreamTls: await clusterTls(flags, log),
    upstreamKeepalive: upstreamKeepaliveOf(flags),
    endpointsSyncMs: flags.endpointsAutoSyncInterval,
    sendBytesMax: limitOf(flags.maxSendBytes, 2 * 1024 * 1024),
    receiveBytesMax: limitOf(flags.maxRecvBytes, 2 ** 31 - 1),
    advertisedUrl: flags.advertiseClientUrl,
    namespace: flags.namespace,
    leasingPrefix: flags.experimentalLeasingPrefix,
    ordersReads: flags.experimentalSerializableOrdering,
    logsCalls: flags.experimentalEnableGrpcLogging,
    openPages: flags.enablePprof ? (methods) => openPprof(methods, env, log) : undefined,
    registration: registrationOf(flags),
  });
  log.info('started gRPC proxy', { address: flags.listenAddr });
  return () => proxy.close();
}

async function openPprof(methods: readonly MethodStats[], env: Env, log: Logger) {
  const pages = await openProcessProfiles({ env, log, grpc: { methods } });
  log.info('gRPC proxy enabled pprof', { path: '/debug/pprof' });
  return pages;
}

function check(flags: GrpcProxyFlags): void {
  const { resolverPrefix, resolverTtl, advertiseClientUrl } = flags;
  if (resolverPrefix !== '' && resolverTtl < 1n)
    throw new Error(`invalid resolver-ttl ${resolverTtl}`);
  if (resolverPrefix === '' && resolverTtl > 0n) throw new Error('invalid resolver-prefix ""');
  if (resolverPrefix !== '' && advertiseClientUrl === '') {
    throw new Error('invalid advertise-client-url ""');
  }
  checkTlsFlags(flags);
  if (flags.endpoints.length === 0) throw new Error('etcdclient: no available endpoints');
}

function registrationOf({ resolverPrefix, resolverTtl }: GrpcProxyFlags) {
  if (resolverPrefix === '') return undefined;
  return { prefix: resolverPrefix.replace(/\/+$/, ''), ttl: Number(resolverTtl) };
}

/** As in etcd's client, 0 means its default. */
function limitOf(given: bigint, otherwise: number): number {
  const limit = given > 0n ? Number(given) : otherwise;
  return Math.min(limit, 2 ** 31 - 1);
}

function addressOf(text: string): StreamAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new Error(`listen tcp: invalid address ${text}`);
  return { host: match[1] ?? match[2] ?? '', port };
}

function metricsAddress(text: string, tls: ServerTls | undefined): StreamAddress | undefined {
  if (text === '') return undefined;
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i.exec(text);
  if (match === null) throw new Error(`cannot parse "${text}"`);
  const secure = match[1] === 'https';
  if (secure && tls === undefined) {
    throw new Error(`cannot listen on TLS for ${match[2]}: KeyFile and CertFile are not presented`);
  }
  return { ...addressOf(match[2]!), secure };
}

function keepaliveOf(flags: GrpcProxyFlags) {
  const { grpcKeepaliveMinTime, grpcKeepaliveInterval, grpcKeepaliveTimeout } = flags;
  return {
    ...(grpcKeepaliveMinTime > 0 ? { minTimeMs: grpcKeepaliveMinTime } : {}),
    ...(grpcKeepaliveInterval > 0 && grpcKeepaliveTimeout > 0
      ? { intervalMs: grpcKeepaliveInterval, timeoutMs: grpcKeepaliveTimeout }
      : {}),
  };
}

function upstreamKeepaliveOf(flags: GrpcProxyFlags) {
  const { dialKeepaliveTime, dialKeepaliveTimeout, permitWithoutStream } = flags;
  return {
    permitWithoutStream,
    ...(dialKeepaliveTime > 0 ? { intervalMs: dialKeepaliveTime } : {}),
    ...(dialKeepaliveTimeout > 0 ? { timeoutMs: dialKeepaliveTimeout } : {}),
  };
}
