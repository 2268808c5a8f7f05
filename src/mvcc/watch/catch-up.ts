// Reading past events from the store, for watchers that are behind (etcd's unsynced).

import { invariant, type Revision } from '../../base/index.ts';
import type { ReadView } from '../eval/range.ts';
import { KeyValueScanner } from '../key-value.ts';
import { ByteSlice } from '../types.ts';
import { Change, type EventWindow } from './event-batch.ts';
import type { WatchRange, WatchSet } from './watch-set.ts';

/** Rows of the key bucket in revision order. A reusable answer: `next` overwrites the fields. */
export interface RowCursor {
  readonly main: Revision;
  readonly sub: number;
  readonly tombstone: boolean;
  /** The row's value; the bytes never change afterwards. */
  readonly value: ByteSlice;
  /** Moves to the next row; false behind the last one. */
  next(): boolean;
  /** Releases what the cursor holds. */
  close(): void;
}

/** The store as the hub reads it. */
export interface RowSource {
  /**
   * A cursor before the first row at or after (main, sub). It is used and closed within one turn.
   * Rows that compaction may have removed are not asked for.
   */
  openRows(main: Revision, sub: number): RowCursor;
}

/** How far a reader of rows came. */
export const READ_STATE = {
  /** The budget ended; the last revision in the window may lack changes. */
  UNDER_WAY: 0,
  /** The window is full; its revisions are whole. */
  FULL: 1,
  /** Everything up to the current revision is read. */
  END: 2,
} as const;
export type ReadState = (typeof READ_STATE)[keyof typeof READ_STATE];

/** Fills windows with whole revisions, in slices. */
export interface WindowReader {
  /** Revisions before this one are read wholly. */
  readonly nextMain: Revision;
  /** Whether what it has not read yet is still there. */
  canGoOn(view: ReadView): boolean;
  /** Looks at about `budget` rows and adds those that the set watches to the window. */
  read(
    view: ReadView,
    rows: RowSource,
    set: WatchSet,
    window: EventWindow,
    budget: number,
  ): ReadState;
}

/** Bounds of a window; reached ones end it at the next revision. */
export interface WindowBounds {
  readonly changesMax: number;
  readonly bytesMax: number;
}

/** Reads the rows of all keys; watchers of any ranges share it. */
export class RowReaderOfAll implements WindowReader {
  nextMain: Revision;
  #nextSub = 0;
  readonly #bounds: WindowBounds;
  readonly #scanner = new KeyValueScanner();
  readonly #found: WatchRange[] = [];

  constructor(fromMain: Revision, bounds: WindowBounds) {
    this.nextMain = fromMain;
    this.#bounds = bounds;
  }

  canGoOn(view: ReadView): boolean {
    return this.nextMain >= view.compactedRev;
  }

  read(
    view: ReadView,
    rows: RowSource,
    set: WatchSet,
    window: EventWindow,
    budget: number,
  ): ReadState {
    const cursor = rows.openRows(this.nextMain, this.#nextSub);
    try {
      for (let left = budget; left > 0; left--) {
        if (!cursor.next() || cursor.main > view.currentRev) {
          this.#begin(view.currentRev + 1);
          return READ_STATE.END;
        }
        const { main } = cursor;
        invariant(main >= this.nextMain, 'rows come in revision order');
        if (main > this.nextMain) {
          this.#begin(main);
          if (isFull(window, this.#bounds)) return READ_STATE.FULL;
        }
        this.#add(cursor, set, window);
        this.#nextSub = cursor.sub + 1;
      }
      return READ_STATE.UNDER_WAY;
    } finally {
      cursor.close();
    }
  }

  #begin(main: Revision): void {
    this.nextMain = main;
    this.#nextSub = 0;
  }

  #add(cursor: RowCursor, set: WatchSet, window: EventWindow): void {
    const scanner = this.#scanner;
    scanner.scanSlice(cursor.value);
    const key = scanner.key();
    this.#found.length = 0;
    set.match(key, this.#found);
    if (this.#found.length === 0) return;
    const { main, tombstone } = cursor;
    const { buffer, offset, length } = cursor.value;
    const creation = !tombstone && scanner.createRevision === scanner.modRevision;
    const size = tombstone ? 0 : length;
    window.add(new Change(key, main, tombstone, creation, buffer, offset, size));
  }
}

/** Revisions that one search of the index covers; doubled while it finds little. */
const SPAN_MIN = 1024;
const SPAN_MAX = 2 ** 30;

/** Reads the revisions of one key through the index: few rows, however many others there are. */
export class RowReaderOfKey implements WindowReader {
  nextMain: Revision;
  readonly #key: string;
  readonly #bounds: WindowBounds;
  #span = SPAN_MIN;
  readonly #slice = new ByteSlice();
  readonly #scanner = new KeyValueScanner();

  constructor(key: string, fromMain: Revision, bounds: WindowBounds) {
    this.#key = key;
    this.nextMain = fromMain;
    this.#bounds = bounds;
  }

  canGoOn(view: ReadView): boolean {
    return this.nextMain >= view.compactedRev;
  }

  read(
    view: ReadView,
    _rows: RowSource,
    _set: WatchSet,
    window: EventWindow,
    budget: number,
  ): ReadState {
    for (let left = budget; left > 0; ) {
      if (this.nextMain > view.currentRev) return READ_STATE.END;
      if (isFull(window, this.#bounds)) return READ_STATE.FULL;
      const to = Math.min(this.nextMain + this.#span - 1, view.currentRev);
      const list = view.index.revisionsOfKey(this.#key, this.nextMain, to);
      for (let i = 0; i < list.size; i++) {
        const main = list.mains[i]!;
        if (i > 0 && main > list.mains[i - 1]! && isFull(window, this.#bounds)) {
          this.nextMain = main;
          return READ_STATE.FULL;
        }
        this.#add(view, main, list.subs[i]!, list.tombstones[i]!, window);
      }
      left -= list.size + 1;
      this.nextMain = to + 1;
      if (list.size < SPAN_MIN / 2) this.#span = Math.min(this.#span * 2, SPAN_MAX);
      else this.#span = SPAN_MIN;
    }
    return READ_STATE.UNDER_WAY;
  }

  #add(view: ReadView, main: Revision, sub: number, tombstone: boolean, window: EventWindow): void {
    const slice = this.#slice;
    slice.length = 0;
    let creation = false;
    if (!tombstone) {
      view.rows.readRow(main, sub, slice);
      this.#scanner.scanSlice(slice);
      creation = this.#scanner.createRevision === this.#scanner.modRevision;
    }
    const { buffer, offset, length } = slice;
    window.add(new Change(this.#key, main, tombstone, creation, buffer, offset, length));
  }
}

/** Whether a window is to end at the next revision. */
export function isFull(window: EventWindow, { changesMax, bytesMax }: WindowBounds): boolean {
  return window.size >= changesMax || window.byteCount >= bytesMax;
}
