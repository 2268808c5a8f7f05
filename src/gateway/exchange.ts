// One HTTP request and its response, as grpc-gateway answers: what calls have in common.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { STATUS, type StatusCode } from '../grpc/index.ts';
import { escapedForHtml, httpStatusOf, statusJson } from './http-status.ts';
import { UNREAD_BYTES_MAX } from './limits.ts';

const JSON_TYPE = 'application/json';

export class Exchange {
  readonly request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.#response = response;
  }

  get headSent(): boolean {
    return this.#response.headersSent;
  }

  /** Calls back when the client has gone before the answer was complete. */
  onGone(callback: () => void): void {
    this.#response.on('close', () => {
      if (!this.#response.writableFinished) callback();
    });
  }

  onDrain(callback: () => void): void {
    this.#response.on('drain', callback);
  }

  /** The whole answer to a unary call. */
  answer(json: string): void {
    this.begin();
    this.end(json);
  }

  /** The head of an answer of OK that comes in pieces; `isEmpty` if there will be none. */
  begin({ isStream = false, isEmpty = false } = {}): void {
    const response = this.#response;
    if (!isEmpty) {
      response.setHeader('Content-Type', JSON_TYPE);
      response.setHeader('Grpc-Metadata-Content-Type', 'application/grpc');
    }
    if (isStream || this.#takesTrailers) response.setHeader('Transfer-Encoding', 'chunked');
    response.statusCode = 200;
  }

  /** A status in place of an answer. Later ones do nothing. */
  refuse(status: StatusCode, message: string): void {
    const response = this.#response;
    if (response.headersSent || response.writableEnded) return;
    if (status === STATUS.UNAUTHENTICATED) setIfAllowed(response, 'WWW-Authenticate', message);
    response.setHeader('Content-Type', JSON_TYPE);
    this.#closeIfUnread();
    response.statusCode = httpStatusOf(status);
    response.end(statusJson(status, message));
  }

  /** The status that ends a stream: in place of all results, or after those that were sent. */
  endStream(status: StatusCode, message: string): void {
    const response = this.#response;
    if (status === STATUS.OK) {
      if (!response.headersSent) this.begin({ isStream: true, isEmpty: true });
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

  /** False: wait for `onDrain`. */
  write(text: string): boolean {
    return this.#response.write(text);
  }

  end(text = ''): void {
    this.#response.end(text);
  }

  /** The answer cannot be completed: the client sees a connection that breaks. */
  abort(): void {
    this.#response.destroy();
  }

  get #takesTrailers(): boolean {
    const { te } = this.request.headers;
    return typeof te === 'string' && te.toLowerCase().includes('trailers');
  }

  /** The rest of a body that nobody wants stands before the next request; a short one is passed over. */
  #closeIfUnread(): void {
    const { complete, headers } = this.request;
    const isShort = Number(headers['content-length']) <= UNREAD_BYTES_MAX;
    if (!complete && !isShort) this.#response.setHeader('Connection', 'close');
  }
}

/** Messages may hold what a header field may not; then it is left out. */
function setIfAllowed(response: ServerResponse, name: string, value: string): void {
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) response.setHeader(name, value);
}
