// Connections of a channel over real sockets, plain or TLS.

import { connect as connectPlain, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { ERROR_CODES, TetcdError } from '../base/index.ts';
import type { ByteStream } from '../env/index.ts';
import type { Connect, Endpoint } from './client/client-types.ts';
import { SharedReads, SocketStream } from './node-socket.ts';

const TCP_KEEPALIVE_MS = 30_000;

export interface SocketConnectOptions {
  /** Node's options (ca, cert, key, servername, ...); ALPN is set here. Without it, plaintext. */
  readonly tls?: ConnectionOptions;
}

/** A `connect` for a channel. Rejects with UNAVAILABLE. */
export function socketConnect(options: SocketConnectOptions = {}): Connect {
  return (endpoint, timeoutMs) => open(endpoint, timeoutMs, options.tls);
}

function open(
  endpoint: Endpoint,
  timeoutMs: number,
  tls: ConnectionOptions | undefined,
): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    const where =
      endpoint.path === undefined
        ? { host: endpoint.host, port: endpoint.port }
        : { path: endpoint.path };
    const socketOptions = {
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEPALIVE_MS,
    };
    let socket: Socket | TLSSocket;
    const reads = new SharedReads();
    const plain = { ...where, ...socketOptions, onread: reads.onread };
    if (tls === undefined) socket = connectPlain(plain);
    else socket = connectTls({ ...where, ...socketOptions, ...tls, ALPNProtocols: ['h2'] });
    const refuse = (error: Error) => {
      leave();
      socket.on('error', () => {});
      socket.destroy();
      reject(new TetcdError(ERROR_CODES.UNAVAILABLE, error.message, { cause: error }));
    };
    const timer = setTimeout(() => refuse(new Error('connecting timed out')), timeoutMs);
    const onClose = () => refuse(new Error('connection closed'));
    const leave = () => {
      clearTimeout(timer);
      socket.off('error', refuse);
      socket.off('close', onClose);
    };
    socket.once('error', refuse);
    socket.once('close', onClose);
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      if ('alpnProtocol' in socket && socket.alpnProtocol !== 'h2') {
        refuse(new Error('the server does not speak HTTP/2 (ALPN)'));
        return;
      }
      leave();
      if (tls !== undefined) return resolve(SocketStream.overEvents(socket));
      const stream = new SocketStream(socket);
      reads.stream = stream;
      resolve(stream);
    });
  });
}
