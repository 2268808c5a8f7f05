// Memory for single pages, cut from blocks that they share. Each allocation may have V8 mark for
// milliseconds, so that a turn that loads a hundred pages must not make a hundred.

import { invariant } from '../../base/index.ts';
import { SLAB_BYTES } from '../limits.ts';
import { allocatePageBytes } from './layout.ts';

export class PageSlab {
  readonly pageSize: number;
  #block: Uint8Array | undefined;
  #used = 0;

  constructor(pageSize: number) {
    invariant(pageSize <= SLAB_BYTES, 'a slab holds a page');
    this.pageSize = pageSize;
  }

  /**
   * Memory of one page, not zeroed and not shared with any other: the caller writes every byte. Its block
   * lives as long as any page in it.
   */
  take(): Uint8Array {
    const { pageSize } = this;
    if (this.#block === undefined || this.#used + pageSize > this.#block.length) {
      this.#block = allocatePageBytes(SLAB_BYTES);
      this.#used = 0;
    }
    const bytes = this.#block.subarray(this.#used, this.#used + pageSize);
    this.#used += pageSize;
    return bytes;
  }
}
