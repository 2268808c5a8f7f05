// A crash at every effect on the disk, with unsynced writes lost, kept or torn: afterwards the
// database holds exactly what it held before the commit under way, or exactly what that commit made.

import { expect, test } from 'vitest';
import { bytesFromLatin1, seededRandom, TetcdError } from '../../base/index.ts';
import { crashEverywhere, SimDisk } from '../../env/sim/index.ts';
import type { Database, DatabaseOptions, WriteBucket } from '../api.ts';
import { openDatabase } from '../file/open.ts';
import { diskWith, testEnv } from './test-env.fixture.ts';
import { cutAnywhere, expectEqual, TwinBucket } from './twin.fixture.ts';

const SEED = Number(process.env['TETCD_SEED'] ?? 11);
const BUCKET = 'bucket';

/** What the work was promised: the state of the last finished commit, and the one under way. */
interface Promised {
  durable: TwinBucket;
  underWay: TwinBucket | undefined;
}

function twinOf(): { root: TwinBucket; bucket: TwinBucket } {
  const root = new TwinBucket();
  const bucket = new TwinBucket();
  root.entries.set(BUCKET, bucket);
  return { root, bucket };
}

/** Puts and deletes that make pages split, merge, overflow and go inline. */
function change(bucket: WriteBucket, twin: TwinBucket, round: number): void {
  const random = seededRandom(SEED * 1000 + round);
  const count = round % 3 === 2 ? 3 : 60;
  for (let i = 0; i < count; i++) {
    const text = `key-${random.below(150)}`;
    if (random.below(3) === 0) {
      bucket.delete(bytesFromLatin1(text));
      twin.entries.delete(text);
    } else {
      const value = new Uint8Array(random.below(round % 4 === 1 ? 3000 : 80)).fill(round);
      const key = bytesFromLatin1(text);
      if (i % 2 === 0) bucket.put(key, value);
      else bucket.putPieces(key, 0, key.length, cutAnywhere(random, value));
      twin.entries.set(text, value);
    }
  }
}

async function work(disk: SimDisk, options: DatabaseOptions, state: Promised): Promise<void> {
  let database = await openDatabase(testEnv(disk), '/db', options);
  let twin = twinOf();
  for (let round = 0; round < 8; round++) {
    const next = { root: twin.root.copy() };
    const bucketTwin = next.root.entries.get(BUCKET) as TwinBucket;
    const tx = await database.beginWrite();
    change(tx.createBucketIfNotExists(bytesFromLatin1(BUCKET)), bucketTwin, round);
    state.underWay = next.root;
    await tx.commit();
    state.durable = next.root;
    state.underWay = undefined;
    twin = { root: next.root, bucket: bucketTwin };
    if (round === 4) {
      await database.close();
      database = await openDatabase(testEnv(disk), '/db', options);
    }
  }
  await database.close();
}

async function matches(database: Database, twin: TwinBucket): Promise<boolean> {
  const tx = database.beginRead();
  try {
    expectEqual(tx, twin);
    return true;
  } catch {
    return false;
  } finally {
    tx.close();
  }
}

async function checkFound(
  disk: SimDisk,
  options: DatabaseOptions,
  { durable, underWay }: Promised,
): Promise<void> {
  const database = await openDatabase(testEnv(disk), '/db', options);
  expect(await database.check()).toEqual([]);
  const whole =
    (await matches(database, durable)) ||
    (underWay !== undefined && (await matches(database, underWay)));
  expect(whole, 'exactly the state before or after the commit').toBe(true);
  // And it goes on.
  const tx = await database.beginWrite();
  tx.createBucketIfNotExists(bytesFromLatin1('after')).put(Uint8Array.of(1), new Uint8Array(700));
  await tx.commit();
  expect(await database.check()).toEqual([]);
  await database.close();
}

for (const noFreelistSync of [true, false]) {
  test(`every crash, free list ${noFreelistSync ? 'not written' : 'written'}`, {
    timeout: 240_000,
  }, async () => {
    const options: DatabaseOptions = { pageSize: 512, noFreelistSync };
    const points = await crashEverywhere<Promised>({
      seed: SEED,
      outcomes: 3,
      newState: () => ({ durable: new TwinBucket(), underWay: undefined }),
      work: (disk, state) => work(disk, options, state),
      check: (disk, state) => checkFound(disk, options, state),
    });
    expect(points).toBeGreaterThan(40);
  });
}

