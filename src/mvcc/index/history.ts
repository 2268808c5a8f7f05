// The older revisions of keys that have more than one, outside the JavaScript heap.
//
// A key's older revisions are a chain of records, newest first; the index keeps the handle of the
// newest. Records lie in slabs of typed arrays, so a million of them are 48 MB that the collector
// never looks at. A handle is a record's number; 0 means "none".
//
//   key slot --> [main 9 | jump 4] --> [main 7 | jump 4] --> [main 4 | jump 2] --> [main 2] --> 0
//
// Besides `previous` each record has a `jump` further down, laid out so that a chain of n records is
// searched in O(log n) steps (the jump pointers of E. Myers, "An applicative random-access stack",
// 1983). `JUMP_MAIN` is the main revision of the record jumped to.
//
// Compaction at revision c cuts the tail of a chain, and jumps of surviving records may still name
// records that are free or used by another key. They are never followed: everything cut is at or
// before c, reads are at or after c, and a jump is followed only if its `JUMP_MAIN` is above the
// revision asked for.

import { invariant, type Revision } from '../../base/index.ts';
import { HISTORY_SLAB_RECORDS, SUB_MAX } from '../limits.ts';

/** Number of a record; 0 is none. */
export type HistoryHandle = number;

// Float columns of a record.
const MAIN = 0;
const CREATE = 1;
const VERSION = 2;
const JUMP_MAIN = 3;
const FLOATS = 4;

// Integer columns of a record.
const SUB_AND_TOMB = 0;
const DEPTH = 1;
const PREVIOUS = 2;
const JUMP = 3;
const INTEGERS = 4;

const SLAB_SHIFT = Math.log2(HISTORY_SLAB_RECORDS);
const SLAB_MASK = HISTORY_SLAB_RECORDS - 1;
invariant(Number.isInteger(SLAB_SHIFT), 'records per slab are a power of two');

/** Sub revision and tombstone flag in one unsigned 32-bit number, in the order of revisions. */
export function packSub(sub: number, tombstone: boolean): number {
  invariant(sub >= 0 && sub <= SUB_MAX, 'sub revision fits into 31 bits');
  return sub * 2 + (tombstone ? 1 : 0);
}

export class History {
  /** Records in use. */
  used = 0;
  /** Every record that was cut is at or before this revision; reads are at or after it. */
  cutRev: Revision = -1;

  #floats: Float64Array[] = [];
  #integers: Uint32Array[] = [];
  /** Records ever handed out since the slabs were empty; record 0 stays unused. */
  #issued = 1;
  /** Free records, chained by their `previous`. */
  #free: HistoryHandle = 0;

  main(handle: HistoryHandle): Revision {
    return this.#floats[handle >>> SLAB_SHIFT]![(handle & SLAB_MASK) * FLOATS + MAIN]!;
  }

  createMain(handle: HistoryHandle): Revision {
    return this.#floats[handle >>> SLAB_SHIFT]![(handle & SLAB_MASK) * FLOATS + CREATE]!;
  }

  version(handle: HistoryHandle): number {
    return this.#floats[handle >>> SLAB_SHIFT]![(handle & SLAB_MASK) * FLOATS + VERSION]!;
  }

  /** See {@link packSub}. */
  packedSub(handle: HistoryHandle): number {
    return this.#integers[handle >>> SLAB_SHIFT]![(handle & SLAB_MASK) * INTEGERS + SUB_AND_TOMB]!;
  }

  /** For a tombstone whose sub revision is known later than its main revision. */
  setPackedSub(handle: HistoryHandle, packedSub: number): void {
    const integers = this.#integers[handle >>> SLAB_SHIFT]!;
    integers[(handle & SLAB_MASK) * INTEGERS + SUB_AND_TOMB] = packedSub;
  }

  /** The next older record of the same key. */
  previous(handle: HistoryHandle): HistoryHandle {
    return this.#integers[handle >>> SLAB_SHIFT]![(handle & SLAB_MASK) * INTEGERS + PREVIOUS]!;
  }

  /** Puts a record in front of the chain that begins at `previous`. Returns its handle. */
  push(
    main: Revision,
    packedSub: number,
    createMain: Revision,
    version: number,
    previous: HistoryHandle,
  ): HistoryHandle {
    const handle = this.#allocate();
    const floats = this.#floats[handle >>> SLAB_SHIFT]!;
    const integers = this.#integers[handle >>> SLAB_SHIFT]!;
    const jump = previous === 0 ? 0 : this.#jumpFrom(previous);
    const f = (handle & SLAB_MASK) * FLOATS;
    floats[f + MAIN] = main;
    floats[f + CREATE] = createMain;
    floats[f + VERSION] = version;
    floats[f + JUMP_MAIN] = jump === 0 ? 0 : this.main(jump);
    const i = (handle & SLAB_MASK) * INTEGERS;
    integers[i + SUB_AND_TOMB] = packedSub;
    integers[i + DEPTH] = previous === 0 ? 0 : this.#depth(previous) + 1;
    integers[i + PREVIOUS] = previous;
    integers[i + JUMP] = jump;
    return handle;
  }

