// Outgoing bytes of one connection. Frames are written straight into a slab; a flush hands the slice
// written since the last one to the byte stream: one write per connection and turn, whatever the
// number of frames.
//
//     slab   [ flushed, owned by the stream | pending | free ]
//                                           ^start    ^at
//
// Large payloads are not copied: they are passed on between slices of the slab, as one gathered write.
//
// Flushed bytes are never written again, unless the stream has none of them left: most writes are taken by
// the system at once, and then the whole slab is free. What is free is reused by this connection or another:
// a connection with nothing pending holds no slab.

import { EMPTY_BYTES, invariant } from '../../base/index.ts';
import type { ByteStream } from '../../env/index.ts';
import { outputBuffers } from './buffer-pool.ts';
import { FRAME_HEADER_BYTES } from './protocol.ts';

const SLAB_BYTES = 65_536;
/** Of a connection that wrote little in its last flush: events for many connections take a slab for each. */
const SMALL_SLAB_BYTES = 16_384;
const LITTLE_BYTES = 12_288;
/** A slab with fewer free bytes than this is dropped. */
const SLAB_WORTH_KEEPING = 4_096;
/** A free slab of at least so many bytes is for connections that write more than a little. */
const LARGE_BYTES_MIN = 32_768;
/** Bytes of free slabs, small and large. Reached: another one is dropped. */
const KEPT_SMALL_BYTES_MAX: number = 1024 * 1024;
const KEPT_LARGE_BYTES_MAX: number = 3 * 1024 * 1024;
/** Bytes passed on without a copy that are gathered before they are written. */
const GATHERED_BYTES = 65_536;
/** A piece up to this size is copied where it waits, for the stream or for more: it pins no slab. */
const PIECE_COPIED_MAX = 4_096;
/** Pooled buffers that wait for the stream to release them. Reached: all are left to the collector. */
const LENT_BUFFERS_MAX = 256;

/** Free slabs of one kind. */
class FreeSlabs {
  readonly #slabs: Uint8Array[] = [];
  #bytes = 0;
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** One with at least `room` bytes, if the newest has them. */
  take(room: number): Uint8Array | undefined {
    const slab = this.#slabs.at(-1);
    if (slab === undefined || slab.length < room) return undefined;
    this.#bytes -= slab.length;
    return this.#slabs.pop();
  }

  give(slab: Uint8Array): void {
    if (this.#bytes + slab.length > this.#bytesMax) return;
    this.#slabs.push(slab);
    this.#bytes += slab.length;
  }
}

/** Partly used slabs, shared by the connections of a server or channel. */
export class SlabPool {
  readonly #small = new FreeSlabs(KEPT_SMALL_BYTES_MAX);
  readonly #large = new FreeSlabs(KEPT_LARGE_BYTES_MAX);

  /** A slab with at least `room` bytes, all of them free; about `bytes` are to be written. */
  take(room: number, bytes: number): Uint8Array {
    if (room > SLAB_BYTES) return Buffer.allocUnsafeSlow(room);
    const isSmall = Math.max(room, bytes) <= LITTLE_BYTES;
    const slab = (isSmall ? this.#small.take(room) : undefined) ?? this.#large.take(room);
    return slab ?? Buffer.allocUnsafeSlow(isSmall ? SMALL_SLAB_BYTES : SLAB_BYTES);
  }

  /** Takes back the free rest of a slab. */
  give(rest: Uint8Array): void {
    if (rest.length >= LARGE_BYTES_MIN) this.#large.give(rest);
    else if (rest.length >= SLAB_WORTH_KEEPING) this.#small.give(rest);
  }
}

export class Output {
  /** Where the next byte goes is `bytes[at]`, after {@link reserve} has made room. */
  bytes: Uint8Array = EMPTY_BYTES;
  at = 0;
  #start = 0;
  /** Bytes of the last flush of a slab. */
  #flushedBytes = 0;
  /** Bytes handed to the stream since the beginning. */
  handedBytes = 0;
  readonly #stream: ByteStream;
  readonly #pool: SlabPool;
  /** False after a write of the stream returned false; the owner sets it again on drain. */
  writable = true;
  /** Slices of slabs and payloads that are written together, in order. */
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  /** Pooled buffers of which all bytes were copied or passed on, and which the stream may refer to. */
  readonly #lent: Uint8Array[] = [];

  constructor(stream: ByteStream, pool: SlabPool) {
    this.#stream = stream;
    this.#pool = pool;
  }

  /** Bytes not yet handed to the stream. */
  get pendingBytes(): number {
    return this.#gatheredBytes + this.at - this.#start;
  }

