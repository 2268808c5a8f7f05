// The newest segment is filled with zeros while it is used: ahead of the records, never over them.

import { describe, expect, test } from 'vitest';
import { seededRandom, type TetcdError } from '../base/index.ts';
import { crashEverywhere, type DiskOperation, type SimEnv } from '../env/sim/index.ts';
import { createWal, openWal, readWal, type Wal } from './index.ts';
import { FILL_DELAY_MS } from './limits.ts';
import {
  DIRECTORY,
  entry,
  envOf,
  METADATA,
  newEnv,
  plainEntries,
  prepareDirectory,
  randomBytes,
  save,
} from './wal.fixture.ts';

const START = { index: 0, term: 0 };
const NAME = '0000000000000000-0000000000000000.wal';
const FIRST = `${DIRECTORY}/${NAME}`;
const options = { segmentSize: 100_000, fillSize: 10_000 };

const sizeOf = (env: SimEnv): number => env.disk.contentOf(FIRST).length;
const pause = (env: SimEnv, ms: number): Promise<void> =>
  new Promise((resolve) => env.timers.after(ms, resolve));

async function appendUntil(
  wal: Wal,
  random: ReturnType<typeof seededRandom>,
  until: () => boolean,
) {
  while (!until()) {
    const data = randomBytes(random, random.below(3000));
    await save(wal, [entry(wal.lastIndex + 1, 1, data)]);
  }
}

/** Every write into the segment was into zeros that were there, and no zeros came over it. */
function checkOrder(trace: readonly DiskOperation[]): void {
  let filledTo = 0;
  let writtenTo = 0;
  for (const { kind, path, position, size } of trace) {
    // While the log is created, it has another directory.
    if (!path.endsWith(NAME)) continue;
    if (kind === 'zeroFill') {
      expect(position).toBe(filledTo);
      filledTo += size;
    } else if (kind === 'write') {
      writtenTo = position + size;
      expect(writtenTo).toBeLessThanOrEqual(filledTo);
    }
  }
  expect(writtenTo).toBeGreaterThan(0);
}

describe('the first segment', () => {
  test('is filled behind a writer that does nothing', async () => {
    const env = await newEnv(1);
    const wal = await createWal(env, DIRECTORY, METADATA, options);
    expect(sizeOf(env)).toBe(10_000);
    await pause(env, FILL_DELAY_MS / 2);
    expect(sizeOf(env)).toBe(10_000);
    env.disk.startTrace();
    await pause(env, FILL_DELAY_MS);
    expect(sizeOf(env)).toBe(100_000);
    const kinds = env.disk.trace.map(({ kind }) => kind);
    expect(kinds).toEqual(Array.from({ length: 9 }, () => ['zeroFill', 'sync']).flat());
    await wal.close();
  });

  test('is filled before a writer that is faster', async () => {
    const env = await newEnv(2);
    env.disk.startTrace();
    const wal = await createWal(env, DIRECTORY, METADATA, options);
    const beganMs = env.clock.monotonicMs();
    await appendUntil(wal, seededRandom(2), () => sizeOf(env) >= 50_000);
    expect(env.clock.monotonicMs() - beganMs).toBeLessThan(FILL_DELAY_MS);
    checkOrder(env.disk.trace);
    await appendUntil(wal, seededRandom(3), () => wal.lastIndex > 200);
    await wal.close();
    expect((await readWal(env, DIRECTORY, START)).entries).toHaveLength(wal.lastIndex);
  });

  test('is filled and written at once', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const env = await newEnv(seed);
      const wal = await createWal(env, DIRECTORY, METADATA, options);
      env.disk.extraLatencyMs = ({ kind }) => (kind === 'zeroFill' ? 3 : 0);
      await pause(env, FILL_DELAY_MS - 5);
      env.disk.startTrace();
      const random = seededRandom(seed);
      await appendUntil(wal, random, () => sizeOf(env) === 100_000);
      await wal.close();
      const first = {
        kind: 'zeroFill',
        path: FIRST,
        position: 0,
        size: 10_000,
        effect: 0,
      } as const;
      checkOrder([first, ...env.disk.trace]);
      expect((await readWal(env, DIRECTORY, START)).entries).toHaveLength(wal.lastIndex);
    }
  });

  test('that was not filled is filled on by the next process', async () => {
    const env = await newEnv(4);
    const wal = await createWal(env, DIRECTORY, METADATA, options);
    await save(wal, [entry(1, 1, 'x')]);
    await wal.close();
    expect(sizeOf(env)).toBe(10_000);
    const next = await openWal(env, DIRECTORY, START, options);
    await pause(env, 2 * FILL_DELAY_MS);
    expect(sizeOf(env)).toBe(100_000);
    await save(next.wal, [entry(2, 1, 'x')]);
    await next.wal.close();
    expect(plainEntries((await readWal(env, DIRECTORY, START)).entries)).toHaveLength(2);
  });

  test('may be one batch, larger than what is filled at a time', async () => {
    const env = await newEnv(5);
    const wal = await createWal(env, DIRECTORY, METADATA, options);
    await save(wal, [entry(1, 1, new Uint8Array(45_000).fill(1))]);
    expect(sizeOf(env)).toBe(50_000);
    await save(wal, [entry(2, 1, new Uint8Array(90_000).fill(1))]);
    await save(wal, [entry(3, 1, 'x')]);
    await wal.close();
    expect((await readWal(env, DIRECTORY, START)).entries).toHaveLength(3);
  });
});

