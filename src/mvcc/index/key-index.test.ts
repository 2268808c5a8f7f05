import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Random, seededRandom } from '../../base/index.ts';
import { FROM_KEY, SINGLE_KEY } from '../eval/key-range.ts';
import { KeyState } from '../types.ts';
import { IndexRestore } from './index-restore.ts';
import { KeyIndex, NOT_ALIVE } from './key-index.ts';
import { NaiveIndex, randomKey, randomRange } from './naive-index.fixture.ts';

const state = new KeyState();

/** Lease slots that keys get; 0 is none. */
const LEASES = 3;

/** The index and its naive twin, driven together. */
class Twins {
  index = new KeyIndex();
  readonly naive = new NaiveIndex();
  readonly random: Random;
  readonly words: number;
  rev = 1;
  compacted = -1;

  constructor(seed: number, words: number) {
    this.random = seededRandom(seed);
    this.words = words;
  }

  key(): string {
    return randomKey(this.random, this.words);
  }

  readableRev(): number {
    const from = Math.max(this.compacted, 0);
    return from + this.random.below(this.rev - from + 2);
  }

  /** One transaction of a few puts and deletions, possibly of the same key. */
  write(): void {
    this.rev++;
    const changes = 1 + this.random.below(4);
    for (let sub = 0; sub < changes; sub++) {
      const key = this.key();
      if (this.random.below(3) === 0) {
        const leased = this.naive.at(key, this.rev)?.lease;
        const deleted = this.naive.tombstone(key, this.rev, sub);
        const answer = this.index.tombstone(key, this.rev, sub);
        expect(answer).toBe(deleted ? leased : NOT_ALIVE);
      } else {
        const lease = this.random.below(LEASES);
        const leasedBefore = this.naive.at(key, this.rev)?.lease ?? 0;
        const put = this.naive.put(key, this.rev, sub, lease);
        this.index.put(key, this.rev, sub, lease, state);
        expect([state.modMain, state.modSub]).toEqual([put.main, put.sub]);
        expect([state.createMain, state.version]).toEqual([put.create, put.version]);
        expect(state.leaseSlot).toBe(leasedBefore);
      }
    }
  }

  compareGet(): void {
    const key = this.key();
    const rev = this.readableRev();
    const expected = this.naive.at(key, rev);
    expect(this.index.get(key, rev, state)).toBe(expected !== undefined);
    if (expected === undefined) return;
    expect([state.modMain, state.modSub]).toEqual([expected.main, expected.sub]);
    expect([state.createMain, state.version]).toEqual([expected.create, expected.version]);
  }

  compareRange(): void {
    const [key, rangeEnd] = randomRange(this.random, this.words);
    const rev = this.readableRev();
    const expected = this.naive.range(key, rangeEnd, rev);
    expect(this.index.count(key, rangeEnd, rev)).toBe(expected.length);
    this.compareLeased(key, rangeEnd);
    const cursor = this.index.cursor();
    cursor.open(key, rangeEnd, rev);
    for (const revision of expected) {
      expect(cursor.next()).toBe(true);
      expect(cursor.key).toBe(revision.key);
      expect(cursor.state.modMain).toBe(revision.main);
      expect(cursor.state.modSub).toBe(revision.sub);
      expect(cursor.state.version).toBe(revision.version);
    }
    expect(cursor.next()).toBe(false);
    expect(cursor.next()).toBe(false);
  }

  compareLeased(key: string, rangeEnd: string): void {
    if (rangeEnd === SINGLE_KEY) return;
    const now = this.naive.range(key, rangeEnd, this.rev);
    const leased = now.filter(({ lease }) => lease !== 0).length;
    expect(this.index.leasedCount(key, rangeEnd)).toBe(leased);
  }

