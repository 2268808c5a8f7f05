import { afterEach, expect, test } from 'vitest';
import { CertificateFiles } from '../../../../test/helpers/certificate-files.ts';
import { SimWorld } from '../../../env/sim/index.ts';
import { fixedTls, listen, type SocketConnect } from '../../../net/index.ts';
import { TestAuthority } from '../../../net/testing/authority.fixture.ts';
import { checkedConnect, discoveredEndpoints } from './discovered-endpoints.ts';

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const FLAGS = { discoverySrv: 'example.com', discoverySrvName: '', insecureDiscovery: false };

function setUp() {
  const world = new SimWorld({ seed: 3 });
  closing.push(() => world.scheduler.stop());
  const lines: string[] = [];
  const note = (msg: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    lines.push(
      `${msg}: ${fields['endpoints']} ${(fields['error'] as Error)?.message ?? ''}`.trim(),
    );
  };
  const log = { debug: note, info: note, warn: note, error: note };
  return { world, env: world.machine('gateway'), log, lines };
}

/** Accepts at one host only. */
const onlyA: SocketConnect = async ({ host }) => {
  if (host !== 'a.example.com') throw new Error('no certificate for example.com');
  return { destroy() {} } as never;
};

test('CVE-2020-15136, GHSA-wr2v-9rpq-c35q, GHSA-j86v-2vjr-fg8f: encrypted ones', async () => {
  const { world, env, log, lines } = setUp();
  world.network.setService('_etcd-client-ssl-name._tcp.example.com', [
    { host: 'a.example.com', port: 1, priority: 1, weight: 7 },
    { host: 'b.example.com', port: 2 },
  ]);
  world.network.setService('_etcd-client-name._tcp.example.com', [{ host: 'c', port: 3 }]);
  const flags = { ...FLAGS, discoverySrvName: 'name' };
  const found = await discoveredEndpoints(flags, env, log, async () => onlyA);
  expect(found).toEqual([
    { url: 'https://a.example.com:1', host: 'a.example.com', port: 1, priority: 1, weight: 7 },
  ]);
  expect(lines.at(-1)).toBe(
    'failed to validate discovered endpoints: https://a.example.com:1 ' +
      '"https://b.example.com:2" failed to dial (no certificate for example.com),' +
      '"http://c:3" is insecure',
  );
  const insecure = { ...flags, insecureDiscovery: true };
  const all = await discoveredEndpoints(insecure, env, log, () => Promise.reject(new Error('no')));
  expect(all.map(({ url }) => url)).toEqual([
    'https://a.example.com:1',
    'https://b.example.com:2',
    'http://c:3',
  ]);
});

test('without a record of either service it fails, without a domain nothing is asked', async () => {
  const { env, log } = setUp();
  const never = () => Promise.reject(new Error('no'));
  await expect(discoveredEndpoints(FLAGS, env, log, never)).rejects.toThrow(
    'dns lookup errors: lookup _etcd-client-ssl._tcp.example.com: no such host and ' +
      'lookup _etcd-client._tcp.example.com: no such host',
  );
  expect(await discoveredEndpoints({ ...FLAGS, discoverySrv: '' }, env, log, never)).toEqual([]);
});

test('GHSA-h8g9-6gvh-5mrc: a certificate is of the authority, and for the domain', async () => {
  const files = new CertificateFiles();
  closing.push(() => files.dispose());
  const stranger = new TestAuthority('somebody else');
  const serve = async (authority: TestAuthority, dns: string) => {
    const { cert, key } = authority.issue({ dns: [dns] });
    const port = await listen({
      address: { host: '127.0.0.1', port: 0 },
      tls: fixedTls({ cert, key }),
    });
    closing.push(() => port.close());
    return port.address;
  };
  const connect = await checkedConnect('example.com', files.ca);
  const stream = await connect(await serve(files.authority, 'example.com'), 5000);
  stream.destroy();
  for (const [authority, dns] of [
    [files.authority, 'elsewhere.com'],
    [stranger, 'example.com'],
  ] as const) {
    await expect(connect(await serve(authority, dns), 5000)).rejects.toThrow('certificate');
  }
});
