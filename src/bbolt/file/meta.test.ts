import { expect, test } from 'vitest';
import { hasCode } from '../../base/index.ts';
import { OPEN_MODES } from '../../env/index.ts';
import { SimDisk } from '../../env/sim/index.ts';
import { diskWith, testEnv } from '../testing/test-env.fixture.ts';
import { EXAMPLE_HEX, EXAMPLE_PAGE_SIZE } from './example.fixture.ts';
import { META_SIZE, PAGE_HEADER_SIZE, readU64, writeBigU64, writeU64 } from './layout.ts';
import { decodeMeta, encodeMeta, fnv1a64, type Meta } from './meta.ts';
import { openDatabase } from './open.ts';

const META: Meta = {
  pageSize: 4096,
  flags: 0,
  rootPage: 17,
  rootSequence: 0xffff_ffff_ffff_ffffn,
  freelistPage: undefined,
  highWater: 2 ** 33,
  txid: 2 ** 40 + 1,
};

function encoded(meta: Meta): Uint8Array {
  const page = new Uint8Array(meta.pageSize).fill(0xee);
  encodeMeta(meta, meta.txid % 2, page);
  return page;
}

/** Changes a field and makes the checksum fit again. */
function forged(at: number, value: bigint): Uint8Array {
  const page = encoded(META);
  writeBigU64(page, PAGE_HEADER_SIZE + at, value);
  const end = PAGE_HEADER_SIZE + META_SIZE - 8;
  writeBigU64(page, end, fnv1a64(page, PAGE_HEADER_SIZE, end));
  return page;
}

test('FNV-1a: the published values', () => {
  const bytes = new TextEncoder().encode('foobar');
  expect(fnv1a64(bytes, 0, 0)).toBe(0xcbf29ce484222325n);
  expect(fnv1a64(bytes, 0, 1)).toBe(0xaf63db4c8601ead9n);
  expect(fnv1a64(bytes, 0, 6)).toBe(0x85944171f73967e8n);
});

test('a meta page is decoded to what was encoded', () => {
  expect(decodeMeta(encoded(META))).toEqual(META);
  const other = { ...META, freelistPage: 5, rootSequence: 3n, highWater: 18, txid: 0 };
  expect(decodeMeta(encoded(other))).toEqual(other);
});

test('every bit of a meta counts', () => {
  const good = encoded(META);
  for (let bit = 0; bit < META_SIZE * 8; bit++) {
    const bad = good.slice();
    const at = PAGE_HEADER_SIZE + (bit >> 3);
    bad[at] = bad[at]! ^ (1 << (bit & 7));
    expect(typeof decodeMeta(bad), `bit ${bit}`).toBe('string');
  }
  for (let length = 0; length < PAGE_HEADER_SIZE + META_SIZE; length++) {
    expect(typeof decodeMeta(good.subarray(0, length))).toBe('string');
  }
});

test.each([
  ['a page size that is no power of two', 8, 4095n],
  ['a page size of 256', 8, 256n],
  ['a page size of 128 KiB', 8, 131_072n],
  ['a root on a meta page', 16, 1n],
  ['a root beyond the high-water mark', 16, 2n ** 33n],
  ['a root beyond 2^63', 16, 2n ** 64n - 1n],
  ['a free list on a meta page', 32, 0n],
  ['a free list beyond the high-water mark', 32, 2n ** 34n],
  ['a high-water mark of 2', 40, 2n],
  ['a file beyond 2^53', 40, 2n ** 42n],
  ['a transaction id of 2^53', 48, 2n ** 53n],
])('%s is refused though the checksum fits', (_name, at, value) => {
  expect(typeof decodeMeta(forged(at, value))).toBe('string');
});

test('numbers beyond 32 bits keep their value', () => {
  const bytes = new Uint8Array(8);
  for (const value of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 45 + 12_345, 2 ** 53 - 1]) {
    writeU64(bytes, 0, value);
    expect(readU64(bytes, 0)).toBe(value);
  }
});

test('the example of the README is what a new database looks like', async () => {
  const disk = new SimDisk({ seed: 1 });
  const database = await openDatabase(testEnv(disk), '/db', { pageSize: EXAMPLE_PAGE_SIZE });
  const tx = await database.beginWrite();
  const bucket = tx.createBucket(new TextEncoder().encode('b'));
  bucket.put(new TextEncoder().encode('key'), new TextEncoder().encode('value'));
  await tx.commit();
  await database.close();
  const content = disk.contentOf('/db');
  for (const [offset, hex] of EXAMPLE_HEX) {
    const expected = hex.replaceAll(' ', '');
    const found = Buffer.from(content.subarray(offset, offset + expected.length / 2));
    expect(found.toString('hex'), `at ${offset}`).toBe(expected);
  }
});

test('the page size is found whichever meta page is left', async () => {
  for (const pageSize of [512, 1024, 4096, 16_384, 65_536]) {
    const disk = new SimDisk({ seed: 1 });
    const database = await openDatabase(testEnv(disk), '/db', { pageSize });
    const tx = await database.beginWrite();
    tx.createBucket(Uint8Array.of(1)).put(Uint8Array.of(2), new Uint8Array(pageSize * 2));
    await tx.commit();
    await database.close();
    for (const lost of [0, 1]) {
      const found = await diskWith('/db', disk.contentOf('/db'));
      found.corrupt('/db', lost * pageSize, new Uint8Array(80));
      const again = await openDatabase(testEnv(found), '/db', { pageSize: 2048 });
      expect(again.pageSize).toBe(pageSize);
      // The commit is number 2 and stands in page 0.
      const { txid } = again.beginRead();
      expect(txid).toBe(lost === 0 ? 1 : 2);
      expect(await again.check()).toEqual([]);
    }
  }
});

test('without a valid meta page the file is refused by name and left as it is', async () => {
  const disk = new SimDisk({ seed: 1 });
  const file = await disk.open('/some.db', OPEN_MODES.CREATE);
  await file.write([new Uint8Array(65_536).fill(7)], 0);
  await file.close();
  const before = disk.contentOf('/some.db');
  const error = await openDatabase(testEnv(disk), '/some.db').catch((e: unknown) => e);
  expect(hasCode(error, 'CORRUPT')).toBe(true);
  expect(String(error)).toContain('/some.db: page 0');
  expect(disk.contentOf('/some.db')).toEqual(before);
});
