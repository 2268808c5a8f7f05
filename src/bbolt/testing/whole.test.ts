// What passes over whole databases: the scan at opening, walks, prefetch, copies, compaction, check.

import { expect, test } from 'vitest';
import { bytesFromUtf8, seededRandom, utf8FromBytes } from '../../base/index.ts';
import { OPEN_MODES } from '../../env/index.ts';
import { SimDisk } from '../../env/sim/index.ts';
import type { Bucket, Database, DatabaseOptions, EntryVisitor } from '../api.ts';
import { openDatabase } from '../file/open.ts';
import { diskWith, testEnv } from './test-env.fixture.ts';

const b = bytesFromUtf8;
const keyOf = (i: number): Uint8Array => b(`key-${String(i).padStart(6, '0')}`);

/** Buckets `key` (many pages, some values large), `meta` (inline), `nest` (with buckets inside). */
async function sample(
  options: DatabaseOptions = {},
): Promise<{ disk: SimDisk; database: Database }> {
  const disk = new SimDisk({ seed: 5 });
  const database = await openDatabase(testEnv(disk), '/db', { pageSize: 1024, ...options });
  for (let round = 0; round < 5; round++) {
    const tx = await database.beginWrite();
    const bucket = tx.createBucketIfNotExists(b('key'));
    for (let i = 0; i < 2000; i++) {
      const value = new Uint8Array((i + round) % 97 === 0 ? 5000 : 60 + (i % 50)).fill(round);
      bucket.put(keyOf((i * 7 + round) % 4000), value);
    }
    for (let i = 0; i < 300; i++) bucket.delete(keyOf(i * round));
    tx.createBucketIfNotExists(b('meta')).put(b('round'), b(String(round)));
    const nest = tx.createBucketIfNotExists(b('nest'));
    nest.setSequence(BigInt(round));
    const inner = nest.createBucketIfNotExists(b(`inner-${round}`));
    for (let i = 0; i < 100 * round; i++) inner.put(keyOf(i), keyOf(i));
    inner.nextSequence();
    await tx.commit();
  }
  return { disk, database };
}

interface Content {
  readonly [key: string]: string | { readonly sequence: bigint; readonly content: Content };
}

function contentOf(bucket: Pick<Bucket, 'cursor' | 'bucket'>): Content {
  const content: Record<string, Content[string]> = {};
  const cursor = bucket.cursor();
  for (let on = cursor.first(); on; on = cursor.next()) {
    const key = utf8FromBytes(cursor.key());
    const nested = bucket.bucket(cursor.key());
    content[key] =
      nested === undefined
        ? Buffer.from(cursor.value()).toString('hex')
        : { sequence: nested.sequence(), content: contentOf(nested) };
  }
  return content;
}

/** The entries a visitor is shown, as key → length of the value. */
function recorder(until = Number.POSITIVE_INFINITY): EntryVisitor & { seen: [string, number][] } {
  const seen: [string, number][] = [];
  return {
    seen,
    entry(bytes, keyOffset, keyLength, _valueOffset, valueLength) {
      seen.push([utf8FromBytes(bytes, keyOffset, keyOffset + keyLength), valueLength]);
      return seen.length < until;
    },
  };
}

function entriesOf(bucket: Bucket, from = ''): [string, number][] {
  const entries: [string, number][] = [];
  const cursor = bucket.cursor();
  for (let on = cursor.seek(b(from)); on; on = cursor.next()) {
    if (!cursor.isBucket) entries.push([utf8FromBytes(cursor.key()), cursor.valueLength]);
  }
  return entries;
}

test('the pass at opening shows every entry in key order, after a look at the snapshot', async () => {
  const { disk, database } = await sample();
  const expected = entriesOf(database.beginRead().bucket(b('key'))!);
  const free = database.statistics().freePages + database.statistics().pendingPages;
  await database.close();
  for (const options of [{}, { readOnly: true }, { pageCacheBytes: 0 }]) {
    const key = recorder();
    const meta = recorder();
    const cut = recorder(3);
    let round = '';
    const again = await openDatabase(testEnv(disk), '/db', {
      ...options,
      visit: (snapshot) => {
        round = utf8FromBytes(snapshot.bucket(b('meta'))!.get(b('round'))!);
        return [
          { bucket: b('key'), entry: key.entry },
          { bucket: b('meta'), entry: meta.entry },
          { bucket: b('nest'), entry: cut.entry },
          { bucket: b('none'), entry: cut.entry },
        ];
      },
    });
    expect(round).toBe('4');
    expect(key.seen).toEqual(expected);
    expect(meta.seen).toEqual([['round', 1]]);
    expect(cut.seen).toEqual([]);
    if (!again.readOnly) expect(again.statistics().freePages).toBe(free);
    await again.close();
  }
});

