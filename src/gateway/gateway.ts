// The JSON gateway: every method of the table that the schemas give a path, by POST.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Env } from '../env/index.ts';
import { STATUS } from '../grpc/index.ts';
import type { LocalCalls, ServiceTable, StreamEntry, UnaryEntry } from '../rpc/index.ts';
import { type Exchange, HttpExchange } from './exchange.ts';
import { HeldBytes } from './held-bytes.ts';
import { HELD_BYTES_MAX, JSON_BYTES_PER_BYTE } from './limits.ts';
import { contextOf, type RequestHead } from './request-context.ts';
import { headOfSocket, SocketAcceptor } from './socket-exchange.ts';
import { serveStream } from './stream-exchange.ts';
import { serveUnary } from './unary-exchange.ts';

interface GatewayOptions {
  readonly table: ServiceTable;
  readonly calls: LocalCalls;
  readonly env: Pick<Env, 'clock' | 'timers'>;
  /** Largest encoded request, in bytes. */
  readonly receiveBytesMax: number;
}

/** What a request is served with. */
export interface GatewayParts extends Omit<GatewayOptions, 'table'> {
  readonly held: HeldBytes;
}

export class JsonGateway {
  readonly #parts: GatewayParts;
  readonly #acceptor: SocketAcceptor;
  readonly #routes = new Map<string, UnaryEntry | StreamEntry>();

  constructor({ table, ...options }: GatewayOptions) {
    this.#parts = { ...options, held: new HeldBytes(HELD_BYTES_MAX) };
    this.#acceptor = new SocketAcceptor(options.receiveBytesMax * JSON_BYTES_PER_BYTE);
    for (const entry of table.entries()) {
      for (const path of entry.descriptor.httpPosts) this.#routes.set(path, entry);
    }
  }

  /** Answers a request for a path (without percent escapes) below `/v3/`. */
  handle(request: IncomingMessage, response: ServerResponse, path: string): void {
    this.#serve(new HttpExchange(request, response), request, path, methodOf(request));
  }

  /**
   * Takes over the connection of a request that wants it to be a WebSocket; `head` are the first bytes
   * after the request. The messages of the client are the body of a POST, and each line of the answer
   * is a message to it.
   */
  async upgrade(request: IncomingMessage, head: Buffer, path: string): Promise<void> {
    // Before the handshake, which looks at the protocols.
    const socketHead = headOfSocket(request);
    const exchange = await this.#acceptor.accept(request, head);
    if (exchange !== undefined) this.#serve(exchange, socketHead, path, 'POST');
  }

  #serve(exchange: Exchange, head: RequestHead, path: string, method: string): void {
    const entry = this.#routes.get(path);
    if (entry === undefined) exchange.refuse(STATUS.NOT_FOUND, 'Not Found');
    else if (method !== 'POST') exchange.refuse(STATUS.UNIMPLEMENTED, 'Method Not Allowed');
    else {
      const context = contextOf(head, this.#parts.env.clock.monotonicMs());
      if ('status' in context) exchange.refuse(context.status, context.message);
      else if (entry.kind === 'unary') serveUnary(this.#parts, entry, exchange, context);
      else serveStream(this.#parts, entry, exchange, context);
    }
  }
}

/** A form may name another method than the one it is sent with, as grpc-gateway allows. */
function methodOf({ method = '', headers }: IncomingMessage): string {
  const override = headers['x-http-method-override'];
  const isForm = headers['content-type'] === 'application/x-www-form-urlencoded';
  return method === 'POST' && isForm && typeof override === 'string' && override !== ''
    ? override.toUpperCase()
    : method;
}
