// The cursor of a read transaction: a stack of (page, index) from the root to a leaf.
//
// Hot: `next` inside a leaf decodes one element header; nothing is allocated after construction.

import { ERROR_CODES, invariant, TetcdError } from '../../base/index.ts';
import type { Cursor } from '../api.ts';
import { BUCKET_ELEMENT_FLAG, ELEMENT_SIZE, PAGE_HEADER_SIZE, readU32 } from '../file/layout.ts';
import type { Page } from '../file/page.ts';
import type { Pager } from '../file/pager.ts';
import { PassingMemory } from '../file/passing-memory.ts';
import { READ_ALONG_PAGES_MAX } from '../limits.ts';
import { BEFORE, BEHIND, CursorEntry, ON } from './cursor-entry.ts';
import { readAlong } from './read-along.ts';

/** The transaction that a cursor belongs to. */
export interface CursorOwner {
  readonly closed: boolean;
  readonly pager: Pager;
}

export class PageCursor extends CursorEntry implements Cursor {
  readonly #owner: CursorOwner;
  /** Root page of the bucket; 0 where `inline` is the whole tree. */
  readonly #rootId: number;
  readonly #inline: Page | undefined;
  /** pages[0] is the root, pages[depth] a leaf; indexes[i] is the element taken in pages[i]. */
  readonly #pages: Page[] = [];
  readonly #indexes: number[] = [];
  #depth = 0;
  /** Pages to read at the next cache miss; doubles while the cursor runs through cold pages. */
  #along = 1;

  /** Where leaves are read that are not cached; undefined if they are to be. */
  readonly #passing: PassingMemory | undefined;

  constructor(owner: CursorOwner, rootId: number, inline: Page | undefined, passing = false) {
    super();
    this.#passing = passing ? new PassingMemory(owner.pager.pageSize) : undefined;
    invariant(rootId >= 2 !== (inline !== undefined), 'a tree has a root page or is inline');
    this.#owner = owner;
    this.#rootId = rootId;
    this.#inline = inline;
  }

  first(): boolean {
    this.#toRoot();
    this.#descend(true);
    return this.#indexes[this.#depth]! < this.#pages[this.#depth]!.count
      ? this.#land()
      : this.#forward();
  }

  last(): boolean {
    this.#toRoot();
    this.#descend(false);
    return this.#indexes[this.#depth]! >= 0 ? this.#land() : this.#backward();
  }

  seek(key: Uint8Array): boolean {
    this.#seekLeaf(key);
    return this.state === ON;
  }

  seekExact(key: Uint8Array): boolean {
    const leaf = this.#leafAround(key);
    if (leaf === undefined) return this.#seekLeaf(key);
    const found = leaf.searchLeaf(key);
    if (found < 0) return this.#seekLeaf(key);
    this.#indexes[this.#depth] = found;
    return this.#load(leaf, found);
  }

