// Recently written or read rows, found by revision in one step.
//
// Rows never change, so that nothing in the cache is ever stale. Rows are in a ring of slabs; a
// set-associative table of four places per set has their positions. A lookup costs one probe of the table
// and one of the slab, where the tree costs a binary search per level: 0.2 us against 1 us for rows in
// random order, 100,000 keys (`bench/micro/store.mjs`).
//
//     hash(main, sub) ──► set of 4 places ──► (main, sub, slab number, offset, length) ──► slab
//     a place is invalid once its slab number is out of the ring
//
// Memory is fixed: the ring's slabs and the table.

import { invariant, type Revision } from '../../base/index.ts';
import type { ByteSlice } from '../../mvcc/index.ts';

const SLAB_BYTES = 1024 * 1024;
/** A larger row would evict too many others; it is read from the tree. */
export const CACHED_ROW_BYTES_MAX: number = SLAB_BYTES / 16;
const WAYS = 4;
/** Odd and near the golden section of 2^16, so that multiples spread evenly over any power of two. */
const SUB_STRIDE = 40_503;
/** Expected bytes of a row, from which the number of places follows. */
const ROW_BYTES_EXPECTED = 192;

/** Fields of a place in the table of integers. */
const F_SUB = 0;
const F_SLAB = 1;
const F_OFFSET = 2;
const F_LENGTH = 3;
const FIELDS = 4;

export class RowCache {
  readonly #slabs: Uint8Array[];
  readonly #setMask: number;
  readonly #mains: Float64Array;
  readonly #fields: Int32Array;
  /** Number of the slab being filled; its index is this number modulo the ring's length. */
  #slab = 0;
  #used = 0;
  /** The place of a set that is overwritten next. */
  #victim = 0;

  constructor(byteCount: number) {
    const slabCount = Math.max(2, Math.floor(byteCount / SLAB_BYTES));
    this.#slabs = Array.from({ length: slabCount }, () => EMPTY);
    const sets = 2 ** Math.ceil(Math.log2((slabCount * SLAB_BYTES) / ROW_BYTES_EXPECTED / WAYS));
    this.#setMask = sets - 1;
    this.#mains = new Float64Array(sets * WAYS).fill(-1);
    this.#fields = new Int32Array(sets * WAYS * FIELDS);
  }

  /** Points `into` at a row; false if it is not cached. */
  find(main: Revision, sub: number, into: ByteSlice): boolean {
    const mains = this.#mains;
    const fields = this.#fields;
    const first = this.#setOf(main, sub);
    for (let place = first; place < first + WAYS; place++) {
      if (mains[place] !== main) continue;
      const at = place * FIELDS;
      if (fields[at + F_SUB] !== sub) continue;
      const slab = fields[at + F_SLAB]!;
      const slabs = this.#slabs;
      if (slab <= this.#slab - slabs.length) return false;
      into.buffer = slabs[slab % slabs.length]!;
      into.offset = fields[at + F_OFFSET]!;
      into.length = fields[at + F_LENGTH]!;
      return true;
    }
    return false;
  }

  /**
   * Makes room for a row that is not cached and points `into` at it; the caller fills it before the next
   * call. False if the row is too large.
   */
  reserve(main: Revision, sub: number, length: number, into: ByteSlice): boolean {
    if (length > CACHED_ROW_BYTES_MAX) return false;
    if (
      this.#used + length > SLAB_BYTES ||
      this.#slabs[this.#slab % this.#slabs.length] === EMPTY
    ) {
      this.#beginSlab();
    }
    into.buffer = this.#slabs[this.#slab % this.#slabs.length]!;
    into.offset = this.#used;
    into.length = length;
    this.#used += length;
    this.#note(main, sub, into);
    return true;
  }

  /** Drops all rows; those handed out stay as they are. */
  clear(): void {
    // Past the numbers of all slabs: no place is valid any more.
    this.#slab += this.#slabs.length;
    this.#slabs.fill(EMPTY);
    this.#used = 0;
  }

  /** A new slab: the bytes of the old one may be referenced by responses in flight. */
  #beginSlab(): void {
    if (this.#used > 0) this.#slab++;
    invariant(this.#slab < 0x7fff_ffff, 'slab numbers fit their field');
    this.#slabs[this.#slab % this.#slabs.length] = new Uint8Array(SLAB_BYTES);
    this.#used = 0;
  }

  #note(main: Revision, sub: number, slice: ByteSlice): void {
    const place = this.#placeIn(this.#setOf(main, sub));
    this.#mains[place] = main;
    const at = place * FIELDS;
    this.#fields[at + F_SUB] = sub;
    this.#fields[at + F_SLAB] = this.#slab;
    this.#fields[at + F_OFFSET] = slice.offset;
    this.#fields[at + F_LENGTH] = slice.length;
  }

  /** An invalid place of the set, or else one whose row is evicted. */
  #placeIn(first: number): number {
    const oldest = this.#slab - this.#slabs.length;
    for (let place = first; place < first + WAYS; place++) {
      if (this.#mains[place] === -1) return place;
      if (this.#fields[place * FIELDS + F_SLAB]! <= oldest) return place;
    }
    this.#victim = (this.#victim + 1) % WAYS;
    return first + this.#victim;
  }

  /**
   * First place of the set for a revision. Consecutive main revisions are neighbours in the table; the
   * changes of one transaction are spread over it, away from those neighbours.
   */
  #setOf(main: Revision, sub: number): number {
    return ((main + sub * SUB_STRIDE) & this.#setMask) * WAYS;
  }
}

const EMPTY = new Uint8Array(0);
