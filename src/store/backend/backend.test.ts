import { describe, expect, test } from 'vitest';
import { bytesFromLatin1, hasCode, InvariantError, seededRandom } from '../../base/index.ts';
import {
  createSimEnv,
  type DiskFault,
  SimEnv as Env,
  type SimDisk,
  type SimEnv,
  SimWorld,
} from '../../env/sim/index.ts';
import type { ClusterState } from '../../membership/index.ts';
import { ByteSlice } from '../../mvcc/index.ts';
import { DISK_FULL_RETRY_MS } from '../limits.ts';
import { BUCKET, META_KEY } from '../schema/schema.ts';
import type { Backend } from './backend.ts';
import { BackendTwin, openTwin, TWIN_PATH } from './backend-twin.fixture.ts';

const SEED = Number(process.env['STORE_SEED'] ?? 1);

const pauseOn = (env: SimEnv) => (ms: number) =>
  new Promise<void>((resolve) => env.timers.after(ms, resolve));

const NOBODY = { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
const IMAGE = { confState: NOBODY, cluster: {} as ClusterState };

/** Entry `index`, which puts one row and one lease. */
function applyOne(backend: Backend, index: number, valueSize = 10): void {
  backend.beginEntry();
  backend.appendRow(index, 0, false, new Uint8Array(valueSize).fill(index), 0, valueSize);
  backend.set(BUCKET.LEASE, `l${index}`, Uint8Array.of(index));
  backend.endEntry(index, 1);
}

async function on<T>(seed: number, body: (env: SimEnv) => Promise<T>): Promise<T> {
  const env = createSimEnv({ seed, autoRun: false });
  return await env.run(() => body(env));
}

describe('against a naive twin', () => {
  test.each([...Array(12).keys()].map((i) => SEED * 1000 + i))('seed %i', async (seed) => {
    await on(seed, async (env) => {
      const random = seededRandom(seed);
      const opened = await openTwin(env);
      const twin = new BackendTwin(opened.backend, random);
      for (let i = 0; i < 250; i++) await twin.step(pauseOn(env));
      twin.releaseAll();
      twin.check();
      await twin.backend.close();
      twin.durable = twin.backend.appliedIndex;

      const again = await openTwin(env);
      expect(again.backend.durable.index).toBe(twin.backend.appliedIndex);
      expect(twin.differences(again.backend, again.rows)).toEqual([]);
      for (const name of twin.removed.keys()) expect(again.rows.has(name)).toBe(false);
      expect(await again.backend.database.check()).toEqual([]);
      await again.backend.close();
    });
  });

  test.each([...Array(4).keys()].map((i) => SEED * 1000 + i))(
    'whenever it crashes, the file holds what its index says: seed %i',
    async (seed) => {
      const outcomes: { disk: SimDisk; durable: number }[] = [];
      let twin: BackendTwin | undefined;
      await on(seed, async (env) => {
        env.disk.intercept = ({ effect }) => {
          if (effect === 0 || twin === undefined) return undefined;
          outcomes.push({ disk: env.disk.outcome({ seed: effect }), durable: twin.durable });
          return undefined;
        };
        twin = new BackendTwin((await openTwin(env)).backend, seededRandom(seed));
        for (let i = 0; i < 120; i++) await twin.step(pauseOn(env));
        twin.releaseAll();
        await twin.backend.close();
      });
      expect(outcomes.length).toBeGreaterThan(20);
      for (const [i, { disk, durable }] of outcomes.entries()) {
        const env = envOn(disk, i);
        await env.run(async () => {
          const found = await openTwin(env);
          twin!.durable = durable;
          expect(twin!.differences(found.backend, found.rows), `outcome ${i}`).toEqual([]);
          expect(await found.backend.database.check()).toEqual([]);
          await found.backend.close();
        });
      }
    },
  );
});

/** A process on a disk that a crash left. */
function envOn(disk: SimDisk, seed: number): SimEnv {
  const late: { env?: SimEnv } = {};
  const schedule = (delayMs: number, callback: () => void) =>
    void late.env!.timers.after(delayMs, callback);
  const own = disk.outcome({ seed, unsynced: 'kept', schedule });
  late.env = new Env(new SimWorld({ seed, autoRun: false }), 'localhost', undefined, own);
  return late.env;
}

describe('a batch', () => {
  test('is cut only between entries', async () => {
    await on(1, async (env) => {
      const { backend } = await openTwin(env, { batchIntervalMs: 1, batchChanges: 3 });
      backend.beginEntry();
      for (let sub = 0; sub < 10; sub++) backend.appendRow(5, sub, false, Uint8Array.of(1), 0, 1);
      const commit = backend.commit();
      await pauseOn(env)(50);
      expect(backend.durable.index).toBe(0);
      backend.appendRow(5, 10, false, Uint8Array.of(1), 0, 1);
      backend.endEntry(1, 1);
      expect((await commit).index).toBe(1);
      expect(backend.get(BUCKET.META, META_KEY.CONSISTENT_INDEX)).toEqual(
        Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1),
      );
      await backend.close();
    });
  });

  test('is cut at the limit, and after the interval', async () => {
    await on(2, async (env) => {
      const commits: number[] = [];
      const { backend } = await openTwin(env, {
        batchIntervalMs: 100,
        batchChanges: 4,
        onCommit: ({ index }) => commits.push(index),
      });
      applyOne(backend, 1);
      await pauseOn(env)(50);
      expect(commits).toEqual([]);
      applyOne(backend, 2); // The fourth change.
      await pauseOn(env)(20);
      expect(commits).toEqual([2]);
      applyOne(backend, 3);
      await pauseOn(env)(90);
      expect(commits).toEqual([2]);
      await pauseOn(env)(20);
      expect(commits).toEqual([2, 3]);
      await backend.close();
    });
  });

  test('is not cut when nothing happens', async () => {
    await on(3, async (env) => {
      const { backend } = await openTwin(env, { batchIntervalMs: 10 });
      // As the member does: something is set whenever a batch is cut.
      backend.captureMembership(() => {
        backend.set(BUCKET.META, META_KEY.CONF_STATE, Uint8Array.of(1));
        return IMAGE;
      });
      applyOne(backend, 1);
      await pauseOn(env)(1000);
      const before = env.disk.effectCount;
      await pauseOn(env)(10_000);
      expect(env.disk.effectCount).toBe(before);
      await backend.close();
    });
  });

  test('carries the membership of the moment at which it is cut', async () => {
    await on(4, async (env) => {
      const { backend } = await openTwin(env, { batchIntervalMs: 100 });
      expect(backend.durable.membership).toBeUndefined();
      let voter = 1n;
      backend.captureMembership(() => {
        backend.setTerm();
        return { ...IMAGE, confState: { ...NOBODY, voters: [voter] } };
      });
      applyOne(backend, 1);
      const commit = backend.commit();
      voter = 2n;
      applyOne(backend, 2);
      const { index, membership } = await commit;
      expect([index, membership?.confState.voters]).toEqual([1, [1n]]);
      expect((await backend.commit()).membership?.confState.voters).toEqual([2n]);
      expect(backend.get(BUCKET.META, META_KEY.TERM)?.at(-1)).toBe(1);
      await backend.close();
    });
  });

  test('with nothing in it still brings the index forward', async () => {
    await on(5, async (env) => {
      const { backend } = await openTwin(env);
      for (let index = 1; index <= 3; index++) {
        backend.beginEntry();
        backend.endEntry(index, 2);
      }
      expect(backend.durable.index).toBe(0);
      const durable = await backend.commit();
      expect([durable.index, durable.term]).toEqual([3, 2]);
      expect(await backend.commit()).toBe(durable);
      await backend.close();
    });
  });
});

