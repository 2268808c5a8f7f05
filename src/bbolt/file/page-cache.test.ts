import { expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { PAGES_SPARED_MAX } from '../limits.ts';
import { PAGE_FLAGS, writePageHeader } from './layout.ts';
import { Page } from './page.ts';
import { PageCache } from './page-cache.ts';

const PAGE_SIZE = 512;

/** Makes every page different. */
let made = 0;

function page(id: number, pages = 1, shared?: Uint8Array): Page {
  const bytes = shared ?? new Uint8Array(PAGE_SIZE * pages);
  writePageHeader(bytes, id, PAGE_FLAGS.LEAF, 0, pages - 1);
  bytes[20] = ++made;
  return new Page(id, bytes);
}

test('never wrong, never over its bound: against a map', () => {
  for (const spread of [200, 5000, 2 ** 40]) {
    const random = seededRandom(spread);
    const cache = new PageCache(100 * PAGE_SIZE, PAGE_SIZE);
    const newest = new Map<number, Page>();
    let hits = 0;
    for (let i = 0; i < 8000; i++) {
      const id = 2 + (random.below(200) * Math.max(1, Math.floor(spread / 200)) + random.below(3));
      const found = cache.get(id);
      if (found !== undefined) {
        if (found !== newest.get(id)) {
          expect(Buffer.compare(found.bytes, newest.get(id)!.bytes)).toBe(0);
        }
        hits++;
      }
      if (cache.has(id) !== (found !== undefined)) throw new Error(`has and get of ${id}`);
      if (found === undefined || random.below(10) === 0) {
        const fresh = page(id, 1 + random.below(4));
        newest.set(id, fresh);
        cache.put(fresh, random.below(2) === 0);
        expect(cache.get(id)).toBe(fresh);
      }
      if (random.below(20) === 0) {
        cache.drop(id);
        expect([cache.has(id), cache.get(id)]).toEqual([false, undefined]);
      }
      expect(cache.bytes).toBeLessThanOrEqual(cache.capacityBytes);
    }
    expect(hits).toBeGreaterThan(500);
    cache.clear();
    expect([cache.bytes, cache.count, cache.has(2)]).toEqual([0, 0, false]);
  }
});

test('what is used stays, what is not goes', () => {
  const cache = new PageCache(100 * PAGE_SIZE, PAGE_SIZE);
  for (let id = 2; id < 12; id++) cache.put(page(id), id % 2 === 0);
  for (let id = 100; id < 5000; id++) {
    for (let used = 2; used < 12; used++) {
      if (cache.get(used)?.id !== used) throw new Error(`page ${used} is gone`);
    }
    cache.put(page(id), id % 2 === 0);
  }
  expect(cache.count).toBe(100);
});

test('a page too large for the cache is not held, nor is its predecessor', () => {
  const cache = new PageCache(32 * PAGE_SIZE, PAGE_SIZE);
  cache.put(page(5), true);
  cache.put(page(5, 20), true);
  expect(cache.get(5)).toBeUndefined();
  const none = new PageCache(0, PAGE_SIZE);
  none.put(page(5), true);
  expect(none.get(5)).toBeUndefined();
});

test('a page that is spared leaves the buffer it shares with others', () => {
  const cache = new PageCache(100 * PAGE_SIZE, PAGE_SIZE);
  const slab = new Uint8Array(16 * PAGE_SIZE);
  for (let i = 0; i < 16; i++) {
    cache.put(page(50 + i, 1, slab.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE)), true);
  }
  for (let id = 1000; id < 1500; id++) {
    cache.get(57);
    cache.put(page(id), id % 2 === 0);
  }
  expect(cache.get(57)!.bytes.buffer).not.toBe(slab.buffer);
  expect(cache.get(58)).toBeUndefined();
});

test('an eviction copies few pages, though all are in use and share one buffer', () => {
  const cache = new PageCache(1000 * PAGE_SIZE, PAGE_SIZE);
  const slab = new Uint8Array(1000 * PAGE_SIZE);
  for (let i = 0; i < 1000; i++) {
    cache.put(page(2 + i, 1, slab.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE)), true);
  }
  cache.put(page(5000), true);
  let held = 0;
  let copied = 0;
  const buffers = new Set<ArrayBufferLike>();
  for (let id = 2; id < 1002; id++) {
    const found = cache.get(id);
    if (found === undefined) continue;
    held++;
    if (found.bytes.buffer === slab.buffer) continue;
    copied++;
    buffers.add(found.bytes.buffer);
  }
  expect(held).toBe(999);
  expect(copied).toBe(PAGES_SPARED_MAX);
  expect(buffers.size).toBe(1);
});
