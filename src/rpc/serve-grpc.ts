// Serves the table over HTTP/2.

import type { Server, StatusCode } from '../grpc/index.ts';
import type { Call, StreamCall, UnaryCall } from './call.ts';
import type { ServiceTable } from './service-table.ts';

/** Follows calls of remote clients. */
export interface CallObserver {
  /** A call has arrived; no guard has seen it. */
  began(call: Call): void;
  /** A call of which {@link began} was told has ended, for any reason; `message` is that of the status. */
  ended(call: Pick<Call, 'path'>, status: StatusCode, message: string): void;
  /** A connection was closed since its client broke the protocol or a limit. */
  connectionFailed?(client: string, error: Error): void;
}

/** Registers every entry with a gRPC server, in the table's order. `observers` hear of each call. */
export function serveGrpc(
  table: ServiceTable,
  server: Pick<Server, 'unary' | 'stream' | 'serverStream'>,
  observers: readonly Pick<CallObserver, 'began'>[] = [],
): void {
  const registrar = observers.length === 0 ? server : observing(server, observers);
  for (const entry of table.entries()) {
    const { path } = entry.descriptor;
    // The transport does not use `caller`: it is set by guards only.
    switch (entry.kind) {
      case 'unary':
        registrar.unary(path, (call, bytes) => entry.serve(call as UnaryCall, bytes));
        break;
      case 'server_stream':
        registrar.serverStream(path, (call) => entry.open(call as StreamCall));
        break;
      default:
        registrar.stream(path, (call) => entry.open(call as StreamCall));
    }
  }
}

type Registrar = Pick<Server, 'unary' | 'stream' | 'serverStream'>;

function observing(
  server: Registrar,
  observers: readonly Pick<CallObserver, 'began'>[],
): Registrar {
  const tell = (call: unknown): void => {
    for (const observer of observers) observer.began(call as Call);
  };
  return {
    unary: (path, handler) =>
      server.unary(path, (call, bytes) => {
        tell(call);
        handler(call, bytes);
      }),
    stream: (path, opener) =>
      server.stream(path, (call) => {
        tell(call);
        return opener(call);
      }),
    serverStream: (path, opener) =>
      server.serverStream(path, (call) => {
        tell(call);
        return opener(call);
      }),
  };
}
