// Common to both ends of a call: cutting the DATA of a stream into messages, and sending messages.
//
// A message on the wire is a flag byte (1: compressed), a length of four bytes, and that many bytes.
// A message that lies whole in one frame is delivered in place; otherwise its bytes are kept:
//
//     kept   [ taken | incomplete message, or what arrived while paused | free ]
//                    ^keptStart                                         ^keptEnd

import { EMPTY_BYTES, ERROR_CODES, hasCode, invariant } from '../../base/index.ts';
import { GZIP, gunzip, gzip } from '../gzip.ts';
import { inputBuffers, outputBuffers } from '../http2/buffer-pool.ts';
import { writeFrameRun } from '../http2/frame-run.ts';
import { readUint32, writeFrameHeader, writeUint32 } from '../http2/output.ts';
import { FRAME, FRAME_HEADER_BYTES, HTTP2_ERROR } from '../http2/protocol.ts';
import { Http2Stream } from '../http2/stream.ts';
import type { Encoder } from '../message-encoder.ts';
import { STATUS, type StatusCode } from '../status.ts';

export const MESSAGE_PREFIX_BYTES = 5;
const KEPT_BYTES_MIN = 1024;

export abstract class GrpcStream extends Http2Stream {
  /** Largest message accepted, before and after decompression. */
  protected receiveBytesMax = 0;
  /** The peer's `grpc-encoding`; empty for identity. */
  protected receiveEncoding = '';
  /** No message is delivered while true. */
  protected readingPaused = false;
  /** Nothing more is delivered: the call has ended. */
  protected receiveEnded = false;
  #delivering = false;
  #endArrived = false;
  /** Bytes that arrived while paused, with no WINDOW_UPDATE yet. */
  #uncreditedWhilePaused = 0;
  #kept: Uint8Array = EMPTY_BYTES;
  #keptStart = 0;
  #keptEnd = 0;

  /**
   * One message, decompressed, valid during the call. `last`: the peer has ended its half and nothing
   * follows this message, so that `onMessagesEnd` will be next.
   */
  protected abstract onMessage(message: Uint8Array, last: boolean): void;
  /** The peer has sent its last message. */
  protected abstract onMessagesEnd(): void;
  /** The peer's messages violate the format or a limit; nothing more is delivered. */
  protected abstract onReceiveError(status: StatusCode, text: string): void;
  /** The status for a last message that is not whole. */
  protected get cutOffStatus(): StatusCode {
    return STATUS.INTERNAL;
  }
  /** The status for a message in an encoding that we do not know. */
  protected abstract readonly unknownEncodingStatus: StatusCode;

  // Receiving

