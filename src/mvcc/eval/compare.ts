// Evaluation of a transaction's comparisons, in slices: a comparison may name a range of any size.

import { latin1FromBytes } from '../../base/index.ts';
import { acceptsLease, acceptsNumber, acceptsOrder, etcdserverpb } from '../../protocol/index.ts';
import { compareRanges } from '../index/byte-ranges.ts';
import type { IndexCursor } from '../index/index-cursor.ts';
import { KeyValueScanner } from '../key-value.ts';
import { ByteSlice, type KeyState } from '../types.ts';
import { SINGLE_KEY } from './key-range.ts';
import type { ReadView } from './range.ts';

const { CompareTarget } = etcdserverpb;

/** The comparisons of one transaction at a time: `start`, then `step` until it says true. */
export class CompareRun {
  /** Whether all comparisons hold; known once `step` said true. */
  holds = false;

  #view!: ReadView;
  #compares: readonly etcdserverpb.Compare[] = [];
  #at = 0;
  /** Whether the cursor is within the range of the comparison at `#at`, and saw a key there. */
  #opened = false;
  #sawKey = false;
  #cursor: IndexCursor | undefined;
  readonly #row = new ByteSlice();
  readonly #value = new ByteSlice();
  readonly #wanted = new ByteSlice();
  readonly #scanner = new KeyValueScanner();

  start(view: ReadView, compares: readonly etcdserverpb.Compare[]): void {
    this.#view = view;
    this.#compares = compares;
    this.#at = 0;
    this.#opened = false;
    this.holds = true;
    this.#cursor = view.index.pausingCursor();
  }

  /** Compares about `budget` keys; true when it is clear whether all comparisons hold. */
  step(budget: number): boolean {
    let left = budget;
    while (this.#at < this.#compares.length) {
      if (left <= 0) return false;
      const compare = this.#compares[this.#at]!;
      const cursor = this.#cursor!;
      if (!this.#opened) this.#open(compare, cursor);
      left--;
      if (cursor.next()) {
        this.#sawKey = true;
        if (!this.#holdsFor(compare, cursor.state)) return this.#fails();
        continue;
      }
      if (cursor.paused) return false;
      if (!this.#sawKey && !holdsForNothing(compare)) return this.#fails();
      this.#opened = false;
      this.#at++;
    }
    return true;
  }

  #fails(): boolean {
    this.holds = false;
    return true;
  }

  #open(compare: etcdserverpb.Compare, cursor: IndexCursor): void {
    const rangeEnd = compare.rangeEnd.length === 0 ? SINGLE_KEY : latin1FromBytes(compare.rangeEnd);
    cursor.open(latin1FromBytes(compare.key), rangeEnd, this.#view.currentRev);
    this.#opened = true;
    this.#sawKey = false;
  }

  #holdsFor(compare: etcdserverpb.Compare, state: KeyState): boolean {
    switch (compare.target) {
      case CompareTarget.VERSION:
        return acceptsNumber(compare, state.version);
      case CompareTarget.CREATE:
        return acceptsNumber(compare, state.createMain);
      case CompareTarget.MOD:
        return acceptsNumber(compare, state.modMain);
      case CompareTarget.VALUE:
        this.#scan(state);
        return acceptsOrder(compare, this.#compareValue(compare));
      case CompareTarget.LEASE:
        this.#scan(state);
        return acceptsLease(compare, this.#scanner.lease());
      default:
        return acceptsOrder(compare, 0);
    }
  }

  #scan(state: KeyState): void {
    this.#view.rows.readRow(state.modMain, state.modSub, this.#row);
    this.#scanner.scanSlice(this.#row);
  }

  #compareValue({ targetUnion }: etcdserverpb.Compare): number {
    const value = this.#value;
    value.buffer = this.#row.buffer;
    value.offset = this.#scanner.valueOffset;
    value.length = this.#scanner.valueLength;
    const wanted = this.#wanted;
    wanted.offset = 0;
    wanted.length = 0;
    if (targetUnion?.case === 'value') {
      wanted.buffer = targetUnion.value;
      wanted.length = targetUnion.value.length;
    }
    return compareRanges(value, wanted);
  }
}

/** A range without keys compares as one key whose numbers are zero; a value never matches. */
function holdsForNothing(compare: etcdserverpb.Compare): boolean {
  switch (compare.target) {
    case CompareTarget.VALUE:
      return false;
    case CompareTarget.LEASE:
      return acceptsLease(compare, 0n);
    case CompareTarget.VERSION:
    case CompareTarget.CREATE:
    case CompareTarget.MOD:
      return acceptsNumber(compare, 0);
    default:
      return acceptsOrder(compare, 0);
  }
}
