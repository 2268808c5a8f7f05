// An HTTP/2 request that is not gRPC, served by a `node:http` server: it is spoken to in HTTP/1.1 over
// a pair of in-memory streams, so that its handlers see the requests and responses they know.
//
//     ServerRawStream  <->  http.request  <=pair=>  http.Server  <->  handlers
//
// Not a hot path: metrics, health and version over TLS.

import {
  type ClientRequest,
  type Server as HttpServer,
  type IncomingMessage,
  request,
} from 'node:http';
import { Duplex } from 'node:stream';
import type { Peer, RawOpener, RawRequest, Server, StreamHandler } from '../../grpc/index.ts';
import type { Http2Acceptor } from '../../net/index.ts';

/** One end of an in-memory connection; what is written to one end is read from the other. */
export class PairEnd extends Duplex {
  other: PairEnd | undefined = undefined;
  #blocked: (() => void) | undefined = undefined;
  // What handlers look at on a socket.
  readonly encrypted: boolean;
  /** Who is at the other end of the connection that is bridged. */
  readonly peer: Peer;
  readonly remoteAddress: string;
  readonly remotePort: number;

  constructor(peer: Peer) {
    super();
    this.encrypted = peer.encrypted;
    this.peer = peer;
    const colon = peer.address.lastIndexOf(':');
    this.remoteAddress = peer.address.slice(0, Math.max(0, colon)).replace(/^\[|\]$/g, '');
    this.remotePort = Number(peer.address.slice(colon + 1)) || 0;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.other!.push(chunk)) done();
    else this.other!.#blocked = done;
  }

  override _final(done: () => void): void {
    this.other!.push(null);
    done();
  }

  override _read(): void {
    const done = this.#blocked;
    this.#blocked = undefined;
    done?.();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const other = this.other!;
    if (!other.destroyed) setImmediate(() => other.destroy());
    done(error);
  }

  // `node:http` calls these on a socket.
  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

/** Header fields of HTTP/1.1 that HTTP/2 forbids. */
const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/**
 * Serves HTTP/2 connections with `grpc`; what is not gRPC on an encrypted one goes to the handlers of
 * `http`, which need not listen itself. In plaintext it is answered 415, as etcd does.
 */
export function bridged(grpc: Server, http: HttpServer): Http2Acceptor {
  const onRawRequest: RawOpener = (raw) => new Bridge(http, raw);
  return {
    accept: (stream, { peer }) =>
      grpc.accept(stream, peer.encrypted ? { peer, onRawRequest } : { peer }),
  };
}

class Bridge implements StreamHandler {
  readonly #raw: RawRequest;
  readonly #request: ClientRequest;
  #response: IncomingMessage | undefined = undefined;
  #over = false;

  constructor(server: HttpServer, raw: RawRequest) {
    this.#raw = raw;
    const near = new PairEnd(raw.peer);
    const far = new PairEnd(raw.peer);
    near.other = far;
    far.other = near;
    this.#request = request({
      createConnection: () => near,
      method: raw.method,
      path: raw.path,
      headers: headersOf(raw),
      setHost: false,
    });
    this.#request.on('response', (response) => this.#respond(response));
    this.#request.on('drain', () => raw.resume());
    this.#request.on('error', () => this.#fail());
    server.emit('connection', far);
  }

  #respond(response: IncomingMessage): void {
    const raw = this.#raw;
    this.#response = response;
    const headers: Array<readonly [string, string]> = [];
    for (let i = 0; i + 1 < response.rawHeaders.length; i += 2) {
      const name = response.rawHeaders[i]!.toLowerCase();
      if (!CONNECTION_SPECIFIC.has(name)) headers.push([name, response.rawHeaders[i + 1]!]);
    }
    raw.respond(response.statusCode!, headers);
    response.on('data', (chunk: Uint8Array) => {
      if (!raw.write(chunk)) response.pause();
    });
    response.on('end', () => {
      this.#over = true;
      raw.end();
    });
    response.on('error', () => this.#fail());
    response.on('close', () => this.#fail());
  }

  /** The handler broke off. */
  #fail(): void {
    if (this.#over) return;
    this.#over = true;
    this.#raw.abort();
  }

  onMessage(piece: Uint8Array): void {
    if (!this.#request.write(Uint8Array.from(piece))) this.#raw.pause();
  }

  onEnd(): void {
    this.#request.end();
  }

  onDrain(): void {
    this.#response?.resume();
  }

  onCancel(): void {
    this.#over = true;
    this.#request.destroy();
  }
}

function headersOf(raw: RawRequest): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of raw.headers) {
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    // Clients may split cookies into fields of their own (RFC 9113 section 8.2.3).
    else if (name === 'cookie') headers[name] = `${String(before)}; ${value}`;
    else headers[name] = Array.isArray(before) ? [...before, value] : [before, value];
  }
  if (raw.authority !== '') headers['host'] = raw.authority;
  return headers;
}
