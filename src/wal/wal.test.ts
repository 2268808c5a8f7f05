import { describe, expect, test } from 'vitest';
import { latin1FromBytes } from '../base/index.ts';
import {
  checkWal,
  createWal,
  openWal,
  purgeSegments,
  readWal,
  summarizeWal,
  type WalObserver,
} from './index.ts';
import {
  DIRECTORY,
  entry,
  METADATA,
  newEnv,
  plainEntries,
  save,
  snapshot,
  state,
} from './wal.fixture.ts';

const START = { index: 0, term: 0 };
const options = { segmentSize: 4096 };

test('what was appended is read back', async () => {
  const env = await newEnv(1);
  const wal = await createWal(env, DIRECTORY, METADATA, options);
  await save(wal, [entry(1, 1, 'one')], state(1, 0));
  await save(wal, [entry(2, 1, ''), entry(3, 2, 'three')], state(2, 2));
  await wal.close();
  const opened = await openWal(env, DIRECTORY, START, options);
  expect(latin1FromBytes(opened.metadata)).toBe('somemetadata');
  expect(opened.hardState).toEqual(state(2, 2));
  expect(plainEntries(opened.entries)).toEqual(['1/1/0/one', '2/1/0/', '3/2/0/three']);
  expect(opened.repair).toBeUndefined();
  await opened.wal.close();
  const found = await readWal(env, DIRECTORY, START);
  expect(plainEntries(found.entries)).toEqual(plainEntries(opened.entries));
});

test('a log is continued in a segment that has no entry yet', async () => {
  const env = await newEnv(9);
  const wal = await createWal(env, DIRECTORY, METADATA, { segmentSize: 300 });
  for (let i = 1; i <= 6; i++) await save(wal, [entry(i, 1, 'x'.repeat(40))], state(1, i));
  await wal.saveSnapshot(snapshot(6, 1));
  await wal.close();
  const position = { index: 6, term: 1 };
  for (let i = 7; i <= 9; i++) {
    const opened = await openWal(env, DIRECTORY, position, { segmentSize: 300 });
    expect(opened.wal.lastIndex).toBe(i - 1);
    await save(opened.wal, [entry(i, 1, 'x'.repeat(300))], state(1, i));
    await opened.wal.close();
  }
  const found = await readWal(env, DIRECTORY, position);
  expect(found.entries.map(({ index }) => index)).toEqual([7, 8, 9]);
});

test('a snapshot that the leader sent leaps over entries', async () => {
  const env = await newEnv(10);
  const wal = await createWal(env, DIRECTORY, METADATA, options);
  await save(wal, [entry(1, 1), entry(2, 1)], state(1, 1));
  const done = [wal.saveSnapshot(snapshot(100, 3)), save(wal, [], state(3, 100))];
  await Promise.all([...done, save(wal, [entry(101, 3, 'after')])]);
  await wal.close();
  const found = await readWal(env, DIRECTORY, { index: 100, term: 3 });
  expect(plainEntries(found.entries)).toEqual(['101/3/0/after']);
  await expect(readWal(env, DIRECTORY, START)).rejects.toThrow(/entry 101 follows 2/);
});

test('a replaced tail may reach back before the current segment', async () => {
  const env = await newEnv(12);
  const small = { segmentSize: 300 };
  const wal = await createWal(env, DIRECTORY, METADATA, small);
  for (let i = 1; i <= 6; i++) await save(wal, [entry(i, 1, 'x'.repeat(300))], state(1, 1));
  // Another leader replaces 3 to 6, none of them committed: the next segment begins at 4, not at 7.
  await save(wal, [entry(3, 2, 'y'.repeat(300))], state(2, 1));
  await save(wal, [entry(4, 2, 'y'.repeat(300))], state(2, 4));
  await wal.saveSnapshot(snapshot(3, 2));
  await wal.close();
  const whole = await openWal(env, DIRECTORY, START, small);
  expect(whole.entries.map(({ index, term }) => `${index}/${term}`)).toEqual([
    ...['1/1', '2/1', '3/2', '4/2'],
  ]);
  await whole.wal.close();
  const rest = await readWal(env, DIRECTORY, { index: 3, term: 2 });
  expect(rest.entries.map(({ index }) => index)).toEqual([4]);
  expect(await checkWal(env, DIRECTORY)).toEqual([]);
});

