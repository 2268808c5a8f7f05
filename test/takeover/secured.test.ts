// A member with certificates, users and JSON Web Tokens changes its program and changes it back: every client
// goes on with what it has, the token that it was given before included.

import { generateKeyPairSync } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { enableAuth, logIn, passwordOf } from '../auth/users.ts';
import { ApiClient, type ClientPem } from '../helpers/api.ts';
import { CertificateFiles } from '../helpers/certificate-files.ts';
import { Member, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';

const ours = serverUnderTest();
const releases = ['3.4', '3.5', '3.7'] as const;
const newest = realEtcd('3.7');

const files = new CertificateFiles();
const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
  files.dispose();
});

function tokenFlag(): string {
  const pair = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const privateKey = files.write('jwt.key', pair.privateKey);
  const publicKey = files.write('jwt.pub', pair.publicKey);
  return `--auth-token=jwt,sign-method=EdDSA,priv-key=${privateKey},pub-key=${publicKey},ttl=1h`;
}

/** What the etcdctl of every release prints to root, and to a user who may read a part. */
async function printed(member: Member): Promise<string[]> {
  const { cert, key } = files.client('client');
  const tls = [`--cacert=${files.ca}`, `--cert=${cert}`, `--key=${key}`];
  const as = (user: string) => `--user=${user}:${passwordOf(user)}`;
  const commands = [
    [as('root'), 'user', 'list'],
    [as('root'), 'role', 'get', 'k'],
    [as('root'), 'get', '', '--prefix'],
    [as('uma'), 'get', 'k', '--prefix'],
    [as('uma'), 'put', 'a', 'x'],
    ['get', 'k'],
  ];
  const outputs: string[] = [];
  for (const release of releases) {
    const { etcdctl } = need(realEtcd(release));
    for (const words of commands) {
      const command = [etcdctl, `--endpoints=${member.clientUrl}`, ...tls, ...words];
      const { code, stdout, stderr } = await run(command);
      const [error = ''] = /^Error: .*$/m.exec(stderr) ?? [];
      outputs.push(`${release} ${words.join(' ')}\n${stdout}${error} exit code ${code}`);
    }
  }
  return outputs;
}

async function hash(api: ApiClient, token: string): Promise<unknown> {
  const { header: _, ...content } = await api.must('Maintenance/HashKV', {}, { token });
  return content;
}

const needed = [ours, ...releases.map(realEtcd)];
describeWith('a secured member goes from etcd 3.7 to ours and back', needed, () => {
  test('with users, tokens and permissions', { timeout: 120_000 }, async () => {
    const theirs = realProgram(need(newest));
    const tls = { ...files.server(), clientAuthority: files.ca };
    const member = await Member.start(theirs, { tls, flags: ['--bcrypt-cost=4', tokenFlag()] });
    members.push(member);
    const { cert, key } = files.authority.issue({ commonName: 'client' });
    const pem: ClientPem = { ca: files.authority.cert, cert, key };
    const api = new ApiClient(member.endpoint, pem);
    for (const name of ['a', 'k1', 'k2']) await api.must('KV/Put', { key: name, value: name });
    await enableAuth(member.endpoint, pem);
    const [uma, root] = [await logIn(api, 'uma'), await logIn(api, 'root')];
    const before = await printed(member);
    expect(before.filter((output) => output.endsWith('exit code 0'))).toHaveLength(12);
    for (const [step, program] of [need(ours), theirs].entries()) {
      const hashed = await hash(api, root);
      await (step === 0 ? member.stop() : member.kill());
      await member.restart({ program });
      expect(await hash(api, root)).toEqual(hashed);
      expect(await printed(member)).toEqual(before);
      expect((await api.call('KV/Range', { key: 'a' }, { token: uma })).code).toBe(7);
      await api.must('KV/Put', { key: 'k1', value: 'k1' }, { token: uma });
    }
    api.close();
  });
});
