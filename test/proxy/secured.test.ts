// A gRPC proxy with TLS on both sides, and one before a cluster whose members end one after the other.

import { afterEach, expect, test } from 'vitest';
import { Cluster } from '../cluster/cluster.ts';
import { until } from '../cluster/until.ts';
import { ApiClient, type Message } from '../helpers/api.ts';
import { CertificateFiles } from '../helpers/certificate-files.ts';
import { Member, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';
import { Proxies } from './proxies.ts';

const ours = serverUnderTest();
const real = realEtcd('3.7');

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function proxies(): Proxies {
  const made = new Proxies();
  closing.push(() => made.dispose());
  return made;
}

describeWith('a gRPC proxy', [ours, real], () => {
  const programs = [need(ours), realProgram(need(real))].map((each) => [each.name, each] as const);

  test.each(programs)('before %s, with certificates on both sides', async (_, program) => {
    const files = new CertificateFiles();
    closing.push(() => files.dispose());
    const { cert, key } = files.server();
    const member = await Member.start(program, { tls: { cert, key, clientAuthority: files.ca } });
    closing.push(() => member.dispose());
    const own = files.issue('proxy', {});
    const listening = files.server({}, 'listening');
    const upstream = [`--cacert=${files.ca}`, `--cert=${own.cert}`, `--key=${own.key}`];
    const { endpoint } = await proxies().start(
      'grpc-proxy',
      [member.endpoint],
      [
        ...upstream,
        `--cert-file=${listening.cert}`,
        `--key-file=${listening.key}`,
        `--trusted-ca-file=${files.ca}`,
      ],
    );
    const client = files.client('somebody');
    const etcdctl = [need(real).etcdctl, `--endpoints=https://${endpoint}`, `--cacert=${files.ca}`];
    const shown = [`--cert=${client.cert}`, `--key=${client.key}`];
    expect(await run([...etcdctl, ...shown, 'put', 'k', 'v'])).toMatchObject({ stdout: 'OK\n' });
    expect(await run([...etcdctl, ...shown, 'get', 'k'])).toMatchObject({ stdout: 'k\nv\n' });
    const without = await run([...etcdctl, '--command-timeout=2s', 'get', 'k']);
    expect(without.code).not.toBe(0);
  });

  test('a certificate for members that names a user is refused, as by etcd', async () => {
    const files = new CertificateFiles();
    closing.push(() => files.dispose());
    const named = files.client('root');
    const flags = [`--cacert=${files.ca}`, `--cert=${named.cert}`, `--key=${named.key}`];
    const line = ['grpc-proxy', 'start', '--listen-addr=127.0.0.1:0', ...flags];
    const text = `cert has non empty Common Name (root): ${named.cert}\n`;
    for (const command of [need(ours).command, [need(real).etcd]]) {
      const { code, stderr } = await run([...command, ...line]);
      expect(code).toBe(1);
      expect(stderr.endsWith(text), stderr).toBe(true);
    }
  });

  test('members end one after the other: reads and watches go on', async () => {
    const cluster = await Cluster.start({ servers: Array(3).fill({ program: need(ours) }) });
    closing.push(() => cluster.dispose());
    const endpoints = cluster.members.map((member) => member.endpoint);
    const { endpoint } = await proxies().start('grpc-proxy', endpoints);
    const client = new ApiClient(endpoint);
    closing.push(() => client.close());
    const stream = client.stream('Watch/Watch');
    closing.push(() => stream.cancel());
    stream.send({ create_request: { key: 'k' } });
    await stream.until(() => stream.received.length === 1);
    const put = (value: string) =>
      until('a put', async () => {
        const { code } = await client.call('KV/Put', { key: 'k', value }, { timeoutMs: 5000 });
        return code === 0 || undefined;
      });
    await put('start');
    for (const member of cluster.members) {
      await member.kill();
      for (let i = 0; i < 10; i++) {
        const { code, details } = await client.call('KV/Range', { key: 'k' });
        expect([code, details]).toEqual([0, '']);
      }
      await put(member.name);
      await member.restart();
    }
    const values = () =>
      stream.received
        .flatMap((each) => each['events'] as readonly Message[])
        .map(({ kv }) => String((kv as Message)['value']));
    const names = cluster.members.map(({ name }) => name);
    await stream.until(() => values().includes(names.at(-1)!));
    // A put that was not answered may have been made, and is made again then.
    expect([...new Set(values())]).toEqual(['start', ...names]);
    expect(stream.ended).toBeUndefined();
  });
});
