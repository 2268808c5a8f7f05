import { expect, test } from 'vitest';
import { Pace } from './pace.ts';

const KIB = 1024;

test('who has not had its turn for long enough is not slow', () => {
  const pace = new Pace();
  expect(pace.isBelow(KIB, 1_000, 50_000)).toBe(false);
  pace.begin(50_000);
  expect(pace.isBelow(KIB, 1_000, 50_999)).toBe(false);
  expect(pace.isBelow(KIB, 1_000, 51_000)).toBe(true);
});

test('time that is not its turn does not count', () => {
  const pace = new Pace();
  pace.begin(0);
  pace.add(KIB, 500);
  pace.end(1_000);
  expect(pace.isBelow(KIB, 1_000, 60_000)).toBe(false);
  expect(pace.isBelow(KIB + 1, 1_000, 60_000)).toBe(true);
});

test('what was given long ago is forgotten', () => {
  const pace = new Pace();
  pace.begin(0);
  pace.add(100 * KIB * KIB, 0);
  let nowMs = 0;
  while (!pace.isBelow(16 * KIB, 5_000, nowMs)) {
    nowMs += 1_000;
    pace.add(1, nowMs);
  }
  // In ten seconds it would have been 160 KiB; the burst is halved every five.
  expect(nowMs).toBeGreaterThan(10_000);
  expect(nowMs).toBeLessThan(90_000);
});
