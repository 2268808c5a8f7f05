// Numbers in blocks: a list of millions that grows without ever being copied. An array that does grow is
// copied as a whole in one turn, at a million entries for tens of milliseconds.

import { invariant } from './invariant.ts';

/** Entries of a block, a power of two; a block has 128 KiB. */
const BLOCK_ENTRIES = 16_384;
const BLOCK_SHIFT = 14;

invariant(BLOCK_ENTRIES === 1 << BLOCK_SHIFT, 'a place is split into block and entry by its bits');

export class NumberColumn {
  readonly #blocks: Float64Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    const at = this.#length++;
    const entry = at & (BLOCK_ENTRIES - 1);
    if (entry === 0) this.#blocks.push(new Float64Array(BLOCK_ENTRIES));
    this.#blocks[at >>> BLOCK_SHIFT]![entry] = value;
  }

  /** The number at a place below {@link length}. */
  at(place: number): number {
    return this.#blocks[place >>> BLOCK_SHIFT]![place & (BLOCK_ENTRIES - 1)]!;
  }
}
