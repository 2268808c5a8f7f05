// Queued DATA: streams with something queued and a window for it are in a ring, and each in turn sends
// one frame, so that a large response does not delay small ones.
//
//     queued, window > 0, socket willing   in the ring, sends
//     queued, stream's window <= 0         out of the ring until WINDOW_UPDATE or SETTINGS
//     connection's window <= 0             the ring stops until WINDOW_UPDATE
//     socket full                          the ring stops until it drains

import { invariant } from '../../base/index.ts';
import type { Clock } from '../../env/index.ts';
import type { ConnectionLimits } from '../limits.ts';
import type { ByteCount } from './byte-count.ts';
import type { Output } from './output.ts';
import {
  ConnectionError,
  DEFAULT_WINDOW,
  FLAG,
  FRAME,
  FRAME_HEADER_BYTES,
  FRAME_PAYLOAD_MAX,
  HTTP2_ERROR,
  WINDOW_MAX,
} from './protocol.ts';
import { type Http2Stream, QueuedData } from './stream.ts';

/** Queued bytes are copied up to here; beyond it a gathered write costs less. */
const PASSED_BYTES_MIN = 8_192;

/** A smaller payload is not looked at: few of them are in pooled buffers, which are left to the collector. */
const LENT_BYTES_MIN = 4_096;

/** One connection sends no more DATA than this in one turn, so that others have their share. */
const TURN_BYTES_MAX = 1024 * 1024;

/**
 * Nor does it have more made once that has taken so long: the pieces of an answer may be read from a file,
 * and one of 16 KiB may take a millisecond. More is made at the end of a turn alone, however often it is
 * flushed.
 */
export const PRODUCING_MS_MAX = 1;

export class Sender {
  /** Bytes that the peer allows on the connection. */
  window: number = DEFAULT_WINDOW;
  /** The peer's SETTINGS_INITIAL_WINDOW_SIZE. */
  initialWindow: number = DEFAULT_WINDOW;
  /** DATA queued on all streams. */
  queuedBytes = 0;
  /** Memory of answers that are still being made; see {@link holdForAnswer}. */
  #answerBytes = 0;
  /** DATA sent so far: frames, and their bytes. */
  framesSent = 0;
  bytesSent = 0;
  /** Streams that have room again, and whose producers were not told yet. */
  readonly #producers: Http2Stream[] = [];
  /** The stream that sends next. */
  #next: Http2Stream | undefined = undefined;
  readonly #output: Output;
  readonly #limits: ConnectionLimits;
  readonly #clock: Clock;
  /** Pending bytes of all connections. */
  readonly #total: ByteCount;

  constructor(output: Output, limits: ConnectionLimits, total: ByteCount, clock: Clock) {
    this.#output = output;
    this.#clock = clock;
    this.#limits = limits;
    this.#total = total;
  }

  /** Bytes that the peer has not taken yet: queued DATA, and answers that are being made. */
  get pendingBytes(): number {
    return this.queuedBytes + this.#answerBytes;
  }

