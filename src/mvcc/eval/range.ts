// Evaluation of a range request.
//
// etcd's order of things is part of its behaviour (server/etcdserver/txn/range.go, v3.7.1):
//   - filters and any order but ascending keys read the whole range, then cut at the limit;
//   - a target without an order sorts ascending, yet only the first `limit + 1` keys of the range;
//   - `count` is that of the range: neither limit nor filters change it;
//   - `keys_only` answers from the index and leaves the lease out, except when values sort.
// Where keys are equal in the order asked for, they come in key order.

import { latin1FromBytes, type Revision } from '../../base/index.ts';
import { EtcdError, etcdserverpb } from '../../protocol/index.ts';
import { compareRanges } from '../index/byte-ranges.ts';
import type { IndexCursor } from '../index/index-cursor.ts';
import type { KeyIndex } from '../index/key-index.ts';
import { KeyValueScanner, sizeOfKeyOnly, writeKeyOnly } from '../key-value.ts';
import { ByteSlice, type KeyState, type RowReader } from '../types.ts';
import { SINGLE_KEY } from './key-range.ts';
import type { RangeResult } from './range-result.ts';
import { SlicedSort } from './sliced-sort.ts';

const { SortOrder, SortTarget } = etcdserverpb;

/** A store as of one moment: what a range or a comparison reads. */
export interface ReadView {
  /** Newest revision that may be read. */
  readonly currentRev: Revision;
  /** Reads below this revision are refused; -1 before any compaction. */
  readonly compactedRev: Revision;
  readonly index: KeyIndex;
  readonly rows: RowReader;
}

/** Whether keys come in ascending order without sorting. */
export function isDefaultOrder(request: etcdserverpb.RangeRequest): boolean {
  return (
    request.sortOrder === SortOrder.NONE ||
    (request.sortTarget === SortTarget.KEY && request.sortOrder === SortOrder.ASCEND)
  );
}

/** Whether keys are left out by their revisions. */
export function hasRevisionFilters(request: etcdserverpb.RangeRequest): boolean {
  return (
    request.minModRevision !== 0 ||
    request.maxModRevision !== 0 ||
    request.minCreateRevision !== 0 ||
    request.maxCreateRevision !== 0
  );
}

/** Whether the filters of a request let a key through. */
function passes(request: etcdserverpb.RangeRequest, state: KeyState): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  return (
    (maxModRevision === 0 || state.modMain <= maxModRevision) &&
    (minModRevision === 0 || state.modMain >= minModRevision) &&
    (maxCreateRevision === 0 || state.createMain <= maxCreateRevision) &&
    (minCreateRevision === 0 || state.createMain >= minCreateRevision)
  );
}

/** A row costs one key of a step's budget, and one more for each so many bytes. */
const ROW_BYTES_SHIFT = 14;

const WALK = 0;
const SORT = 1;
const EMIT = 2;
const DONE = 3;

/**
 * One range at a time: `start`, then `step` until it says true. Between two steps writes may happen,
 * as long as the view's rows stay readable and the revision is not compacted.
 */
export class RangeRun {
  #phase = DONE;
  #view!: ReadView;
  #request!: etcdserverpb.RangeRequest;
  #result!: RangeResult;
  #cursor: IndexCursor | undefined;
  #index: KeyIndex | undefined;
  #key = '';
  #rangeEnd = '';
  /** Revision that is read. */
  #atRev: Revision = 0;
  /** Keys to answer with at most. */
  #limit = 0;
  /** Keys to read at most before sorting. */
  #fetchMax = 0;
  #withCount = true;
  #filters = false;
  #sorts = false;
  /** Rows are answered as they are, in key order: runs of them may be taken at once. */
  #takesRuns = false;
  #fetched = 0;
  /** What the last step left of its budget. */
  left = 0;

  // Keys that wait to be sorted, in key order.
  #keys: string[] = [];
  #mains: number[] = [];
  #subs: number[] = [];
  #creates: number[] = [];
  #versions: number[] = [];
  /** Of each, where its row lies; only if values sort. */
  #rows: ByteSlice[] = [];
  readonly #sort = new SlicedSort();
  #emitted = 0;

  readonly #slice = new ByteSlice();
  readonly #scanner = new KeyValueScanner();

