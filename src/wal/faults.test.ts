// A disk that is full or fails: nothing acknowledged is lost, nothing hangs, and everything after the
// first failure fails.

import { expect, test } from 'vitest';
import { hasCode, seededRandom, type TetcdError } from '../base/index.ts';
import type { DiskFault, SimEnv } from '../env/sim/index.ts';
import { createWal, openWal, readWal, type Wal, walExists } from './index.ts';
import { APPENDS_WAITING_MAX } from './limits.ts';
import {
  DIRECTORY,
  entry,
  METADATA,
  newEnv,
  plainEntries,
  randomBytes,
  save,
  snapshot,
  state,
} from './wal.fixture.ts';

const START = { index: 0, term: 0 };
const options = { segmentSize: 3000 };
const COUNT = 24;

/** Appends one entry after the other and returns how many were acknowledged. */
async function appendAll(wal: Wal, seed: number): Promise<number> {
  const random = seededRandom(seed);
  let acknowledged = 0;
  for (let index = 1; index <= COUNT; index++) {
    const data = randomBytes(random, 400);
    await save(wal, [entry(index, 1, data)], state(1, acknowledged));
    acknowledged = index;
  }
  return acknowledged;
}

async function effectsOfRun(seed: number): Promise<number> {
  const env = await newEnv(seed);
  const before = env.disk.effectCount;
  const wal = await createWal(env, DIRECTORY, METADATA, options);
  await appendAll(wal, seed);
  await wal.close();
  return env.disk.effectCount - before;
}

async function runWithFault(env: SimEnv, effect: number, fault: DiskFault): Promise<number> {
  let acknowledged = 0;
  const before = env.disk.effectCount;
  env.disk.failAtEffect(before + effect, fault);
  const codes = fault === 'full' ? ['DISK_FULL'] : ['DISK_FAILED'];
  let wal: Wal | undefined;
  try {
    wal = await createWal(env, DIRECTORY, METADATA, options);
    const random = seededRandom(1);
    for (let index = 1; index <= COUNT; index++) {
      const data = randomBytes(random, 400);
      await save(wal, [entry(index, 1, data)], state(1, index - 1));
      acknowledged = index;
    }
  } catch (error) {
    expect(codes).toContain((error as TetcdError).code);
    if (wal !== undefined) {
      // Final: the disk may work again, but what it holds is unknown.
      await expect(save(wal, [entry(1, 1)])).rejects.toBe(wal.failure);
      await expect(wal.sync()).rejects.toBe(wal.failure);
    }
  }
  if (wal !== undefined) await wal.close().catch(() => {});
  return acknowledged;
}

test.each(['full', 'failed'] as const)('%s at every effect', { timeout: 60_000 }, async (fault) => {
  const effects = await effectsOfRun(1);
  expect(effects).toBeGreaterThan(60);
  for (let effect = 1; effect <= effects; effect++) {
    const env = await newEnv(1);
    const acknowledged = await runWithFault(env, effect, fault);
    for (const unsynced of ['kept', 'lost', 'random'] as const) {
      const disk = env.disk.outcome({ seed: effect, unsynced });
      const next = { ...env, disk };
      if (!(await walExists(next, DIRECTORY))) {
        expect(acknowledged).toBe(0);
        continue;
      }
      const found = await openWal(next, DIRECTORY, START, options);
      expect(found.entries.length).toBeGreaterThanOrEqual(acknowledged);
      await found.wal.close();
    }
  }
});

test('a full disk is met at the cut, told beforehand, and met again', async () => {
  const env = await newEnv(2);
  const told: TetcdError[] = [];
  const wal = await createWal(env, DIRECTORY, METADATA, {
    segmentSize: 100_000,
    observer: { prepareFailed: (error) => told.push(error) },
  });
  env.disk.capacity = env.disk.usedSize + 8192;
  let acknowledged = 0;
  const data = randomBytes(seededRandom(2), 1000);
  const appending = (async () => {
    for (;;) {
      await save(wal, [entry(acknowledged + 1, 1, data)]);
      acknowledged++;
      if (acknowledged === 70) expect(told).not.toHaveLength(0);
    }
  })();
  await expect(appending).rejects.toMatchObject({ code: 'DISK_FULL' });
  // Every record that fits into the segment was taken.
  expect(acknowledged).toBe(97);
  expect(told.every((error) => hasCode(error, 'DISK_FULL'))).toBe(true);
  expect(wal.failure?.code).toBe('DISK_FULL');
  await wal.close().catch(() => {});
  env.disk.capacity = Number.POSITIVE_INFINITY;
  const found = await openWal(env, DIRECTORY, START, { segmentSize: 100_000 });
  expect(found.entries).toHaveLength(acknowledged);
  await save(found.wal, [entry(acknowledged + 1, 1, data)]);
  await found.wal.close();
  expect(await env.disk.list(DIRECTORY)).toHaveLength(2);
});

