// A unary call on the server. Hot: one of these, and nothing else, is made per request.

import { invariant } from '../base/index.ts';
import { BYTES_ENCODER, type Encoder } from './encoder.ts';
import { MESSAGE_PREFIX_BYTES } from './grpc-stream.ts';
import { writeUint32 } from './http2/output.ts';
import { HTTP2_ERROR } from './http2/protocol.ts';
import type { RequestHead } from './request-head.ts';
import type { Route } from './routes.ts';
import { ServerCall } from './server-call.ts';
import type { ServerConnection } from './server-connection.ts';
import type { UnaryCall, UnaryHandler } from './server-types.ts';
import { STATUS, type StatusCode } from './status.ts';

export class ServerUnaryCall extends ServerCall implements UnaryCall {
  onCancel: ((call: UnaryCall) => void) | undefined = undefined;
  readonly #handler: UnaryHandler;
  /** The request while it waits for the end of the stream, or to be dispatched; our own copy. */
  #request: Uint8Array | undefined = undefined;
  #dispatched = false;
  /** An answer that is made while it is sent. */
  #pieces: { left: number; readonly next: () => Uint8Array } | undefined = undefined;

  constructor(connection: ServerConnection, id: number, head: RequestHead, route: Route) {
    super(connection, id, head, route);
    this.#handler = route.unary!;
  }

  /** As grpc-go: the first message is the request, whatever follows it. */
  onMessage(message: Uint8Array, last: boolean): void {
    this.method.messagesReceived++;
    this.method.bytesReceived += message.length;
    if (last && !this.connection.holdsCalls) {
      this.#dispatch(message);
      return;
    }
    this.endReceiving();
    this.#request = Uint8Array.from(message);
    this.connection.heldBytes += message.length;
    if (this.connection.heldBytes > this.connection.limits.heldBytesMax) {
      this.connection.abortStream(this, HTTP2_ERROR.ENHANCE_YOUR_CALM);
      return;
    }
    // Most clients that have not ended their half do so within the same bytes.
    this.connection.dispatchAfterInput(this);
  }

  onMessagesEnd(): void {
    if (!this.#dispatched) this.onReceiveError(STATUS.UNKNOWN, 'EOF');
  }

  protected override get cutOffStatus(): StatusCode {
    return STATUS.UNKNOWN;
  }

  /** Runs the handler, or waits until the connection's output has room for its answer. */
  dispatchOrHold(): void {
    if (this.ended) return;
    if (this.connection.holdsCalls) this.connection.holdCall(this);
    else this.release();
  }

  /** The connection's output has room. */
  release(): void {
    if (!this.ended && this.#request !== undefined) this.#dispatch(this.#request);
  }

  #dispatch(request: Uint8Array): void {
    this.#dispatched = true;
    this.#dropRequest();
    try {
      this.#handler(this, request);
    } catch (error) {
      this.connection.handlerFailed(this, error);
    }
  }

  reply<T>(encoder: Encoder<T>, message: T): void {
    if (this.ended) return;
    if (
      this.headSent ||
      this.responseMetadata !== undefined ||
      this.trailers !== undefined ||
      this.compresses
    ) {
      this.send(encoder, message);
      this.finish(STATUS.OK, '');
      return;
    }
    const size = encoder.size(message);
    if (this.connection.sender.mayWrite(this, MESSAGE_PREFIX_BYTES + size)) {
      this.connection.writeUnary(this, encoder, message, size);
      this.countSent(size);
      this.finishWritten();
      return;
    }
    this.sendHead();
    this.countSent(size);
    this.sendMessage(encoder, message, size);
    this.finish(STATUS.OK, '');
  }

  replyInPieces(size: number, next: () => Uint8Array): void {
    if (this.ended) return;
    if (this.compresses) {
      this.reply(BYTES_ENCODER, joinPieces(size, next));
      return;
    }
    this.sendHead();
    this.countSent(size);
    const prefix = Buffer.allocUnsafe(MESSAGE_PREFIX_BYTES);
    prefix[0] = 0;
    writeUint32(prefix, 1, size);
    this.connection.sendData(this, prefix);
    this.#pieces = { left: size, next };
    this.#sendPieces();
  }

  #sendPieces(): void {
    const pieces = this.#pieces;
    if (pieces === undefined) return;
    while (pieces.left > 0) {
      const piece = pieces.next();
      pieces.left -= piece.length;
      invariant(piece.length > 0 && pieces.left >= 0, 'pieces make up the announced size');
      this.connection.sendData(this, piece);
      if (this.connection.sender.full(this)) return;
    }
    this.#pieces = undefined;
    this.finish(STATUS.OK, '');
  }

  fail(status: StatusCode, message: string): void {
    if (!this.ended) this.finish(status, message);
  }

  #dropRequest(): void {
    if (this.#request === undefined) return;
    this.connection.heldBytes -= this.#request.length;
    this.#request = undefined;
  }

  protected tellCancelled(): void {
    this.#dropRequest();
    this.#pieces = undefined;
    const onCancel = this.onCancel;
    if (onCancel === undefined) return;
    this.onCancel = undefined;
    onCancel(this);
  }

  onDrain(): void {
    if (!this.ended) this.#sendPieces();
  }
}

function joinPieces(size: number, next: () => Uint8Array): Uint8Array {
  const whole = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; ) {
    const piece = next();
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
