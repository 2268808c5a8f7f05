// What the public interface promises beside the data itself: errors, limits, who waits for whom.

import { expect, test } from 'vitest';
import { bytesFromUtf8, hasCode, utf8FromBytes } from '../../base/index.ts';
import { OPEN_MODES } from '../../env/index.ts';
import { SimDisk } from '../../env/sim/index.ts';
import type { Database, DatabaseOptions } from '../api.ts';
import { testEnv } from '../testing/test-env.fixture.ts';
import { grownFileSize } from '../write/page-builder.ts';
import { openDatabase } from './open.ts';
import type { Pager } from './pager.ts';

const b = bytesFromUtf8;

async function opened(
  options: DatabaseOptions = {},
): Promise<{ disk: SimDisk; database: Database }> {
  const disk = new SimDisk({ seed: 5 });
  return { disk, database: await openDatabase(testEnv(disk), '/db', options) };
}

/** Commits keys `0`..`count-1`, in ordered batches, into the bucket `key`. */
async function fill(database: Database, count: number, value: Uint8Array): Promise<void> {
  const tx = await database.beginWrite();
  const bucket = tx.createBucketIfNotExists(b('key'));
  bucket.fillPercent = 0.9;
  for (let i = 0; i < count; i++) bucket.put(b(String(i).padStart(8, '0')), value);
  await tx.commit();
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => 'no failure',
    (error: unknown) => error,
  );
}

test('the texts of bbolt', async () => {
  const { database } = await opened();
  const tx = await database.beginWrite();
  const bucket = tx.createBucket(b('bucket'));
  bucket.createBucket(b('nested'));
  bucket.put(b('plain'), b('value'));
  expect(() => bucket.put(new Uint8Array(0), b('x'))).toThrow('key required');
  expect(() => bucket.put(new Uint8Array(32_769), b('x'))).toThrow('key too large');
  expect(() => bucket.put(b('nested'), b('x'))).toThrow('incompatible value');
  expect(() => bucket.delete(b('nested'))).toThrow('incompatible value');
  expect(() => bucket.createBucket(b('plain'))).toThrow('incompatible value');
  expect(() => bucket.createBucketIfNotExists(b('plain'))).toThrow('incompatible value');
  expect(() => bucket.createBucket(b('nested'))).toThrow('bucket already exists');
  expect(() => bucket.createBucket(new Uint8Array(0))).toThrow('bucket name required');
  expect(() => bucket.deleteBucket(b('none'))).toThrow('bucket not found');
  expect(() => bucket.deleteBucket(b('plain'))).toThrow('incompatible value');
  expect(bucket.bucket(b('plain'))).toBeUndefined();
  expect(bucket.get(b('nested'))).toBeUndefined();
  bucket.put(new Uint8Array(32_768), b('largest key'));
  await tx.commit();
  expect(() => bucket.put(b('late'), b('x'))).toThrow('tx closed');
  expect(() => tx.bucket(b('bucket'))).toThrow('tx closed');
  expect(await failure(tx.commit())).toMatchObject({ code: 'CLOSED' });
  tx.rollback();
  const reader = database.beginRead();
  expect(reader.bucket(b('bucket'))!.get(new Uint8Array(32_768))).toEqual(b('largest key'));
  const cursor = reader.bucket(b('bucket'))!.cursor();
  reader.close();
  reader.close();
  expect(() => cursor.first()).toThrow('tx closed');
  expect(() => reader.bucket(b('bucket'))).toThrow('tx closed');
});

test('a deleted bucket is unusable; one made anew under its name is empty', async () => {
  const { database } = await opened();
  const tx = await database.beginWrite();
  const old = tx.createBucket(b('bucket'));
  old.put(b('key'), b('value'));
  const cursor = old.cursor();
  tx.deleteBucket(b('bucket'));
  expect(() => old.put(b('key'), b('x'))).toThrow('bucket not found');
  expect(() => cursor.first()).toThrow('bucket not found');
  expect(tx.createBucket(b('bucket')).get(b('key'))).toBeUndefined();
  await tx.commit();
  expect(await database.check()).toEqual([]);
});

test('sequences are unsigned 64-bit numbers and last', async () => {
  const { disk, database } = await opened();
  const tx = await database.beginWrite();
  const bucket = tx.createBucket(b('bucket'));
  expect(bucket.nextSequence()).toBe(1n);
  bucket.setSequence(2n ** 64n - 1n);
  expect(() => bucket.setSequence(2n ** 64n)).toThrow('unsigned');
  expect(() => bucket.setSequence(-1n)).toThrow('unsigned');
  await tx.commit();
  await database.close();
  const again = await openDatabase(testEnv(disk), '/db');
  expect(again.beginRead().bucket(b('bucket'))!.sequence()).toBe(2n ** 64n - 1n);
});

