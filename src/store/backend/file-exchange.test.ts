// The file under a running backend is exchanged for another one, beside a naive twin of the content.

import { describe, expect, test } from 'vitest';
import { hasCode, seededRandom } from '../../base/index.ts';
import type { Database, ReadTransaction } from '../../bbolt/index.ts';
import {
  createSimEnv,
  type DiskFault,
  SimEnv as Env,
  type SimDisk,
  type SimEnv,
  SimWorld,
} from '../../env/sim/index.ts';
import { ByteSlice, revisionKey } from '../../mvcc/index.ts';
import { RETIRED_FILES_MAX, RETIRED_MS_MAX } from '../limits.ts';
import { BUCKET } from '../schema/schema.ts';
import type { Backend } from './backend.ts';
import { BackendTwin, openTwin, TWIN_PATH } from './backend-twin.fixture.ts';

const SEED = Number(process.env['STORE_SEED'] ?? 1);
const NEW_PATH = `${TWIN_PATH}.new`;

const pauseOn = (env: SimEnv) => (ms: number) =>
  new Promise<void>((resolve) => env.timers.after(ms, resolve));

async function on<T>(seed: number, body: (env: SimEnv) => Promise<T>): Promise<T> {
  const env = createSimEnv({ seed, autoRun: false });
  return await env.run(() => body(env));
}

/** Rewrites the file as a defragmentation does; `meanwhile` runs when it is filled. */
const rewritten = (backend: Backend, meanwhile: () => unknown = () => {}) => ({
  path: NEW_PATH,
  fill: async (commit: ReadTransaction, target: Database) => {
    await backend.database.compactInto(target, { commit });
    await meanwhile();
  },
});

/** Entry `index`, which puts one row and one lease. */
function applyOne(backend: Backend, index: number, valueSize = 10): void {
  backend.beginEntry();
  backend.appendRow(index, 0, false, new Uint8Array(valueSize).fill(index), 0, valueSize);
  backend.set(BUCKET.LEASE, `l${index}`, Uint8Array.of(index));
  backend.endEntry(index, 1);
}

/** Opens the file that is left: sound, and exactly what the twin says of its index. */
async function expectWhole(env: SimEnv, twin: BackendTwin, name = ''): Promise<void> {
  const found = await openTwin(env);
  expect(twin.differences(found.backend, found.rows), name).toEqual([]);
  expect(await found.backend.database.check(), name).toEqual([]);
  await found.backend.close();
}

/** A process on a disk that a crash left. */
function envOn(disk: SimDisk, seed: number): SimEnv {
  const late: { env?: SimEnv } = {};
  const schedule = (delayMs: number, callback: () => void) =>
    void late.env!.timers.after(delayMs, callback);
  const own = disk.outcome({ seed, unsynced: 'kept', schedule });
  late.env = new Env(new SimWorld({ seed, autoRun: false }), 'localhost', undefined, own);
  return late.env;
}

describe('exchanges among entries, commits, pinned readers and removals', () => {
  test.each([...Array(12).keys()].map((i) => SEED * 1000 + i))('seed %i', async (seed) => {
    await on(seed, async (env) => {
      const opened = await openTwin(env);
      const twin = new BackendTwin(opened.backend, seededRandom(seed), undefined, {
        exchanges: true,
      });
      for (let i = 0; i < 250; i++) await twin.step(pauseOn(env));
      twin.check();
      twin.releaseAll();
      const before = twin.exchanges;
      while (twin.exchanges === before) await twin.exchangeFile(pauseOn(env), true);
      twin.check();
      await twin.backend.close();
      twin.durable = twin.backend.appliedIndex;
      expect(await env.disk.list('/')).toEqual([TWIN_PATH.slice(1)]);
      await expectWhole(env, twin);
    });
  });
});

describe('a crash at every effect on the disk', () => {
  test.each([...Array(3).keys()].map((i) => SEED * 1000 + i))(
    'leaves one whole file, of a commit that is not before the last one told: seed %i',
    async (seed) => {
      const outcomes: { disk: SimDisk; durable: number }[] = [];
      let twin: BackendTwin | undefined;
      await on(seed, async (env) => {
        env.disk.intercept = ({ effect }) => {
          if (effect === 0 || twin === undefined) return undefined;
          for (const seed of [effect, -effect]) {
            const disk = env.disk.outcome({ seed });
            outcomes.push({ disk, durable: twin.durable });
          }
          return undefined;
        };
        const { backend } = await openTwin(env);
        twin = new BackendTwin(backend, seededRandom(seed), undefined, { exchanges: true });
        for (let i = 0; i < 80; i++) await twin.step(pauseOn(env));
        twin.releaseAll();
        while (twin.exchanges < 2) await twin.exchangeFile(pauseOn(env), true);
        await twin.backend.close();
      });
      expect(twin!.exchanges).toBeGreaterThan(1);
      for (const [i, { disk, durable }] of outcomes.entries()) {
        const env = envOn(disk, i);
        await env.run(async () => {
          twin!.durable = durable;
          await expectWhole(env, twin!, `outcome ${i}`);
        });
      }
    },
  );
});

