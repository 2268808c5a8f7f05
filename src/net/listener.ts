// One port for HTTP/2 and HTTP/1, plaintext and TLS, over real sockets.
//
// A port is bound first and serves later: connections that arrive in between are held.
//
//     first bytes   a TLS record -> handshake, if the port has TLS settings
//                   the HTTP/2 preface -> HTTP/2; anything else -> the node:http server
//     handshake     ALPN h2 -> HTTP/2; ALPN http/1.1 -> the node:http server
//                   no ALPN -> by the first bytes, as in plaintext

import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { invariant, latin1FromBytes } from '../base/index.ts';
import type { ByteStream, StreamAddress } from '../env/index.ts';
import type { HandshakeFailure } from './handshake-failure.ts';
import type { Handshakes } from './handshakes.ts';
import { addressOf, isTls, type PeerIdentity } from './identity.ts';
import { HANDSHAKE_TIMEOUT_MS, HELD_CONNECTIONS_MAX } from './limits.ts';
import { openServerSocket, type ServerSocket } from './server-socket.ts';
import { SocketStream } from './socket-stream.ts';
import type { ServerTls } from './tls.ts';

/** Serves HTTP/2 connections; the gRPC server is one. */
export interface Http2Acceptor {
  /** The first byte (of the preface) comes after the call, to the handler that it has set. */
  accept(stream: ByteStream, options: { readonly peer: PeerIdentity }): void;
}

/** Servers of a port's connections, chosen by the protocol that the client speaks. */
export interface PortServers {
  /** Without it, HTTP/2 connections are closed. */
  readonly http2?: Http2Acceptor;
  /** Gets every connection that is not HTTP/2; it does not listen itself. Without it they are closed. */
  readonly http?: HttpServer;
}

/** Where to listen, and what is common to all connections there. */
export interface BindOptions {
  readonly address: StreamAddress;
  /** Without it, the port is in plaintext. */
  readonly tls?: ServerTls;
  /** Whether a port with TLS serves plaintext too, told apart by the first byte. Default false. */
  readonly plaintext?: boolean;
  /** Whether clients over TLS may choose HTTP/2 (ALPN). Default true. */
  readonly offersHttp2?: boolean;
  /** Time for the TLS handshake, and for the bytes that tell HTTP/2 from HTTP/1. Default 10 s. */
  readonly handshakeTimeoutMs?: number;
  /** Whether other processes may listen at the port, too (SO_REUSEPORT). Default false. */
  readonly reusePort?: boolean;
  /** Interval of TCP keepalive probes. Default 30 s. */
  readonly tcpKeepaliveMs?: number;
  /** A connection failed before it had a protocol; for debug logs. */
  readonly onConnectionError?: (address: string, error: Error) => void;
  /** A handshake failed, or what follows it refused the connection. Default: `onConnectionError`. */
  readonly onHandshakeFailure?: (failure: HandshakeFailure) => void;
}

/** An address with the servers behind it. */
export interface ListenOptions extends BindOptions, PortServers {}

/** A bound port. Until `serve` is called, it accepts connections and holds them. */
export interface PortListener {
  /** The bound address; with port 0, the port that the system chose. */
  readonly address: StreamAddress;
  /** Starts serving, held connections first. To be called once. */
  serve(servers: PortServers): void;
  /** Accepts no more and drops connections that have not shown a protocol yet. */
  close(): Promise<void>;
}

/**
 * Binds without serving yet. Rejects with ALREADY_EXISTS if the address is in use, UNAVAILABLE or
 * INVALID_ARGUMENT if it cannot be bound, and with the TLS library's error for bad settings.
 */
export async function bind(options: BindOptions): Promise<PortListener> {
  // Loaded by those that encrypt.
  const encrypting = options.tls && (await import('./handshakes.ts')).Handshakes;
  const port = new Port(options, encrypting);
  await port.open();
  return port;
}

/** {@link bind}, then {@link PortListener.serve}. Rejects as `bind` does. The caller closes the port. */
export async function listen(options: ListenOptions): Promise<PortListener> {
  const port = await bind(options);
  port.serve(options);
  return port;
}

/** The 24 bytes with which a client of HTTP/2 begins (RFC 9113 section 3.4), one char per byte. */
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** First byte of a TLS handshake (RFC 8446 section 5.1); no HTTP request begins with it. */
const TLS_HANDSHAKE = 0x16;

class Port implements PortListener {
  readonly #options: BindOptions;
  readonly #handshakeTimeoutMs: number;
  /** Undefined without TLS. */
  readonly #handshakes: Handshakes | undefined;
  /** Undefined until it is bound. */
  #socket: ServerSocket | undefined = undefined;
  /** Undefined until it serves. */
  #servers: PortServers | undefined = undefined;
  /** Sockets accepted before it serves. */
  readonly #held = new Set<Socket>();
  /** Sockets that have not shown their protocol. */
  readonly #undecided = new Set<Socket>();
  #closed = false;

  /** `encrypting` if there are TLS settings. */
  constructor(options: BindOptions, encrypting: typeof Handshakes | undefined) {
    this.#options = options;
    this.#handshakeTimeoutMs = options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
    this.#handshakes =
      options.tls &&
      new encrypting!({
        tls: options.tls,
        timeoutMs: this.#handshakeTimeoutMs,
        alpn: options.offersHttp2 === false ? ['http/1.1'] : ['h2', 'http/1.1'],
        onSecure: (socket) => this.#beginSecure(socket),
        onFailure: options.onHandshakeFailure ?? asConnectionError(options.onConnectionError),
      });
  }

