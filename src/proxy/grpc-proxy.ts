// The gRPC proxy: one port, the table of its services, and one channel to the cluster.

import { createServer as createHttpServer } from 'node:http';
import { bytesFromUtf8 } from '../base/index.ts';
import { Client } from '../client/index.ts';
import type { Clock, Entropy, StreamAddress, Timers } from '../env/index.ts';
import {
  type ClientKeepalive,
  type Connect,
  createChannel,
  createServer,
  type Endpoint,
  type MethodStats,
  type Server,
  type ServerKeepalive,
} from '../grpc/index.ts';
import {
  bind,
  type ClientTls,
  type PortListener,
  type ServerTls,
  socketConnect,
} from '../net/index.ts';
import { LocalCalls, ServiceTable, serveGrpc } from '../rpc/index.ts';
import { CallLog } from './calls/call-log.ts';
import { Upstream } from './calls/upstream.ts';
import { registerClusterService } from './cluster/cluster-service.ts';
import { EndpointSync, endpointsOf } from './cluster/endpoint-sync.ts';
import { Registration } from './cluster/registration.ts';
import { clusterCheck, proxyCheck } from './http/health-checks.ts';
import { fetchMetrics } from './http/member-metrics.ts';
import { type OwnPages, proxyHttp } from './http/proxy-http.ts';
import { registerKvService } from './kv/kv-service.ts';
import { Namespace } from './kv/namespace.ts';
import { PassedKv } from './kv/passed-kv.ts';
import { learnRevision, ReadOrder } from './kv/read-order.ts';
import { registerLeaseService } from './lease/lease-service.ts';
import { ClusterKv } from './leasing/cluster-kv.ts';
import { LeasedKeys } from './leasing/leased-keys.ts';
import { LeasedKv } from './leasing/leased-kv.ts';
import { LeasingKeys } from './leasing/leasing-keys.ts';
import { LeasingSession } from './leasing/leasing-session.ts';
import {
  HTTP_HEADERS_BYTES_MAX,
  MEMBER_BACKOFF_MS_MAX,
  MEMBER_BACKOFF_MS_MIN,
  MEMBER_CONNECT_TIMEOUT_MS,
  REQUEST_BYTES_MAX,
} from './limits.ts';
import type { ProxyLog } from './log.ts';
import { metricsPages, ProxyMetrics } from './metrics.ts';
import { passTheRest, servedMethods } from './services.ts';
import { registerWatchService } from './watch/watch-service.ts';

interface GrpcProxyOptions {
  readonly env: {
    readonly clock: Clock;
    readonly timers: Timers;
    readonly entropy: Entropy;
  };
  readonly log: ProxyLog;
  /** The side of the clients. */
  readonly listen: StreamAddress;
  /** Without it, plaintext. */
  readonly listenTls?: ServerTls | undefined;
  /** Another port for metrics and health; `secure` with `listenTls`. */
  readonly listenMetrics?: StreamAddress | undefined;
  readonly keepalive: Partial<ServerKeepalive>;
  /** Streams that a client may have open on one connection. */
  readonly maxConcurrentStreams: number;
  /** The side of the cluster: at least one, as etcd's tools take them. */
  readonly endpoints: readonly string[];
  /** For encrypted endpoints; those without a scheme are, if it is given. */
  readonly upstreamTls?: ClientTls | undefined;
  readonly upstreamKeepalive: Partial<ClientKeepalive>;
  /** Interval at which the endpoints are replaced by those of the member list; 0: never. */
  readonly endpointsSyncMs: number;
  readonly sendBytesMax: number;
  readonly receiveBytesMax: number;
  /** Where clients reach this proxy, for the member list; empty: it lists members. */
  readonly advertisedUrl: string;
  /** Put before all keys of clients; empty for none. */
  readonly namespace: string;
  /** Whether answers never go back behind a revision that was seen. */
  readonly ordersReads: boolean;
  /** Whether every message of clients is logged, and every one to them. */
  readonly logsCalls: boolean;
  /** More pages beside metrics and health, at the address for clients; given the counters of its calls. */
  readonly openPages?: ((methods: readonly MethodStats[]) => Promise<OwnPages>) | undefined;
  /** Prefix of the keys by which proxies own keys, to answer reads of them alone; empty for none. */
  readonly leasingPrefix: string;
  /** Prefix of the keys by which proxies know of each other, and the seconds that they outlive one. */
  readonly registration: { readonly prefix: string; readonly ttl: number } | undefined;
}