test('what is committed while the new file is filled is carried over in several passes', async () => {
  await on(20, async (env) => {
    const { backend } = await openTwin(env);
    const put = async (from: number, to: number) => {
      for (let index = from; index < to; index++) applyOne(backend, index);
      await backend.commit();
    };
    await put(1, 100);
    await backend.exchange(
      rewritten(backend, async () => {
        await put(100, 400);
        // Rows from before and from after the pinned commit, and a lease.
        for (const main of [2, 3, 150, 399]) backend.removeRow(revisionKey(main, 0));
        backend.set(BUCKET.LEASE, 'l5', undefined);
        await backend.commit();
      }),
    );
    await put(400, 410);
    expect(backend.database.path).toBe(TWIN_PATH);
    await backend.close();
    const again = await openTwin(env);
    expect(again.rows.size).toBe(409 - 4);
    expect(['2.0', '150.0', '399.0'].filter((name) => again.rows.has(name))).toEqual([]);
    const leases = again.backend.entries(BUCKET.LEASE);
    expect([leases.size, leases.has('l5')]).toEqual([408, false]);
    expect(await again.backend.database.check()).toEqual([]);
    await again.backend.close();
  });
});

describe('readers of the old file', () => {
  test('go on until they are done; then it is closed, and its space is free', async () => {
    await on(21, async (env) => {
      const { backend } = await openTwin(env, { pageCacheBytes: 0 });
      for (let index = 1; index < 50; index++) applyOne(backend, index);
      await backend.commit();
      const old = backend.database;
      const [pin, copy] = [backend.pin(), await backend.openCopy()];
      await backend.exchange(rewritten(backend));
      expect(backend.database).not.toBe(old);
      const slice = new ByteSlice();
      expect(pin.findRow(7, 0, slice) && slice.buffer[slice.offset]).toBe(7);
      let size = 0;
      for await (const chunk of copy.chunks()) size += chunk.length;
      expect(size).toBe(copy.size);
      expect(old.statistics().openReaders).toBe(2);
      pin.release();
      copy.close();
      await pauseOn(env)(1);
      expect(() => old.beginRead()).toThrow('not open');
      await backend.close();
    });
  });

  test('lose it after a time', async () => {
    await on(22, async (env) => {
      const { backend } = await openTwin(env, { pageCacheBytes: 0 });
      applyOne(backend, 1);
      const old = backend.database;
      await backend.commit();
      const pin = backend.pin();
      await backend.exchange(rewritten(backend));
      await pauseOn(env)(RETIRED_MS_MAX - 1000);
      expect(pin.findRow(1, 0, new ByteSlice())).toBe(true);
      await pauseOn(env)(2000);
      expect(() => old.beginRead()).toThrow('not open');
      pin.release();
      await backend.close();
    });
  });

  test('hold so many files at most', async () => {
    await on(23, async (env) => {
      const { backend } = await openTwin(env);
      const pins: { release(): void }[] = [];
      for (let i = 1; i <= RETIRED_FILES_MAX; i++) {
        applyOne(backend, i);
        pins.push(backend.pin());
        await backend.exchange(rewritten(backend));
      }
      const refused = backend.exchange(rewritten(backend));
      await expect(refused).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
      pins[1]!.release();
      await pauseOn(env)(1);
      await backend.exchange(rewritten(backend));
      await backend.close();
      await expectOnly(env);
    });
  });
});

const expectOnly = async (env: SimEnv) =>
  expect(await env.disk.list('/')).toEqual([TWIN_PATH.slice(1)]);

