import { expect, test } from 'vitest';
import { PauseDetector } from './pause-detector.ts';

function rig() {
  const time = { nowMs: 1000 };
  const clock = { monotonicMs: () => time.nowMs, wallMs: () => 0 };
  return { time, pauses: new PauseDetector(clock, 300) };
}

test('time that is noticed often enough needs no confirmation', () => {
  const { time, pauses } = rig();
  for (let i = 0; i < 10; i++) {
    time.nowMs += 300;
    expect(pauses.areConfirmed).toBe(true);
  }
});

test('a pause is one, whoever notices it, until the others have been asked', async () => {
  const { time, pauses } = rig();
  time.nowMs += 301;
  pauses.notice();
  time.nowMs += 100;
  expect(pauses.areConfirmed).toBe(false);
  expect(await pauses.confirm(async () => false)).toBe(false);
  expect(pauses.areConfirmed).toBe(false);
  expect(await pauses.confirm(async () => true)).toBe(true);
  expect(pauses.areConfirmed).toBe(true);
});

test('what was asked before a pause does not confirm what is known after it', async () => {
  const { time, pauses } = rig();
  time.nowMs += 301;
  const ask = async () => {
    time.nowMs += 1000;
    return true;
  };
  await pauses.confirm(ask);
  expect(pauses.areConfirmed).toBe(false);
  // Of two that ask, the older answer may come last.
  const early = pauses.confirm(async () => true);
  await pauses.confirm(async () => true);
  await early;
  expect(pauses.areConfirmed).toBe(true);
});