  get address(): StreamAddress {
    invariant(this.#socket !== undefined, 'Port: bound before it is given out');
    return this.#socket.address;
  }

  async open(): Promise<void> {
    this.#socket = await openServerSocket({
      address: this.#options.address,
      reusePort: this.#options.reusePort,
      keepaliveIdleMs: this.#options.tcpKeepaliveMs,
      paused: true,
      onSocket: (socket) => this.#accept(socket),
      onAcceptError: (error) => this.#options.onConnectionError?.('', error),
    });
  }

  serve(servers: PortServers): void {
    invariant(this.#servers === undefined, 'Port.serve: called twice');
    this.#servers = servers;
    if (servers.http !== undefined) startWatch(servers.http);
    for (const socket of this.#held) {
      socket.off('error', this.#onHeldError);
      this.#begin(socket);
    }
    this.#held.clear();
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const socket of [...this.#undecided, ...this.#held]) socket.destroy();
    this.#undecided.clear();
    this.#held.clear();
    this.#handshakes?.drop();
    this.#socket?.close();
    return new Promise((resolve) => setImmediate(resolve));
  }

  #accept(socket: Socket): void {
    if (this.#closed) socket.destroy();
    else if (this.#servers !== undefined) this.#begin(socket);
    else if (this.#held.size >= HELD_CONNECTIONS_MAX) socket.destroy();
    else {
      this.#held.add(socket);
      socket.on('error', this.#onHeldError);
      socket.once('close', () => this.#held.delete(socket));
    }
  }

  readonly #onHeldError = (error: Error): void => {
    this.#options.onConnectionError?.('', error);
  };

  #begin(socket: Socket): void {
    if (this.#handshakes !== undefined && this.#options.plaintext !== true) {
      this.#handshakes.begin(socket);
    } else {
      this.#sniff(socket);
    }
  }

  #beginSecure(socket: TLSSocket): void {
    if (this.#closed) socket.destroy();
    else if (socket.alpnProtocol === 'h2') this.#acceptHttp2(socket, undefined);
    else if (socket.alpnProtocol === 'http/1.1') this.#acceptHttp(socket, undefined);
    else this.#sniff(socket);
  }

  /** Reads until the bytes are known to be, or not to be, a TLS record or the HTTP/2 preface. */
  #sniff(socket: Socket): void {
    this.#undecided.add(socket);
    const mayBeTls = this.#handshakes !== undefined && !isTls(socket);
    let seen: Uint8Array = new Uint8Array(0);
    const onError = (error: Error) => this.#options.onConnectionError?.(addressOf(socket), error);
    const timer = setTimeout(() => socket.destroy(), this.#handshakeTimeoutMs);
    const leave = () => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('error', onError);
      socket.off('end', onEnd);
      socket.off('close', leave);
      this.#undecided.delete(socket);
    };
    const onEnd = () => socket.destroy();
    const onData = (chunk: Uint8Array) => {
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const length = Math.min(seen.length, PREFACE.length);
      const isPreface = latin1FromBytes(seen, 0, length) === PREFACE.slice(0, length);
      if (isPreface && length < PREFACE.length) return;
      leave();
      if (isPreface) this.#acceptHttp2(socket, seen);
      else if (mayBeTls && seen[0] === TLS_HANDSHAKE) this.#acceptTls(socket, seen);
      else this.#acceptHttp(socket, seen);
    };
    socket.on('data', onData);
    socket.on('error', onError);
    socket.on('end', onEnd);
    socket.on('close', leave);
    socket.resume();
  }

  #acceptTls(socket: Socket, seen: Uint8Array): void {
    socket.pause();
    socket.unshift(seen);
    this.#handshakes!.begin(socket);
  }

  #acceptHttp2(socket: Socket, seen: Uint8Array | undefined): void {
    const { http2 } = this.#servers!;
    if (http2 === undefined) {
      socket.destroy();
      return;
    }
    // The first bytes came by the socket's events; from now on the faster path is possible.
    const stream = SocketStream.over(socket);
    http2.accept(stream, { peer: stream.identity });
    if (seen !== undefined) stream.handler.onData(seen);
  }

  #acceptHttp(socket: Socket, seen: Uint8Array | undefined): void {
    const { http } = this.#servers!;
    if (http === undefined) {
      socket.destroy();
      return;
    }
    // Paused: bytes that were put back must not be read before the HTTP server listens.
    socket.pause();
    if (seen !== undefined) socket.unshift(seen);
    http.emit('connection', socket);
    process.nextTick(() => socket.resume());
  }
}

function asConnectionError(
  report: BindOptions['onConnectionError'],
): (failure: HandshakeFailure) => void {
  return ({ address, error }) => report?.(address, error);
}

/** HTTP servers whose timer for slow requests has been started. */
const watched = new WeakSet<HttpServer>();

/**
 * An HTTP server closes connections whose requests arrive too slowly, but starts the timer for that
 * only when it listens, which this one never does.
 */
function startWatch(http: HttpServer): void {
  if (watched.has(http) || http.listening) return;
  watched.add(http);
  http.emit('listening');
}
