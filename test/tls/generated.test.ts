// Members that make their own certificates (`--auto-tls`, `--peer-auto-tls`).

import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { httpsGet } from '../helpers/https-get.ts';
import { type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';
import { SecureMember, securePorts } from './secure-member.ts';

const ours = serverUnderTest();
const theirs = realEtcd('3.5');
const members: SecureMember[] = [];

afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});

async function newMember(name: string): Promise<SecureMember> {
  const member = new SecureMember(name, await securePorts());
  members.push(member);
  return member;
}

function flagsOf(member: SecureMember, cluster: readonly SecureMember[] = [member]): string[] {
  const isFile = /-(?:cert|key|ca)-file=|--(?:cert|key)-file=|client-cert-auth/;
  const others = member.flags(cluster).filter((flag) => !isFile.test(flag));
  return [...others, '--auto-tls', '--peer-auto-tls'];
}

describeWith('one member', [ours], () => {
  test('serves with a certificate that it keeps, readable by its owner alone', async () => {
    const member = await newMember('m1');
    await member.start(need(ours), flagsOf(member));
    const cert = join(member.directory, 'fixtures/client/cert.pem');
    const key = join(member.directory, 'fixtures/client/key.pem');
    const ca = readFileSync(cert, 'utf8');
    expect((await httpsGet(member.ports.client, '/health', { ca })).status).toBe(200);
    await expect(httpsGet(member.ports.client, '/health', {})).rejects.toThrow();
    for (const path of [cert, key]) expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(member.directory, 'fixtures/peer')).mode & 0o777).toBe(0o700);
    await member.line(/automatically generate certificates/);
    await member.stop();
    await member.start(need(ours), flagsOf(member));
    expect(readFileSync(cert, 'utf8')).toBe(ca);
  });

  test('whose first start fails leaves no certificate behind', async () => {
    const member = await newMember('m1');
    const taken = createServer().listen(member.ports.client, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const started = member.launch(need(ours), flagsOf(member));
    expect(await started.ended(30_000)).toBe('1');
    expect(existsSync(member.directory)).toBe(false);
    taken.close();
  });
});

describeWith('a cluster of ours and etcd 3.5', [ours, theirs], () => {
  test('forms, and agrees', async () => {
    const real = need(theirs);
    const programs: Program[] = [need(ours), need(ours), realProgram(real)];
    const cluster: SecureMember[] = [];
    for (const name of ['m1', 'm2', 'm3']) cluster.push(await newMember(name));
    await Promise.all(
      cluster.map((member, at) => member.start(programs[at]!, flagsOf(member, cluster))),
    );
    const ask = async (member: SecureMember, args: readonly string[]): Promise<string> => {
      const flags = [`--endpoints=${member.clientUrl}`, '--insecure-skip-tls-verify'];
      const command = [real.etcdctl, ...flags, '--insecure-transport=false', ...args];
      return (await run(command, { env: { ETCDCTL_API: '3' } })).stdout;
    };
    expect(await ask(cluster[2]!, ['put', 'a', 'value'])).toBe('OK\n');
    for (const member of cluster) expect(await ask(member, ['get', 'a'])).toBe('a\nvalue\n');
  });
});
