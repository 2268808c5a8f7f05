// HashKV and Hash beside naive versions of etcd's rules, and beside etcd's own values.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeWith, need, sharedData } from '../../../test/helpers/real-etcd.ts';
import { bytesFromLatin1, crc32c, latin1FromBytes, seededRandom } from '../../base/index.ts';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import { revisionKey } from '../../mvcc/index.ts';
import { mvccpb } from '../../protocol/index.ts';
import { BUCKET, META_KEY } from '../schema/schema.ts';
import { StoreRig } from '../testing/store.fixture.ts';

const SEED = Number(process.env['STORE_SEED'] ?? 1);

const reference = sharedData('reference');

interface HashVectors {
  readonly R_equals_s_plus_35: readonly number[];
  readonly R_equals_current: readonly number[];
}

/** Every row that was ever written. */
interface Row {
  readonly main: number;
  readonly sub: number;
  readonly tombstone: boolean;
  readonly bytes: Uint8Array;
  readonly key: string;
}

async function on(seed: number, body: (env: SimEnv) => Promise<void>): Promise<void> {
  const env = createSimEnv({ seed, autoRun: false });
  await env.run(() => body(env));
}

/** The rows of the newest revision. */
function newestRows(rig: StoreRig, since: number): Row[] {
  const cursor = rig.backend.openRows(since, 0);
  const rows: Row[] = [];
  while (cursor.next()) {
    const { buffer, offset, length } = cursor.value;
    const bytes = buffer.slice(offset, offset + length);
    const key = latin1FromBytes(mvccpb.KeyValueCodec.decode(bytes).key);
    const { main, sub, tombstone } = cursor;
    rows.push({ main, sub, tombstone, bytes, key });
  }
  cursor.close();
  return rows;
}

/** The newest row of each key at or before a revision. */
function newestAt(rows: readonly Row[], rev: number): Row[] {
  const newest = new Map<string, Row>();
  for (const row of rows) if (row.main <= rev) newest.set(row.key, row);
  return [...newest.values()];
}

/** What is left in the file when a compaction is done. */
function compacted(rows: readonly Row[], rev: number): Row[] {
  const kept = new Set(newestAt(rows, rev).filter((row) => !row.tombstone || row.main === rev));
  return rows.filter((row) => row.main > rev || kept.has(row));
}

/** etcd's kvHasher, fed with rows that are in the file and a set of rows to keep. */
function hashOf(
  rows: readonly Row[],
  compactRev: number,
  rev: number,
  keep: ReadonlySet<Row>,
): number {
  let hash = crc32c(0, bytesFromLatin1('key'));
  for (const row of rows) {
    if (row.main > rev) continue;
    if (row.main <= compactRev && keep.size > 0 && !keep.has(row)) continue;
    if (row.main === compactRev && row.tombstone) continue;
    hash = crc32c(hash, revisionKey(row.main, row.sub, row.tombstone));
    hash = crc32c(hash, row.bytes);
  }
  return hash;
}

const hashAt = (rows: readonly Row[], compactRev: number, rev: number): number =>
  hashOf(rows, compactRev, rev, new Set(newestAt(rows, rev).filter((row) => !row.tombstone)));

/** What the compaction at `rev` computes on its way. */
const hashOfCompaction = (rows: readonly Row[], compactRev: number, rev: number): number =>
  hashOf(
    rows,
    compactRev,
    rev,
    new Set(newestAt(rows, rev).filter((row) => !row.tombstone || row.main === rev)),
  );

describe('HashKV beside a naive one', () => {
  test.each([...Array(8).keys()].map((i) => SEED * 100 + i))('seed %i', async (seed) => {
    await on(seed, async (env) => {
      const random = seededRandom(seed);
      const rig = await StoreRig.open(env, { batchIntervalMs: 3 });
      // Few keys and many deletions: moments without any key are the odd case.
      const keyCount = 1 + (seed % 3);
      let all: Row[] = [];
      let compactRev = -1;
      const step = async (): Promise<void> => {
        const before = rig.kv.currentRev;
        const key = `k${random.below(keyCount)}`;
        const kind = random.below(10);
        if (kind < 4) rig.put(key, `${all.length}`);
        else if (kind < 5) rig.txn(Array.from({ length: 3 }, (_, i) => [`t${i}`, `${i}`] as const));
        else if (kind < 7) rig.delete(key);
        else rig.delete('\0', '\0');
        if (rig.kv.currentRev > before) all.push(...newestRows(rig, before + 1));
        if (random.below(4) > 0 || rig.kv.currentRev <= Math.max(compactRev, 1)) return;
        const low = Math.max(compactRev, 1) + 1;
        const rev = low + random.below(rig.kv.currentRev - low + 1);
        await rig.compact(rev).physical;
        const atCompaction = await rig.machine.hashKv(rev);
        expect(atCompaction).toEqual({
          hash: hashOfCompaction(all, compactRev, rev),
          compactRevision: compactRev,
          hashRevision: rev,
        });
        all = compacted(all, rev);
        compactRev = rev;
      };
      for (let i = 0; i < 60; i++) {
        await step();
        const rev = Math.max(1, compactRev + 1) + random.below(4);
        if (rev > rig.kv.currentRev) continue;
        const { hash, compactRevision } = await rig.machine.hashKv(rev);
        expect(compactRevision).toBe(compactRev);
        expect(hash, `revision ${rev}, compacted at ${compactRev}`).toBe(
          hashAt(all, compactRev, rev),
        );
      }
      const { currentRev } = rig.kv;
      await rig.backend.commit();
      expect(newestRows(rig, 0).map(({ main, sub }) => [main, sub])).toEqual(
        all.map(({ main, sub }) => [main, sub]),
      );
      await rig.close();
      const again = await StoreRig.open(env);
      expect(again.kv.currentRev).toBe(currentRev);
      expect((await again.machine.hashKv(0)).hash).toBe(hashAt(all, compactRev, currentRev));
      await again.close();
    });
  });
});

