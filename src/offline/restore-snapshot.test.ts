// Snapshots become directories wholly or not at all, whatever is wrong with them.

import { expect, test } from 'vitest';
import { crashEverywhere, SimDisk } from '../env/sim/index.ts';
import { checkWal } from '../wal/index.ts';
import { dataDirectoryOf } from './data-directory.ts';
import { envOf, readAll, writeAll, writeDatabase, writeSnapshot } from './database.fixture.ts';
import { defragmentFile } from './defragment-file.ts';
import { hashOfDatabase } from './hash-kv.ts';
import { type RestoreOptions, restoreSnapshot } from './restore-snapshot.ts';
import { snapshotStatus } from './snapshot-status.ts';
import type { OfflineEnv } from './types.ts';

const KEYS = 40;
const PLAIN: RestoreOptions = { skipHashCheck: false, bumpRevision: 0n };
const TARGET = {
  ...{ dataDir: '/data', walDir: '', name: 'a', token: 't' },
  founders: ['a', 'b', 'c'].map((name, i) => ({ name, peerURLs: [`http://10.0.0.${i}:1`] })),
};

async function prepare(disk: SimDisk): Promise<void> {
  const env = envOf(disk);
  await writeDatabase(env, '/db', KEYS);
  await writeSnapshot(env, '/db', '/saved');
  await disk.syncDirectory('/');
}

async function prepared(): Promise<{ readonly env: OfflineEnv; readonly disk: SimDisk }> {
  const disk = new SimDisk({ seed: 5 });
  await prepare(disk);
  return { env: envOf(disk), disk };
}

test('the restored member is whole, and one of three', async () => {
  const { env } = await prepared();
  const made = await restoreSnapshot(env, '/saved', TARGET, PLAIN);
  expect(made.members.map(({ name }) => name).sort()).toEqual(['a', 'b', 'c']);
  expect(made.revision).toBe(KEYS + 1);
  const { database, wal } = dataDirectoryOf(TARGET);
  expect(await checkWal(env, wal)).toEqual([]);
  expect(await snapshotStatus(env, database)).toMatchObject({ revision: 41, totalKeys: KEYS });
  expect(await hashOfDatabase(env, database)).toEqual(await hashOfDatabase(env, '/db'));
  const again = restoreSnapshot(env, '/saved', TARGET, PLAIN);
  await expect(again).rejects.toThrow('data-dir "/data" not empty or could not be read');
});

test('a bumped one begins beyond, with all before compacted', async () => {
  const { env } = await prepared();
  const options = { ...PLAIN, bumpRevision: 1000n };
  expect(await restoreSnapshot(env, '/saved', TARGET, options)).toMatchObject({ revision: 1041 });
  const { database } = dataDirectoryOf(TARGET);
  const at = hashOfDatabase(env, database, { revision: 1040 });
  await expect(at).rejects.toThrow('mvcc: required revision has been compacted');
  const tooMuch = { ...PLAIN, bumpRevision: 2n ** 64n - 1n };
  const other = { ...TARGET, dataDir: '/other' };
  await expect(restoreSnapshot(env, '/saved', other, tooMuch)).rejects.toThrow('beyond what');
  expect(await env.disk.stat('/other')).toBeUndefined();
});

test('a crash at any effect leaves a whole member, or none that starts', async () => {
  const { wal, database } = dataDirectoryOf(TARGET);
  const points = await crashEverywhere({
    ...{ seed: 11, outcomes: 2, prepare },
    newState: () => ({ done: false }),
    work: async (disk, state) => {
      await restoreSnapshot(envOf(disk), '/saved', TARGET, PLAIN);
      state.done = true;
    },
    check: async (disk, { done }) => {
      const env = envOf(disk);
      const isThere = (await disk.stat(wal)) !== undefined;
      expect(isThere || !done).toBe(true);
      if (!isThere) return;
      expect(await checkWal(env, wal)).toEqual([]);
      expect(await snapshotStatus(env, database)).toMatchObject({ totalKeys: KEYS });
    },
  });
  expect(points).toBeGreaterThan(20);
});

test('a crash of a defragmentation leaves the old file or the new one', async () => {
  const points = await crashEverywhere({
    ...{ seed: 12, outcomes: 2, prepare },
    newState: () => undefined,
    work: async (disk) => void (await defragmentFile(envOf(disk), '/db')),
    check: async (disk) => {
      expect(await snapshotStatus(envOf(disk), '/db')).toMatchObject({ totalKeys: KEYS });
    },
  });
  expect(points).toBeGreaterThan(5);
});

test('what is no whole snapshot is refused, and nothing is made', async () => {
  const { env, disk } = await prepared();
  const whole = await readAll(env, '/saved');
  const { totalSize } = await snapshotStatus(env, '/db');
  const seen = new Set<string>();
  for (let length = 0; length < whole.length; length += 509) {
    for (const skipHashCheck of [false, true]) {
      await writeAll(env, '/part', whole.subarray(0, length));
      const options = { ...PLAIN, skipHashCheck };
      const error = await restoreSnapshot(env, '/part', TARGET, options).then(
        () => `restored ${length} bytes`,
        (reason: Error) => reason.message.replace(/\d+/g, 'N'),
      );
      // What is behind the last page, and the checksum, may be missing.
      if (error !== `restored ${length} bytes`) seen.add(error);
      else {
        expect([skipHashCheck, length >= totalSize]).toEqual([true, true]);
        await disk.removeTree('/data');
      }
      expect(await disk.stat('/data')).toBeUndefined();
    }
  }
  expect([...seen].sort()).toEqual([
    '/part: page N (offset N): too short for a meta page; nor is there a valid meta page N',
    '/part: the file ends at N, but N pages of N bytes are in use',
    'snapshot missing hash but --skip-hash-check=false',
  ]);
});

test('a changed byte anywhere is found by the checksum', async () => {
  const { env, disk } = await prepared();
  const whole = await readAll(env, '/saved');
  for (let at = 0; at < whole.length; at += 997) {
    const bad = Uint8Array.from(whole);
    bad[at]! ^= 0x40;
    await writeAll(env, '/bad', bad);
    await expect(restoreSnapshot(env, '/bad', TARGET, PLAIN)).rejects.toThrow('expected sha256 [');
    expect(await disk.stat('/data')).toBeUndefined();
  }
});

test('a file that a member holds is waited for, up to a limit', async () => {
  const { env } = await prepared();
  const holder = await env.disk.open('/db', 'write');
  await holder.lock();
  const locked = hashOfDatabase(env, '/db', { lockTimeoutMs: 120 });
  await expect(locked).rejects.toMatchObject({ code: 'LOCKED' });
  const waiting = hashOfDatabase(env, '/db');
  await holder.close();
  expect(await waiting).toMatchObject({ hashRevision: KEYS + 1 });
});
