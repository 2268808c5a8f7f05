import { expect, test } from 'vitest';
import { LoopLag } from './loop-lag.ts';

test('a lag is told once, in seconds', () => {
  const lag = new LoopLag();
  expect(lag.take()).toMatchObject({ min: 0, max: 0, mean: 0, p99: 0 });
  for (let i = 0; i < 98; i++) lag.record(2);
  lag.record(0);
  lag.record(250);
  const figures = lag.take();
  expect(figures.min).toBeLessThan(0.000_01);
  expect(figures.p50).toBeCloseTo(0.002, 4);
  expect(figures.max).toBeCloseTo(0.25, 3);
  expect(figures.mean).toBeCloseTo((98 * 0.002 + 0.25) / 100, 4);
  expect(lag.take().max).toBe(0);
});