interface GrpcProxy {
  /** Where it listens, with the chosen port in place of 0. */
  readonly address: StreamAddress;
  readonly metricsAddress: StreamAddress | undefined;
  /** Ends all calls and closes all connections. */
  close(): Promise<void>;
}

/** Rejects as `bind` does; the cluster need not be there yet. */
export async function startGrpcProxy(options: GrpcProxyOptions): Promise<GrpcProxy> {
  const { env, log, listen, listenTls, listenMetrics } = options;
  const endpoints = endpointsOf(options.endpoints, options.upstreamTls !== undefined);
  // Bound first: what cannot be is told before anything else happens.
  const port = await bindAt(options, listen, listenTls);
  const metricsPort = await bindMetrics(options, port);
  const channel = channelOf(options, endpoints);
  const metrics = new ProxyMetrics();
  const around = options.logsCalls ? callLog(options) : undefined;
  const table = new ServiceTable([], undefined, around);
  const server = serverOf(options);
  const upstream = new Upstream({ channel, ...env, sendBytesMax: options.sendBytesMax });
  registerClusterService(table, {
    upstream,
    advertisedUrl: options.advertisedUrl,
    registered: () => registration?.proxies ?? [],
  });
  const namespace = options.namespace === '' ? undefined : namespaceOf(options.namespace);
  const order = options.ordersReads ? new ReadOrder() : undefined;
  const passed = new PassedKv({ upstream, namespace, order });
  const leasing = leasingOf(options, endpoints, { upstream, passed, namespace, order });
  const calls = leasing?.kv ?? passed;
  const cache = registerKvService(table, { upstream, calls, metrics, namespace, order });
  const countSharing = registerWatchService(table, { upstream, metrics, log, namespace });
  registerLeaseService(table, { upstream, namespace });
  passTheRest(table, upstream);
  serveGrpc(table, server);
  const sync = syncOf(options, channel);
  const registration = registrationOf(options, endpoints);
  const update = (): void => {
    countSharing();
    metrics.cacheKeys.value = cache.size;
    metrics.leasedKeys.value = leasing?.owned.size ?? 0;
  };
  const onHandlerError = logsHandlerErrors(log);
  const { methods } = server;
  const pages = await options.openPages?.(methods);
  const parts = {
    log,
    checkCluster: clusterCheck(channel),
    checkProxy: proxyCheck(new LocalCalls({ table, env, onHandlerError }), env),
    memberMetrics: () => fetchMetrics(oneOf(endpoints, env.entropy), tlsOf(options)),
    proxyMetrics: await metricsPages({ metrics, table, methods, update }),
  };
  if (order !== undefined) await learnRevision(order, { channel, timers: env.timers, log });
  const http = httpServer({ ...parts, pages });
  const metricsHttp = httpServer(parts);
  port.serve({ http2: server, http });
  metricsPort?.serve({ http: metricsHttp });
  return {
    address: port.address,
    metricsAddress: listenMetrics === undefined ? undefined : metricsPort?.address,
    close: async () => {
      await Promise.all([port.close(), metricsPort?.close()]);
      sync?.stop();
      await Promise.all([registration?.stop(), leasing?.session.stop()]);
      server.close();
      http.closeAllConnections();
      metricsHttp.closeAllConnections();
      pages?.close();
      channel.close();
    },
  };
}

function httpServer(parts: Parameters<typeof proxyHttp>[0]) {
  return createHttpServer({ maxHeaderSize: HTTP_HEADERS_BYTES_MAX }, proxyHttp(parts));
}

function callLog({ log, env: { clock } }: GrpcProxyOptions): CallLog {
  return new CallLog({ log, clock, methods: servedMethods() });
}

function bindAt(
  { log }: GrpcProxyOptions,
  address: StreamAddress,
  tls: ServerTls | undefined,
): Promise<PortListener> {
  return bind({
    address,
    ...(tls === undefined ? {} : { tls }),
    onConnectionError: (remote, error) => log.debug('a connection failed', { remote, error }),
  });
}

async function bindMetrics(
  options: GrpcProxyOptions,
  port: PortListener,
): Promise<PortListener | undefined> {
  const { listenMetrics, listenTls } = options;
  if (listenMetrics === undefined) return undefined;
  try {
    const tls = listenMetrics.secure === true ? listenTls : undefined;
    return await bindAt(options, listenMetrics, tls);
  } catch (error) {
    await port.close();
    throw error;
  }
}

