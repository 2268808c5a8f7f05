// WebSocket at the gateway, beside real etcd 3.7: the same messages.

import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import WebSocket from 'ws';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { ask, comparable } from './http-client.ts';

const ours = serverUnderTest();
const real = realEtcd('3.7');

const members: Member[] = [];
afterAll(() => Promise.all(members.map((member) => member.dispose())));

async function started(program: Program): Promise<Member> {
  const member = await Member.start(program);
  members.push(member);
  return member;
}

interface Options {
  readonly protocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** Sends messages, and resolves to so many that come, and the protocol that was agreed on. */
function talk(
  { endpoint }: Member,
  path: string,
  messages: readonly string[],
  count: number,
  { protocols = [], headers = {} }: Options = {},
): Promise<unknown> {
  const socket = new WebSocket(`ws://${endpoint}${path}`, [...protocols], { headers });
  const lines: string[] = [];
  return new Promise((resolve, reject) => {
    const done = (): void => {
      const { body } = comparable({ status: 0, headers: {}, body: lines.join('\n') }) as {
        body: unknown;
      };
      resolve([socket.protocol, body]);
      socket.terminate();
    };
    socket.on('open', () => {
      for (const message of messages) socket.send(message);
      if (count === 0) done();
    });
    socket.on('message', (data) => {
      lines.push(String(data));
      if (lines.length === count) done();
    });
    socket.on('close', () => reject(new Error(`closed after ${lines.length} messages`)));
    socket.on('error', reject);
  });
}

interface Conversation extends Options {
  readonly path: string;
  readonly messages: readonly string[];
  /** How many messages come back. */
  readonly count: number;
}

const ONE = { messages: ['{"create_request":{"key":"Zg=="}}'], count: 1 };

const CONVERSATIONS: readonly Conversation[] = [
  {
    path: '/v3/watch',
    messages: ['{"create_request":{"key":"Zm9v","start_revision":1}}'],
    count: 2,
  },
  {
    path: '/v3/watch',
    messages: ['{"create_request"', ':{"key":"Zg=="}}', '{"create_request":{}} {}'],
    count: 2,
  },
  { path: '/v3/watch?method=GET', ...ONE },
  { path: '/v3beta/watch', ...ONE },
  { path: '/v3/watch', ...ONE, protocols: ['Bearer', 'a.1'] },
  { path: '/v3/watch', ...ONE, protocols: ['other'] },
  { path: '/v3/watch', ...ONE, headers: { cookie: 'token=a.1' } },
  { path: '/v3/lease/keepalive', messages: ['{"ID":5}', '{"ID":"6"}'], count: 2 },
  { path: '/v3/nosuch', messages: [], count: 1 },
];

describeWith('WebSocket', [ours, real], () => {
  let mine: Member;
  let theirs: Member;
  beforeAll(async () => {
    [mine, theirs] = await Promise.all([started(need(ours)), started(realProgram(need(real)))]);
    const body = '{"key":"Zm9v","value":"YmFy"}';
    for (const { endpoint } of [mine, theirs]) await ask(endpoint, { path: '/v3/kv/put', body });
  });

  test.each(CONVERSATIONS)('$path $messages', async ({ path, messages, count, ...options }) => {
    const outcomes = [mine, theirs].map((member) =>
      talk(member, path, messages, count, options).catch((error: Error) => error.message),
    );
    const [own, other] = await Promise.all(outcomes);
    expect(own).toEqual(other);
  });

  test('the token comes as a protocol or as a cookie', async () => {
    for (const { endpoint } of [mine, theirs]) {
      for (const [path, body] of [
        ['user/add', '{"name":"root","password":"a"}'],
        ['role/add', '{"name":"root"}'],
        ['user/grant', '{"user":"root","role":"root"}'],
        ['enable', '{}'],
      ]) {
        const { status } = await ask(endpoint, { path: `/v3/auth/${path}`, body: body! });
        expect(status).toBe(200);
      }
    }
    const outcomes = [mine, theirs].map(async (member) => {
      const body = '{"name":"root","password":"a"}';
      const login = await ask(member.endpoint, { path: '/v3/auth/authenticate', body });
      const { token } = JSON.parse(login.body) as { token: string };
      const create = ['{"create_request":{"key":"Zm9v"}}'];
      return [
        await talk(member, '/v3/watch', create, 1),
        await talk(member, '/v3/watch', create, 1, { protocols: ['Bearer', token] }),
        await talk(member, '/v3/watch', create, 1, { headers: { cookie: `token=${token}` } }),
        await talk(member, '/v3/watch', create, 1, { protocols: ['Bearer', 'wrong.1'] }),
      ];
    });
    const [own, other] = await Promise.all(outcomes);
    expect(own).toEqual(other);
  });

  test('an Upgrade to something else is passed over', async () => {
    for (const { port } of [mine, theirs]) {
      const body = 'GET /version HTTP/1.1\r\nHost: a\r\n\r\n';
      const text =
        'POST /v3/kv/range HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n' +
        `Upgrade: h2c\r\nHTTP2-Settings: AAA\r\nContent-Length: 2\r\n\r\n{}${body}`;
      const answer = await new Promise<string>((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port });
        let received = '';
        socket.on('data', (chunk) => {
          received += chunk;
          if (received.includes('etcdcluster')) socket.destroy();
        });
        socket.on('close', () => resolve(received)).on('error', reject);
        socket.write(text);
      });
      expect(answer.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 400', 'HTTP/1.1 200']);
      expect(answer).toContain('key is not provided');
    }
  });
});