test('room that comes back before the cut is used', async () => {
  const env = await newEnv(3);
  let failures = 0;
  const wal = await createWal(env, DIRECTORY, METADATA, {
    segmentSize: 100_000,
    observer: { prepareFailed: () => failures++ },
  });
  env.disk.capacity = env.disk.usedSize + 8192;
  const data = randomBytes(seededRandom(3), 1000);
  for (let index = 1; index <= 90; index++) await save(wal, [entry(index, 1, data)]);
  expect(failures).toBeGreaterThan(0);
  env.disk.capacity = Number.POSITIVE_INFINITY;
  for (let index = 91; index <= 150; index++) await save(wal, [entry(index, 1, data)]);
  await wal.close();
  expect((await readWal(env, DIRECTORY, START)).entries).toHaveLength(150);
});

test('an append made while a failure is reported fails as well', async () => {
  const env = await newEnv(6);
  const wal = await createWal(env, DIRECTORY, METADATA, { segmentSize: 100_000 });
  const hardState = state(1, 0);
  const second = new Promise<unknown>((resolve) => {
    const again = { entries: [], hardState, mustSync: true, complete: resolve };
    const complete = (): void => wal.append(again);
    env.disk.failAtEffect(env.disk.effectCount + 1, 'failed');
    wal.append({ entries: [entry(1, 1)], hardState, mustSync: true, complete });
  });
  expect(await second).toBe(wal.failure);
  expect(wal.failure?.code).toBe('DISK_FAILED');
  expect(wal.waitingAppends).toBe(0);
  await wal.close().catch(() => {});
});

test('slow syncs hold back completions, not appends; the queue has a bound', async () => {
  const env = await newEnv(4);
  const wal = await createWal(env, DIRECTORY, METADATA, { segmentSize: 1_000_000 });
  env.disk.extraLatencyMs = (operation) => (operation.kind === 'sync' ? 1000 : 0);
  const startMs = env.clock.monotonicMs();
  await Promise.all([1, 2, 3].map((index) => save(wal, [entry(index, 1)])));
  expect(env.clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(1000);
  let completed = 0;
  const append = {
    entries: [],
    hardState: state(1, 1),
    mustSync: true,
    complete: () => completed++,
  };
  for (let i = 0; i < APPENDS_WAITING_MAX; i++) wal.append(append);
  expect(wal.waitingAppends).toBe(APPENDS_WAITING_MAX);
  expect(() => wal.append(append)).toThrow(/more than 100000 appends wait/);
  await wal.close();
  expect(completed).toBe(APPENDS_WAITING_MAX);
});

test('unsafeNoFsync never syncs', async () => {
  const env = await newEnv(5);
  env.disk.startTrace();
  const wal = await createWal(env, DIRECTORY, METADATA, { ...options, unsafeNoFsync: true });
  await appendAll(wal, 5);
  await wal.close();
  expect(env.disk.trace.some(({ kind }) => kind === 'sync' || kind === 'syncDirectory')).toBe(
    false,
  );
  const next = env.crash({ unsynced: 'kept' });
  const found = await readWal(next, DIRECTORY, START);
  expect(plainEntries(found.entries)).toHaveLength(COUNT);
});

test('what is counted', async () => {
  const env = await newEnv(6);
  let [bytes, syncs, segments] = [0, 0, 0];
  const wal = await createWal(env, DIRECTORY, METADATA, {
    ...options,
    observer: {
      wrote: (size, seconds) => {
        bytes += size;
        expect(seconds).toBeGreaterThanOrEqual(0);
      },
      synced: (seconds) => {
        syncs++;
        expect(seconds).toBeGreaterThanOrEqual(0);
      },
      segmentCreated: () => segments++,
    },
  });
  await appendAll(wal, 6);
  await wal.close();
  expect(bytes).toBeGreaterThan(COUNT * 400);
  expect(syncs).toBeGreaterThan(COUNT);
  expect(segments).toBeGreaterThan(2);
});

test('a number that no reader would take is never written', async () => {
  const tooLarge = Number.MAX_SAFE_INTEGER + 1;
  const env = await newEnv(40);
  const wal = await createWal(env, DIRECTORY, METADATA, options);
  for (const write of [
    () => save(wal, [], state(tooLarge, 0)),
    () => save(wal, [], state(1, tooLarge)),
    () => save(wal, [entry(1, tooLarge)]),
    () => save(wal, [entry(tooLarge, 1)]),
    () => wal.saveSnapshot(snapshot(1, tooLarge)),
    () => wal.saveSnapshot(snapshot(tooLarge, 1)),
  ]) {
    await expect(write()).rejects.toThrow('wal: a term or index is above 2^53-1');
  }
  await save(wal, [entry(1, 1, 'x')], state(1, 0));
  await wal.close();
  const { entries, hardState } = await readWal(env, DIRECTORY, START);
  expect([entries.length, hardState.term]).toEqual([1, 1]);
});
