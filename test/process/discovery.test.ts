// Members that find each other at another cluster, of ours and of real etcd, in any mixture.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { ApiClient } from '../helpers/api.ts';
import { CertificateFiles } from '../helpers/certificate-files.ts';
import {
  Member,
  type Program,
  READY,
  realProgram,
  serverUnderTest,
  temporaryDirectory,
} from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { freePort, ServerProcess } from '../helpers/server-process.ts';

const TIMEOUT_MS = 60_000;
const SIZE_KEY = '/_etcd/registry/tok/_config/size';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Started {
  readonly process: ServerProcess;
  readonly client: ApiClient;
  readonly peerUrl: string;
}

async function startMember(
  program: Program,
  name: string,
  flags: readonly string[],
): Promise<Started> {
  const directory = temporaryDirectory();
  const client = `http://127.0.0.1:${await freePort()}`;
  const peerUrl = `http://127.0.0.1:${await freePort()}`;
  const process = new ServerProcess(name, [
    ...program.command,
    `--name=${name}`,
    `--data-dir=${join(directory, 'data')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    ...flags,
  ]);
  const api = new ApiClient(new URL(client).host);
  ends.push(async () => {
    api.close();
    await process.end('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });
  return { process, client: api, peerUrl };
}

async function startService(program: Program, flags: readonly string[] = []): Promise<Member> {
  const service = await Member.start(program, { flags });
  ends.push(() => service.dispose());
  return service;
}

async function isComplete(members: readonly Started[]): Promise<void> {
  for (const { process } of members) await process.line(READY, TIMEOUT_MS);
  await members[0]!.client.must('KV/Put', { key: 'k', value: 'v' });
  const lists = members.map(({ client }) => client.must('Cluster/MemberList', {}));
  for (const list of await Promise.all(lists)) {
    const urls = (list['members'] as { peerURLs: string[] }[]).flatMap(({ peerURLs }) => peerURLs);
    expect(urls.sort()).toEqual(members.map(({ peerUrl }) => peerUrl).sort());
  }
}

const ours = serverUnderTest();
const real = realEtcd('3.7');

describeWith('members that find each other', [ours, real], () => {
  const mine = (): Program => need(ours);
  const theirs = (): Program => realProgram(need(real));
  test.each<[string, () => Program, () => readonly Program[]]>([
    ['three of ours, at one of ours', mine, () => [mine(), mine(), mine()]],
    ['one of ours and two real ones, at one of ours', mine, () => [theirs(), mine(), theirs()]],
    ['two of ours and a real one, at a real one', theirs, () => [mine(), theirs(), mine()]],
  ])('%s', { timeout: TIMEOUT_MS }, async (_what, serviceProgram, programs) => {
    const service = await startService(serviceProgram());
    const registry = new ApiClient(service.endpoint);
    ends.push(() => registry.close());
    await registry.must('KV/Put', { key: SIZE_KEY, value: '3' });
    const flags = ['--discovery-token=tok', `--discovery-endpoints=http://${service.endpoint}`];
    const starting = programs().map((program, i) => startMember(program, `m${i + 1}`, flags));
    await isComplete(await Promise.all(starting));

    const late = await startMember(mine(), 'late', flags);
    expect(await late.process.ended(TIMEOUT_MS)).toBe('1');
    expect(late.process.log()).toContain(
      'failed to join discovery cluster (discovery: cluster is full)',
    );
    expect(late.process.log()).toContain('do not reuse discovery token; generate a new one');
  });

  test.each<[string, () => Program]>([
    ['ours', mine],
    ['a real one', theirs],
  ])('over TLS, as a user of %s', { timeout: TIMEOUT_MS }, async (_what, serviceProgram) => {
    const files = new CertificateFiles();
    ends.push(() => files.dispose());
    const server = files.server();
    const port = await freePort();
    await startService(serviceProgram(), [
      `--listen-client-http-urls=https://127.0.0.1:${await freePort()}`,
      `--listen-client-urls=https://127.0.0.1:${port}`,
      `--advertise-client-urls=https://127.0.0.1:${port}`,
      ...[`--cert-file=${server.cert}`, `--key-file=${server.key}`],
      ...[`--trusted-ca-file=${files.ca}`, '--client-cert-auth'],
    ]);
    const own = files.client('member');
    const [ca, cert, key] = [files.ca, own.cert, own.key].map((path) => readFileSync(path, 'utf8'));
    const pem = { ca: ca!, cert: cert!, key: key! };
    const registry = new ApiClient(`127.0.0.1:${port}`, pem);
    ends.push(() => registry.close());
    await registry.must('KV/Put', { key: SIZE_KEY, value: '1' });
    await registry.must('Auth/RoleAdd', { name: 'root' });
    await registry.must('Auth/UserAdd', { name: 'root', password: 'secret' });
    await registry.must('Auth/UserGrantRole', { user: 'root', role: 'root' });
    await registry.must('Auth/AuthEnable', {});
    const flags = [
      ...['--discovery-token=tok', `--discovery-endpoints=127.0.0.1:${port}`],
      ...[`--discovery-cacert=${files.ca}`, '--discovery-insecure-transport=false'],
      ...[`--discovery-cert=${own.cert}`, `--discovery-key=${own.key}`],
      '--discovery-user=root',
    ];
    const refused = await startMember(mine(), 'm1', [...flags, '--discovery-password=wrong']);
    expect(await refused.process.ended(TIMEOUT_MS)).toBe('1');
    expect(refused.process.log()).toContain('authentication failed, invalid user ID or password');
    const member = await startMember(mine(), 'm1', [...flags, '--discovery-password=secret']);
    await isComplete([member]);
  });
});