describe('HashKV', () => {
  test('does not count what a compaction under way has not removed yet', async () => {
    await on(1, async (env) => {
      const rig = await StoreRig.open(env, { sleepMs: 1000 });
      for (let i = 0; i < 10; i++) rig.put('a', `${i}`);
      rig.delete('a');
      rig.put('b', '1');
      rig.delete('b');
      const all = newestRows(rig, 0);
      const { physical } = rig.compact(6);
      // Nothing lives at the newest revision: then etcd leaves out nothing that is in the file.
      const { hash, compactRevision } = await rig.machine.hashKv(0);
      expect(compactRevision).toBe(6);
      expect(hash).toBe(hashAt(compacted(all, 6), 6, 14));
      await physical;
      expect((await rig.machine.hashKv(0)).hash).toBe(hash);
      await rig.close();
    });
  });

  test('keeps the checksums of the last ten compactions, below the compacted revision too', async () => {
    await on(2, async (env) => {
      const rig = await StoreRig.open(env);
      const taken = new Map<number, number>();
      for (let rev = 2; rev <= 14; rev++) {
        rig.put('a', `${rev}`);
        await rig.compact(rev).physical;
        taken.set(rev, (await rig.machine.hashKv(rev)).hash);
      }
      for (let rev = 5; rev <= 14; rev++) {
        const { hash, compactRevision } = await rig.machine.hashKv(rev);
        expect([hash, compactRevision]).toEqual([taken.get(rev), rev - 1]);
      }
      await expect(rig.machine.hashKv(4)).rejects.toMatchObject({ code: 'COMPACTED' });
      await expect(rig.machine.hashKv(15)).rejects.toMatchObject({ code: 'FUTURE_REV' });
      await rig.close();
      const again = await StoreRig.open(env);
      await expect(again.machine.hashKv(13)).rejects.toMatchObject({ code: 'COMPACTED' });
      expect((await again.machine.hashKv(14)).compactRevision).toBe(14);
      await again.close();
    });
  });

  test('of an empty store', async () => {
    await on(3, async (env) => {
      const rig = await StoreRig.open(env);
      expect(await rig.machine.hashKv(0)).toEqual({
        hash: crc32c(0, bytesFromLatin1('key')),
        compactRevision: -1,
        hashRevision: 1,
      });
      await rig.close();
    });
  });
});

describeWith('the values that etcd computes', [reference], () => {
  const read = (): HashVectors =>
    JSON.parse(readFileSync(join(need(reference), 'storage.json'), 'utf8')).test_vectors
      .hashkv as HashVectors;

  const keyOf = (i: number): string => {
    if (i % 142 === 30) return 'zenek';
    if (i % 71 === 30) return 'xavery';
    return ['alice', 'bob', 'celine', 'dominik', 'eve', 'frederica', 'gorge'][i % 7]!;
  };

  test.each(['R_equals_s_plus_35', 'R_equals_current'] as const)('%s', async (name) => {
    await on(4, async (env) => {
      const rig = await StoreRig.open(env, { batchRows: 1000 });
      const found: number[] = [];
      const byCompaction: number[] = [];
      for (let start = 0; start < 1210; start += 71) {
        for (let i = start; i <= start + 71; i++) rig.put(keyOf(i), `${i}`);
        const rev = name === 'R_equals_current' ? rig.kv.currentRev : start + 35;
        found.push((await rig.machine.hashKv(rev)).hash);
        await rig.compact(rev).physical;
        byCompaction.push((await rig.machine.hashKv(rev)).hash);
      }
      const vectors = read()[name];
      expect(found.slice(0, vectors.length)).toEqual(vectors);
      expect(byCompaction.slice(0, vectors.length)).toEqual(vectors);
      await rig.close();
    });
  });
});

test('Hash covers every bucket as it lies in the file, but for what members differ in', async () => {
  await on(5, async (env) => {
    const rig = await StoreRig.open(env);
    rig.put('a', '1');
    rig.grant(7n, 100);
    rig.put('b', '2', 7n);
    rig.delete('a');
    rig.alarm(1, 5n, 1);
    rig.backend.set(BUCKET.META, META_KEY.CONF_STATE, bytesFromLatin1('{}'));
    const hash = await rig.machine.hash();
    const tree = rig.backend.beginTreeRead();
    let naive = 0;
    const names = tree.cursor();
    for (let found = names.first(); found; found = names.next()) {
      naive = crc32c(naive, names.key());
      const rows = tree.bucket(names.key())!.cursor();
      for (let row = rows.first(); row; row = rows.next()) {
        if (['consistent_index', 'term', 'storageVersion'].includes(latin1FromBytes(rows.key()))) {
          continue;
        }
        naive = crc32c(crc32c(naive, rows.key()), rows.value());
      }
    }
    tree.close();
    expect(hash).toBe(naive);
    rig.backend.set(BUCKET.META, META_KEY.TERM, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 9));
    expect(await rig.machine.hash()).toBe(hash);
    rig.delete('b'); // Nothing else: the alarm refuses puts.
    expect(await rig.machine.hash()).not.toBe(hash);
    await rig.close();
  });
});
