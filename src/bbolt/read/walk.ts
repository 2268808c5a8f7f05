// Whole trees in key order, past the page cache: children are read ahead in large asynchronous
// batches, the next batch while the one before is being visited. A batch is read into the memory of
// one that was visited.

import { BufferPool, EMPTY_BYTES, invariant, placed, type Slices } from '../../base/index.ts';
import type { EntryVisitor } from '../api.ts';
import {
  allocatePageBytes,
  BUCKET_ELEMENT_FLAG,
  compareKeys,
  ELEMENT_SIZE,
  PAGE_HEADER_SIZE,
  readU32,
} from '../file/layout.ts';
import type { Page } from '../file/page.ts';
import { batchPagesMax, loadPages } from '../file/page-loader.ts';
import type { Pager } from '../file/pager.ts';
import { WALK_BATCH_BYTES_MAX } from '../limits.ts';

interface TreeVisitor {
  /** Every branch page, before what is below it. */
  branch?(page: Page): void;
  /**
   * Every leaf page in key order. Returns false to end the walk. The page is valid until it returns, or what
   * it returned is resolved, unless {@link keepsPages}.
   */
  leaf(page: Page): boolean | Promise<boolean>;
  /** Whether pages are referred to for longer: then each batch has memory of its own. */
  readonly keepsPages?: boolean;
}

/** A batch of children being read. It rejects for its consumer, if there is one. */
interface Batch {
  readonly pages: Promise<Page[]>;
  /** What its pages lie in. */
  readonly buffers: readonly Uint8Array[];
}

export class TreeWalk {
  readonly #pager: Pager;
  readonly #slices: Slices;
  readonly #visitor: TreeVisitor;
  /** Leaves before the first that may hold this key are left out. */
  readonly #from: Uint8Array | undefined;
  /** Children that the next batch asks for: fewer where pages are large. */
  #batchPages: number;
  #visited = 0;
  readonly #memory = new BufferPool(allocatePageBytes, 2 * WALK_BATCH_BYTES_MAX);
  /** The last key that was visited, if there was one. */
  #lastKeyBytes: Uint8Array = EMPTY_BYTES;
  #lastKeyOffset = 0;
  #lastKeyLength = 0;
  /** Of all leaves, once one has been reached. */
  #leafDepth = -1;

  constructor(pager: Pager, slices: Slices, visitor: TreeVisitor, from?: Uint8Array) {
    this.#pager = pager;
    this.#slices = slices;
    this.#visitor = visitor;
    this.#from = from;
    this.#batchPages = batchPagesMax(pager);
  }