  /**
   * Whether the peer leaves so much unread that no more answers should be made for it. While the bound
   * over all connections is exceeded, that is every connection above `pendingBytesFloor`.
   */
  get isBehind(): boolean {
    if (this.queuedBytes > this.#limits.connectionHighWaterBytes) return true;
    return this.#total.isOver && this.pendingBytes > this.#limits.pendingBytesFloor;
  }

  /** Whether `bytes` more stay within the bound over all connections. */
  mayHold(bytes: number): boolean {
    return this.#total.bytes + bytes <= this.#total.max;
  }

  /** Counts memory of an answer that is being made; a negative number releases it. */
  holdForAnswer(bytes: number): void {
    this.#answerBytes += bytes;
    this.#total.bytes += bytes;
  }

  /** Whether one DATA frame of `bytes` may be written to the output without queueing. */
  mayWrite(stream: Http2Stream, bytes: number): boolean {
    return (
      bytes <= FRAME_PAYLOAD_MAX &&
      bytes <= stream.sendWindow &&
      bytes <= this.window &&
      stream.queueHead === undefined &&
      this.#output.writable
    );
  }

  /** How many DATA frames of `bytes` each may be written so. */
  countWritable(stream: Http2Stream, bytes: number): number {
    if (!this.mayWrite(stream, bytes)) return 0;
    return Math.floor(Math.min(stream.sendWindow, this.window) / bytes);
  }

  /** Accounts for DATA frames, of `bytes` together, that the caller writes after {@link mayWrite}. */
  wrote(stream: Http2Stream, bytes: number, frames = 1): void {
    stream.sendWindow -= bytes;
    this.window -= bytes;
    this.framesSent += frames;
    this.bytesSent += bytes;
  }

  /** Queues `bytes[at..]`, which must not change any more. {@link pump} sends it. */
  enqueue(stream: Http2Stream, bytes: Uint8Array, at: number): void {
    invariant(at < bytes.length, 'an empty piece is not queued');
    stream.enqueue(new QueuedData(bytes, at));
    this.#countQueued(bytes.length - at);
    this.#enterRing(stream);
  }

  #countQueued(bytes: number): void {
    this.queuedBytes += bytes;
    this.#total.bytes += bytes;
  }

  /** Whether the producer of `stream` should wait; then `onDrain` follows when there is room. */
  full(stream: Http2Stream): boolean {
    const queued = stream.queuedBytes;
    if (queued === 0) return false;
    const full = queued > this.#limits.streamHighWaterBytes || this.isBehind;
    if (full) stream.wantsDrain = true;
    return full;
  }

  /** Whether {@link pump} can send something. */
  get pumpable(): boolean {
    return this.#next !== undefined && this.window > 0 && this.#output.writable;
  }

  /** Whether a producer waits for {@link pump} to ask it, there being room. */
  get mayProduce(): boolean {
    return this.#producers.length > 0;
  }

  /** Sends what windows and socket allow, up to a share; with `produces`, has more made of it. */
  pump(produces: boolean): void {
    let left = TURN_BYTES_MAX;
    let endMs = 0;
    for (;;) {
      while (this.pumpable && left > 0) left -= this.#sendNext();
      if (!produces || !this.mayProduce || left <= 0) return;
      const nowMs = this.#clock.monotonicMs();
      if (endMs === 0) endMs = nowMs + PRODUCING_MS_MAX;
      else if (nowMs >= endMs) return;
      const stream = this.#producers.shift()!;
      if (!stream.closed) stream.onDrain();
    }
  }

