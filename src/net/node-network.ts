// The contract of `env/network.ts` over real sockets, plain or TLS.

import { lookup } from 'node:dns';
import type { Socket } from 'node:net';
import { ERROR_CODES, TetcdError } from '../base/index.ts';
import {
  type AddressOrder,
  type ByteStream,
  type Listener,
  type Network,
  networkError,
  type StreamAddress,
} from '../env/index.ts';
import { socketConnect } from './connect.ts';
import type { HandshakeFailure } from './handshake-failure.ts';
import { HANDSHAKE_TIMEOUT_MS } from './limits.ts';
import { describeAddress, openServerSocket } from './server-socket.ts';
import { resolveService } from './service-lookup.ts';
import { SocketStream } from './socket-stream.ts';
import { type ClientTls, fixedTls, type ServerTls } from './tls.ts';

/** Settings for the streams of addresses that are `secure`. */
export interface NetworkTls {
  /** Without it, nothing can listen at such an address. */
  readonly listen?: ServerTls;
  readonly connect: ClientTls;
  /** A connection was refused before it was accepted. */
  readonly onHandshakeFailure?: (failure: HandshakeFailure) => void;
}

/** Settings for all sockets of a network. */
export interface SocketSettings {
  /** IP address of this machine that connections come from; by default the system chooses. */
  readonly localAddress?: string | undefined;
  /** Whether other processes may listen at the same ports, too (SO_REUSEPORT). Default false. */
  readonly reusePort?: boolean;
}

/** Members write a message in several pieces. */
const GATHER = { gather: true } as const;

/**
 * Byte streams over TCP and Unix sockets, encrypted where the address says so: without `tls`, with
 * nobody who connects, and with those who connect as Node does it.
 */
export function createNodeNetwork(tls?: NetworkTls, sockets: SocketSettings = {}): Network {
  const { localAddress, reusePort = false } = sockets;
  const options = { ...GATHER, localAddress };
  const connectPlain = socketConnect(options);
  const connectSecure = socketConnect({ ...options, tls: tls?.connect ?? fixedTls({}) });
  return {
    listen: (address, accept) =>
      address.secure === true
        ? listenSecure(address, accept, { tls, reusePort })
        : listenPlain(address, accept, reusePort),
    connect: (address, timeoutMs) =>
      address.secure === true
        ? connectSecure(address, timeoutMs)
        : connectPlain(address, timeoutMs),
    resolve,
    resolveService,
  };
}

type Accept = (stream: ByteStream) => void;

async function listenPlain(
  address: StreamAddress,
  accept: Accept,
  reusePort: boolean,
): Promise<Listener> {
  const onSocket = (socket: Socket): void => accept(SocketStream.over(socket, GATHER));
  const socket = await openServerSocket({ address, onSocket, reusePort });
  return { address: socket.address, close: async () => socket.close() };
}

async function listenSecure(
  address: StreamAddress,
  accept: Accept,
  { tls, reusePort }: { readonly tls: NetworkTls | undefined; readonly reusePort: boolean },
): Promise<Listener> {
  if (tls?.listen === undefined) {
    const where = describeAddress(address);
    const text = `cannot listen on TLS for ${where}: KeyFile and CertFile are not presented`;
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
  }
  // Loaded by those that encrypt.
  const { Handshakes } = await import('./handshakes.ts');
  const handshakes = new Handshakes({
    tls: tls.listen,
    timeoutMs: HANDSHAKE_TIMEOUT_MS,
    onSecure: (socket) => accept(SocketStream.over(socket, GATHER)),
    // Without a listener the side that connects gets the reason, and nobody else.
    onFailure: tls.onHandshakeFailure ?? (() => {}),
  });
  const socket = await openServerSocket({
    address,
    reusePort,
    paused: true,
    onSocket: (accepted) => handshakes.begin(accepted),
  });
  return {
    address: { ...socket.address, secure: true },
    close: async () => {
      socket.close();
      handshakes.drop();
    },
  };
}

function resolve(
  host: string,
  timeoutMs: number,
  order: AddressOrder = 'verbatim',
): Promise<string> {
  return new Promise((resolve, reject) => {
    // The system's lookup, which reads /etc/hosts; it cannot be cancelled.
    const timer = setTimeout(() => {
      const text = `lookup ${host}: no answer within ${timeoutMs} ms`;
      reject(new TetcdError(ERROR_CODES.UNAVAILABLE, text));
    }, timeoutMs);
    lookup(host, { order }, (error, address) => {
      clearTimeout(timer);
      if (error === null) resolve(address);
      else reject(networkError(error, 'lookup', host));
    });
  });
}
