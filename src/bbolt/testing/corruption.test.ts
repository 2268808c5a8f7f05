// Damaged files: whatever is in them, every operation succeeds or rejects with an error that names
// the file; nothing else is thrown, nothing runs for ever. To repeat a failure:
// TETCD_SEED=<seed> npx vitest run src/bbolt/testing/corruption.test.ts

import { expect, test } from 'vitest';
import { bytesFromLatin1, type Random, seededRandom, TetcdError } from '../../base/index.ts';
import { SimDisk } from '../../env/sim/index.ts';
import type { Bucket, Cursor, Database, DatabaseOptions } from '../api.ts';
import { openDatabase } from '../file/open.ts';
import { diskWith, testEnv } from './test-env.fixture.ts';

const SEED = Number(process.env['TETCD_SEED'] ?? 3);
const ROUNDS = Number(process.env['TETCD_ROUNDS'] ?? 200);
const PAGE_SIZE = 512;

/** A database with branches, overflow, nested and inline buckets, and free pages. */
async function sample(options: DatabaseOptions): Promise<Uint8Array> {
  const disk = new SimDisk({ seed: 1 });
  const database = await openDatabase(testEnv(disk), '/db', { pageSize: PAGE_SIZE, ...options });
  for (let round = 0; round < 4; round++) {
    const tx = await database.beginWrite();
    const bucket = tx.createBucketIfNotExists(bytesFromLatin1('big'));
    for (let i = 0; i < 120; i++) {
      const key = bytesFromLatin1(`key-${(i * 7 + round * 31) % 300}`);
      bucket.put(key, new Uint8Array(i % 17 === 0 ? 900 : i % 50).fill(round));
    }
    for (let i = 0; i < 40; i++) bucket.delete(bytesFromLatin1(`key-${i * round}`));
    const nested = bucket.createBucketIfNotExists(bytesFromLatin1('nested'));
    for (let i = 0; i < 50; i++) nested.put(bytesFromLatin1(`n${i}`), new Uint8Array(20));
    tx.createBucketIfNotExists(bytesFromLatin1('inline')).put(
      Uint8Array.of(round),
      Uint8Array.of(1),
    );
    await tx.commit();
  }
  const used = database.size();
  await database.close();
  return disk.contentOf('/db').subarray(0, used);
}

function damage(content: Uint8Array, random: Random): Uint8Array {
  const damaged = content.slice();
  const count = 1 + random.below(3);
  for (let i = 0; i < count; i++) {
    const page = random.below(damaged.length / PAGE_SIZE);
    const dice = random.below(10);
    // Headers and element headers are where damage is interesting.
    const at = page * PAGE_SIZE + random.below(dice < 6 ? 96 : PAGE_SIZE);
    if (dice < 3) {
      damaged[at] = damaged[at]! ^ (1 << random.below(8));
    } else if (dice < 7) {
      damaged[at] = random.below(256);
    } else if (dice < 8) {
      damaged.fill(random.below(2) * 255, at, Math.min(at + random.below(64), damaged.length));
    } else {
      const other = random.below(damaged.length / PAGE_SIZE) * PAGE_SIZE;
      damaged.copyWithin(page * PAGE_SIZE, other, other + PAGE_SIZE);
      if (dice === 9) new DataView(damaged.buffer).setUint32(page * PAGE_SIZE, page, true);
    }
  }
  return damaged;
}

/** Runs it; true if it succeeded, false if it failed as it may. */
async function survives(work: () => unknown): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (error instanceof TetcdError && error.code === 'CORRUPT') {
      expect(error.message).toContain('/db');
      return false;
    }
    // A commit that failed for that reason lets no writer in any more.
    if (error instanceof TetcdError && error.cause instanceof TetcdError) {
      expect(error.cause.code).toBe('CORRUPT');
      return false;
    }
    throw error;
  }
}

const STEPS_MAX = 20_000;

