// Directories of real members and of ours are backed up, by our tool and by etcdutl 3.5, and become clusters.

import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Cluster } from '../cluster/cluster.ts';
import { ApiClient, type Message } from '../helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, type Release, realEtcd } from '../helpers/real-etcd.ts';
import { fill, observe } from '../takeover/contents.ts';
import { normalForm, realTool, Side } from './workspace.ts';

type Name = Release | 'ours';

const ours = serverUnderTest();
/** The newest release that has the command. */
const tool = realTool(realEtcd('3.5'));
const RELEASES: readonly Release[] = ['3.4', '3.5', '3.6', '3.7'];
const all = [ours, tool, ...RELEASES.map(realEtcd)];

function program(name: Name): Program {
  return name === 'ours' ? need(ours) : realProgram(need(realEtcd(name)));
}

const members: Member[] = [];
const sides: Side[] = [];
const clusters: Cluster[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
  for (const cluster of clusters.splice(0)) await cluster.dispose();
  for (const side of sides.splice(0)) side.dispose();
});

function side(by: 'ours' | 'theirs'): Side {
  const made = by === 'ours' ? Side.ours() : Side.theirs(need(tool));
  sides.push(made);
  return made;
}

function snapFileIn(dataDir: string): string {
  const names = readdirSync(join(dataDir, 'member', 'snap')).filter((name) => name !== 'db');
  expect(names).toHaveLength(1);
  return names[0]!;
}

/** A database behind its log when the member is killed. */
const LATE = ['--backend-batch-interval=1h', '--backend-batch-limit=1000000'];

async function start(name: Name, directory: string, flags: readonly string[]): Promise<Member> {
  const member = await Member.start(program(name), { directory, flags });
  members.push(member);
  return member;
}

async function identityOf(endpoint: string): Promise<Record<string, unknown>> {
  const client = new ApiClient(endpoint);
  try {
    const { header, members: list } = await client.must('Cluster/MemberList', {});
    const { cluster_id: cluster, member_id: member } = header as Message;
    const status = await client.must('Maintenance/Status', {});
    return { cluster, member, list, index: Number(status['raftIndex']) };
  } finally {
    client.close();
  }
}

/** Directory of, backed up by, started as. */
const CASES: ReadonlyArray<readonly [Name, 'ours' | 'theirs', Name]> = [
  ['3.4', 'ours', 'ours'],
  ['3.5', 'ours', '3.5'],
  ['3.5', 'ours', '3.6'],
  ['3.5', 'ours', 'ours'],
  ['3.5', 'theirs', '3.5'],
  ['3.5', 'theirs', 'ours'],
  ['3.6', 'ours', '3.6'],
  ['3.7', 'ours', '3.7'],
  ['3.7', 'ours', 'ours'],
  ['ours', 'ours', '3.7'],
  ['ours', 'ours', 'ours'],
  ['ours', 'theirs', 'ours'],
];