  /** Sends a frame of the stream whose turn it is; its bytes. */
  #sendNext(): number {
    const stream = this.#next!;
    const count = this.#sendFrame(stream);
    if (stream.wantsDrain && this.#hasRoom(stream)) {
      stream.wantsDrain = false;
      this.#producers.push(stream);
    }
    return count;
  }

  #hasRoom(stream: Http2Stream): boolean {
    if (this.isBehind) return stream.queuedBytes === 0;
    return stream.queuedBytes <= this.#limits.streamHighWaterBytes / 2;
  }

  #sendFrame(stream: Http2Stream): number {
    const most = Math.min(FRAME_PAYLOAD_MAX, stream.sendWindow, this.window, stream.queuedBytes);
    // A frame that goes on into the next piece would often end with too little of it to pass on.
    const { bytes, at } = stream.queueHead!;
    const ofPiece = bytes.length - at;
    const count = ofPiece >= PASSED_BYTES_MIN ? Math.min(most, ofPiece) : most;
    invariant(count > 0, 'a stream in the ring has bytes and a window for them');
    const last = count === stream.queuedBytes;
    const flags = last && stream.endAfterQueue ? FLAG.END_STREAM : 0;
    this.#output.reserve(FRAME_HEADER_BYTES + Math.min(count, PASSED_BYTES_MIN));
    this.#output.frameHeader(count, FRAME.DATA, flags, stream.id);
    this.#takeFromQueue(stream, count);
    this.wrote(stream, count);
    this.#countQueued(-count);
    if (last || stream.sendWindow <= 0) this.#leaveRing(stream);
    else this.#next = stream.readyNext;
    if (last) this.#queueSent(stream);
    return count;
  }

  #queueSent(stream: Http2Stream): void {
    if (stream.endAfterQueue) {
      stream.connection.localEndSent(stream);
    } else if (stream.notifyEmpty) {
      stream.notifyEmpty = false;
      stream.onQueueEmpty();
    }
  }

  #takeFromQueue(stream: Http2Stream, count: number): void {
    let left = count;
    while (left > 0) {
      const head = stream.queueHead!;
      const take = Math.min(left, head.bytes.length - head.at);
      if (take >= PASSED_BYTES_MIN) this.#output.pass(head.bytes, head.at, head.at + take);
      else {
        this.#output.reserve(take);
        this.#output.copy(head.bytes, head.at, head.at + take);
      }
      head.at += take;
      left -= take;
      if (head.at === head.bytes.length) {
        stream.queueHead = head.next;
        if (head.next === undefined) stream.queueTail = undefined;
        if (head.bytes.length >= LENT_BYTES_MIN) this.#output.lend(head.bytes);
      }
    }
    stream.queuedBytes -= count;
  }

  /** WINDOW_UPDATE of the connection. */
  widen(increment: number): void {
    this.window += increment;
    if (this.window > WINDOW_MAX) {
      throw new ConnectionError(HTTP2_ERROR.FLOW_CONTROL_ERROR, 'connection window overflow');
    }
  }

  /** WINDOW_UPDATE of one stream; false if its window overflows. */
  widenStream(stream: Http2Stream, increment: number): boolean {
    stream.sendWindow += increment;
    if (stream.sendWindow > WINDOW_MAX) return false;
    this.#enterRing(stream);
    return true;
  }

  /** SETTINGS_INITIAL_WINDOW_SIZE: moves the window of every stream (RFC 9113 section 6.9.2). */
  setInitialWindow(size: number, streams: Iterable<Http2Stream>): void {
    const delta = size - this.initialWindow;
    this.initialWindow = size;
    if (delta === 0) return;
    for (const stream of streams) {
      if (!this.widenStream(stream, delta)) {
        throw new ConnectionError(HTTP2_ERROR.FLOW_CONTROL_ERROR, 'stream window overflow');
      }
      if (stream.ready && stream.sendWindow <= 0) this.#leaveRing(stream);
    }
  }

  /** Drops what the stream has queued. */
  forget(stream: Http2Stream): void {
    this.#countQueued(-stream.dropQueue());
    if (stream.ready) this.#leaveRing(stream);
  }

  #enterRing(stream: Http2Stream): void {
    if (stream.ready || stream.queuedBytes === 0 || stream.sendWindow <= 0) return;
    stream.ready = true;
    const next = this.#next;
    if (next === undefined) {
      stream.readyNext = stream;
      stream.readyPrevious = stream;
      this.#next = stream;
      return;
    }
    const previous = next.readyPrevious!;
    stream.readyNext = next;
    stream.readyPrevious = previous;
    previous.readyNext = stream;
    next.readyPrevious = stream;
  }

  #leaveRing(stream: Http2Stream): void {
    invariant(stream.ready, 'a stream leaves the ring once');
    const next = stream.readyNext!;
    const previous = stream.readyPrevious!;
    previous.readyNext = next;
    next.readyPrevious = previous;
    if (this.#next === stream) this.#next = next === stream ? undefined : next;
    stream.ready = false;
    stream.readyNext = undefined;
    stream.readyPrevious = undefined;
  }
}
