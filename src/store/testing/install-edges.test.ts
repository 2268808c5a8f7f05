// Single cases of one database taking the place of another, and what becomes of the old one.

import { describe, expect, test } from 'vitest';
import { hasCode, InvariantError } from '../../base/index.ts';
import {
  createSimEnv,
  SimEnv as Env,
  type SimDisk,
  type SimEnv,
  SimWorld,
} from '../../env/sim/index.ts';
import { WATCHER_STATE, type WatchOptions, WatchStream } from '../../mvcc/index.ts';
import { RETIRED_MS_MAX } from '../limits.ts';
import { BUCKET, META_KEY } from '../schema/schema.ts';
import { Sink, saveCopy } from './install.fixture.ts';
import { DATABASE, type RigOptions, StoreRig } from './store.fixture.ts';

const SEED = Number(process.env['STORE_SEED'] ?? 1);
const LEADER: RigOptions = { path: '/leader' };

const on = <T>(seed: number, body: (env: SimEnv) => Promise<T>): Promise<T> => {
  const env = createSimEnv({ seed, autoRun: false });
  return env.run(() => body(env));
};

const pause = (env: SimEnv, ms: number) =>
  new Promise<void>((resolve) => env.timers.after(ms, resolve));

/** Both at the same index: `a` was put five times. */
async function pairOn(env: SimEnv): Promise<{ leader: StoreRig; follower: StoreRig }> {
  const leader = await StoreRig.open(env, LEADER);
  const follower = await StoreRig.open(env);
  for (const rig of [leader, follower]) for (let i = 0; i < 5; i++) rig.put('a', `${i}`);
  return { leader, follower };
}

let saved = 0;

/** The follower gets the leader's database. */
async function install(
  leader: StoreRig,
  follower: StoreRig,
  options: RigOptions = {},
  prepare: () => Promise<void> = async () => {},
) {
  const path = `/${saved++}.snap.db`;
  const copy = await leader.backend.openCopy();
  const { index, term } = copy.durable;
  await saveCopy(leader.env, copy, path);
  copy.close();
  return await follower.install(path, { index, term }, options, prepare);
}

function watch(rig: StoreRig, options: Partial<WatchOptions> = {}) {
  const sink = new Sink();
  const plain = { key: 'a', rangeEnd: '', startRev: 0 };
  const filter = { noPut: false, noDelete: false, withPrevious: false };
  const answer = rig.machine.watch.hub.watch(new WatchStream(sink), 0n, {
    ...plain,
    ...filter,
    ...options,
  });
  if (!answer.ok) throw new Error(answer.reason);
  rig.machine.watch.schedule();
  const { watcher } = answer;
  return { sink, watcher, seen: () => sink.of(watcher).map(({ text }) => text) };
}

