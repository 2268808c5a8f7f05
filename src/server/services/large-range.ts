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

import { EMPTY_BYTES, type Revision, type Slices } from '../../base/index.ts';
import {
  ByteSlice,
  type KeyIndex,
  RangeResult,
  RangeRun,
  type ReadView,
  type RowReader,
  SlicedSort,
} from '../../mvcc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { PinnedView } from '../../store/index.ts';
import { LARGE_RANGE_BYTES_KEPT, RANGE_STEP_KEYS, RANGE_WINDOW_BYTES } from '../limits.ts';
import { bodyOf, type RangeBody } from './long-answer.ts';
import { copyField, fieldSize, TAG_RANGE_KVS } from './responses.ts';

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

/** Records the requested rows instead of reading them. */
class RowNotes implements RowReader {
  readonly mains: Revision[] = [];
  readonly subs: number[] = [];

  readRow(main: Revision, sub: number, into: ByteSlice): void {
    this.mains.push(main);
    this.subs.push(sub);
    into.buffer = EMPTY_BYTES;
    into.offset = 0;
    into.length = 0;
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
  const result = new RangeResult();
  const run = new RangeRun();
  const needsRows = request.sortTarget === etcdserverpb.SortTarget.VALUE;
  const view = new NotingView(pin);
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

/** A range whose keys are known and whose rows are read from a pinned view. */
class PinnedRange implements RangeBody {
  readonly revision: Revision;
  readonly count: number;
  readonly more: boolean;
  kvsSize = 0;
  readonly #pin: PinnedView;
  readonly #mains: readonly Revision[];
  readonly #subs: readonly number[];
  readonly #lengths: Uint32Array;
  readonly #caller: LargeRangeCaller;
  /** All rows, as long as there is memory for them. */
  #whole: RangeResult | undefined;
  #wholeBytes = 0;
  #slab: Uint8Array = EMPTY_BYTES;
  #slabUsed = 0;
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
    this.#whole = result;
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
      if (this.#whole !== undefined) this.#keep(place);
      unchecked += row.length;
      if (i % ROWS_PER_CLOCK_CHECK !== 0 && unchecked < BYTES_PER_CLOCK_CHECK) continue;
      unchecked = 0;
      if (slices.isOver) await slices.next();
      if (this.#caller.ended) return false;
    }
    return true;
  }

  kvs(): Generator<Uint8Array, void, undefined> {
    return this.#whole === undefined ? this.#windows() : bodyOf(this.#whole).kvs();
  }

  readonly #byRevision = (a: number, b: number): number =>
    this.#mains[a]! - this.#mains[b]! || this.#subs[a]! - this.#subs[b]!;

  #read(place: number): void {
    this.#pin.readRow(this.#mains[place]!, this.#subs[place]!, this.#row);
  }

  /** Copies the row to its place in the answer, or drops all copies at the bound. */
  #keep(place: number): void {
    const { buffer, offset, length } = this.#row;
    if (this.#slabUsed + length > this.#slab.length) {
      const bytes = Math.max(SLAB_BYTES, length);
      if (this.#wholeBytes + bytes > LARGE_RANGE_BYTES_KEPT || !this.#caller.mayHold(bytes)) {
        this.#caller.holdMemory(-this.#wholeBytes);
        this.#whole = undefined;
        this.#slab = EMPTY_BYTES;
        return;
      }
      this.#caller.holdMemory(bytes);
      this.#wholeBytes += bytes;
      this.#slab = Buffer.allocUnsafeSlow(bytes);
      this.#slabUsed = 0;
    }
    this.#slab.set(buffer.subarray(offset, offset + length), this.#slabUsed);
    this.#whole!.replace(place, this.#slab, this.#slabUsed, length);
    this.#slabUsed += length;
  }

  /** The pairs, read a window at a time, in revision order within it. */
  *#windows(): Generator<Uint8Array, void, undefined> {
    const lengths = this.#lengths;
    for (let first = 0; first < lengths.length; ) {
      let end = first;
      let size = 0;
      const offsets: number[] = [];
      while (end < lengths.length && size < RANGE_WINDOW_BYTES) {
        offsets.push(size);
        size += fieldSize(lengths[end++]!);
      }
      const places = Array.from(offsets, (_, i) => first + i).sort(this.#byRevision);
      const piece = Buffer.allocUnsafe(size);
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
