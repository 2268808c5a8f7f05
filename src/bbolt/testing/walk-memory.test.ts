// A walk reads into the memory of pages that it has visited.

import { expect, test } from 'vitest';
import { bytesFromLatin1, latin1FromBytes, type Random, seededRandom } from '../../base/index.ts';
import { SimDisk } from '../../env/sim/index.ts';
import type { Database, ReadTransaction } from '../api.ts';
import { openDatabase } from '../file/open.ts';
import { testEnv } from './test-env.fixture.ts';

const SEED = Number(process.env['BBOLT_SEED'] ?? 1);
const PAGE_SIZE = 4096;
const NAME = bytesFromLatin1('rows');
const ROWS = 12_000;
const keyOf = (i: number): string => `key ${String(i).padStart(6, '0')}`;

type Rows = Map<string, number>;

/** Rows in any order, so that neighbours are not side by side; some have overflow pages. */
async function fill(database: Database, random: Random): Promise<Rows> {
  const rows: Rows = new Map();
  for (let round = 0; round < 6; round++) {
    const transaction = await database.beginWrite();
    const bucket = transaction.createBucketIfNotExists(NAME);
    for (let n = 0; n < ROWS / 4; n++) {
      const key = keyOf(random.below(ROWS));
      const length = random.below(300) === 0 ? 3 * PAGE_SIZE : 1 + random.below(1000);
      const mark = random.below(256);
      rows.set(key, length * 256 + mark);
      bucket.put(bytesFromLatin1(key), new Uint8Array(length).fill(mark));
    }
    await transaction.commit();
  }
  return rows;
}

async function walk(read: ReadTransaction, buffers: Set<ArrayBufferLike>): Promise<Rows> {
  const found: Rows = new Map();
  await read.walk(NAME, {
    entry(bytes, keyOffset, keyLength, valueOffset, valueLength) {
      buffers.add(bytes.buffer);
      const key = latin1FromBytes(bytes, keyOffset, keyOffset + keyLength);
      const [mark] = bytes.subarray(valueOffset);
      const value = bytes.subarray(valueOffset, valueOffset + valueLength);
      found.set(key, value.every((byte) => byte === mark) ? valueLength * 256 + mark! : -1);
      return true;
    },
  });
  return found;
}

const sorted = (rows: Rows): [string, number][] => [...rows].sort(([a], [b]) => (a < b ? -1 : 1));

test('several at a time see every row, in few buffers', async () => {
  const env = testEnv(new SimDisk({ seed: SEED }));
  const database = await openDatabase(env, '/db', { pageSize: PAGE_SIZE });
  const random = seededRandom(SEED);
  await fill(database, random);
  const rows = await fill(database, random);
  const read = database.beginRead();
  const whole = await walk(read, new Set());
  const buffers = [new Set<ArrayBufferLike>(), new Set<ArrayBufferLike>()] as const;
  const writing = fill(database, random);
  const found = await Promise.all(buffers.map((own) => walk(read, own)));
  await writing;
  for (const one of found) expect([...one]).toEqual(sorted(whole));
  for (const [key, value] of rows) expect(whole.get(key)).toBe(value);
  // For more than 1,500 leaves in a dozen batches.
  for (const own of buffers) expect(own.size).toBeLessThan(110);
  const [first, second] = buffers;
  expect([...first].filter((buffer) => second.has(buffer))).toEqual([]);
  read.close();
  expect(await database.check()).toEqual([]);
  await database.close();
});
