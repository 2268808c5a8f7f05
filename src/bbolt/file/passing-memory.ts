// Memory for leaves that are read one after the other, each in the place of the one before.

import { allocatePageBytes } from './layout.ts';

export class PassingMemory {
  /** Pages of the last leaf, its overflow pages counted. */
  extent = 1;
  #bytes: Uint8Array;
  /** The part of it that was taken last. */
  #taken: Uint8Array;

  constructor(pageSize: number) {
    this.#bytes = allocatePageBytes(pageSize);
    this.#taken = this.#bytes;
  }

  /** So many bytes, which begin with what the bytes taken before do. */
  take(size: number): Uint8Array {
    if (size === this.#taken.length) return this.#taken;
    if (size > this.#bytes.length) {
      const larger = allocatePageBytes(size);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#taken = this.#bytes.subarray(0, size);
    return this.#taken;
  }
}
