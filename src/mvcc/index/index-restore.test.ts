import { expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { RESTORE_RUN_ROWS } from '../limits.ts';
import { IndexRestore } from './index-restore.ts';
import { KeyIndex } from './key-index.ts';

const SEED = 20_261_130;

/** Puts and tombstones of keys that come and go, as rows in revision order. */
function* rows(count: number, keys: number) {
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
  const restore = new IndexRestore(built, plainKeys);
  for (const { key, main, sub, tombstone, create, version, lease } of rows(count, keys)) {
    plain.restoreRow(key, main, sub, tombstone, create, version, lease);
    restore.add(key, main, sub, tombstone, create, version, lease);
  }
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
