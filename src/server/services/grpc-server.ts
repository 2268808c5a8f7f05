// The gRPC server of a member: limits from the flags, and the table of every service.

import type { Env } from '../../env/index.ts';
import { createServer, type Server, type ServerOptions } from '../../grpc/index.ts';
import { type Call, LocalCalls, ServiceTable, serveGrpc } from '../../rpc/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { REQUEST_OVERHEAD_BYTES } from '../limits.ts';
import { CoarseClock } from '../telemetry/coarse-clock.ts';
import { asError, type Logger } from '../telemetry/log.ts';
import type { GrpcMetrics } from '../telemetry/metrics-grpc.ts';
import { type AuthServiceParts, registerAuthService } from './auth.ts';
import { type ClusterServiceParts, registerClusterService } from './cluster.ts';
import { type DefragmentServiceParts, registerDefragment } from './defragment.ts';
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
  LockParts &
  ElectionParts & { readonly serving: ServingState };

/** Every service of a member, behind its guards. A new one gets a line here. */
export function createServiceTable(parts: ServiceParts): ServiceTable {
  const table = new ServiceTable(memberGuards(parts), authGate(parts));
  registerKvService(table, parts);
  registerWatchService(table, parts);
  registerLeaseService(table, parts);
  registerClusterService(table, parts);
  registerAuthService(table, parts);
  registerMaintenanceService(table, parts);
  registerSnapshot(table, parts);
  registerDefragment(table, parts);
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
  readonly config: ServerConfig;
  readonly env: Pick<Env, 'clock' | 'timers'>;
  readonly log: Logger;
}

/** Makes the server, without connections yet. Durations of calls are recorded in `metrics`. */
export function createGrpcServer(
  { config, env, log }: GrpcServerParts,
  table: ServiceTable,
  metrics: GrpcMetrics,
): Server {
  const server = createServer({
    timers: env.timers,
    // Durations of calls are measured, precisely only if histograms are enabled.
    clock: config.metrics === 'extensive' ? env.clock : new CoarseClock(env.clock, env.timers),
    limits: {
      receiveBytesMax: config.grpc.maxRequestBytes + REQUEST_OVERHEAD_BYTES,
      maxConcurrentStreams: config.grpc.maxConcurrentStreams,
    },
    keepalive: keepaliveOf(config),
    onCallEnd: (call, _status, durationMs) => {
      metrics.observe(call.path, durationMs / 1000);
      if (durationMs <= config.warningUnaryRequestDurationMs) return;
      if (!call.method.unary) return;
      log.warn('request stats', {
        method: call.path,
        remote: call.peer.address,
        'took-ms': Math.round(durationMs),
        'expected-ms': config.warningUnaryRequestDurationMs,
      });
    },
    onHandlerError: logsHandlerErrors(log),
    onConnectionError: (peer, error) =>
      log.debug('closed a connection', { address: peer.address, error }),
  });
  serveGrpc(table, server);
  return server;
}
