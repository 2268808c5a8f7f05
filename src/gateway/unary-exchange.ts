// A unary call by HTTP: the body is read, the call is served, its answer is printed as it is made.

import {
  type Encoder,
  GrpcStatusError,
  type Pieces,
  type RoomWaiter,
  STATUS,
  type StatusCode,
} from '../grpc/index.ts';
import { JsonPrinter, jsonFromWire, type MessageInfo } from '../protocol/index.ts';
import {
  encodedBy,
  LocalCall,
  type LocalContext,
  type RpcStatus,
  type UnaryCall,
  type UnaryEntry,
} from '../rpc/index.ts';
import type { Exchange } from './exchange.ts';
import type { GatewayParts } from './gateway.ts';
import { ANSWER_PIECE_BYTES, BODY_TIMEOUT_MS, WHOLE_ANSWER_BYTES_MAX } from './limits.ts';
import { type BodySink, RequestBody } from './request-body.ts';

/** Serves a unary call when the body has ended. */
export function serveUnary(
  parts: GatewayParts,
  entry: UnaryEntry,
  exchange: Exchange,
  context: LocalContext,
): void {
  const { calls, env, held, receiveBytesMax } = parts;
  let message: Uint8Array = new Uint8Array(0);
  const tooLate = env.timers.after(BODY_TIMEOUT_MS, () => exchange.abort());
  exchange.onGone(() => tooLate.cancel());
  const sink: BodySink = {
    onMessage: (bytes) => {
      message = bytes;
    },
    onEnd: () => {
      tooLate.cancel();
      const call = new HttpUnaryCall(parts, entry, exchange, context);
      calls.serve(entry, call, message);
    },
    onRefused: ({ status, message: text }: RpcStatus) => {
      tooLate.cancel();
      exchange.refuse(status, text);
    },
  };
  new RequestBody({
    ...{
      body: exchange.body,
      endsWithFirst: exchange.isServedByFirst,
      message: entry.descriptor.request.descriptor,
    },
    ...{ messageBytesMax: receiveBytesMax, takesOne: true, held, sink },
  });
}

class HttpUnaryCall extends LocalCall implements UnaryCall {
  readonly isBehind = false;
  onCancel: (() => void) | undefined = undefined;
  readonly #parts: GatewayParts;
  readonly #message: MessageInfo;
  readonly #exchange: Exchange;
  /** What the handler keeps for its answer. */
  #heldBytes = 0;
  /** An answer that is printed while it is made. */
  #pieces: Pieces | undefined;
  #bytesLeft = 0;
  readonly #printer: JsonPrinter;

  constructor(parts: GatewayParts, entry: UnaryEntry, exchange: Exchange, context: LocalContext) {
    super(entry.descriptor.path, context, parts.env);
    this.#parts = parts;
    this.#message = entry.descriptor.response.descriptor;
    this.#printer = new JsonPrinter(this.#message);
    this.#exchange = exchange;
    exchange.onGone(() => this.giveUp(STATUS.CANCELED, 'context canceled'));
    exchange.onDrain(() => this.#print());
  }

  whenRoom(waiter: RoomWaiter): void {
    waiter.onRoom();
  }

  mayHold(bytes: number): boolean {
    return this.#parts.held.may(bytes);
  }

  holdMemory(bytes: number): void {
    if (this.ended && bytes > 0) return;
    this.#heldBytes += bytes;
    this.#parts.held.add(bytes);
  }

  reply<T>(encoder: Encoder<T>, message: T): void {
    if (this.ended) return;
    const bytes = encodedBy(encoder, message);
    if (bytes.length > WHOLE_ANSWER_BYTES_MAX) {
      this.replyInPieces(bytes.length, cut(bytes));
      return;
    }
    this.countSent(bytes.length);
    this.leave(STATUS.OK, '');
    this.#exchange.answer(jsonFromWire(this.#message, bytes));
  }

  replyInPieces(size: number, pieces: Pieces): void {
    if (this.ended) {
      pieces.return?.();
      return;
    }
    this.countSent(size);
    this.#pieces = pieces;
    this.#bytesLeft = size;
    this.#print();
  }

  #print(): void {
    if (this.#pieces === undefined) return;
    try {
      while (this.#bytesLeft > 0) {
        const { value: piece } = this.#pieces.next();
        if (piece === undefined) throw new TypeError('an answer has pieces for its whole size');
        this.#bytesLeft -= piece.length;
        const text = this.#printer.push(piece);
        if (!this.#exchange.headSent) this.#exchange.begin();
        if (text !== '' && !this.#exchange.write(text)) return;
      }
    } catch (error) {
      if (error instanceof GrpcStatusError) this.fail(error.code, error.details);
      else this.#parts.calls.failed(this, error);
      return;
    }
    this.leave(STATUS.OK, '');
    this.#exchange.end(this.#printer.end());
  }

  fail(status: StatusCode, message: string): void {
    if (this.ended) return;
    this.leave(status, message);
    if (this.#exchange.headSent) this.#exchange.abort();
    else this.#exchange.refuse(status, message);
  }

  giveUp(status: StatusCode, message: string): void {
    if (this.ended) return;
    this.fail(status, message);
    this.onCancel?.();
  }

  protected override leave(status: StatusCode, message: string): void {
    super.leave(status, message);
    this.#pieces?.return?.();
    this.#pieces = undefined;
    this.holdMemory(-this.#heldBytes);
  }
}

function* cut(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += ANSWER_PIECE_BYTES) {
    yield bytes.subarray(at, at + ANSWER_PIECE_BYTES);
  }
}