test('a second opener is told at once; a reader needs no lock', async () => {
  const { disk, database } = await opened();
  await fill(database, 10, b('x'));
  expect(await failure(openDatabase(testEnv(disk), '/db'))).toMatchObject({ code: 'LOCKED' });
  const reader = await openDatabase(testEnv(disk), '/db', { readOnly: true });
  expect(reader.readOnly).toBe(true);
  expect(reader.beginRead().bucket(b('key'))!.get(b('00000003'))).toEqual(b('x'));
  expect(await failure(reader.beginWrite())).toMatchObject({ code: 'INVALID_ARGUMENT' });
  await database.close();
  await (await openDatabase(testEnv(disk), '/db')).close();
  const missing = openDatabase(testEnv(disk), '/none', { readOnly: true });
  expect(await failure(missing)).toMatchObject({ code: 'NOT_FOUND' });
});

test('options out of range', async () => {
  const disk = new SimDisk({ seed: 1 });
  for (const options of [{ pageSize: 256 }, { pageSize: 5000 }, { pageCacheBytes: -1 }]) {
    const refused = await failure(openDatabase(testEnv(disk), '/db', options));
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT' });
  }
  expect(await disk.stat('/db')).toBeUndefined();
});

test('writers go one by one, in order; readers see whole commits only', async () => {
  const { database } = await opened();
  await fill(database, 1, b('0'));
  const order: number[] = [];
  const writers = Array.from({ length: 10 }, async (_, i) => {
    const tx = await database.beginWrite();
    order.push(i);
    const bucket = tx.bucket(b('key'))!;
    const before = Number(utf8FromBytes(bucket.get(b('00000000'))!));
    bucket.put(b('00000000'), b(String(before + 1)));
    bucket.put(b('copy'), b(String(before + 1)));
    const committing = tx.commit();
    const reader = database.beginRead();
    await Promise.resolve();
    const seen = reader.bucket(b('key'))!;
    expect(utf8FromBytes(seen.get(b('00000000'))!)).toBe(String(before));
    await committing;
    expect(utf8FromBytes(seen.get(b('00000000'))!)).toBe(String(before));
    if (before > 0) expect(seen.get(b('copy'))).toEqual(seen.get(b('00000000')));
    reader.close();
  });
  await Promise.all(writers);
  expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(utf8FromBytes(database.beginRead().bucket(b('key'))!.get(b('copy'))!)).toBe('10');
});

test('a pinned snapshot keeps its pages; once it is closed they are used again', async () => {
  const { database } = await opened({ pageSize: 512 });
  await fill(database, 2000, new Uint8Array(50));
  const pinned = database.beginRead();
  for (let i = 0; i < 5; i++) await fill(database, 2000, new Uint8Array(50).fill(i + 1));
  const pinnedSize = database.size();
  expect(database.statistics().pendingPages).toBeGreaterThan(1000);
  await pinned.walk(b('key'), {
    entry: (bytes, _key, _keyLength, value) => {
      expect(bytes[value]).toBe(0);
      return true;
    },
  });
  pinned.close();
  for (let i = 0; i < 20; i++) await fill(database, 2000, new Uint8Array(50));
  expect(database.size()).toBe(pinnedSize);
  expect(database.sizeInUse()).toBeLessThan(pinnedSize * 0.6);
  expect(await database.check()).toEqual([]);
});

test('deleting everything gives the space back to later commits', async () => {
  const { database } = await opened({ pageSize: 512 });
  await fill(database, 3000, new Uint8Array(100));
  const full = database.size();
  const tx = await database.beginWrite();
  const cursor = tx.bucket(b('key'))!.cursor();
  for (let on = cursor.first(); on; on = cursor.next()) cursor.delete();
  expect(cursor.first()).toBe(false);
  await tx.commit();
  for (let i = 0; i < 3; i++) await fill(database, 1, b('x'));
  expect(database.sizeInUse()).toBeLessThan(20 * 512);
  await fill(database, 3000, new Uint8Array(100));
  expect(database.size()).toBeLessThan(full * 1.2);
  expect(await database.check()).toEqual([]);
});

