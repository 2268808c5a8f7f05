// Buffers that are used again.
//
// The collector counts memory outside its heap, and marks the whole heap for every 64 MiB of it: a fifth of
// a second where a million keys are indexed, in parts of 5 to 10 ms that any allocation may have to do.

import { invariant, verify } from './invariant.ts';

/** Smaller buffers are cut from a block that Node.js keeps. */
const POOLED_BYTES_MIN = 4 * 1024;
/** Larger buffers are left to the collector. */
const POOLED_BYTES_MAX = 1024 * 1024;
/** Of all buffers that wait to be used again, unless a pool is told otherwise. */
const FREE_BYTES_MAX = 4 * 1024 * 1024;
/** Written over what is given back, where tests look for those who read it too late. */
const POISON = 0xdb;

export class BufferPool {
  readonly #allocate: (bytes: number) => Uint8Array;
  readonly #freeBytesMax: number;
  /** Free buffers by the logarithm of their size, a power of two. */
  readonly #free: Uint8Array[][] = Array.from({ length: 32 }, () => []);
  #freeBytes = 0;
  /** The buffers of this pool, by their memory. */
  readonly #wholes = new WeakMap<ArrayBufferLike, Uint8Array>();

  /** `allocate` makes buffers, not zeroed; those from 4 KiB on with memory of their own. */
  constructor(allocate: (bytes: number) => Uint8Array, freeBytesMax = FREE_BYTES_MAX) {
    this.#allocate = allocate;
    this.#freeBytesMax = freeBytesMax;
  }

  /** At least so many bytes, of any content; at most twice as many. */
  take(bytesMin: number): Uint8Array {
    if (bytesMin < POOLED_BYTES_MIN || bytesMin > POOLED_BYTES_MAX) return this.#allocate(bytesMin);
    const order = 32 - Math.clz32(bytesMin - 1);
    const known = this.#free[order]!.pop();
    if (known === undefined) return this.#make(2 ** order);
    this.#freeBytes -= known.length;
    invariant(known.length >= bytesMin, 'a pooled buffer has the size of its class');
    return known;
  }

  /** Gives back what {@link take} returned: from now on nobody may read or write it. */
  give(buffer: Uint8Array): void {
    const { length } = buffer;
    if (length < POOLED_BYTES_MIN || length > POOLED_BYTES_MAX) return;
    if (verify.all) buffer.fill(POISON);
    if (this.#freeBytes + length > this.#freeBytesMax) return;
    const order = 31 - Math.clz32(length);
    invariant(length === 2 ** order, 'a pooled buffer is a power of two in size');
    this.#free[order]!.push(buffer);
    this.#freeBytes += length;
  }

  /** The buffer of this pool that `part` is cut from; undefined if there is none. */
  wholeOf(part: Uint8Array): Uint8Array | undefined {
    return part.length === 0 ? undefined : this.#wholes.get(part.buffer);
  }

  #make(bytes: number): Uint8Array {
    const buffer = this.#allocate(bytes);
    invariant(buffer.buffer.byteLength === bytes, 'a pooled buffer has its memory to itself');
    this.#wholes.set(buffer.buffer, buffer);
    return buffer;
  }
}
