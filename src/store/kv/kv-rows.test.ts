import { expect, test } from 'vitest';
import { createSimEnv } from '../../env/sim/index.ts';
import { StoreRig } from '../testing/store.fixture.ts';

const ROWS = 600;
const keyOf = (i: number): string => `k${String(i).padStart(4, '0')}`;

test('rows whose pages do not fit the page cache are soon cached themselves', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const first = await StoreRig.open(env);
    for (let i = 0; i < ROWS; i++) first.put(keyOf(i), `${i}`.repeat(700));
    await first.close();
    const rig = await StoreRig.open(env, { pageCacheBytes: 64 * 1024 });
    const read = (): number => {
      const before = rig.backend.database.cacheMisses;
      const pairs = rig.pairs();
      expect(pairs).toHaveLength(ROWS);
      for (const [i, pair] of pairs.entries()) {
        expect(pair.startsWith(`${keyOf(i)}=${`${i}`.repeat(700)}@`)).toBe(true);
      }
      return rig.backend.database.cacheMisses - before;
    };
    const misses = [read(), read(), read(), read(), read(), read()];
    expect(misses[0]).toBeGreaterThan(ROWS / 3);
    expect(misses[5]).toBeLessThan(misses[0]! / 4);
    await rig.close();
  });
});