test('keys appended in order leave pages as full as asked for', async () => {
  const { database } = await opened();
  for (let from = 0; from < 20_000; from += 500) {
    const tx = await database.beginWrite();
    const bucket = tx.createBucketIfNotExists(b('key'));
    bucket.fillPercent = 0.9;
    for (let i = from; i < from + 500; i++) {
      bucket.put(b(String(i).padStart(17, '0')), new Uint8Array(300));
    }
    await tx.commit();
  }
  const bytes = 20_000 * (16 + 17 + 300);
  expect(database.sizeInUse()).toBeLessThan((bytes / 0.9) * 1.05);
});

test('very large nodes are cut in memory, at the end and in the middle', async () => {
  const { database } = await opened();
  const value = new Uint8Array(700_000).fill(1);
  const tx = await database.beginWrite();
  const bucket = tx.createBucket(b('huge'));
  // Each leaf holds two of these at most, so that the branch above is cut as well.
  const count = 9000;
  const keyOf = (i: number) => b(String((i * 4001) % count).padStart(6, '0'));
  for (let i = 0; i < count; i++) bucket.put(keyOf(i), value);
  const cursor = bucket.cursor();
  let seen = 0;
  for (let on = cursor.first(); on; on = cursor.next()) {
    expect(utf8FromBytes(cursor.key())).toBe(String(seen++).padStart(6, '0'));
  }
  expect(seen).toBe(count);
  tx.rollback();

  const small = await database.beginWrite();
  const ordered = small.createBucket(b('small'));
  for (let i = 0; i < 30_000; i++) ordered.put(b(String((i * 7919) % 30_000)), b(String(i)));
  await small.commit();
  expect(await database.check()).toEqual([]);
  const reader = database.beginRead().bucket(b('small'))!;
  for (let i = 0; i < 30_000; i += 101) {
    expect(reader.get(b(String((i * 7919) % 30_000)))).toEqual(b(String(i)));
  }
});

test('a full disk fails the commit and nothing else', async () => {
  const { disk, database } = await opened({ pageSize: 512 });
  await fill(database, 100, new Uint8Array(100));
  disk.capacity = disk.usedSize + 20_000;
  expect(await failure(fill(database, 4000, new Uint8Array(500)))).toMatchObject({
    code: 'DISK_FULL',
  });
  expect(database.beginRead().bucket(b('key'))!.get(b('00000099'))).toHaveLength(100);
  expect(await database.check()).toEqual([]);
  disk.capacity = Number.POSITIVE_INFINITY;
  await fill(database, 4000, new Uint8Array(500));
  expect(await database.check()).toEqual([]);
  await database.close();
  expect(await (await openDatabase(testEnv(disk), '/db')).check()).toEqual([]);
});

test.each(['sync', 'write'] as const)('after a failed %s no writer is let in', async (kind) => {
  const { disk, database } = await opened();
  await fill(database, 10, b('x'));
  disk.intercept = (operation) => (operation.kind === kind ? 'failed' : undefined);
  const tx = await database.beginWrite();
  const waiting = failure(database.beginWrite());
  tx.bucket(b('key'))!.put(b('more'), b('y'));
  expect(hasCode(await failure(tx.commit()), 'DISK_FAILED')).toBe(true);
  expect(await waiting).toMatchObject({ code: 'DISK_FAILED' });
  disk.intercept = undefined;
  expect(await failure(database.beginWrite())).toMatchObject({ code: 'DISK_FAILED' });
  expect(database.beginRead().bucket(b('key'))!.get(b('00000003'))).toEqual(b('x'));
  await database.close();
});

test('close waits for the commit under way and refuses what comes later', async () => {
  const { disk, database } = await opened();
  const tx = await database.beginWrite();
  tx.createBucket(b('key')).put(b('a'), b('1'));
  const committing = tx.commit();
  const waiting = failure(database.beginWrite());
  const reader = database.beginRead();
  await Promise.all([committing, database.close(), database.close()]);
  expect(await waiting).toMatchObject({ code: 'CLOSED' });
  expect(() => database.beginRead()).toThrow('database not open');
  expect(() => reader.bucket(b('key'))).toThrow('database not open');
  await database.close();
  const again = await openDatabase(testEnv(disk), '/db');
  expect(again.beginRead().bucket(b('key'))!.get(b('a'))).toEqual(b('1'));
});

test('a transaction that changes nothing writes nothing', async () => {
  const { disk, database } = await opened();
  await fill(database, 10, b('x'));
  const { effectCount } = disk;
  const tx = await database.beginWrite();
  tx.createBucketIfNotExists(b('key')).delete(b('none'));
  expect(await tx.commit()).toMatchObject({ txid: 2, pagesWritten: 0 });
  expect(disk.effectCount).toBe(effectCount);
});

