// The gRPC server of a member: limits from the flags, and every service.

import { createServer, type Server } from '../grpc/index.ts';
import type { MemberCore } from './core.ts';
import { REQUEST_OVERHEAD_BYTES } from './limits.ts';
import { asError } from './log.ts';
import { registerClusterService } from './services/cluster.ts';
import { registerHealthService } from './services/health.ts';
import { registerKvService } from './services/kv.ts';
import { registerLeaseService } from './services/lease.ts';
import { registerMaintenanceService } from './services/maintenance.ts';
import { registerWatchService } from './services/watch.ts';

/** Serves no connection yet. */
export function createGrpcServer(core: MemberCore): Server {
  const { config, env, log } = core;
  const server = createServer({
    timers: env.timers,
    clock: env.clock,
    limits: {
      receiveBytesMax: config.grpc.maxRequestBytes + REQUEST_OVERHEAD_BYTES,
      maxConcurrentStreams: config.grpc.maxConcurrentStreams,
    },
    keepalive: {
      minTimeMs: config.grpc.keepaliveMinTimeMs,
      intervalMs: config.grpc.keepaliveIntervalMs,
      timeoutMs: config.grpc.keepaliveTimeoutMs,
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
  registerHealthService(server);
  return server;
}
