import { expect, test } from 'vitest';
import { createSimEnv } from '../../env/sim/index.ts';
import {
  FAILURES_KEPT_MS,
  FAILURES_KEPT_NAMES,
  LOGIN_DELAY_MS_MAX,
  LOGINS_DELAYED_MAX,
} from './limits.ts';
import { type Attempt, LoginThrottle } from './login-throttle.ts';

function make() {
  const env = createSimEnv({ seed: 1, autoRun: false });
  const throttle = new LoginThrottle(env);
  /** How long an attempt waits before it is made, in milliseconds; -1 if it is refused. */
  const waits = async (attempt: Attempt, outcome: 'right' | 'wrong' | 'open' = 'wrong') => {
    const sinceMs = env.clock.monotonicMs();
    if (!(await throttle.begin(attempt))) return -1;
    throttle.end(attempt, outcome === 'open' ? undefined : outcome === 'right');
    return Math.round(env.clock.monotonicMs() - sinceMs);
  };
  const pass = (ms: number) => new Promise<void>((resolve) => env.timers.after(ms, resolve));
  return { env, throttle, waits, pass };
}

const of = (user: string, address?: string): Attempt => ({ user, address });

test('each failure of a user makes the next one wait longer; a success makes none wait', async () => {
  const { env, waits, pass } = make();
  await env.run(async () => {
    const delays: number[] = [];
    for (let i = 0; i < 11; i++) delays.push(await waits(of('root')));
    expect(delays).toEqual([0, 0, 0, 50, 100, 200, 400, 800, 1000, 1000, 1000]);
    expect(await waits(of('alice'))).toBe(0);
    // What was not found out is neither.
    expect(await waits(of('root'), 'open')).toBe(1000);
    expect(await waits(of('root'), 'right')).toBe(1000);
    expect([await waits(of('root')), await waits(of('root'))]).toEqual([0, 0]);
    expect(await waits(of('root'))).toBe(0);
    expect(await waits(of('root'))).toBe(50);
    await pass(FAILURES_KEPT_MS + 1);
    expect(await waits(of('root'))).toBe(0);
  });
});

test('failures from one address with many users count together', async () => {
  const { env, waits } = make();
  await env.run(async () => {
    for (let i = 0; i < 12; i++) await waits(of(`user${i}`, '10.0.0.1'));
    expect(await waits(of('another', '10.0.0.1'))).toBe(LOGIN_DELAY_MS_MAX);
    expect(await waits(of('another', '10.0.0.2'))).toBe(0);
    // Names from JavaScript's objects are names like others.
    for (let i = 0; i < 3; i++) await waits(of('__proto__', 'constructor'));
    expect(await waits(of('__proto__', 'x'))).toBe(50);
    expect(await waits(of('x', 'constructor'))).toBe(50);
  });
});

test('guesses at the same time do not share one delay', async () => {
  const { env, waits } = make();
  await env.run(async () => {
    for (let i = 0; i < 3; i++) await waits(of('root'));
    const delays = await Promise.all(Array.from({ length: 8 }, () => waits(of('root'))));
    expect(delays).toEqual([50, 100, 200, 400, 800, 1000, 1000, 1000]);
  });
});

test('logins that succeed do not wait for each other', async () => {
  const { env, waits } = make();
  await env.run(async () => {
    const attempts = Array.from({ length: 500 }, (_, i) => waits(of(`u${i}`, '10.0.0.1'), 'right'));
    expect(Math.max(...(await Promise.all(attempts)))).toBe(0);
  });
});

test('so many wait, and so many names are kept', async () => {
  const { env, waits } = make();
  await env.run(async () => {
    for (let i = 0; i < 3; i++) await waits(of('root'));
    const more = Array.from({ length: LOGINS_DELAYED_MAX + 5 }, () => waits(of('root'), 'open'));
    const delays = await Promise.all(more);
    expect(delays.filter((ms) => ms === -1)).toHaveLength(5);
    // Who was refused has left nothing behind.
    expect(await waits(of('root'), 'open')).toBe(50);
    for (let i = 0; i < FAILURES_KEPT_NAMES; i++) await waits(of(`u${i}`));
    expect(await waits(of('root'))).toBe(0);
  });
});