describe('a watcher', () => {
  test('that has seen everything is not told of a compaction below that', async () => {
    await on(SEED, async (env) => {
      const { leader, follower } = await pairOn(env);
      const quiet = watch(follower, { key: 'z' });
      follower.put('a', '5');
      follower.machine.endTurn();
      leader.put('a', '5');
      leader.put('a', '6');
      leader.compact(7);
      leader.put('z', 'at last');
      const { rig } = await install(leader, follower);
      expect(rig.machine.watch.hub.progressRev([quiet.watcher])).toBeUndefined();
      await pause(env, 100);
      expect(quiet.seen()).toEqual(['9 z=at last']);
      expect(rig.machine.watch.hub.progressRev([quiet.watcher])).toBe(9);
      await rig.close();
      await leader.close();
    });
  });

  test('is told what is pending even if the new store has compacted it', async () => {
    await on(SEED, async (env) => {
      const { leader, follower } = await pairOn(env);
      const watched = watch(follower);
      leader.put('a', '5');
      leader.put('a', '6');
      leader.put('a', '7');
      leader.compact(8);
      const { rig } = await install(leader, follower, {}, async () => {
        follower.put('a', '5');
        follower.put('a', '6');
      });
      expect(watched.seen()).toEqual(['7 a=5', '8 a=6']);
      await pause(env, 100);
      expect(watched.seen()).toEqual(['7 a=5', '8 a=6', '9 a=7']);
      await rig.close();
      await leader.close();
    });
  });

  test('that lacks revisions which are compacted is told so', async () => {
    await on(SEED, async (env) => {
      const { leader, follower } = await pairOn(env);
      const watched = watch(follower);
      const stuck = watch(follower);
      stuck.sink.room = 0;
      follower.put('a', '5');
      follower.machine.endTurn();
      for (let i = 5; i < 9; i++) leader.put('a', `${i}`);
      leader.compact(9);
      const { rig } = await install(leader, follower);
      await pause(env, 100);
      expect(watched.sink.compactedAt.get(watched.watcher)).toBe(9);
      expect(watched.seen()).toEqual(['7 a=5']);
      expect(stuck.watcher.state).toBe(WATCHER_STATE.BLOCKED);
      rig.machine.watch.resume(stuck.watcher.stream);
      await pause(env, 100);
      expect(stuck.sink.compactedAt.get(stuck.watcher)).toBe(9);
      await rig.close();
      await leader.close();
    });
  });

  test('of a future revision goes on waiting for it', async () => {
    await on(SEED, async (env) => {
      const { leader, follower } = await pairOn(env);
      const watched = watch(follower, { startRev: 9 });
      leader.put('a', '5');
      const { rig } = await install(leader, follower);
      await pause(env, 100);
      for (let i = 6; i < 10; i++) rig.put('a', `${i}`);
      rig.machine.endTurn();
      expect(watched.seen()).toEqual(['9 a=7', '10 a=8', '11 a=9']);
      await rig.close();
      await leader.close();
    });
  });

  test('never goes back to an older store', async () => {
    await on(SEED, async (env) => {
      const { leader, follower } = await pairOn(env);
      const watched = watch(follower);
      follower.put('a', '5');
      const late = install(leader, follower);
      await expect(late).rejects.toMatchObject({ code: 'CORRUPT' });
      await expect(late).rejects.toThrow(/at revision 6, .* at 7 already/);
      follower.put('a', '6');
      follower.machine.endTurn();
      expect(watched.seen()).toEqual(['7 a=5', '8 a=6']);
      await leader.close();
    });
  });
});

