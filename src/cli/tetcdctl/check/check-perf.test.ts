import { describe, expect, test } from 'vitest';
import type { Client } from '../../../client/index.ts';
import { MemoryIo } from '../../shell/memory-io.fixture.ts';
import { pace, verdict } from './check-perf.ts';
import { load } from './load.ts';

const GOOD = { errors: new Map(), perSecond: 149.2, slowest: 0.5, deviation: 0.1 };

test('within all limits it passes', () => {
  expect(verdict(GOOD, 150)).toEqual({
    passed: true,
    text: `PASS: Throughput is 150 writes/s
PASS: Slowest request took 0.500000s
PASS: Stddev is 0.100000s
PASS
`,
  });
});

test.each([
  [{ perSecond: 135 }, 'FAIL: Throughput too low: 136 writes/s\n'],
  [{ slowest: 0.51 }, '\nSlowest request took too long: 0.510000s\n'],
  [{ deviation: 0.11 }, '\nStddev too high: 0.110000s\n'],
  [
    { errors: new Map([['no', 2]]) },
    'FAIL: too many errors\nFAIL: ERROR(no) -> 2\nPASS: Throughput is',
  ],
])('beyond one of them it fails: %j', (bad, line) => {
  const { passed, text } = verdict({ ...GOOD, ...bad }, 150);
  expect(passed).toBe(false);
  expect(text).toContain(line);
  expect(text).toMatch(/\nFAIL\n$/);
});

describe('the pace', () => {
  function puts(io: MemoryIo, next: () => string, untilSecond: number): number {
    let count = 0;
    for (let ms = (io.nowNs ?? 0) / 1e6; ms < untilSecond * 1_000; ms++) {
      io.nowNs = ms * 1e6;
      while (next() === 'put') count++;
    }
    return count;
  }

  test.each([150, 1_000, 15_000])('is %i puts a second', (rate) => {
    const io = new MemoryIo();
    io.nowNs = 0;
    const next = pace(io, { rate, seconds: 2 }, io.stop.signal);
    expect(Math.abs(puts(io, next, 2) - 2 * rate)).toBeLessThanOrEqual(rate / 500 + 1);
    io.nowNs = 2e9;
    expect(next()).toBe('end');
  });

  test('does not make up for a long pause', () => {
    const io = new MemoryIo();
    io.nowNs = 0;
    const next = pace(io, { rate: 1_000, seconds: 10 }, io.stop.signal);
    io.nowNs = 5e9;
    expect(puts(io, next, 5.001)).toBeLessThanOrEqual(12);
  });

  test('ends at a signal', () => {
    const io = new MemoryIo();
    const next = pace(io, { rate: 1_000, seconds: 10 }, io.stop.signal);
    io.stop.abort();
    expect(next()).toBe('end');
  });
});

test('failed puts are counted by their reason, and in no time', async () => {
  const io = new MemoryIo();
  let left = 10;
  const keys = new Set<string>();
  const put = async (key: Uint8Array, value: Uint8Array): Promise<void> => {
    keys.add(Buffer.from(key).toString('latin1'));
    expect([key.length, value.length]).toEqual([20, 7]);
    if (keys.size % 2 === 0) throw new Error('refused');
  };
  const stats = await load(io, [{ kv: { put } } as unknown as Client], {
    prefix: 'p/',
    keyBytes: 18,
    valueBytes: 7,
    next: () => (left-- > 0 ? 'put' : 'end'),
    onPut: () => {},
  });
  expect(keys.size).toBe(10);
  expect(stats.errors).toEqual(new Map([['refused', 5]]));
  expect(stats.perSecond).toBeGreaterThan(0);
});
