import { describe, expect, test } from 'vitest';
import { BufferPool } from './buffer-pool.ts';
import { verify } from './invariant.ts';

const newPool = (): BufferPool => new BufferPool((bytes) => new Uint8Array(bytes));

describe('the pool', () => {
  test('gives a power of two, and the same one again', () => {
    const pool = newPool();
    const buffer = pool.take(5000);
    expect(buffer.length).toBe(8192);
    pool.give(buffer);
    expect(pool.take(4097)).toBe(buffer);
    expect(pool.take(4097) === buffer).toBe(false);
    expect(pool.take(4096).length).toBe(4096);
  });

  test('leaves small and very large buffers to others', () => {
    const pool = newPool();
    for (const size of [1, 4095, 1024 * 1024 + 1]) {
      const buffer = pool.take(size);
      expect(buffer.length).toBe(size);
      pool.give(buffer);
      expect(pool.take(size) === buffer).toBe(false);
    }
  });

  test('keeps four MiB at most', () => {
    const pool = newPool();
    const taken = Array.from({ length: 6 }, () => pool.take(1024 * 1024));
    for (const buffer of taken) pool.give(buffer);
    const again = Array.from({ length: 6 }, () => pool.take(1024 * 1024));
    expect(again.filter((buffer) => taken.includes(buffer))).toHaveLength(4);
  });

  test('knows its buffers by any part of them', () => {
    const pool = newPool();
    const buffer = pool.take(5000);
    expect(pool.wholeOf(buffer)).toBe(buffer);
    expect(pool.wholeOf(buffer.subarray(10, 20))).toBe(buffer);
    expect(newPool().wholeOf(buffer)).toBeUndefined();
    expect(pool.wholeOf(pool.take(100))).toBeUndefined();
    expect(pool.wholeOf(pool.take(1024 * 1024 + 1))).toBeUndefined();
    expect(pool.wholeOf(buffer.subarray(0, 0))).toBeUndefined();
  });

  test('refuses memory that is shared with others', () => {
    const shared = new ArrayBuffer(64 * 1024);
    const pool = new BufferPool((bytes) => new Uint8Array(shared, 0, bytes));
    expect(() => pool.take(5000)).toThrow('memory to itself');
  });

  test('overwrites what is given back, where costly checks are on', () => {
    const pool = newPool();
    const buffer = pool.take(5000).fill(1);
    const { all } = verify;
    verify.all = true;
    pool.give(buffer);
    verify.all = all;
    expect(new Set(buffer).has(1)).toBe(false);
  });
});