test('where an open file forbids the rename it is closed first', async () => {
  const env = await newEnv(11);
  let renames = 0;
  // As Windows does for a directory with an open file in it, and some file systems for the file.
  env.disk.intercept = ({ kind }) =>
    kind === 'rename' && renames++ % 2 === 0 ? 'failed' : undefined;
  const wal = await createWal(env, DIRECTORY, METADATA, { segmentSize: 300 });
  for (let i = 1; i <= 6; i++) await save(wal, [entry(i, 1, 'x'.repeat(100))]);
  await wal.close();
  expect(renames).toBeGreaterThan(3);
  expect((await readWal(env, DIRECTORY, START)).entries).toHaveLength(6);
});

test('later entries replace earlier ones', async () => {
  const env = await newEnv(2);
  const wal = await createWal(env, DIRECTORY, METADATA, options);
  await save(wal, [entry(1, 1), entry(2, 1), entry(3, 1)]);
  await save(wal, [entry(2, 2, 'new')]);
  await wal.close();
  const found = await readWal(env, DIRECTORY, START);
  expect(plainEntries(found.entries)).toEqual(['1/1/0/', '2/2/0/new']);
});

test('segments are cut, released and purged; a log is opened at a snapshot', async () => {
  const env = await newEnv(3);
  const seen: string[] = [];
  const observer: WalObserver = {
    segmentCreated: (path) => seen.push(`new ${path.slice(-20)}`),
    purged: (path) => seen.push(`purged ${path.slice(-20)}`),
  };
  const wal = await createWal(env, DIRECTORY, METADATA, { ...options, observer });
  const data = 'x'.repeat(1000);
  for (let i = 1; i <= 20; i++) await save(wal, [entry(i, 1, data)], state(1, i));
  await wal.sync();
  const names = await env.disk.list(DIRECTORY);
  expect(names.filter((name) => name.endsWith('.wal'))).toEqual([
    '0000000000000000-0000000000000000.wal',
    '0000000000000001-0000000000000005.wal',
    '0000000000000002-0000000000000009.wal',
    '0000000000000003-000000000000000d.wal',
    '0000000000000004-0000000000000011.wal',
    '0000000000000005-0000000000000015.wal',
  ]);
  await wal.saveSnapshot(snapshot(10, 1));
  await wal.saveSnapshot(snapshot(25, 1));
  await wal.releaseTo(10);
  expect(wal.oldestHeld).toBe(2);
  expect(await purgeSegments(env, wal, 5, observer)).toBe(1);
  expect(await purgeSegments(env, wal, 1, observer)).toBe(1);
  expect(await purgeSegments(env, wal, 1, observer)).toBe(0);
  await wal.close();
  expect((await env.disk.list(DIRECTORY)).length).toBe(4);
  expect(seen.filter((line) => line.startsWith('purged'))).toHaveLength(2);
  const summary = await summarizeWal(env, DIRECTORY);
  expect(summary.validSnapshots.map((found) => found.index)).toEqual([10]);
  const opened = await openWal(env, DIRECTORY, { index: 10, term: 1 }, options);
  expect(opened.entries.map((found) => found.index)).toEqual([
    11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
  ]);
  await save(opened.wal, [entry(21, 1, 'more')]);
  await opened.wal.close();
  await expect(openWal(env, DIRECTORY, { index: 11, term: 1 })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  await expect(openWal(env, DIRECTORY, { index: 10, term: 2 })).rejects.toThrow(
    /snapshot mismatch/,
  );
  await expect(openWal(env, DIRECTORY, START)).rejects.toThrow(/matches the snapshot index/);
});

describe('appends', () => {
  test('outstanding ones share a write and a sync, and complete in order', async () => {
    const env = await newEnv(4);
    const wal = await createWal(env, DIRECTORY, METADATA, { segmentSize: 1_000_000 });
    env.disk.startTrace();
    const order: number[] = [];
    const saves = Array.from({ length: 50 }, (_, i) =>
      save(wal, [entry(i + 1, 1, 'x')]).then(() => order.push(i)),
    );
    expect(order).toEqual([]);
    await Promise.all(saves);
    expect(order).toEqual(Array.from({ length: 50 }, (_, i) => i));
    const kinds = env.disk.trace.map((operation) => operation.kind);
    expect(kinds).toEqual(['write', 'sync']);
    await wal.close();
  });

  test('without mustSync they complete when written', async () => {
    const env = await newEnv(5);
    const wal = await createWal(env, DIRECTORY, METADATA, { segmentSize: 1_000_000 });
    env.disk.startTrace();
    await save(wal, [], state(1, 1), false);
    expect(env.disk.trace.map((operation) => operation.kind)).toEqual(['write']);
    await wal.sync();
    await wal.sync();
    expect(env.disk.trace.map((operation) => operation.kind)).toEqual(['write', 'sync']);
    await save(wal, [], { term: 0, vote: 0n, commit: 0 });
    expect(env.disk.trace).toHaveLength(2);
    await wal.close();
  });

  test('one that is alone is synced within the turn, where the disk is fast', async () => {
    const env = await newEnv(6);
    const wal = await createWal(env, DIRECTORY, METADATA, { segmentSize: 4096, fillSize: 8192 });
    const kinds = (): string[] => env.disk.trace.map(({ kind }) => kind);
    /** Whether an append is completed without an event of the disk. */
    const isInTurn = async (...save: Promise<void>[]): Promise<boolean> => {
      let ended = false;
      const all = Promise.all(save).then(() => {
        ended = true;
      });
      for (let i = 0; i < 20; i++) await undefined;
      const inTurn = ended;
      await all;
      return inTurn;
    };
    let inTurn = 0;
    let index = 1;
    env.disk.startTrace();
    for (; index <= 20; index++) {
      if (await isInTurn(save(wal, [entry(index, 1)]))) inTurn++;
      expect(kinds().splice(-2)).toEqual(['write', 'sync']);
    }
    expect(inTurn).toBeGreaterThan(0);
    expect(inTurn).toBeLessThan(20);
    env.disk.extraLatencyMs = ({ kind }) => (kind === 'sync' ? 1 : 0);
    for (; index <= 40; index++) {
      expect(await isInTurn(save(wal, [entry(index, 1)]))).toBe(false);
    }
    env.disk.extraLatencyMs = undefined;
    // One after another is completed: the turn is theirs.
    for (; index <= 60; index += 2) {
      const both = [save(wal, [entry(index, 1)]), save(wal, [entry(index + 1, 1)])];
      expect(await isInTurn(...both)).toBe(false);
      expect(await isInTurn(save(wal, [], state(1, 0), true, false))).toBe(false);
    }
    await wal.close();
  });

  test('a sync within the turn that fails fails the log', async () => {
    for (let seed = 1; ; seed++) {
      const env = await newEnv(seed);
      const wal = await createWal(env, DIRECTORY, METADATA, { segmentSize: 4096 });
      env.disk.intercept = ({ kind }) => (kind === 'sync' ? 'failed' : undefined);
      let failed = false;
      const saved = save(wal, [entry(1, 1)]).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'DISK_FAILED' });
        failed = true;
      });
      for (let i = 0; i < 20; i++) await undefined;
      const inTurn = failed;
      await saved;
      expect(failed).toBe(true);
      await expect(save(wal, [entry(2, 1)])).rejects.toMatchObject({ code: 'DISK_FAILED' });
      await expect(wal.close()).rejects.toMatchObject({ code: 'DISK_FAILED' });
      if (inTurn) return;
    }
  });

  test('after close they are refused', async () => {
    const env = await newEnv(6);
    const wal = await createWal(env, DIRECTORY, METADATA, options);
    const last = save(wal, [entry(1, 1)]);
    await wal.close();
    await last;
    expect(() => wal.append(null as never)).toThrow(/after close/);
    await wal.close();
    expect(await env.disk.list(DIRECTORY)).toEqual(['0000000000000000-0000000000000000.wal']);
  });
});

describe('creation', () => {
  test('refuses a directory with a log, replaces one without', async () => {
    const env = await newEnv(7);
    await env.disk.makeDirectory(`${DIRECTORY}/what`);
    await (await createWal(env, DIRECTORY, METADATA, options)).close();
    await expect(createWal(env, DIRECTORY, METADATA, options)).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    expect(await env.disk.list('/member')).toEqual(['wal']);
  });

  test('a log that another process has open is LOCKED', async () => {
    const env = await newEnv(8);
    const wal = await createWal(env, DIRECTORY, METADATA, options);
    await expect(openWal(env, DIRECTORY, START)).rejects.toMatchObject({ code: 'LOCKED' });
    expect((await readWal(env, DIRECTORY, START)).entries).toEqual([]);
    await wal.close();
  });
});
