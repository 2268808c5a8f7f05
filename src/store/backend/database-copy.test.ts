// The file as of one commit, beside what a naive twin says of that commit.

import { expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { OPEN_MODES } from '../../env/index.ts';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import { NOBODY, StoreRig } from '../testing/store.fixture.ts';
import { BackendTwin, openTwin, TWIN_PATH } from './backend-twin.fixture.ts';
import type { DatabaseCopy } from './database-copy.ts';

const SEED = Number(process.env['STORE_SEED'] ?? 1);

const on = <T>(seed: number, body: (env: SimEnv) => Promise<T>): Promise<T> => {
  const env = createSimEnv({ seed, autoRun: false });
  return env.run(() => body(env));
};

const pauseOn = (env: SimEnv) => (ms: number) =>
  new Promise<void>((resolve) => env.timers.after(ms, resolve));

/** Reads the copy to its end, with other work between two chunks. */
async function contentOf(copy: DatabaseCopy, between?: () => Promise<void>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of copy.chunks()) {
    chunks.push(chunk.slice());
    await between?.();
  }
  const content = Buffer.concat(chunks);
  expect(content.length).toBe(copy.size);
  return content;
}

async function writeFile(env: SimEnv, path: string, content: Uint8Array): Promise<void> {
  const file = await env.disk.open(path, OPEN_MODES.CREATE);
  await file.write([content], 0);
  await file.sync();
  await file.close();
}

test.each([...Array(8).keys()].map((i) => SEED * 1000 + i))(
  'copies hold exactly the commit of their index, whatever is written meanwhile: seed %i',
  async (seed) => {
    const taken: { index: number; content: Uint8Array }[] = [];
    const twin = await on(seed, async (env) => {
      const { backend } = await openTwin(env, { pageCacheBytes: seed % 2 === 0 ? 0 : 64 * 1024 });
      const twin = new BackendTwin(backend, seededRandom(seed));
      const steps = async () => {
        for (let i = 0; i < 40; i++) await twin.step(pauseOn(env));
      };
      for (let round = 0; round < 4; round++) {
        await steps();
        const applied = backend.appliedIndex;
        const opening = backend.openCopy();
        await steps();
        const copy = await opening;
        const { index } = copy.durable;
        expect(index).toBeGreaterThanOrEqual(applied);
        taken.push({ index, content: await contentOf(copy, steps) });
        copy.close();
      }
      twin.releaseAll();
      await backend.close();
      return twin;
    });
    for (const { index, content } of taken) {
      await on(seed, async (env) => {
        await writeFile(env, TWIN_PATH, content);
        const found = await openTwin(env);
        expect(found.backend.appliedIndex).toBe(index);
        twin.durable = index;
        expect(twin.differences(found.backend, found.rows)).toEqual([]);
        expect(await found.backend.database.check()).toEqual([]);
        await found.backend.close();
      });
    }
  },
);

test('a copy of what was found when the file was opened knows the membership too', async () => {
  await on(SEED, async (env) => {
    const first = await StoreRig.open(env);
    first.put('a', '1');
    await first.close();
    const rig = await StoreRig.open(env);
    expect(rig.backend.durable.membership).toBeUndefined();
    const copy = await rig.backend.openCopy();
    expect(copy.durable.index).toBe(1);
    expect(copy.durable.membership?.confState).toEqual(NOBODY);
    copy.close();
    await rig.close();
  });
});

test('a copy is over when it is closed, or the backend is', async () => {
  await on(SEED, async (env) => {
    const rig = await StoreRig.open(env);
    for (let i = 0; i < 40; i++) rig.put(`k${i}`, 'x'.repeat(100_000));
    const [a, b, c] = [
      await rig.backend.openCopy(),
      await rig.backend.openCopy(),
      await rig.backend.openCopy(),
    ];
    const open = () => rig.backend.database.statistics().openReaders;
    const before = open();
    const closesIn = (copy: DatabaseCopy, close: () => unknown): Promise<unknown> => {
      let chunks = 0;
      return contentOf(copy, async () => {
        if (++chunks === 2) await close();
      });
    };
    await expect(closesIn(a, () => a.close())).rejects.toMatchObject({ code: 'CLOSED' });
    a.close();
    expect(open()).toBe(before - 1);
    // Whoever stops reading half-way lets nothing but the copy itself open.
    for await (const chunk of b.chunks()) if (chunk.length > 10_000) break;
    b.close();
    expect(open()).toBe(before - 2);
    await expect(closesIn(c, () => rig.close())).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(rig.backend.openCopy()).rejects.toMatchObject({ code: 'CLOSED' });
    expect(rig.failures).toEqual([]);
  });
});
