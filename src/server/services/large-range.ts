// Ranges too large for one turn, in slices and in bounded time per key.
//
// Keys are walked in key order, but their rows lie in the file in revision order: read in key order,
// every row of a million might load a page of its own. So the walk only notes which revisions are
// wanted; they are then sorted, read in the order of the file, each page once, and copied into place.
//
//     walk the index ──► (main, sub) per answer ──► sort by revision ──► read, copy ──► pieces
//
// Only a range that sorts by value needs the rows during the walk, and reads them there.

import { EMPTY_BYTES, type Revision } from '../../base/index.ts';
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
import type { PinnedView, Slices } from '../../store/index.ts';
import { RANGE_STEP_KEYS } from '../limits.ts';

/** Bytes of the buffers that rows are copied into. */
const SLAB_BYTES = 1024 * 1024;

/** Notes which rows are asked for instead of reading them. */
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

/** The view of a range that only notes rows. */
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
 * The answer to a range, read from a view that the caller holds; undefined if `isWanted` said no in
 * between. EtcdError as {@link RangeRun.start} throws it.
 */
export async function readLargeRange(
  pin: PinnedView,
  request: etcdserverpb.RangeRequest,
  slices: Slices,
  isWanted: () => boolean,
): Promise<RangeResult | undefined> {
  const result = new RangeResult();
  const run = new RangeRun();
  const needsRows = request.sortTarget === etcdserverpb.SortTarget.VALUE;
  const view = new NotingView(pin);
  run.start(needsRows ? pin : view, request, result);
  while (!run.step(RANGE_STEP_KEYS)) {
    if (slices.isOver) await slices.next();
    if (!isWanted()) return undefined;
  }
  if (needsRows || view.rows.mains.length === 0) return result;
  return (await fillIn(pin, view.rows, result, slices, isWanted)) ? result : undefined;
}

/** Reads the noted rows in revision order and copies each to its place in the answer. */
async function fillIn(
  pin: PinnedView,
  { mains, subs }: RowNotes,
  result: RangeResult,
  slices: Slices,
  isWanted: () => boolean,
): Promise<boolean> {
  const sort = new SlicedSort();
  sort.start(mains.length, (a, b) => mains[a]! - mains[b]! || subs[a]! - subs[b]!);
  while (!sort.step(RANGE_STEP_KEYS)) {
    if (slices.isOver) await slices.next();
    if (!isWanted()) return false;
  }
  const row = new ByteSlice();
  let slab = new Uint8Array(SLAB_BYTES);
  let used = 0;
  for (let i = 0; i < sort.order.length; i++) {
    const place = sort.order[i]!;
    pin.readRow(mains[place]!, subs[place]!, row);
    const { buffer, offset, length } = row;
    if (used + length > slab.length) {
      slab = new Uint8Array(Math.max(SLAB_BYTES, length));
      used = 0;
    }
    slab.set(buffer.subarray(offset, offset + length), used);
    result.replace(place, slab, used, length);
    used += length;
    if (i % ROWS_PER_CLOCK_CHECK === 0 && slices.isOver) {
      await slices.next();
      if (!isWanted()) return false;
    }
  }
  return true;
}

/** Rows read between two looks at the clock: a quarter of a millisecond. */
const ROWS_PER_CLOCK_CHECK = 128;
