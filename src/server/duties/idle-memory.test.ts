import { expect, test } from 'vitest';
import { createSimEnv } from '../../env/sim/index.ts';
import { IDLE_CHECK_INTERVAL_MS } from '../limits.ts';
import { IdleMemory } from './idle-memory.ts';

test('memory is given back once after each load, when it is over', async () => {
  const env = createSimEnv({ seed: 1 });
  let cpuMs = 0;
  const done: string[] = [];
  const parts = {
    env,
    store: { machine: { dropCaches: () => done.push('drop') } },
    snapshotter: { shrinkLog: async () => void done.push('log') },
  };
  const [duty] = IdleMemory.of(parts, {
    cpuMs: () => cpuMs,
    collect: () => done.push('collect'),
    trim: async () => void done.push('trim'),
  });
  /** What is done in so many checks, with this share of a core. */
  const after = async (checks: number, share: number): Promise<string> => {
    done.length = 0;
    for (let i = 0; i < checks; i++) {
      await new Promise<void>((resolve) => env.timers.after(IDLE_CHECK_INTERVAL_MS, resolve));
      cpuMs += share * IDLE_CHECK_INTERVAL_MS;
    }
    return done.join(' ');
  };
  const all = 'drop log collect collect collect trim';
  await env.run(async () => {
    duty!.start();
    expect(await after(10, 0.001)).toBe(all);
    expect(await after(10, 0.001)).toBe('');
    expect(await after(10, 0.5)).toBe('');
    // Some requests go on: neither a load nor idle.
    expect(await after(10, 0.05)).toBe('');
    expect(await after(10, 0.001)).toBe(all);
    expect(await after(10, 0.05)).toBe('');
    expect(await after(10, 0.001)).toBe('');
    duty!.stop();
    expect(await after(10, 0.5)).toBe('');
  });
});

test("a process that is not the member's alone is left as it is", () => {
  const env = createSimEnv({ seed: 1 });
  const parts = { env, store: { machine: { dropCaches: () => {} } } };
  const snapshotter = { shrinkLog: async () => {} };
  expect(IdleMemory.of({ ...parts, snapshotter }, undefined)).toEqual([]);
});
