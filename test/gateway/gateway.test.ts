// Our gateway beside that of real etcd 3.7: the same requests, the same status, headers and bodies.

import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { type Ask, ask, comparable } from './http-client.ts';
import { AUTH_REQUESTS, REQUESTS, ROUTES, STREAMS, WAITING, wrongBodies } from './requests.ts';

const ours = serverUnderTest();
const real = realEtcd('3.7');

const members: Member[] = [];
afterAll(() => Promise.all(members.map((member) => member.dispose())));

async function started(program: Program): Promise<Member> {
  const member = await Member.start(program);
  members.push(member);
  return member;
}

interface SnapshotLine {
  readonly result: { readonly blob?: string };
}

const nameOf = ({ method = 'POST', path, headers = {}, body = '' }: Ask): string =>
  [method, path, ...Object.entries(headers).flat(), String(body).slice(0, 80)].join(' ');

describeWith('the JSON gateway', [ours, real], () => {
  let mine: Member;
  let theirs: Member;
  beforeAll(async () => {
    [mine, theirs] = await Promise.all([started(need(ours)), started(realProgram(need(real)))]);
  });

  async function compare(asked: Ask, lines?: number): Promise<void> {
    const [own, other] = await Promise.all(
      [mine, theirs].map(async ({ endpoint }) => comparable(await ask(endpoint, asked, lines))),
    );
    expect([nameOf(asked), own]).toEqual([nameOf(asked), other]);
  }

  test('answers what is asked as etcd does', async () => {
    const wrong: unknown[] = [];
    for (const asked of REQUESTS) await compare(asked).catch((error: unknown) => wrong.push(error));
    expect(wrong.map((error) => (error as Error).message)).toEqual([]);
  });

  test.each(STREAMS)('streams $path', async (asked, lines) => compare(asked, lines));

  test.each(ROUTES)('$path', async (route) => {
    await compare({ path: route.path, method: 'GET' });
    await compare({ path: `${route.path}/`, body: '{}' });
    if (route.streams) return;
    const bodies = ['null', '[]', '{"a":', 'x', ...wrongBodies(route)];
    if (!WAITING.has(route.path)) bodies.push('{"unknown":[{}]}');
    for (const body of bodies) await compare({ path: route.path, body });
  });

  test('gives a whole database', async () => {
    for (const { endpoint } of [mine, theirs]) {
      const { body } = await ask(endpoint, { path: '/v3/maintenance/snapshot', body: '{}' });
      const lines = body.trimEnd().split('\n');
      const results = lines.map((line) => (JSON.parse(line) as SnapshotLine).result);
      const whole = Buffer.concat(results.map(({ blob }) => Buffer.from(blob ?? '', 'base64')));
      const digest = createHash('sha256').update(whole.subarray(0, -32)).digest();
      expect(whole.subarray(-32)).toEqual(digest);
      expect(whole.length % 4096).toBe(32);
    }
  });

  test('knows who asks by the token, and nobody without', async () => {
    for (const asked of AUTH_REQUESTS) await compare(asked);
    const login = { path: '/v3/auth/authenticate', body: '{"name":"root","password":"a"}' };
    for (const [prefix, path] of [
      ['', '/v3/kv/range'],
      ['Bearer ', '/v3/kv/put'],
      ['', '/v3/lock/unlock'],
      ['Bearer ', '/v3/auth/disable'],
    ] as const) {
      const answers = await Promise.all(
        [mine, theirs].map(async ({ endpoint }) => {
          const { token } = JSON.parse((await ask(endpoint, login)).body) as { token: string };
          const headers = { authorization: prefix + token };
          const body = path === '/v3/auth/disable' ? '{}' : '{"key":"YQ=="}';
          const { status, body: text } = await ask(endpoint, { path, headers, body });
          return [status, text.replace(/"\w+_id":"\d+", ?/g, '').replace(/, /g, ',')];
        }),
      );
      expect([path, answers[0]]).toEqual([path, answers[1]]);
    }
  });

  test('counts calls as etcd does', async () => {
    const pages = [mine, theirs].map(async ({ endpoint }) => {
      const { body } = await ask(endpoint, { path: '/metrics', method: 'GET' });
      const counts = body.split('\n').filter((line) => /^grpc_server_.*[1-9]\d*$/.test(line));
      // A snapshot comes in pieces; how many depends on its size.
      return counts.filter((line) => !/msg_sent.*Snapshot/.test(line)).sort();
    });
    const [own, other] = await Promise.all(pages);
    expect(own).toEqual(other);
  });

  test('refuses at every path what is no JSON', async () => {
    for (const { path } of ROUTES) {
      const { status } = await ask(mine.endpoint, { path, body: '{"a":' });
      expect([path, status]).toEqual([path, 400]);
    }
  });
});
