import { expect, test } from 'vitest';
import { HeartbeatTimes } from './heartbeat-times.ts';

test('a heartbeat is late by what it comes after two intervals, for each member and term', () => {
  const times = new HeartbeatTimes(100);
  expect(times.note(1n, 2, 1_000)).toBe(0);
  expect(times.note(1n, 2, 1_200)).toBe(0);
  expect(times.note(2n, 2, 1_500)).toBe(0);
  expect(times.note(1n, 2, 1_450)).toBe(50);
  expect(times.note(1n, 3, 9_000)).toBe(0);
  expect(times.note(2n, 3, 9_000)).toBe(0);
  times.forget(2n);
  expect(times.note(2n, 3, 99_000)).toBe(0);
});
