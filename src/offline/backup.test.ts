// Backups become directories wholly or not at all; with real members: test/tetcdutl/backup.test.ts.

import { expect, test } from 'vitest';
import { crashEverywhere, createSimEnv, SimDisk } from '../env/sim/index.ts';
import { backupDirectory } from './backup.ts';
import { checkDirectory } from './check-directory.ts';
import { dataDirectoryOf } from './data-directory.ts';
import { envOf, readAll, writeDatabase, writeSnapshot } from './database.fixture.ts';
import { hashOfDatabase } from './hash-kv.ts';
import { restoreSnapshot } from './restore-snapshot.ts';

const KEYS = 40;
const SOURCE = { dataDir: '/data', walDir: '' };
const TARGET = { dataDir: '/copy', walDir: '' };

/** The directory of one member of three. */
async function prepare(disk: SimDisk): Promise<void> {
  const env = envOf(disk);
  await writeDatabase(env, '/db', KEYS);
  await writeSnapshot(env, '/db', '/saved');
  const founders = ['a', 'b', 'c'].map((name, i) => {
    return { name, peerURLs: [`http://10.0.0.${i}:1`] };
  });
  const target = { ...SOURCE, name: 'a', token: 't', founders };
  await restoreSnapshot(env, '/saved', target, { skipHashCheck: false, bumpRevision: 0n });
  await disk.syncDirectory('/');
}

function backup(disk: SimDisk, withV3: boolean): ReturnType<typeof backupDirectory> {
  const { entropy } = createSimEnv({ seed: 3 });
  const options = { dataDir: SOURCE.dataDir, target: TARGET, withV3 };
  return backupDirectory({ ...envOf(disk), entropy }, options);
}

test('a backup has one member, with new ids, and the content', async () => {
  const disk = new SimDisk({ seed: 5 });
  await prepare(disk);
  const env = envOf(disk);
  const before = await checkDirectory(env, SOURCE);
  const made = await backup(disk, true);
  expect(made).toMatchObject({ consistentIndex: 3, commit: 3, emptied: 0 });
  const { problems, log, database } = await checkDirectory(env, TARGET);
  expect(problems).toEqual([]);
  expect(log).toMatchObject({ memberId: made.memberId, clusterId: made.clusterId });
  expect(log?.clusterId).not.toBe(before.log?.clusterId);
  expect(database?.members.map(({ id }) => id)).toEqual([made.memberId]);
  const [copy, source] = [TARGET, SOURCE].map((each) => dataDirectoryOf(each).database);
  expect(await hashOfDatabase(env, copy!)).toEqual(await hashOfDatabase(env, source!));
  await expect(backup(disk, true)).rejects.toThrow('backup-dir "/copy" not empty');
});

test.each([true, false])(
  'a crash at any effect leaves a whole one, or none that starts (v3: %s)',
  async (withV3) => {
    const { wal } = dataDirectoryOf(TARGET);
    let source: Uint8Array | undefined;
    const points = await crashEverywhere({
      ...{ seed: 11, outcomes: 1, prepare },
      newState: () => ({ done: false }),
      work: async (disk, state) => {
        source ??= await readAll(envOf(disk), dataDirectoryOf(SOURCE).database);
        await backup(disk, withV3);
        state.done = true;
      },
      check: async (disk, { done }) => {
        const env = envOf(disk);
        expect(await readAll(env, dataDirectoryOf(SOURCE).database)).toEqual(source);
        const isThere = (await disk.stat(wal)) !== undefined;
        expect(isThere || !done).toBe(true);
        if (isThere) expect((await checkDirectory(env, TARGET)).problems).toEqual([]);
      },
    });
    expect(points).toBeGreaterThan(20);
  },
);
