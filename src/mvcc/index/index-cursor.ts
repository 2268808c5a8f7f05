// Reads the keys of a range at one revision, in key order, without allocating per key. The cursor
// survives writes and compaction between two calls of `next`: it continues after its last key.
//
// Between two keys that exist there may be a million that do not (deleted, not compacted yet). Leaves
// without any live key are skipped where that answers the question; otherwise a cursor may have a
// bound of leaves at which it pauses.

import { invariant, type Revision } from '../../base/index.ts';
import { FROM_KEY, SINGLE_KEY } from '../eval/key-range.ts';
import { type ByteSlice, KeyState, type RowReader } from '../types.ts';
import type { KeyIndex } from './key-index.ts';
import type { Leaf } from './leaf.ts';
import { skipKeys } from './leaf-blocks.ts';

export class IndexCursor {
  /** The key that `next` came to. */
  key = '';
  /** What it says at the revision of the cursor. */
  readonly state: KeyState = new KeyState();

  /** Bound of the leaves that one call of `next` reads. */
  leavesMax: number = Number.POSITIVE_INFINITY;
  /** Whether `next` returned false at its bound, `leavesMax` leaves: call it again. */
  paused = false;

  readonly #index: KeyIndex;
  #rangeEnd = '';
  #atRev: Revision = 0;
  /** Position of the key to look at next, valid while the tree's layout is the one seen. */
  #leaf: Leaf | undefined = undefined;
  #rank = 0;
  #layout = -1;
  /** Whether to go on after `key`, or at it: nothing was read yet, or the cursor paused there. */
  #started = false;
  #done = true;

  constructor(index: KeyIndex) {
    this.#index = index;
  }

  /** Begins a range at a revision that is not compacted, and stays so while the cursor reads. */
  open(key: string, rangeEnd: string, atRev: Revision): void {
    invariant(atRev >= this.#index.compactedRev, 'a read is not below the compacted revision');
    this.key = key;
    this.#rangeEnd = rangeEnd;
    this.#atRev = atRev;
    this.paused = false;
    this.#started = false;
    this.#layout = -1;
    this.#done = rangeEnd !== SINGLE_KEY && rangeEnd !== FROM_KEY && rangeEnd <= key;
  }

  /** Moves to the next key that exists at the revision; false at the end of the range, or `paused`. */
  next(): boolean {
    this.paused = false;
    if (this.#done) return false;
    const index = this.#index;
    if (this.#rangeEnd === SINGLE_KEY) {
      this.#done = true;
      return index.get(this.key, this.#atRev, this.state);
    }
    if (this.#layout !== index.tree.layout) this.#seek();
    // At the newest revision a key exists if it is live now.
    const onlyLive = this.#atRev >= index.newestRev;
    let leaf = this.#leaf;
    let rank = this.#rank;
    let looks = 0;
    for (; leaf !== undefined; leaf = leaf.next, rank = 0) {
      if (onlyLive && leaf.live === 0 && !this.#endsIn(leaf)) continue;
      if (++looks > this.leavesMax) return this.#pause(leaf);
      for (; rank < leaf.size; rank++) {
        const slot: number = leaf.slotAt(rank);
        const key: string = leaf.keys[slot]!;
        if (this.#rangeEnd !== FROM_KEY && key >= this.#rangeEnd) {
          this.#done = true;
          return false;
        }
        if (index.stateAt(leaf, slot, this.#atRev, this.state)) {
          this.key = key;
          this.#started = true;
          this.#leaf = leaf;
          this.#rank = rank + 1;
          return true;
        }
      }
    }
    this.#done = true;
    return false;
  }

  /**
   * Takes up to `keysMax` of the next keys at once, those of one leaf, if it has a block or gets one now:
   * `into` points at them, encoded as leaf-blocks.ts says. Their number; 0 means no more than that
   * {@link next} has to be asked.
   */
  takeRun(keysMax: number, rows: RowReader, into: ByteSlice): number {
    const leaf = this.#leafBegun();
    if (leaf === undefined) return 0;
    const { blocks } = this.#index;
    const endRank = this.#endsIn(leaf) ? leaf.lowerBound(this.#rangeEnd) : leaf.size;
    if (!blocks.find(leaf, this.#atRev, rows, into)) {
      const isWhole = this.#rank === 0 && endRank === leaf.size && leaf.live > 0;
      if (!isWhole || leaf.live > keysMax || !blocks.isDue()) return 0;
      if (!blocks.make(leaf, this.#atRev, rows)) return 0;
      invariant(blocks.find(leaf, this.#atRev, rows, into), 'a block that was made is there');
    }
    const before = leaf.liveBefore(this.#rank);
    const count = Math.min(leaf.liveBefore(endRank) - before, keysMax);
    if (count <= 0) return 0;
    const { buffer, offset, length } = into;
    into.offset = skipKeys(buffer, offset, before);
    const isAll = before + count === leaf.live;
    const end = isAll ? offset + length : skipKeys(buffer, into.offset, count);
    into.length = end - into.offset;
    this.#rank = leaf.rankAfterLive(before + count);
    this.key = leaf.keyAt(this.#rank - 1);
    this.#started = true;
    return count;
  }

  /** The leaf of the next key, unless the cursor stands between two keys of one that has no block. */
  #leafBegun(): Leaf | undefined {
    const index = this.#index;
    if (this.#done || this.#rangeEnd === SINGLE_KEY || index.rangeTombstone !== undefined) {
      return undefined;
    }
    if (this.#layout !== index.tree.layout) this.#seek();
    const leaf = this.#leaf;
    if (leaf === undefined) return undefined;
    if (this.#rank < leaf.size) return this.#started && this.#rank > 0 ? undefined : leaf;
    this.#leaf = leaf.next;
    this.#rank = 0;
    return this.#leaf;
  }

  /** Whether the range ends within a leaf or before it. */
  #endsIn(leaf: Leaf): boolean {
    return (
      this.#rangeEnd !== FROM_KEY && leaf.size > 0 && leaf.keyAt(leaf.size - 1) >= this.#rangeEnd
    );
  }

  /** Goes on at the first key of `leaf` with the next call. */
  #pause(leaf: Leaf): false {
    this.paused = true;
    this.key = leaf.keyAt(0);
    this.#started = false;
    this.#leaf = leaf;
    this.#rank = 0;
    return false;
  }

  #seek(): void {
    const { tree } = this.#index;
    const exact = tree.locate(this.key);
    this.#leaf = tree.leaf;
    this.#rank = this.#started && exact ? tree.rank + 1 : tree.rank;
    this.#layout = tree.layout;
  }
}
