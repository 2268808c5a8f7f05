// The page store on its own: ordered puts with commits, point reads, full scans.
//
//   npm run build && node bench/micro/bbolt.mjs [keys]
//
// Seeded; prints microseconds of CPU (all threads) per operation and a checksum of what was read.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '../../dist/base/index.js';
import { openDatabase } from '../../dist/bbolt/index.js';
import { createNodeEnv } from '../../dist/net/index.js';

const KEYS = Number(process.argv[2] ?? 200_000);
const BATCH = 10_000;
const VALUE_SIZE = 300;
const READS = 200_000;

const env = createNodeEnv();
const directory = mkdtempSync(join(tmpdir(), 'tetcd-bbolt-'));
const path = join(directory, 'db');
const name = Buffer.from('key');

/** A key as etcd's revisions: 8 bytes main, '_', 8 bytes sub. */
function keyOf(i, key = new Uint8Array(17)) {
  const view = new DataView(key.buffer);
  view.setUint32(4, i);
  key[8] = 0x5f;
  return key;
}

async function measure(label, count, work) {
  const cpuBefore = process.cpuUsage();
  const wallBefore = performance.now();
  const checksum = await work();
  const cpu = process.cpuUsage(cpuBefore);
  const wallMs = performance.now() - wallBefore;
  const cpuUs = (cpu.user + cpu.system) / count;
  const wallUs = (wallMs * 1000) / count;
  console.log(
    `${label.padEnd(44)} ${cpuUs.toFixed(3).padStart(9)} us CPU ${wallUs.toFixed(3).padStart(9)} us wall  ${checksum}`,
  );
}

function xor(bytes, offset, length, sum) {
  return (Math.imul(sum, 31) + length + bytes[offset] + bytes[offset + length - 1]) | 0;
}

async function fill(database) {
  for (let from = 0; from < KEYS; from += BATCH) {
    const tx = await database.beginWrite();
    const bucket = tx.createBucketIfNotExists(name);
    bucket.fillPercent = 0.9;
    for (let i = from; i < Math.min(KEYS, from + BATCH); i++) {
      const value = new Uint8Array(VALUE_SIZE);
      value[0] = i;
      bucket.put(keyOf(i), value);
    }
    await tx.commit();
  }
  return database.size();
}

function pointReads(database) {
  const random = seededRandom(1);
  const tx = database.beginRead();
  const bucket = tx.bucket(name);
  const key = new Uint8Array(17);
  let sum = 0;
  for (let i = 0; i < READS; i++) {
    const value = bucket.get(keyOf(random.below(KEYS), key));
    sum = xor(value, 0, value.length, sum);
  }
  tx.close();
  return sum;
}

function scanByCursor(database) {
  const tx = database.beginRead();
  const cursor = tx.bucket(name).cursor();
  let sum = 0;
  for (let on = cursor.first(); on; on = cursor.next()) {
    sum = xor(cursor.valueBytes, cursor.valueOffset, cursor.valueLength, sum);
  }
  tx.close();
  return sum;
}

async function scanByWalk(database) {
  const tx = database.beginRead();
  let sum = 0;
  await tx.walk(name, {
    entry(bytes, _keyOffset, _keyLength, valueOffset, valueLength) {
      sum = xor(bytes, valueOffset, valueLength, sum);
      return true;
    },
  });
  tx.close();
  return sum;
}

try {
  let database = await openDatabase(env, path, { pageCacheBytes: 2 ** 30 });
  await measure(`put ${VALUE_SIZE} B in order, commits of ${BATCH}`, KEYS, () => fill(database));
  await measure('get at random, pages cached', READS, async () => pointReads(database));
  await measure('get at random, again', READS, async () => pointReads(database));
  await measure('cursor over all, pages cached', KEYS, async () => scanByCursor(database));
  await measure('cursor over all, again', KEYS, async () => scanByCursor(database));
  await database.close();

  database = await openDatabase(env, path, { pageCacheBytes: 2 ** 22 });
  await measure('cursor over all, small cache', KEYS, async () => scanByCursor(database));
  await measure('get at random, small cache', READS, async () => pointReads(database));
  await measure('walk over all', KEYS, () => scanByWalk(database));
  await database.close();

  await measure('open with the scan for free pages', KEYS, async () => {
    let sum = 0;
    const entry = (bytes, keyOffset, keyLength) => {
      sum = xor(bytes, keyOffset, keyLength, sum);
      return true;
    };
    database = await openDatabase(env, path, { visit: () => [{ bucket: name, entry }] });
    return sum;
  });
  const target = await openDatabase(env, join(directory, 'compacted'), { noSync: true });
  await measure('compaction', KEYS, async () => {
    await database.compactInto(target);
    return target.size();
  });
  await measure('check', KEYS, async () => (await database.check()).length);
  await target.close();
  await database.close();
} finally {
  rmSync(directory, { recursive: true, force: true });
}
