// A call over WebSocket, for browsers, which cannot send a stream of requests by HTTP. As etcd's proxy has
// it: the client's messages are the body of a POST, each line of the answer is a message to the client.
//
// A browser cannot set Authorization either: the token comes as a second protocol, `Bearer, TOKEN`, or
// as a cookie `token`.

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { WebSocket, WebSocketServer } from 'ws';
import { STATUS, type StatusCode } from '../grpc/index.ts';
import type { Exchange } from './exchange.ts';
import { escapedForHtml, statusJson } from './http-status.ts';
import type { RequestHead } from './request-context.ts';

const BEARER = 'Bearer';
/** Header fields that go with the call. */
const FORWARDED: readonly string[] = ['origin', 'referer'];

const NORMAL_CLOSURE = 1000;

/** Whether a request wants its connection to become a WebSocket. */
export function wantsWebSocket({ headers }: IncomingMessage): boolean {
  return hasToken(headers.connection, 'upgrade') && hasToken(headers.upgrade, 'websocket');
}

function hasToken(list: string | undefined, token: string): boolean {
  return (list ?? '').split(',').some((one) => one.trim().toLowerCase() === token);
}

/** What of a request goes with the call that is made over its WebSocket. */
export function headOfSocket({ headers, socket }: IncomingMessage): RequestHead {
  const fields: Record<string, string> = {};
  for (const name of FORWARDED) {
    const value = headers[name];
    if (typeof value === 'string') fields[name] = value;
  }
  const token = tokenOf(headers);
  if (token !== undefined) fields['authorization'] = token;
  return { headers: fields, rawHeaders: Object.entries(fields).flat(), socket };
}

/** A cookie counts before a protocol, and either before a header field that no browser sends. */
function tokenOf({ cookie, authorization, ...headers }: IncomingMessage['headers']) {
  const [, cookieToken] = /(?:^|;\s*)token="?([^";]*)/.exec(cookie ?? '') ?? [];
  if (cookieToken !== undefined) return `${BEARER} ${cookieToken}`;
  const protocols = headers['sec-websocket-protocol'];
  if (protocols === undefined) return authorization;
  // Some browsers put no blank after the comma.
  const at = protocols.indexOf(`${BEARER},`);
  return at < 0 ? undefined : `${BEARER} ${protocols.slice(at + BEARER.length + 1).trim()}`;
}

export class SocketAcceptor {
  readonly #messageBytesMax: number;
  #server: Promise<WebSocketServer> | undefined;

  /** A message of more bytes ends its connection. */
  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** Undefined if the handshake fails; the client has been told then. */
  async accept(request: IncomingMessage, head: Buffer): Promise<Exchange | undefined> {
    const { socket, headers } = request;
    // The token is no protocol, and may have characters that none has.
    if (headers['sec-websocket-protocol']?.startsWith(BEARER)) {
      headers['sec-websocket-protocol'] = BEARER;
    }
    this.#server ??= this.#load();
    const server = await this.#server;
    if (socket.destroyed) return undefined;
    return new Promise((resolve) => {
      socket.once('close', () => resolve(undefined));
      server.handleUpgrade(request, socket, head, (ws) => {
        resolve(new SocketExchange(socket, ws));
      });
    });
  }

  /** Most members never serve a WebSocket: the library is loaded when the first client comes. */
  async #load(): Promise<WebSocketServer> {
    const { WebSocketServer: Server } = await import('ws');
    return new Server({
      noServer: true,
      clientTracking: false,
      maxPayload: this.#messageBytesMax,
      handleProtocols: (protocols) => (protocols.has(BEARER) ? BEARER : false),
    });
  }
}

class SocketExchange implements Exchange {
  readonly body: Readable;
  readonly isServedByFirst = true;
  headSent = false;
  readonly #socket: Socket;
  readonly #ws: WebSocket;
  #isStream = false;
  #ended = false;

  constructor(socket: Socket, ws: WebSocket) {
    this.#socket = socket;
    this.#ws = ws;
    this.body = new Readable({ read: () => ws.resume() });
    ws.on('message', (message: Buffer) => {
      this.body.push(message);
      // Between messages a blank, so that what is in two is not read as one.
      if (!this.body.push('\n')) ws.pause();
    });
    ws.on('close', () => this.body.push(null));
    // It closes after an error.
    ws.on('error', () => undefined);
  }

  onGone(callback: () => void): void {
    this.#ws.on('close', () => {
      if (!this.#ended) callback();
    });
  }

  onDrain(callback: () => void): void {
    this.#socket.on('drain', callback);
  }

  answer(json: string): void {
    this.headSent = true;
    this.#close(json);
  }

  begin({ isStream = false } = {}): void {
    this.headSent = true;
    this.#isStream = isStream;
  }

  /** A line is a message; a piece of an answer is a part of one. */
  write(text: string): boolean {
    this.#ws.send(this.#isStream ? text.trimEnd() : text, { binary: false, fin: this.#isStream });
    return !this.#socket.writableNeedDrain;
  }

  end(text: string): void {
    this.#close(text);
  }

  refuse(status: StatusCode, message: string): void {
    this.#close(statusJson(status, message));
  }

  endStream(status: StatusCode, message: string): void {
    if (status === STATUS.OK) this.#close(undefined);
    else this.#close(`{"error":${escapedForHtml(statusJson(status, message))}}`);
  }

  #close(text: string | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    if (text !== undefined) this.#ws.send(text);
    this.#ws.close(NORMAL_CLOSURE);
  }

  abort(): void {
    this.#ws.terminate();
  }
}
