// The page cache: page id → Page, bounded by bytes, with the CLOCK rule (second chance).
//
// The table is open addressed, probed linearly and at most half full; NO_PAGE stands in empty slots.
// The bit `used` of a page says that it was used since the hand last passed: the hand clears it, and
// evicts the page if the bit is still clear the next time. One eviction spares a few pages at most: where
// all are in use, to pass over the whole table and copy each page would be a stall of 75 ms.
//
// The table has its final size from the start (capacity / page size, doubled): growing a large one
// would be a stall.
//
// Pages that were read or built together share one buffer, which lives as long as any of them. When
// the hand gives a page its second chance, the page is copied, and shares a buffer with others that were
// spared in this round: a few pages in steady use do not keep the buffers of all their former
// neighbours for longer than a round.
//
// Hot: `get` runs once per tree level of every point read. What it costs is cache misses of the
// processor (one in the table, one in the page object), which is why there is no `Map`.

import { invariant, verify } from '../../base/index.ts';
import { PAGE_CACHE_SHARE_MAX, PAGES_SPARED_MAX } from '../limits.ts';
import { allocatePageBytes, PAGE_HEADER_SIZE } from './layout.ts';
import { Page } from './page.ts';
import { PageSlab } from './page-slab.ts';

const TABLE_LENGTH_MIN = 64;

/** Stands in empty slots; its id is that of no page. */
const NO_PAGE = new Page(-1, new Uint8Array(PAGE_HEADER_SIZE));

export class PageCache {
  readonly capacityBytes: number;
  /** Bytes of all pages held; at most `capacityBytes` after every `put`. */
  bytes = 0;
  /** Pages held. */
  count = 0;
  readonly #table: Page[];
  readonly #mask: number;
  readonly #slab: PageSlab;
  #hand = 0;

  /** A cache of pages that have `pageSize` bytes, or a multiple of it. */
  constructor(capacityBytes: number, pageSize: number) {
    invariant(capacityBytes >= 0 && pageSize > 0, 'a cache has a bound, and its pages a size');
    this.capacityBytes = capacityBytes;
    let length = TABLE_LENGTH_MIN;
    while (length < (capacityBytes / pageSize) * 2) length *= 2;
    this.#table = new Array<Page>(length).fill(NO_PAGE);
    this.#mask = length - 1;
    this.#slab = new PageSlab(pageSize);
  }

  get(id: number): Page | undefined {
    const table = this.#table;
    const mask = this.#mask;
    let slot = homeOf(id, mask);
    for (;;) {
      const page = table[slot]!;
      if (page.id === id) {
        page.used = true;
        return page;
      }
      if (page === NO_PAGE) return undefined;
      slot = (slot + 1) & mask;
    }
  }

  /** Whether the page is held; does not count as a use. */
  has(id: number): boolean {
    return this.#table[this.#findSlot(id)] !== NO_PAGE;
  }

  /**
   * Caches `page`, replacing any other with its id; a page too large for the cache is not held. One
   * that is `wanted` counts as used; any other may be evicted next.
   */
  put(page: Page, wanted: boolean): void {
    const size = page.bytes.length;
    let slot = this.#findSlot(page.id);
    if (this.#table[slot] !== NO_PAGE) {
      this.#vacate(slot);
      slot = this.#findSlot(page.id);
    }
    if (size > this.capacityBytes * PAGE_CACHE_SHARE_MAX) return;
    if (this.bytes + size > this.capacityBytes) {
      do this.#evictOne();
      while (this.bytes + size > this.capacityBytes);
      slot = this.#findSlot(page.id);
    }
    invariant(this.#table[slot] === NO_PAGE, 'a page goes into an empty slot');
    this.#table[slot] = page;
    page.used = wanted;
    this.bytes += size;
    this.count++;
    invariant(this.count * 2 <= this.#mask + 1, 'the table is at most half full');
    invariant(this.bytes <= this.capacityBytes, 'the cache keeps its bound');
    if (verify.all) this.#verifyFrom(slot);
  }

  /** Forgets the page `id`, if it is held. */
  drop(id: number): void {
    const slot = this.#findSlot(id);
    if (this.#table[slot] !== NO_PAGE) this.#vacate(slot);
  }

  clear(): void {
    this.#table.fill(NO_PAGE);
    this.bytes = 0;
    this.count = 0;
  }

  /** The slot that holds the page, or the empty slot where it would go. */
  #findSlot(id: number): number {
    const table = this.#table;
    const mask = this.#mask;
    let slot = homeOf(id, mask);
    while (table[slot]!.id !== id && table[slot] !== NO_PAGE) slot = (slot + 1) & mask;
    return slot;
  }

  #evictOne(): void {
    invariant(this.count > 0, 'only a cache that holds something is full');
    const table = this.#table;
    for (let spared = 0; ; ) {
      const slot = this.#hand;
      const page = table[slot]!;
      if (page !== NO_PAGE) {
        if (!page.used || spared === PAGES_SPARED_MAX) {
          // The slot may be filled from behind: the hand stays.
          this.#vacate(slot);
          return;
        }
        page.used = false;
        table[slot] = this.#moved(page);
        spared++;
      }
      this.#hand = (slot + 1) & this.#mask;
    }
  }

  /** The page among those that are spared; itself if it shares its buffer with none. */
  #moved(page: Page): Page {
    const { bytes } = page;
    if (bytes.length === bytes.buffer.byteLength) return page;
    const isSingle = bytes.length === this.#slab.pageSize;
    const copy = isSingle ? this.#slab.take() : allocatePageBytes(bytes.length);
    copy.set(bytes);
    return new Page(page.id, copy);
  }

  /** Empties a slot, moving back the pages behind it that probing would no longer reach. */
  #vacate(slot: number): void {
    const table = this.#table;
    const mask = this.#mask;
    invariant(table[slot] !== NO_PAGE, 'a slot that is emptied holds a page');
    this.bytes -= table[slot]!.bytes.length;
    this.count--;
    let gap = slot;
    for (let next = (slot + 1) & mask; table[next] !== NO_PAGE; next = (next + 1) & mask) {
      const home = homeOf(table[next]!.id, mask);
      if (((next - home) & mask) >= ((next - gap) & mask)) {
        table[gap] = table[next]!;
        gap = next;
      }
    }
    table[gap] = NO_PAGE;
    invariant(this.count >= 0, 'pages leave that were held');
    invariant(
      this.count > 0 ? this.bytes > 0 : this.bytes === 0,
      'bytes are those of the pages held',
    );
    if (verify.all) this.#verifyFrom(slot);
  }

  /** Every page from `slot` to the next empty one is found by its id. */
  #verifyFrom(slot: number): void {
    const table = this.#table;
    for (let at = slot; table[at] !== NO_PAGE; at = (at + 1) & this.#mask) {
      invariant(this.#findSlot(table[at]!.id) === at, 'a page that is held is found');
    }
  }
}

/** Scrambled, since runs of neighbouring ids would else pile up behind each other. */
function homeOf(id: number, mask: number): number {
  const scrambled = Math.imul(id, 0x9e3779b1);
  return (scrambled ^ (scrambled >>> 15)) & mask;
}
