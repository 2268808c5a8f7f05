// A directory in which authentication is on changes hands: the same users may do the same things.

import { afterEach, expect, test } from 'vitest';
import { ApiClient, type Message } from '../helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { enableAuth, logIn, passwordOf, tokensOf, UMAS_RANGE } from './users.ts';

const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});

const ours = serverUnderTest();
const real35 = realEtcd('3.5');
const real37 = realEtcd('3.7');
const COST = '--bcrypt-cost=4';

/** What root sees of users and roles, and what the others are told. */
async function observe(endpoint: string): Promise<Message> {
  const api = new ApiClient(endpoint);
  try {
    const tokens = await tokensOf(api);
    const { root: token } = tokens;
    const seen: Record<string, Message[string]> = {};
    const see = async (name: string, rpc: string, request: Message = {}, by = token) => {
      const { code, details, message } = await api.call(rpc, request, { token: by });
      const { header: _, ...content } = message ?? {};
      seen[name] = { code, details, content };
    };
    await see('status', 'Auth/AuthStatus');
    await see('users', 'Auth/UserList');
    await see('roles', 'Auth/RoleList');
    for (const name of ['nora', 'uma', 'root', 'late']) await see(name, 'Auth/UserGet', { name });
    // Of the role root each release tells something else.
    await see('role k', 'Auth/RoleGet', { role: 'k' });
    await see('nobody reads', 'KV/Range', { key: 'k' }, undefined);
    await see('nora reads', 'KV/Range', { key: 'k' }, tokens.nora);
    await see('uma reads', 'KV/Range', UMAS_RANGE, tokens.uma);
    await see('uma reads more', 'KV/Range', { key: 'k', range_end: '\0' }, tokens.uma);
    await see('root reads', 'KV/Range', { key: '\0', range_end: '\0' });
    return seen;
  } finally {
    api.close();
  }
}

async function fill(endpoint: string): Promise<void> {
  const api = new ApiClient(endpoint);
  for (const key of ['a', 'k', 'k1', 'z']) await api.must('KV/Put', { key, value: key });
  await enableAuth(endpoint);
  const token = await logIn(api, 'root');
  await api.must('Auth/UserAdd', { name: 'late', password: 'x' }, { token });
  await api.must('Auth/UserAdd', { name: 'cert', options: { no_password: true } }, { token });
  await api.must('Auth/UserGrantRole', { user: 'late', role: 'k' }, { token });
  await api.must(
    'Auth/UserChangePassword',
    { name: 'late', password: passwordOf('late') },
    { token },
  );
  await logIn(api, 'late');
  api.close();
}

interface Way {
  readonly name: string;
  readonly needs: Parameters<typeof describeWith>[1];
  readonly first: () => readonly [Program, readonly string[]];
  readonly second: () => readonly [Program, readonly string[]];
}

const HELD_35 = ['--max-cluster-version=3.5'];
const ways: readonly Way[] = [
  {
    name: 'etcd 3.7 to ours',
    needs: [ours, real37],
    first: () => [realProgram(need(real37)), []],
    second: () => [need(ours), []],
  },
  {
    name: 'ours to etcd 3.7',
    needs: [ours, real37],
    first: () => [need(ours), []],
    second: () => [realProgram(need(real37)), []],
  },
  {
    name: 'etcd 3.5 to ours',
    needs: [ours, real35],
    first: () => [realProgram(need(real35)), []],
    second: () => [need(ours), []],
  },
  {
    name: 'ours held at 3.5 to etcd 3.5',
    needs: [ours, real35],
    first: () => [need(ours), HELD_35],
    second: () => [realProgram(need(real35)), []],
  },
];

for (const { name, needs, first, second } of ways) {
  describeWith(`a directory with users goes from ${name}`, needs, () => {
    for (const ending of ['stop', 'kill'] as const) {
      test(`after ${ending}`, { timeout: 120_000 }, async () => {
        const [program, flags] = first();
        const member = await Member.start(program, { flags: [COST, ...flags] });
        members.push(member);
        await fill(member.endpoint);
        const before = await observe(member.endpoint);
        const api = new ApiClient(member.endpoint);
        const token = await logIn(api, 'uma');
        await member[ending]();
        const [next, nextFlags] = second();
        await member.restart({ program: next, flags: [COST, ...nextFlags] });
        expect(await observe(member.endpoint)).toEqual(before);
        // A simple token is gone with its process; after a crash its login may be applied again, and
        // gives the same one, whatever the program.
        const read = await api.call('KV/Range', { key: 'k' }, { token });
        if (ending === 'stop') expect(read.details).toBe('etcdserver: invalid auth token');
        else expect([0, 16]).toContain(read.code);
        // And the users can be changed.
        const root = await logIn(api, 'root');
        await api.must('Auth/UserDelete', { name: 'late' }, { token: root });
        api.close();
      });
    }
  });
}
