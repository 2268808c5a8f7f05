import { expect, test } from 'vitest';
import { createSimEnv } from '../../env/sim/index.ts';
import { TICKS_ALONE } from '../limits.ts';
import { Ticker } from './ticker.ts';

test('a member alone takes its ticks together, and others one by one', async () => {
  const env = createSimEnv({ seed: 1 });
  const ticksAtMs = new Map<number, number>();
  const lags: number[] = [];
  let isAlone = true;
  const ticker = new Ticker({
    env,
    config: { heartbeatMs: 100 },
    leadership: { tick: () => undefined },
    loop: {
      tick: () => {
        const atMs = Math.round(env.clock.monotonicMs() - startMs);
        ticksAtMs.set(atMs, (ticksAtMs.get(atMs) ?? 0) + 1);
      },
    },
    reads: { tick: () => undefined },
    proposals: { expire: () => undefined },
    membership: {
      get isAlone() {
        return isAlone;
      },
    },
    lag: { record: (lateMs) => lags.push(lateMs) },
  });
  const startMs = env.clock.monotonicMs();
  const wait = (ms: number) => new Promise<void>((resolve) => env.timers.after(ms, resolve));
  await env.run(async () => {
    ticker.start();
    await wait(TICKS_ALONE * 100 + 50);
    isAlone = false;
    await wait(TICKS_ALONE * 100 + 200);
    ticker.stop();
    await wait(1000);
  });
  const alone = TICKS_ALONE * 100;
  expect([...ticksAtMs]).toEqual([
    [alone, TICKS_ALONE],
    [2 * alone, TICKS_ALONE],
    [2 * alone + 100, 1],
    [2 * alone + 200, 1],
  ]);
  expect(lags).toEqual([0, 0, 0, 0]);
});
