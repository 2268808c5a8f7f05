import { expect, test } from 'vitest';
import { TickWatch } from './tick-watch.ts';

test('after a pause it takes two election timeouts of regular ticks', () => {
  const watch = new TickWatch({ heartbeatMs: 100, electionMs: 1000, nowMs: 0 });
  let nowMs = 0;
  const tick = (): void => {
    nowMs += 100;
    watch.tick(nowMs);
  };
  for (let i = 0; i < 5; i++) tick();
  expect(watch.isRegular(nowMs + 300)).toBe(true);
  expect(watch.isRegular(nowMs + 301)).toBe(false);
  // A late tick within the limit is none.
  nowMs += 200;
  tick();
  expect(watch.isRegular(nowMs)).toBe(true);

  nowMs += 5000;
  tick();
  for (let i = 0; i < 21; i++) {
    expect(watch.isRegular(nowMs)).toBe(false);
    tick();
  }
  expect(watch.isRegular(nowMs)).toBe(true);
});
