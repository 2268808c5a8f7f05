import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { randomKey } from '../index/naive-index.fixture.ts';
import { IntervalTree } from './interval-tree.ts';

test('finds the ranges that a walk over all of them finds', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const random = seededRandom(seed);
      const tree = new IntervalTree<string>();
      const naive = new Map<string, readonly [string, string | undefined]>();
      for (let i = 0; i < 200; i++) {
        const begin = randomKey(random, 2);
        const end = random.below(4) === 0 ? undefined : begin + randomKey(random, 2);
        const name = `${begin} to ${end}`;
        if (!naive.has(name)) {
          naive.set(name, [begin, end]);
          tree.add(begin, end, name);
        } else if (random.below(2) === 0) {
          naive.delete(name);
          tree.remove(begin, end);
        }
        expect(tree.get(begin, end)).toBe(naive.has(name) ? name : undefined);
        const key = randomKey(random, 3);
        const found: string[] = [];
        tree.stab(key, found);
        const expected = [...naive].filter(
          ([, [b, e]]) => b <= key && (e === undefined || key < e),
        );
        expect(found.sort()).toEqual(expected.map(([n]) => n).sort());
      }
      expect(tree.check()).toEqual([]);
      expect(tree.size).toBe(naive.size);
    }),
    { numRuns: 60 },
  );
});
