// Outgoing frames of one stream: encoded once, into consecutive buffers, and written in chunks.
//
//   add ─> open chunk ─(end of the callback)─> queue ─(the socket has room)─> byte stream
//          └──────────── counted against the bounds ───────────┘
//
// Hot: per message no promise, no closure and, most of the time, no array.

import { invariant } from '../base/index.ts';
import type { ByteStream } from '../env/index.ts';
import type { raftpb } from '../protocol/index.ts';
import type { FrameEncoder } from './codec/frame-codec.ts';
import { CHUNK_HEAD_BYTES, CHUNK_OVERHEAD, frameChunk } from './http1/index.ts';
import {
  FRAME_SLAB_BYTES,
  HANDED_BYTES_MAX,
  STREAM_BYTES_MAX,
  STREAM_MESSAGES_MAX,
} from './limits.ts';

interface Chunk {
  readonly bytes: Uint8Array;
  readonly messages: number;
}

const CHUNK_TAIL_BYTES = CHUNK_OVERHEAD - CHUNK_HEAD_BYTES;

export class StreamQueue {
  readonly #stream: ByteStream;
  readonly #encoder: FrameEncoder;
  #slab = new Uint8Array(0);
  /** Where the next byte goes. */
  #at = 0;
  /** Where the open chunk begins in the slab; -1 if none is open. */
  #chunkStart = -1;
  #chunkMessages = 0;
  #queue: Chunk[] = [];
  /** Bytes of the queue's first chunk that were written. */
  #headHanded = 0;
  #queuedBytes = 0;
  #queuedMessages = 0;
  #flushArmed = false;
  #closed = false;

  constructor(stream: ByteStream, encoder: FrameEncoder) {
    this.#stream = stream;
    this.#encoder = encoder;
  }

  /** Messages not written to the byte stream yet. */
  get messages(): number {
    return this.#queuedMessages + this.#chunkMessages;
  }

  get bytes(): number {
    return this.#queuedBytes + (this.#chunkStart < 0 ? 0 : this.#at - this.#chunkStart);
  }

  /** Encodes the message and returns the bytes of its frame; 0 if there is no room for it. */
  add(message: raftpb.Message): number {
    if (this.messages >= STREAM_MESSAGES_MAX) return 0;
    const size = this.#encoder.size(message);
    const before = this.bytes;
    if (before > 0 && before + size > STREAM_BYTES_MAX) return 0;
    this.#makeRoom(size);
    const end = this.#encoder.write(message, this.#slab, this.#at);
    invariant(end === this.#at + size, 'StreamQueue: a frame has the size that was measured');
    this.#at = end;
    this.#chunkMessages++;
    return size;
  }

  addHeartbeat(): number {
    const size = this.#encoder.heartbeatSize;
    this.#makeRoom(size);
    this.#at = this.#encoder.writeHeartbeat(this.#slab, this.#at);
    return size;
  }

  /** Nothing is written any more. */
  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#slab = new Uint8Array(0);
  }

  /** Writes what the byte stream has room for, at once: what follows in this turn may wait for the disk. */
  readonly pump = (): void => {
    while (!this.#closed && this.#queue.length > 0) {
      if (this.#stream.bufferedBytes >= HANDED_BYTES_MAX) return;
      this.#stream.writeAll(this.#take(HANDED_BYTES_MAX - this.#stream.bufferedBytes));
    }
  };

  /** Takes chunks, or pieces of them, until they have so many bytes or more. */
  #take(bytes: number): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    for (let taken = 0; taken < bytes && this.#queue.length > 0; ) {
      const head = this.#queue[0]!;
      const from = this.#headHanded;
      const to = Math.min(head.bytes.length, from + HANDED_BYTES_MAX);
      this.#headHanded = to;
      this.#queuedBytes -= to - from;
      if (to === head.bytes.length) {
        this.#queue.shift();
        this.#headHanded = 0;
        this.#queuedMessages -= head.messages;
      }
      pieces.push(to - from === head.bytes.length ? head.bytes : head.bytes.subarray(from, to));
      taken += to - from;
    }
    return pieces;
  }

  readonly #flush = (): void => {
    this.#flushArmed = false;
    if (this.#closed) return;
    this.#closeChunk();
    this.pump();
  };

  /** Room for a frame of `size` bytes in the open chunk. */
  #makeRoom(size: number): void {
    if (!this.#flushArmed) {
      this.#flushArmed = true;
      queueMicrotask(this.#flush);
    }
    if (this.#chunkStart >= 0) {
      if (this.#at + size + CHUNK_TAIL_BYTES <= this.#slab.length) return;
      this.#closeChunk();
    }
    const needed = size + CHUNK_OVERHEAD;
    if (this.#at + needed > this.#slab.length) {
      this.#slab = new Uint8Array(Math.max(FRAME_SLAB_BYTES, needed));
      this.#at = 0;
    }
    this.#chunkStart = this.#at;
    this.#at += CHUNK_HEAD_BYTES;
  }

  #closeChunk(): void {
    if (this.#chunkStart < 0) return;
    const from = frameChunk(this.#slab, this.#chunkStart, this.#at);
    this.#at += CHUNK_TAIL_BYTES;
    const bytes = this.#slab.subarray(from, this.#at);
    this.#queue.push({ bytes, messages: this.#chunkMessages });
    this.#queuedBytes += bytes.length;
    this.#queuedMessages += this.#chunkMessages;
    this.#chunkMessages = 0;
    this.#chunkStart = -1;
  }
}