describe('a disk without room for the segment', () => {
  test('is told, and met by the record that needs it, before any of it is written', async () => {
    const env = await newEnv(6);
    const told: TetcdError[] = [];
    const observer = { prepareFailed: (error: TetcdError) => told.push(error) };
    const wal = await createWal(env, DIRECTORY, METADATA, { ...options, observer });
    env.disk.capacity = env.disk.usedSize + 20_000;
    await pause(env, 2 * FILL_DELAY_MS);
    expect(told.map(({ code }) => code)).toEqual(['DISK_FULL']);
    // Of no concern to a writer that does not come that far.
    await save(wal, [entry(1, 1, 'x')]);
    expect(wal.failure).toBeUndefined();
    env.disk.startTrace();
    const appending = appendUntil(wal, seededRandom(6), () => false);
    await expect(appending).rejects.toMatchObject({ code: 'DISK_FULL' });
    const last = env.disk.trace.filter(({ path }) => path === FIRST).at(-1);
    expect(last?.kind).toBe('zeroFill');
    const count = wal.lastIndex - 1;
    await wal.close().catch(() => undefined);
    env.disk.capacity = Number.POSITIVE_INFINITY;
    const found = await openWal(env, DIRECTORY, START, options);
    expect(found.repair).toBeUndefined();
    expect(found.entries).toHaveLength(count);
    await found.wal.close();
  });

  test('is filled on when there is room again', async () => {
    const env = await newEnv(7);
    const wal = await createWal(env, DIRECTORY, METADATA, options);
    env.disk.capacity = env.disk.usedSize + 20_000;
    await pause(env, 2 * FILL_DELAY_MS);
    env.disk.capacity = Number.POSITIVE_INFINITY;
    await appendUntil(wal, seededRandom(7), () => wal.lastIndex === 100);
    await wal.close();
    expect((await readWal(env, DIRECTORY, START)).entries).toHaveLength(100);
  });

  test('fails the log when it cannot sync what was filled', async () => {
    const env = await newEnv(8);
    const wal = await createWal(env, DIRECTORY, METADATA, options);
    env.disk.intercept = ({ kind }) => (kind === 'sync' ? 'failed' : undefined);
    await pause(env, 2 * FILL_DELAY_MS);
    env.disk.intercept = undefined;
    expect(wal.failure?.code).toBe('DISK_FAILED');
    await expect(save(wal, [entry(1, 1)])).rejects.toBe(wal.failure);
    await wal.close().catch(() => undefined);
  });
});

test.each([1, 2, 3])('crashes at every effect, seed %i', { timeout: 120_000 }, async (seed) => {
  interface Promised {
    durable: number;
  }
  const small = { segmentSize: 6000, fillSize: 700 };
  await crashEverywhere<Promised>({
    seed,
    outcomes: 3,
    prepare: prepareDirectory,
    newState: () => ({ durable: 0 }),
    work: async (disk, promised) => {
      const env = envOf(disk);
      const random = seededRandom(seed);
      const wal = await createWal(env, DIRECTORY, METADATA, small);
      for (let index = 1; index <= 30; index++) {
        await save(wal, [entry(index, 1, randomBytes(random, random.below(600)))]);
        promised.durable = index;
        if (index === 8) await new Promise<void>((next) => env.timers.after(1500, next));
      }
      await wal.close();
    },
    check: async (disk, { durable }) => {
      const env = envOf(disk);
      const found = await openWal(env, DIRECTORY, START, small).catch((error: TetcdError) => error);
      if (found instanceof Error) {
        expect([found.code, durable]).toEqual(['NOT_FOUND', 0]);
        return;
      }
      expect(found.entries.length).toBeGreaterThanOrEqual(durable);
      const next = found.entries.length + 1;
      await save(found.wal, [entry(next, 1, 'after')]);
      await found.wal.close();
      const again = await readWal(envOf(disk.outcome({ seed })), DIRECTORY, START);
      expect(again.entries.length).toBe(next);
    },
  });
});