  compareSince(): void {
    const [key, rangeEnd] = randomRange(this.random, this.words);
    const rev = this.readableRev();
    const list = this.index.revisionsSince(key, rangeEnd, rev);
    const expected = this.naive.since(key, rangeEnd, rev);
    expect(list.mains).toEqual(expected.map((r) => r.main));
    expect(list.subs).toEqual(expected.map((r) => r.sub));
    expect(list.tombstones).toEqual(expected.map((r) => r.tombstone));
  }

  /** Deletes a range at once; its tombstones follow in slices, with anything else between them. */
  deleteRange(): void {
    let [key, rangeEnd] = randomRange(this.random, this.words);
    while (rangeEnd === SINGLE_KEY) [key, rangeEnd] = randomRange(this.random, this.words);
    const main = ++this.rev;
    const found = this.naive.range(key, rangeEnd, main);
    const expected = found.map((revision, sub) => `${revision.key} ${sub}`);
    for (const [sub, revision] of found.entries()) this.naive.tombstone(revision.key, main, sub);
    expect(this.index.count(key, rangeEnd, main - 1)).toBe(found.length);
    const released: string[] = [];
    this.index.releaseLeases(key, rangeEnd, (name, slot) => released.push(`${name} ${slot}`));
    const leased = found.filter(({ lease }) => lease !== 0);
    expect(released).toEqual(leased.map((revision) => `${revision.key} ${revision.lease}`));
    const deletion = this.index.startRangeTombstone(key, rangeEnd, main);
    const deleted: string[] = [];
    for (let done = false; !done; ) {
      for (let i = this.random.below(6); i > 0; i--) {
        if (this.random.below(2) === 0) this.write();
        this.compareGet();
        this.compareRange();
        if (this.random.below(12) === 0) this.compact(main - 1);
      }
      expect(this.index.liveCount).toBe(this.naive.range('', FROM_KEY, this.rev).length);
      expect(this.index.check()).toEqual([]);
      done = deletion.step(1, (name, sub) => deleted.push(`${name} ${sub}`));
    }
    expect(deleted).toEqual(expected);
  }

  /** Compacts in slices of random size, with writes and reads between them. */
  compact(revMax = this.rev): void {
    const from = Math.max(this.compacted, 1);
    if (from >= revMax) return;
    const rev = from + this.random.below(revMax - from + 1);
    this.compacted = rev;
    const compaction = this.index.startCompaction(rev);
    const dropped: string[] = [];
    const expected = this.naive.compact(rev).map((r) => `${r.main}.${r.sub}${r.tombstone}`);
    while (
      !compaction.step(1 + this.random.below(this.random.below(60) + 1), (main, sub, tombstone) => {
        dropped.push(`${main}.${sub}${tombstone}`);
      })
    ) {
      if (this.random.below(2) === 0) this.write();
      this.compareGet();
      this.compareRange();
    }
    expect(dropped.sort()).toEqual(expected.sort());
  }

  /** Replaces the index by one that is restored from the rows, in runs as a boot does, or row by row. */
  restore(inRuns: boolean): void {
    const restored = new KeyIndex();
    restored.setCompactedRev(this.compacted);
    const restore = new IndexRestore(restored, { plainKeys: 0, judgedRows: 10 });
    const rows = [...this.naive.revisions].sort((a, b) => a.main - b.main || a.sub - b.sub);
    for (const row of rows) {
      const { key, main, sub, tombstone, create, version, lease } = row;
      if (inRuns) restore.add(key, main, sub, tombstone, create, version, lease);
      else restored.restoreRow(key, main, sub, tombstone, create, version, lease);
    }
    while (restore.placeNext());
    expect(restored.describe()).toBe(this.index.describe());
    this.index = restored;
  }

  step(): void {
    const kind = this.random.below(100);
    if (kind < 60) this.write();
    else if (kind < 75) this.compareGet();
    else if (kind < 90) this.compareRange();
    else if (kind < 96) this.compareSince();
    else if (kind < 99) this.compact();
    else this.restore(this.random.below(2) === 0);
  }