describe('a store that was replaced', () => {
  test('is read to the end by those who read it, and writes nothing', async () => {
    await on(SEED, async (env) => {
      const { leader, follower } = await pairOn(env);
      const oldCopy = await follower.backend.openCopy();
      const { sizeBytes } = follower.backend;
      follower.put('only', 'in memory');
      const commit = follower.backend.commit();
      leader.put('b', '1');
      leader.put('c', '1');
      const pin = follower.kv.pin();
      const pairs = follower.pairs(0, pin);
      const hash = await follower.machine.hashKv(follower.kv.currentRev);
      expect((await commit).index).toBe(6);
      const files: string[] = [];
      let refused: Promise<void> | undefined;
      const { rig, retired } = await install(leader, follower, {}, async () => {
        follower.put('more', 'in memory');
        const later = follower.backend.commit();
        refused = expect(later).rejects.toMatchObject({ code: 'CLOSED' });
        env.disk.intercept = (operation) => {
          if (operation.effect > 0) files.push(`${operation.kind} ${operation.path}`);
          return undefined;
        };
      });
      expect(() => follower.put('x', 'y')).toThrow(InvariantError);
      await refused;
      await pause(env, 1000);
      expect(files).toEqual([]);
      env.disk.intercept = undefined;
      expect(follower.pairs(0, pin)).toEqual(pairs);
      expect(hash.hashRevision).toBe(7);
      let closed = false;
      void retired.then(() => {
        closed = true;
      });
      let size = 0;
      for await (const chunk of oldCopy.chunks()) size += chunk.length;
      expect(size).toBeLessThanOrEqual(sizeBytes);
      oldCopy.close();
      await pause(env, 1000);
      expect(closed).toBe(false);
      pin.release();
      await pause(env, 1000);
      expect(closed).toBe(true);
      await rig.close();
      const again = await StoreRig.open(env);
      expect(again.pairs()).toEqual(leader.pairs());
      expect([...follower.failures, ...rig.failures]).toEqual([]);
      await again.close();
      await leader.close();
    });
  });

  test('is closed when its time is over, when it is asked to, and by the next one', async () => {
    await on(SEED, async (env) => {
      const { leader, follower } = await pairOn(env);
      const first = follower.backend.beginTreeRead();
      const one = await install(leader, follower);
      await pause(env, RETIRED_MS_MAX - 1000);
      expect(first.txid).toBeGreaterThan(0);
      await pause(env, 2000);
      await one.retired;
      await expect(first.walk(Buffer.from('key'), { entry: () => true })).rejects.toMatchObject({
        code: 'CLOSED',
      });

      one.rig.backend.beginTreeRead();
      const two = await install(leader, one.rig);
      two.rig.backend.beginTreeRead();
      leader.put('b', '2');
      const three = await install(leader, two.rig);
      await two.retired;
      await three.rig.close();
      await three.retired;
      await leader.close();
    });
  });

  test('fails alone', async () => {
    await on(SEED, async (env) => {
      const { leader, follower } = await pairOn(env);
      await follower.backend.commit();
      leader.put('b', '1');
      for (let i = 0; i < 50; i++) follower.put(`k${i}`, 'x'.repeat(2000));
      for (let i = 0; i < 50; i++) leader.put(`k${i}`, 'x'.repeat(2000));
      let failed = 0;
      const { rig, retired } = await install(leader, follower, {}, async () => {
        // A batch is on its way when the store is replaced, and the disk fails under it later.
        follower.backend.commit().catch(() => undefined);
        env.disk.extraLatencyMs = () => 20;
        env.disk.intercept = (operation) => {
          if (operation.kind !== 'write' || operation.path !== DATABASE) return undefined;
          failed++;
          return 'failed';
        };
        while (failed === 0) await pause(env, 1);
      });
      await pause(env, 50);
      env.disk.intercept = undefined;
      env.disk.extraLatencyMs = undefined;
      await retired;
      expect(follower.failures).toEqual([]);
      rig.put('after', '1');
      await rig.backend.commit();
      expect(rig.failures).toEqual([]);
      expect(await rig.violations()).toEqual([]);
      await rig.close();
      await leader.close();
    });
  });

  test('leaves checksums and compactions that cannot end to its successor', async () => {
    await on(SEED, async (env) => {
      const { leader, follower } = await pairOn(env);
      leader.put('b', '1');
      const compacted = leader.compact(5);
      await compacted.physical;
      const pin = follower.kv.pin();
      follower.put('b', '1');
      const mine = follower.compact(5);
      const { rig } = await install(leader, follower, {});
      const late = Promise.all([follower.machine.hashKv(6), follower.machine.hash()]);
      await mine.physical;
      expect(await late).toEqual([await leader.machine.hashKv(6), await rig.machine.hash()]);
      pin.release();
      await rig.close();
      await leader.close();
    });
  });
});

describe('a file that was received', () => {
  test('counts as its snapshot from the next commit on', async () => {
    await on(SEED, async (env) => {
      const first = await StoreRig.open(env);
      first.put('a', '1');
      await first.close();
      const rig = await StoreRig.open(env, { received: { index: 9, term: 4 } });
      const { backend } = rig;
      expect([backend.appliedIndex, backend.appliedTerm, backend.durable.index]).toEqual([9, 4, 1]);
      const durable = await backend.commit();
      expect([durable.index, durable.term]).toEqual([9, 4]);
      expect(backend.get(BUCKET.META, META_KEY.CONSISTENT_INDEX)?.at(-1)).toBe(9);
      rig.put('b', '1');
      expect(rig.machine.appliedIndex).toBe(10);
      await rig.close();
    });
  });

  test('is refused if it is newer than that', async () => {
    await on(SEED, async (env) => {
      const first = await StoreRig.open(env);
      for (let i = 0; i < 5; i++) first.put('a', `${i}`);
      await first.close();
      const before = env.disk.contentOf(DATABASE).slice();
      const opening = StoreRig.open(env, { received: { index: 4, term: 1 } });
      await expect(opening).rejects.toMatchObject({ code: 'CORRUPT' });
      await expect(opening).rejects.toThrow(/at index 5, beyond the snapshot at 4/);
      expect(env.disk.contentOf(DATABASE)).toEqual(before);
      await (await StoreRig.open(env, { received: { index: 5, term: 1 } })).close();
    });
  });
});

