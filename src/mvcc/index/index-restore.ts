// Builds the key index from the rows of a backend, which come in revision order.
//
// Often keys were made in ascending order, or in several such sequences at once (one per namespace, say). The
// paths to the keys that came last are kept, and for each which one was next: by that path a row is tried.
//
//   rows              2 "a1"   3 "b1"   4 "a2"   5 "b2"
//   tried right after                   "a1"     "b1"
//
// Otherwise their keys lie anywhere, and to find the place of each takes several cache misses once there
// are many. Then rows are taken in runs, and those of a run are placed in the order of their keys: mostly
// the place of a row is beside the one before.
//
//   rows of a run   2 "b"   3 "d"   4 "a"   5 "b"
//   placed          4 "a"   2 "b"   5 "b"   3 "d"     rows of one key stay in the order of revisions
//
// Few keys are found quickly in any order: up to RESTORE_PLAIN_KEYS of them, rows are placed as they come.
// A run is placed while the next one is collected, row by row, so that no row takes long except the last
// of a run, which sorts it. The change log, in revision order, gets the changes of a run at its end.

import { invariant, type Revision } from '../../base/index.ts';
import {
  RESTORE_JUDGED_ROWS,
  RESTORE_PATHS,
  RESTORE_PLAIN_KEYS,
  RESTORE_RUN_ROWS,
} from '../limits.ts';
import { packSub } from './history.ts';
import type { KeyIndex } from './key-index.ts';
import { KeySorter } from './key-sorter.ts';
import { KeptPath } from './key-tree.ts';
import type { Leaf } from './leaf.ts';

/** Rows in revision order, a column per field. */
class Run {
  readonly keys: string[] = [];
  readonly mains = new Float64Array(RESTORE_RUN_ROWS);
  readonly packedSubs = new Uint32Array(RESTORE_RUN_ROWS);
  readonly createMains = new Float64Array(RESTORE_RUN_ROWS);
  readonly versions = new Float64Array(RESTORE_RUN_ROWS);
  readonly leaseSlots = new Uint32Array(RESTORE_RUN_ROWS);
  /** Of a row that was placed: whether its key came to life (1), died (-1) or neither (0). */
  readonly deltas = new Int8Array(RESTORE_RUN_ROWS);
  /** Rows that were placed, in key order. */
  placed = 0;
}

export class IndexRestore {
  /** The index, which lacks the last rows until {@link placeNext} has found none. */
  readonly index: KeyIndex;
  /** Paths to keys that came last, and for each the one that was taken after it. */
  readonly #paths: readonly KeptPath[];
  readonly #followers = new Uint8Array(RESTORE_PATHS);
  /** The path that was taken last, and the one that is given up next. */
  #path = 0;
  #oldest = 0;
  /** Of the last rows, how many were placed as they came, and how many not by a path that was kept. */
  #plainRows = 0;
  #strayRows = 0;
  /** Whether rows come in runs: from then on they do. */
  #inRuns = false;

  readonly #sorter = new KeySorter(RESTORE_RUN_ROWS);
  #collected = new Run();
  /** The run before, sorted. */
  #sorted = new Run();

  readonly #plainKeys: number;
  readonly #judgedRows: number;

  /**
   * Fills `index`. While it has fewer than `plainKeys` keys, and until `judgedRows` rows in a row had keys in
   * no order, rows are not collected.
   */
  constructor(
    index: KeyIndex,
    { plainKeys = RESTORE_PLAIN_KEYS, judgedRows = RESTORE_JUDGED_ROWS } = {},
  ) {
    this.index = index;
    this.#plainKeys = plainKeys;
    this.#judgedRows = judgedRows;
    this.#paths = Array.from({ length: RESTORE_PATHS }, () => new KeptPath());
  }

  /** Takes the next row, as {@link KeyIndex.restoreRow} does. */
  add(
    key: string,
    main: Revision,
    sub: number,
    tombstone: boolean,
    createMain: Revision,
    version: number,
    leaseSlot: number,
  ): void {
    if (!this.#inRuns) {
      const { index } = this;
      const packed = packSub(sub, tombstone);
      const isKnown = this.#locate(key);
      const delta = index.placeRow(isKnown, key, main, packed, createMain, version, leaseSlot);
      index.logRestored(key, main, delta);
      if (++this.#plainRows >= this.#judgedRows) this.#judge();
      return;
    }
    if (this.#sorted.placed < this.#sorted.keys.length) this.#place();
    const run = this.#collected;
    const row = run.keys.length;
    run.keys.push(key);
    run.mains[row] = main;
    run.packedSubs[row] = packSub(sub, tombstone);
    run.createMains[row] = createMain;
    run.versions[row] = version;
    run.leaseSlots[row] = leaseSlot;
    if (row + 1 === RESTORE_RUN_ROWS) this.#sort();
  }

  #locate(key: string): boolean {
    const { tree } = this.index;
    const expected = this.#followers[this.#path]!;
    if (tree.locateAfter(this.#paths[expected]!, key)) {
      this.#path = expected;
      return false;
    }
    this.#strayRows++;
    const isKnown = tree.locate(key);
    const at = this.#pathFor(tree.leaf);
    tree.keepPath(this.#paths[at]!);
    this.#followers[this.#path] = at;
    this.#path = at;
    return isKnown;
  }

  /** The path that led to the leaf, else the one that was changed longest ago. */
  #pathFor(leaf: Leaf): number {
    for (let at = 0; at < RESTORE_PATHS; at++) if (this.#paths[at]!.leaf === leaf) return at;
    const at = this.#oldest;
    this.#oldest = (at + 1) % RESTORE_PATHS;
    return at;
  }

  /** Begins runs once keys are many and do not come in sequences. */
  #judge(): void {
    const areMany = this.index.keyCount >= this.#plainKeys;
    this.#inRuns = areMany && this.#strayRows > this.#plainRows / 2;
    this.#plainRows = 0;
    this.#strayRows = 0;
  }

  /** Places a row that was taken and is not in the index yet; false if there is none. */
  placeNext(): boolean {
    if (this.#sorted.keys.length === 0) this.#sort();
    if (this.#sorted.keys.length === 0) return false;
    this.#place();
    return true;
  }

  #sort(): void {
    const run = this.#collected;
    invariant(this.#sorted.keys.length === 0, 'a run is placed before the next is complete');
    this.#sorter.sort(run.keys);
    this.#collected = this.#sorted;
    this.#sorted = run;
  }

  #place(): void {
    const run = this.#sorted;
    const { tree } = this.index;
    const row = this.#sorter.order[run.placed]!;
    const key = run.keys[row]!;
    const isKnown = run.placed === 0 ? tree.locate(key) : tree.locateNext(key);
    run.placed++;
    run.deltas[row] = this.index.placeRow(
      isKnown,
      key,
      run.mains[row]!,
      run.packedSubs[row]!,
      run.createMains[row]!,
      run.versions[row]!,
      run.leaseSlots[row]!,
    );
    if (run.placed === run.keys.length) this.#end(run);
  }

  #end(run: Run): void {
    const { keys, mains, deltas } = run;
    for (let row = 0; row < keys.length; row++) {
      this.index.logRestored(keys[row]!, mains[row]!, deltas[row]! as 1 | 0 | -1);
    }
    run.keys.length = 0;
    run.placed = 0;
  }
}
