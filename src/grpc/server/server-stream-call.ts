// A streaming call on the server, of any of the three kinds.

import { HTTP2_ERROR } from '../http2/protocol.ts';
import { BYTES_ENCODER, type Encoder } from '../message-encoder.ts';
import { STATUS, type StatusCode } from '../status.ts';
import type { RequestHead } from './request-head.ts';
import type { Route } from './routes.ts';
import { ServerCall } from './server-call.ts';
import type { ServerConnection } from './server-connection.ts';
import type { StreamCall, StreamHandler, StreamOpener } from './server-types.ts';

/** A message in two parts, the second shared by many streams. */
interface Parts {
  head: Uint8Array;
  body: Uint8Array;
}

const PARTS_ENCODER: Encoder<Parts> = {
  size: ({ head, body }) => head.length + body.length,
  write: ({ head, body }, target, offset) => {
    target.set(head, offset);
    target.set(body, offset + head.length);
    return offset + head.length + body.length;
  },
};

/** Reused: encoded before `writeParts` returns. */
const parts: Parts = { head: new Uint8Array(0), body: new Uint8Array(0) };

export class ServerStreamCall extends ServerCall implements StreamCall {
  sendsNews = false;
  readonly #opener: StreamOpener;
  readonly #oneRequest: boolean;
  #handler: StreamHandler | undefined = undefined;
  /** A copy of the one request, until the client has ended its half. */
  #request: Uint8Array | undefined = undefined;
  /** Whether it is among the connection's held calls. */
  #waitsForRoom = false;

  constructor(connection: ServerConnection, id: number, head: RequestHead, route: Route) {
    super(connection, id, head, route);
    this.#opener = route.stream!;
    this.#oneRequest = route.oneRequest;
  }

  /** Makes the handler; the stream is registered and may be used. */
  open(): void {
    try {
      const handler = this.#opener(this);
      this.#handler = handler;
    } catch (error) {
      this.connection.handlerFailed(this, error);
    }
  }

  onMessage(message: Uint8Array): void {
    this.method.messagesReceived++;
    this.method.bytesReceived += message.length;
    if (!this.#oneRequest) this.#deliver(message);
    else if (this.#request !== undefined) {
      const text = 'received multiple request messages for non-client-streaming RPC';
      this.onReceiveError(STATUS.INTERNAL, `cardinality violation: ${text}`);
    } else this.#keep(message);
  }

  #keep(message: Uint8Array): void {
    this.#request = Uint8Array.from(message);
    this.connection.hold(message.length);
    if (!this.connection.holdsTooMuch) return;
    this.connection.abortStream(this, HTTP2_ERROR.ENHANCE_YOUR_CALM);
  }

  #dropRequest(): void {
    if (this.#request === undefined) return;
    this.connection.hold(-this.#request.length);
    this.#request = undefined;
  }

  #deliver(message: Uint8Array): void {
    try {
      this.#handler?.onMessage(message);
    } catch (error) {
      this.connection.handlerFailed(this, error);
    }
  }

  onMessagesEnd(): void {
    if (this.#oneRequest) this.#deliverRequest();
    if (this.ended) return;
    try {
      this.#handler?.onEnd();
    } catch (error) {
      this.connection.handlerFailed(this, error);
    }
  }

  #deliverRequest(): void {
    const request = this.#request;
    if (request === undefined) {
      const text = 'received no request message from non-client-streaming RPC';
      this.onReceiveError(STATUS.INTERNAL, `cardinality violation: ${text}`);
      return;
    }
    this.#dropRequest();
    if (this.isWanted()) this.#deliver(request);
  }

  onDrain(): void {
    if (this.ended) return;
    try {
      this.#handler?.onDrain();
    } catch (error) {
      this.connection.handlerFailed(this, error);
    }
  }

  protected tellCancelled(): void {
    this.#dropRequest();
    this.#handler?.onCancel();
  }

  override get heldBytes(): number {
    return super.heldBytes + (this.#request?.length ?? 0);
  }

  get hasRoom(): boolean {
    if (this.ended || !this.connection.sender.isBehind) return true;
    if (!this.#waitsForRoom && !this.wantsDrain) {
      this.#waitsForRoom = true;
      this.connection.holdCall(this);
    }
    return false;
  }

  override release(): void {
    this.#waitsForRoom = false;
    this.onDrain();
  }

  get bufferedBytes(): number {
    return this.queuedBytes;
  }

  sendHeaders(): void {
    if (this.ended || this.headSent) return;
    this.sendHead();
    this.connection.flushSoon();
  }

  write<T>(encoder: Encoder<T>, message: T): boolean {
    if (this.ended) return true;
    if (this.sendsNews) this.connection.flushNews();
    this.send(encoder, message);
    return !this.connection.sender.full(this);
  }

  writeRun<T>(
    encoder: Encoder<T>,
    message: T,
    fieldAt: number,
    fields: readonly Uint8Array[],
  ): number {
    if (this.ended || this.compresses) return 0;
    this.sendHead();
    if (this.sendsNews) this.connection.flushNews();
    const size = encoder.size(message);
    const sent = this.sendRun(encoder, message, size, fieldAt, fields);
    this.countSent(size, sent);
    return sent;
  }

  writeBytes(message: Uint8Array): boolean {
    return this.write(BYTES_ENCODER, message);
  }

  writeParts(head: Uint8Array, body: Uint8Array): boolean {
    if (this.ended) return true;
    const size = head.length + body.length;
    if (this.compresses || this.fitsAtOnce(size)) {
      parts.head = head;
      parts.body = body;
      return this.write(PARTS_ENCODER, parts);
    }
    if (this.sendsNews) this.connection.flushNews();
    this.sendHead();
    this.countSent(size);
    this.sendShared(head, body);
    return !this.connection.sender.full(this);
  }

  end(status: StatusCode = STATUS.OK, message = ''): void {
    if (!this.ended) this.finish(status, message);
  }

  endUnreadable(message: string): void {
    if (this.ended) return;
    this.method.receiveFailures++;
    this.finish(STATUS.INTERNAL, message);
  }

  pause(): void {
    this.pauseReading();
  }

  resume(): void {
    if (!this.ended) this.resumeReading();
  }
}