test('entries are applied in order and one by one', async () => {
  await on(6, async (env) => {
    const { backend } = await openTwin(env);
    expect(() => backend.endEntry(1, 1)).toThrow(InvariantError);
    backend.beginEntry();
    expect(() => backend.beginEntry()).toThrow(InvariantError);
    backend.endEntry(5, 1);
    backend.beginEntry();
    expect(() => backend.endEntry(5, 1)).toThrow(InvariantError);
    backend.endEntry(6, 1);
    await backend.close();
  });
});

test('the live overlay has a bound, and there is word when there is room', async () => {
  await on(7, async (env) => {
    const { backend } = await openTwin(env, { batchChanges: 2, overlayBytesMax: 1000 });
    applyOne(backend, 1);
    expect(backend.isFull).toBe(false);
    let index = 2;
    for (; !backend.isFull && index < 100; index++) {
      backend.beginEntry();
      backend.appendRow(index, 0, false, new Uint8Array(200), 0, 200);
      backend.endEntry(index, 1);
    }
    expect(index).toBeLessThan(20);
    await backend.whenRoom();
    expect(backend.isFull).toBe(false);
    expect(backend.durable.index).toBeGreaterThan(0);
    await backend.close();
  });
});

describe('a full disk', () => {
  const fullWhile = (env: SimEnv, isFull: () => boolean) => {
    env.disk.intercept = ({ kind, path }): DiskFault | undefined =>
      isFull() && path === TWIN_PATH && (kind === 'write' || kind === 'truncate')
        ? 'full'
        : undefined;
  };

  test('is reported, and the batch is tried again until there is room', async () => {
    await on(8, async (env) => {
      const reported: unknown[] = [];
      const { backend } = await openTwin(env, { onDiskFull: (error) => reported.push(error) });
      applyOne(backend, 1);
      await backend.commit();
      let full = true;
      fullWhile(env, () => full);
      applyOne(backend, 2);
      const commit = backend.commit();
      applyOne(backend, 3);
      await pauseOn(env)(3.5 * DISK_FULL_RETRY_MS);
      expect(reported.length).toBe(4);
      expect(reported.every((error) => hasCode(error, 'DISK_FULL'))).toBe(true);
      expect(backend.durable.index).toBe(1);
      const slice = new ByteSlice();
      expect(backend.findRow(2, 0, slice) && backend.findRow(3, 0, slice)).toBe(true);
      full = false;
      expect((await commit).index).toBe(2);
      expect((await backend.commit()).index).toBe(3);
      await backend.close();
      const again = await openTwin(env);
      expect([...again.rows.keys()]).toEqual(['1.0', '2.0', '3.0']);
      expect(await again.backend.database.check()).toEqual([]);
      await again.backend.close();
    });
  });

  test('while stopping is not waited for', async () => {
    await on(9, async (env) => {
      const failures: unknown[] = [];
      const options = { onFailure: (error: unknown) => failures.push(error) };
      const { backend } = await openTwin(env, options);
      applyOne(backend, 1);
      await backend.commit();
      fullWhile(env, () => true);
      applyOne(backend, 2);
      const commit = backend.commit().catch((error: unknown) => error);
      await pauseOn(env)(DISK_FULL_RETRY_MS / 2);
      await expect(backend.close()).rejects.toSatisfy((error) => hasCode(error, 'DISK_FULL'));
      expect(hasCode(await commit, 'DISK_FULL')).toBe(true);
      expect(failures.length).toBe(1);
      env.disk.intercept = undefined;
      const again = await openTwin(env);
      expect([...again.rows.keys()]).toEqual(['1.0']);
      await again.backend.close();
    });
  });
});