function channelOf(options: GrpcProxyOptions, endpoints: readonly Endpoint[]) {
  return createChannel({
    endpoints,
    connect: connectOf(options),
    ...options.env,
    userAgent: 'tetcd-grpc-proxy',
    keepalive: options.upstreamKeepalive,
    limits: {
      receiveBytesMax: options.receiveBytesMax,
      connectTimeoutMs: MEMBER_CONNECT_TIMEOUT_MS,
      backoffMsMin: MEMBER_BACKOFF_MS_MIN,
      backoffMsMax: MEMBER_BACKOFF_MS_MAX,
    },
  });
}

function connectOf(options: GrpcProxyOptions): Connect {
  const plain = socketConnect();
  const encrypted = socketConnect({ tls: tlsOf(options), protocol: 'h2' });
  return (endpoint, timeoutMs) =>
    (endpoint.scheme === 'https' ? encrypted : plain)(endpoint, timeoutMs);
}

/** Without settings, the system's authorities say who is trusted. */
function tlsOf({ upstreamTls }: GrpcProxyOptions): ClientTls {
  return upstreamTls ?? { current: () => ({}) };
}

function serverOf({ env, log, keepalive, maxConcurrentStreams }: GrpcProxyOptions): Server {
  return createServer({
    ...env,
    limits: { receiveBytesMax: REQUEST_BYTES_MAX, maxConcurrentStreams },
    keepalive,
    onHandlerError: logsHandlerErrors(log),
    onConnectionError: (peer, error) =>
      log.debug('closed a connection', { address: peer.address, error }),
  });
}

function logsHandlerErrors(log: ProxyLog) {
  return (call: { readonly path: string }, error: unknown): void =>
    log.error('a request failed unexpectedly', { method: call.path, error: error as Error });
}

function syncOf(
  { env, log, endpointsSyncMs, upstreamTls }: GrpcProxyOptions,
  channel: ReturnType<typeof channelOf>,
): EndpointSync | undefined {
  if (endpointsSyncMs <= 0) return undefined;
  const hasTls = upstreamTls !== undefined;
  return new EndpointSync({
    channel,
    timers: env.timers,
    log,
    intervalMs: endpointsSyncMs,
    hasTls,
  });
}

function namespaceOf(prefix: string): Namespace {
  return new Namespace(bytesFromUtf8(prefix));
}

/** A client of the proxy's own, which knows no namespace. */
function ownClient(options: GrpcProxyOptions, endpoints: readonly Endpoint[]): Client {
  return new Client({
    endpoints: endpoints.map(({ scheme, host, port, authority, path }) =>
      path === undefined ? `${scheme}://${authority ?? `${host}:${port}`}` : `unix:${path}`,
    ),
    runtime: { ...options.env, connect: connectOf(options) },
  });
}

interface LeasingParts {
  readonly upstream: Upstream;
  readonly passed: PassedKv;
  readonly namespace: Namespace | undefined;
  readonly order: ReadOrder | undefined;
}

/** Its keys are below the namespace too. */
function leasingOf(options: GrpcProxyOptions, endpoints: readonly Endpoint[], parts: LeasingParts) {
  const { env, log, namespace, leasingPrefix } = options;
  if (leasingPrefix === '') return undefined;
  const { clock, timers } = env;
  const owned = new LeasedKeys({
    nowMs: () => clock.monotonicMs(),
    giveUp: (key, revision) => session.giveUp(key, revision),
  });
  const client = ownClient(options, endpoints);
  const atCluster = new LeasingKeys(bytesFromUtf8(namespace + leasingPrefix));
  const session = new LeasingSession({ client, timers, clock, log, keys: atCluster }, owned);
  const keys = new LeasingKeys(bytesFromUtf8(leasingPrefix));
  const cluster = new ClusterKv(parts);
  return { owned, session, kv: new LeasedKv({ ...parts, cluster, keys, owned, session }) };
}

/** Its keys are below the namespace too. */
function registrationOf(
  options: GrpcProxyOptions,
  endpoints: readonly Endpoint[],
): Registration | undefined {
  const { registration, namespace, advertisedUrl, env, log } = options;
  if (registration === undefined) return undefined;
  const client = ownClient(options, endpoints);
  const { prefix, ttl } = registration;
  const keys = `${namespace}${prefix}`;
  return new Registration({
    client,
    log,
    ttl,
    prefix: keys,
    address: advertisedUrl,
    timers: env.timers,
  });
}

function oneOf(endpoints: readonly Endpoint[], entropy: Entropy): Endpoint {
  return endpoints[entropy.bytes(1)[0]! % endpoints.length]!;
}
