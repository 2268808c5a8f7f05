// The cursor of a write transaction, over pages and nodes alike. Moves go by the key it stands on:
// when the tree has changed since the last move, the position is searched again. Not a hot path.

import { ERROR_CODES, invariant, TetcdError } from '../../base/index.ts';
import type { WriteCursor } from '../api.ts';
import { BUCKET_ELEMENT_FLAG } from '../file/layout.ts';
import type { Page } from '../file/page.ts';
import { BEFORE, BEHIND, CursorEntry, ON } from '../read/cursor-entry.ts';
import type { EditTree } from './edit-tree.ts';
import { BranchNode, LeafNode, type TreeNode } from './node.ts';

type View = TreeNode | Page;

export class TreeCursor extends CursorEntry implements WriteCursor {
  readonly #tree: EditTree;
  /** Throws if the transaction has ended or the bucket was deleted. */
  readonly #assertUsable: () => void;
  readonly #views: View[] = [];
  readonly #indexes: number[] = [];
  /** `tree.changes` when the place was found. */
  #changes = -1;

  constructor(tree: EditTree, assertUsable: () => void) {
    super();
    this.#tree = tree;
    this.#assertUsable = assertUsable;
  }

  first(): boolean {
    this.#toRoot();
    this.#descend(true);
    return this.#landOr(true);
  }

  last(): boolean {
    this.#toRoot();
    this.#descend(false);
    return this.#landOr(false);
  }

  seek(key: Uint8Array): boolean {
    this.#locate(key);
    return this.#landOr(true);
  }

  seekExact(key: Uint8Array): boolean {
    const exact = this.#locate(key);
    this.#landOr(true);
    return exact;
  }

  next(): boolean {
    this.#assertUsable();
    if (this.state === BEFORE) return this.first();
    if (this.state === BEHIND) return false;
    // After a change: if the key itself is gone, the first one behind it is the next.
    if (this.#changes !== this.#tree.changes && !this.#locate(this.key()))
      return this.#landOr(true);
    this.#indexes[this.#indexes.length - 1]!++;
    return this.#landOr(true);
  }

  prev(): boolean {
    this.#assertUsable();
    if (this.state === BEHIND) return this.last();
    if (this.state === BEFORE) return false;
    if (this.#changes !== this.#tree.changes) this.#locate(this.key());
    this.#indexes[this.#indexes.length - 1]!--;
    return this.#landOr(false);
  }

  key(): Uint8Array {
    return this.keyBytes.slice(this.keyOffset, this.keyOffset + this.keyLength);
  }

  value(): Uint8Array {
    return this.valueBytes.slice(this.valueOffset, this.valueOffset + this.valueLength);
  }

  delete(): void {
    this.#assertUsable();
    if (this.state !== ON)
      throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, 'the cursor is on no entry');
    if (this.isBucket) throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, 'incompatible value');
    if (this.#changes !== this.#tree.changes && !this.#locate(this.key())) return;
    this.#tree.remove(this.keyBytes, this.keyOffset, this.keyLength);
  }

  #toRoot(): void {
    this.#assertUsable();
    this.#views.length = 0;
    this.#indexes.length = 0;
    this.#views.push(this.#tree.rootView());
    this.#changes = this.#tree.changes;
  }

  #push(view: View): void {
    invariant(
      this.#views.length === this.#indexes.length,
      'a level is entered by an element above',
    );
    this.#tree.pager.checkDepth(this.#views.length, this.#tree.rootId);
    this.#views.push(view);
  }

  /** To the place of `key` in its leaf, the index of the first key not below it; whether it is it. */
  #locate(key: Uint8Array): boolean {
    this.#toRoot();
    for (;;) {
      const view = this.#views[this.#views.length - 1]!;
      if (view.isLeaf) {
        const index =
          view instanceof LeafNode
            ? view.search(key, 0, key.length)
            : (view as Page).searchLeaf(key);
        this.#indexes.push(index < 0 ? -1 - index : index);
        invariant(
          this.#indexes.length === this.#views.length,
          'a place has an index on each level',
        );
        return index >= 0;
      }
      const index =
        view instanceof BranchNode
          ? view.search(key, 0, key.length)
          : (view as Page).searchBranch(key);
      this.#indexes.push(index);
      this.#push(this.#child(view, index));
    }
  }

  /** From the last view down to the first or last element below it. */
  #descend(toFirst: boolean): void {
    for (;;) {
      const view = this.#views[this.#views.length - 1]!;
      const index = toFirst ? 0 : view.count - 1;
      this.#indexes.push(index);
      if (view.isLeaf) return;
      invariant(index >= 0, 'a branch has a child');
      this.#push(this.#child(view, index));
    }
  }

  /** Stands on the entry at the current place, or on the nearest one forward or backward. */
  #landOr(forward: boolean): boolean {
    const { pager } = this.#tree;
    invariant(this.#changes === this.#tree.changes, 'a place is that of the tree as it stands');
    let pagesVisited = 0;
    for (;;) {
      const leaf = this.#views[this.#views.length - 1]!;
      if (!(leaf instanceof LeafNode)) pagesVisited++;
      if (pagesVisited > pager.highWater) {
        throw pager.corrupt(this.#tree.rootId, 'the tree never ends');
      }
      const index = this.#indexes[this.#indexes.length - 1]!;
      if (index >= 0 && index < leaf.count) return this.#load(leaf, index);
      if (!this.#toNeighbour(forward)) return this.stop(forward ? BEHIND : BEFORE);
    }
  }

  #toNeighbour(forward: boolean): boolean {
    const views = this.#views;
    const indexes = this.#indexes;
    do {
      views.pop();
      indexes.pop();
      if (views.length === 0) return false;
      indexes[indexes.length - 1]! += forward ? 1 : -1;
    } while (
      indexes[indexes.length - 1]! < 0 ||
      indexes[indexes.length - 1]! >= views[views.length - 1]!.count
    );
    this.#push(this.#child(views[views.length - 1]!, indexes[indexes.length - 1]!));
    this.#descend(forward);
    return true;
  }

  #child(view: View, index: number): View {
    const { pager } = this.#tree;
    invariant(index >= 0 && index < view.count, 'a child is one of its branch');
    if (!(view instanceof BranchNode)) return pager.page((view as Page).childId(index));
    return view.childOf(index) ?? pager.page(view.childIdOf(index));
  }

  #load(view: View, index: number): boolean {
    invariant(view.isLeaf, 'entries are in leaves');
    invariant(index >= 0 && index < view.count, 'an entry is one of its leaf');
    if (view instanceof LeafNode) {
      const entry = view.entry(index);
      entry.join();
      this.keyBytes = entry.key;
      this.keyOffset = entry.keyOffset;
      this.keyLength = entry.keyLength;
      this.valueBytes = entry.value;
      this.valueOffset = entry.valueOffset;
      this.valueLength = entry.valueLength;
      this.isBucket = (entry.flags & BUCKET_ELEMENT_FLAG) !== 0;
    } else {
      const page = view as Page;
      this.keyBytes = page.bytes;
      this.keyOffset = page.keyOffset(index);
      this.keyLength = page.keyLength(index);
      this.valueBytes = page.bytes;
      this.valueOffset = this.keyOffset + this.keyLength;
      this.valueLength = page.valueLength(index);
      this.isBucket = page.isBucket(index);
    }
    this.state = ON;
    return true;
  }
}
