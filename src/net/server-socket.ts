// A listening socket of Node.

import { createServer, type Server, type Socket } from 'node:net';
import { networkError, type StreamAddress } from '../env/index.ts';
import { BACKLOG_MAX, KEEPALIVE_IDLE_MS } from './limits.ts';

interface ServerSocketOptions {
  readonly address: StreamAddress;
  readonly keepaliveIdleMs?: number | undefined;
  /** Whether other processes may listen at a TCP port, too (SO_REUSEPORT). Default false. */
  readonly reusePort?: boolean | undefined;
  /** Accepted sockets start paused: input stays in the operating system. */
  readonly paused?: boolean;
  readonly onSocket: (socket: Socket) => void;
  /** A failed accept (out of descriptors, say) concerns that connection only. */
  readonly onAcceptError?: ((error: Error) => void) | undefined;
}

export interface ServerSocket {
  /** The bound address; with port 0, the port that the system chose. */
  readonly address: StreamAddress;
  /** Stops accepting. Open connections are not affected. */
  close(): void;
}

/**
 * ALREADY_EXISTS if the address is in use, UNAVAILABLE or INVALID_ARGUMENT if it cannot be bound,
 * UNSUPPORTED if its port cannot be shared.
 */
export async function openServerSocket(options: ServerSocketOptions): Promise<ServerSocket> {
  const { host, port, path } = options.address;
  const where = path === undefined ? { host, port } : { path };
  const isShared = options.reusePort === true && path === undefined;
  // Loaded by those that share.
  const place = isShared
    ? await (await import('./shared-port.ts')).sharedPort({ host, port })
    : where;
  const server = createServer(
    {
      // A half-close of the peer is a separate event, not the end of the connection.
      allowHalfOpen: true,
      pauseOnConnect: options.paused ?? false,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: options.keepaliveIdleMs ?? KEEPALIVE_IDLE_MS,
    },
    options.onSocket,
  );
  return new Promise((resolve, reject) => {
    const refuse = (error: Error): void => {
      reject(networkError(error, 'listen on', describeAddress(options.address)));
    };
    server.once('error', refuse);
    server.listen({ ...place, backlog: BACKLOG_MAX }, () => {
      server.off('error', refuse);
      server.on('error', (error) => options.onAcceptError?.(error));
      resolve(serverSocketOf(server, options.address));
    });
  });
}

function serverSocketOf(server: Server, asked: StreamAddress): ServerSocket {
  const bound = server.address();
  return {
    address:
      bound === null || typeof bound === 'string'
        ? asked
        : { host: bound.address, port: bound.port },
    // No callback: it would wait for all connections, which have other owners.
    close: () => {
      if (server.listening) server.close();
    },
  };
}

export function describeAddress(address: StreamAddress): string {
  if (address.path !== undefined) return address.path;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}
