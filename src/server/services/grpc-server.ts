// The gRPC server of a member: limits from the flags, and every service.

import { createServer, type Server, type ServerOptions } from '../../grpc/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { MemberCore } from '../core.ts';
import { REQUEST_OVERHEAD_BYTES } from '../limits.ts';
import { asError } from '../telemetry/log.ts';
import { TurnClock } from '../telemetry/turn-clock.ts';
import { registerClusterService } from './cluster.ts';
import { registerHealthService } from './health.ts';
import { registerKvService } from './kv.ts';
import { registerLeaseService } from './lease.ts';
import { registerMaintenanceService } from './maintenance.ts';
import { registerSnapshot } from './snapshot.ts';
import { registerWatchService } from './watch.ts';

/** Paths of the methods that stream, with the names that the metrics give their kinds. */
export const STREAMING: Readonly<Record<string, 'bidi_stream' | 'server_stream'>> = {
  '/etcdserverpb.Watch/Watch': 'bidi_stream',
  '/etcdserverpb.Lease/LeaseKeepAlive': 'bidi_stream',
  '/etcdserverpb.KV/RangeStream': 'server_stream',
  '/etcdserverpb.Maintenance/Snapshot': 'server_stream',
  '/grpc.health.v1.Health/Watch': 'server_stream',
};

/** As etcd has it: where 0 is given, gRPC's own defaults hold. */
function keepaliveOf({ grpc }: ServerConfig): NonNullable<ServerOptions['keepalive']> {
  const { keepaliveMinTimeMs: minTimeMs } = grpc;
  const { keepaliveIntervalMs: intervalMs, keepaliveTimeoutMs: timeoutMs } = grpc;
  return {
    ...(minTimeMs > 0 ? { minTimeMs } : {}),
    ...(intervalMs > 0 && timeoutMs > 0 ? { intervalMs, timeoutMs } : {}),
  };
}

/** Serves no connection yet. `observe` is told how long each call took. */
export function createGrpcServer(
  core: MemberCore,
  observe: (path: string, seconds: number) => void,
): Server {
  const { config, env, log } = core;
  const server = createServer({
    timers: env.timers,
    // Each call's duration is measured; finely only for who asked for histograms.
    clock: config.metrics === 'extensive' ? env.clock : new TurnClock(env.clock, env.timers),
    limits: {
      receiveBytesMax: config.grpc.maxRequestBytes + REQUEST_OVERHEAD_BYTES,
      maxConcurrentStreams: config.grpc.maxConcurrentStreams,
    },
    keepalive: keepaliveOf(config),
    onCallEnd: (call, _status, durationMs) => {
      observe(call.path, durationMs / 1000);
      if (durationMs <= config.warningUnaryRequestDurationMs) return;
      if (Object.hasOwn(STREAMING, call.path)) return;
      log.warn('request stats', {
        method: call.path,
        remote: call.peer.address,
        'took-ms': Math.round(durationMs),
        'expected-ms': config.warningUnaryRequestDurationMs,
      });
    },
    onHandlerError: (call, error) =>
      log.error('a request failed unexpectedly', { method: call.path, error: asError(error) }),
    onConnectionError: (peer, error) =>
      log.debug('closed a connection', { address: peer.address, error }),
  });
  registerKvService(server, core);
  registerWatchService(server, core);
  registerLeaseService(server, core);
  registerClusterService(server, core);
  registerMaintenanceService(server, core);
  registerSnapshot(server, core);
  registerHealthService(server);
  return server;
}
