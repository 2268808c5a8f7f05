// Builds the key index from the rows of a backend, which come in revision order: their keys lie anywhere,
// and to find the place of each takes several cache misses once there are many. So rows are taken in
// runs, and those of a run are placed in the order of their keys: mostly the place of a row is beside the
// one before.
//
//   rows of a run   2 "b"   3 "d"   4 "a"   5 "b"
//   placed          4 "a"   2 "b"   5 "b"   3 "d"     rows of one key stay in the order of revisions
//
// Few keys are found quickly in any order: up to RESTORE_PLAIN_KEYS of them, rows are placed as they come.
// A run is placed while the next one is collected, row by row, so that no row takes long except the last
// of a run, which sorts it. The change log, in revision order, gets the changes of a run at its end.

import { invariant, type Revision } from '../../base/index.ts';
import { RESTORE_PLAIN_KEYS, RESTORE_RUN_ROWS } from '../limits.ts';
import { packSub } from './history.ts';
import type { KeyIndex } from './key-index.ts';
import { KeySorter } from './key-sorter.ts';

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
  readonly #sorter = new KeySorter(RESTORE_RUN_ROWS);
  #collected = new Run();
  /** The run before, sorted. */
  #sorted = new Run();

  readonly #plainKeys: number;

  /** Fills `index`. While it has fewer than `plainKeys` keys, rows are not collected. */
  constructor(index: KeyIndex, plainKeys: number = RESTORE_PLAIN_KEYS) {
    this.index = index;
    this.#plainKeys = plainKeys;
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
    const { index } = this;
    // Once this is false it stays so: a restore only adds keys.
    if (index.keyCount < this.#plainKeys) {
      index.restoreRow(key, main, sub, tombstone, createMain, version, leaseSlot);
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
