// Tokens and passwords of real processes: what other members take, and what nobody gets to see.

import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { until } from '../cluster/until.ts';
import { ApiClient } from '../helpers/api.ts';
import { Member, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { enableAuth, logIn, passwordOf, USERS } from './users.ts';

const members: Member[] = [];
const directories: string[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
  for (const path of directories.splice(0)) rmSync(path, { recursive: true, force: true });
});

const ours = serverUnderTest();
const real = realEtcd('3.7');

function keyFiles(): { readonly privateKey: string; readonly publicKey: string } {
  const directory = mkdtempSync(join(tmpdir(), 'tetcd-test-'));
  directories.push(directory);
  const pair = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const privateKey = join(directory, 'key.pem');
  const publicKey = join(directory, 'key.pub');
  writeFileSync(privateKey, pair.privateKey);
  writeFileSync(publicKey, pair.publicKey);
  return { privateKey, publicKey };
}

async function start(
  program: Parameters<typeof Member.start>[0],
  ...flags: readonly string[]
): Promise<readonly [Member, ApiClient]> {
  const member = await Member.start(program, { flags: ['--bcrypt-cost=4', ...flags] });
  members.push(member);
  await enableAuth(member.endpoint);
  return [member, new ApiClient(member.endpoint)];
}

const read = async (api: ApiClient, token: string): Promise<string> =>
  (await api.call('KV/Range', { key: 'k' }, { token })).details;

const INVALID = 'etcdserver: invalid auth token';

describeWith('JSON Web Tokens', [ours, real], () => {
  test('of real etcd are taken, and ours by it; a public key verifies alone', async () => {
    const { privateKey, publicKey } = keyFiles();
    const jwt = `--auth-token=jwt,sign-method=EdDSA,priv-key=${privateKey},pub-key=${publicKey}`;
    const apis = [
      (await start(need(ours), jwt))[1],
      (await start(realProgram(need(real)), jwt))[1],
    ];
    const verifying = `--auth-token=jwt,sign-method=EdDSA,pub-key=${publicKey}`;
    apis.push((await start(need(ours), verifying))[1]);
    for (const issuer of apis.slice(0, 2)) {
      const token = await logIn(issuer, 'uma');
      for (const api of apis) expect(await read(api, token)).toBe('');
      for (const api of apis) expect(await read(api, `Bearer ${token}`)).toBe('');
      for (const api of apis) expect(await read(api, `${token}x`)).toBe(INVALID);
    }
    const name = 'uma';
    const refused = await apis[2]!.call('Auth/Authenticate', { name, password: passwordOf(name) });
    expect(refused).toEqual({
      code: 2,
      details: 'auth: token signing attempted with verify-only key',
    });
    for (const api of apis) api.close();
  });

  test('end, and are refused once users have changed', async () => {
    const { privateKey } = keyFiles();
    const flag = `--auth-token=jwt,sign-method=EdDSA,priv-key=${privateKey},ttl=2s`;
    for (const program of [need(ours), realProgram(need(real))]) {
      const [, api] = await start(program, flag);
      const [uma, root] = [await logIn(api, 'uma'), await logIn(api, 'root')];
      await api.must('Auth/UserAdd', { name: 'new', password: 'x' }, { token: root });
      expect(await read(api, uma)).toBe('etcdserver: revision of auth store is old');
      const end = async () => ((await read(api, uma)) === INVALID ? true : undefined);
      await until('the end of a token', end);
      api.close();
    }
  });
});

/** The files below a directory that hold one of the texts. */
function filesWith(directory: string, texts: readonly string[]): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => {
    const path = join(directory, name);
    if (!statSync(path).isFile()) return false;
    const content = readFileSync(path, 'latin1');
    return texts.some((text) => content.includes(text));
  });
}

describeWith('secrets', [ours], () => {
  test('CVE-2021-28235: are in no line of the log, no metric and no file', {
    timeout: 60_000,
  }, async () => {
    const [member, api] = await start(
      need(ours),
      ...['--log-level=debug', '--warning-apply-duration=1ns'],
      ...['--warning-unary-request-duration=1ns'],
    );
    const passwords = [...USERS.map(passwordOf), 'another secret', 'a wrong one'];
    const token = await logIn(api, 'root');
    const [changed, wrong] = passwords.slice(-2);
    await api.must('Auth/UserChangePassword', { name: 'nora', password: changed! }, { token });
    await api.must(
      'Auth/UserAdd',
      { name: 'cert', password: changed!, options: { no_password: true } },
      { token },
    );
    await api.call('Auth/Authenticate', { name: 'nora', password: wrong! });
    await api.call('Auth/Authenticate', { name: 'nobody', password: wrong! });
    await api.call('Auth/Authenticate', { name: 'cert', password: wrong! });
    await api.call('Auth/UserAdd', { name: 'root', password: wrong! }, { token });
    await api.call('KV/Range', { key: 'k' }, { token: 'forged secret.7' });
    const metrics = await (await fetch(`http://${member.endpoint}/metrics`)).text();
    api.close();
    await member.stop();
    expect(member.log()).toMatch(
      /invalid authentication was requested.*"user":"cert".*no password user/,
    );
    expect(member.log()).not.toMatch(/no thread can be started/);
    const secrets = [...passwords, token, 'forged secret'];
    const hashes = /\$2[aby]\$\d\d\$/;
    for (const secret of secrets)
      expect([secret, member.log().includes(secret)]).toEqual([secret, false]);
    expect(member.log()).not.toMatch(hashes);
    expect(metrics.match(hashes)).toBeNull();
    expect(secrets.filter((secret) => metrics.includes(secret))).toEqual([]);
    expect(filesWith(member.directory, secrets)).toEqual([]);
  });
});
