// Room on the simulated disk, in pages.

import { PAGE_SIZE } from './limits.ts';

export class Space {
  /** Bytes; the pages in use may exceed it only because it was lowered. */
  capacity: number;
  usedPages = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get freeBytes(): number {
    return Math.max(0, this.capacity - this.usedPages * PAGE_SIZE);
  }

  hasRoomFor(pages: number): boolean {
    return pages === 0 || (this.usedPages + pages) * PAGE_SIZE <= this.capacity;
  }
}