test('a visitor that has seen enough is asked no more, and the free pages are found all the same', async () => {
  const { disk, database } = await sample();
  const free = database.statistics().freePages + database.statistics().pendingPages;
  await database.close();
  const few = recorder(10);
  const again = await openDatabase(testEnv(disk), '/db', {
    visit: () => [{ bucket: b('key'), entry: few.entry }],
  });
  expect(few.seen).toHaveLength(10);
  expect(again.statistics().freePages).toBe(free);
  expect(await again.check()).toEqual([]);
});

test('a visitor that throws fails the opening and leaves the file unlocked', async () => {
  const { disk, database } = await sample();
  await database.close();
  const entry = (): boolean => {
    throw new Error('of the visitor');
  };
  const opening = openDatabase(testEnv(disk), '/db', {
    visit: () => [{ bucket: b('key'), entry }],
  });
  await expect(opening).rejects.toThrow('of the visitor');
  await (await openDatabase(testEnv(disk), '/db')).close();
});

test('a walk from any key equals the cursor, and outlives its transaction', async () => {
  const { database } = await sample();
  const random = seededRandom(3);
  for (let i = 0; i < 40; i++) {
    const from = i === 0 ? '' : utf8FromBytes(keyOf(random.below(4200)));
    const tx = database.beginRead();
    const visitor = recorder(i % 3 === 0 ? 50 : undefined);
    const walking = tx.walk(b('key'), visitor, i === 0 ? undefined : b(from));
    const expected = entriesOf(tx.bucket(b('key'))!, from).slice(0, i % 3 === 0 ? 50 : undefined);
    tx.close();
    await walking;
    expect(visitor.seen).toEqual(expected);
  }
  const inline = recorder();
  await database.beginRead().walk(b('meta'), inline, b('r'));
  expect(inline.seen).toEqual([['round', 1]]);
  await database.beginRead().walk(b('none'), inline);
  expect(inline.seen).toHaveLength(1);
});

test('after a prefetch the range is read without a miss', async () => {
  const { database } = await sample({ pageCacheBytes: 400 * 1024 });
  const tx = database.beginRead();
  const bucket = tx.bucket(b('key'))!;
  for (let round = 0; round < 10; round++) {
    const from = keyOf(round * 300);
    const until = keyOf(round * 300 + 200);
    await bucket.prefetch(from, until, 300_000);
    const before = database.statistics().cacheMisses;
    const cursor = bucket.cursor();
    let steps = 0;
    for (
      let on = cursor.seek(from);
      on && Buffer.compare(cursor.key(), until) < 0;
      on = cursor.next()
    ) {
      steps++;
    }
    expect(steps).toBeGreaterThan(50);
    // The leaf behind the last key of the range is not part of it.
    expect(database.statistics().cacheMisses - before).toBeLessThanOrEqual(1);
  }
  expect(await bucket.prefetch(keyOf(0), undefined, 50_000)).toBeLessThanOrEqual(150_000);
  expect(await tx.bucket(b('meta'))!.prefetch(b(''), undefined, 1000)).toBe(0);
});

test('a copy holds one commit, whatever is committed while it is made', async () => {
  const { database } = await sample();
  const pinned = database.beginRead();
  const expected = contentOf(pinned);
  const { txid, size } = pinned;
  const chunks: Uint8Array[] = [];
  let commits = 0;
  const copying = pinned.copyTo(async (chunk) => {
    chunks.push(chunk.slice());
    for (let i = 0; i < 3; i++, commits++) {
      const tx = await database.beginWrite();
      const bucket = tx.bucket(b('key'))!;
      for (let key = 0; key < 2000; key++) bucket.put(keyOf(key * 2), new Uint8Array(100).fill(9));
      await tx.commit();
    }
  });
  pinned.close();
  const result = await copying;
  expect(commits).toBeGreaterThanOrEqual(6);
  const content = Buffer.concat(chunks);
  expect(result).toEqual({ txid, size });
  expect(content.length).toBe(size);

  const disk = await diskWith('/copy', content);
  const copy = await openDatabase(testEnv(disk), '/copy');
  expect(copy.beginRead().txid).toBe(txid);
  expect(copy.fileSize()).toBe(copy.size());
  expect(contentOf(copy.beginRead())).toEqual(expected);
  expect(await copy.check()).toEqual([]);
  const tx = await copy.beginWrite();
  tx.bucket(b('key'))!.put(b('more'), b('x'));
  await tx.commit();
  await copy.close();
  const again = await openDatabase(testEnv(disk), '/copy');
  expect(again.beginRead().bucket(b('key'))!.get(b('more'))).toEqual(b('x'));
  // Either meta page of a copy is enough.
  const rotten = await diskWith('/copy', content);
  rotten.corrupt('/copy', 20, Uint8Array.of(1));
  const second = await openDatabase(testEnv(rotten), '/copy');
  expect(second.beginRead().txid).toBe(txid - 1);
  expect(contentOf(second.beginRead())).toEqual(expected);
});

