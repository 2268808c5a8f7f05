// Buffers in which input is put together, used again.
//
// The collector counts memory outside its heap, and marks the whole heap for every few dozen MiB of it. A
// message of 100 KB that comes in many frames needs twice its size on the way.

import { invariant } from '../../base/index.ts';

/** Smaller buffers are cut from a block that Node.js keeps. */
const POOLED_BYTES_MIN = 4 * 1024;
/** Larger buffers are left to the collector. */
const POOLED_BYTES_MAX = 1024 * 1024;
/** Of all buffers that wait to be used again. */
const FREE_BYTES_MAX = 4 * 1024 * 1024;

export class BufferPool {
  /** Free buffers by the logarithm of their size, a power of two. */
  readonly #free: Uint8Array[][] = Array.from({ length: 32 }, () => []);
  #freeBytes = 0;

  /** At least so many bytes, of any content; at most twice as many. */
  take(bytesMin: number): Uint8Array {
    if (bytesMin < POOLED_BYTES_MIN || bytesMin > POOLED_BYTES_MAX) {
      return Buffer.allocUnsafe(bytesMin);
    }
    const order = 32 - Math.clz32(bytesMin - 1);
    const known = this.#free[order]!.pop();
    if (known === undefined) return Buffer.allocUnsafeSlow(2 ** order);
    this.#freeBytes -= known.length;
    invariant(known.length >= bytesMin, 'a pooled buffer has the size of its class');
    return known;
  }

  /** Gives back what {@link take} returned: from now on nobody may read or write it. */
  give(buffer: Uint8Array): void {
    const { length } = buffer;
    if (length < POOLED_BYTES_MIN || length > POOLED_BYTES_MAX) return;
    if (this.#freeBytes + length > FREE_BYTES_MAX) return;
    const order = 31 - Math.clz32(length);
    invariant(length === 2 ** order, 'a pooled buffer is a power of two in size');
    this.#free[order]!.push(buffer);
    this.#freeBytes += length;
  }
}

/** Of all connections of the process. */
export const inputBuffers: BufferPool = new BufferPool();