describe('a failing disk', () => {
  test.each(['write', 'sync'] as const)('%s: stops everything, and says so once', async (kind) => {
    await on(10, async (env) => {
      const failures: unknown[] = [];
      const options = { overlayBytesMax: 1, onFailure: (error: unknown) => failures.push(error) };
      const { backend } = await openTwin(env, options);
      applyOne(backend, 1);
      await backend.commit();
      env.disk.intercept = (operation) => (operation.kind === kind ? 'failed' : undefined);
      applyOne(backend, 2);
      const first = backend.commit().catch((error: unknown) => error);
      applyOne(backend, 3);
      const second = backend.commit().catch((error: unknown) => error);
      const room = backend.whenRoom();
      for (const error of [await first, await second]) {
        expect(hasCode(error, 'DISK_FAILED')).toBe(true);
      }
      await room;
      expect(failures.length).toBe(1);
      await expect(backend.commit()).rejects.toSatisfy((error) => hasCode(error, 'DISK_FAILED'));
      env.disk.intercept = undefined;
      // What is in memory is not written any more, whatever the disk now says.
      applyOne(backend, 4);
      await pauseOn(env)(100);
      expect(backend.durable.index).toBe(1);
      await backend.close();
      expect(failures.length).toBe(1);
    });
  });
});

