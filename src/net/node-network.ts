// The contract of `env/network.ts` over real sockets.

import { lookup } from 'node:dns';
import type { Socket } from 'node:net';
import { ERROR_CODES, TetcdError } from '../base/index.ts';
import { type ByteStream, type Network, networkError } from '../env/index.ts';
import { socketConnect } from './connect.ts';
import { HANDSHAKE_TIMEOUT_MS } from './limits.ts';
import { openServerSocket } from './server-socket.ts';
import { SocketStream } from './socket-stream.ts';
import { type ClientTls, Handshakes, type ServerTls } from './tls.ts';

/** Settings of both directions, for a network that encrypts all of its streams. */
export interface NetworkTls {
  readonly listen: ServerTls;
  readonly connect: ClientTls;
}

/** Members write a message in several pieces. */
const GATHER = { gather: true } as const;

/** Byte streams over TCP and Unix sockets. Without `tls`, in plaintext. */
export function createNodeNetwork(tls?: NetworkTls): Network {
  return {
    listen: async (address, accept) => {
      const onSocket = tls === undefined ? streamOver(accept) : handshakeOver(accept, tls.listen);
      const socket = await openServerSocket({ address, onSocket });
      return { address: socket.address, close: async () => socket.close() };
    },
    connect: socketConnect(tls === undefined ? GATHER : { ...GATHER, tls: tls.connect }),
    resolve,
  };
}

type Accept = (stream: ByteStream) => void;

function streamOver(accept: Accept): (socket: Socket) => void {
  return (socket) => accept(SocketStream.over(socket, GATHER));
}

function handshakeOver(accept: Accept, tls: ServerTls): (socket: Socket) => void {
  const handshakes = new Handshakes({
    tls,
    timeoutMs: HANDSHAKE_TIMEOUT_MS,
    onSecure: streamOver(accept),
    // The connecting side gets the reason.
    onFailure: () => {},
  });
  return (socket) => handshakes.begin(socket);
}

function resolve(host: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    // The system's lookup, which reads /etc/hosts; it cannot be cancelled.
    const timer = setTimeout(() => {
      const text = `lookup ${host}: no answer within ${timeoutMs} ms`;
      reject(new TetcdError(ERROR_CODES.UNAVAILABLE, text));
    }, timeoutMs);
    lookup(host, { order: 'verbatim' }, (error, address) => {
      clearTimeout(timer);
      if (error === null) resolve(address);
      else reject(networkError(error, 'lookup', host));
    });
  });
}
