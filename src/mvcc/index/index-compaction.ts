// Compaction of the index at one revision, in slices.
//
// For every key the newest revision at or before the compacted one stays, unless it is a tombstone
// from before it; all older ones go. A key that has no revision left goes too. The rows to remove
// from the backend are handed out as they are found, in key order.
//
// Leaf by leaf: first every key's history is cut, then the keys that have nothing left are removed.
// Both find nothing to do when repeated, so a slice that ends inside a leaf begins it again.

import { invariant, type Revision } from '../../base/index.ts';
import type { HistoryHandle } from './history.ts';
import type { KeyIndex } from './key-index.ts';
import { F_MAIN, FLOATS, I_SUB, INTEGERS, type Leaf } from './leaf.ts';

/** Takes a revision that compaction dropped; its row is to be removed from the backend. */
type DropRevision = (main: Revision, sub: number, tombstone: boolean) => void;

export class IndexCompaction {
  readonly rev: Revision;
  /** Number of revisions handed out. */
  dropped = 0;
  done = false;

  readonly #index: KeyIndex;
  /** Keys below this one are compacted. */
  #resumeAt = '';
  /** Revisions cut off their key, still to be handed out and freed. */
  #condemned: HistoryHandle = 0;
  /** Keys looked at and revisions dropped since the beginning. */
  #spent = 0;

  constructor(index: KeyIndex, rev: Revision) {
    this.#index = index;
    this.rev = rev;
  }

  /**
   * Works through about `budget` keys and revisions; true when all is done. Writes and reads may
   * happen between two calls.
   */
  step(budget: number, drop: DropRevision): boolean {
    invariant(!this.done, 'a finished compaction is not continued');
    invariant(this.#index.compactedRev === this.rev, 'one compaction is finished before the next');
    const end = this.#spent + budget;
    // Before the leaf is looked at: without these revisions it may have nothing to compact.
    if (!this.#dropCondemned(end, drop)) return false;
    let leaf: Leaf | undefined = this.#leafOf(this.#resumeAt);
    while (leaf !== undefined) {
      // Nothing to do where every key is alive and has one revision.
      const idle: boolean = leaf.withHistory === 0 && leaf.live === leaf.size;
      this.#spent++;
      if (!idle && !this.#cutHistories(leaf, end, drop)) return false;
      const next: Leaf | undefined = leaf.next;
      const resumeAt: string | undefined = next?.keyAt(0);
      if (!idle) this.#removeDead(leaf, drop);
      if (resumeAt === undefined) break;
      this.#resumeAt = resumeAt;
      if (this.#spent >= end) return false;
      // Leaves may have been joined: find the place again by its key.
      leaf = idle ? next : this.#leafOf(resumeAt);
    }
    this.done = true;
    this.#index.compaction = undefined;
    this.#index.verify();
    return true;
  }

  /** Cuts the history of every key of a leaf; false if the budget ended before. */
  #cutHistories(leaf: Leaf, end: number, drop: DropRevision): boolean {
    for (let slot = leaf.base; slot < leaf.base + leaf.size; slot++) {
      this.#spent++;
      const head = leaf.head(slot);
      if (head === 0) continue;
      if (leaf.floats[slot * FLOATS + F_MAIN]! <= this.rev) {
        this.#condemned = head;
        leaf.setHead(slot, 0);
      } else {
        this.#cutHistory(leaf, slot, head);
      }
      if (!this.#dropCondemned(end, drop)) return false;
    }
    return true;
  }

  /** Cuts the history of a key whose newest revision is above the compacted one. */
  #cutHistory(leaf: Leaf, slot: number, head: HistoryHandle): void {
    const { history } = this.#index;
    const above = history.findAbove(head, this.rev);
    const newest = above === 0 ? head : history.previous(above);
    if (newest === 0) return;
    const tombstone = (history.packedSub(newest) & 1) !== 0;
    if (!tombstone || history.main(newest) === this.rev) {
      this.#condemned = history.previous(newest);
      history.cutAfter(newest);
      return;
    }
    this.#condemned = newest;
    if (above === 0) leaf.setHead(slot, 0);
    else history.cutAfter(above);
  }

  /** Hands out and frees the revisions that were cut; false if the budget ended before. */
  #dropCondemned(end: number, drop: DropRevision): boolean {
    const { history } = this.#index;
    while (this.#condemned !== 0) {
      const handle = this.#condemned;
      const packed = history.packedSub(handle);
      this.#spent++;
      this.dropped++;
      drop(history.main(handle), packed >>> 1, (packed & 1) !== 0);
      this.#condemned = history.previous(handle);
      history.free(handle);
      // Checked after the work, so that any budget gets on.
      if (this.#spent >= end && this.#condemned !== 0) return false;
    }
    return true;
  }

  /** Removes the keys of a leaf of which only a tombstone from before the revision is left. */
  #removeDead(leaf: Leaf, drop: DropRevision): void {
    const { size } = leaf;
    if (leaf.live === size) return;
    const first = leaf.keyAt(0);
    leaf.filter((slot) => {
      const main = leaf.floats[slot * FLOATS + F_MAIN]!;
      if (leaf.isLive(slot) || main >= this.rev || leaf.head(slot) !== 0) return true;
      this.#spent++;
      this.dropped++;
      drop(main, leaf.integers[slot * INTEGERS + I_SUB]! >>> 1, true);
      return false;
    });
    if (leaf.size === size) return;
    this.#index.keyCount -= size - leaf.size;
    const located = this.#leafOf(first);
    invariant(located === leaf, 'the leaf of its first key');
    this.#index.tree.afterRemoval();
  }

  #leafOf(key: string): Leaf {
    this.#index.tree.locate(key);
    return this.#index.tree.leaf;
  }

  /** Revisions cut off their key and not handed out yet; for the index's check. */
  condemnedCount(): number {
    let count = 0;
    const { history } = this.#index;
    for (let handle = this.#condemned; handle !== 0; handle = history.previous(handle)) count++;
    return count;
  }
}
