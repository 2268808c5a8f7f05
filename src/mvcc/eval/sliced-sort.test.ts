import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SlicedSort } from './sliced-sort.ts';

test('sorts stably, whatever the slices', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(50), { maxLength: 3000 }),
      fc.integer({ min: 1, max: 700 }),
      (values, budget) => {
        const sort = new SlicedSort();
        sort.start(values.length, (a, b) => values[a]! - values[b]!);
        for (let i = 0; !sort.step(budget); i++) expect(i).toBeLessThan(100_000);
        const expected = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]! || a - b);
        expect([...sort.order]).toEqual(expected);
      },
    ),
    { numRuns: 60 },
  );
});

test.each([0, 1, 255, 256, 257, 512, 513, 1024])('sorts %i positions', (count) => {
  const sort = new SlicedSort();
  sort.start(count, (a, b) => b - a);
  while (!sort.step(100));
  expect([...sort.order]).toEqual([...Array(count).keys()].reverse());
});
