// The new pages of one commit: allocated, filled, and written to the file.
//
// Pages are allocated in ascending order as far as free space allows, and pages that lie side by
// side are written with one write, once DIRTY_BYTES_MAX of them have accumulated. Their order does not
// matter as long as the meta page comes last.

import {
  COUNT_MAX,
  ERROR_CODES,
  fail,
  failpoints,
  invariant,
  TetcdError,
  verify,
} from '../../base/index.ts';
import type { Freelist } from '../file/freelist.ts';
import { allocatePageBytes, PAGE_HEADER_SIZE } from '../file/layout.ts';
import { Page, validatePage } from '../file/page.ts';
import { PageSlab } from '../file/page-slab.ts';
import type { Pager } from '../file/pager.ts';
import {
  DIRTY_BYTES_MAX,
  GROWTH_START_BYTES,
  GROWTH_STEP_BYTES,
  JOINED_PAGES_MAX,
  TRANSFER_BYTES_MAX,
} from '../limits.ts';
import type { BranchNode, LeafEntry, LeafNode } from './node.ts';
import { largeLeafHead, writeBranch, writeLeaf } from './write-page.ts';

interface DirtyPage {
  readonly id: number;
  /** Of the page with its overflow pages. */
  readonly size: number;
  /** The page, or its beginning; {@link rest} follows. */
  readonly bytes: Uint8Array;
  readonly rest: readonly Uint8Array[];
}

const NO_REST: readonly Uint8Array[] = [];

/** What follows the elements of a large leaf; never written to. */
let zeros: Uint8Array = new Uint8Array(0);

export class PageBuilder {
  /** First page id not used by the last commit nor by this one. */
  highWater: number;
  /** Pages built, overflow pages included. */
  pagesBuilt = 0;
  /** Pages allocated; each is built before the commit ends. */
  pagesAllocated = 0;
  readonly pager: Pager;
  readonly #freelist: Freelist;
  #dirty: DirtyPage[] = [];
  #dirtyBytes = 0;
  /** Memory for leaf pages, which then lie side by side. */
  readonly #slab: PageSlab;

  constructor(pager: Pager, freelist: Freelist, highWater: number) {
    invariant(highWater === pager.highWater, 'a commit goes on from the newest state');
    this.pager = pager;
    this.#freelist = freelist;
    this.highWater = highWater;
    this.#slab = new PageSlab(pager.pageSize);
  }

  /** Pages built and not written yet, in bytes. */
  get unwritten(): number {
    return this.#dirtyBytes;
  }

  /** Whether `flush` should be called before more pages are built. */
  get full(): boolean {
    return this.#dirtyBytes >= DIRTY_BYTES_MAX;
  }

  /** Builds a leaf page of elements [from, to) of that total size; its page id. */
  leaf(node: LeafNode, from: number, to: number, size: number): number {
    const pages = this.pagesFor(size);
    const id = this.allocate(pages);
    if (pages > JOINED_PAGES_MAX && to - from === 1) {
      this.#addLargeLeaf(node.entry(from), id, pages * this.pager.pageSize);
      return id;
    }
    const bytes = pages === 1 ? this.#slab.take() : allocatePageBytes(pages * this.pager.pageSize);
    const end = writeLeaf(node, from, to, id, pages - 1, bytes);
    invariant(end === PAGE_HEADER_SIZE + size, 'a leaf page has the size that was counted');
    this.#addPage(id, bytes);
    return id;
  }

  branch(node: BranchNode, from: number, to: number, size: number): number {
    const pages = this.pagesFor(size);
    const id = this.allocate(pages);
    const bytes = allocatePageBytes(pages * this.pager.pageSize);
    const end = writeBranch(node, from, to, id, pages - 1, bytes);
    invariant(end === PAGE_HEADER_SIZE + size, 'a branch page has the size that was counted');
    this.#addPage(id, bytes);
    return id;
  }

  /** Pages that elements of that total size need. */
  pagesFor(size: number): number {
    return Math.ceil((PAGE_HEADER_SIZE + size) / this.pager.pageSize);
  }

  /** `count` pages side by side, from free space or at the end. */
  allocate(count: number): number {
    this.pagesAllocated += count;
    const free = this.#freelist.allocate(count);
    if (free > 0) {
      invariant(
        free >= 2 && free + count <= this.highWater,
        'free pages lie below the high-water mark',
      );
      return free;
    }
    const id = this.highWater;
    invariant(id >= this.pager.highWater, 'new pages lie behind those of the last commit');
    this.highWater += count;
    if (this.highWater * this.pager.pageSize > COUNT_MAX) {
      throw new TetcdError(
        ERROR_CODES.LIMIT_EXCEEDED,
        `${this.pager.file.path}: the database is too large`,
      );
    }
    return id;
  }

  /** Adds a page; `bytes` are its own and its overflow pages. Pages of trees come by {@link leaf}. */
  add(id: number, bytes: Uint8Array): void {
    this.#add({ id, size: bytes.length, bytes, rest: NO_REST });
  }

