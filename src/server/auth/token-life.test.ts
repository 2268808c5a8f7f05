// How long a token is good: on a whole member, in a simulated world.

import { expect, test } from 'vitest';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import type { Member } from '../member.ts';
import { call } from '../testing/local-client.fixture.ts';
import { SimMember, simConfig } from '../testing/sim-member.fixture.ts';
import { auth, reads, secure, shown, tokenOf, withToken } from './auth-calls.fixture.ts';

const INVALID = 'invalid auth token';
const FAILED = 'authentication failed, invalid user ID or password';

async function withMember(
  body: (member: Member, env: SimEnv, log: readonly string[]) => Promise<void>,
  simpleTokenTtlMs = 300_000,
): Promise<void> {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const config = simConfig();
    const changed = { ...config, auth: { ...config.auth, simpleTokenTtlMs } };
    const sim = await SimMember.start(env, changed);
    await secure(sim.member);
    await body(sim.member, env, sim.log);
    expect(sim.fatal).toEqual([]);
    await sim.stop();
  });
}

const sleep = (env: SimEnv, ms: number): Promise<void> =>
  new Promise((resolve) => env.timers.after(ms, resolve));

test('a token ends with its user, and does not come back with another of the name', async () => {
  await withMember(async (member) => {
    const root = withToken(await tokenOf(member, 'root'));
    const uma = await tokenOf(member, 'uma');
    expect(await reads(member, uma)).toBe('OK');
    await call(member, auth.userDelete, { name: 'uma' }, root);
    expect(await reads(member, uma)).toBe(INVALID);
    await call(member, auth.userAdd, { name: 'uma', password: 'uma' }, root);
    await call(member, auth.userGrantRole, { user: 'uma', role: 'k' }, root);
    expect(await reads(member, uma)).toBe(INVALID);
    expect(await reads(member, await tokenOf(member, 'uma'))).toBe('OK');
  });
});

test('a token ends with the password that it was given for', async () => {
  await withMember(async (member) => {
    const root = withToken(await tokenOf(member, 'root'));
    const uma = await tokenOf(member, 'uma');
    await call(member, auth.userChangePassword, { name: 'uma', password: 'new' }, root);
    expect(await reads(member, uma)).toBe(INVALID);
    await expect(tokenOf(member, 'uma')).rejects.toThrow(FAILED);
    expect(await reads(member, await tokenOf(member, 'uma', 'new'))).toBe('OK');
  });
});

test('a token ends when authentication is turned off, for all times to come', async () => {
  await withMember(async (member) => {
    const [root, uma] = [await tokenOf(member, 'root'), await tokenOf(member, 'uma')];
    await call(member, auth.authDisable, {}, withToken(root));
    // Nobody is asked.
    expect(await reads(member, uma)).toBe('OK');
    expect(await reads(member, 'made up.7', 'a')).toBe('OK');
    await call(member, auth.authEnable, {});
    expect([await reads(member, uma), await reads(member, root)]).toEqual([INVALID, INVALID]);
    expect(shown(await call(member, auth.userList, {}, withToken(root)))).toBe(INVALID);
  });
});

test('a token that is used lives on; one that is not ends after its time', async () => {
  await withMember(async (member, env) => {
    const [used, idle] = [await tokenOf(member, 'uma'), await tokenOf(member, 'uma')];
    for (let second = 0; second < 10; second += 4) {
      await sleep(env, 4_000);
      expect([second, await reads(member, used)]).toEqual([second, 'OK']);
    }
    expect(await reads(member, idle)).toBe(INVALID);
    await sleep(env, 5_001);
    expect(await reads(member, used)).toBe(INVALID);
  }, 5_000);
});

test('a role that is taken away is gone for tokens that there are', async () => {
  await withMember(async (member) => {
    const root = withToken(await tokenOf(member, 'root'));
    const uma = await tokenOf(member, 'uma');
    await call(member, auth.userRevokeRole, { name: 'uma', role: 'k' }, root);
    expect(await reads(member, uma)).toBe('permission denied');
    await call(member, auth.userGrantRole, { user: 'uma', role: 'root' }, root);
    expect(await reads(member, uma, 'a')).toBe('OK');
  });
});

