// The page cache: page id → Page, bounded by bytes, with the CLOCK rule (second chance).
//
//   slots   open addressing, linear probing; a slot holds entry + 1, or 0 where it is empty
//   entry   index into pages, ids, marks; free entries are chained through `nextFree`
//   marks   1 if the entry was used since the hand last passed it; the hand clears, then evicts
//
// A `Map` would do the same at three times the cost per look-up. The number of entries is bounded by
// capacity / page size, so that growing the tables (doubling) stays below a millisecond.
//
// Hot: `get` runs once per tree level of every point read.

import { invariant } from '../base/index.ts';
import { PAGE_CACHE_SHARE_MAX } from './limits.ts';
import type { Page } from './page.ts';

const ENTRIES_START = 256;

export class PageCache {
  readonly capacityBytes: number;
  /** Bytes of all pages held; at most `capacityBytes` after every `put`. */
  bytes = 0;
  /** Pages held. */
  count = 0;
  private slots: Int32Array;
  private mask: number;
  private pages: (Page | undefined)[];
  private ids: Float64Array;
  private marks: Uint8Array;
  private nextFree: Int32Array;
  private firstFree: number;
  private hand = 0;

  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes;
    this.slots = new Int32Array(ENTRIES_START * 2);
    this.mask = ENTRIES_START * 2 - 1;
    this.pages = new Array<Page | undefined>(ENTRIES_START).fill(undefined);
    this.ids = new Float64Array(ENTRIES_START);
    this.marks = new Uint8Array(ENTRIES_START);
    this.nextFree = new Int32Array(ENTRIES_START);
    this.firstFree = -1;
    this.chainFree(0, ENTRIES_START);
  }

  get(id: number): Page | undefined {
    const slots = this.slots;
    let slot = hash(id) & this.mask;
    for (;;) {
      const entry = slots[slot]! - 1;
      if (entry < 0) return undefined;
      if (this.ids[entry] === id) {
        this.marks[entry] = 1;
        return this.pages[entry];
      }
      slot = (slot + 1) & this.mask;
    }
  }

  /** Whether the page is held; does not count as a use. */
  has(id: number): boolean {
    return this.slots[this.findSlot(id)] !== 0;
  }

  /** Holds `page` in place of any other with its id; a page too large for the cache is not held. */
  put(page: Page): void {
    this.remove(page.id);
    const size = page.bytes.length;
    if (size > this.capacityBytes * PAGE_CACHE_SHARE_MAX) return;
    while (this.bytes + size > this.capacityBytes) this.evictOne();
    if (this.firstFree < 0) this.grow();

    const entry = this.firstFree;
    this.firstFree = this.nextFree[entry]!;
    this.pages[entry] = page;
    this.ids[entry] = page.id;
    this.marks[entry] = 0;
    this.slots[this.findSlot(page.id)] = entry + 1;
    this.bytes += size;
    this.count++;
  }

  remove(id: number): void {
    const slot = this.findSlot(id);
    const entry = this.slots[slot]! - 1;
    if (entry >= 0) this.release(slot, entry);
  }

  clear(): void {
    for (let entry = 0; entry < this.pages.length; entry++) {
      if (this.pages[entry] !== undefined) this.remove(this.ids[entry]!);
    }
    invariant(this.count === 0 && this.bytes === 0, 'a cleared cache is empty');
  }

  /** The slot that refers to the page, or the empty slot where it would go. */
  private findSlot(id: number): number {
    let slot = hash(id) & this.mask;
    for (;;) {
      const entry = this.slots[slot]! - 1;
      if (entry < 0 || this.ids[entry] === id) return slot;
      slot = (slot + 1) & this.mask;
    }
  }

  private evictOne(): void {
    invariant(this.count > 0, 'only a cache that holds something is full');
    for (;;) {
      const entry = this.hand;
      this.hand = entry + 1 < this.pages.length ? entry + 1 : 0;
      if (this.pages[entry] === undefined) continue;
      if (this.marks[entry] === 0) {
        this.release(this.findSlot(this.ids[entry]!), entry);
        return;
      }
      this.marks[entry] = 0;
    }
  }

  private release(slot: number, entry: number): void {
    const page = this.pages[entry];
    invariant(page !== undefined, 'a slot refers to an entry in use');
    this.bytes -= page.bytes.length;
    this.count--;
    this.pages[entry] = undefined;
    this.nextFree[entry] = this.firstFree;
    this.firstFree = entry;
    this.closeGap(slot);
  }

  /** Empties a slot, moving back those behind it that probing would no longer reach. */
  private closeGap(slot: number): void {
    const { slots, mask } = this;
    let gap = slot;
    let next = (slot + 1) & mask;
    while (slots[next] !== 0) {
      const home = hash(this.ids[slots[next]! - 1]!) & mask;
      if (((next - home) & mask) >= ((next - gap) & mask)) {
        slots[gap] = slots[next]!;
        gap = next;
      }
      next = (next + 1) & mask;
    }
    slots[gap] = 0;
  }

  private chainFree(from: number, to: number): void {
    for (let entry = to - 1; entry >= from; entry--) {
      this.nextFree[entry] = this.firstFree;
      this.firstFree = entry;
    }
  }

  private grow(): void {
    const before = this.pages.length;
    const after = before * 2;
    this.ids = widened(this.ids, new Float64Array(after));
    this.marks = widened(this.marks, new Uint8Array(after));
    this.nextFree = widened(this.nextFree, new Int32Array(after));
    while (this.pages.length < after) this.pages.push(undefined);
    this.chainFree(before, after);

    this.slots = new Int32Array(after * 2);
    this.mask = after * 2 - 1;
    for (let entry = 0; entry < before; entry++) {
      if (this.pages[entry] !== undefined) this.slots[this.findSlot(this.ids[entry]!)] = entry + 1;
    }
  }
}

function widened<T extends Float64Array | Uint8Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** Neighbouring ids must not share a run of slots with others that are a power of two away. */
function hash(id: number): number {
  let h = Math.imul(id | 0, 0x9e3779b1) ^ Math.imul((id / 0x1_0000_0000) | 0, 0x85ebca6b);
  h ^= h >>> 15;
  return h;
}