  /**
   * The leaf that the cursor stands on, if `key` can only be there: successive searches are often for
   * neighbours, and most of the cost of a search is the descent from the root.
   */
  #leafAround(key: Uint8Array): Page | undefined {
    if (this.state !== ON) return undefined;
    this.#assertOpen();
    const leaf = this.#pages[this.#depth]!;
    return leaf.spans(key) ? leaf : undefined;
  }

  next(): boolean {
    if (this.state === ON) {
      this.#assertOpen();
      const leaf = this.#pages[this.#depth]!;
      const index = this.#indexes[this.#depth]! + 1;
      if (index < leaf.count) {
        this.#indexes[this.#depth] = index;
        return this.#load(leaf, index);
      }
      return this.#forward();
    }
    return this.state === BEFORE ? this.first() : false;
  }

  prev(): boolean {
    if (this.state === ON) {
      this.#assertOpen();
      const index = this.#indexes[this.#depth]! - 1;
      if (index >= 0) {
        this.#indexes[this.#depth] = index;
        return this.#load(this.#pages[this.#depth]!, index);
      }
      return this.#backward();
    }
    return this.state === BEHIND ? this.last() : false;
  }

  key(): Uint8Array {
    return this.keyBytes.slice(this.keyOffset, this.keyOffset + this.keyLength);
  }

  value(): Uint8Array {
    return this.valueBytes.slice(this.valueOffset, this.valueOffset + this.valueLength);
  }

  /** Stands on the first entry not below `key`; whether that is `key` itself. */
  #seekLeaf(key: Uint8Array): boolean {
    this.#toRoot();
    const pages = this.#pages;
    const indexes = this.#indexes;
    let page = pages[0]!;
    let depth = 0;
    while (!page.isLeaf) {
      const index = page.searchBranch(key);
      indexes[depth] = index;
      const id = page.childId(index);
      page = this.#page(id);
      depth++;
      this.#owner.pager.checkDepth(depth, id);
      pages[depth] = page;
    }
    this.#depth = depth;
    const found = page.searchLeaf(key);
    if (found >= 0) {
      indexes[depth] = found;
      return this.#load(page, found);
    }
    const index = -1 - found;
    indexes[depth] = index;
    if (index < page.count) this.#load(page, index);
    else this.#forward();
    return false;
  }

  /** Overwrites the leaf before it, which is on the path no longer: `state` is not ON. */
  #page(id: number): Page {
    const { pager } = this.#owner;
    return this.#passing === undefined ? pager.page(id) : pager.pageInto(id, this.#passing);
  }

  #toRoot(): void {
    this.#assertOpen();
    this.state = BEFORE;
    this.#depth = 0;
    this.#along = 1;
    this.#pages[0] = this.#inline ?? this.#owner.pager.page(this.#rootId);
  }

  /** From pages[depth] down to the first or the last element below it. */
  #descend(toFirst: boolean): void {
    const pages = this.#pages;
    const indexes = this.#indexes;
    const pager = this.#owner.pager;
    let page = pages[this.#depth]!;
    while (!page.isLeaf) {
      const index = toFirst ? 0 : page.count - 1;
      invariant(index >= 0, 'a branch has a child');
      indexes[this.#depth] = index;
      page = this.#child(page, index);
      this.#depth++;
      pager.checkDepth(this.#depth, page.id);
      pages[this.#depth] = page;
    }
    indexes[this.#depth] = toFirst ? 0 : page.count - 1;
  }

  /** To the first entry behind the current leaf, over leaves that are empty. */
  #forward(): boolean {
    for (let visited = 0; ; visited++) {
      this.#checkProgress(visited);
      let depth = this.#depth - 1;
      while (depth >= 0 && this.#indexes[depth]! + 1 >= this.#pages[depth]!.count) depth--;
      if (depth < 0) return this.stop(BEHIND);
      invariant(!this.#pages[depth]!.isLeaf, 'above a leaf there are branches');
      this.#indexes[depth]!++;
      this.#depth = depth + 1;
      this.#pages[this.#depth] = this.#child(this.#pages[depth]!, this.#indexes[depth]!);
      this.#descend(true);
      if (this.#pages[this.#depth]!.count > 0) return this.#land();
    }
  }

  /** To the last entry before the current leaf. */
  #backward(): boolean {
    for (let visited = 0; ; visited++) {
      this.#checkProgress(visited);
      let depth = this.#depth - 1;
      while (depth >= 0 && this.#indexes[depth]! === 0) depth--;
      if (depth < 0) return this.stop(BEFORE);
      invariant(!this.#pages[depth]!.isLeaf, 'above a leaf there are branches');
      this.#indexes[depth]!--;
      this.#depth = depth + 1;
      this.#pages[this.#depth] = this.#child(this.#pages[depth]!, this.#indexes[depth]!);
      this.#descend(false);
      if (this.#pages[this.#depth]!.count > 0) return this.#land();
    }
  }

  #child(parent: Page, index: number): Page {
    const pager = this.#owner.pager;
    invariant(index >= 0 && index < parent.count, 'a child is one of its branch');
    const cached = pager.cache.get(parent.childId(index));
    if (cached !== undefined) return cached;
    const along = this.#along;
    if (along < READ_ALONG_PAGES_MAX) this.#along = along * 2;
    return readAlong(pager, parent, index, along);
  }

  /** A sound tree has fewer empty leaves in a row than pages; a damaged one may have a cycle. */
  #checkProgress(visited: number): void {
    const { pager } = this.#owner;
    if (visited > pager.highWater) throw pager.corrupt(this.#rootId, 'the tree never ends');
  }

  #land(): boolean {
    const leaf = this.#pages[this.#depth]!;
    const index = this.#indexes[this.#depth]!;
    invariant(leaf.isLeaf, 'entries are in leaves');
    invariant(index >= 0 && index < leaf.count, 'an entry is one of its leaf');
    return this.#load(leaf, index);
  }

  #load(leaf: Page, index: number): boolean {
    const bytes = leaf.bytes;
    const at = PAGE_HEADER_SIZE + index * ELEMENT_SIZE;
    const keyOffset = at + readU32(bytes, at + 4);
    const keyLength = readU32(bytes, at + 8);
    this.keyBytes = bytes;
    this.keyOffset = keyOffset;
    this.keyLength = keyLength;
    this.valueBytes = bytes;
    this.valueOffset = keyOffset + keyLength;
    this.valueLength = readU32(bytes, at + 12);
    this.isBucket = (bytes[at]! & BUCKET_ELEMENT_FLAG) !== 0;
    this.state = ON;
    return true;
  }

  #assertOpen(): void {
    if (this.#owner.closed) throw new TetcdError(ERROR_CODES.CLOSED, 'tx closed');
  }
}
