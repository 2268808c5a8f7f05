// Cuts a byte stream into frames. Frames are parsed in place in the chunk that arrived; only a frame
// that is split over chunks is copied, and of it no more than its own bytes.
//
//     chunk   [ frame | frame | fra ]        first two in place, the cut one copied
//     chunk   [ me | frame | ... ]           its rest completes the copy, others in place
//
// A sink that has enough for this turn continues with `resume`; until then the rest is buffered.

import { EMPTY_BYTES, invariant } from '../../base/index.ts';
import { inputBuffers } from './buffer-pool.ts';
import { ConnectionError, FRAME_HEADER_BYTES, FRAME_PAYLOAD_MAX, HTTP2_ERROR } from './protocol.ts';

/** Receives frames; `bytes[start, end)` is the payload, valid during the call only. */
export interface FrameSink {
  onFrame(
    type: number,
    flags: number,
    streamId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void;
  /** Once true, no more frames are delivered and the rest of the input is dropped. */
  readonly closed: boolean;
  /** Once true, no more frames are delivered until {@link FrameReader.resume}. */
  readonly hasEnough: boolean;
}

export class FrameReader {
  /** The beginning of a frame whose end has not arrived. */
  #held: Uint8Array = EMPTY_BYTES;
  #heldLength = 0;
  /** Input for a later turn; our own. */
  #rest: Uint8Array = EMPTY_BYTES;

  /** Whether a frame has begun and not ended: a peer may be slow on purpose. */
  get partial(): boolean {
    return this.#heldLength > 0;
  }

  /** Whether {@link resume} has something to read. */
  get hasRest(): boolean {
    return this.#rest.length > 0;
  }

  /** Delivers every frame that `bytes[from..]` completes. Throws a ConnectionError. */
  push(bytes: Uint8Array, from: number, sink: FrameSink): void {
    const at = this.#read(bytes, from, sink);
    if (at < bytes.length && !sink.closed) this.#rest = Uint8Array.from(bytes.subarray(at));
  }

  /** Continues with the buffered rest, and then `more`, which arrived since. */
  resume(sink: FrameSink, more: Uint8Array = EMPTY_BYTES): void {
    const rest = more.length === 0 ? this.#rest : Buffer.concat([this.#rest, more]);
    this.#rest = EMPTY_BYTES;
    const at = this.#read(rest, 0, sink);
    if (at < rest.length && !sink.closed) this.#rest = rest.subarray(at);
  }

  /** Returns where the sink had enough. */
  #read(bytes: Uint8Array, from: number, sink: FrameSink): number {
    if (sink.hasEnough) return from;
    const end = bytes.length;
    let at = this.#heldLength > 0 ? this.#complete(bytes, from, sink) : from;
    while (end - at >= FRAME_HEADER_BYTES && !sink.closed) {
      if (sink.hasEnough) return at;
      const next = at + FRAME_HEADER_BYTES + payloadLength(bytes, at);
      if (next > end) break;
      deliver(bytes, at, next, sink);
      at = next;
    }
    if (at < end && !sink.closed) this.#hold(bytes, at);
    return end;
  }

  /** Adds to the held frame and delivers it if it is whole. Returns the offset after what it took. */
  #complete(bytes: Uint8Array, from: number, sink: FrameSink): number {
    let at = from;
    if (this.#heldLength < FRAME_HEADER_BYTES) {
      at = this.#take(bytes, at, FRAME_HEADER_BYTES);
      if (this.#heldLength < FRAME_HEADER_BYTES) return at;
      this.#growTo(FRAME_HEADER_BYTES + payloadLength(this.#held, 0));
    }
    const whole = FRAME_HEADER_BYTES + payloadLength(this.#held, 0);
    at = this.#take(bytes, at, whole);
    if (this.#heldLength < whole) return at;
    const held = this.#held;
    // Cleared first: idle connections hold no buffer, and the sink may throw.
    this.#held = EMPTY_BYTES;
    this.#heldLength = 0;
    deliver(held, 0, whole, sink);
    inputBuffers.give(held);
    return at;
  }

  #take(bytes: Uint8Array, at: number, untilLength: number): number {
    const count = Math.min(untilLength - this.#heldLength, bytes.length - at);
    this.#held.set(bytes.subarray(at, at + count), this.#heldLength);
    this.#heldLength += count;
    return at + count;
  }

  #hold(bytes: Uint8Array, at: number): void {
    invariant(this.#heldLength === 0, 'only one frame can be incomplete');
    const known = bytes.length - at >= FRAME_HEADER_BYTES;
    this.#growTo(FRAME_HEADER_BYTES + (known ? payloadLength(bytes, at) : 0));
    this.#take(bytes, at, bytes.length - at);
  }

  #growTo(length: number): void {
    if (this.#held.length >= length) return;
    const grown = inputBuffers.take(length);
    grown.set(this.#held.subarray(0, this.#heldLength));
    inputBuffers.give(this.#held);
    this.#held = grown;
  }
}

function payloadLength(bytes: Uint8Array, at: number): number {
  const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
  if (length > FRAME_PAYLOAD_MAX) {
    throw new ConnectionError(HTTP2_ERROR.FRAME_SIZE_ERROR, `frame of ${length} bytes`);
  }
  return length;
}

function deliver(bytes: Uint8Array, at: number, next: number, sink: FrameSink): void {
  const streamId =
    ((bytes[at + 5]! & 0x7f) << 24) |
    (bytes[at + 6]! << 16) |
    (bytes[at + 7]! << 8) |
    bytes[at + 8]!;
  sink.onFrame(bytes[at + 3]!, bytes[at + 4]!, streamId, bytes, at + FRAME_HEADER_BYTES, next);
}
