// A cluster of three loses two members for good, and goes on as a new one from what is left.

import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Cluster } from '../cluster/cluster.ts';
import { ApiClient } from '../helpers/api.ts';
import {
  Member,
  type Program,
  realProgram,
  serverUnderTest,
  temporaryDirectory,
} from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { fill, observe } from '../takeover/contents.ts';
import { Side } from './workspace.ts';

const ours = serverUnderTest();
const newest = realEtcd('3.7');

const clusters: Cluster[] = [];
const members: Member[] = [];
const places: string[] = [];
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
  for (const member of members.splice(0)) await member.dispose();
  for (const place of places.splice(0)) rmSync(place, { recursive: true, force: true });
});

function program(name: 'ours' | '3.7'): Program {
  return name === 'ours' ? need(ours) : realProgram(need(newest));
}

/** Databases are behind their logs when the members are killed. */
const LATE = ['--backend-batch-interval=1h', '--backend-batch-limit=1000000'];

/** Three members, killed, and what clients had seen of them. */
async function killedCluster(of: 'ours' | '3.7') {
  const servers = Array(3).fill({ program: program(of) });
  const cluster = await Cluster.start({ servers, flags: LATE });
  clusters.push(cluster);
  const leader = await cluster.leader();
  await fill(leader.endpoint, 0);
  await cluster.caughtUp();
  const contents = await observe(leader.endpoint);
  for (const member of cluster.members) await member.kill();
  return { cluster, leader, contents };
}

describeWith('a lost cluster', [ours, newest], () => {
  test.each([
    ['ours', 'ours'],
    ['ours', '3.7'],
    ['3.7', 'ours'],
    ['3.7', '3.7'],
  ] as const)('of %s goes on as %s, with every acknowledged write', async (before, after) => {
    const { cluster, leader, contents } = await killedCluster(before);
    const [lost, ...left] = [leader, ...cluster.members.filter((one) => one !== leader)];
    rmSync(lost!.directory, { recursive: true });

    const tool = Side.ours();
    places.push(tool.directory);
    const dirs = left.map(({ directory }) => directory);
    const dry = await tool.run(['recover', ...dirs, '--data-dir=out']);
    expect(dry).toMatchObject({ code: 0 });
    expect(dry.stdout).toContain('1 of 3 voters are missing');
    expect(dry.stdout).toContain('every acknowledged write is here\n');
    expect(tool.contents()).toEqual({});
    const one = await tool.run(['recover', dirs[0]!, '--data-dir=out']);
    expect(one.stdout).toContain('writes that only the missing ones have acknowledged are lost\n');

    const made = await tool.run(['recover', ...dirs, '--data-dir=out', '--write']);
    expect(made).toMatchObject({ code: 0 });
    // The rest of the log is applied by the member that starts.
    expect(Number(/"entries-to-apply":(\d+)/.exec(made.stderr)?.[1])).toBeGreaterThan(100);
    expect(await tool.run(['check', '--data-dir=out'])).toMatchObject({ code: 0, stderr: '' });
    const member = await Member.start(program(after), { directory: join(tool.directory, 'out') });
    members.push(member);
    expect(await observe(member.endpoint)).toEqual(contents);
    const client = new ApiClient(member.endpoint);
    const list = await client.must('Cluster/MemberList', {});
    expect(list['members']).toHaveLength(1);
    client.close();
    await fill(member.endpoint, 1);
    await member.stop();
    await member.restart();
  });

  test('is recovered from logs in directories of their own', async () => {
    const { cluster, contents } = await killedCluster('ours');
    const tool = Side.ours();
    places.push(tool.directory);
    const left = cluster.members.slice(1);
    const dirs = left.map(({ directory }) => directory);
    const logs = dirs.map((directory, i) => {
      renameSync(join(directory, 'member', 'wal'), tool.path(`log=${i}`));
      return `--wal-dir-of=${directory}=log=${i}`;
    });
    const before = tool.contents();
    const refusals: [string[], RegExp][] = [
      [[], /none of the directories is sound/],
      [['--wal-dir-of=elsewhere=log'], /"elsewhere=log": not <surviving data dir>=<wal dir>/],
      [[`--wal-dir-of=${dirs[0]}=`], /not <surviving data dir>=<wal dir>/],
      [[logs[0]!, logs[0]!], /names two logs of/],
      // Of another member.
      [[`--wal-dir-of=${dirs[0]}=log=1`, logs[1]!], /are both of member/],
    ];
    for (const [flags, text] of refusals) {
      const result = await tool.run(['recover', ...dirs, '--data-dir=out', '--write', ...flags]);
      expect(result.code, flags.join(' ')).not.toBe(0);
      expect(result.stderr, flags.join(' ')).toMatch(text);
      expect(tool.contents()).toEqual(before);
    }
    const made = await tool.run(['recover', ...dirs, '--data-dir=out', '--write', ...logs]);
    expect(made).toMatchObject({ code: 0 });
    expect(made.stdout).toContain('every acknowledged write is here\n');
    const member = await Member.start(program('ours'), { directory: tool.path('out') });
    members.push(member);
    expect(await observe(member.endpoint)).toEqual(contents);
  });

  test('a directory in use is not recovered from, nor checked', async () => {
    const directory = temporaryDirectory();
    places.push(directory);
    const member = await Member.start(need(ours), { directory });
    members.push(member);
    const tool = Side.ours();
    places.push(tool.directory);
    const commands = [
      ['recover', directory, '--data-dir=out', '--write'],
      ['check', `--data-dir=${directory}`],
      ['defrag', `--data-dir=${directory}`],
      ['migrate', `--data-dir=${directory}`, '--target-version=3.6'],
      ['hashkv', join(directory, 'member', 'snap', 'db')],
      ['snapshot', 'status', join(directory, 'member', 'snap', 'db')],
    ];
    for (const args of commands) {
      const result = await tool.run([...args, '--timeout=100ms']);
      expect(result, args.join(' ')).toMatchObject({ code: 1, stdout: '' });
      expect(result.stderr, args.join(' ')).toMatch(/Error: .*another process/);
    }
    expect(tool.contents()).toEqual({});
    await fill(member.endpoint, 0);
  });
});
