// Users and roles on the wire, and what comes back.

import { afterEach, describe, expect, test } from 'vitest';
import { createNodeClock, createNodeTimers } from '../env/index.ts';
import { createServer } from '../grpc/index.ts';
import { listen } from '../net/index.ts';
import { authpb, etcdserverpb } from '../protocol/index.ts';
import { Client, Permission } from './index.ts';

const { methods } = etcdserverpb.AuthService;
const HEADER = { clusterId: 1n, memberId: 2n, revision: 3, raftTerm: 4 };

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A server that answers each method as told; `requests` has what it was asked. */
async function serve(answers: Readonly<Record<string, object>> = {}) {
  const requests: object[] = [];
  const server = createServer({ clock: createNodeClock(), timers: createNodeTimers() });
  for (const [name, method] of Object.entries(methods)) {
    server.unary(method.path, (call, bytes) => {
      requests.push({ [name]: method.request.decode(Uint8Array.from(bytes)) });
      const { response } = method as unknown as typeof methods.userList;
      call.reply(response, response.create({ header: HEADER, ...answers[name] }));
    });
  }
  const listener = await listen({ address: { host: '127.0.0.1', port: 0 }, http2: server });
  const client = new Client({ endpoints: `127.0.0.1:${listener.address.port}` });
  closers.push(
    () => listener.close(),
    () => server.close(),
    () => client.close(),
  );
  return { auth: client.auth, requests };
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

test('changes are asked for as they are, and answered with a header', async () => {
  const { auth, requests } = await serve();
  const answers = [
    await auth.enable(),
    await auth.disable(),
    await auth.userAdd('u', 'p'),
    await auth.userAddWithoutPassword('u'),
    await auth.userDelete('u'),
    await auth.userChangePassword('u', 'q'),
    await auth.userGrantRole('u', 'r'),
    await auth.userRevokeRole('u', 'r'),
    await auth.roleAdd('r'),
    await auth.roleDelete('r'),
    await auth.authenticate(),
  ];
  expect(answers).toEqual([...Array.from({ length: 10 }, () => HEADER), undefined]);
  expect(requests).toMatchObject([
    { authEnable: {} },
    { authDisable: {} },
    { userAdd: { name: 'u', password: 'p', options: { noPassword: false } } },
    { userAdd: { name: 'u', password: '', options: { noPassword: true } } },
    { userDelete: { name: 'u' } },
    { userChangePassword: { name: 'u', password: 'q' } },
    { userGrantRole: { user: 'u', role: 'r' } },
    { userRevokeRole: { name: 'u', role: 'r' } },
    { roleAdd: { name: 'r' } },
    { roleDelete: { role: 'r' } },
  ]);
});

describe('a permission', () => {
  test.each([
    [{}, 'k', { key: bytes('k'), rangeEnd: bytes('') }],
    [{ prefix: true }, 'k', { key: bytes('k'), rangeEnd: bytes('l') }],
    [{ fromKey: true }, 'k', { key: bytes('k'), rangeEnd: bytes('\0') }],
    [{ rangeEnd: 'm' }, 'k', { key: bytes('k'), rangeEnd: bytes('m') }],
    [{ prefix: true }, '', { key: bytes('\0'), rangeEnd: bytes('\0') }],
  ])('for %j of %j', async (options, key, range) => {
    const { auth, requests } = await serve();
    await auth.roleGrantPermission('r', 'readwrite', key, options);
    await auth.roleRevokePermission('r', key, options);
    expect(requests).toEqual([
      { roleGrantPermission: { name: 'r', perm: { permType: authpb.Type.READWRITE, ...range } } },
      { roleRevokePermission: { role: 'r', ...range } },
    ]);
  });

  test('is read again with names', async () => {
    const perm = [
      { permType: authpb.Type.READ, key: bytes('a'), rangeEnd: bytes('') },
      { permType: authpb.Type.WRITE, key: bytes('a/'), rangeEnd: bytes('a0') },
      { permType: authpb.Type.READWRITE, key: bytes('\0'), rangeEnd: bytes('\0') },
      { permType: 7, key: bytes('x'), rangeEnd: bytes('') },
    ];
    const { auth } = await serve({ roleGet: { perm } });
    const { header, permissions } = await auth.roleGet('r');
    expect(header).toEqual(HEADER);
    const seen = permissions.map(({ type, keyText, isPrefix }) => [type, keyText, isPrefix]);
    expect(seen).toEqual([
      ['read', 'a', false],
      ['write', 'a/', true],
      ['readwrite', '\0', false],
      [undefined, 'x', false],
    ]);
    expect(permissions.map((each) => authpb.PermissionCodec.encode(each))).toEqual(
      perm.map((each) => authpb.PermissionCodec.encode(each)),
    );
    expect(JSON.stringify(permissions[1])).toBe('{"type":"write","key":"a/","rangeEnd":"a0"}');
    expect(permissions[0]).toBeInstanceOf(Permission);
  });
});

test('lists and states', async () => {
  const { auth } = await serve({
    authStatus: { enabled: true, authRevision: 7 },
    userGet: { roles: ['r'] },
    userList: { users: ['u', 'v'] },
    roleList: { roles: ['r', 's'] },
  });
  expect(await auth.status()).toEqual({ header: HEADER, enabled: true, authRevision: 7 });
  expect(await auth.userGet('u')).toEqual({ header: HEADER, roles: ['r'] });
  expect(await auth.userList()).toEqual({ header: HEADER, users: ['u', 'v'] });
  expect(await auth.roleList()).toEqual({ header: HEADER, roles: ['r', 's'] });
});