  finish(): void {
    expect(this.index.check()).toEqual([]);
    expect(this.index.liveCount).toBe(this.naive.range('', '\0', this.rev).length);
    expect(this.index.revisionCount).toBe(this.naive.revisions.length);
  }
}

describe('the index and its naive twin agree', () => {
  test('on few keys with long histories', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const twins = new Twins(seed, 1);
        for (let i = 0; i < 150; i++) twins.step();
        twins.finish();
      }),
      { numRuns: 60 },
    );
  });

  test('on many keys, so that leaves split and join', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const twins = new Twins(seed, 4);
        for (let i = 0; i < 400; i++) twins.write();
        for (let i = 0; i < 60; i++) twins.step();
        twins.finish();
      }),
      { numRuns: 6 },
    );
  });
});

describe('ranges that are deleted at once, with tombstones that follow', () => {
  const step = (twins: Twins): void => {
    if (twins.random.below(8) === 0) twins.deleteRange();
    else twins.step();
  };

  test('few keys with long histories', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const twins = new Twins(seed, 1);
        for (let i = 0; i < 120; i++) step(twins);
        twins.finish();
      }),
      { numRuns: 60 },
    );
  });

  test('many keys, many leaves', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const twins = new Twins(seed, 4);
        for (let i = 0; i < 500; i++) twins.write();
        for (let i = 0; i < 40; i++) step(twins);
        twins.finish();
      }),
      { numRuns: 6 },
    );
  });

  test('one is finished before the next, and before it is compacted', () => {
    const index = new KeyIndex();
    for (let i = 0; i < 500; i++) index.put(`k${i}`, i + 2, 0, 0, state);
    const deletion = index.startRangeTombstone('k', 'l', 600);
    expect(() => index.startRangeTombstone('a', 'b', 601)).toThrow('before the next');
    expect(() => index.startCompaction(600)).toThrow('before it is compacted');
    expect(index.count('', FROM_KEY, 600)).toBe(0);
    expect(index.count('', FROM_KEY, 599)).toBe(500);
    let steps = 0;
    while (!deletion.step(1, () => {})) steps++;
    expect(steps).toBeGreaterThan(2);
    expect(index.describe()).toContain('k0: 600.0 deleted <- 2.0');
  });

  test('no key of them has a lease', () => {
    const index = new KeyIndex();
    index.put('k', 2, 0, 7, state);
    const deletion = index.startRangeTombstone('a', FROM_KEY, 3);
    expect(() => deletion.step(1, () => {})).toThrow('keys of leases');
  });
});

/** Keys whose order is not that of their numbers. */
function scatteredKey(i: number): string {
  return `/registry/${(i * 7919) % 10_007}/${i}`;
}

test('grows to three levels and shrinks to nothing', () => {
  const index = new KeyIndex();
  const total = 20_000;
  for (let i = 0; i < total; i++) index.restoreRow(scatteredKey(i), i + 2, 0, false, i + 2, 1, 0);
  expect(index.check()).toEqual([]);
  expect(index.liveCount).toBe(total);
  expect(index.count('/registry/5', '/registry/6', total + 1)).toBe(
    [...Array(total).keys()].filter((i) => scatteredKey(i).startsWith('/registry/5')).length,
  );
  for (let i = 0; i < total; i++) index.tombstone(scatteredKey(i), total + 2 + i, 0);
  expect(index.liveCount).toBe(0);
  expect(index.count('', '\0', total + 1)).toBe(total);
  const compaction = index.startCompaction(2 * total + 2);
  let dropped = 0;
  while (!compaction.step(1000, () => dropped++));
  expect(dropped).toBe(2 * total);
  expect(index.check()).toEqual([]);
  expect(index.keyCount).toBe(0);
  expect(index.history.used).toBe(0);
  expect(index.describe()).toBe('(empty)');
  index.put('again', 3 * total, 0, 0, state);
  expect(index.get('again', 3 * total, state)).toBe(true);
});

