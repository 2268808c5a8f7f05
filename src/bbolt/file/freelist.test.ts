import { expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { Freelist, type PageRuns, pushRun } from './freelist.ts';
import { PageSet } from './page-set.ts';

/** The rules, page by page. */
class Twin {
  /** Pages in no tree, and the commit that freed them. */
  readonly freedBy = new Map<number, number>();
  /** Those of them that a writer may use. */
  readonly usable = new Set<number>();
  readonly inUse = new Set<number>();

  release(writer: number, oldestReader: number): void {
    for (const [id, by] of this.freedBy) {
      if (by <= writer - 2 && by <= oldestReader) this.usable.add(id);
    }
  }
}

test('hands out only what no meta page and no reader reaches, and all of it', () => {
  for (let seed = 1; seed <= 25; seed++) {
    const random = seededRandom(seed);
    const twin = new Twin();
    const free = new PageSet();
    const opened = 10;
    for (let id = 2; id < 400; id++) {
      if (random.below(3) > 0 && free.add(id)) twin.freedBy.set(id, opened);
      else twin.inUse.add(id);
    }
    const list = new Freelist(free, opened);
    let writer = opened + 1;
    let oldest = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 60; round++) {
      // A new reader reads the last commit.
      if (random.below(5) === 0) oldest = Math.min(oldest, writer - 1);
      if (random.below(5) === 0) oldest = Number.POSITIVE_INFINITY;
      list.release(writer, oldest);
      twin.release(writer, oldest);
      list.begin(writer, random.below(50));
      const taken: number[] = [];
      for (let i = random.below(120); i > 0; i--) {
        const count = random.below(5) > 0 ? 1 : 1 + random.below(40);
        const start = list.allocate(count);
        // One page is found if there is any; a long run may not exist.
        if (start === 0 && count === 1 && twin.usable.size > 0) throw new Error(`seed ${seed}`);
        for (let id = start; start > 0 && id < start + count; id++) {
          if (!twin.usable.delete(id)) throw new Error(`seed ${seed}: page ${id} is not usable`);
          taken.push(id);
        }
      }
      expect(list.unusedByLastCommit().count).toBe(twin.freedBy.size);
      if (random.below(4) === 0) {
        list.rollback();
        for (const id of taken) twin.usable.add(id);
        continue;
      }
      for (const id of taken) twin.freedBy.delete(id);
      const runs: PageRuns = [];
      for (const id of [...twin.inUse]) {
        if (random.below(6) > 0) continue;
        pushRun(runs, id, 1);
        twin.inUse.delete(id);
        twin.freedBy.set(id, writer);
      }
      for (const id of taken) twin.inUse.add(id);
      list.commit(writer, runs);
      const unused = list.unusedByLastCommit();
      expect(unused.count).toBe(twin.freedBy.size);
      expect([...twin.freedBy.keys()].every((id) => unused.has(id))).toBe(true);
      expect(list.freeCount + list.pendingCount).toBe(unused.count);
      writer++;
    }
  }
});

test('many pages come side by side, few fill the holes', () => {
  const free = new PageSet();
  for (let id = 3; id < 600; id += 2) free.add(id);
  for (let id = 640; id < 1000; id++) free.add(id);
  const list = new Freelist(free, 1);
  list.begin(3, 200);
  const many = Array.from({ length: 200 }, () => list.allocate(1));
  expect(many[0]).toBe(640);
  expect(many[199]).toBe(839);
  list.rollback();
  list.begin(3, 3);
  expect([list.allocate(1), list.allocate(1), list.allocate(20), list.allocate(1)]).toEqual([
    3, 5, 640, 7,
  ]);
});
