import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { PageSet } from './page-set.ts';

const ids = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.integer({ min: 32_700, max: 33_000 }),
  fc.integer({ min: 0, max: 200_000 }),
);

test('equals a sorted set', () => {
  const operations = fc.array(fc.tuple(fc.constantFrom('add', 'delete', 'next', 'has'), ids), {
    maxLength: 200,
  });
  fc.assert(
    fc.property(operations, (list) => {
      const set = new PageSet();
      const twin = new Set<number>();
      for (const [operation, id] of list) {
        if (operation === 'add') {
          expect(set.add(id)).toBe(!twin.has(id));
          twin.add(id);
        } else if (operation === 'delete') {
          expect(set.delete(id)).toBe(twin.delete(id));
        } else if (operation === 'has') {
          expect(set.has(id)).toBe(twin.has(id));
        } else {
          const after = [...twin].filter((member) => member >= id);
          expect(set.next(id)).toBe(after.length === 0 ? -1 : Math.min(...after));
        }
        expect(set.count).toBe(twin.size);
      }
      const copy = set.clone();
      for (const id of twin) expect(copy.delete(id)).toBe(true);
      expect([copy.count, set.count]).toEqual([0, twin.size]);
    }),
  );
});

test('complement and runs equal the naive search', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = seededRandom(seed);
    const set = new PageSet();
    const base = seed % 3 === 0 ? 32_700 : 0;
    const density = 1 + random.below(40);
    for (let id = base; id < base + 600; id++) if (random.below(40) < density) set.add(id);
    const from = base + random.below(100);
    const to = base + 500 + random.below(100);
    const complement = set.complement(from, to);
    let count = 0;
    for (let id = base; id < base + 700; id++) {
      const inside = id >= from && id < to && !set.has(id);
      if (complement.has(id) !== inside) throw new Error(`seed ${seed}: page ${id}`);
      if (inside) count++;
    }
    expect(complement.count).toBe(count);

    const isRun = (start: number, length: number): boolean => {
      for (let id = start; id < start + length; id++) if (!set.has(id)) return false;
      return true;
    };
    for (const length of [1, 2, 5, 8, 32, 40]) {
      const aligned = 32 % length === 0;
      for (const step of aligned ? [1, length] : [1]) {
        let expected = -1;
        for (let start = from; start < base + 700 && expected < 0; start++) {
          if (start % step === 0 && isRun(start, length)) expected = start;
        }
        expect(set.findRun(length, from, step > 1 || length === 1)).toBe(expected);
      }
    }
  }
});
