// One opener at a time has a log, and it starts no program for a new segment.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OPEN_MODES } from '../env/index.ts';
import { createNodeEnv } from '../net/index.ts';
import { createWal, openWal, purgeSegments, readWal, type Wal, type WalEnv } from './index.ts';
import { DIRECTORY, entry, METADATA, newEnv, save, snapshot, state } from './wal.fixture.ts';

const START = { index: 0, term: 0 };
/** Each append fills one. */
const options = { segmentSize: 100 };
const LOCKED = { code: 'LOCKED' };

async function fillSegments(wal: Wal, from: number, to: number): Promise<void> {
  for (let i = from; i <= to; i++) await save(wal, [entry(i, 1)], state(1, i));
}

describe.each([
  ['the lock of the directory', (env: WalEnv) => env],
  ['locks of segments, where many machines share the file system', withoutDirectoryLocks],
])('with %s', (_, having) => {
  test('a log has one opener, whatever segments it begins and releases', async () => {
    const env = having(await newEnv(1));
    const wal = await createWal(env, DIRECTORY, METADATA, options);
    for (let i = 1; i <= 5; i++) {
      await fillSegments(wal, i, i);
      await expect(openWal(env, DIRECTORY, START)).rejects.toMatchObject(LOCKED);
    }
    expect((await readWal(env, DIRECTORY, START)).entries).toHaveLength(5);
    await wal.saveSnapshot(snapshot(5, 1));
    await wal.releaseTo(5);
    expect(await purgeSegments(env, wal, 0)).toBeGreaterThan(2);
    const position = { index: 5, term: 1 };
    await expect(openWal(env, DIRECTORY, position)).rejects.toMatchObject(LOCKED);
    await wal.close();
    const opened = await openWal(env, DIRECTORY, position, options);
    await expect(openWal(env, DIRECTORY, position)).rejects.toMatchObject(LOCKED);
    await opened.wal.close();
  });

  test('a log that is refused is free again', async () => {
    const env = having(await newEnv(2));
    await (await createWal(env, DIRECTORY, METADATA)).close();
    const refuse = (): void => {
      throw new Error('not this one');
    };
    await expect(openWal(env, DIRECTORY, START, {}, refuse)).rejects.toThrow('not this one');
    await expect(openWal(env, DIRECTORY, { index: 7, term: 1 })).rejects.toThrow();
    await (await openWal(env, DIRECTORY, START)).wal.close();
  });

  test('one who has locked a segment alone is respected', async () => {
    const env = having(await newEnv(3));
    const wal = await createWal(env, DIRECTORY, METADATA, options);
    await fillSegments(wal, 1, 3);
    await wal.close();
    const [, second] = await env.disk.list(DIRECTORY);
    const holder = await env.disk.open(`${DIRECTORY}/${second}`, OPEN_MODES.READ);
    await holder.lock();
    await expect(openWal(env, DIRECTORY, START)).rejects.toMatchObject(LOCKED);
    await holder.close();
    await (await openWal(env, DIRECTORY, START)).wal.close();
  });
});

/** As where `Disk.lockDirectory` can take none that others would see. */
function withoutDirectoryLocks({ clock, timers, disk }: WalEnv): WalEnv {
  disk.lockDirectory = async () => ({ coversFiles: false, release: async () => {} });
  return { clock, timers, disk };
}

test('of several who create one log at a time, one does, and its log is whole', async () => {
  let created = 0;
  for (let seed = 1; seed <= 50; seed++) {
    const env = await newEnv(seed);
    const attempts = Array.from({ length: 3 }, (_, i) =>
      createWal(env, DIRECTORY, Uint8Array.of(i), options),
    );
    const outcomes = await Promise.allSettled(attempts);
    const logs = outcomes.filter((outcome) => outcome.status === 'fulfilled');
    expect(logs.length, `seed ${seed}`).toBeLessThanOrEqual(1);
    created += logs.length;
    for (const { value: wal } of logs) {
      await save(wal, [entry(1, 1)], state(1, 1));
      await wal.close();
      const { metadata, entries } = await readWal(env, DIRECTORY, START);
      expect([outcomes[metadata[0]!]?.status, entries.length]).toEqual(['fulfilled', 1]);
    }
  }
  expect(created).toBeGreaterThan(40);
});

test('what a creation that was cut off has left is no obstacle', async () => {
  const env = await newEnv(4);
  const staging = `${DIRECTORY}.tmp`;
  await env.disk.makeDirectory(`${staging}/what`);
  await (await env.disk.open(`${staging}/what/file`, OPEN_MODES.CREATE)).close();
  await (await createWal(env, DIRECTORY, METADATA)).close();
  expect(await env.disk.list(DIRECTORY)).toEqual(['0000000000000000-0000000000000000.wal']);
  expect(await env.disk.list('/member')).toEqual(['wal']);
});

describe.runIf(process.platform === 'linux')('on the real disk', () => {
  const env = createNodeEnv();
  const path = process.env['PATH'];
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'tetcd-wal-'));
    const flock = execFileSync('sh', ['-c', 'command -v flock'], { encoding: 'utf8' }).trim();
    const counting = `#!/bin/sh\necho start >> ${root}/starts\nexec ${flock} "$@"\n`;
    writeFileSync(`${root}/flock`, counting, { mode: 0o755 });
    process.env['PATH'] = `${root}:${path}`;
  });
  afterEach(() => {
    process.env['PATH'] = path;
    rmSync(root, { recursive: true });
  });

  const starts = (): number => readFileSync(`${root}/starts`, 'utf8').split('\n').length - 1;

  test('flock is started once, when a log is created or opened', async () => {
    const wal = await createWal(env, `${root}/wal`, METADATA, options);
    expect(starts()).toBe(1);
    await fillSegments(wal, 1, 8);
    await wal.saveSnapshot(snapshot(6, 1));
    await wal.releaseTo(6);
    expect(await purgeSegments(env, wal, 2)).toBeGreaterThan(3);
    await wal.close();
    expect(starts()).toBe(1);
    const opened = await openWal(env, `${root}/wal`, { index: 6, term: 1 }, options);
    await fillSegments(opened.wal, 9, 12);
    expect(starts()).toBe(2);
    await expect(openWal(env, `${root}/wal`, START)).rejects.toMatchObject(LOCKED);
    await opened.wal.close();
  });
});
