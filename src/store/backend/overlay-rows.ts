// Rows of the key bucket that are not yet in the tree, in revision order.
//
// Parallel arrays in blocks, so that no list of a million rows is ever copied to grow.

import { invariant } from '../../base/index.ts';
import type { ByteSlice } from '../../mvcc/index.ts';

/** Rows of a block: an array of so many numbers is copied within microseconds when it grows. */
const BLOCK_ROWS = 4096;

class RowBlock {
  /** Revision mains of the rows, ascending together with {@link subs}. */
  readonly mains: number[] = [];
  readonly subs: number[] = [];
  /** Whether the row is a tombstone, which changes its key in the file. */
  readonly tombstones: boolean[] = [];
  readonly slabs: Uint8Array[] = [];
  readonly offsets: number[] = [];
  readonly lengths: number[] = [];

  get size(): number {
    return this.mains.length;
  }

  push(
    main: number,
    sub: number,
    tombstone: boolean,
    slab: Uint8Array,
    offset: number,
    length: number,
  ): void {
    this.mains.push(main);
    this.subs.push(sub);
    this.tombstones.push(tombstone);
    this.slabs.push(slab);
    this.offsets.push(offset);
    this.lengths.push(length);
  }

  /** Place of the first row at or after (main, sub); {@link size} if there is none. */
  lowerBound(main: number, sub: number): number {
    const { mains, subs } = this;
    let low = 0;
    let high = mains.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const there = mains[middle]!;
      if (there < main || (there === main && subs[middle]! < sub)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Whether all rows are before (main, sub). */
  isBefore(main: number, sub: number): boolean {
    const last = this.mains.length - 1;
    const there = this.mains[last]!;
    return there < main || (there === main && this.subs[last]! < sub);
  }
}

export class OverlayRows {
  /** In revision order, none empty. */
  readonly blocks: RowBlock[] = [];
  /** Number of all rows. */
  size = 0;

  /** The newest row. */
  #main = -1;
  #sub = 0;
  /** Appends a row; (main, sub) is above every row before it. */
  append(
    main: number,
    sub: number,
    tombstone: boolean,
    slab: Uint8Array,
    offset: number,
    length: number,
  ): void {
    invariant(
      this.#main < main || (this.#main === main && this.#sub < sub),
      'rows arrive in revision order',
    );
    this.#main = main;
    this.#sub = sub;
    let block = this.blocks[this.blocks.length - 1];
    if (block === undefined || block.size === BLOCK_ROWS) {
      block = new RowBlock();
      this.blocks.push(block);
    }
    block.push(main, sub, tombstone, slab, offset, length);
    this.size++;
  }

  /** Place of the block that has the first row at or after (main, sub); past the end if there is none. */
  blockOf(main: number, sub: number): number {
    const { blocks } = this;
    let low = 0;
    let high = blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (blocks[middle]!.isBefore(main, sub)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Points `into` at a row; false if it is not here. */
  find(main: number, sub: number, into: ByteSlice): boolean {
    const first = this.blocks[0];
    if (first === undefined || main < first.mains[0]!) return false;
    const block = this.blocks[this.blockOf(main, sub)];
    if (block === undefined) return false;
    const at = block.lowerBound(main, sub);
    if (block.mains[at] !== main || block.subs[at] !== sub) return false;
    into.buffer = block.slabs[at]!;
    into.offset = block.offsets[at]!;
    into.length = block.lengths[at]!;
    return true;
  }
}
