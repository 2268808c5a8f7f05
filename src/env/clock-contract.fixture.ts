// What every Clock and Timers must do, run on the real and on the simulated ones.

import { expect, test } from 'vitest';
import type { Env } from './index.ts';

/** Declares the tests. */
export function clockContract(make: () => Pick<Env, 'clock' | 'timers'>): void {
  test('time does not go back, and timers are never early', async () => {
    const { clock, timers } = make();
    expect(clock.wallMs()).toBeGreaterThan(1_600_000_000_000);
    for (const delayMs of [0, 1.5, 3, 7]) {
      const start = clock.monotonicMs();
      await new Promise<void>((resolve) => timers.after(delayMs, resolve));
      expect(clock.monotonicMs() - start).toBeGreaterThanOrEqual(delayMs);
    }
  });

  test('a cancelled timer does not fire', async () => {
    const { timers } = make();
    const fired: string[] = [];
    const cancelled = timers.after(1, () => fired.push('cancelled'));
    const done = new Promise<void>((resolve) => {
      timers.after(5, () => {
        fired.push('kept');
        resolve();
      });
    });
    cancelled.cancel();
    cancelled.cancel();
    await done;
    cancelled.cancel();
    expect(fired).toEqual(['kept']);
  });

  test('the end of a turn comes after its code, once, and before a later timer', async () => {
    const { timers } = make();
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      timers.after(30, () => {
        order.push('timer');
        resolve();
      });
      timers.atEndOfTurn(() => {
        order.push('end');
        timers.atEndOfTurn(() => order.push('next end'));
        Promise.resolve().then(() => order.push('microtask of end'));
      });
      Promise.resolve().then(() => order.push('microtask'));
      order.push('code');
    });
    expect(order).toEqual(['code', 'microtask', 'end', 'microtask of end', 'next end', 'timer']);
  });

  test('slices separated by nextTurn let timers through', async () => {
    const { timers, clock } = make();
    let fired = false;
    timers.after(2, () => {
      fired = true;
    });
    const start = clock.monotonicMs();
    let turns = 0;
    while (!fired) {
      await timers.nextTurn();
      turns++;
      expect(clock.monotonicMs() - start).toBeLessThan(5000);
    }
    expect(turns).toBeGreaterThan(0);
  });
}
