import { expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import { revisionKey } from '../../mvcc/index.ts';
import { DEFRAGMENT_CHECK_MS } from '../limits.ts';
import type { Backend } from './backend.ts';
import { BackendTwin, openTwin, TWIN_PATH } from './backend-twin.fixture.ts';
import { type DefragmentProgress, defragment } from './defragmentation.ts';

const SEED = Number(process.env['STORE_SEED'] ?? 1);
const VALUE_BYTES = 1000;

const pauseOn = (env: SimEnv) => (ms: number) =>
  new Promise<void>((resolve) => env.timers.after(ms, resolve));

/** A backend with `count` rows, of which all but every tenth have been removed again. */
async function fragmented(
  seed: number,
  count: number,
  body: (env: SimEnv, backend: Backend) => Promise<void>,
): Promise<void> {
  const env = createSimEnv({ seed, autoRun: false });
  await env.run(async () => {
    const { backend } = await openTwin(env, { batchChanges: 100 });
    for (let index = 1; index <= count; index++) applyOne(backend, index);
    await backend.commit();
    for (let main = 1; main <= count; main++) {
      if (main % 10 !== 0) backend.removeRow(revisionKey(main, 0));
    }
    await backend.commit();
    // What a commit frees may be used by the one after the next.
    for (const index of [count + 1, count + 2]) {
      applyOne(backend, index);
      await backend.commit();
    }
    await body(env, backend);
    env.disk.intercept = undefined;
    env.disk.extraLatencyMs = undefined;
    await backend.close();
    expect(await env.disk.list('/')).toEqual([TWIN_PATH.slice(1)]);
  });
}

function applyOne(backend: Backend, index: number): void {
  backend.beginEntry();
  backend.appendRow(index, 0, false, new Uint8Array(VALUE_BYTES).fill(index), 0, VALUE_BYTES);
  backend.endEntry(index, 1);
}

test('the file becomes as small as what is in use, while rows are put', async () => {
  await fragmented(1, 2000, async (env, backend) => {
    const before = backend.sizeBytes;
    expect(before - backend.sizeInUseBytes).toBeGreaterThan(1_000_000);
    let index = 2002;
    let isOver = false;
    const putting = (async () => {
      while (!isOver) {
        applyOne(backend, ++index);
        await pauseOn(env)(1);
      }
    })();
    await defragment(env, backend);
    isOver = true;
    await putting;
    expect(index).toBeGreaterThan(2003);
    await backend.commit();
    expect(backend.sizeBytes).toBeLessThan(before / 3);
    expect(backend.sizeInUseBytes).toBeGreaterThan(200 * VALUE_BYTES);
    await backend.close();
    const again = await openTwin(env);
    expect(again.rows.size).toBe(200 + index - 2000);
    expect(await again.backend.database.check()).toEqual([]);
    await again.backend.close();
  });
});

test.each([...Array(4).keys()].map((i) => SEED * 100 + i))(
  'whatever is written meanwhile is there afterwards: seed %i',
  async (seed) => {
    const env = createSimEnv({ seed, autoRun: false });
    await env.run(async () => {
      const { backend } = await openTwin(env);
      const twin = new BackendTwin(backend, seededRandom(seed));
      for (let round = 0; round < 4; round++) {
        for (let i = 0; i < 30; i++) await twin.step(pauseOn(env));
        const done = defragment(env, backend);
        for (let i = 0; i < 20; i++) await twin.step(pauseOn(env));
        await done;
        twin.check();
      }
      twin.releaseAll();
      await backend.close();
      twin.durable = backend.appliedIndex;
      const found = await openTwin(env);
      expect(twin.differences(found.backend, found.rows)).toEqual([]);
      await found.backend.close();
    });
  },
);

test('without room for a second file it says what is needed, and changes nothing', async () => {
  await fragmented(2, 2000, async (env, backend) => {
    const { database } = backend;
    env.disk.capacity = env.disk.usedSize + 100 * 4096;
    env.disk.startTrace();
    const done = defragment(env, backend);
    await expect(done).rejects.toMatchObject({ code: 'DISK_FULL' });
    await expect(done).rejects.toThrow(
      /^defragmentation needs 2.0 MB of free disk space in \/, 410 kB are free$/,
    );
    expect(env.disk.trace).toEqual([]);
    expect(backend.database).toBe(database);
    env.disk.capacity = Number.POSITIVE_INFINITY;
    await defragment(env, backend);
  });
});

test('it gives up when others take the room that it left to them', async () => {
  await fragmented(3, 2000, async (env, backend) => {
    const { database } = backend;
    env.disk.extraLatencyMs = ({ kind, path }) =>
      kind === 'sync' && path !== TWIN_PATH ? 10 * DEFRAGMENT_CHECK_MS : 0;
    const progress: DefragmentProgress[] = [];
    const done = defragment(env, backend, (each) => {
      progress.push(each);
      if (progress.length === 3) env.disk.capacity = env.disk.usedSize + 4096;
    });
    await expect(done).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(progress.length).toBe(3);
    expect(progress[0]!.expectedBytes).toBeGreaterThan(200 * VALUE_BYTES);
    expect(backend.database).toBe(database);
    env.disk.capacity = Number.POSITIVE_INFINITY;
    applyOne(backend, 2003);
    await backend.commit();
  });
});