  /** False if the visitor ended it. CORRUPT if a page is damaged or leaves are out of order. */
  async run(rootId: number): Promise<boolean> {
    invariant(this.#visited === 0, 'a walk is made once');
    const [root] = await loadPages(this.#pager, [rootId]);
    invariant(root !== undefined, 'every wanted page is loaded');
    this.#slices.restart();
    return root.isLeaf ? await this.#leaf(root, 0) : await this.#walkBranch(root, 0, undefined);
  }

  async #walkBranch(branch: Page, depth: number, first?: Batch): Promise<boolean> {
    const pager = this.#pager;
    this.#count(branch);
    pager.checkDepth(depth, branch.id);
    this.#visitor.branch?.(branch);
    let index = first === undefined ? this.#firstIndex(branch) : 0;
    let batch = first ?? this.#load(branch, index);
    while (index < branch.count) {
      const { buffers } = batch;
      const pages = await batch.pages;
      this.#slices.restart();
      invariant(pages.length > 0, 'a batch has a page');
      const following = index + pages.length;
      invariant(following <= branch.count, 'the children of a branch are those of its elements');
      if (following < branch.count) batch = this.#load(branch, following);
      if (!(await this.#walkChildren(branch, index, pages, depth + 1))) return false;
      this.#giveBack(buffers);
      index = following;
    }
    return true;
  }

  /** The pages of a batch were visited, with all that is below them. */
  #giveBack(buffers: readonly Uint8Array[]): void {
    if (buffers.length === 0) return;
    // The last key lies in one of them.
    const start = this.#lastKeyOffset;
    this.#lastKeyBytes = this.#lastKeyBytes.slice(start, start + this.#lastKeyLength);
    this.#lastKeyOffset = 0;
    for (const buffer of buffers) this.#memory.give(buffer);
  }

  /** `pages` are the children of `parent` from `first` on. */
  async #walkChildren(
    parent: Page,
    first: number,
    pages: readonly Page[],
    depth: number,
  ): Promise<boolean> {
    let ahead: Batch | undefined;
    for (let i = 0; i < pages.length; i++) {
      const page = pages[i]!;
      invariant(
        page.id === parent.childId(first + i),
        'a child is the page that its branch refers to',
      );
      this.#checkOrder(parent, first + i, page);
      if (page.isLeaf) {
        const goOn = this.#leaf(page, depth);
        if (!(typeof goOn === 'boolean' ? goOn : await goOn)) return false;
      } else {
        const own = ahead;
        const next = pages[i + 1];
        ahead = next === undefined || next.isLeaf ? undefined : this.#load(next, 0);
        if (!(await this.#walkBranch(page, depth, own))) return false;
      }
      if (this.#slices.isOver) await this.#slices.next();
    }
    return true;
  }

  #leaf(page: Page, depth: number): boolean | Promise<boolean> {
    this.#count(page);
    if (this.#leafDepth < 0) this.#leafDepth = depth;
    if (this.#leafDepth !== depth) {
      throw this.#pager.corrupt(page.id, 'a leaf is not on the level of the others');
    }
    if (page.count > 0) {
      this.#lastKeyBytes = page.bytes;
      this.#lastKeyOffset = page.keyOffset(page.count - 1);
      this.#lastKeyLength = page.keyLength(page.count - 1);
    }
    return this.#visitor.leaf(page);
  }

  /** Children to skip: on the way down to `from` those before it, elsewhere none. */
  #firstIndex(branch: Page): number {
    return this.#from === undefined ? 0 : branch.searchBranch(this.#from);
  }

  #load(branch: Page, index: number): Batch {
    const end = Math.min(branch.count, index + this.#batchPages);
    const ids: number[] = [];
    for (let i = index; i < end; i++) ids.push(branch.childId(i));
    invariant(ids.length > 0, 'a batch has a page');
    const buffers: Uint8Array[] = [];
    const pages = this.#loadBatch(ids, buffers);
    pages.catch(() => undefined);
    return { pages, buffers };
  }

  async #loadBatch(ids: readonly number[], buffers: Uint8Array[]): Promise<Page[]> {
    const allocate = (bytes: number): Uint8Array => {
      const buffer = this.#memory.take(bytes);
      buffers.push(buffer);
      return buffer.subarray(0, bytes);
    };
    const own = this.#visitor.keepsPages === true ? undefined : allocate;
    const pages = await loadPages(this.#pager, ids, WALK_BATCH_BYTES_MAX, own);
    const doubled = Math.min(2 * this.#batchPages, batchPagesMax(this.#pager));
    this.#batchPages = pages.length < ids.length ? pages.length : doubled;
    return pages;
  }

  /** A tree has at most as many pages as the file; more visits mean a cycle. */
  #count(page: Page): void {
    this.#visited++;
    if (this.#visited > this.#pager.highWater) {
      throw this.#pager.corrupt(page.id, 'the tree never ends');
    }
  }

  /** Child `index` of `parent` must hold keys from the parent's key on, which is above all before. */
  #checkOrder(parent: Page, index: number, child: Page): void {
    if (
      this.#lastKeyLength > 0 &&
      compareKeys(
        this.#lastKeyBytes,
        this.#lastKeyOffset,
        this.#lastKeyLength,
        parent.bytes,
        parent.keyOffset(index),
        parent.keyLength(index),
      ) >= 0
    ) {
      throw this.#pager.corrupt(
        parent.id,
        `key ${index} is not above the keys of the child before`,
      );
    }
    if (child.count > 0 && compareElements(parent, index, child, 0) > 0) {
      throw this.#pager.corrupt(child.id, 'its first key is below its key in the branch');
    }
  }
}

function compareElements(a: Page, i: number, b: Page, j: number): number {
  return compareKeys(
    a.bytes,
    a.keyOffset(i),
    a.keyLength(i),
    b.bytes,
    b.keyOffset(j),
    b.keyLength(j),
  );
}

/** Calls `visitor` with the plain entries of a leaf, from index `first` on; false once it ends. */
export function visitLeaf(page: Page, visitor: EntryVisitor, place: Place, first = 0): boolean {
  try {
    return visitEntries(page, visitor, first);
  } catch (error) {
    throw placed(error, place.pager.placeOf(place.pageId));
  }
}

/** Where a leaf lies: one of an inline bucket is within another page. */
interface Place {
  readonly pager: Pager;
  readonly pageId: number;
}

function visitEntries(page: Page, visitor: EntryVisitor, first: number): boolean {
  const { bytes, count } = page;
  invariant(first >= 0 && first <= count, 'a visit begins in the leaf or behind it');
  for (let i = first; i < count; i++) {
    const at = PAGE_HEADER_SIZE + i * ELEMENT_SIZE;
    if ((bytes[at]! & BUCKET_ELEMENT_FLAG) !== 0) continue;
    const keyOffset = at + readU32(bytes, at + 4);
    const keyLength = readU32(bytes, at + 8);
    const valueLength = readU32(bytes, at + 12);
    if (!visitor.entry(bytes, keyOffset, keyLength, keyOffset + keyLength, valueLength)) {
      return false;
    }
  }
  return true;
}
