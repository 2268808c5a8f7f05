import { expect, test } from 'vitest';
import { EMPTY_BYTES } from '../../base/index.ts';
import { type Entry, newEntry } from '../raftpb.ts';
import { LOG_GAPS, MemoryStorage, STORAGE_OUTCOMES } from './index.ts';
import { emptyConfState, snapshotIndex, snapshotTerm } from './snapshot.ts';

const entries = (...ids: [term: number, index: number][]): Entry[] =>
  ids.map(([term, index]) => newEntry(0, term, index, EMPTY_BYTES));

/** Base at (3, term 3), then entries 4 and 5 of terms 4 and 5. */
function storageWithThree(): MemoryStorage {
  const storage = new MemoryStorage();
  const metadata = { confState: emptyConfState(), index: 3, term: 3 };
  storage.applySnapshot({ data: EMPTY_BYTES, metadata });
  storage.append(entries([4, 4], [5, 5]));
  return storage;
}

function contents(storage: MemoryStorage): [number, number][] {
  const first = storage.firstIndex();
  const found = storage.entries(first, storage.lastIndex() + 1, Number.POSITIVE_INFINITY);
  return (found as Entry[]).map(({ term, index }) => [term, index]);
}

test('an empty storage has its first entry at 1', () => {
  const storage = new MemoryStorage();
  expect([storage.firstIndex(), storage.lastIndex(), storage.term(0)]).toEqual([1, 0, 0]);
  expect(storage.initialState().hardState).toBeUndefined();
  expect(storage.initialState().confState.voters).toEqual([]);
});

test('term answers from the base to the last entry', () => {
  const storage = storageWithThree();
  expect([2, 3, 4, 5, 6].map((index) => storage.term(index))).toEqual([
    LOG_GAPS.COMPACTED,
    3,
    4,
    5,
    LOG_GAPS.UNAVAILABLE,
  ]);
});

test('entries are limited by bytes, to one at least', () => {
  const storage = storageWithThree();
  storage.append(entries([6, 6]));
  const indexes = (sizeMax: number): number[] =>
    (storage.entries(4, 7, sizeMax) as Entry[]).map(({ index }) => index);
  expect(storage.entries(3, 6, 100)).toBe(LOG_GAPS.COMPACTED);
  expect(storage.entries(4, 8, 100)).toBe(LOG_GAPS.UNAVAILABLE);
  expect(indexes(Number.POSITIVE_INFINITY)).toEqual([4, 5, 6]);
  expect(indexes(0)).toEqual([4]);
  expect(indexes(8)).toEqual([4, 5]);
  expect(indexes(11)).toEqual([4, 5]);
  expect(indexes(12)).toEqual([4, 5, 6]);
});

test.each([
  [
    'what is before the base',
    entries([1, 1], [2, 2]),
    [
      [4, 4],
      [5, 5],
    ],
  ],
  [
    'the same entries again',
    entries([3, 3], [4, 4], [5, 5]),
    [
      [4, 4],
      [5, 5],
    ],
  ],
  [
    'a conflict',
    entries([3, 3], [6, 4], [6, 5]),
    [
      [6, 4],
      [6, 5],
    ],
  ],
  [
    'more',
    entries([4, 4], [5, 5], [5, 6]),
    [
      [4, 4],
      [5, 5],
      [5, 6],
    ],
  ],
  ['from before the base to a conflict', entries([2, 2], [3, 3], [5, 4]), [[5, 4]]],
  ['a shorter log', entries([5, 4]), [[5, 4]]],
  [
    'at the end',
    entries([5, 6]),
    [
      [4, 4],
      [5, 5],
      [5, 6],
    ],
  ],
  [
    'nothing',
    [],
    [
      [4, 4],
      [5, 5],
    ],
  ],
])('append: %s', (_, appended, expected) => {
  const storage = storageWithThree();
  storage.append(appended);
  expect(contents(storage)).toEqual(expected);
});

test('append refuses a gap', () => {
  expect(() => storageWithThree().append(entries([6, 7]))).toThrow('missing log entry');
});

test('compaction keeps the term of the last dropped entry', () => {
  const storage = storageWithThree();
  expect(storage.compact(3)).toBe(STORAGE_OUTCOMES.COMPACTED);
  expect(storage.compact(4)).toBe(STORAGE_OUTCOMES.DONE);
  expect([storage.firstIndex(), storage.term(4), storage.term(3)]).toEqual([
    5,
    4,
    LOG_GAPS.COMPACTED,
  ]);
  expect(storage.compact(5)).toBe(STORAGE_OUTCOMES.DONE);
  expect([storage.firstIndex(), storage.lastIndex(), storage.term(5)]).toEqual([6, 5, 5]);
  expect(() => storage.compact(6)).toThrow('out of bound');
  storage.append(entries([6, 6]));
  expect(contents(storage)).toEqual([[6, 6]]);
});

test('a snapshot is made at an index of the log and keeps the log', () => {
  const storage = storageWithThree();
  const confState = { ...emptyConfState(), voters: [1n, 2n] };
  const data = new Uint8Array([7]);
  const made = storage.createSnapshot(4, confState, data);
  expect(made).toEqual({ data, metadata: { confState, index: 4, term: 4 } });
  expect(storage.snapshot()).toBe(made);
  expect(storage.initialState().confState).toEqual(confState);
  expect(contents(storage)).toHaveLength(2);
  const late = storage.createSnapshot(4, undefined, data);
  expect(late).toBe(STORAGE_OUTCOMES.SNAPSHOT_OUT_OF_DATE);
  storage.createSnapshot(5, undefined, data);
  expect(storage.snapshot().metadata?.confState).toEqual(confState);
  expect(() => storage.createSnapshot(6, undefined, data)).toThrow('out of bound');
});

test('an applied snapshot replaces everything, unless it is old', () => {
  const storage = storageWithThree();
  const at = (index: number, term: number): Parameters<MemoryStorage['applySnapshot']>[0] => ({
    data: EMPTY_BYTES,
    metadata: { confState: { ...emptyConfState(), voters: [1n] }, index, term },
  });
  expect(storage.applySnapshot(at(9, 6))).toBe(STORAGE_OUTCOMES.DONE);
  expect([storage.firstIndex(), storage.lastIndex(), storage.term(9)]).toEqual([10, 9, 6]);
  expect(storage.applySnapshot(at(8, 6))).toBe(STORAGE_OUTCOMES.SNAPSHOT_OUT_OF_DATE);
  expect([snapshotIndex(storage.snapshot()), snapshotTerm(storage.snapshot())]).toEqual([9, 6]);
});

test('a log of 300,000 entries is appended to and compacted piece by piece', () => {
  const storage = new MemoryStorage();
  for (let index = 1; index <= 300_000; index += 1_000) {
    const run: [number, number][] = Array.from({ length: 1_000 }, (_, i) => [1, index + i]);
    storage.append(entries(...run));
    if (storage.lastIndex() > 100_000) storage.compact(storage.lastIndex() - 99_500);
  }
  expect(storage.lastIndex()).toBe(300_000);
  expect(storage.firstIndex()).toBe(200_501);
  expect((storage.entries(200_501, 300_001, Number.POSITIVE_INFINITY) as Entry[]).length).toBe(
    99_500,
  );
});
