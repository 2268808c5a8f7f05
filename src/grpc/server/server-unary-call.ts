// A unary call on the server. Hot: one of these, and nothing else, is made per request.

import { invariant } from '../../base/index.ts';
import { writeUint32 } from '../http2/output.ts';
import { HTTP2_ERROR } from '../http2/protocol.ts';
import { PRODUCING_MS_MAX } from '../http2/sender.ts';
import { BYTES_ENCODER, type Encoder } from '../message-encoder.ts';
import { GrpcStatusError, STATUS, type StatusCode } from '../status.ts';
import { MESSAGE_PREFIX_BYTES } from './grpc-stream.ts';
import type { RequestHead } from './request-head.ts';
import type { Route } from './routes.ts';
import { ServerCall } from './server-call.ts';
import type { ServerConnection } from './server-connection.ts';
import type { Pieces, RoomWaiter, UnaryCall, UnaryHandler } from './server-types.ts';

export class ServerUnaryCall extends ServerCall implements UnaryCall {
  onCancel: ((call: UnaryCall) => void) | undefined = undefined;
  readonly #handler: UnaryHandler;
  /** A copy of the request, until the stream ends or the call is dispatched. */
  #request: Uint8Array | undefined = undefined;
  #dispatched = false;
  /** An answer that is made while it is sent. */
  #pieces: Pieces | undefined = undefined;
  #piecesLeft = 0;
  /** Memory that the handler holds for its answer. */
  #memoryBytes = 0;
  /** The handler, while it waits for room. */
  #waiter: RoomWaiter | undefined = undefined;

  constructor(connection: ServerConnection, id: number, head: RequestHead, route: Route) {
    super(connection, id, head, route);
    this.#handler = route.unary!;
  }

  /** As grpc-go: the first message is the request, whatever follows it. */
  onMessage(message: Uint8Array, last: boolean): void {
    this.method.messagesReceived++;
    this.method.bytesReceived += message.length;
    if (last && !this.isBehind) {
      this.#dispatch(message);
      return;
    }
    this.endReceiving();
    this.#request = Uint8Array.from(message);
    this.connection.hold(message.length);
    if (this.connection.holdsTooMuch) {
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
    if (this.isBehind) this.connection.holdCall(this);
    else this.release();
  }

  get isBehind(): boolean {
    return this.connection.sender.isBehind;
  }

  mayHold(bytes: number): boolean {
    return this.connection.sender.mayHold(bytes);
  }

  holdMemory(bytes: number): void {
    if (this.ended && bytes > 0) return;
    this.#memoryBytes += bytes;
    this.connection.sender.holdForAnswer(bytes);
  }

  whenRoom(waiter: RoomWaiter): void {
    if (this.ended) return;
    this.#waiter = waiter;
    this.connection.holdCall(this);
  }

  override release(): void {
    if (this.ended) return;
    if (this.#request !== undefined) {
      this.#dispatch(this.#request);
      return;
    }
    const waiter = this.#waiter;
    this.#waiter = undefined;
    try {
      waiter?.onRoom();
    } catch (error) {
      this.connection.handlerFailed(this, error);
    }
  }

  #dispatch(request: Uint8Array): void {
    this.#dispatched = true;
    this.#dropRequest();
    if (!this.isWanted()) return;
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

  replyInPieces(size: number, pieces: Pieces): void {
    if (this.ended) {
      pieces.return?.();
      return;
    }
    if (this.compresses) {
      this.#replyCompressed(size, pieces);
      return;
    }
    this.sendHead();
    this.countSent(size);
    const prefix = Buffer.allocUnsafe(MESSAGE_PREFIX_BYTES);
    prefix[0] = 0;
    writeUint32(prefix, 1, size);
    this.connection.sendData(this, prefix);
    this.#pieces = pieces;
    this.#piecesLeft = size;
    this.#sendPieces();
  }

  /** A compressed message needs its size in the prefix, so it is made completely first. */
  #replyCompressed(size: number, pieces: Pieces): void {
    try {
      this.reply(BYTES_ENCODER, joinPieces(size, pieces));
    } catch (error) {
      if (!(error instanceof GrpcStatusError)) throw error;
      this.fail(error.code, error.details);
    } finally {
      pieces.return?.();
    }
  }

  #sendPieces(): void {
    const pieces = this.#pieces;
    if (pieces === undefined) return;
    const { sender } = this.connection;
    const { exactClock } = this.connection.server.context;
    const endMs = exactClock.monotonicMs() + PRODUCING_MS_MAX;
    try {
      while (this.#piecesLeft > 0) {
        const { value: piece } = pieces.next();
        invariant(piece instanceof Uint8Array, 'there are pieces for the announced size');
        this.#piecesLeft -= piece.length;
        invariant(piece.length > 0 && this.#piecesLeft >= 0, 'pieces make up the announced size');
        this.connection.sendData(this, piece);
        if (sender.full(this)) return;
        if (exactClock.monotonicMs() >= endMs && this.#piecesLeft > 0) {
          this.wantsDrain = true;
          return;
        }
      }
    } catch (error) {
      if (error instanceof GrpcStatusError) this.fail(error.code, error.details);
      else this.connection.handlerFailed(this, error);
      return;
    }
    this.finish(STATUS.OK, '');
  }

  #dropPieces(): void {
    const pieces = this.#pieces;
    this.#pieces = undefined;
    pieces?.return?.();
  }

  fail(status: StatusCode, message: string): void {
    if (this.ended) return;
    // The beginning of a message that cannot be completed is useless to the client.
    if (this.#pieces !== undefined) this.connection.sender.forget(this);
    this.finish(status, message);
  }

  protected override onEnded(): void {
    this.#waiter = undefined;
    if (this.#pieces !== undefined) this.#dropPieces();
    if (this.#memoryBytes > 0) this.holdMemory(-this.#memoryBytes);
  }

  override get heldBytes(): number {
    return super.heldBytes + (this.#request?.length ?? 0);
  }

  #dropRequest(): void {
    if (this.#request === undefined) return;
    this.connection.hold(-this.#request.length);
    this.#request = undefined;
  }

  protected tellCancelled(): void {
    this.#dropRequest();
    const onCancel = this.onCancel;
    if (onCancel === undefined) return;
    this.onCancel = undefined;
    onCancel(this);
  }

  onDrain(): void {
    if (!this.ended) this.#sendPieces();
  }
}

function joinPieces(size: number, pieces: Pieces): Uint8Array {
  const whole = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; ) {
    const { value: piece } = pieces.next();
    invariant(piece instanceof Uint8Array, 'there are pieces for the announced size');
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
