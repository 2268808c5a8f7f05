// Ranges too large for one turn, in bounded time per turn and in bounded memory.
//
// Keys are walked in key order, but their rows are in the file in revision order: read in key order, each
// of a million rows might load another page. So the walk only records the wanted revisions, which are then
// sorted and read in the order of the file, each page once.
//
//     walk the index ──► (main, sub) per pair ──► sort by revision ──► read ──► lengths, and
//         all pairs, if there is memory for them: ──────────────────────────► pieces
//         else only lengths; while the answer is sent, a window at a time: ──► read again, pieces
//
// Only a range that sorts by value needs the rows during the walk, and holds them.

import { EMPTY_BYTES, NumberColumn, type Revision, type Slices } from '../../base/index.ts';
import { outputBuffers } from '../../grpc/index.ts';
import {
  ByteSlice,
  type KeyIndex,
  RangeResult,
  RangeRun,
  type ReadView,
  type RowReader,
  SlicedSort,
  TAG_RANGE_KVS,
} from '../../mvcc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { PinnedView } from '../../store/index.ts';
import { LARGE_RANGE_BYTES_KEPT, RANGE_STEP_KEYS, RANGE_WINDOW_BYTES } from '../limits.ts';
import { bodyOf, type RangeBody } from './long-answer.ts';
import { copyField, fieldSize } from './responses.ts';

/** Bytes of the buffers that rows are copied into. */
const SLAB_BYTES = 1024 * 1024;

/** Rows, or their bytes, read between two checks of the clock: a quarter of a millisecond. */
const ROWS_PER_CLOCK_CHECK = 32;
const BYTES_PER_CLOCK_CHECK: number = 256 * 1024;

/** The call that waits for the answer, and the memory that may be held for it. */
interface LargeRangeCaller {
  /** Whether the call has ended. */
  readonly ended: boolean;
  mayHold(bytes: number): boolean;
  holdMemory(bytes: number): void;
}

/** Pairs of a kept range that are passed on together. */
const PAIRS_PASSED = 1024;

/** Records the requested rows instead of reading them. */
class RowNotes implements RowReader {
  readonly mains = new NumberColumn();
  readonly subs = new NumberColumn();

  readRow(main: Revision, sub: number, into: ByteSlice): void {
    this.mains.push(main);
    this.subs.push(sub);
    into.buffer = EMPTY_BYTES;
    into.offset = 0;
    into.length = 0;
  }
}

/** The answer to a range that only records rows: counts pairs, as long as they have no bytes. */
class NotedRange extends RangeResult {
  #noted = 0;

  override get size(): number {
    return this.#noted + super.size;
  }

  override push(buffer: Uint8Array, offset: number, length: number): void {
    if (length === 0) this.#noted++;
    else super.push(buffer, offset, length);
  }
}

/** The view of a range that only records rows. */
class NotingView implements ReadView {
  readonly currentRev: Revision;
  readonly compactedRev: Revision;
  readonly index: KeyIndex;
  readonly rows: RowNotes = new RowNotes();

  constructor(pin: PinnedView) {
    this.currentRev = pin.currentRev;
    this.compactedRev = pin.compactedRev;
    this.index = pin.index;
  }
}

/**
 * The answer to a range, from a view that the caller holds until it is sent; undefined if the call has
 * ended. EtcdError as {@link RangeRun.start} throws it.
 */
export async function readLargeRange(
  pin: PinnedView,
  request: etcdserverpb.RangeRequest,
  slices: Slices,
  caller: LargeRangeCaller,
): Promise<RangeBody | undefined> {
  const run = new RangeRun();
  const needsRows = request.sortTarget === etcdserverpb.SortTarget.VALUE;
  const view = new NotingView(pin);
  const result = needsRows ? new RangeResult() : new NotedRange();
  run.start(needsRows ? pin : view, request, result);
  while (!run.step(RANGE_STEP_KEYS)) {
    if (slices.isOver) await slices.next();
    if (caller.ended) return undefined;
  }
  if (needsRows || view.rows.mains.length === 0) {
    caller.holdMemory(result.byteCount());
    return bodyOf(result);
  }
  const range = new PinnedRange(pin, view.rows, result, caller);
  return (await range.measure(slices)) ? range : undefined;
}

/** Copies of the rows of a range. */
class KeptRows {
  readonly #caller: LargeRangeCaller;
  readonly #slabs: Uint8Array[] = [];
  /** Of each row, its slab and where it begins there. */
  readonly #slabOf: Uint16Array;
  readonly #offsets: Uint32Array;
  #bytes = 0;
  #added = 0;
  /** Bytes used of the last slab. */
  #used = 0;

  constructor(rows: number, caller: LargeRangeCaller) {
    this.#slabOf = new Uint16Array(rows);
    this.#offsets = new Uint32Array(rows);
    this.#caller = caller;
  }

