import { expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import { authpb } from '../../protocol/index.ts';
import { RecordingAuthHost } from '../testing/auth-host.fixture.ts';
import {
  type AuthEntry,
  authEntry as entry,
  READ,
  READWRITE,
  secure,
  userOf,
} from '../testing/auth-requests.fixture.ts';
import { StoreRig } from '../testing/store.fixture.ts';
import type { ApplyResult } from './apply-result.ts';
import { REQUEST_KIND } from './request-envelope.ts';

async function on(seed: number, body: (env: SimEnv) => Promise<void>): Promise<void> {
  const env = createSimEnv({ seed, autoRun: false });
  await env.run(() => body(env));
}

async function opened(env: SimEnv): Promise<[StoreRig, RecordingAuthHost]> {
  const host = new RecordingAuthHost();
  return [await StoreRig.open(env, { authHost: host }), host];
}

const APPLIED = { kind: 'applied' };

test('every request has its result, and no key is touched', async () => {
  await on(1, async (env) => {
    const [rig, host] = await opened(env);
    const root = { username: 'root', authRevision: 1 };
    const permissions = [
      authpb.PermissionCodec.create({
        permType: READWRITE,
        key: bytesFromLatin1('k'),
        rangeEnd: bytesFromLatin1('l'),
      }),
    ];
    const steps: [AuthEntry, ApplyResult | object][] = [
      [entry.status(), { kind: 'authStatus', enabled: false, authRevision: 1 }],
      [entry.addUser('root'), APPLIED],
      [entry.addUser('alice'), APPLIED],
      [entry.addRole('reader'), APPLIED],
      [entry.grant('reader', READWRITE, 'k', 'l'), APPLIED],
      [entry.grantRole('root', 'root'), APPLIED],
      [entry.grantRole('alice', 'reader'), APPLIED],
      [entry.changePassword('alice', 'y'), APPLIED],
      [entry.authenticate('alice'), { kind: 'error', error: 'AUTH_NOT_ENABLED' }],
      [entry.enable(), APPLIED],
      [entry.enable(), APPLIED],
      [entry.status(), { kind: 'authStatus', enabled: true, authRevision: 8 }],
      [entry.authenticate('alice'), { kind: 'authenticate', token: 'token.13' }],
      [entry.listUsers(), { kind: 'authUserList', users: ['alice', 'root'] }],
      [entry.listRoles(), { kind: 'authRoleList', roles: ['reader'] }],
      [entry.getUser('alice'), { kind: 'authUserGet', roles: ['reader'] }],
      [entry.getRole('reader'), { kind: 'authRoleGet', permissions }],
      [entry.getUser('bob'), { kind: 'error', error: 'USER_NOT_FOUND' }],
      [entry.getRole('writer'), { kind: 'error', error: 'ROLE_NOT_FOUND' }],
      [entry.deleteUser('root'), { kind: 'error', error: 'INVALID_AUTH_MGMT' }],
      [entry.revoke('reader', 'k', 'l'), APPLIED],
      [entry.revokeRole('alice', 'reader'), APPLIED],
      [entry.deleteRole('reader'), APPLIED],
      [entry.deleteUser('alice'), APPLIED],
      [entry.disable(), APPLIED],
      [entry.disable(), APPLIED],
      [entry.status(), { kind: 'authStatus', enabled: false, authRevision: 13 }],
    ];
    for (const [[kind, body], expected] of steps) {
      expect(rig.apply(kind, body, root).result, `kind ${kind}`).toEqual(expected);
    }
    expect(rig.kv.currentRev).toBe(1);
    expect(host.notes).toEqual([
      'changed 1100',
      'changed 1100',
      'changed 1200',
      'changed 1203',
      'changed 1104',
      'changed 1104',
      'tokens of alice end',
      'changed 1103',
      'enabled',
      'changed 1000',
      'token of alice@8, awaited',
      'changed 1204',
      'changed 1105',
      'changed 1201',
      'tokens of alice end',
      'changed 1101',
      'disabled',
      'changed 1011',
    ]);
    await rig.close();
  });
});

test('only who exists and has a password gets a token, wherever somebody waits for it', async () => {
  await on(2, async (env) => {
    const host = new RecordingAuthHost();
    let awaited = true;
    const rig = await StoreRig.open(env, { authHost: host, host: { isAwaited: () => awaited } });
    secure(rig, { alice: [] });
    rig.apply(...entry.addUser('cert', { options: { noPassword: true } }), userOf(rig, 'root'));
    host.notes.length = 0;
    const authenticate = (name: string) => rig.apply(...entry.authenticate(name)).result;
    expect(authenticate('bob')).toEqual({ kind: 'error', error: 'AUTH_FAILED' });
    expect(authenticate('')).toEqual({ kind: 'error', error: 'AUTH_FAILED' });
    expect(authenticate('cert')).toEqual({ kind: 'error', error: 'AUTH_FAILED' });
    expect(authenticate('alice')).toMatchObject({ kind: 'authenticate' });
    awaited = false;
    expect(authenticate('alice')).toMatchObject({ kind: 'authenticate' });
    expect(host.notes).toEqual(['token of alice@7, awaited', 'token of alice@7']);
    await rig.close();
  });
});

test('a password that a release up to 3.4 logged is hashed here, once it is needed', async () => {
  await on(3, async (env) => {
    const [rig, host] = await opened(env);
    const clear = { password: 'secret', hashedPassword: '' };
    expect(rig.apply(...entry.addUser('alice', clear)).kind).toBe('applied');
    expect(rig.apply(...entry.addUser('alice', clear)).error).toBe('USER_ALREADY_EXIST');
    const none = { ...clear, options: { noPassword: true } };
    expect(rig.apply(...entry.addUser('cert', none)).kind).toBe('applied');
    expect(host.notes.filter((note) => note === 'hashed')).toHaveLength(1);
    const stored = rig.machine.auth.state.user('alice')!.password;
    expect(Buffer.from(stored).toString()).toBe('hash of secret');
    await rig.close();
  });
});

/** What another machine must know of this one's users. */
function contents(rig: StoreRig): unknown {
  const { state } = rig.machine.auth;
  return {
    enabled: state.enabled,
    revision: state.revision,
    users: state.userNames().map((name) => [name, state.rolesOf(name), state.user(name)]),
    roles: state.roleNames().map((name) => [name, state.permissionsOf(name)]),
  };
}

test('a machine that is started again knows all of it at once', async () => {
  await on(4, async (env) => {
    const [rig] = await opened(env);
    secure(rig, { alice: [[READ, 'a', 'b']], ['__proto__']: [], bob: [[READWRITE, 'b']] });
    const before = contents(rig);
    expect(rig.machine.auth.state.userNames()).toContain('__proto__');
    await rig.close();
    const [again, host] = await opened(env);
    expect(contents(again)).toEqual(before);
    expect(host.notes).toEqual(['enabled']);
    const range = (key: string) => {
      const body = bytesFromLatin1(`\n\x01${key}`);
      return again.apply(REQUEST_KIND.RANGE, body, userOf(again, 'alice')).result.kind;
    };
    expect([range('a'), range('b')]).toEqual(['range', 'error']);
    // The lock is kept, and not created again.
    await again.close();
    const [third] = await opened(env);
    third.apply(...entry.disable(), userOf(third, 'root'));
    await third.close();
    const [last, noted] = await opened(env);
    expect(last.machine.auth.state.enabled).toBe(false);
    expect(noted.notes).toEqual([]);
    await last.close();
  });
});

test('another database brings its users and roles, and takes those before it away', async () => {
  await on(5, async (env) => {
    const sender = await StoreRig.open(env, { path: '/sent' });
    secure(sender, { alice: [[READ, 'a']] });
    const index = sender.machine.appliedIndex;
    const sent = contents(sender);
    await sender.close();

    const [rig] = await opened(env);
    rig.apply(...entry.addUser('mallory'));
    rig.apply(...entry.addRole('alice'));
    rig.apply(...entry.grant('alice', READWRITE, 'z'));
    const host = new RecordingAuthHost();
    const received = { index, term: 1 };
    const { rig: installed, retired } = await rig.install('/sent', received, { authHost: host });
    await retired;
    expect(contents(installed)).toEqual(sent);
    expect(host.notes).toEqual(['enabled']);
    const read = (key: string) => {
      const body = bytesFromLatin1(`\n\x01${key}`);
      return installed.apply(REQUEST_KIND.RANGE, body, userOf(installed, 'alice')).result.kind;
    };
    expect([read('a'), read('z')]).toEqual(['range', 'error']);
    await installed.close();
  });
});

test('what is refused, or only asked, leaves no row', async () => {
  await on(6, async (env) => {
    const [rig] = await opened(env);
    secure(rig, { alice: [[READ, 'a']] });
    await rig.backend.commit();
    const rows = () => [7, 8, 9].map((bucket) => [...rig.backend.entries(bucket as 7)]);
    const before = rows();
    const root = userOf(rig, 'root');
    for (const refused of [
      entry.addUser('alice'),
      entry.addUser(''),
      entry.addUser('new', { hashedPassword: '!' }),
      entry.addRole('alice'),
      entry.grant('alice', READ, ''),
      entry.grant('none', READ, 'a'),
      entry.revoke('alice', 'b'),
      entry.revokeRole('alice', 'root'),
      entry.deleteRole('none'),
      entry.deleteUser('root'),
    ]) {
      expect(rig.apply(...refused, root).kind).toBe('error');
    }
    for (const asked of [entry.status(), entry.listUsers(), entry.enable()]) {
      expect(rig.apply(...asked, root).kind).not.toBe('error');
    }
    expect(rows()).toEqual(before);
    await rig.close();
  });
});
