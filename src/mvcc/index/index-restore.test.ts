import { expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { RESTORE_PATHS, RESTORE_RUN_ROWS } from '../limits.ts';
import { IndexRestore } from './index-restore.ts';
import { KeyIndex } from './key-index.ts';
import type { NaiveRevision } from './naive-index.fixture.ts';

const SEED = 20_261_130;

/** Puts and tombstones of keys that come and go, as rows in revision order. */
function* rows(count: number, keys: number): Generator<NaiveRevision> {
  const random = seededRandom(SEED);
  const live = new Map<string, { create: number; version: number }>();
  for (let i = 0; i < count; i++) {
    const [main, sub] = [2 + (i >> 1), i & 1];
    const number = random.below(keys);
    const key = `/registry/kind-${number % 7}/${(number * 7919) % 10_007}${'x'.repeat(number % 13)}`;
    const before = live.get(key);
    if (before !== undefined && random.below(4) === 0) {
      live.delete(key);
      yield { key, main, sub, tombstone: true, create: 0, version: 0, lease: 0 };
    } else {
      const state = { create: before?.create ?? main, version: (before?.version ?? 0) + 1 };
      live.set(key, state);
      yield { key, main, sub, tombstone: false, ...state, lease: number % 3 };
    }
  }
}

function addTo(plain: KeyIndex, restore: IndexRestore, row: NaiveRevision): void {
  const { key, main, sub, tombstone, create, version, lease } = row;
  plain.restoreRow(key, main, sub, tombstone, create, version, lease);
  restore.add(key, main, sub, tombstone, create, version, lease);
}

test.each([
  ['no row', 0, 1, 0],
  ['less than a run', 100, 20, 0],
  ['a run', RESTORE_RUN_ROWS, 3000, 0],
  ['a run and a row', RESTORE_RUN_ROWS + 1, 3000, 0],
  ['runs of many keys', 3 * RESTORE_RUN_ROWS + 77, 20_000, 0],
  ['runs of one key', 2 * RESTORE_RUN_ROWS + 5, 1, 0],
  ['runs behind plain rows', 2 * RESTORE_RUN_ROWS + 5, 20_000, 5_000],
])('in runs as row by row: %s', (_, count, keys, plainKeys) => {
  const [plain, built] = [new KeyIndex(), new KeyIndex()];
  const compacted = count >> 3;
  plain.setCompactedRev(compacted);
  built.setCompactedRev(compacted);
  const restore = new IndexRestore(built, { plainKeys, judgedRows: 10 });
  for (const row of rows(count, keys)) addTo(plain, restore, row);
  while (restore.placeNext());
  expect(built.check()).toEqual([]);
  expect(built.describe()).toBe(plain.describe());
  expect(built.newestRev).toBe(plain.newestRev);
  expect([built.liveCount, built.revisionCount, built.changes.size]).toEqual([
    plain.liveCount,
    plain.revisionCount,
    plain.changes.size,
  ]);
  const random = seededRandom(SEED);
  for (let i = 0; i < 50; i++) {
    const rev = compacted + random.below(plain.newestRev - compacted + 2);
    const [from, end] = [
      `/registry/kind-${random.below(7)}/`,
      `/registry/kind-${random.below(9)}/3`,
    ];
    expect(built.count(from, end, rev)).toBe(plain.count(from, end, rev));
  }
});

/** Keys of ascending sequences in turns, some turns changed, with rows of other keys in between. */
function* sequences(count: number, width: number, seed: number): Generator<NaiveRevision> {
  const random = seededRandom(seed);
  const ends = new Array<number>(width).fill(0);
  const keys: string[] = [];
  for (let main = 2; main < count + 2; main++) {
    const sequence = random.below(100) === 0 ? random.below(width) : main % width;
    const isNew = keys.length === 0 || random.below(50) > 0;
    ends[sequence]! += 1 + random.below(3);
    const made = `/s/${sequence}/${String(ends[sequence]).padStart(6, '0')}`;
    const key = isNew ? made : keys[random.below(keys.length)]!;
    if (isNew) keys.push(key);
    const tombstone = !isNew && random.below(2) === 0;
    yield { key, main, sub: 0, tombstone, create: main, version: 1, lease: 0 };
  }
}

test.each([
  ['one', 1],
  ['ten', 10],
  ['half as many as are followed', RESTORE_PATHS / 2],
  ['as many as are followed', RESTORE_PATHS],
  ['one too many', RESTORE_PATHS + 1],
])('ascending sequences as row by row: %s', (_, width) => {
  for (let seed = 1; seed <= 5; seed++) {
    const [plain, built] = [new KeyIndex(), new KeyIndex()];
    const restore = new IndexRestore(built, { plainKeys: 8000 });
    for (const row of sequences(20_000, width, seed)) addTo(plain, restore, row);
    // The rows of sequences that are followed were not collected.
    if (width < RESTORE_PATHS) expect(restore.placeNext()).toBe(false);
    while (restore.placeNext());
    expect(built.check()).toEqual([]);
    expect(built.describe()).toBe(plain.describe());
    expect(built.changes.size).toBe(plain.changes.size);
  }
});
