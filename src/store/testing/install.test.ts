// A member whose leader's database takes the place of its own, while it is watched and read.

import { describe, expect, test } from 'vitest';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import { InstallWorld } from './install.fixture.ts';

const SEED = Number(process.env['STORE_SEED'] ?? 1);

const on = <T>(seed: number, body: (env: SimEnv) => Promise<T>): Promise<T> => {
  const env = createSimEnv({ seed, autoRun: false });
  return env.run(() => body(env));
};

describe('watchers see everything once and in order, whenever snapshots are installed', () => {
  test.each([...Array(30).keys()].map((i) => SEED * 1000 + i))('seed %i', async (seed) => {
    await on(seed, async (env) => {
      const world = await InstallWorld.open(env, seed);
      for (let round = 0; round < 5; round++) {
        const steps = world.random.below(60);
        for (let i = 0; i < steps; i++) await world.step();
        await world.install();
      }
      for (let i = 0; i < 30; i++) await world.step();
      expect(await world.finish()).toEqual([]);
      expect(world.watched.length).toBeGreaterThan(5);
      expect(world.follower.pairs()).toEqual(world.leader.pairs());
      expect(await world.follower.violations()).toEqual([]);
      await world.close();
      expect(world.failures).toEqual([]);
    });
  });
});
