import { expect, test } from 'vitest';
import { bytesFromLatin1, equalBytes, seededRandom } from '../../base/index.ts';
import { SimDisk } from '../../env/sim/index.ts';
import type { Cursor, ReadBucket } from '../api.ts';
import { openDatabase } from '../file/open.ts';
import { testEnv } from './test-env.fixture.ts';

const SEED = Number(process.env['BBOLT_SEED'] ?? 1);
const PAGE_SIZE = 1024;
const NAME = bytesFromLatin1('rows');
const keyOf = (i: number): Uint8Array => bytesFromLatin1(`key ${String(i).padStart(6, '0')}`);

/** Every third key, with values on the leaf and beyond it. */
async function open(rows: number, pageCacheBytes: number, disk = new SimDisk({ seed: SEED })) {
  const settings = { pageSize: PAGE_SIZE, pageCacheBytes };
  const database = await openDatabase(testEnv(disk), '/db', settings);
  const random = seededRandom(SEED);
  const values = new Map<number, Uint8Array>();
  const transaction = await database.beginWrite();
  const bucket = transaction.createBucket(NAME);
  for (let i = 0; i < rows; i++) {
    const length = random.below(20) === 0 ? 5 * PAGE_SIZE : random.below(150);
    const value = new Uint8Array(length).fill(random.below(256));
    values.set(3 * i, value);
    bucket.put(keyOf(3 * i), value);
  }
  await transaction.commit();
  return { database, values };
}

const valueAt = (cursor: Cursor): Uint8Array =>
  cursor.valueBytes.slice(cursor.valueOffset, cursor.valueOffset + cursor.valueLength);

test.each([
  [2, 64 * 1024],
  [4000, 16 * 1024],
  [4000, 16 * 1024 * 1024],
])('%i rows, a cache of %i bytes: finds what is there', async (rows, pageCacheBytes) => {
  const { database, values } = await open(rows, pageCacheBytes);
  const read = database.beginRead();
  const bucket: ReadBucket = read.bucket(NAME)!;
  const cursors = [bucket.passingCursor(), bucket.passingCursor()];
  const random = seededRandom(SEED);
  let at = 0;
  for (let step = 0; step < 6000; step++) {
    // Neighbours often, as in a scan; anywhere, and keys that are missing, now and then.
    at = random.below(5) === 0 ? random.below(3 * rows + 5) : (at + 3) % (3 * rows);
    const cursor = cursors[random.below(2)]!;
    const expected = values.get(at);
    expect(cursor.seekExact(keyOf(at)), `key ${at}`).toBe(expected !== undefined);
    if (expected !== undefined) expect(equalBytes(valueAt(cursor), expected)).toBe(true);
    // Another cursor, and the cache, are none the wiser.
    if (random.below(10) > 0) continue;
    const other = 3 * random.below(rows);
    expect(equalBytes(bucket.get(keyOf(other))!, values.get(other)!)).toBe(true);
  }
  read.close();
  expect(() => cursors[0]!.seekExact(keyOf(0))).toThrow('tx closed');
  expect(await database.check()).toEqual([]);
  await database.close();
});

test('leaves that are passed share one buffer, and are not cached', async () => {
  const disk = new SimDisk({ seed: SEED });
  const { database, values } = await open(4000, 16 * 1024 * 1024, disk);
  await database.close();
  const again = await openDatabase(testEnv(disk), '/db', { pageSize: PAGE_SIZE });
  const read = again.beginRead();
  const bucket = read.bucket(NAME)!;
  const cursor = bucket.passingCursor();
  const buffers = new Set<ArrayBufferLike>();
  const pass = (): void => {
    for (let i = 0; i < 4000; i++) {
      expect(cursor.seekExact(keyOf(3 * i))).toBe(true);
      expect(equalBytes(valueAt(cursor), values.get(3 * i)!)).toBe(true);
      buffers.add(cursor.valueBytes.buffer);
    }
  };
  pass();
  const misses = again.statistics().cacheMisses;
  pass();
  expect(again.statistics().cacheMisses - misses).toBeGreaterThan(400);
  // It grew with the largest leaves.
  expect(buffers.size).toBeLessThan(8);
  read.close();
  await again.close();
});
