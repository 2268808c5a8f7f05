import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
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

describe('a bound in bytes', () => {
  const sized = (index: number, bytes: number): Entry =>
    newEntry(0, 1, index, new Uint8Array(bytes));

  function storageOf(...sizes: number[]): MemoryStorage {
    const storage = new MemoryStorage();
    storage.append(sizes.map((bytes, i) => sized(i + 1, bytes)));
    return storage;
  }

  test.each([
    ['nothing has to go', [10, 10, 10], 3, 30, 0],
    ['the oldest goes', [10, 10, 10], 3, 29, 1],
    ['what is behind the end does not count', [10, 10, 10, 1000], 3, 30, 0],
    ['what is behind the end stays', [10, 10, 10, 1000], 3, 15, 2],
    ['a huge entry before the end goes', [10, 1000, 10], 3, 100, 2],
    ['a huge entry at the end stays', [10, 10, 1000], 3, 100, 2],
    ['one entry stays at a bound of nothing', [10, 10, 10], 3, 0, 2],
    ['entries without payload cost nothing', [0, 0, 0], 3, 0, 0],
    ['the end is the first entry', [10, 10], 1, 0, 0],
  ])('%s', (_, sizes, end, bytesMax, expected) => {
    expect(storageOf(...sizes).compactIndexFor(end, bytesMax)).toBe(expected);
  });

  test('counts payloads as a log is appended, overwritten, compacted and replaced', () => {
    const step = fc.record({
      kind: fc.constantFrom('append', 'overwrite', 'compact', 'snapshot'),
      sizes: fc.array(fc.nat(100), { minLength: 1, maxLength: 5 }),
      part: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), fc.nat(300), (steps, bytesMax) => {
        const storage = storageOf(1);
        for (const { kind, sizes, part } of steps) {
          const [first, last] = [storage.firstIndex(), storage.lastIndex()];
          const at = first + Math.floor(part * (last - first + 1));
          if (kind === 'compact' && last >= first) storage.compact(at);
          else if (kind === 'snapshot') {
            const metadata = { confState: emptyConfState(), index: at, term: 1 };
            storage.applySnapshot({ data: EMPTY_BYTES, metadata });
          } else {
            const from = kind === 'overwrite' ? at : last + 1;
            storage.append(sizes.map((bytes, i) => sized(from + i, bytes)));
          }
          const held = heldSizes(storage);
          expect(storage.payloadBytes).toBe(sum(held));
          if (held.length === 0) continue;
          const end = storage.firstIndex() + Math.floor(part * held.length);
          const kept = (from: number) =>
            sum(held.slice(from + 1 - storage.firstIndex(), end + 1 - storage.firstIndex()));
          const index = storage.compactIndexFor(end, bytesMax);
          if (index < end - 1) expect(kept(index)).toBeLessThanOrEqual(bytesMax);
          if (index >= storage.firstIndex()) expect(kept(index - 1)).toBeGreaterThan(bytesMax);
        }
      }),
    );
  });

  const sum = (sizes: readonly number[]): number => sizes.reduce((all, one) => all + one, 0);
  function heldSizes(storage: MemoryStorage): number[] {
    const [from, to] = [storage.firstIndex(), storage.lastIndex() + 1];
    const held = storage.entries(from, to, Number.POSITIVE_INFINITY) as Entry[];
    return held.map(({ data }) => data.length);
  }
});
