// Pages of one file: reading, the gateway check, the cache.

import { ERROR_CODES, fail, invariant, TetcdError } from '../../base/index.ts';
import type { DiskFile } from '../../env/index.ts';
import { PASSING_BYTES_MAX, TREE_DEPTH_MAX } from '../limits.ts';
import { allocatePageBytes, readU32 } from './layout.ts';
import { Page, validateHeader, validatePage } from './page.ts';
import type { PageCache } from './page-cache.ts';
import { PageSlab } from './page-slab.ts';
import type { PassingMemory } from './passing-memory.ts';

export class Pager {
  readonly file: DiskFile;
  readonly pageSize: number;
  readonly cache: PageCache;
  readonly #slab: PageSlab;
  /** First page never used, in the newest state this process knows; never goes back. */
  highWater: number;
  closed = false;
  /** Synchronous page reads that the cache could not answer. */
  misses = 0;
  /** Asynchronous reads in progress; `close` waits for them. */
  #readsUnderWay = 0;
  #idle: (() => void) | undefined;

  constructor(file: DiskFile, pageSize: number, highWater: number, cache: PageCache) {
    invariant(highWater >= 2, 'the meta pages are in use');
    this.file = file;
    this.pageSize = pageSize;
    this.highWater = highWater;
    this.cache = cache;
    this.#slab = new PageSlab(pageSize);
  }

  /** The branch or leaf page `id`, validated. CORRUPT if it is neither or is damaged. */
  page(id: number): Page {
    return this.cache.get(id) ?? this.#load(id);
  }

  /**
   * As {@link page}, for a leaf that is looked into once: one that is not cached is read into `memory`, which
   * the answer then refers to, and is not cached.
   */
  pageInto(id: number, memory: PassingMemory): Page {
    const cached = this.cache.get(id);
    if (cached !== undefined) return cached;
    if (id < 2 || id >= this.highWater) fail(`page ${id} is none of a tree`);
    const { pageSize } = this;
    // Neighbours are mostly of a size: one read brings the overflow pages along.
    const expected = Math.min(memory.extent, this.highWater - id);
    const begun = memory.take(expected * pageSize);
    this.readSync(begun, id);
    const extent = this.extent(begun, id);
    const size = extent * pageSize;
    if (size > PASSING_BYTES_MAX) return this.#load(id);
    const bytes = memory.take(size);
    if (extent > expected) this.readSync(bytes.subarray(begun.length), id + expected);
    const page = this.accept(bytes, id);
    if (!page.isLeaf) return this.#load(id);
    memory.extent = extent;
    this.misses++;
    return page;
  }

  /** Reads `target` in full from the page `id` on. */
  async read(target: Uint8Array, id: number): Promise<void> {
    this.assertOpen();
    invariant(id >= 2, 'the meta pages are read at opening');
    this.#readsUnderWay++;
    try {
      const count = await this.file.read(target, id * this.pageSize);
      if (count < target.length) throw this.#truncated(id);
    } finally {
      this.#readsUnderWay--;
      invariant(this.#readsUnderWay >= 0, 'a read ends once');
      if (this.#readsUnderWay === 0) this.#idle?.();
    }
  }

  readSync(target: Uint8Array, id: number): void {
    this.assertOpen();
    invariant(id >= 2, 'the meta pages are read at opening');
    const count = this.file.readSync(target, id * this.pageSize);
    if (count < target.length) throw this.#truncated(id);
  }

  /** Resolves when no asynchronous read is in progress; none begins after `closed` is set. */
  async settle(): Promise<void> {
    invariant(this.closed, 'no read begins while the last ones end');
    if (this.#readsUnderWay === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  /** The number of pages that the page with this header takes; CORRUPT if the header is unsound. */
  extent(bytes: Uint8Array, id: number): number {
    const wrong = validateHeader(bytes, id, this.highWater);
    if (wrong !== undefined) throw this.corrupt(id, wrong);
    return readU32(bytes, 12) + 1;
  }

  /** The gateway: a page from all its bytes, header checked before. CORRUPT if it is unsound. */
  accept(bytes: Uint8Array, id: number): Page {
    const wrong = validatePage(bytes, this.highWater);
    if (wrong !== undefined) throw this.corrupt(id, wrong);
    const page = new Page(id, bytes);
    invariant(
      (page.overflow + 1) * this.pageSize === bytes.length,
      'a page is accepted with its overflow pages',
    );
    return page;
  }

  corrupt(id: number, text: string): TetcdError {
    return new TetcdError(ERROR_CODES.CORRUPT, `${this.placeOf(id)}: ${text}`);
  }

  /** The page, in words. */
  placeOf(id: number): string {
    return `${this.file.path}: page ${id} (offset ${id * this.pageSize})`;
  }

  /** For descents: counts a level and refuses a tree that must be a cycle. */
  checkDepth(depth: number, id: number): void {
    if (depth >= TREE_DEPTH_MAX) throw this.corrupt(id, 'the tree is too deep');
  }

  assertOpen(): void {
    if (this.closed)
      throw new TetcdError(ERROR_CODES.CLOSED, `${this.file.path}: database not open`);
  }

  #load(id: number): Page {
    if (id < 2 || id >= this.highWater) fail(`page ${id} is none of a tree`);
    this.misses++;
    let bytes = this.#slab.take();
    this.readSync(bytes, id);
    const extent = this.extent(bytes, id);
    if (extent > 1) {
      const first = bytes;
      bytes = allocatePageBytes(extent * this.pageSize);
      bytes.set(first);
      this.readSync(bytes.subarray(this.pageSize), id + 1);
    }
    const page = this.accept(bytes, id);
    // A page that is read once is not worth a second chance: only the next use counts.
    this.cache.put(page, false);
    return page;
  }

  #truncated(id: number): TetcdError {
    return this.corrupt(id, 'the file ends before the page does');
  }
}