  #add(page: DirtyPage): void {
    const { id, size } = page;
    const pages = size / this.pager.pageSize;
    invariant(
      Number.isInteger(pages) && pages > 0,
      'a page with its overflow is made of whole pages',
    );
    invariant(
      id >= 2 && id + pages <= this.highWater,
      'a built page lies below the high-water mark',
    );
    this.#dirty.push(page);
    this.#dirtyBytes += size;
    this.pagesBuilt += pages;
    invariant(this.pagesBuilt <= this.pagesAllocated, 'a page is built where it was allocated');
  }

  /** Writes the pages built so far into the operating system's cache. */
  async flush(): Promise<void> {
    const { pager } = this;
    const dirty = this.#dirty;
    const dirtyBytes = this.#dirtyBytes;
    this.#dirty = [];
    this.#dirtyBytes = 0;
    if (dirty.length === 0) return;
    dirty.sort((a, b) => a.id - b.id);
    const last = dirty[dirty.length - 1]!;
    await this.#growFile(last.id * pager.pageSize + last.size);
    let next = 2;
    let written = 0;
    for (let from = 0; from < dirty.length; ) {
      const chunks: Uint8Array[] = [];
      const start = dirty[from]!.id;
      invariant(start >= next, 'pages of a commit overlap neither each other nor the meta pages');
      next = start;
      let size = 0;
      while (from < dirty.length && dirty[from]!.id === next && size < TRANSFER_BYTES_MAX) {
        const page = dirty[from]!;
        pushChunk(chunks, page.bytes);
        for (const bytes of page.rest) chunks.push(bytes);
        size += page.size;
        next += page.size / pager.pageSize;
        from++;
      }
      invariant(size === (next - start) * pager.pageSize, 'pages side by side go into one write');
      written += next - start;
      await pager.file.write(chunks, start * pager.pageSize);
    }
    invariant(written * pager.pageSize === dirtyBytes, 'every page that was built is written');
  }

  async #growFile(needed: number): Promise<void> {
    if (needed <= this.pager.file.size()) return;
    const failure = failpoints.active?.failure('resizeFileError');
    if (failure !== undefined) throw new TetcdError(ERROR_CODES.DISK_FAILED, failure);
    const size = grownFileSize(needed);
    invariant(size >= needed, 'the file grows to what is needed at least');
    await this.pager.file.truncate(size);
  }

  #addPage(id: number, bytes: Uint8Array): void {
    if (verify.all) verifyBuilt(id, bytes, this.highWater);
    this.add(id, bytes);
    // Cached before the commit: no reader reaches the id yet, and the writer reads nothing back.
    // Branches count as used; most leaves of a large commit are not needed soon.
    const page = new Page(id, bytes);
    invariant(
      (page.overflow + 1) * this.pager.pageSize === bytes.length,
      'the header of a page counts its overflow pages',
    );
    this.pager.cache.put(page, !page.isLeaf);
  }

  /** Adds a leaf with one large value, of that size in whole pages. It is read back when it is wanted. */
  #addLargeLeaf(entry: LeafEntry, id: number, size: number): void {
    const { pageSize, cache } = this.pager;
    const bytes = largeLeafHead(entry, id, size / pageSize - 1);
    const padding = size - bytes.length - entry.valueLength;
    invariant(padding >= 0 && padding < pageSize, 'a leaf page has the size that was counted');
    if (zeros.length < padding) zeros = new Uint8Array(pageSize);
    const { value, valueOffset, valueLength } = entry;
    const pieces = entry.pieces ?? [value.subarray(valueOffset, valueOffset + valueLength)];
    const rest = [...pieces, zeros.subarray(0, padding)];
    if (verify.all) verifyBuilt(id, Buffer.concat([bytes, ...rest]), this.highWater);
    // What had the id before is no longer reached.
    cache.drop(id);
    this.#add({ id, size, bytes, rest });
  }
}

/** Adds `bytes`, as part of the last chunk where both lie side by side in memory. */
function pushChunk(chunks: Uint8Array[], bytes: Uint8Array): void {
  const last = chunks[chunks.length - 1];
  if (
    last !== undefined &&
    last.buffer === bytes.buffer &&
    last.byteOffset + last.length === bytes.byteOffset
  ) {
    const length = last.length + bytes.length;
    chunks[chunks.length - 1] = new Uint8Array(bytes.buffer, last.byteOffset, length);
  } else {
    chunks.push(bytes);
  }
}

/** The size a file gets that needs that many bytes: powers of two, then steps of 16 MiB. */
export function grownFileSize(needed: number): number {
  let size = GROWTH_START_BYTES;
  while (size < needed && size < GROWTH_STEP_BYTES) size *= 2;
  return size >= needed ? size : needed + GROWTH_STEP_BYTES;
}

/** The check of pages that come from disk, before this one is written. */
export function verifyBuilt(id: number, bytes: Uint8Array, highWater: number): void {
  const wrong = validatePage(bytes, highWater);
  if (wrong !== undefined) fail(`built page ${id}: ${wrong}`);
}
