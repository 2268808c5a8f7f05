// One attempt at a call: the stream on one connection. A call that no server has processed may be
// attempted again elsewhere; what outlives an attempt is in the call (`client-call.ts`).

import { FieldMetadata } from '../field-metadata.ts';
import { HTTP2_ERROR, http2ErrorName } from '../http2/protocol.ts';
import type { Encoder } from '../message-encoder.ts';
import { GrpcStream } from '../server/grpc-stream.ts';
import { STATUS, type StatusCode } from '../status.ts';
import type { ClientCallRecord } from './client-call.ts';
import type { ClientConnection } from './client-connection.ts';
import { type ResponseHead, statusOfHttp } from './response-head.ts';

/** gRPC status of an RST_STREAM by its error code (grpc-go's table). */
const STATUS_OF_RESET: ReadonlyMap<number, StatusCode> = new Map<number, StatusCode>([
  [HTTP2_ERROR.FLOW_CONTROL_ERROR, STATUS.RESOURCE_EXHAUSTED],
  [HTTP2_ERROR.REFUSED_STREAM, STATUS.UNAVAILABLE],
  [HTTP2_ERROR.CANCEL, STATUS.CANCELED],
  [HTTP2_ERROR.ENHANCE_YOUR_CALM, STATUS.RESOURCE_EXHAUSTED],
  [HTTP2_ERROR.INADEQUATE_SECURITY, STATUS.PERMISSION_DENIED],
]);

export class ClientAttempt extends GrpcStream {
  declare readonly connection: ClientConnection;
  readonly call: ClientCallRecord;
  /** The trailers, once they have arrived. */
  #trailers: ResponseHead | undefined = undefined;
  #headArrived = false;

  constructor(connection: ClientConnection, call: ClientCallRecord) {
    super(connection, 0);
    this.call = call;
    this.receiveBytesMax = call.receiveBytesMax;
  }

  protected readonly unknownEncodingStatus = STATUS.INTERNAL;

  /** HEADERS: the response's head, its trailers, or both in one. `head` undefined: too large. */
  onHeaders(head: ResponseHead | undefined, endStream: boolean): void {
    if (head === undefined) {
      this.#abandon(STATUS.INTERNAL, 'peer header list size exceeded limit');
      return;
    }
    if (!head.wellFormed) {
      this.#abandon(STATUS.INTERNAL, 'malformed header');
      return;
    }
    if (this.#headArrived) {
      if (!endStream) {
        const text = 'a HEADERS frame cannot appear in the middle of a stream';
        this.#abandon(STATUS.INTERNAL, text);
        return;
      }
      if (head.httpStatus !== 0) {
        this.#abandon(STATUS.INTERNAL, 'malformed trailers');
        return;
      }
      this.#takeTrailers(head);
      return;
    }
    if (head.httpStatus >= 100 && head.httpStatus < 200) {
      if (endStream) this.#abandon(STATUS.INTERNAL, 'informational header with END_STREAM');
      return;
    }
    if (head.httpStatus === 0 || !head.isGrpc) {
      const { code, message } = statusOfHttp(head);
      this.#abandon(code, message);
      return;
    }
    this.#headArrived = true;
    this.contentLeft = head.contentLength;
    if (endStream) {
      this.#takeTrailers(head);
      return;
    }
    if (head.error !== undefined) {
      this.#abandon(STATUS.INTERNAL, head.error);
      return;
    }
    this.receiveEncoding = head.encoding;
    this.call.onHead(new FieldMetadata(head.fields));
  }

  #takeTrailers(head: ResponseHead): void {
    if (head.error !== undefined) {
      this.#abandon(STATUS.UNKNOWN, head.error);
      return;
    }
    this.#trailers = head;
  }

  /** The server has broken the protocol. */
  #abandon(code: StatusCode, text: string): void {
    this.endReceiving();
    this.connection.resetStream(this, HTTP2_ERROR.PROTOCOL_ERROR);
    this.call.finish(code, text, undefined);
  }

  onMessage(message: Uint8Array): void {
    this.call.onMessage(message);
  }

  onMessagesEnd(): void {
    const trailers = this.#trailers;
    this.endReceiving();
    // The server needs nothing more from us.
    if (!this.localEnded) this.connection.resetStream(this, HTTP2_ERROR.NO_ERROR);
    if (trailers === undefined) {
      const text = 'server closed the stream without sending trailers';
      this.call.finish(STATUS.INTERNAL, text, undefined);
      return;
    }
    this.call.finish(trailers.status ?? STATUS.UNKNOWN, trailers.message, trailers.fields);
  }

  onReceiveError(status: StatusCode, text: string): void {
    this.connection.resetStream(this, HTTP2_ERROR.CANCEL);
    this.call.finish(status, text, undefined);
  }

  onAborted(code: number | undefined, byPeer: boolean): void {
    this.endReceiving();
    if (code === undefined) {
      this.call.finish(this.connection.lossCode, this.connection.lossText, undefined);
    } else if (byPeer && code === HTTP2_ERROR.REFUSED_STREAM) {
      this.call.onUnprocessed('stream refused');
    } else {
      const status = STATUS_OF_RESET.get(code) ?? STATUS.INTERNAL;
      const verb = byPeer ? 'stream terminated by RST_STREAM' : 'received invalid frame';
      this.call.finish(status, `${verb} with error code: ${http2ErrorName(code)}`, undefined);
    }
  }

  /** The call has ended on our side. */
  cancel(): void {
    this.endReceiving();
    this.connection.resetStream(this, HTTP2_ERROR.CANCEL);
  }

  send<T>(encoder: Encoder<T>, message: T): void {
    this.sendMessage(encoder, message, encoder.size(message));
  }

  onQueueEmpty(): void {
    // The last DATA frame carries END_STREAM; nothing follows it.
  }

  onDrain(): void {
    this.call.onDrain();
  }

  pause(): void {
    this.pauseReading();
  }

  resume(): void {
    this.resumeReading();
  }
}