test('an entry is applied once, also by a machine that was installed', async () => {
  await on(SEED, async (env) => {
    const { leader, follower } = await pairOn(env);
    leader.put('b', '1');
    const { rig } = await install(leader, follower);
    for (const index of [0, 1, 5, 6, 8]) {
      const entry = { type: 0, term: 1, index, data: new Uint8Array(0) };
      expect(() => rig.machine.begin(entry)).toThrow(InvariantError);
    }
    expect(rig.put('c', '1').revision).toBe(8);
    await rig.close();
    await leader.close();
  });
});

test('a crash at any effect of copying and installing leaves the old store or the new one', async () => {
  const outcomes: { disk: SimDisk; least: number; effect: number }[] = [];
  const contents = new Map<number, string>();
  let total = 0;
  await on(SEED, async (env) => {
    const { leader, follower } = await pairOn(env);
    await follower.backend.commit();
    contents.set(5, follower.pairs().join());
    for (let i = 0; i < 30; i++) leader.put(`k${i}`, 'x'.repeat(3000));
    contents.set(35, leader.pairs().join());
    let least = 5;
    env.disk.intercept = ({ effect }) => {
      if (effect === 0) return undefined;
      total++;
      for (let outcome = 0; outcome < 3; outcome++) {
        const disk = env.disk.outcome({ seed: effect * 10 + outcome });
        outcomes.push({ disk, least, effect });
      }
      return undefined;
    };
    const { rig } = await install(leader, follower);
    least = 35;
    rig.put('after', '1');
    contents.set(36, rig.pairs().join());
    await rig.backend.commit();
    least = 36;
    await rig.close();
    await leader.close();
  });
  expect(total).toBeGreaterThan(15);
  const found = new Set<number>();
  for (const { disk, least, effect } of outcomes) {
    await onDisk(disk, effect, async (env) => {
      const rig = await StoreRig.open(env);
      const index = rig.machine.appliedIndex;
      found.add(index);
      expect(index).toBeGreaterThanOrEqual(least);
      expect(rig.pairs().join(), `effect ${effect}`).toBe(contents.get(index));
      expect(await rig.violations()).toEqual([]);
      await rig.close();
    });
  }
  expect([...found].sort((a, b) => a - b)).toEqual([5, 35, 36]);
});

/** A process on a disk that a crash left. */
async function onDisk(disk: SimDisk, seed: number, body: (env: SimEnv) => Promise<void>) {
  const late: { env?: SimEnv } = {};
  const schedule = (delayMs: number, callback: () => void) =>
    void late.env!.timers.after(delayMs, callback);
  const own = disk.outcome({ seed, unsynced: 'kept', schedule });
  const env = new Env(new SimWorld({ seed, autoRun: false }), 'localhost', undefined, own);
  late.env = env;
  await env.run(() => body(env));
}

test('a failure to open what was received leaves the store as it is', async () => {
  await on(SEED, async (env) => {
    const { leader, follower } = await pairOn(env);
    leader.put('b', '1');
    const path = '/broken.snap.db';
    const copy = await leader.backend.openCopy();
    await saveCopy(env, copy, path);
    copy.close();
    env.disk.corrupt(path, 3 * 4096 + 8, Uint8Array.of(0xff, 0xff));
    env.disk.corrupt(path, 4 * 4096 + 8, Uint8Array.of(0xff, 0xff));
    env.disk.corrupt(path, 5 * 4096 + 8, Uint8Array.of(0xff, 0xff));
    const error = await follower.install(path, copy.durable).catch((reason: unknown) => reason);
    expect(hasCode(error, 'CORRUPT')).toBe(true);
    expect(follower.put('still', 'here').revision).toBe(7);
    await follower.close();
    await leader.close();
  });
});