  onData(bytes: Uint8Array, start: number, end: number): void {
    if (this.receiveEnded) return;
    if (this.readingPaused || this.#delivering || this.#keptEnd > this.#keptStart) {
      if (!this.#keep(bytes, start, end)) return;
      if (this.readingPaused || this.#delivering) {
        // Not credited yet, so that flow control stops the sender.
        this.#uncreditedWhilePaused += end - start;
        return;
      }
      this.connection.credit(this, end - start);
      this.#deliverKept();
      return;
    }
    const taken = this.#deliver(bytes, start, end);
    if (this.receiveEnded) {
      this.#dropKept();
      return;
    }
    if (this.readingPaused) {
      this.connection.credit(this, taken - start);
      if (taken < end && this.#keep(bytes, taken, end)) this.#uncreditedWhilePaused += end - taken;
      return;
    }
    if (taken < end && !this.#keep(bytes, taken, end)) return;
    this.connection.credit(this, end - start);
  }

  onRemoteEnd(): void {
    if (this.receiveEnded) return;
    this.#endArrived = true;
    if (!this.readingPaused && !this.#delivering) this.#deliverEnd();
  }

  protected pauseReading(): void {
    this.readingPaused = true;
  }

  protected resumeReading(): void {
    if (!this.readingPaused) return;
    this.readingPaused = false;
    if (this.#delivering || this.receiveEnded) return;
    this.#deliverKept();
    if (this.readingPaused || this.receiveEnded) return;
    const owed = this.#uncreditedWhilePaused;
    this.#uncreditedWhilePaused = 0;
    if (this.#endArrived) this.#deliverEnd();
    else this.connection.credit(this, owed);
  }

  #deliverEnd(): void {
    const count = this.#keptEnd - this.#keptStart;
    if (count > 0) this.#dropKept();
    // Less than a prefix at the end is ignored, as in grpc-go.
    if (count < MESSAGE_PREFIX_BYTES) this.onMessagesEnd();
    else this.#receiveFailed(this.cutOffStatus, 'unexpected EOF');
  }

  #deliverKept(): void {
    this.#keptStart = this.#deliver(this.#kept, this.#keptStart, this.#keptEnd);
    if (this.#keptStart === this.#keptEnd || this.receiveEnded) this.#dropKept();
  }

  /** Delivers the whole messages in `bytes[start, end)`. Returns where the rest begins. */
  #deliver(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    this.#delivering = true;
    while (end - at >= MESSAGE_PREFIX_BYTES && !this.readingPaused && !this.receiveEnded) {
      const length = readUint32(bytes, at + 1);
      if (length > this.receiveBytesMax) {
        this.#receiveFailed(
          STATUS.RESOURCE_EXHAUSTED,
          `grpc: received message larger than max (${length} vs. ${this.receiveBytesMax})`,
        );
        break;
      }
      const from = at + MESSAGE_PREFIX_BYTES;
      const next = from + length;
      if (next > end) break;
      at = next;
      this.connection.inputWork--;
      const last = next === end && this.remoteEnded;
      // Not `subarray`: that of a Buffer makes a Buffer, which takes longer.
      const message = new Uint8Array(bytes.buffer, bytes.byteOffset + from, length);
      if (bytes[from - MESSAGE_PREFIX_BYTES] === 0) this.onMessage(message, last);
      else this.#deliverEncoded(bytes[from - MESSAGE_PREFIX_BYTES]!, message, last);
    }
    this.#delivering = false;
    return at;
  }

  #deliverEncoded(flag: number, message: Uint8Array, last: boolean): void {
    const encoding = this.receiveEncoding;
    if (flag !== 1) {
      this.#receiveFailed(STATUS.INTERNAL, `grpc: received unexpected payload format ${flag}`);
      return;
    }
    if (encoding === '') {
      this.#receiveFailed(
        STATUS.INTERNAL,
        'grpc: compressed flag set with identity or empty encoding',
      );
      return;
    }
    if (encoding !== GZIP) {
      this.#receiveFailed(this.unknownEncodingStatus, unknownEncodingText(encoding));
      return;
    }
    let plain: Uint8Array;
    try {
      plain = gunzip(message, this.receiveBytesMax);
    } catch (error) {
      if (hasCode(error, ERROR_CODES.LIMIT_EXCEEDED)) {
        this.#receiveFailed(
          STATUS.RESOURCE_EXHAUSTED,
          `grpc: received message after decompression larger than max ${this.receiveBytesMax}`,
        );
        return;
      }
      if (!hasCode(error, ERROR_CODES.MALFORMED)) throw error;
      this.#receiveFailed(
        STATUS.INTERNAL,
        `grpc: failed to decompress the message: ${error.message}`,
      );
      return;
    }
    this.onMessage(plain, last);
  }

  #receiveFailed(status: StatusCode, text: string): void {
    this.receiveEnded = true;
    this.onReceiveError(status, text);
  }

  /** Keeps a copy. False if the connection's bound is reached; the stream is then reset. */
  #keep(bytes: Uint8Array, start: number, end: number): boolean {
    const count = end - start;
    if (this.#kept.length - this.#keptEnd < count) this.#makeRoom(count);
    this.#kept.set(bytes.subarray(start, end), this.#keptEnd);
    this.#keptEnd += count;
    if (!this.connection.holdsTooMuch) return true;
    this.#dropKept();
    this.connection.abortStream(this, HTTP2_ERROR.ENHANCE_YOUR_CALM);
    return false;
  }

  #makeRoom(count: number): void {
    const kept = this.#kept;
    const length = this.#keptEnd - this.#keptStart;
    const needed = length + count;
    let target = kept;
    if (kept.length < needed || kept.length < 2 * length) {
      // Doubled, so that a large message is not copied again and again; never beyond the length in its
      // prefix, and never sized by the prefix alone: an announced length must not allocate memory.
      const capacity = Math.max(needed, Math.min(2 * needed, this.#promisedBytes(length)));
      target = inputBuffers.take(Math.max(KEPT_BYTES_MIN, capacity));
      this.connection.hold(target.length - kept.length);
      this.#kept = target;
    }
    target.set(kept.subarray(this.#keptStart, this.#keptEnd), 0);
    if (target !== kept) this.#giveBack(kept);
    this.#keptStart = 0;
    this.#keptEnd = length;
  }

  /** Size of the incomplete message, prefix included; Infinity if not known yet. */
  #promisedBytes(length: number): number {
    if (length < MESSAGE_PREFIX_BYTES || this.readingPaused) return Number.POSITIVE_INFINITY;
    return MESSAGE_PREFIX_BYTES + readUint32(this.#kept, this.#keptStart + 1);
  }

  /** A message that is being delivered may lie in it: then it is left to the collector. */
  #giveBack(kept: Uint8Array): void {
    if (!this.#delivering) inputBuffers.give(kept);
  }

  #dropKept(): void {
    this.connection.hold(-this.#kept.length);
    this.#giveBack(this.#kept);
    this.#kept = EMPTY_BYTES;
    this.#keptStart = 0;
    this.#keptEnd = 0;
  }

  get heldBytes(): number {
    return this.#kept.length;
  }

  /** Ends delivery and drops the buffered bytes. */
  protected endReceiving(): void {
    this.receiveEnded = true;
    if (!this.#delivering && this.#kept.length > 0) this.#dropKept();
  }

  // Sending

  /** Whether a message of so many bytes would be sent without being queued. */
  protected fitsAtOnce(size: number): boolean {
    return this.connection.sender.mayWrite(this, MESSAGE_PREFIX_BYTES + size);
  }

  /** Sends one message: at once if it fits a frame and the windows, else through the queue. */
  protected sendMessage<T>(encoder: Encoder<T>, message: T, size: number): void {
    const { sender, output } = this.connection;
    const total = MESSAGE_PREFIX_BYTES + size;
    if (sender.mayWrite(this, total)) {
      output.reserve(FRAME_HEADER_BYTES + total);
      const bytes = output.bytes;
      const at = writeFrameHeader(bytes, output.at, total, FRAME.DATA, 0, this.id);
      output.at = writeMessage(encoder, message, size, bytes, at);
      sender.wrote(this, total);
      this.connection.flushSoon();
      return;
    }
    const bytes = outputBuffers.take(total).subarray(0, total);
    writeMessage(encoder, message, size, bytes, 0);
    this.connection.sendData(this, bytes);
  }

  /**
   * Sends one message, `head` and then `body`, whose bytes never change any more: where they have to be
   * queued, the queues of all streams that send them refer to the same.
   */
  protected sendShared(head: Uint8Array, body: Uint8Array): void {
    const first = Buffer.allocUnsafe(MESSAGE_PREFIX_BYTES + head.length);
    first[0] = 0;
    first.set(head, writeUint32(first, 1, head.length + body.length));
    this.connection.sendData(this, first);
    this.connection.sendData(this, body);
  }

  /**
   * Sends messages of `size` bytes that are equal but for the field at `fieldAt`, which `message` has from
   * `fields[0]`. Returns how many were sent: as many as fit the windows, a frame each and the socket.
   */
  protected sendRun<T>(
    encoder: Encoder<T>,
    message: T,
    size: number,
    fieldAt: number,
    fields: readonly Uint8Array[],
  ): number {
    const { sender, output } = this.connection;
    const total = MESSAGE_PREFIX_BYTES + size;
    const length = FRAME_HEADER_BYTES + total;
    let sent = 0;
    while (sent < fields.length && sender.mayWrite(this, total)) {
      output.reserve(length, (fields.length - sent) * length);
      const { bytes, at } = output;
      const room = Math.floor((bytes.length - at) / length);
      const fitting = Math.min(room, sender.countWritable(this, total));
      const count = Math.min(fitting, fields.length - sent);
      // Making room may have filled the socket.
      if (count === 0) break;
      const start = writeFrameHeader(bytes, at, total, FRAME.DATA, 0, this.id);
      writeMessage(encoder, message, size, bytes, start);
      const offset = start - at + MESSAGE_PREFIX_BYTES + fieldAt;
      bytes.set(fields[sent]!, at + offset);
      output.at = writeFrameRun(bytes, at, length, offset, fields, sent, count);
      sender.wrote(this, count * total, count);
      sent += count;
    }
    this.connection.flushSoon();
    return sent;
  }

  /** As `sendMessage`, compressed. */
  protected sendCompressed<T>(encoder: Encoder<T>, message: T, size: number): void {
    const plain = Buffer.allocUnsafe(size);
    const written = encoder.write(message, plain, 0);
    invariant(written === size, 'an encoder writes what it announced');
    const packed = gzip(plain);
    const bytes = Buffer.allocUnsafe(MESSAGE_PREFIX_BYTES + packed.length);
    bytes[0] = 1;
    writeUint32(bytes, 1, packed.length);
    bytes.set(packed, MESSAGE_PREFIX_BYTES);
    this.connection.sendData(this, bytes);
  }
}

/** Writes prefix and message at `offset`; the caller made room. Returns the offset after. */
export function writeMessage<T>(
  encoder: Encoder<T>,
  message: T,
  size: number,
  target: Uint8Array,
  offset: number,
): number {
  target[offset] = 0;
  const start = writeUint32(target, offset + 1, size);
  const end = encoder.write(message, target, start);
  invariant(end - start === size, 'an encoder writes what it announced');
  return end;
}

export function unknownEncodingText(encoding: string): string {
  return `grpc: Decompressor is not installed for grpc-encoding ${JSON.stringify(encoding)}`;
}
