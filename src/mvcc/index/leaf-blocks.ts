// Blocks: the live keys of whole leaves, encoded as the answer to a range has them. A range passes on a
// block, or a part of it, where it would find and copy its rows one by one.
//
//     leaf    a   b   c (deleted)   d
//     block   [12 length KeyValue of a][12 length KeyValue of b][12 length KeyValue of d]
//
// One range in eight that reads a whole leaf makes its block; the next change of the leaf drops it. Blocks
// lie in a ring of slabs, the oldest of which makes room for a new one. What is written to a slab is never
// overwritten: answers may refer to it.

import {
  copyBytes,
  Dice,
  EMPTY_BYTES,
  equalBytes,
  invariant,
  type Revision,
  varintSize,
  verify,
  writeVarint,
} from '../../base/index.ts';
import { TAG_RANGE_KVS } from '../key-value.ts';
import { BLOCK_BYTES_MAX, BLOCK_SLAB_BYTES, BLOCK_SLABS_MAX } from '../limits.ts';
import { ByteSlice, type RowReader } from '../types.ts';
import { F_MAIN, FLOATS, type Leaf } from './leaf.ts';

/** Where the block of a leaf lies. */
export class LeafBlock {
  /** Number of its slab; the ring may have gone past it. */
  readonly slab: number;
  readonly offset: number;
  readonly length: number;
  /** Of all keys of the leaf, deleted ones too; reads below it find other rows. */
  readonly newestRev: Revision;

  constructor(slab: number, offset: number, length: number, newestRev: Revision) {
    this.slab = slab;
    this.offset = offset;
    this.length = length;
    this.newestRev = newestRev;
  }
}

export class LeafBlocks {
  readonly #slabs: Uint8Array[];
  /** Number of the slab being filled; its place in the ring is this number modulo the ring's length. */
  #slab = 0;
  #used = 0;
  readonly #dice = new Dice();
  readonly #row = new ByteSlice();

  constructor(slabsMax = BLOCK_SLABS_MAX) {
    this.#slabs = new Array<Uint8Array>(slabsMax).fill(EMPTY_BYTES);
  }

  /** Points `into` at the block of a leaf for a read at `atRev`; false if it has none. */
  find(leaf: Leaf, atRev: Revision, rows: RowReader, into: ByteSlice): boolean {
    const { block } = leaf;
    if (block === undefined || block.newestRev > atRev) return false;
    if (block.slab <= this.#slab - this.#slabs.length) {
      leaf.block = undefined;
      return false;
    }
    into.buffer = this.#slabs[block.slab % this.#slabs.length]!;
    into.offset = block.offset;
    into.length = block.length;
    if (verify.all) this.#verify(leaf, rows, into);
    return true;
  }

  /**
   * Whether to make a block for a leaf that is being read: once in eight times, so that a walk through
   * more than fits does not fill the ring with blocks that are not read again.
   */
  isDue(): boolean {
    return this.#dice.isOneIn(3);
  }

  /** Makes the block of a leaf; false if the leaf has changes above `atRev`, or rows too large. */
  make(leaf: Leaf, atRev: Revision, rows: RowReader): boolean {
    const slab = this.#room();
    const start = this.#used;
    let newestRev = 0;
    for (let rank = 0; rank < leaf.size; rank++) {
      const main = leaf.floats[leaf.slotAt(rank) * FLOATS + F_MAIN]!;
      if (main > atRev) return false;
      newestRev = Math.max(newestRev, main);
    }
    const end = encodeLeaf(leaf, rows, this.#row, slab, start, start + BLOCK_BYTES_MAX);
    if (end < 0) return false;
    invariant(end > start, 'a block has a key');
    leaf.block = new LeafBlock(this.#slab, start, end - start, newestRev);
    this.#used = end;
    return true;
  }

  /** Drops all blocks; those handed out stay as they are. */
  clear(): void {
    // Past the numbers of all slabs: no block is valid any more.
    this.#slab += this.#slabs.length;
    this.#slabs.fill(EMPTY_BYTES);
    this.#used = 0;
  }

  /** The slab with room for a block at `#used`. */
  #room(): Uint8Array {
    const slabs = this.#slabs;
    const slab = slabs[this.#slab % slabs.length]!;
    if (this.#used + BLOCK_BYTES_MAX <= slab.length) return slab;
    if (this.#used > 0) this.#slab++;
    const next = new Uint8Array(BLOCK_SLAB_BYTES);
    slabs[this.#slab % slabs.length] = next;
    this.#used = 0;
    return next;
  }

  #verify(leaf: Leaf, rows: RowReader, { buffer, offset, length }: ByteSlice): void {
    const fresh = new Uint8Array(length);
    const end = encodeLeaf(leaf, rows, this.#row, fresh, 0, length);
    const block = buffer.subarray(offset, offset + length);
    invariant(end === length && equalBytes(fresh, block), 'a block has what the rows say');
  }
}

/** Encodes the live keys of a leaf into `target[at, limit)`; the offset after, or -1 without room. */
function encodeLeaf(
  leaf: Leaf,
  rows: RowReader,
  row: ByteSlice,
  target: Uint8Array,
  start: number,
  limit: number,
): number {
  let at = start;
  for (let rank = 0; rank < leaf.size; rank++) {
    const slot = leaf.slotAt(rank);
    if (!leaf.isLive(slot)) continue;
    rows.readRow(leaf.floats[slot * FLOATS + F_MAIN]!, leaf.sub(slot), row);
    const { length } = row;
    if (at + 1 + varintSize(length) + length > limit) return -1;
    target[at] = TAG_RANGE_KVS;
    at = writeVarint(length, target, at + 1);
    copyBytes(row.buffer, row.offset, length, target, at);
    at += length;
  }
  return at;
}

/** The offset after the first `count` KeyValues of a block that begins at `offset`. */
export function skipKeys(block: Uint8Array, offset: number, count: number): number {
  let at = offset;
  for (let i = 0; i < count; i++) {
    invariant(block[at] === TAG_RANGE_KVS, 'a block is made of KeyValues');
    let length = 0;
    let scale = 1;
    let byte: number;
    do {
      byte = block[++at]!;
      length += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte >= 0x80);
    at += 1 + length;
  }
  return at;
}