  /** Makes room for `count` bytes in one piece at `bytes[at]`; about `coming` are to be written. */
  reserve(count: number, coming = count): void {
    if (this.bytes.length - this.at >= count) return;
    const pending = this.at - this.#start;
    if (pending > 0 && pending <= PIECE_COPIED_MAX) this.#leaveSlab();
    else this.flush();
    this.bytes = this.#pool.take(count, Math.max(coming, this.#flushedBytes));
  }

  /** Writes a frame header; room has been made for it. */
  frameHeader(length: number, type: number, flags: number, streamId: number): void {
    this.at = writeFrameHeader(this.bytes, this.at, length, type, flags, streamId);
  }

  uint32(value: number): void {
    this.at = writeUint32(this.bytes, this.at, value);
  }

  /** Copies `source[start, end)`; room has been made for it. */
  copy(source: Uint8Array, start: number, end: number): void {
    this.bytes.set(source.subarray(start, end), this.at);
    this.at += end - start;
  }

  /** As {@link copy}, of bytes that never change any more: they are written from where they are. */
  pass(source: Uint8Array, start: number, end: number): void {
    if (this.at > this.#start) this.#gather(this.bytes.subarray(this.#start, this.at));
    this.#start = this.at;
    this.#gather(source.subarray(start, end));
    if (this.#gatheredBytes >= GATHERED_BYTES) this.#writeGathered();
  }

  /** All of a payload was copied or passed on: the memory of a pooled buffer is used again after that. */
  lend(payload: Uint8Array): void {
    const whole = outputBuffers.wholeOf(payload);
    if (whole === undefined) return;
    if (this.#lent.length === LENT_BUFFERS_MAX) this.#lent.length = 0;
    this.#lent.push(whole);
  }

  /** Gives back the buffers that were lent, if the stream has none of them any more. */
  reclaim(): void {
    const lent = this.#lent;
    if (lent.length === 0 || this.#gatheredBytes > 0) return;
    if (this.#stream.hasReleased !== true) return;
    for (const buffer of lent) outputBuffers.give(buffer);
    lent.length = 0;
  }

  #gather(piece: Uint8Array): void {
    this.#gathered.push(piece);
    this.#gatheredBytes += piece.length;
  }

  /** What little is in the slab goes out with what follows it: by itself it is a system call and a packet. */
  #leaveSlab(): void {
    const { bytes, at } = this;
    this.#gather(Buffer.from(bytes.subarray(this.#start, at)));
    this.#pool.give(bytes.subarray(this.#start));
    this.#forgetSlab();
  }

  #forgetSlab(): void {
    this.bytes = EMPTY_BYTES;
    this.at = 0;
    this.#start = 0;
  }

  #writeGathered(): void {
    const pieces = this.#gathered;
    this.handedBytes += this.#gatheredBytes;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (!this.#stream.writeAll(pieces)) this.writable = false;
  }

  /** Writes the pending bytes to the stream and returns the free rest of the slab. */
  flush(): void {
    this.#writePending();
    if (this.#lent.length > 0) this.reclaim();
  }

  #writePending(): void {
    const { bytes, at } = this;
    const start = this.#start;
    invariant(start <= at && at <= bytes.length, 'output cursors are in order');
    if (bytes.length > 0) this.#forgetSlab();
    if (this.#gatheredBytes > 0) {
      if (at > start) this.#gather(bytes.subarray(start, at));
      this.#pool.give(bytes.subarray(at));
      this.#writeGathered();
    } else if (at > start) {
      const piece = bytes.subarray(start, at);
      if (piece.length <= PIECE_COPIED_MAX && this.#stream.bufferedBytes > 0) {
        this.#pool.give(bytes.subarray(start));
        this.#write(Buffer.from(piece));
        return;
      }
      this.#flushedBytes = piece.length;
      this.#write(piece);
      const free = this.#stream.hasReleased === true ? start : at;
      this.#pool.give(free === 0 ? bytes : bytes.subarray(free));
    }
  }

  #write(piece: Uint8Array): void {
    this.handedBytes += piece.length;
    if (!this.#stream.write(piece)) this.writable = false;
  }
}

export function writeFrameHeader(
  target: Uint8Array,
  offset: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  target[offset] = length >>> 16;
  target[offset + 1] = length >>> 8;
  target[offset + 2] = length;
  target[offset + 3] = type;
  target[offset + 4] = flags;
  writeUint32(target, offset + 5, streamId);
  return offset + FRAME_HEADER_BYTES;
}

export function writeUint32(target: Uint8Array, offset: number, value: number): number {
  target[offset] = value >>> 24;
  target[offset + 1] = value >>> 16;
  target[offset + 2] = value >>> 8;
  target[offset + 3] = value;
  return offset + 4;
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 0x1000000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!);
}
