// Snapshots of real members and of ours become directories, by our tool and by the real one, in which real
// members and ours go on.

import { rmSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { Cluster } from '../cluster/cluster.ts';
import { ApiClient, type Message } from '../helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, type Release, realEtcd } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';
import { fill, observe } from '../takeover/contents.ts';
import { realTool, Side } from './workspace.ts';

type Name = Release | 'ours';

const ours = serverUnderTest();
const newest = realEtcd('3.7');
const tool = realTool(newest);
const all = [ours, tool, realEtcd('3.5'), realEtcd('3.6'), newest];

function program(name: Name): Program {
  return name === 'ours' ? need(ours) : realProgram(need(realEtcd(name)));
}

const members: Member[] = [];
const sides: Side[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
  for (const side of sides.splice(0)) side.dispose();
});

async function start(name: Name, directory?: string): Promise<Member> {
  const options = directory === undefined ? {} : { directory };
  const member = await Member.start(program(name), options);
  members.push(member);
  return member;
}

async function save(member: { readonly endpoint: string }, path: string): Promise<void> {
  const { etcdctl } = need(newest);
  const saved = await run([etcdctl, `--endpoints=${member.endpoint}`, 'snapshot', 'save', path]);
  expect(saved).toMatchObject({ code: 0 });
}

function side(by: 'ours' | 'theirs'): Side {
  const made = by === 'ours' ? Side.ours() : Side.theirs(need(tool));
  sides.push(made);
  return made;
}

const TO = ['--name=m1', '--initial-cluster=m1=http://10.9.8.7:1', '--data-dir=out'];
const AS = '--initial-advertise-peer-urls=http://10.9.8.7:1';

async function membersOf(endpoint: string): Promise<unknown> {
  const client = new ApiClient(endpoint);
  try {
    const list = (await client.must('Cluster/MemberList', {}))['members'] as readonly Message[];
    return list.map(({ name, peerURLs }) => [name, peerURLs]);
  } finally {
    client.close();
  }
}

/** Snapshot of, restored by, started as. */
const CASES: ReadonlyArray<readonly [Name, 'ours' | 'theirs', Name]> = [
  ['3.5', 'ours', '3.5'],
  ['3.5', 'ours', '3.6'],
  ['3.5', 'ours', '3.7'],
  ['3.5', 'ours', 'ours'],
  ['3.5', 'theirs', 'ours'],
  ['3.6', 'ours', '3.6'],
  ['3.6', 'ours', 'ours'],
  ['3.7', 'ours', '3.7'],
  ['3.7', 'ours', 'ours'],
  ['3.7', 'theirs', 'ours'],
  ['ours', 'ours', '3.7'],
  ['ours', 'ours', 'ours'],
  ['ours', 'theirs', '3.7'],
  ['ours', 'theirs', 'ours'],
];

/** The same; a database that has the form of 3.5 can be started as any release. */
const BUMPED = CASES.filter(([source, by]) => source === '3.5' || by === 'theirs');

describeWith('a snapshot', all, () => {
  test.each(CASES)('of %s, restored by %s, goes on as %s', async (source, by, target) => {
    const from = await start(source);
    await fill(from.endpoint, 0);
    const place = side(by);
    await save(from, place.path('saved.db'));
    const before = await observe(from.endpoint);
    const restored = await place.run(['snapshot', 'restore', 'saved.db', ...TO, AS]);
    expect(restored).toMatchObject({ code: 0, stdout: '' });
    const again = await start(target, place.path('out'));
    expect(await observe(again.endpoint)).toEqual(before);
    expect(await membersOf(again.endpoint)).toEqual([['m1', ['http://10.9.8.7:1']]]);
    await fill(again.endpoint, 1);
    await again.stop();
    await again.restart();
  });

  test.each(BUMPED)('of %s, bumped by %s, goes on as %s', async (source, by, target) => {
    const from = await start(source);
    await fill(from.endpoint, 0);
    const place = side(by);
    await save(from, place.path('saved.db'));
    const before = await observe(from.endpoint);
    const bump = ['--bump-revision=1000000', '--mark-compacted', '--wal-dir=log'];
    const restored = await place.run(['snapshot', 'restore', 'saved.db', ...TO, AS, ...bump]);
    expect(restored).toMatchObject({ code: 0, stdout: '' });
    const wal = `--wal-dir=${place.path('log')}`;
    const again = await Member.start(program(target), {
      directory: place.path('out'),
      flags: [wal],
    });
    members.push(again);
    const client = new ApiClient(again.endpoint);
    const range = await client.must('KV/Range', { key: '\0', range_end: '\0' });
    expect(range['kvs']).toEqual(before.keys);
    const { revision } = range['header'] as { readonly revision: string };
    expect(Number(revision)).toBe(Number(before.revision) + 1_000_000);
    const old = await client.call('KV/Range', { key: 'big', revision: before.revision });
    expect(old.details).toBe('etcdserver: mvcc: required revision has been compacted');
    const put = await client.must('KV/Put', { key: 'after', value: 'it' });
    expect(Number((put['header'] as Message)['revision'])).toBe(Number(revision) + 1);
    client.close();
    await again.stop();
    await again.restart();
  });
});

describeWith('a cluster of three', all, () => {
  const programs: ReadonlyArray<readonly [string, readonly Name[]]> = [
    ['ours', ['ours', 'ours', 'ours']],
    ['3.7', ['3.7', '3.7', '3.7']],
    ['both', ['ours', '3.7', 'ours']],
  ];
  const clusters: Cluster[] = [];
  afterEach(async () => {
    for (const cluster of clusters.splice(0)) await cluster.dispose();
  });

  test.each(programs)('is restored from one snapshot, as %s', async (_what, names) => {
    const servers = names.map((name) => ({ program: program(name) }));
    const cluster = await Cluster.start({ servers });
    clusters.push(cluster);
    const leader = await cluster.leader();
    const { endpoint } = leader;
    await fill(endpoint, 0);
    const place = side('ours');
    await save({ endpoint }, place.path('saved.db'));
    const before = await observe(endpoint);
    const peers = cluster.members.map(({ name, peerUrl }) => [name, peerUrl] as const);
    const initial = `--initial-cluster=${peers.map(([name, url]) => `${name}=${url}`).join(',')}`;
    for (const member of cluster.members) await member.kill();
    for (const { name, peerUrl, directory } of cluster.members) {
      rmSync(directory, { recursive: true });
      const to = [`--name=${name}`, `--data-dir=${directory}`, '--initial-cluster-token=another'];
      const url = `--initial-advertise-peer-urls=${peerUrl}`;
      const result = await place.run(['snapshot', 'restore', 'saved.db', ...to, url, initial]);
      expect(result).toMatchObject({ code: 0, stdout: '' });
    }
    await Promise.all(cluster.members.map((member) => member.start({ peers, state: 'new' })));
    await cluster.leader();
    for (const member of cluster.members) {
      expect(await observe(member.endpoint)).toEqual(before);
    }
    await fill((await cluster.leader()).endpoint, 1);
    await cluster.caughtUp();
    await cluster.expectEqualHashes();
  });
});
