// A file that has lost its name gives its space back in steps.

import { expect, test } from 'vitest';
import { OPEN_MODES } from '../../env/index.ts';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import type { Database } from '../api.ts';
import { GIVE_BACK_BYTES } from '../limits.ts';
import { openDatabase } from './open.ts';

const STEPS = 4;

/** A file of several steps, and another one over whose name it may be renamed. */
function withReplaced(body: (env: SimEnv, old: Database) => Promise<void>): Promise<void> {
  const env = createSimEnv({ seed: 3 });
  return env.run(async () => {
    const old = await openDatabase(env, '/db');
    const grown = await env.disk.open('/db', OPEN_MODES.WRITE);
    await grown.zeroFill(grown.size(), (STEPS - 0.5) * GIVE_BACK_BYTES);
    await grown.sync();
    await grown.close();
    await body(env, old);
  });
}

async function replace(env: SimEnv): Promise<Database> {
  const next = await openDatabase(env, '/next');
  await next.rename('/db');
  return next;
}

const truncations = (env: SimEnv): number =>
  env.disk.trace.filter(({ kind }) => kind === 'truncate').length;

test('each step is synced, and followed by a rest for others', async () => {
  await withReplaced(async (env, old) => {
    const next = await replace(env);
    const used = env.disk.usedSize;
    env.disk.extraLatencyMs = ({ kind }) => (kind === 'sync' ? 10 : 0);
    const syncs: number[] = [];
    env.disk.intercept = ({ kind }) => {
      if (kind === 'sync') syncs.push(env.clock.monotonicMs());
      return undefined;
    };
    env.disk.startTrace();
    await old.discard();
    const steps = env.disk.trace.filter(({ kind }) => kind === 'truncate' || kind === 'sync');
    const between = Array(STEPS - 1).fill(['truncate', 'sync']);
    expect(steps.map(({ kind }) => kind)).toEqual([...between.flat(), 'truncate']);
    for (let i = 1; i < syncs.length; i++) {
      expect(syncs[i]! - syncs[i - 1]!).toBeGreaterThanOrEqual(30);
    }
    expect(used - env.disk.usedSize).toBe((STEPS - 0.5) * GIVE_BACK_BYTES);
    await expect(old.beginWrite()).rejects.toMatchObject({ code: 'CLOSED' });
    expect(() => old.beginRead()).toThrow('not open');
    expect(await next.check()).toEqual([]);
    await next.close();
  });
});

test('is ended early by close', async () => {
  await withReplaced(async (env, old) => {
    const next = await replace(env);
    const used = env.disk.usedSize;
    env.disk.startTrace();
    const discarded = old.discard();
    while (truncations(env) === 0) await env.timers.nextTurn();
    await old.close();
    await discarded;
    expect(truncations(env)).toBeLessThan(STEPS);
    expect(used - env.disk.usedSize).toBe((STEPS - 0.5) * GIVE_BACK_BYTES);
    await next.close();
  });
});

test('leaves a file alone that still has a name', async () => {
  await withReplaced(async (env, old) => {
    env.disk.startTrace();
    await old.discard();
    expect(truncations(env)).toBe(0);
    const again = await openDatabase(env, '/db');
    expect(await again.check()).toEqual([]);
    await again.close();
  });
});

test('closes the file though the disk fails', async () => {
  await withReplaced(async (env, old) => {
    const next = await replace(env);
    env.disk.intercept = ({ kind }) => (kind === 'sync' ? 'failed' : undefined);
    const used = env.disk.usedSize;
    await expect(old.discard()).rejects.toMatchObject({ code: 'DISK_FAILED' });
    env.disk.intercept = undefined;
    expect(used - env.disk.usedSize).toBe((STEPS - 0.5) * GIVE_BACK_BYTES);
    await next.close();
  });
});
