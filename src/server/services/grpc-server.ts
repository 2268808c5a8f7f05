// The gRPC server of a member: limits from the flags, and the table of every service.

import { goDuration } from '../../base/index.ts';
import type { ByteStream, Clock, Env } from '../../env/index.ts';
import {
  createServer,
  type MethodStats,
  type Server,
  type ServerOptions,
  type StatusCode,
} from '../../grpc/index.ts';
import {
  type Around,
  type Call,
  type CallMeter,
  type CallObserver,
  LocalCalls,
  ServiceTable,
  serveGrpc,
} from '../../rpc/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { REQUEST_OVERHEAD_BYTES } from '../limits.ts';
import { asError, type Logger } from '../telemetry/log.ts';
import { timestamp } from '../telemetry/log-format.ts';
import type { GrpcMetrics } from '../telemetry/metrics-grpc.ts';
import { type AuthServiceParts, registerAuthService } from './auth.ts';
import { type ClusterServiceParts, registerClusterService } from './cluster.ts';
import { type DefragmentServiceParts, registerDefragment } from './defragment.ts';
import { type DowngradeParts, registerDowngrade } from './downgrade.ts';
import { type ElectionParts, registerElectionService } from './election.ts';
import { type AuthGateParts, authGate, type GuardParts, memberGuards } from './guards.ts';
import { registerHealthService, type ServingState } from './health.ts';
import { type KvParts, registerKvService } from './kv.ts';
import { type LeaseServiceParts, registerLeaseService } from './lease.ts';
import { type LockParts, registerLockService } from './lock.ts';
import { type MaintenanceParts, registerMaintenanceService } from './maintenance.ts';
import { registerSnapshot, type SnapshotParts } from './snapshot.ts';
import { registerWatchService, type WatchParts } from './watch.ts';

type ServiceParts = GuardParts &
  AuthGateParts &
  AuthServiceParts &
  KvParts &
  WatchParts &
  LeaseServiceParts &
  ClusterServiceParts &
  MaintenanceParts &
  SnapshotParts &
  DefragmentServiceParts &
  DowngradeParts &
  LockParts &
  ElectionParts & { readonly serving: ServingState; readonly tracing?: Around | undefined };

/** Every service of a member, behind its guards. A new one gets a line here. */
export function createServiceTable(parts: ServiceParts): ServiceTable {
  const table = new ServiceTable(memberGuards(parts), authGate(parts), parts.tracing);
  registerKvService(table, parts);
  registerWatchService(table, parts);
  registerLeaseService(table, parts);
  registerClusterService(table, parts);
  registerAuthService(table, parts);
  registerMaintenanceService(table, parts);
  registerSnapshot(table, parts);
  registerDefragment(table, parts);
  registerDowngrade(table, parts);
  registerHealthService(table, parts.serving);
  registerLockService(table, parts);
  registerElectionService(table, parts);
  return table;
}

/** Calls of the table from inside the process. */
export function createLocalCalls(
  { env, log }: Pick<GrpcServerParts, 'env' | 'log'>,
  table: ServiceTable,
): LocalCalls {
  return new LocalCalls({ table, env, onHandlerError: logsHandlerErrors(log) });
}

/** Calls of the gateway: from inside the process too, but they count as calls of clients. */
export function createGatewayCalls(
  parts: GrpcServerParts,
  table: ServiceTable,
  server: Pick<Server, 'methods'>,
  metrics: GrpcMetrics,
): LocalCalls {
  const { observers } = parts;
  const onCallEnd = observesCalls(parts, metrics);
  const methods = new Map(server.methods.map((stats) => [stats.path, stats]));
  const meter: CallMeter = {
    statsOf: (path) => methods.get(path),
    ...(observers.length > 0 && { onCallStart: (call) => tellStart(observers, call) }),
    onCallEnd: (call, method, durationMs, status, message) => {
      onCallEnd(call, method, durationMs);
      tellEnd(observers, call, status, message);
    },
  };
  return new LocalCalls({
    ...{ table, env: parts.env, meter },
    onHandlerError: logsHandlerErrors(parts.log),
  });
}