test('more than 65,534 free pages are listed with the count in front', async () => {
  const { disk, database } = await opened({ pageSize: 512, noFreelistSync: false });
  await fill(database, 1, new Uint8Array(512 * 70_000));
  for (let i = 0; i < 3; i++) await fill(database, 1, b('small'));
  expect(database.statistics().freePages).toBeGreaterThan(65_535);
  await database.close();
  const reader = await openDatabase(testEnv(disk), '/db', { readOnly: true });
  expect(await reader.check()).toEqual([]);
  await reader.close();
  const file = await disk.open('/db', OPEN_MODES.READ);
  const meta = new Uint8Array(80);
  // The last commit has number 5.
  file.readSync(meta, 512);
  const list = new Uint8Array(24);
  file.readSync(list, new DataView(meta.buffer).getUint32(48, true) * 512);
  expect(new DataView(list.buffer).getUint16(10, true)).toBe(0xffff);
  expect(new DataView(list.buffer).getUint32(16, true)).toBeGreaterThan(65_535);
  await file.close();
});

test('files grow by doubling, then in steps of 16 MiB', () => {
  const mebibyte = 1024 * 1024;
  expect(grownFileSize(1)).toBe(32 * 1024);
  expect(grownFileSize(32 * 1024 + 1)).toBe(64 * 1024);
  expect(grownFileSize(16 * mebibyte)).toBe(16 * mebibyte);
  expect(grownFileSize(16 * mebibyte + 1)).toBe(32 * mebibyte + 1);
  expect(grownFileSize(1000 * mebibyte)).toBe(1016 * mebibyte);
});

test('long work is cut into slices', async () => {
  const disk = new SimDisk({ seed: 5 });
  let nowMs = 0;
  let turns = 0;
  const env = {
    ...testEnv(disk),
    // Every look at the clock costs a millisecond.
    clock: { wallMs: () => 0, monotonicMs: () => nowMs++ },
    timers: {
      ...testEnv(disk).timers,
      nextTurn: async () => {
        turns++;
        await testEnv(disk).timers.nextTurn();
      },
    },
  };
  const database = await openDatabase(env, '/db', { pageSize: 512 });
  const counted = async (work: () => Promise<unknown>): Promise<number> => {
    turns = 0;
    await work();
    return turns;
  };
  expect(await counted(() => fill(database, 30_000, new Uint8Array(40)))).toBeGreaterThan(0);
  const deleteMost = async (): Promise<void> => {
    const tx = await database.beginWrite();
    const cursor = tx.bucket(b('key'))!.cursor();
    for (let on = cursor.first(), i = 0; on; on = cursor.next(), i++) if (i % 9) cursor.delete();
    await tx.commit();
  };
  expect(await counted(deleteMost)).toBeGreaterThan(100);
  expect(await counted(() => database.check())).toBeGreaterThan(10);
  const walk = database.beginRead().walk(b('key'), { entry: () => true });
  expect(await counted(() => walk)).toBeGreaterThan(10);
  const deleteAll = async (): Promise<void> => {
    const tx = await database.beginWrite();
    tx.deleteBucket(b('key'));
    await tx.commit();
  };
  expect(await counted(deleteAll)).toBeGreaterThan(10);
  await database.close();
});

test('a page that is read once gets no second chance in the cache, nor a copy', async () => {
  const { database } = await opened({ pageSize: 4096, pageCacheBytes: 256 * 1024 });
  await fill(database, 10_000, new Uint8Array(100));
  const { pager } = database as unknown as { readonly pager: Pager };
  let cold = 10;
  while (pager.cache.has(cold)) cold++;
  expect(pager.page(cold).used).toBe(false);
  expect(pager.page(cold).used).toBe(true);
  await database.close();
});

test('a cache that is dropped, with a transaction open, is read again', async () => {
  const { database } = await opened();
  await fill(database, 2000, b('v'.repeat(100)));
  const tx = await database.beginWrite();
  tx.bucket(b('key'))!.put(b('00000007'), b('new'));
  const reader = database.beginRead();
  const read = (key: string) => utf8FromBytes(reader.bucket(b('key'))!.get(b(key))!);
  expect(read('00001500')).toBe('v'.repeat(100));
  database.dropCache();
  expect(database.statistics()).toMatchObject({ cachedBytes: 0, cachedPages: 0 });
  const { cacheMisses } = database.statistics();
  expect(read('00001500')).toBe('v'.repeat(100));
  expect(database.statistics().cacheMisses).toBeGreaterThan(cacheMisses);
  await tx.commit();
  expect(read('00000007')).toBe('v'.repeat(100));
  reader.close();
  expect(await database.check()).toEqual([]);
  await database.close();
});