describe('closing', () => {
  test('commits what is applied', async () => {
    await on(11, async (env) => {
      const { backend } = await openTwin(env, { batchIntervalMs: 1000 });
      applyOne(backend, 1);
      void backend.commit();
      applyOne(backend, 2);
      await Promise.all([backend.close(), backend.close()]);
      const again = await openTwin(env);
      expect(again.backend.durable.index).toBe(2);
      expect(again.backend.durable.term).toBe(0); // Nobody noted it.
      await again.backend.close();
    });
  });

  test('within an entry commits nothing of it, and does not wait for its end', async () => {
    await on(12, async (env) => {
      const { backend } = await openTwin(env);
      applyOne(backend, 1);
      await backend.commit();
      applyOne(backend, 2);
      void backend.commit().catch(() => {});
      applyOne(backend, 3);
      backend.beginEntry();
      backend.appendRow(4, 0, false, bytesFromLatin1('half'), 0, 4);
      const commit = backend.commit().catch((error: unknown) => error);
      await backend.close();
      expect(hasCode(await commit, 'CLOSED')).toBe(true);
      const again = await openTwin(env);
      // The batch that was on its way got there.
      expect([...again.rows.keys()]).toEqual(['1.0', '2.0']);
      expect(again.backend.durable.index).toBe(2);
      await again.backend.close();
    });
  });
});

test('a pinned sight is released once, and not read afterwards', async () => {
  await on(13, async (env) => {
    const { backend } = await openTwin(env);
    applyOne(backend, 1);
    const pin = backend.pin();
    pin.release();
    pin.release();
    expect(() => pin.findRow(1, 0, new ByteSlice())).toThrow(InvariantError);
    await backend.close();
  });
});

test('sizes grow with what is written before it is in the file', async () => {
  await on(14, async (env) => {
    const { backend } = await openTwin(env, { batchIntervalMs: 1000 });
    const [size, inUse] = [backend.sizeBytes, backend.sizeInUseBytes];
    applyOne(backend, 1, 5000);
    expect(backend.sizeBytes).toBeGreaterThanOrEqual(size + 5000);
    expect(backend.sizeInUseBytes).toBeGreaterThanOrEqual(inUse + 5000);
    await backend.commit();
    expect(backend.sizeBytes).toBe(backend.database.size());
    await backend.close();
  });
});

test('a meta key that is no count is refused, with its name', async () => {
  await on(15, async (env) => {
    const { backend } = await openTwin(env);
    backend.beginEntry();
    backend.set(BUCKET.META, META_KEY.TERM, bytesFromLatin1('seven'));
    backend.endEntry(1, 1);
    await backend.close();
    await expect(openTwin(env)).rejects.toThrow(
      /^\/twin: page 4 \(offset 16384\): bucket meta, key "term": 5 bytes that are no 64-bit/,
    );
    // And the lock is let go.
    await expect(openTwin(env)).rejects.toThrow('no 64-bit count');
  });
});