test('either meta page may rot, even while a commit has written its pages', async () => {
  const disk = new SimDisk({ seed: SEED });
  const options: DatabaseOptions = { pageSize: 512 };
  let database = await openDatabase(testEnv(disk), '/db', options);
  const states: TwinBucket[] = [];
  const moments: Uint8Array[] = [];
  disk.intercept = ({ kind }) => {
    if (kind === 'sync') moments.push(disk.contentOf('/db'));
    return undefined;
  };
  let twin = twinOf().root;
  for (let round = 0; round < 25; round++) {
    twin = twin.copy();
    const tx = await database.beginWrite();
    const bucket = tx.createBucketIfNotExists(bytesFromLatin1(BUCKET));
    change(bucket, twin.entries.get(BUCKET) as TwinBucket, round);
    const { txid } = await tx.commit();
    states[txid] = twin;
    // The first sync of the commit covers its pages, the second its meta page.
    for (const [i, content] of moments.splice(0).entries()) {
      const newest = i === 0 ? txid - 1 : txid;
      if (states[newest - 1] === undefined) continue;
      const rotten = await diskWith('/db', content);
      rotten.corrupt('/db', (newest % 2) * 512 + 20, Uint8Array.of(0xff, 0xff));
      const found = await openDatabase(testEnv(rotten), '/db', { ...options, readOnly: true });
      expect(await matches(found, states[newest - 1]!), `commit ${txid}, sync ${i}`).toBe(true);
      expect(await found.check()).toEqual([]);
      await found.close();
    }
    if (round % 3 > 0) continue;
    // What is found free when the file is opened may still be reached by the older meta page.
    await database.close();
    database = await openDatabase(testEnv(disk), '/db', options);
    moments.length = 0;
  }
  await database.close();
});

test.each(['full', 'failed'] as const)(
  'a disk that fails (%s) at any effect of a commit',
  async (fault) => {
    for (let failing = 1; ; failing++) {
      const disk = new SimDisk({ seed: SEED + failing });
      const options: DatabaseOptions = { pageSize: 512, noFreelistSync: false };
      const database = await openDatabase(testEnv(disk), '/db', options);
      const before = twinOf();
      const commit = async (twin: TwinBucket, round: number): Promise<unknown> => {
        const tx = await database.beginWrite();
        const bucket = tx.createBucketIfNotExists(bytesFromLatin1(BUCKET));
        change(bucket, twin.entries.get(BUCKET) as TwinBucket, round);
        return await tx.commit().catch((error: unknown) => error);
      };
      await commit(before.root, 1);
      const after = before.root.copy();
      const start = disk.effectCount;
      disk.failAtEffect(start + failing, fault);
      const outcome = await commit(after, 0);
      disk.intercept = undefined;
      if (disk.effectCount < start + failing) break;
      expect(outcome).toBeInstanceOf(TetcdError);
      expect(await matches(database, before.root)).toBe(true);
      const goesOn = await database.beginWrite().then(
        (tx) => tx.rollback() ?? true,
        () => false,
      );
      if (fault === 'failed') expect(goesOn).toBe(false);
      let expected = [before.root, after];
      if (goesOn) {
        // The failed commit left nothing behind: the same changes go through now.
        const again = before.root.copy();
        await commit(again, 0);
        expect(await matches(database, again)).toBe(true);
        expected = [again];
      }
      expect(await database.check()).toEqual([]);
      await database.close();
      // After a failed sync only a crash tells what the disk holds.
      const found = await openDatabase(testEnv(disk.crash({ seed: failing })), '/db', options);
      const held = await Promise.all(expected.map((twin) => matches(found, twin)));
      expect(held, `effect ${failing}`).toContain(true);
      expect(await found.check()).toEqual([]);
      await found.close();
      if (failing === 1) expect(goesOn).toBe(fault === 'full');
    }
  },
);
