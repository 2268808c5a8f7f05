// Which keys came to life or died, in revision order, so that a count at an older revision is the
// count now minus what changed since.
//
// Puts of existing keys are not logged: they change no count. Entries collect in blocks. A full block
// is sorted by key, with the running sum of its changes, when a count first needs it: writers and a
// boot never pay for it. A count at revision R then looks at every block after R with two binary
// searches, and walks the one block that R cuts and the open one. One count sorts a few blocks only
// and walks the others entry by entry, so that none takes long.
//
// The changes of a deletion that is worked off in slices come later than those of the revisions after it: a
// place is kept for them.
//
// Compaction at revision C drops blocks at or before C, since reads there are refused.

import { invariant, type Revision } from '../../base/index.ts';
import { FROM_KEY } from '../eval/key-range.ts';
import {
  CHANGE_BLOCK_ENTRIES,
  CHANGE_BLOCKS_MAX,
  CHANGE_BLOCKS_SORTED_PER_COUNT,
} from '../limits.ts';

/** Entries in revision order, and once sorted also in key order. */
class Block {
  /** Of which the first `size` are in use: made in one piece, it is no garbage on its way to full. */
  readonly keys: string[] = new Array<string>(CHANGE_BLOCK_ENTRIES).fill('');
  size = 0;
  readonly mains = new Float64Array(CHANGE_BLOCK_ENTRIES);
  /** +1 the key came to life, -1 it died. */
  readonly deltas = new Int8Array(CHANGE_BLOCK_ENTRIES);
  /** Sorted: positions of the entries in key order. */
  order: Uint16Array | undefined = undefined;
  /** Sorted: `sums[i]` is the sum of the deltas of the first i entries in key order. */
  sums: Int32Array | undefined = undefined;

  push(key: string, main: Revision, delta: 1 | -1): void {
    const at = this.size++;
    this.keys[at] = key;
    this.mains[at] = main;
    this.deltas[at] = delta;
  }

  lastMain(): Revision {
    return this.mains[this.size - 1]!;
  }

  sort(): void {
    const { keys, deltas, size } = this;
    const order = new Uint16Array(size);
    for (let i = 0; i < order.length; i++) order[i] = i;
    order.sort((a, b) => (keys[a]! < keys[b]! ? -1 : keys[a]! > keys[b]! ? 1 : 0));
    const sums = new Int32Array(size + 1);
    for (let i = 0; i < order.length; i++) sums[i + 1] = sums[i]! + deltas[order[i]!]!;
    this.order = order;
    this.sums = sums;
  }

  /** Sum of the changes after `atRev` to keys in `[key, rangeEnd)`, entry by entry. */
  walk(key: string, rangeEnd: string, atRev: Revision): number {
    const { keys, mains, deltas } = this;
    let sum = 0;
    for (let i = this.size - 1; i >= 0 && mains[i]! > atRev; i--) {
      const candidate = keys[i]!;
      if (candidate >= key && (rangeEnd === FROM_KEY || candidate < rangeEnd)) sum += deltas[i]!;
    }
    return sum;
  }