test('an index that is made up holds up nobody, a linearizable read neither', async () => {
  await withMember(async (member, env) => {
    const uma = await tokenOf(member, 'uma');
    const index = Number(uma.split('.')[1]);
    const sinceMs = env.clock.monotonicMs();
    const made = [index, index + 1, index + 1_000, Number.MAX_SAFE_INTEGER, 2 ** 64, -1];
    const tokens = made.map((each) => `${'A'.repeat(16)}.${each}`);
    tokens.push('', '.', `.${index}`, uma.slice(1), `${uma}0`, `${uma} `, `x${uma}`);
    for (const serializable of [true, false]) {
      const answers = await Promise.all(
        tokens.map((token) => reads(member, token, 'k', serializable)),
      );
      expect(answers).toEqual(tokens.map(() => INVALID));
    }
    expect(env.clock.monotonicMs() - sinceMs).toBeLessThan(1_000);
    expect(await reads(member, uma)).toBe('OK');
  });
});

// As in etcd, an empty password is one.
test('GHSA-4993-m7g5-r9hh, CVE-2020-15115: a password may be short, and whoever has none is out', async () => {
  await withMember(async (member) => {
    const root = withToken(await tokenOf(member, 'root'));
    await call(member, auth.userAdd, { name: 'empty', password: '' }, root);
    const options = { noPassword: true };
    await call(member, auth.userAdd, { name: 'none', password: '', options }, root);
    expect(await reads(member, await tokenOf(member, 'empty', ''))).toBe('permission denied');
    await expect(tokenOf(member, 'empty', 'x')).rejects.toThrow(FAILED);
    for (const password of ['', 'x', 'none']) {
      const why = 'authentication failed, password was given for no password user';
      await expect(tokenOf(member, 'none', password)).rejects.toThrow(why);
    }
    await expect(tokenOf(member, '', '')).rejects.toThrow(FAILED);
  });
});

test('GHSA-vjg6-93fv-qv64: a login of who has no password is told and counts as a failure', async () => {
  await withMember(async (member, env, log) => {
    const root = withToken(await tokenOf(member, 'root'));
    const options = { noPassword: true };
    await call(member, auth.userAdd, { name: 'none', options }, root);
    const failures = 12;
    const sinceMs = env.clock.monotonicMs();
    for (let i = 0; i < failures; i++) await tokenOf(member, 'none', 'x').catch(() => {});
    const lines = log.filter((line) => line.includes('invalid authentication was requested'));
    expect(lines).toHaveLength(failures);
    for (const line of lines) {
      expect(line).toMatch(/"user": "none", .*password was given for no password user/);
    }
    // Who fails again and again waits longer and longer.
    expect(env.clock.monotonicMs() - sinceMs).toBeGreaterThan(3_000);
  });
});

const NAMES = ['__proto__', 'constructor', 'toString', 'a\0b', 'uma\0', 'ü.é', '.', '\u{10ffff}'];

test('names are only names: of users, of roles and in tokens', async () => {
  await withMember(async (member) => {
    const root = withToken(await tokenOf(member, 'root'));
    for (const name of NAMES) {
      expect(await call(member, auth.userGet, { name }, root)).toEqual([
        ...[9, 'etcdserver: user name not found'],
      ]);
      expect(await call(member, auth.roleGet, { role: name }, root)).toEqual([
        ...[9, 'etcdserver: role name not found'],
      ]);
      await expect(tokenOf(member, name)).rejects.toThrow(FAILED);
      for (const answer of [
        await call(member, auth.userAdd, { name, password: name }, root),
        await call(member, auth.roleAdd, { name }, root),
        await call(member, auth.userGrantRole, { user: name, role: name }, root),
      ]) {
        expect([name, shown(answer)]).toEqual([name, 'OK']);
      }
      expect(await call(member, auth.userGet, { name }, root)).toMatchObject({ roles: [name] });
      expect(await reads(member, await tokenOf(member, name))).toBe('permission denied');
    }
    const { users } = (await call(member, auth.userList, {}, root)) as { users: string[] };
    expect([...users].sort()).toEqual([...NAMES, 'root', 'uma'].sort());
    // Each loses its own tokens.
    const tokens = await Promise.all(NAMES.map((name) => tokenOf(member, name)));
    const uma = await tokenOf(member, 'uma');
    for (const [at, name] of NAMES.entries()) {
      await call(member, auth.userDelete, { name }, root);
      const answers = await Promise.all(tokens.map((token) => reads(member, token)));
      expect(answers).toEqual(tokens.map((_, i) => (i <= at ? INVALID : 'permission denied')));
    }
    expect(await reads(member, uma)).toBe('OK');
  });
});
