// One port for gRPC and HTTP, over real sockets.
//
// A port is bound first and serves later: connections that come in between wait.
//
//     plaintext   HTTP/2 preface -> gRPC; anything else -> the node:http server
//     TLS         ALPN h2 -> gRPC, and what is not gRPC there -> the node:http server (bridged)
//                 ALPN http/1.1 -> the node:http server; no ALPN -> told apart by the preface

import type { Server as HttpServer } from 'node:http';
import { createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { ERROR_CODES, invariant, latin1FromBytes, TetcdError } from '../base/index.ts';
import type { StreamAddress } from '../env/index.ts';
import { PREFACE } from './http2/protocol.ts';
import { bridgeToHttp } from './node-http-bridge.ts';
import { addressOf, SocketStream } from './node-socket.ts';
import type { Peer, Server } from './server/server-types.ts';

/** What a port serves. */
export interface PortServers {
  /** Without it, only HTTP is served. */
  readonly grpc?: Server;
  /**
   * Gets every connection that is not HTTP/2; it does not listen itself. Without it such connections
   * are closed, and HTTP/2 requests that are not gRPC are answered 415.
   */
  readonly http?: HttpServer;
}

export interface BindOptions {
  readonly address: StreamAddress;
  /** Node's options for key, certificate, client authentication; ALPN is set here. */
  readonly tls?: TlsOptions;
  /** Time for the TLS handshake, and for the bytes that tell HTTP/2 from HTTP/1. Default 10 s. */
  readonly handshakeTimeoutMs?: number;
  /** Interval of TCP keepalive probes. Default 30 s. */
  readonly tcpKeepaliveMs?: number;
  /** A connection failed before it had a protocol (a bad handshake, say); for debug logs. */
  readonly onConnectionError?: (address: string, error: Error) => void;
}

export interface ListenOptions extends BindOptions, PortServers {}

export interface PortListener {
  /** Where it really listens; the chosen port if 0 was asked for. */
  readonly address: StreamAddress;
  /** Serves from now on, those who wait first. Once. */
  serve(servers: PortServers): void;
  /** Uses other certificates for connections accepted from now on. */
  setTls(tls: TlsOptions): void;
  /** Accepts no more and drops connections that have not shown a protocol yet. */
  close(): Promise<void>;
}

/** HTTP servers whose watch over slow requests has been started. */
const watched = new WeakSet<HttpServer>();

/**
 * An HTTP server closes connections whose requests come too slowly, but starts to look for them only
 * when it is listening, which this one never is.
 */
function startWatch(http: HttpServer): void {
  if (watched.has(http) || http.listening) return;
  watched.add(http);
  http.emit('listening');
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
const TCP_KEEPALIVE_MS = 30_000;
/** Connections that wait in the operating system to be accepted. */
const BACKLOG = 1024;
/** Accepted connections that wait for a port to serve; later ones are closed. */
const HELD_CONNECTIONS_MAX = 1024;

/** Binds; nobody is served yet. ALREADY_EXISTS if the address is taken, UNAVAILABLE if it cannot be had. */
export function bind(options: BindOptions): Promise<PortListener> {
  return new Port(options).open();
}

/** Binds and serves. */
export async function listen(options: ListenOptions): Promise<PortListener> {
  const port = await bind(options);
  port.serve(options);
  return port;
}

class Port implements PortListener {
  address: StreamAddress;
  readonly #options: BindOptions;
  readonly #server: NetServer;
  /** Undefined until it serves. */
  #servers: PortServers | undefined;
  readonly #held = new Set<Socket>();
  /** Sockets that have not shown their protocol. */
  readonly #strangers = new Set<Socket>();
  readonly #handshakeTimeoutMs: number;
  #closed = false;

  constructor(options: BindOptions) {
    this.#options = options;
    this.address = options.address;
    this.#handshakeTimeoutMs = options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
    const socketOptions = {
      // As node:http wants its sockets; HTTP/2 closes its half itself.
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: options.tcpKeepaliveMs ?? TCP_KEEPALIVE_MS,
    };
    if (options.tls === undefined) {
      // Paused: what a connection sends while it waits stays in the operating system.
      this.#server = createNetServer({ ...socketOptions, pauseOnConnect: true }, (socket) =>
        this.#accept(socket),
      );
      return;
    }
    const server = createTlsServer({
      ...socketOptions,
      ...options.tls,
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: this.#handshakeTimeoutMs,
    });
    server.on('secureConnection', (socket) => this.#accept(socket));
    server.on('tlsClientError', (error, socket) => {
      this.#options.onConnectionError?.(addressOf(socket), error);
      socket.destroy();
    });
    this.#server = server;
  }

  open(): Promise<PortListener> {
    const { host, port, path } = this.#options.address;
    const server = this.#server;
    return new Promise((resolve, reject) => {
      const refused = (error: NodeJS.ErrnoException) => reject(listenError(error));
      server.once('error', refused);
      const where = path === undefined ? { host, port } : { path };
      server.listen({ ...where, backlog: BACKLOG }, () => {
        server.off('error', refused);
        server.on('error', (error) => this.#options.onConnectionError?.('', error));
        const actual = server.address();
        if (actual !== null && typeof actual === 'object') {
          this.address = { host: actual.address, port: actual.port };
        }
        resolve(this);
      });
    });
  }

  serve(servers: PortServers): void {
    invariant(this.#servers === undefined, 'Port.serve: called twice');
    this.#servers = servers;
    if (servers.http !== undefined) startWatch(servers.http);
    for (const socket of this.#held) {
      socket.off('error', this.#onHeldError);
      this.#begin(socket, servers);
    }
    this.#held.clear();
  }

  setTls(tls: TlsOptions): void {
    if ('setSecureContext' in this.#server && typeof this.#server.setSecureContext === 'function') {
      this.#server.setSecureContext(tls);
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const socket of [...this.#strangers, ...this.#held]) socket.destroy();
    this.#strangers.clear();
    this.#held.clear();
    return new Promise((resolve) => {
      // The callback waits for every socket; those that live on are their owners' business.
      this.#server.close();
      setImmediate(resolve);
    });
  }

  #accept(socket: Socket): void {
    if (this.#closed) socket.destroy();
    else if (this.#servers !== undefined) this.#begin(socket, this.#servers);
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

  #begin(socket: Socket, servers: PortServers): void {
    if (isTls(socket) && socket.alpnProtocol === 'h2') {
      this.#acceptGrpc(socket, servers, undefined);
    } else if (isTls(socket) && socket.alpnProtocol === 'http/1.1') {
      this.#acceptHttp(socket, servers, undefined);
    } else {
      this.#sniff(socket, servers);
      socket.resume();
    }
  }

  /** Reads until the bytes can only be, or can not be, the HTTP/2 preface. */
  #sniff(socket: Socket, servers: PortServers): void {
    this.#strangers.add(socket);
    let seen: Uint8Array = new Uint8Array(0);
    const onError = (error: Error) => this.#options.onConnectionError?.(addressOf(socket), error);
    const timer = setTimeout(() => socket.destroy(), this.#handshakeTimeoutMs);
    const leave = () => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('error', onError);
      socket.off('end', onEnd);
      socket.off('close', leave);
      this.#strangers.delete(socket);
    };
    const onEnd = () => socket.destroy();
    const onData = (chunk: Uint8Array) => {
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const length = Math.min(seen.length, PREFACE.length);
      const matches = latin1FromBytes(seen, 0, length) === PREFACE.slice(0, length);
      if (matches && length < PREFACE.length) return;
      leave();
      if (matches) this.#acceptGrpc(socket, servers, seen);
      else this.#acceptHttp(socket, servers, seen);
    };
    socket.on('data', onData);
    socket.on('error', onError);
    socket.on('end', onEnd);
    socket.on('close', leave);
  }

  #acceptGrpc(socket: Socket, { grpc, http }: PortServers, seen: Uint8Array | undefined): void {
    if (grpc === undefined) {
      socket.destroy();
      return;
    }
    const peer = peerOf(socket);
    // Bytes that were looked at came from the socket's events; from now on they need not.
    const stream = peer.encrypted
      ? SocketStream.overEvents(socket)
      : SocketStream.overAccepted(socket);
    const raw = peer.encrypted && http !== undefined ? bridgeToHttp(http) : undefined;
    grpc.accept(stream, raw === undefined ? { peer } : { peer, onRawRequest: raw });
    if (seen !== undefined) stream.handler.onData(seen);
  }

  #acceptHttp(socket: Socket, { http }: PortServers, seen: Uint8Array | undefined): void {
    if (http === undefined) {
      socket.destroy();
      return;
    }
    // Paused, or what is put back could be read before the HTTP server listens.
    socket.pause();
    if (seen !== undefined) socket.unshift(seen);
    http.emit('connection', socket);
    process.nextTick(() => socket.resume());
  }
}

function isTls(socket: Socket): socket is TLSSocket {
  return 'encrypted' in socket && socket.encrypted === true;
}

function peerOf(socket: Socket): Peer {
  const address = addressOf(socket);
  if (!isTls(socket)) return { address, encrypted: false, commonName: undefined };
  let commonName: string | undefined;
  if (socket.authorized) {
    const subject = socket.getPeerCertificate().subject as { CN?: string } | undefined;
    commonName = subject?.CN;
  }
  return { address, encrypted: true, commonName };
}

function listenError(error: NodeJS.ErrnoException): TetcdError {
  const code = error.code === 'EADDRINUSE' ? ERROR_CODES.ALREADY_EXISTS : ERROR_CODES.UNAVAILABLE;
  return new TetcdError(code, `cannot listen: ${error.message}`, { cause: error });
}