test('a copy whose consumer fails lets go of the snapshot', async () => {
  const { database } = await sample();
  const failing = database.copyTo(async () => {
    throw new Error('the consumer is gone');
  });
  await expect(failing).rejects.toThrow('the consumer is gone');
  expect(database.statistics().openReaders).toBe(0);
  await database.close();
});

test('compaction keeps everything and leaves no free page behind', async () => {
  const { database } = await sample();
  const expected = contentOf(database.beginRead());
  const disk = new SimDisk({ seed: 2 });
  const target = await openDatabase(testEnv(disk), '/new', { pageSize: 4096 });
  await database.compactInto(target);
  expect(contentOf(target.beginRead())).toEqual(expected);
  expect(await target.check()).toEqual([]);
  expect(target.size()).toBeLessThan(database.size());
  expect(database.statistics().openReaders).toBe(1);
  await expect(database.compactInto(target)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  const tx = await target.beginWrite();
  tx.rollback();
});

test('compaction of buckets in buckets, in one commit', async () => {
  const disk = new SimDisk({ seed: 2 });
  const database = await openDatabase(testEnv(disk), '/db');
  const tx = await database.beginWrite();
  const outer = tx.createBucket(b('outer'));
  for (const name of ['a', 'm', 'z']) {
    const inner = outer.createBucket(b(name)).createBucket(b('inner'));
    for (let i = 0; i < 9000; i++) inner.put(keyOf(i), b(String(i)));
    inner.setSequence(7n);
  }
  for (let i = 0; i < 9000; i++) outer.put(b(`n${i}`), b('plain'));
  await tx.commit();
  const target = await openDatabase(testEnv(new SimDisk({ seed: 3 })), '/new');
  await database.compactInto(target);
  expect(target.beginRead().txid).toBe(2);
  expect(contentOf(target.beginRead())).toEqual(contentOf(database.beginRead()));
  expect(await target.check()).toEqual([]);
});

test('entries that need more than a page share few', async () => {
  const disk = new SimDisk({ seed: 2 });
  const database = await openDatabase(testEnv(disk), '/db', { pageSize: 4096 });
  const tx = await database.beginWrite();
  const bucket = tx.createBucket(b('key'));
  const value = new Uint8Array(4060).fill(7);
  for (let i = 0; i < 3000; i++) bucket.put(keyOf(i), value);
  await tx.commit();
  const target = await openDatabase(testEnv(new SimDisk({ seed: 3 })), '/new', { pageSize: 4096 });
  await database.compactInto(target);
  for (const one of [database, target]) {
    const pages = await leafPages(one, b('key'));
    expect(Math.max(...pages)).toBeLessThanOrEqual(4 * 4096);
    expect(pages.reduce((sum, size) => sum + size, 0)).toBeLessThan(1.1 * 3000 * 4096);
  }
  expect(contentOf(target.beginRead())).toEqual(contentOf(database.beginRead()));
});

test('compaction of a pinned commit leaves out what was committed later', async () => {
  const { database } = await sample();
  const pinned = database.beginRead();
  const expected = contentOf(pinned);
  const tx = await database.beginWrite();
  tx.createBucket(b('later')).put(b('k'), b('v'));
  await tx.commit();
  const target = await openDatabase(testEnv(new SimDisk({ seed: 2 })), '/new');
  await database.compactInto(target, { commit: pinned });
  expect(contentOf(target.beginRead())).toEqual(expected);
  pinned.close();
  const late = await openDatabase(testEnv(new SimDisk({ seed: 3 })), '/new');
  await expect(database.compactInto(late, { commit: pinned })).rejects.toMatchObject({
    code: 'CLOSED',
  });
});

test('a database that gets the name of another one is found under it after a crash', async () => {
  const { disk, database } = await sample();
  const target = await openDatabase(testEnv(disk), '/new');
  await database.compactInto(target);
  const expected = contentOf(target.beginRead());
  await target.rename('/db');
  expect(target.path).toBe('/db');
  expect(await disk.stat('/new')).toBeUndefined();
  // The file that had the name is read on.
  expect(contentOf(database.beginRead())).toEqual(expected);
  const found = await openDatabase(testEnv(disk.crash({ seed: 3 })), '/db');
  expect(contentOf(found.beginRead())).toEqual(expected);
  expect(await found.check()).toEqual([]);
});

test('check lists what is wrong, page by page', async () => {
  const { disk, database } = await sample();
  const { rootPage, leaf } = await structure(database);
  const { pageSize } = database;
  await database.close();
  const content = disk.contentOf('/db');

  const violations = async (change: (bytes: Uint8Array, view: DataView) => void) => {
    const bytes = content.slice();
    change(bytes, new DataView(bytes.buffer));
    const found = await openDatabase(testEnv(await diskWith('/db', bytes)), '/db', {
      readOnly: true,
    });
    const list = await found.check();
    await found.close();
    return list;
  };
  expect(await violations(() => undefined)).toEqual([]);
  const at = leaf * pageSize;
  const swapped = await violations((_bytes, view) => {
    // The first two elements of a leaf trade their keys.
    for (const field of [4, 8, 12]) {
      const one = view.getUint32(at + 16 + field, true);
      const two = view.getUint32(at + 32 + field, true);
      view.setUint32(at + 16 + field, field === 4 ? two + 16 : two, true);
      view.setUint32(at + 32 + field, field === 4 ? one - 16 : one, true);
    }
  });
  expect(swapped.some(({ page, text }) => page === leaf && text.includes('not above'))).toBe(true);
  const renumbered = await violations((_bytes, view) => view.setUint32(at, leaf + 1, true));
  expect(renumbered[0]).toMatchObject({ page: leaf });
  const overlong = await violations((_bytes, view) => view.setUint16(at + 10, 5000, true));
  expect(overlong[0]?.text).toContain('5000 elements do not fit');
  const stretched = await violations((_bytes, view) => view.setUint32(at + 12, 1, true));
  expect(stretched.some(({ text }) => text.includes('multiple references'))).toBe(true);
  const twice = await violations((_bytes, view) => {
    // The second child of a branch becomes the first one again.
    view.setBigUint64(
      rootPage * pageSize + 32 + 8,
      view.getBigUint64(rootPage * pageSize + 16 + 8, true),
      true,
    );
  });
  expect(twice.some(({ text }) => text.includes('multiple references'))).toBe(true);
});

/** Bytes of each leaf page of a bucket. */
async function leafPages(database: Database, name: Uint8Array): Promise<number[]> {
  const sizes: number[] = [];
  const pages = new Set<Uint8Array>();
  const cursor = database.beginRead().bucket(name)!.cursor();
  for (let on = cursor.first(); on; on = cursor.next()) {
    if (pages.has(cursor.valueBytes)) continue;
    pages.add(cursor.valueBytes);
    sizes.push(cursor.valueBytes.length);
  }
  return sizes;
}

/** Root page of the bucket `key` and one of its leaves, found in the file. */
async function structure(database: Database): Promise<{ rootPage: number; leaf: number }> {
  const cursor = database.beginRead().cursor();
  expect(cursor.seekExact(b('key'))).toBe(true);
  const rootPage = new DataView(cursor.value().buffer).getUint32(0, true);
  const file = await openFile(database);
  let page = rootPage;
  for (;;) {
    const view = new DataView(file.buffer, file.byteOffset + page * database.pageSize);
    if ((view.getUint16(8, true) & 2) !== 0) return { rootPage, leaf: page };
    page = view.getUint32(16 + 8, true);
  }
}

async function openFile(database: Database): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  await database.copyTo(async (chunk) => {
    chunks.push(chunk.slice());
  });
  return Buffer.concat(chunks);
}

test('a lost page is seen where a free list says what should be free', async () => {
  const { disk, database } = await sample({ noFreelistSync: false });
  await database.close();
  const bytes = disk.contentOf('/db');
  const view = new DataView(bytes.buffer);
  const newest = view.getUint32(64, true) > view.getUint32(1024 + 64, true) ? 0 : 1024;
  const list = view.getUint32(newest + 48, true) * 1024;
  view.setUint16(list + 10, view.getUint16(list + 10, true) - 1, true);
  const found = await openDatabase(testEnv(await diskWith('/db', bytes)), '/db', {
    readOnly: true,
  });
  const [violation, ...others] = await found.check();
  expect(violation?.text).toContain('neither reachable nor free');
  expect(others).toEqual([]);
  const file = await disk.open('/db', OPEN_MODES.READ);
  expect(file.size()).toBeGreaterThan(0);
});