function readAll(bucket: Pick<Bucket, 'cursor' | 'bucket'>, depth = 0): void {
  for (const way of ['next', 'prev'] as const) {
    const cursor: Cursor = bucket.cursor();
    let steps = 0;
    for (
      let on = way === 'next' ? cursor.first() : cursor.last();
      on && steps < STEPS_MAX;
      on = cursor[way](), steps++
    ) {
      expect(cursor.value().length).toBe(cursor.valueLength);
      // Where branch keys are wrong, a search may miss what a walk meets.
      const nested = cursor.isBucket ? bucket.bucket(cursor.key()) : undefined;
      if (nested !== undefined && depth < 5) readAll(nested, depth + 1);
      else bucket.cursor().seekExact(cursor.key());
    }
  }
}

async function useAll(database: Database): Promise<void> {
  await survives(() => database.check());
  const tx = database.beginRead();
  await survives(() => readAll(tx));
  for (const name of ['big', 'inline', 'missing']) {
    const visitor = { entry: () => true };
    await survives(() => tx.walk(bytesFromLatin1(name), visitor, bytesFromLatin1('key-2')));
    await survives(() =>
      tx.bucket(bytesFromLatin1(name))?.prefetch(new Uint8Array(0), undefined, 1e6),
    );
  }
  tx.close();
  await survives(() => database.copyTo(async () => undefined));
}

async function write(database: Database): Promise<void> {
  const tx = await database.beginWrite();
  try {
    const bucket = tx.createBucketIfNotExists(bytesFromLatin1('big'));
    for (let i = 0; i < 300; i += 2) bucket.delete(bytesFromLatin1(`key-${i}`));
    for (let i = 0; i < 50; i++) bucket.put(bytesFromLatin1(`new-${i}`), new Uint8Array(100));
    if (tx.bucket(bytesFromLatin1('inline'))) tx.deleteBucket(bytesFromLatin1('inline'));
    if (bucket.bucket(bytesFromLatin1('nested'))) bucket.deleteBucket(bytesFromLatin1('nested'));
    await tx.commit();
  } finally {
    tx.rollback();
  }
}

for (const noFreelistSync of [true, false]) {
  test(`damage, free list ${noFreelistSync ? 'not written' : 'written'}`, {
    timeout: 180_000,
  }, async () => {
    const options: DatabaseOptions = { noFreelistSync };
    const content = await sample(options);
    let refused = 0;
    let reported = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const seed = SEED * 10_000 + round;
      const damaged = damage(content, seededRandom(seed));
      const readOnly = round % 3 === 0;
      const work = async (): Promise<void> => {
        const disk = await diskWith('/db', damaged);
        const database = await openDatabase(testEnv(disk), '/db', { ...options, readOnly });
        await useAll(database);
        if ((await database.check()).length > 0) reported++;
        if (!readOnly) {
          await survives(async () => {
            await write(database);
            await write(database).catch((error: unknown) => {
              if (!(error instanceof TetcdError)) throw error;
            });
          });
          const target = await openDatabase(testEnv(new SimDisk({ seed: 1 })), '/db');
          await survives(() => database.compactInto(target));
          await target.close();
        }
        await database.close();
      };
      try {
        if (!(await survives(work))) refused++;
      } catch (error) {
        throw new Error(`seed ${SEED}, round ${round}: ${String(error)}`, { cause: error });
      }
    }
    // The damage is real: much of it is seen at the door, more by the check.
    expect(refused).toBeGreaterThan(ROUNDS / 6);
    expect(reported).toBeGreaterThan(ROUNDS / 20);
  });
}

test('a file cut anywhere is refused, or is one whose creation was cut off', async () => {
  const content = await sample({});
  for (let length = 0; length < content.length; length += 256) {
    const disk = await diskWith('/db', content.subarray(0, length));
    const readOnly = await survives(async () => {
      await (await openDatabase(testEnv(disk), '/db', { readOnly: true })).close();
    });
    expect(readOnly).toBe(false);
    const opened = await survives(async () => {
      await (await openDatabase(testEnv(disk), '/db', {})).close();
    });
    expect(opened, `cut at ${length}`).toBe(length === 0);
  }
});