  /**
   * Begins a range; throws EtcdError FUTURE_REV or COMPACTED. The answer is collected in `result`.
   * Without `withCount` (range streams) the count is not computed.
   */
  start(
    view: ReadView,
    request: etcdserverpb.RangeRequest,
    result: RangeResult,
    withCount = true,
  ): void {
    result.reset();
    if (request.revision > view.currentRev) throw new EtcdError('FUTURE_REV');
    const atRev = request.revision <= 0 ? view.currentRev : request.revision;
    if (atRev < view.compactedRev) throw new EtcdError('COMPACTED');
    result.revision = view.currentRev;

    this.#view = view;
    this.#request = request;
    this.#result = result;
    this.#withCount = withCount;
    this.#key = latin1FromBytes(request.key);
    this.#rangeEnd = request.rangeEnd.length === 0 ? SINGLE_KEY : latin1FromBytes(request.rangeEnd);
    this.#atRev = atRev;
    this.#limit = request.limit > 0 ? request.limit : Number.POSITIVE_INFINITY;
    this.#filters = hasRevisionFilters(request);
    const ordered = isDefaultOrder(request);
    this.#sorts = !ordered || request.sortTarget !== SortTarget.KEY;
    this.#takesRuns =
      result.takesRuns && ordered && !this.#sorts && !this.#filters && !request.keysOnly;
    this.#fetchMax = this.#filters || !ordered ? Number.POSITIVE_INFINITY : this.#limit + 1;
    this.#fetched = 0;
    this.#emitted = 0;
    if (request.countOnly) {
      result.count = view.index.count(this.#key, this.#rangeEnd, atRev);
      this.#phase = DONE;
      return;
    }
    if (this.#cursor === undefined || this.#index !== view.index) {
      this.#cursor = view.index.pausingCursor();
      this.#index = view.index;
    }
    this.#cursor.open(this.#key, this.#rangeEnd, atRev);
    this.#phase = WALK;
  }

  /** Handles about `budget` keys, fewer if their rows are large; true when the result is complete. */
  step(budget: number): boolean {
    this.left = budget;
    if (this.#phase === WALK) this.#walk();
    if (this.#phase === SORT && this.left > 0 && this.#sort.step(this.left)) this.#phase = EMIT;
    if (this.#phase === EMIT && this.left > 0) this.#emit();
    return this.#phase === DONE;
  }

  /** Whether more than `keys` are known to be left to read; O(log keys), at the newest revision alone. */
  isLongerThan(keys: number): boolean {
    const { index } = this.#view;
    if (this.#fetchMax - this.#fetched <= keys || this.#atRev < index.newestRev) return false;
    return index.count(this.#key, this.#rangeEnd, this.#atRev) - this.#fetched > keys;
  }

  /** Reads keys of the range. */
  #walk(): void {
    const cursor = this.#cursor!;
    while (this.left > 0) {
      if (this.#fetched >= this.#fetchMax) {
        this.#walked(false);
        return;
      }
      if (this.#takesRuns && this.#takeRun(cursor)) continue;
      if (!cursor.next()) {
        if (cursor.paused) this.left = 0;
        else this.#walked(true);
        return;
      }
      this.left--;
      if (this.#filters && !passes(this.#request, cursor.state)) {
        this.#fetched++;
        continue;
      }
      this.#fetched++;
      if (this.#sorts) this.#collect(cursor);
      else if (this.#result.size < this.#limit) this.#answer(cursor.key, cursor.state);
      else {
        this.#result.more = true;
        this.#walked(false);
        return;
      }
    }
  }

  /** Answers with the next keys at once, if a leaf has them together. */
  #takeRun(cursor: IndexCursor): boolean {
    const wanted = this.#limit - this.#result.size;
    if (wanted <= 0) return false;
    const slice = this.#slice;
    const count = cursor.takeRun(wanted, this.#view.rows, slice);
    if (count === 0) return false;
    this.#fetched += count;
    this.#result.pushRun(slice, count);
    this.left -= 1 + (slice.length >>> ROW_BYTES_SHIFT);
    return true;
  }

  #readRow(main: Revision, sub: number): void {
    this.#view.rows.readRow(main, sub, this.#slice);
    this.left -= this.#slice.length >>> ROW_BYTES_SHIFT;
  }

  /** The walk is over, at the end of the range or before. */
  #walked(atEnd: boolean): void {
    const { index } = this.#view;
    this.#result.count =
      atEnd || !this.#withCount
        ? this.#fetched
        : index.count(this.#key, this.#rangeEnd, this.#atRev);
    if (!this.#sorts) {
      this.#phase = DONE;
      return;
    }
    this.#phase = SORT;
    this.#result.more = this.#keys.length > this.#limit;
    this.#sort.start(this.#keys.length, this.#comparison());
  }

  #collect(cursor: IndexCursor): void {
    const { state } = cursor;
    this.#keys.push(cursor.key);
    this.#mains.push(state.modMain);
    this.#subs.push(state.modSub);
    this.#creates.push(state.createMain);
    this.#versions.push(state.version);
    if (this.#request.sortTarget !== SortTarget.VALUE) return;
    // For values the place of the value is remembered, in place of that of the row.
    this.#readRow(state.modMain, state.modSub);
    this.#scanner.scanSlice(this.#slice);
    const value = new ByteSlice();
    value.buffer = this.#slice.buffer;
    value.offset = this.#scanner.valueOffset;
    value.length = this.#scanner.valueLength;
    this.#rows.push(value);
  }

  /** How two collected keys compare in the order asked for; in doubt they stay in key order. */
  #comparison(): (a: number, b: number) => number {
    const { sortTarget, sortOrder } = this.#request;
    const sign = sortOrder === SortOrder.DESCEND ? -1 : 1;
    if (sortTarget === SortTarget.VALUE) {
      const rows = this.#rows;
      return (a, b) => sign * compareRanges(rows[a]!, rows[b]!);
    }
    // An order outside the enum leaves everything in place, as etcd does.
    const known = sortOrder <= SortOrder.DESCEND && sortOrder >= SortOrder.NONE;
    const column =
      sortTarget === SortTarget.VERSION
        ? this.#versions
        : sortTarget === SortTarget.CREATE
          ? this.#creates
          : sortTarget === SortTarget.MOD
            ? this.#mains
            : undefined;
    if (column === undefined || !known) return (a, b) => (known ? sign * (a - b) : 0);
    return (a, b) => sign * (column[a]! - column[b]!);
  }

  /** Answers with the sorted keys, up to the limit. */
  #emit(): void {
    const { order } = this.#sort;
    const size = Math.min(order.length, this.#limit);
    const state = this.#cursor!.state;
    for (; this.#emitted < size && this.left > 0; this.#emitted++) {
      this.left--;
      const at = order[this.#emitted]!;
      state.modMain = this.#mains[at]!;
      state.modSub = this.#subs[at]!;
      state.createMain = this.#creates[at]!;
      state.version = this.#versions[at]!;
      this.#answer(this.#keys[at]!, state);
    }
    if (this.#emitted < size) return;
    this.#phase = DONE;
    this.#keys = [];
    this.#mains = [];
    this.#subs = [];
    this.#creates = [];
    this.#versions = [];
    this.#rows = [];
  }

  /** Adds one key to the result. */
  #answer(key: string, state: KeyState): void {
    const { keysOnly, sortTarget } = this.#request;
    const slice = this.#slice;
    if (keysOnly && sortTarget !== SortTarget.VALUE) {
      const { createMain, modMain, version } = state;
      this.#result.reserve(sizeOfKeyOnly(key, createMain, modMain, version), slice);
      writeKeyOnly(key, createMain, modMain, version, slice.buffer, slice.offset);
      return;
    }
    this.#readRow(state.modMain, state.modSub);
    if (keysOnly) this.#answerWithoutValue(slice);
    else this.#result.pushSlice(slice);
  }

  /** Adds a row without its value field, lease included. */
  #answerWithoutValue(slice: ByteSlice): void {
    this.#scanner.scanSlice(slice);
    if (this.#scanner.valueLength === 0) {
      this.#result.pushSlice(slice);
      return;
    }
    const { buffer, offset, length } = slice;
    const from = this.#scanner.valueFieldOffset;
    const to = this.#scanner.valueOffset + this.#scanner.valueLength;
    this.#result.reserve(length - (to - from), slice);
    slice.buffer.set(buffer.subarray(offset, from), slice.offset);
    slice.buffer.set(buffer.subarray(to, offset + length), slice.offset + (from - offset));
  }
}

/** Evaluates a range at once. */
export function evaluateRange(
  run: RangeRun,
  view: ReadView,
  request: etcdserverpb.RangeRequest,
  result: RangeResult,
): void {
  run.start(view, request, result);
  while (!run.step(Number.MAX_SAFE_INTEGER));
}
