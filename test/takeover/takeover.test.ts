// Data directories change hands between server programs, with everything in them.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { ApiClient } from '../helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, type Found, need, realEtcd } from '../helpers/real-etcd.ts';
import { fill, observe } from './contents.ts';

const TIMEOUT_MS = 120_000;
const SNAPSHOTS_OFTEN = '--snapshot-count=50';

const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});

async function start(program: Program, flags: readonly string[] = []): Promise<Member> {
  const member = await Member.start(program, { flags: [SNAPSHOTS_OFTEN, ...flags] });
  members.push(member);
  return member;
}

interface Owner {
  readonly program: Program;
  readonly flags?: readonly string[];
}

const endings = ['stop', 'kill'] as const;

/** First owner fills and ends, second takes over, writes and restarts. */
async function change(first: Owner, second: Owner, ending: 'stop' | 'kill'): Promise<Member> {
  const member = await start(first.program, first.flags);
  await fill(member.endpoint, 0);
  const before = await observe(member.endpoint);
  await member[ending]();
  const files = readdirSync(join(member.directory, 'member', 'snap'));
  expect(files.some((name) => name.endsWith('.snap'))).toBe(true);

  const flags = [SNAPSHOTS_OFTEN, ...(second.flags ?? [])];
  await member.restart({ program: second.program, flags });
  expect(await observe(member.endpoint)).toEqual(before);
  await fill(member.endpoint, 1);
  const after = await observe(member.endpoint);
  await member[ending]();
  await member.restart();
  expect(await observe(member.endpoint)).toEqual(after);
  return member;
}

const ours = serverUnderTest();
const real34 = realEtcd('3.4');
const real35 = realEtcd('3.5');
const real36 = realEtcd('3.6');
const at = (version: string): readonly string[] => [`--max-cluster-version=${version}`];

interface Way {
  readonly name: string;
  readonly needs: readonly Found<unknown>[];
  readonly first: () => Owner;
  readonly second: () => Owner;
}

const tetcd = (flags: readonly string[] = []): Owner => ({ program: need(ours), flags });
const etcd34 = (): Owner => ({ program: realProgram(need(real34)) });
const etcd35 = (): Owner => ({ program: realProgram(need(real35)) });

const ways: readonly Way[] = [
  // That the test itself is right.
  { name: 'etcd 3.4 to 3.5', needs: [real34, real35], first: etcd34, second: etcd35 },
  { name: 'ours to ours', needs: [ours], first: () => tetcd(), second: () => tetcd() },
  { name: 'etcd 3.4 to ours', needs: [real34, ours], first: etcd34, second: () => tetcd() },
  { name: 'etcd 3.5 to ours', needs: [real35, ours], first: etcd35, second: () => tetcd() },
  {
    name: 'ours held at 3.4 to etcd 3.4',
    needs: [real34, ours],
    first: () => tetcd(at('3.4')),
    second: etcd34,
  },
  {
    name: 'ours held at 3.5 to etcd 3.5',
    needs: [real35, ours],
    first: () => tetcd(at('3.5')),
    second: etcd35,
  },
  {
    name: 'etcd 3.4 to ours held at 3.4',
    needs: [real34, ours],
    first: etcd34,
    second: () => tetcd(at('3.4')),
  },
];

for (const way of ways) {
  describeWith(`a data directory goes from ${way.name}`, way.needs, () => {
    for (const ending of endings) {
      test(`after ${ending}`, { timeout: TIMEOUT_MS }, async () => {
        await change(way.first(), way.second(), ending);
      });
    }
  });
}

describeWith('from etcd 3.4 to ours held at 3.4 and back', [real34, ours], () => {
  test('with all data', { timeout: TIMEOUT_MS }, async () => {
    const member = await change(etcd34(), tetcd(at('3.4')), 'kill');
    const before = await observe(member.endpoint);
    await member.kill();
    await member.restart({ program: etcd34().program, flags: [SNAPSHOTS_OFTEN] });
    expect(await observe(member.endpoint)).toEqual(before);
  });
});

describeWith('from ours, downgraded, to etcd 3.6 and back', [real36, ours], () => {
  test('with all data, after kill -9 as soon as it is said', { timeout: TIMEOUT_MS }, async () => {
    const member = await start(need(ours));
    await fill(member.endpoint, 0);
    const before = await observe(member.endpoint);
    const client = new ApiClient(member.endpoint);
    await client.must('Maintenance/Downgrade', { action: 1, version: '3.6' });
    client.close();
    await member.line(/The server is ready to downgrade/);
    await member.kill();
    const flags = [SNAPSHOTS_OFTEN, '--downgrade-check-time=1s'];
    await member.restart({ program: realProgram(need(real36)), flags });
    expect(await observe(member.endpoint)).toEqual(before);
    await member.line(/the cluster has been downgraded/);
    await fill(member.endpoint, 1);
    const after = await observe(member.endpoint);
    await member.kill();
    await member.restart({ program: need(ours), flags });
    expect(await observe(member.endpoint)).toEqual(after);
  });
});

/** Restarts on our server, which must end at once; returns the last of what it said. */
async function refusal(member: Member, flags: readonly string[] = []): Promise<string> {
  const error = await member.restart({ program: need(ours), flags }).then(
    () => new Error('it started'),
    (reason: Error) => reason,
  );
  const [first, ...log] = error.message.split('\n');
  expect(first).toMatch(/ended with [1-9]/);
  return log.slice(-2).join('\n');
}

describeWith('what our server cannot take over it refuses by name', [ours], () => {
  test('a cluster version above the one to hold', { timeout: TIMEOUT_MS }, async () => {
    const member = await start(need(ours));
    await fill(member.endpoint, 0);
    await member.stop();
    const text = await refusal(member, at('3.4'));
    expect(text).toMatch(/3\.4/);
    expect(text).toMatch(/3\.7/);
  });
});

describeWith('what our server cannot take over from etcd 3.4', [ours, real34], () => {
  test('a directory with v2 keys is refused by name', { timeout: TIMEOUT_MS }, async () => {
    const member = await start(etcd34().program, ['--enable-v2']);
    const url = `http://${member.endpoint}/v2/keys/old`;
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const response = await fetch(url, { method: 'PUT', body: 'value=1', headers });
    expect(response.status).toBe(201);
    await member.stop();
    expect(await refusal(member)).toMatch(/v2 (?:key|store|request)/i);
  });
});

describeWith('one data directory, two processes', [ours, real35], () => {
  const second = (program: Program, directory: string): Promise<string> =>
    Member.start(program, { directory, startTimeoutMs: 4_000 }).then(
      async (member) => {
        await member.dispose();
        return 'it started';
      },
      (error: Error) => error.message,
    );

  test('ours refuses at once while real etcd runs', { timeout: TIMEOUT_MS }, async () => {
    const member = await start(etcd35().program);
    const text = await second(need(ours), member.directory);
    expect(text).toMatch(/lock|in use/i);
    expect(text).not.toMatch(/is not ready/);
  });

  test('ours refuses at once while ours runs', { timeout: TIMEOUT_MS }, async () => {
    const member = await start(need(ours));
    expect(await second(need(ours), member.directory)).toMatch(/lock|in use/i);
  });

  test('real etcd waits while ours runs', { timeout: TIMEOUT_MS }, async () => {
    const member = await start(need(ours));
    expect(await second(etcd35().program, member.directory)).toMatch(/is not ready/);
  });
});
