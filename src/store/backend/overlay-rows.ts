// Rows of the key bucket that are not yet in the tree, in revision order.
//
// Parallel arrays in blocks, so that no list of a million rows is ever copied to grow. A revision whose rows
// come later than those of the next ones has a place kept for it, and gets its blocks there:
//
//     [ 7.0 8.0 9.0 ]  [ 10.0 10.1 ... ]  [ 10.4096 ... ]   [ 11.0 12.0 ]
//        full or sealed      late rows, still coming ──►       newest, appended to

import { EMPTY_BYTES, invariant } from '../../base/index.ts';
import type { ByteSlice, SplitRow } from '../../mvcc/index.ts';

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
  /** Rows in pieces, by their place; their slabs are empty. Undefined while there is none. */
  splits: Map<number, SplitRow> | undefined = undefined;

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

  /** Points `into` at the row at a place; one in pieces is put together. */
  pointAt(at: number, into: ByteSlice): void {
    const split = this.splits?.get(at);
    into.buffer = split === undefined ? this.slabs[at]! : split.whole;
    into.offset = this.offsets[at]!;
    into.length = this.lengths[at]!;
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

  /** Whether the next appended row begins a block. */
  #sealed = true;
  /** The newest revision that has a row, or a place kept. */
  #main = -1;
  #sub = 0;
  /** Revision of the late rows that may still come; -1 for none. */
  #lateMain = -1;
  #lateSub = -1;
  /** Place in {@link blocks} of the last block of late rows, or before which there is none yet. */
  #lateBlock = -1;

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
    if (block === undefined || this.#sealed || block.size === BLOCK_ROWS) {
      block = new RowBlock();
      this.blocks.push(block);
      this.#sealed = false;
    }
    block.push(main, sub, tombstone, slab, offset, length);
    this.size++;
  }

  /** As {@link append}, of a put in pieces. */
  appendSplit(main: number, sub: number, row: SplitRow): void {
    this.append(main, sub, false, EMPTY_BYTES, 0, row.length);
    const block = this.blocks[this.blocks.length - 1]!;
    block.splits ??= new Map();
    block.splits.set(block.size - 1, row);
  }

  /** Keeps the place of a revision above all rows: its rows come with {@link appendLate}. */
  beginLate(main: number): void {
    invariant(main > this.#main, 'a place is kept above all rows');
    invariant(this.#lateMain < 0, 'a place is kept for one revision');
    this.#main = main;
    this.#sub = Number.MAX_SAFE_INTEGER;
    this.#lateMain = main;
    this.#lateSub = -1;
    this.#lateBlock = this.blocks.length - 1;
    this.#sealed = true;
  }

  /** Appends a tombstone of the revision that a place is kept for. */
  appendLate(sub: number, slab: Uint8Array, offset: number, length: number): void {
    invariant(this.#lateMain >= 0 && sub > this.#lateSub, 'late rows come in order');
    let block = this.blocks[this.#lateBlock];
    if (this.#lateSub < 0 || block === undefined || block.size === BLOCK_ROWS) {
      block = new RowBlock();
      this.blocks.splice(++this.#lateBlock, 0, block);
    }
    this.#lateSub = sub;
    block.push(this.#lateMain, sub, true, slab, offset, length);
    this.size++;
  }

  /** The revision has all its rows. */
  endLate(): void {
    invariant(this.#lateMain >= 0, 'a place was kept');
    this.#lateMain = -1;
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
    block.pointAt(at, into);
    return true;
  }
}
