// Serves the table over HTTP/2.

import type { Server } from '../grpc/index.ts';
import type { StreamCall, UnaryCall } from './call.ts';
import type { ServiceTable } from './service-table.ts';

/** Registers every entry with a gRPC server, in the table's order. */
export function serveGrpc(
  table: ServiceTable,
  server: Pick<Server, 'unary' | 'stream' | 'serverStream'>,
): void {
  for (const entry of table.entries()) {
    const { path } = entry.descriptor;
    // The transport does not use `caller`: it is set by guards only.
    switch (entry.kind) {
      case 'unary':
        server.unary(path, (call, bytes) => entry.serve(call as UnaryCall, bytes));
        break;
      case 'server_stream':
        server.serverStream(path, (call) => entry.open(call as StreamCall));
        break;
      default:
        server.stream(path, (call) => entry.open(call as StreamCall));
    }
  }
}
