import { expect, test } from 'vitest';
import { CoarseClock } from './coarse-clock.ts';

test('the clock is read once per turn', () => {
  let nowMs = 5;
  let reads = 0;
  const turns: (() => void)[] = [];
  const clock = new CoarseClock(
    {
      wallMs: () => 7,
      monotonicMs: () => {
        reads++;
        return nowMs;
      },
    },
    { atEndOfTurn: (callback) => turns.push(callback) },
  );
  expect(clock.monotonicMs()).toBe(5);
  nowMs = 6;
  expect(clock.monotonicMs()).toBe(5);
  expect(turns).toHaveLength(1);
  turns.pop()!();
  expect(clock.monotonicMs()).toBe(6);
  expect(reads).toBe(2);
  nowMs = 9;
  clock.lookAgain();
  expect(clock.monotonicMs()).toBe(9);
  expect(reads).toBe(3);
  expect(clock.wallMs()).toBe(7);
  turns.pop()!();
  clock.pin();
  expect(clock.monotonicMs()).toBe(9);
  nowMs = 10;
  expect(clock.monotonicMs()).toBe(9);
  clock.unpin();
  expect(turns).toEqual([]);
  expect(clock.monotonicMs()).toBe(10);
  expect(turns).toHaveLength(1);
});
