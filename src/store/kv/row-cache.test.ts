import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { ByteSlice } from '../../mvcc/index.ts';
import { RowCache } from './row-cache.ts';

const MEBIBYTE = 1024 * 1024;

/** Bytes that tell the revision and the length. */
function fill(slice: ByteSlice, main: number, sub: number): void {
  for (let i = 0; i < slice.length; i++) {
    slice.buffer[slice.offset + i] = (main * 31 + sub * 7 + i) & 0xff;
  }
}

function isRow(slice: ByteSlice, main: number, sub: number, length: number): boolean {
  if (slice.length !== length) return false;
  for (let i = 0; i < length; i++) {
    if (slice.buffer[slice.offset + i] !== ((main * 31 + sub * 7 + i) & 0xff)) return false;
  }
  return true;
}

describe('a row cache', () => {
  test('finds every row while few are there, one transaction of many changes too', () => {
    const cache = new RowCache(4 * MEBIBYTE);
    const slice = new ByteSlice();
    const rows: [number, number][] = [];
    for (let main = 2; main < 100; main++) {
      for (let sub = 0; sub < 64; sub++) {
        expect(cache.reserve(main, sub, 100, slice)).toBe(true);
        fill(slice, main, sub);
        rows.push([main, sub]);
      }
    }
    const found = rows.filter(
      ([main, sub]) => cache.find(main, sub, slice) && isRow(slice, main, sub, 100),
    );
    expect(found.length).toBeGreaterThan(rows.length * 0.95);
  });

  test('never answers with other bytes, whatever was overwritten', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const random = seededRandom(seed);
      const cache = new RowCache(2 * MEBIBYTE);
      const lengths = new Map<string, number>();
      const slice = new ByteSlice();
      let hits = 0;
      for (let step = 0; step < 30_000; step++) {
        const main = 2 + random.below(20_000);
        const sub = random.below(3);
        const key = `${main}.${sub}`;
        if (cache.find(main, sub, slice)) {
          hits++;
          expect(isRow(slice, main, sub, lengths.get(key)!), `seed ${seed}, row ${key}`).toBe(true);
        } else {
          const length = lengths.get(key) ?? random.below(600);
          lengths.set(key, length);
          if (cache.reserve(main, sub, length, slice)) fill(slice, main, sub);
        }
      }
      expect(hits).toBeGreaterThan(0);
    }
  });

  test('bytes that were handed out stay as they are when the ring has gone round', () => {
    const cache = new RowCache(2 * MEBIBYTE);
    const first = new ByteSlice();
    cache.reserve(2, 0, 1000, first);
    fill(first, 2, 0);
    const slice = new ByteSlice();
    for (let main = 3; main < 8000; main++) {
      cache.reserve(main, 0, 1000, slice);
      fill(slice, main, 0);
    }
    expect(cache.find(2, 0, slice)).toBe(false);
    expect(isRow(first, 2, 0, 1000)).toBe(true);
  });

  test('a row that would push too much out is not taken', () => {
    const cache = new RowCache(2 * MEBIBYTE);
    const slice = new ByteSlice();
    expect(cache.reserve(2, 0, MEBIBYTE / 16, slice)).toBe(true);
    expect(cache.reserve(3, 0, MEBIBYTE / 16 + 1, slice)).toBe(false);
    expect(cache.find(3, 0, slice)).toBe(false);
  });

  test('after it was cleared nothing is found, what was handed out stays, and rows are taken again', () => {
    const cache = new RowCache(2 * MEBIBYTE);
    const first = new ByteSlice();
    const slice = new ByteSlice();
    for (let main = 2; main < 100; main++) cache.reserve(main, 0, 1000, slice);
    cache.reserve(100, 0, 1000, first);
    fill(first, 100, 0);
    cache.clear();
    for (let main = 2; main <= 100; main++) expect(cache.find(main, 0, slice)).toBe(false);
    expect(isRow(first, 100, 0, 1000)).toBe(true);
    cache.reserve(7, 0, 1000, slice);
    fill(slice, 7, 0);
    expect(cache.find(7, 0, slice)).toBe(true);
    expect(isRow(slice, 7, 0, 1000)).toBe(true);
    expect(isRow(first, 100, 0, 1000)).toBe(true);
    expect(cache.find(100, 0, slice)).toBe(false);
  });
});
