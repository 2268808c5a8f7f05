import { expect, test } from 'vitest';
import { ClockGaps } from './clock-gaps.ts';

function rig() {
  const time = { nowMs: 1000 };
  const clock = { monotonicMs: () => time.nowMs, wallMs: () => 0 };
  return { time, gaps: new ClockGaps(clock, 300) };
}

test('time that is noticed often enough needs no confirmation', () => {
  const { time, gaps } = rig();
  for (let i = 0; i < 10; i++) {
    time.nowMs += 300;
    expect(gaps.areConfirmed).toBe(true);
  }
});

test('a gap is one, whoever notices it, until the others have been asked', async () => {
  const { time, gaps } = rig();
  time.nowMs += 301;
  gaps.notice();
  time.nowMs += 100;
  expect(gaps.areConfirmed).toBe(false);
  expect(await gaps.confirm(async () => false)).toBe(false);
  expect(gaps.areConfirmed).toBe(false);
  expect(await gaps.confirm(async () => true)).toBe(true);
  expect(gaps.areConfirmed).toBe(true);
});

test('what was asked before a gap does not confirm what is known after it', async () => {
  const { time, gaps } = rig();
  time.nowMs += 301;
  const ask = async () => {
    time.nowMs += 1000;
    return true;
  };
  await gaps.confirm(ask);
  expect(gaps.areConfirmed).toBe(false);
  // Of two that ask, the older answer may come last.
  const early = gaps.confirm(async () => true);
  await gaps.confirm(async () => true);
  await early;
  expect(gaps.areConfirmed).toBe(true);
});