  /**
   * Copies a row to its place in the answer. At the bound, or where as many rows as so far for each byte lead
   * there, false: all copies are given back.
   */
  add(place: number, { buffer, offset, length }: ByteSlice): boolean {
    let slab = this.#slabs[this.#slabs.length - 1];
    if (slab === undefined || this.#used + length > slab.length) {
      const bytes = Math.max(SLAB_BYTES, length);
      if (this.#expectedBytes(bytes) > LARGE_RANGE_BYTES_KEPT || !this.#caller.mayHold(bytes)) {
        this.#caller.holdMemory(-this.#bytes);
        return false;
      }
      this.#caller.holdMemory(bytes);
      this.#bytes += bytes;
      slab = Buffer.allocUnsafeSlow(bytes);
      this.#slabs.push(slab);
      this.#used = 0;
    }
    slab.set(buffer.subarray(offset, offset + length), this.#used);
    this.#slabOf[place] = this.#slabs.length - 1;
    this.#offsets[place] = this.#used;
    this.#used += length;
    this.#added++;
    return true;
  }

  /** Of all rows, if another slab is begun and the rows to come are as long as those that were added. */
  #expectedBytes(next: number): number {
    const added = Math.max(1, this.#added);
    return Math.max(this.#bytes + next, (this.#bytes / added) * this.#offsets.length);
  }

  *kvs(lengths: Uint32Array): Generator<Uint8Array, void, undefined> {
    for (let first = 0; first < lengths.length; first += PAIRS_PASSED) {
      const end = Math.min(lengths.length, first + PAIRS_PASSED);
      const part = new RangeResult();
      for (let i = first; i < end; i++) {
        part.push(this.#slabs[this.#slabOf[i]!]!, this.#offsets[i]!, lengths[i]!);
      }
      yield* bodyOf(part).kvs();
    }
  }
}

/** A range whose keys are known and whose rows are read from a pinned view. */
class PinnedRange implements RangeBody {
  readonly revision: Revision;
  readonly count: number;
  readonly more: boolean;
  kvsSize = 0;
  readonly #pin: PinnedView;
  readonly #mains: NumberColumn;
  readonly #subs: NumberColumn;
  readonly #lengths: Uint32Array;
  readonly #caller: LargeRangeCaller;
  /** All rows, as long as there is memory for them. */
  #kept: KeptRows | undefined;
  readonly #row = new ByteSlice();

  constructor(
    pin: PinnedView,
    { mains, subs }: RowNotes,
    result: RangeResult,
    caller: LargeRangeCaller,
  ) {
    this.revision = result.revision;
    this.count = result.count;
    this.more = result.more;
    this.#pin = pin;
    this.#mains = mains;
    this.#subs = subs;
    this.#lengths = new Uint32Array(mains.length);
    this.#caller = caller;
    this.#kept = new KeptRows(mains.length, caller);
  }

  /** Reads every row for its length, in the order of the file. False if the call has ended. */
  async measure(slices: Slices): Promise<boolean> {
    const sort = new SlicedSort();
    sort.start(this.#mains.length, this.#byRevision);
    while (!sort.step(RANGE_STEP_KEYS)) {
      if (slices.isOver) await slices.next();
      if (this.#caller.ended) return false;
    }
    const row = this.#row;
    let unchecked = 0;
    for (let i = 0; i < sort.order.length; i++) {
      const place = sort.order[i]!;
      this.#read(place);
      this.#lengths[place] = row.length;
      this.kvsSize += fieldSize(row.length);
      if (this.#kept?.add(place, row) === false) this.#kept = undefined;
      unchecked += row.length;
      if (i % ROWS_PER_CLOCK_CHECK !== 0 && unchecked < BYTES_PER_CLOCK_CHECK) continue;
      unchecked = 0;
      if (slices.isOver) await slices.next();
      if (this.#caller.ended) return false;
    }
    return true;
  }

  kvs(): Generator<Uint8Array, void, undefined> {
    return this.#kept === undefined ? this.#windows() : this.#kept.kvs(this.#lengths);
  }

  readonly #byRevision = (a: number, b: number): number =>
    this.#mains.at(a) - this.#mains.at(b) || this.#subs.at(a) - this.#subs.at(b);

  #read(place: number): void {
    this.#pin.passRow(this.#mains.at(place), this.#subs.at(place), this.#row);
  }

  /** The pairs, read a window at a time, in revision order within it. */
  *#windows(): Generator<Uint8Array, void, undefined> {
    const lengths = this.#lengths;
    for (let first = 0; first < lengths.length; ) {
      let end = first;
      let size = 0;
      const offsets: number[] = [];
      while (end < lengths.length) {
        const field = fieldSize(lengths[end]!);
        if (size > 0 && size + field > RANGE_WINDOW_BYTES) break;
        offsets.push(size);
        size += field;
        end++;
      }
      const places = Array.from(offsets, (_, i) => first + i).sort(this.#byRevision);
      const piece = outputBuffers.take(size).subarray(0, size);
      for (const place of places) {
        this.#read(place);
        const { buffer, offset, length } = this.#row;
        copyField(TAG_RANGE_KVS, buffer, offset, length, piece, offsets[place - first]!);
      }
      yield piece;
      first = end;
    }
  }
}
