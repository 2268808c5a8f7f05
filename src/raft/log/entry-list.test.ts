import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Entry, newEntry } from '../raftpb.ts';
import { EntryList } from './entry-list.ts';
import { entriesSize } from './entry-size.ts';

const START = 5;

/** An array with the same operations. */
class NaiveList {
  entries: Entry[] = [];
  first = START;

  get next(): number {
    return this.first + this.entries.length;
  }
}

const DATA = new Uint8Array(40);
const entry = (index: number): Entry => newEntry(0, 1, index, DATA.subarray(0, index % 40));

type Step =
  | { readonly kind: 'append'; readonly count: number }
  | { readonly kind: 'truncate' | 'drop' | 'clear'; readonly part: number };

// Counts around the size of a chunk, so that its borders are met from both sides.
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('append' as const),
    count: fc.oneof(fc.nat(5), fc.integer({ min: 1000, max: 1050 }), fc.nat(4000)),
  }),
  fc.record({
    kind: fc.constantFrom('truncate' as const, 'drop' as const, 'clear' as const),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
);

function apply(list: EntryList, naive: NaiveList, { kind, ...rest }: Step): void {
  if ('count' in rest) {
    const entries = Array.from({ length: rest.count }, (_, i) => entry(naive.next + i));
    list.append(entries);
    naive.entries.push(...entries);
    return;
  }
  const at = naive.first + Math.floor(rest.part * naive.entries.length);
  if (kind === 'truncate') {
    list.truncateTo(at);
    naive.entries.length = at - naive.first;
  } else if (kind === 'drop') {
    list.dropBefore(at);
    naive.entries.splice(0, at - naive.first);
    naive.first = at;
  } else if (rest.part > 0.9) {
    list.clear(at);
    naive.entries = [];
    naive.first = at;
  }
}

test('behaves like an array, across chunk borders', () => {
  const parts = fc.tuple(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), parts, (steps, [a, b]) => {
      const list = new EntryList(START);
      const naive = new NaiveList();
      for (const one of steps) apply(list, naive, one);
      expect([list.first, list.next, list.count]).toEqual([
        naive.first,
        naive.next,
        naive.entries.length,
      ]);
      const count = naive.entries.length;
      const from = Math.floor(Math.min(a, b) * count);
      const to = Math.floor(Math.max(a, b) * count);
      const slice = list.slice(naive.first + from, naive.first + to);
      expect(slice.map(({ index }) => index)).toEqual(
        naive.entries.slice(from, to).map(({ index }) => index),
      );
      if (count > 0) {
        const at = naive.first + Math.min(from, count - 1);
        expect(list.at(at)).toBe(naive.entries[at - naive.first]);
      }
    }),
    { numRuns: 300 },
  );
});

test('limits a run by bytes, but never to nothing', () => {
  const list = new EntryList(1);
  list.append(Array.from({ length: 50 }, (_, i) => entry(i + 1)));
  for (const sizeMax of [0, 1, 100, 101, 500, Number.POSITIVE_INFINITY]) {
    const run = list.slice(10, list.limit(10, 51, sizeMax));
    expect(run.length).toBeGreaterThan(0);
    if (run.length > 1) expect(entriesSize(run)).toBeLessThanOrEqual(sizeMax);
    const next = 10 + run.length;
    if (next <= 50) {
      expect(entriesSize([...run, list.at(next)])).toBeGreaterThan(sizeMax);
    }
  }
  expect(list.limit(7, 7, 100)).toBe(7);
});

test('a dropped entry is not kept alive by its chunk', () => {
  const list = new EntryList(1);
  list.append([entry(1), entry(2), entry(3)]);
  list.dropBefore(3);
  const chunks = list.slice(3, 4);
  expect(chunks).toHaveLength(1);
  list.push(entry(4));
  expect(list.slice(3, 5).map(({ index }) => index)).toEqual([3, 4]);
});

test('refuses gaps and indexes outside', () => {
  const list = new EntryList(1);
  list.append([entry(1), entry(2)]);
  expect(() => list.push(entry(4))).toThrow('contiguous');
  expect(() => list.at(3)).toThrow('out of range');
  expect(() => list.at(0)).toThrow('out of range');
  expect(() => list.slice(0, 2)).toThrow('slice range');
  expect(() => list.truncateTo(4)).toThrow('out of range');
  expect(() => list.dropBefore(0)).toThrow('out of range');
});
