// The deletion of a range of keys that is in force as a whole, while its tombstones follow in slices.
//
//     keys of the range, in order   a  b  c  d  e  f  g
//                                   └ done ┘  └ doomed ┘
//                                           ▲ #resumeAt
//
// A doomed key has lived since before the revision of the deletion, and has no tombstone of it yet. Reads
// from that revision on take it for dead, those before it do not: in both cases what they find once it has
// its tombstone. Sub revisions number the deleted keys in key order. A key that is put again before its turn
// gets its tombstone then, with a sub revision that is set in its turn; meanwhile nobody asks for it.

import { invariant, type Revision } from '../../base/index.ts';
import { FROM_KEY } from '../eval/key-range.ts';
import { packSub } from './history.ts';
import type { KeyIndex } from './key-index.ts';
import { F_MAIN, FLOATS, type Leaf } from './leaf.ts';

/** Takes a key that was deleted; its row is to be appended. */
type DeletedKey = (key: string, sub: number) => void;

export class RangeTombstone {
  /** Main revision of the deletion, which consists of nothing else. */
  readonly main: Revision;
  /** Keys that have their tombstone, counted in key order: the next sub revision. */
  deleted = 0;
  done = false;

  readonly #index: KeyIndex;
  readonly #rangeEnd: string;
  /** Keys of the range below this one are done. */
  #resumeAt: string;

  constructor(index: KeyIndex, key: string, rangeEnd: string, main: Revision) {
    this.#index = index;
    this.#rangeEnd = rangeEnd;
    this.#resumeAt = key;
    this.main = main;
  }

  /** Whether a key that has lived since `newestMain` is deleted, and has no tombstone yet. */
  dooms(key: string, newestMain: Revision): boolean {
    return (
      newestMain < this.main &&
      key >= this.#resumeAt &&
      (this.#rangeEnd === FROM_KEY || key < this.#rangeEnd)
    );
  }

  /** Doomed keys of `[key, rangeEnd)`; O(log keys + creations and deletions since the revision). */
  count(key: string, rangeEnd: string): number {
    const { tree, changes } = this.#index;
    const from = key > this.#resumeAt ? key : this.#resumeAt;
    const endsFirst =
      rangeEnd === FROM_KEY || (this.#rangeEnd !== FROM_KEY && this.#rangeEnd < rangeEnd);
    const to = endsFirst ? this.#rangeEnd : rangeEnd;
    if (to !== FROM_KEY && to <= from) return 0;
    const end = to === FROM_KEY ? tree.liveCount : tree.liveBefore(to);
    // Of the live ones there, those that came to life after the deletion are not doomed.
    return end - tree.liveBefore(from) - changes.changeSince(from, to, this.main);
  }

  /**
   * Gives about `budget` keys their tombstones; true when all have theirs. Writes, reads and a compaction
   * below {@link main} may happen between two calls.
   */
  step(budget: number, deleted: DeletedKey): boolean {
    invariant(!this.done, 'a finished deletion is not continued');
    const { tree } = this.#index;
    tree.locate(this.#resumeAt);
    let { rank } = tree;
    let leaf: Leaf | undefined = tree.leaf;
    for (let left = budget; leaf !== undefined; rank = 0) {
      if (this.#visitLeaf(leaf, rank, deleted)) return this.#finish();
      left -= leaf.size;
      leaf = leaf.next;
      if (leaf !== undefined) this.#resumeAt = leaf.keyAt(0);
      if (left <= 0 && leaf !== undefined) return false;
    }
    return this.#finish();
  }

  /** Works off the keys of a leaf from `rank` on; true if the range ends there. */
  #visitLeaf(leaf: Leaf, rank: number, deleted: DeletedKey): boolean {
    const before = leaf.live;
    let atEnd = false;
    for (let at = rank; at < leaf.size; at++) {
      const slot = leaf.slotAt(at);
      const key = leaf.keys[slot]!;
      atEnd = this.#rangeEnd !== FROM_KEY && key >= this.#rangeEnd;
      if (atEnd) break;
      if (this.#visit(leaf, slot)) deleted(key, this.deleted++);
    }
    if (leaf.live === before) return atEnd;
    const { tree } = this.#index;
    tree.locate(leaf.keyAt(0));
    invariant(tree.leaf === leaf, 'the leaf of its first key');
    tree.addLive(leaf.live - before);
    return atEnd;
  }

  /** Whether a key was deleted; it has its tombstone now. */
  #visit(leaf: Leaf, slot: number): boolean {
    const index = this.#index;
    const newest = leaf.floats[slot * FLOATS + F_MAIN]!;
    invariant(newest !== this.main, 'a key is deleted once');
    if (newest < this.main) {
      if (!leaf.isLive(slot)) return false;
      index.tombstoneLate(leaf, slot, this.main, this.deleted);
      leaf.live--;
      return true;
    }
    const { history } = index;
    const handle = history.find(leaf.head(slot), this.main);
    if (handle === 0 || history.main(handle) !== this.main) return false;
    history.setPackedSub(handle, packSub(this.deleted, true));
    return true;
  }

  #finish(): true {
    this.done = true;
    this.#index.endRangeTombstone();
    return true;
  }
}