describe('nothing changes', () => {
  const failing = async (
    seed: number,
    code: string,
    fail: (env: SimEnv, backend: Backend) => unknown,
    options: { readonly notedKeysMax?: number } = {},
  ) => {
    await on(seed, async (env) => {
      const failures: unknown[] = [];
      const { backend } = await openTwin(env, { onFailure: (error) => failures.push(error) });
      for (let index = 1; index < 30; index++) applyOne(backend, index);
      await backend.commit();
      const old = backend.database;
      const meanwhile = () => fail(env, backend);
      const done = backend.exchange({ ...rewritten(backend, meanwhile), ...options });
      await expect(done).rejects.toMatchObject({ code });
      env.disk.intercept = undefined;
      expect([backend.database, failures]).toEqual([old, []]);
      expect(await env.disk.stat(NEW_PATH)).toBeUndefined();
      await backend.close();
      await expectOnly(env);
      const again = await openTwin(env);
      expect(again.rows.size).toBe(again.backend.durable.index);
      await again.backend.close();
    });
  };

  const faultOn = (path: string, fault: DiskFault, kind?: string) => (env: SimEnv) => {
    env.disk.intercept = (operation) =>
      operation.path === path && (kind === undefined || operation.kind === kind)
        ? fault
        : undefined;
  };

  test('if the disk has no room for the new file', async () => {
    await failing(30, 'DISK_FULL', (env, backend) => {
      applyOne(backend, 30);
      void backend.commit();
      faultOn(NEW_PATH, 'full', 'write')(env);
    });
  });

  test('if the new file cannot be synced', async () => {
    await failing(31, 'DISK_FAILED', (env, backend) => {
      applyOne(backend, 30);
      void backend.commit();
      faultOn(NEW_PATH, 'failed', 'sync')(env);
    });
  });

  test('if the new file does not get the name', async () => {
    await failing(32, 'DISK_FAILED', faultOn(NEW_PATH, 'failed', 'rename'));
  });

  test('if it cannot be filled', async () => {
    await failing(33, 'CORRUPT', () => {
      throw Object.assign(new Error('a page is damaged'), { code: 'CORRUPT' });
    });
  });

  test('if the old file has no room for a batch: the new one makes room', async () => {
    await failing(34, 'DISK_FULL', async (env, backend) => {
      applyOne(backend, 30);
      env.disk.intercept = ({ path, kind }) =>
        path === TWIN_PATH && kind === 'write' ? 'full' : undefined;
      void backend.commit();
      await pauseOn(env)(20);
    });
  });

  test('if more is removed meanwhile than can be noted', async () => {
    await failing(
      35,
      'LIMIT_EXCEEDED',
      async (_env, backend) => {
        for (const key of ['a', 'b', 'c', 'd']) backend.set(BUCKET.LEASE, key, undefined);
        await backend.commit();
      },
      { notedKeysMax: 3 },
    );
  });

  test('if the name is to become that of another file', async () => {
    await failing(36, 'CLOSED', async (_env, backend) => {
      void backend.refuseExchanges();
      await expect(backend.exchange(rewritten(backend))).rejects.toMatchObject({ code: 'CLOSED' });
    });
  });
});

test('a name of which nobody knows whether it changed stops the backend', async () => {
  await on(40, async (env) => {
    const failures: unknown[] = [];
    const { backend } = await openTwin(env, { onFailure: (error) => failures.push(error) });
    applyOne(backend, 1);
    await backend.commit();
    const done = backend.exchange(
      rewritten(backend, () => {
        env.disk.intercept = ({ kind }) => (kind === 'syncDirectory' ? 'failed' : undefined);
      }),
    );
    await expect(done).rejects.toMatchObject({ code: 'DISK_FAILED' });
    expect(failures.length).toBe(1);
    env.disk.intercept = undefined;
    applyOne(backend, 2);
    await expect(backend.commit()).rejects.toSatisfy((error) => hasCode(error, 'DISK_FAILED'));
    await backend.close();
    const again = await openTwin(env);
    expect([...again.rows.keys()]).toEqual(['1.0']);
    await again.backend.close();
  });
});

test('one file is exchanged at a time, and closing does not wait for it to be filled', async () => {
  await on(41, async (env) => {
    const { backend } = await openTwin(env);
    applyOne(backend, 1);
    const fill = () => new Promise<void>(() => {});
    const first = backend.exchange({ path: NEW_PATH, fill }).catch((error: unknown) => error);
    await pauseOn(env)(10);
    await expect(backend.exchange(rewritten(backend))).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
    });
    applyOne(backend, 2);
    await backend.close();
    expect(hasCode(await first, 'CLOSED')).toBe(true);
    await expectOnly(env);
    const again = await openTwin(env);
    expect(again.backend.durable.index).toBe(2);
    await again.backend.close();
  });
});

test('writers are held back while the rest is carried over, and go on afterwards', async () => {
  await on(42, async (env) => {
    const { backend } = await openTwin(env, { overlayBytesMax: 2000, batchChanges: 4 });
    applyOne(backend, 1);
    await backend.commit();
    let wasFull = false;
    env.disk.intercept = ({ kind }) => {
      if (kind !== 'rename') return undefined;
      for (let index = 2; !backend.isFull && index < 100; index++) applyOne(backend, index, 200);
      wasFull = backend.isFull;
      return undefined;
    };
    await backend.exchange(rewritten(backend));
    expect(wasFull).toBe(true);
    await backend.whenRoom();
    expect((await backend.commit()).index).toBe(backend.appliedIndex);
    await backend.close();
    const again = await openTwin(env);
    expect(again.rows.size).toBe(again.backend.durable.index);
    await again.backend.close();
  });
});

test('a backend that is retired takes no name', async () => {
  await on(43, async (env) => {
    const { backend } = await openTwin(env);
    applyOne(backend, 1);
    const exchange = backend.exchange(
      rewritten(backend, () => {
        void backend.retire();
      }),
    );
    await expect(exchange).rejects.toMatchObject({ code: 'CLOSED' });
    await backend.close();
    await expectOnly(env);
  });
});
