// One request and its answer: what calls have in common, over HTTP as grpc-gateway answers, and over
// WebSocket (`socket-exchange.ts`).

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { STATUS, type StatusCode } from '../grpc/index.ts';
import { escapedForHtml, httpStatusOf, statusJson } from './http-status.ts';
import { UNREAD_BYTES_MAX } from './limits.ts';

const JSON_TYPE = 'application/json';

export interface Exchange {
  readonly body: Readable;
  /** Whether a call of one message is served when that is there; otherwise when the body has ended. */
  readonly isServedByFirst: boolean;
  /** Something of an answer of OK has been sent. */
  readonly headSent: boolean;
  /** Calls back when the client has gone before the answer was complete. */
  onGone(callback: () => void): void;
  /** Calls back when there is room again, after a `write` that returned false. */
  onDrain(callback: () => void): void;
  /** The whole answer to a unary call. */
  answer(json: string): void;
  /** Begins an answer of OK that comes in pieces. */
  begin(options?: { readonly isStream?: boolean }): void;
  /** A piece of an answer, or a line of a stream. False: wait for room. */
  write(text: string): boolean;
  /** Ends an answer that came in pieces with its last one. */
  end(text: string): void;
  /** A status in place of an answer. Later ones do nothing. */
  refuse(status: StatusCode, message: string): void;
  /** The status that ends a stream: in place of all results, or after those that were sent. */
  endStream(status: StatusCode, message: string): void;
  /** The answer cannot be completed: the client sees a connection that breaks. */
  abort(): void;
}

export class HttpExchange implements Exchange {
  readonly body: IncomingMessage;
  readonly isServedByFirst = false;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.body = request;
    this.#response = response;
  }

  get headSent(): boolean {
    return this.#response.headersSent;
  }

  onGone(callback: () => void): void {
    this.#response.on('close', () => {
      if (!this.#response.writableFinished) callback();
    });
  }

  onDrain(callback: () => void): void {
    this.#response.on('drain', callback);
  }

  answer(json: string): void {
    this.begin();
    this.end(json);
  }

  begin({ isStream = false } = {}): void {
    const response = this.#response;
    response.setHeader('Content-Type', JSON_TYPE);
    response.setHeader('Grpc-Metadata-Content-Type', 'application/grpc');
    if (isStream || this.#takesTrailers) response.setHeader('Transfer-Encoding', 'chunked');
    response.statusCode = 200;
  }

  refuse(status: StatusCode, message: string): void {
    const response = this.#response;
    if (response.headersSent || response.writableEnded) return;
    if (status === STATUS.UNAUTHENTICATED) setIfAllowed(response, 'WWW-Authenticate', message);
    response.setHeader('Content-Type', JSON_TYPE);
    this.#closeIfUnread();
    response.statusCode = httpStatusOf(status);
    response.end(statusJson(status, message));
  }

  endStream(status: StatusCode, message: string): void {
    const response = this.#response;
    if (status === STATUS.OK) {
      if (!response.headersSent) response.setHeader('Transfer-Encoding', 'chunked');
      response.end();
      return;
    }
    if (!response.headersSent) {
      response.setHeader('Content-Type', JSON_TYPE);
      response.setHeader('Transfer-Encoding', 'chunked');
      this.#closeIfUnread();
      response.statusCode = httpStatusOf(status);
    }
    response.end(`{"error":${escapedForHtml(statusJson(status, message))}}\n`);
  }

  write(text: string): boolean {
    return this.#response.write(text);
  }

  end(text: string): void {
    this.#response.end(text);
  }

  abort(): void {
    this.#response.destroy();
  }

  get #takesTrailers(): boolean {
    const { te } = this.body.headers;
    return typeof te === 'string' && te.toLowerCase().includes('trailers');
  }

  /** The rest of a body that nobody wants stands before the next request; a short one is passed over. */
  #closeIfUnread(): void {
    const { complete, headers } = this.body;
    const isShort = Number(headers['content-length']) <= UNREAD_BYTES_MAX;
    if (!complete && !isShort) this.#response.setHeader('Connection', 'close');
  }
}

/** Messages may hold what a header field may not; then it is left out. */
function setIfAllowed(response: ServerResponse, name: string, value: string): void {
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) response.setHeader(name, value);
}