test('keys at the end of a leaf may begin otherwise, whatever chars the others share', () => {
  for (const shared of ['a', 'a\xff', '\xff\xff', '\0']) {
    const index = new KeyIndex();
    const keys = ['1', '2', '\xff', '\xff\xff'].map((end) => shared + end);
    const above = ['b', 'b\0', '\xff\xff\xff\xff\xff'].filter((key) => key > keys.at(-1)!);
    for (const [i, key] of [...keys, ...above].entries()) {
      index.put(key, i + 2, 0, 0, state);
      expect(index.check()).toEqual([]);
    }
  }
});

test.each([
  ['ascending', 1, 1],
  ['descending', 1, -1],
  ['20 ascending sequences at once', 20, 1],
  ['20 descending sequences at once', 20, -1],
])('keys that arrive in order leave full leaves behind: %s', (_, sequences, sign) => {
  const index = new KeyIndex();
  const total = 128 * 20 * 10;
  for (let i = 0; i < total; i++) {
    const number = 500_000 + sign * Math.floor(i / sequences);
    index.restoreRow(`/k/${i % sequences}/${number}`, i + 2, 0, false, i + 2, 1, 0);
  }
  expect(index.check()).toEqual([]);
  expect(index.tree.leafCount).toBeLessThan((total / 128) * 1.25);
});

test('a long history is searched in few steps and compacted in bounded slices', () => {
  const index = new KeyIndex();
  const total = 50_000;
  for (let i = 0; i < total; i++) index.put('hot', i + 2, 0, 0, state);
  for (const rev of [2, 3, 1000, 25_000, total, total + 1]) {
    expect(index.get('hot', rev, state)).toBe(true);
    expect(state.version).toBe(rev - 1);
  }
  const compaction = index.startCompaction(total - 10);
  let steps = 0;
  let dropped = 0;
  for (let done = false; !done; steps++) {
    const before = dropped;
    done = compaction.step(1000, () => dropped++);
    expect(dropped - before).toBeLessThanOrEqual(1000);
    expect(index.get('hot', total - 5, state)).toBe(true);
    expect(state.version).toBe(total - 6);
  }
  expect(steps).toBeGreaterThan(49);
  expect(dropped).toBe(total - 12);
  expect(index.check()).toEqual([]);
  // Jumps of the surviving records into the part that was cut are never followed.
  for (let i = 0; i < 100; i++) index.put(`other${i}`, total + 10 + i, 0, 0, state);
  for (let i = 0; i < 100; i++) index.put(`other${i}`, total + 200 + i, 0, 0, state);
  for (let rev = total - 10; rev <= total + 1; rev++) {
    expect(index.get('hot', rev, state)).toBe(true);
    expect(state.modMain).toBe(rev);
  }
});

test('revisions cut in one slice are dropped in the next, though their leaf has nothing else', () => {
  const index = new KeyIndex();
  for (let rev = 2; rev < 12; rev++) index.put('k', rev, 0, 0, state);
  const compaction = index.startCompaction(11);
  const dropped: number[] = [];
  for (let i = 0; !compaction.step(2, (main) => dropped.push(main)); i++)
    expect(i).toBeLessThan(20);
  expect(dropped).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2]);
  expect(index.check()).toEqual([]);
});

test('what HashKV keeps: what lives at the hashed revision, never a tombstone', () => {
  const index = new KeyIndex();
  index.put('a', 2, 0, 0, state);
  index.put('a', 3, 0, 0, state);
  index.put('b', 4, 0, 0, state);
  index.tombstone('b', 5, 0);
  index.put('c', 6, 0, 0, state);
  index.put('c', 6, 1, 0, state);
  const kept = (rev: number) =>
    [
      ['a', 2, 0],
      ['a', 3, 0],
      ['b', 4, 0],
      ['b', 5, 0],
      ['c', 6, 0],
      ['c', 6, 1],
    ]
      .filter(([key, main, sub]) => index.isKept(key as string, main as number, sub as number, rev))
      .map(([key, main, sub]) => `${key} ${main}.${sub}`);
  expect(kept(2)).toEqual(['a 2.0']);
  expect(kept(4)).toEqual(['a 3.0', 'b 4.0']);
  expect(kept(5)).toEqual(['a 3.0']);
  expect(kept(6)).toEqual(['a 3.0', 'c 6.1']);
  expect(index.keepsNothing(6)).toBe(false);
  index.tombstone('a', 7, 0);
  index.tombstone('c', 7, 1);
  expect(index.keepsNothing(7)).toBe(true);
  expect(index.keepsNothing(6)).toBe(false);
  expect(index.keepsNothing(1)).toBe(true);
});