/** As etcd has it for requests of which it does not say more. */
const UNKNOWN_CONTENT = {
  'request count': -1,
  'request size': -1,
  'response count': -1,
  'response size': -1,
  'request content': '',
};
function tellStart(observers: readonly CallObserver[], call: Call): void {
  for (const observer of observers) observer.began(call);
}

function tellEnd(
  observers: readonly CallObserver[],
  call: Pick<Call, 'path'>,
  status: StatusCode,
  message: string,
): void {
  for (const observer of observers) observer.ended(call, status, message);
}

/** Duration of each call, and a line in the log about one that took long. */
function observesCalls({ config, env, log }: GrpcServerParts, metrics: GrpcMetrics) {
  const expectedMs = config.warningUnaryRequestDurationMs;
  return ({ path, peer }: Pick<Call, 'path' | 'peer'>, { unary }: MethodStats, ms: number) => {
    metrics.observe(path, ms / 1000);
    if (ms <= expectedMs || !unary) return;
    log.warn('request stats', {
      'start time': timestamp(env.clock.wallMs() - ms),
      'time spent': goDuration(ms * 1e6),
      remote: peer.address,
      'response type': path,
      ...UNKNOWN_CONTENT,
    });
  };
}

function logsHandlerErrors(log: Logger): (call: Pick<Call, 'path'>, error: unknown) => void {
  return (call, error) =>
    log.error('a request failed unexpectedly', { method: call.path, error: asError(error) });
}

/** As in etcd, 0 means gRPC's default. */
function keepaliveOf({ grpc }: ServerConfig): NonNullable<ServerOptions['keepalive']> {
  const { keepaliveMinTimeMs: minTimeMs } = grpc;
  const { keepaliveIntervalMs: intervalMs, keepaliveTimeoutMs: timeoutMs } = grpc;
  return {
    ...(minTimeMs > 0 ? { minTimeMs } : {}),
    ...(intervalMs > 0 && timeoutMs > 0 ? { intervalMs, timeoutMs } : {}),
  };
}

interface GrpcServerParts {
  /** See `ServerOptions`. */
  readonly traceStream?: ((stream: ByteStream) => ByteStream) | undefined;
  /** Follow the calls of clients, the gateway's included. */
  readonly observers: readonly CallObserver[];
  readonly config: ServerConfig;
  readonly env: Pick<Env, 'clock' | 'timers'>;
  readonly turnClock: Clock;
  readonly log: Logger;
}

/** Makes the server, without connections yet. Durations of calls are recorded in `metrics`. */
export function createGrpcServer(
  parts: GrpcServerParts,
  table: ServiceTable,
  metrics: GrpcMetrics,
): Server {
  const { config, env, log, observers } = parts;
  const onCallEnd = observesCalls(parts, metrics);
  const server = createServer({
    timers: env.timers,
    clock: env.clock,
    // Durations of calls are measured, precisely only if histograms are enabled.
    turnClock: config.metrics === 'extensive' ? env.clock : parts.turnClock,
    limits: {
      receiveBytesMax: config.grpc.maxRequestBytes + REQUEST_OVERHEAD_BYTES,
      maxConcurrentStreams: config.grpc.maxConcurrentStreams,
    },
    keepalive: keepaliveOf(config),
    onCallEnd: (call, status, durationMs, message) => {
      onCallEnd(call, call.method, durationMs);
      if (observers.length > 0) tellEnd(observers, call, status, message);
    },
    onHandlerError: logsHandlerErrors(log),
    onConnectionError: (peer, error) => {
      log.debug('closed a connection', { address: peer.address, error });
      for (const observer of observers) observer.connectionFailed?.(peer.address, error);
    },
    traceStream: parts.traceStream,
  });
  serveGrpc(table, server, observers);
  return server;
}
