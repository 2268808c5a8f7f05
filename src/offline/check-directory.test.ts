// What is wrong in a directory is found, in whichever of its files it is.

import { expect, test } from 'vitest';
import { seededRandom } from '../base/index.ts';
import { SimDisk } from '../env/sim/index.ts';
import { checkDirectory } from './check-directory.ts';
import { envOf, readAll, writeAll, writeDatabase, writeSnapshot } from './database.fixture.ts';
import { dumpDatabase, dumpLog, dumpSnapshot } from './dump.ts';
import { preflight } from './preflight.ts';
import { planRecovery } from './recover.ts';
import { restoreSnapshot } from './restore-snapshot.ts';
import type { OfflineEnv } from './types.ts';

const DATA = { dataDir: '/data' };
const SNAP = '/data/member/snap/0000000000000001-0000000000000001.snap';
const WAL = '/data/member/wal/0000000000000000-0000000000000000.wal';
const DATABASE = '/data/member/snap/db';

async function member(): Promise<OfflineEnv> {
  const env = envOf(new SimDisk({ seed: 3 }));
  await writeDatabase(env, '/db', 30);
  await writeSnapshot(env, '/db', '/saved');
  const founders = [{ name: 'a', peerURLs: ['http://10.0.0.1:1'] }];
  const target = { ...DATA, walDir: '', name: 'a', founders, token: 't' };
  await restoreSnapshot(env, '/saved', target, { skipHashCheck: false, bumpRevision: 0n });
  return env;
}

test('a sound directory has nothing wrong, and says where it is', async () => {
  const env = await member();
  const { problems, log, database } = await checkDirectory(env, DATA);
  expect(problems).toEqual([]);
  expect(log).toMatchObject({ base: { index: 1, term: 1 }, last: { index: 1, term: 1 } });
  expect(database).toMatchObject({ consistentIndex: 1, revision: 31, term: 1 });
});

test('a changed byte of a record, a .snap file or a page in use is found, by file', async () => {
  const seed = 17;
  const random = seededRandom(seed);
  for (const [path, part, length] of [
    // What the records and pages really hold; behind it are zeros and free pages.
    [WAL, 'log', 0x100],
    [SNAP, 'snapshot', undefined],
  ] as const) {
    const env = await member();
    const whole = await readAll(env, path);
    for (let round = 0; round < 20; round++) {
      const at = random.below(length ?? whole.length);
      const bad = Uint8Array.from(whole);
      bad[at]! ^= 1 << random.below(8);
      await writeAll(env, path, bad);
      const { problems } = await checkDirectory(env, DATA);
      const found = problems.find((one) => one.part === part);
      // Padding of a record is not covered by its checksum, but must be zeros.
      expect(found?.text, `seed ${seed}, byte ${at} of ${path}`).toContain(path);
    }
  }
});

test('what is missing, cut or contradicts another file is named', async () => {
  const env = await member();
  const whole = await readAll(env, DATABASE);
  const textsOf = async () => (await checkDirectory(env, DATA)).problems.map(({ text }) => text);
  await writeAll(env, DATABASE, whole.subarray(0, 5000));
  expect(await textsOf()).toEqual([
    expect.stringMatching(/^\/data\/member\/snap\/db: the file ends at 5000, but \d+ pages/),
  ]);
  await env.disk.remove(DATABASE);
  expect(await textsOf()).toEqual([`stat ${DATABASE}: no such file or directory`]);
  await writeAll(env, DATABASE, await readAll(env, '/db'));
  expect(await textsOf()).toEqual([
    // Nobody in that database is this member, so it may be ahead of its log.
  ]);
  await env.disk.removeTree('/data/member/wal');
  expect(await textsOf()).toEqual([expect.stringContaining('/data/member/wal')]);
  const nowhere = checkDirectory(env, { dataDir: '/nowhere' });
  await expect(nowhere).rejects.toThrow('/nowhere is no data directory: it has no member/');
});

test('what is dumped is what was written', async () => {
  const env = await member();
  expect(await dumpLog(env, '/data/member/wal')).toMatchObject([
    { index: 1, term: 1, kind: 'confChange', isCommitted: true },
  ]);
  expect(await dumpSnapshot(env, SNAP)).toMatchObject({
    ...{ index: 1, term: 1, learners: [], removed: [] },
    members: [{ peerURLs: ['http://10.0.0.1:1'] }],
  });
  const rows: string[] = [];
  const options = { bucket: 'key', prefix: 'key 1' };
  await dumpDatabase(env, DATABASE, options, ({ key, text }) => void rows.push(`${key} ${text}`));
  expect(rows[0]).toBe('3.0 key:"key 1" create_revision:3 mod_revision:3 version:1 value:"v"');
  expect(rows).toHaveLength(11);
  const wrong = dumpDatabase(env, DATABASE, { bucket: 'x' }, () => undefined);
  await expect(wrong).rejects.toThrow(`${DATABASE} has no bucket "x"; it has alarm, auth,`);
});

test('directories that do not belong together, or are damaged, are not recovered from', async () => {
  const env = await member();
  const other = [{ name: 'b', peerURLs: ['http://10.0.0.2:1'] }];
  const target = { dataDir: '/other', walDir: '', name: 'b', founders: other, token: 't' };
  await restoreSnapshot(env, '/saved', target, { skipHashCheck: false, bumpRevision: 0n });
  const plan = (...dirs: string[]) =>
    planRecovery(
      env,
      dirs.map((dataDir) => ({ dataDir, walDir: '' })),
      {},
    );
  expect(await plan('/data')).toMatchObject({ voters: 1, mayLoseAcknowledged: false });
  await expect(plan('/data', '/other')).rejects.toThrow('are of different clusters: /data is of');
  await expect(plan('/data', '/data')).rejects.toThrow('are both of member');
  await writeAll(env, DATABASE, new Uint8Array(9000));
  await expect(plan('/data')).rejects.toThrow('none of the directories is sound');
});

test('which releases can take a directory, and why the others cannot', async () => {
  const env = await member();
  const verdicts = async () =>
    (await preflight(env, DATA)).releases.map(({ release, kind, reasons }) => [
      ...[`${release.major}.${release.minor}`, kind, reasons],
    ]);
  // The database has the form of 3.7, and no cluster has agreed on a version.
  expect(await verdicts()).toEqual([
    ['3.7', 'starts', []],
    ['3.6', 'afterMigration', []],
    ['3.5', 'afterMigration', []],
  ]);
  await writeAll(env, SNAP, new Uint8Array(100));
  for (const [, kind, reasons] of await verdicts()) {
    expect([kind, String(reasons)]).toEqual(['refuses', expect.stringContaining(SNAP)]);
  }
});