describe('compaction, by the worked example of the index', () => {
  const written = () => {
    const index = new KeyIndex();
    index.put('k', 2, 0, 0, state);
    index.put('k', 4, 1, 0, state);
    index.tombstone('k', 5, 0);
    index.put('k', 7, 0, 0, state);
    return index;
  };
  const dropsAt = (rev: number) => {
    const index = written();
    const dropped: string[] = [];
    index.startCompaction(rev).step(1000, (main, sub, tombstone) => {
      dropped.push(`${main}.${sub}${tombstone ? 't' : ''}`);
    });
    return dropped.sort();
  };

  test('the example itself', () => {
    expect(written().describe()).toBe(
      'k: 7.0 (create 7, version 1) <- 5.0 deleted <- 4.1 (create 2, version 2)' +
        ' <- 2.0 (create 2, version 1)',
    );
  });
  test.each([
    [3, []],
    [4, ['2.0']],
    [5, ['2.0', '4.1']],
    [6, ['2.0', '4.1', '5.0t']],
    [7, ['2.0', '4.1', '5.0t']],
  ])('at %i drops %j', (rev, expected) => {
    expect(dropsAt(rev)).toEqual(expected);
  });
});

test('a read below the compacted revision is our own mistake', () => {
  const index = new KeyIndex();
  index.put('k', 2, 0, 0, state);
  index.put('k', 3, 0, 0, state);
  index.startCompaction(3).step(100, () => {});
  expect(() => index.get('k', 2, state)).toThrow('not below the compacted revision');
  expect(() => index.startCompaction(2)).toThrow('does not go back');
});

test('revisions of a key only grow', () => {
  const index = new KeyIndex();
  index.put('k', 3, 1, 0, state);
  expect(() => index.put('k', 3, 1, 0, state)).toThrow('only grow');
  expect(() => index.put('k', 2, 0, 0, state)).toThrow('only grow');
});

test('a cursor goes on after its last key when the tree changed', () => {
  const index = new KeyIndex();
  for (let i = 0; i < 300; i++) index.put(`k${i}`, i + 2, 0, 0, state);
  const cursor = index.cursor();
  cursor.open('k', '\0', 301);
  const seen: string[] = [];
  for (let i = 0; cursor.next(); i++) {
    seen.push(cursor.key);
    index.put(`k${i}x`, 400 + i, 0, 0, state);
    if (i === 100) index.startCompaction(301).step(10_000, () => {});
  }
  expect(seen).toEqual([...Array(300).keys()].map((i) => `k${i}`).sort());
});

test('the log of changes is bounded, and a count before it walks the keys', () => {
  const index = new KeyIndex();
  for (let i = 0; i < 5000; i++) index.put(`k${i % 2500}`, i + 2, 0, 0, state);
  expect(index.changes.size).toBe(2500);
  for (let i = 0; i < 2000; i++) index.tombstone(`k${i}`, 6000 + i, 0);
  expect(index.changes.size).toBe(4500);
  expect(index.count('k', 'l', 2000)).toBe(1999);
  expect(index.count('k', 'l', 6999)).toBe(1500);
  const compaction = index.startCompaction(6500);
  while (!compaction.step(1000, () => {}));
  expect(index.changes.size).toBeLessThan(2500);
  index.changes.floorRev = 7100;
  expect(index.count('k', 'l', 6999)).toBe(1500);
});