  /** Sum of all changes to keys in `[key, rangeEnd)`; the block is sorted. */
  sum(key: string, rangeEnd: string): number {
    const { sums } = this;
    invariant(sums !== undefined, 'the block is sorted');
    const end = rangeEnd === FROM_KEY ? this.size : this.#lowerBound(rangeEnd);
    return sums[end]! - sums[this.#lowerBound(key)]!;
  }

  #lowerBound(key: string): number {
    const { keys, order } = this;
    invariant(order !== undefined, 'the block is sorted');
    let low = 0;
    let high = order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (keys[order[middle]!]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

interface LateBlocks {
  readonly main: Revision;
  /** The block that they follow; undefined if they are the first. */
  readonly after: Block | undefined;
  readonly blocks: Block[];
}

export class ChangeLog {
  /** Changes after this revision are all in the log; those at or before it need not be. */
  floorRev: Revision = -1;

  /** Blocks that get no more entries, oldest first, from `#first` on; the places before it are spent. */
  #blocks: Block[] = [];
  #first = 0;
  #open = new Block();
  /** Changes of a revision that come later than those of the next ones. */
  #late: LateBlocks | undefined;
  /** Blocks that the present count has sorted. */
  #sorted = 0;

  /** Keeps the place of `main`, above all entries before: its changes come with {@link appendLate}. */
  beginLate(main: Revision): void {
    invariant(this.#late === undefined, 'a place is kept for one revision');
    if (this.#open.size > 0) {
      this.#blocks.push(this.#open);
      this.#open = new Block();
    }
    this.#late = { main, after: this.#blocks.at(-1), blocks: [] };
  }

  /** Notes that `key` died at the revision that a place is kept for. */
  appendLate(key: string): void {
    const late = this.#late;
    invariant(late !== undefined, 'a place was kept');
    let block = late.blocks.at(-1);
    if (block === undefined || block.size === CHANGE_BLOCK_ENTRIES) {
      block = new Block();
      late.blocks.push(block);
    }
    block.push(key, late.main, -1);
  }

  /** The revision has all its changes: they take their place among the others. */
  endLate(): void {
    const late = this.#late;
    invariant(late !== undefined, 'a place was kept');
    this.#late = undefined;
    if (this.floorRev >= late.main) return;
    const after = late.after === undefined ? -1 : this.#blocks.indexOf(late.after, this.#first);
    const at = Math.max(after + 1, this.#first);
    this.#blocks = [
      ...this.#blocks.slice(this.#first, at),
      ...late.blocks,
      ...this.#blocks.slice(at),
    ];
    this.#first = 0;
    while (this.#blocks.length - this.#first > CHANGE_BLOCKS_MAX) this.#dropOldest();
  }

  /** Notes that `key` came to life (+1) or died (-1) at `main`, not before any earlier entry. */
  append(key: string, main: Revision, delta: 1 | -1): void {
    const open = this.#open;
    open.push(key, main, delta);
    if (open.size < CHANGE_BLOCK_ENTRIES) return;
    this.#blocks.push(open);
    this.#open = new Block();
    if (this.#blocks.length - this.#first > CHANGE_BLOCKS_MAX) this.#dropOldest();
  }

  /**
   * How many more keys of `[key, rangeEnd)` live now than at `atRev`, which is not below
   * {@link floorRev}.
   */
  changeSince(key: string, rangeEnd: string, atRev: Revision): number {
    invariant(atRev >= this.floorRev, 'the log reaches back to the revision');
    this.#sorted = 0;
    let sum = this.#open.walk(key, rangeEnd, atRev);
    for (let i = this.#blocks.length - 1; i >= this.#first; i--) {
      const block = this.#blocks[i]!;
      if (block.mains[0]! <= atRev) {
        if (block.lastMain() > atRev) sum += block.walk(key, rangeEnd, atRev);
        break;
      }
      sum += this.#sumOf(block, key, rangeEnd);
    }
    if (this.#late === undefined || this.#late.main <= atRev) return sum;
    const { blocks } = this.#late;
    for (let i = blocks.length - 1; i >= 0; i--) {
      const block = blocks[i]!;
      if (i === blocks.length - 1) sum += block.walk(key, rangeEnd, atRev);
      else sum += this.#sumOf(block, key, rangeEnd);
    }
    return sum;
  }

  /** Sum of a block that gets no more entries; sorts it, unless the count has sorted enough. */
  #sumOf(block: Block, key: string, rangeEnd: string): number {
    if (block.sums === undefined && this.#sorted < CHANGE_BLOCKS_SORTED_PER_COUNT) {
      block.sort();
      this.#sorted++;
    }
    return block.sums === undefined ? block.walk(key, rangeEnd, -1) : block.sum(key, rangeEnd);
  }

  /** Compaction: revisions below `rev` are not asked for again. */
  dropBefore(rev: Revision): void {
    while (this.#first < this.#blocks.length && this.#blocks[this.#first]!.lastMain() <= rev) {
      this.#dropOldest();
    }
    if (this.floorRev < rev) this.floorRev = rev;
  }

  /** Entries that the log holds, for metrics and tests. */
  get size(): number {
    const blocks = [...this.#blocks.slice(this.#first), ...(this.#late?.blocks ?? []), this.#open];
    return blocks.reduce((sum, { size }) => sum + size, 0);
  }

  #dropOldest(): void {
    const block = this.#blocks[this.#first]!;
    if (this.floorRev < block.lastMain()) this.floorRev = block.lastMain();
    this.#first++;
    // Amortised: the spent half is cut off once it is as long as the rest.
    if (this.#first * 2 < this.#blocks.length) return;
    this.#blocks = this.#blocks.slice(this.#first);
    this.#first = 0;
  }
}