  /** The newest record of the chain at or before `atRev`, 0 if there is none. */
  find(head: HistoryHandle, atRev: Revision): HistoryHandle {
    let handle = head;
    while (handle !== 0) {
      const floats = this.#floats[handle >>> SLAB_SHIFT]!;
      const f = (handle & SLAB_MASK) * FLOATS;
      if (floats[f + MAIN]! <= atRev) return handle;
      const column = floats[f + JUMP_MAIN]! > atRev ? JUMP : PREVIOUS;
      handle = this.#integers[handle >>> SLAB_SHIFT]![(handle & SLAB_MASK) * INTEGERS + column]!;
    }
    return 0;
  }

  /** The oldest record of the chain above `rev`, 0 if there is none. */
  findAbove(head: HistoryHandle, rev: Revision): HistoryHandle {
    if (head === 0 || this.main(head) <= rev) return 0;
    let handle = head;
    for (;;) {
      const floats = this.#floats[handle >>> SLAB_SHIFT]!;
      const integers = this.#integers[handle >>> SLAB_SHIFT]!;
      const i = (handle & SLAB_MASK) * INTEGERS;
      if (floats[(handle & SLAB_MASK) * FLOATS + JUMP_MAIN]! > rev) {
        handle = integers[i + JUMP]!;
      } else {
        const previous = integers[i + PREVIOUS]!;
        if (previous === 0 || this.main(previous) <= rev) return handle;
        handle = previous;
      }
    }
  }

  /** Makes `handle` the last record of its chain; the rest is the caller's to free. */
  cutAfter(handle: HistoryHandle): void {
    this.#integers[handle >>> SLAB_SHIFT]![(handle & SLAB_MASK) * INTEGERS + PREVIOUS] = 0;
  }

  /** Gives one record back. Its main must be at or before {@link cutRev}. */
  free(handle: HistoryHandle): void {
    const f = (handle & SLAB_MASK) * FLOATS + MAIN;
    const floats = this.#floats[handle >>> SLAB_SHIFT]!;
    invariant(floats[f]! > 0, 'a record is freed once');
    invariant(floats[f]! <= this.cutRev, 'only compacted records are freed');
    floats[f] = 0;
    this.#integers[handle >>> SLAB_SHIFT]![(handle & SLAB_MASK) * INTEGERS + PREVIOUS] = this.#free;
    this.#free = handle;
    this.used--;
    if (this.used === 0) this.#dropSlabs();
  }

  #depth(handle: HistoryHandle): number {
    return this.#integers[handle >>> SLAB_SHIFT]![(handle & SLAB_MASK) * INTEGERS + DEPTH]!;
  }

  /** Where a record in front of `previous` jumps: past two jumps of equal length, or just there. */
  #jumpFrom(previous: HistoryHandle): HistoryHandle {
    const first = this.#validJump(previous);
    if (first === 0) return previous;
    const second = this.#validJump(first);
    if (second === 0) return previous;
    const depth = this.#depth(first);
    return this.#depth(previous) - depth === depth - this.#depth(second) ? second : previous;
  }

  /** The jump of a record, 0 if it may name a record that was cut. */
  #validJump(handle: HistoryHandle): HistoryHandle {
    const floats = this.#floats[handle >>> SLAB_SHIFT]!;
    if (floats[(handle & SLAB_MASK) * FLOATS + JUMP_MAIN]! <= this.cutRev) return 0;
    return this.#integers[handle >>> SLAB_SHIFT]![(handle & SLAB_MASK) * INTEGERS + JUMP]!;
  }

  #allocate(): HistoryHandle {
    this.used++;
    const free = this.#free;
    if (free !== 0) {
      this.#free = this.previous(free);
      return free;
    }
    const handle = this.#issued++;
    if (handle >>> SLAB_SHIFT === this.#floats.length) {
      this.#floats.push(new Float64Array(HISTORY_SLAB_RECORDS * FLOATS));
      this.#integers.push(new Uint32Array(HISTORY_SLAB_RECORDS * INTEGERS));
    }
    return handle;
  }

  /** Frees the memory of a burst once no record is in use. */
  #dropSlabs(): void {
    this.#floats = [];
    this.#integers = [];
    this.#issued = 1;
    this.#free = 0;
  }
}
