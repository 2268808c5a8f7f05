// Memory for many small byte strings, without an object for each.
//
// Encoded rows are written one after another into slabs; a row is named by (slab, offset, length).
// A slab lives as long as something refers to it: overlays and responses in flight.

import { invariant } from '../../base/index.ts';

/** Bytes per slab: a batch of 10,000 rows of 300 bytes takes three. */
const SLAB_BYTES = 1024 * 1024;

/** A row larger than this gets a separate slab, so that at most a quarter of a slab is wasted. */
const SHARED_ROW_BYTES_MAX = SLAB_BYTES / 4;

export class ByteArena {
  /** Where {@link reserve} put the last row. */
  slab: Uint8Array = new Uint8Array(0);
  offset = 0;

  #current: Uint8Array = new Uint8Array(0);
  #used = 0;

  /** Makes room for `length` bytes; the caller fills `slab[offset, offset + length)` before the next call. */
  reserve(length: number): void {
    invariant(length >= 0, 'arena row length is not negative');
    if (length > SHARED_ROW_BYTES_MAX) {
      this.slab = new Uint8Array(length);
      this.offset = 0;
      return;
    }
    if (this.#used + length > this.#current.length) {
      this.#current = new Uint8Array(SLAB_BYTES);
      this.#used = 0;
    }
    this.slab = this.#current;
    this.offset = this.#used;
    this.#used += length;
  }
}
