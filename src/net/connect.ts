// Outgoing connections, plain or TLS.

import { connect as connectPlain, isIP, type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { ERROR_CODES, TetcdError } from '../base/index.ts';
import type { StreamAddress } from '../env/index.ts';
import { isTls } from './identity.ts';
import { KEEPALIVE_IDLE_MS } from './limits.ts';
import { describeAddress } from './server-socket.ts';
import { handshakeError, socketError } from './socket-error.ts';
import { SharedReads, SocketStream, type SocketStreamOptions } from './socket-stream.ts';
import type { ClientTls } from './tls.ts';

/** Options of {@link socketConnect}; TLS and protocol hold for all its connections. */
export interface SocketConnectOptions extends Pick<SocketStreamOptions, 'gather'> {
  /** Without it, plaintext. */
  readonly tls?: ClientTls;
  /** IP address of this machine that connections come from; without it, the system chooses. */
  readonly localAddress?: string | undefined;
  /** Protocol that the server must select over TLS (ALPN); without it, none is negotiated. */
  readonly protocol?: 'h2' | 'http/1.1';
}

/**
 * Resolves with a connected stream, with TLS after the handshake; rejects with UNAVAILABLE, after
 * `timeoutMs` at the latest. The caller sets the stream's handler in the turn in which it gets it.
 */
export type SocketConnect = (address: StreamAddress, timeoutMs: number) => Promise<SocketStream>;

/** Makes connections over plain sockets, or TLS with `tls`, for a channel or a client. */
export function socketConnect(options: SocketConnectOptions = {}): SocketConnect {
  return (address, timeoutMs) => connect(address, timeoutMs, options);
}

/** A connecting socket, and how it becomes a stream. */
interface Opening {
  readonly socket: Socket;
  readonly connected: 'connect' | 'secureConnect';
  stream(): SocketStream;
}

async function connect(
  address: StreamAddress,
  timeoutMs: number,
  options: SocketConnectOptions,
): Promise<SocketStream> {
  const where = describeAddress(address);
  const { tls } = options;
  try {
    const opening =
      tls === undefined ? openPlain(address, options) : await openTls(address, options, tls);
    return await settled(opening, where, timeoutMs);
  } catch (error) {
    const translate = tls === undefined ? socketError : handshakeError;
    throw translate(error, 'connect to', where);
  }
}

function settled(opening: Opening, where: string, timeoutMs: number): Promise<SocketStream> {
  const { socket, connected } = opening;
  return new Promise((resolve, reject) => {
    const refuse = (error: Error): void => {
      leave();
      socket.on('error', () => {});
      socket.destroy();
      reject(error);
    };
    const unavailable = (text: string): void =>
      refuse(new TetcdError(ERROR_CODES.UNAVAILABLE, `connect to ${where}: ${text}`));
    const timer = setTimeout(() => {
      unavailable(`no connection within ${timeoutMs} ms`);
    }, timeoutMs);
    const onClose = (): void => unavailable('the other side closed the connection');
    const leave = (): void => {
      clearTimeout(timer);
      socket.off('error', refuse);
      socket.off('close', onClose);
    };
    socket.once('error', refuse);
    socket.once('close', onClose);
    socket.once(connected, () => {
      try {
        const stream = opening.stream();
        leave();
        resolve(stream);
      } catch (error) {
        refuse(error as Error);
      }
    });
  });
}

function openPlain(address: StreamAddress, options: SocketConnectOptions): Opening {
  const reads = new SharedReads();
  const socket = connectPlain({ ...socketOptions(address, options), onread: reads.onread });
  return {
    socket,
    connected: 'connect',
    stream: () => {
      reads.stream = new SocketStream(socket, streamOptions(address, options));
      return reads.stream;
    },
  };
}

async function openTls(
  address: StreamAddress,
  options: SocketConnectOptions,
  tls: ClientTls,
): Promise<Opening> {
  const { protocol } = options;
  const settings = tls.current();
  // Loaded on first use: plaintext programs do without it.
  const { connect, checkServerIdentity } = await import('node:tls');
  const name = settings.servername ?? (address.host || 'localhost');
  const named: ConnectionOptions = {
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
  };
  // SNI carries names only, never addresses (RFC 6066 section 3).
  if (isIP(name) === 0) named.servername = name;
  const { servername: _, ...others } = settings;
  const socket = connect({
    ...socketOptions(address, options),
    ...named,
    ...others,
    ...(protocol === undefined ? {} : { ALPNProtocols: [protocol] }),
  });
  // `tls.connect` passes neither on to the socket that it makes, which has none to set before this.
  socket.once('connect', () => {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEPALIVE_IDLE_MS);
  });
  return {
    socket,
    connected: 'secureConnect',
    stream: () => {
      if (protocol !== undefined && isTls(socket) && socket.alpnProtocol !== protocol) {
        throw new Error(`the server does not speak ${PROTOCOL_NAMES[protocol]} (ALPN)`);
      }
      return SocketStream.over(socket, streamOptions(address, options));
    },
  };
}

const PROTOCOL_NAMES = { h2: 'HTTP/2', 'http/1.1': 'HTTP/1.1' } as const;

function socketOptions({ host, port, path }: StreamAddress, options: SocketConnectOptions) {
  const { localAddress } = options;
  const from = localAddress === undefined ? {} : { localAddress };
  const where = path === undefined ? { host, port, ...from } : { path };
  return {
    ...where,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_IDLE_MS,
  };
}

function streamOptions(
  { path }: StreamAddress,
  { gather = false }: SocketConnectOptions,
): SocketStreamOptions {
  return path === undefined ? { gather } : { gather, address: path };
}
