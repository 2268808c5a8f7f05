import { describe, expect, test } from 'vitest';
import { seededRandom } from './random.ts';
import { SequenceMap } from './sequence-map.ts';

describe('a map of a sequence', () => {
  // Sequences that a member has: request ids beyond 32 bits, stream ids in steps of two, gaps, and keys
  // that stay while thousands follow.
  test.each([
    { name: 'request ids', first: 2 ** 47 + 5, step: 1, open: 100, stays: 0 },
    { name: 'stream ids beside one that stays', first: 1, step: 2, open: 8, stays: 0.001 },
    { name: 'gaps', first: 0, step: 97, open: 30, stays: 0 },
    { name: 'more than the ring has places', first: 7, step: 3, open: 90_000, stays: 0.0005 },
    { name: 'all in one place', first: 0, step: 2 ** 20, open: 50, stays: 0.01 },
  ])('is equal to a Map: $name', ({ first, step, open, stays }) => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    const same = (ours: unknown, theirs: unknown): void => {
      if (ours !== theirs) expect(ours, `seed ${seed}`).toBe(theirs);
    };
    const map = new SequenceMap<string>();
    const twin = new Map<number, string>();
    const queue: number[] = [];
    let head = 0;
    let key = first;
    const remove = (): void => {
      const at = head + random.below(Math.min(queue.length - head, 4));
      const oldest = queue[at]!;
      queue[at] = queue[head++]!;
      same(map.delete(oldest), twin.delete(oldest));
    };
    const compare = (): void => {
      expect(map.size, `seed ${seed}`).toBe(twin.size);
      expect(new Map(map.entries()), `seed ${seed}`).toEqual(twin);
      expect(new Set(map.values()), `seed ${seed}`).toEqual(new Set(twin.values()));
    };
    for (let round = 0; round < 120_000; round++) {
      map.add(key, `v${key}`);
      twin.set(key, `v${key}`);
      if (random.below(10_000) >= stays * 10_000) queue.push(key);
      if (queue.length - head > open) remove();
      const asked = Math.max(0, key - step * random.below(2 * open));
      same(map.has(asked), twin.has(asked));
      same(map.get(asked), twin.get(asked));
      key += step;
      if (round % 30_000 === 5000) {
        compare();
        while (head < queue.length) remove();
        compare();
      }
    }
    compare();
  });

  test('refuses a key that is there, in the ring or not', () => {
    const map = new SequenceMap<number>();
    for (const key of [1, 17]) map.add(key, key);
    for (const key of [1, 17]) expect(() => map.add(key, 0)).toThrow('added once');
    expect(map.get(1)).toBe(1);
    expect(map.delete(2)).toBe(false);
    expect(() => map.add(-1, 0)).toThrow('added once');
  });
});