describeWith('a backup', all, () => {
  test.each(CASES)('of %s, made by %s, becomes a cluster as %s', async (source, by, target) => {
    for (const snapshots of ['--snapshot-count=50', '--snapshot-count=100000']) {
      const place = side(by);
      const from = await start(source, place.path('data'), [snapshots, ...LATE]);
      await fill(from.endpoint, 0);
      const contents = await observe(from.endpoint);
      const before = await identityOf(from.endpoint);
      // etcdutl takes what the log does not note as committed for lost.
      if (by === 'theirs') await from.stop();
      else await from.kill();
      const args = ['backup', '--data-dir=data', '--backup-dir=out'];
      expect(await place.run(args)).toMatchObject({ code: 0, stdout: '' });
      if (by === 'ours') {
        const sound = await place.run(['check', '--data-dir=out']);
        expect(sound).toMatchObject({ code: 0, stderr: '' });
      }
      const again = await start(target, place.path('out'), ['--force-new-cluster']);
      expect(await observe(again.endpoint)).toEqual(contents);
      const after = await identityOf(again.endpoint);
      expect(after['list']).toHaveLength(1);
      expect(after['index']).toBeGreaterThan(before['index'] as number);
      // etcdutl leaves the old ids in the log.
      expect(after['cluster'] === before['cluster']).toBe(by === 'theirs');
      expect(after['member'] === before['member']).toBe(by === 'theirs');
      await fill(again.endpoint, 1);
      await again.stop();
      await again.restart({ flags: [] });
    }
  });

  test.each([
    ['3.5', '3.5'],
    ['3.5', 'ours'],
    ['ours', 'ours'],
    ['3.7', '3.7'],
  ] as const)('of %s without the v3 store is empty as %s', async (source, target) => {
    const place = side('ours');
    const from = await start(source, place.path('data'), ['--snapshot-count=50']);
    await fill(from.endpoint, 0);
    const before = await identityOf(from.endpoint);
    await from.stop();
    const args = ['backup', '--data-dir=data', '--backup-dir=out', '--with-v3=false'];
    expect(await place.run(args)).toMatchObject({ code: 0, stdout: '' });
    const again = await start(target, place.path('out'), ['--force-new-cluster']);
    const client = new ApiClient(again.endpoint);
    const range = await client.must('KV/Range', { key: '\0', range_end: '\0' });
    client.close();
    expect(range['kvs']).toEqual([]);
    expect((range['header'] as Message)['revision']).toBe('1');
    const after = await identityOf(again.endpoint);
    expect(after['index']).toBeGreaterThan(before['index'] as number);
    await fill(again.endpoint, 0);
    await again.stop();
    await again.restart({ flags: [] });
  });

  test.each(['true', 'false'])('has the log of etcdutl, with v3: %s', async (withV3) => {
    const place = side('ours');
    const theirs = side('theirs');
    const from = await start('3.5', place.path('data'), ['--snapshot-count=50', ...LATE]);
    await fill(from.endpoint, 0);
    await from.kill();
    const args = [`--with-v3=${withV3}`, `--data-dir=${place.path('data')}`];
    expect(await place.run(['backup', ...args, '--backup-dir=out'])).toMatchObject({ code: 0 });
    expect(await theirs.run(['backup', ...args, '--backup-dir=out'])).toMatchObject({ code: 0 });
    const snaps = [place, theirs].map((each) => snapFileIn(each.path('out')));
    expect(snaps[0]).toBe(snaps[1]);
    for (const [what, path] of [
      ['log', 'out'],
      ['snap', join('out', 'member', 'snap', snaps[0]!)],
    ] as const) {
      const [own, real] = await Promise.all(
        [place, theirs].map((each) => place.run(['dump', what, each.path(path), '-w', 'json'])),
      );
      const known = (text: string) => text.replace(/\b[0-9a-f]{11,16}\b|\b\d{13,20}\b/g, '<id>');
      expect(own).toMatchObject({ code: 0 });
      expect(own!.stdout.length).toBeGreaterThan(200);
      expect(known(own!.stdout)).toBe(known(real!.stdout));
    }
  });

  test.each(['ours', '3.5'] as const)(
    'of a member of three, as %s, is a cluster of one',
    async (name) => {
      const servers = Array(3).fill({ program: program(name) });
      const cluster = await Cluster.start({ servers, flags: ['--snapshot-count=50'] });
      clusters.push(cluster);
      const leader = await cluster.leader();
      await fill(leader.endpoint, 0);
      await cluster.caughtUp();
      const contents = await observe(leader.endpoint);
      for (const member of cluster.members) await member.stop();
      const place = side('ours');
      const { directory } = cluster.members.find((member) => member !== leader)!;
      const made = await place.run(['backup', `--data-dir=${directory}`, '--backup-dir=out']);
      expect(made).toMatchObject({ code: 0, stdout: '' });
      const again = await start(name, place.path('out'), ['--force-new-cluster']);
      expect(await observe(again.endpoint)).toEqual(contents);
      expect((await identityOf(again.endpoint))['list']).toHaveLength(1);
    },
  );

  test('with keys of the v2 API, in the log or in a .snap file, is refused', async () => {
    for (const snapshots of ['--snapshot-count=5', '--snapshot-count=100000']) {
      const place = side('ours');
      const from = await start('3.4', place.path('data'), ['--enable-v2', snapshots]);
      for (let i = 0; i < 20; i++) {
        const url = `${from.clientUrl}/v2/keys/k${i}`;
        const { status } = await fetch(url, {
          method: 'PUT',
          body: new URLSearchParams('value=v'),
        });
        expect(status).toBe(201);
      }
      await from.stop();
      for (const withV3 of ['true', 'false']) {
        const args = ['backup', '--data-dir=data', '--backup-dir=out', `--with-v3=${withV3}`];
        const result = await place.run(args);
        expect(result).toMatchObject({ code: 1, stdout: '' });
        expect(result.stderr).toMatch(/\(\/1\/k\d+\)|log entry \d+: .*\(PUT \/1\/k0\)/);
        expect(existsSync(place.path('out'))).toBe(false);
      }
    }
  });

  test('is asked for as of etcdutl, with the same flags and refusals', async () => {
    const both = [side('ours'), side('theirs')] as const;
    const flagsOf = async (each: Side): Promise<string[]> => {
      const { stdout } = await each.run(['backup', '--help']);
      const own = stdout.split('Flags:\n')[1]!.split('\n\n')[0]!;
      return [...own.matchAll(/^ +(--[\w-]+(?: \w+)?) {2}/gm)].map((match) => match[1]!).sort();
    };
    const [own, real] = await Promise.all(both.map(flagsOf));
    expect(own).toHaveLength(5);
    expect(own).toEqual(real);
    const withBoth = '--data-dir nowhere --backup-dir out';
    for (const line of [
      'backup',
      'backup word',
      'backup --data-dir nowhere',
      'backup --backup-dir out',
      'backup --data-dir',
      'backup --wal-dir',
      `backup ${withBoth} --with-v3=maybe`,
      `backup ${withBoth} --backup-wal-dir`,
      `backup ${withBoth} --word`,
    ]) {
      const [ours, theirs] = await Promise.all(both.map((each) => each.run(line.split(' '))));
      expect(normalForm(ours!), line).toEqual(normalForm(theirs!));
      expect(ours!.code, line).toBe(1);
    }
    // etcdutl has made directories by then, and ends with the place in its source.
    const lines = [withBoth, `${withBoth} word`, `${withBoth} --wal-dir nowhere`];
    for (const line of lines.map((each) => `backup ${each}`)) {
      const [ours, theirs] = await Promise.all(both.map((each) => each.run(line.split(' '))));
      expect([ours!.code, theirs!.code], line).toEqual([1, 1]);
      expect(both[0].contents()).toEqual({});
    }
  });

  test('of what is none, or in use, or onto something, is refused and makes nothing', async () => {
    const place = side('ours');
    const from = await start('ours', place.path('data'), []);
    const backup = (...args: string[]) => place.run(['backup', '--timeout=100ms', ...args]);
    const inUse = await backup('--data-dir=data', '--backup-dir=out');
    expect(inUse).toMatchObject({ code: 1, stdout: '' });
    expect(inUse.stderr).toMatch(/Error: .*another process/);
    expect(existsSync(place.path('out'))).toBe(false);
    await from.stop();
    mkdirSync(place.path('foreign'));
    mkdirSync(place.path('empty'));
    writeFileSync(place.path('foreign/file'), 'of someone');
    for (const name of ['nolog', 'nodb', 'half']) {
      cpSync(place.path('data'), place.path(name), { recursive: true });
    }
    rmSync(place.path('nolog/member/wal'), { recursive: true });
    rmSync(place.path('nodb/member/snap/db'));
    truncateSync(place.path('half/member/snap/db'), 10_000);
    const rows: [string[], RegExp][] = [
      [['--data-dir=nowhere', '--backup-dir=out'], /nowhere is no data directory/],
      [['--data-dir=foreign', '--backup-dir=out'], /foreign is no data directory/],
      [['--data-dir=nolog', '--backup-dir=out'], /nolog\/member\/wal/],
      [['--data-dir=nodb', '--backup-dir=out'], /nodb\/member\/snap\/db/],
      [['--data-dir=half', '--backup-dir=out'], /half\/member\/snap\/db/],
      [['--data-dir=data', '--wal-dir=empty', '--backup-dir=out'], /no segment in empty/],
      [['--data-dir=data', '--backup-dir=foreign'], /backup-dir "foreign" not empty/],
      [['--data-dir=data', '--backup-dir=data'], /backup-dir "data" not empty/],
      [['--data-dir=data', '--backup-dir=foreign/file'], /backup-dir "foreign\/file" not empty/],
      [
        ['--data-dir=data', '--backup-dir=out', '--backup-wal-dir=data/member/wal'],
        /backup-wal-dir "data\/member\/wal" exists/,
      ],
      [['--data-dir=data'], /required flag\(s\) "backup-dir" not set/],
      [['--backup-dir=out'], /required flag\(s\) "data-dir" not set/],
      [
        ['--data-dir=data', '--backup-dir=out', '--with-v3=maybe'],
        /invalid argument "maybe" for "--with-v3" flag: strconv.ParseBool/,
      ],
    ];
    for (const [args, text] of rows) await expectRefusal(args, text);
    const elsewhere = await backup('--data-dir=data', '--backup-dir=out', '--backup-wal-dir=log');
    expect(elsewhere).toMatchObject({ code: 0 });
    const sound = await place.run(['check', '--data-dir=out', '--wal-dir=log']);
    expect(sound).toMatchObject({ code: 0 });

    async function expectRefusal(args: readonly string[], text: RegExp): Promise<void> {
      const before = place.contents();
      const result = await backup(...args);
      expect(result, args.join(' ')).toMatchObject({ code: 1, stdout: '' });
      expect(result.stderr, args.join(' ')).toMatch(text);
      expect(place.contents(), args.join(' ')).toEqual(before);
    }
  });
});
