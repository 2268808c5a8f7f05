import { expect, test } from 'vitest';
import type { ServiceHost } from '../../env/index.ts';
import { SimWorld } from '../../env/sim/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { peerUrlOf, SimCluster } from '../testing/sim-cluster.fixture.ts';
import { simConfig } from '../testing/sim-member.fixture.ts';
import { withSrvCluster } from './srv-discovery.ts';

const SRV = { domain: 'example.com', serviceName: '' };

interface Zone {
  /** By the name of the service alone. */
  readonly services: Readonly<Record<string, readonly ServiceHost[]>>;
  readonly hosts?: Readonly<Record<string, string>>;
}

interface Looked {
  readonly cluster: string | undefined;
  readonly error: string | undefined;
  readonly lines: readonly string[];
}

/** What a member named m1 finds. */
async function look(zone: Zone, changes: Partial<ServerConfig> = {}): Promise<Looked> {
  const world = new SimWorld({ seed: 1 });
  for (const [name, hosts] of Object.entries(zone.services)) {
    world.network.setService(`_${name}._tcp.example.com`, hosts);
  }
  for (const [name, address] of Object.entries(zone.hosts ?? {})) {
    world.network.setAddress(name, address);
  }
  const env = world.machine('here');
  const lines: string[] = [];
  const note = (msg: string, fields: object): void =>
    void lines.push(`${msg} ${JSON.stringify(fields)}`);
  const log = { info: note, warn: note } as never;
  const config = simConfig({
    name: 'm1',
    advertisePeerUrls: ['http://10.0.0.1:2380'],
    initialCluster: [],
    srvDiscovery: SRV,
    ...changes,
  });
  try {
    const { initialCluster } = await withSrvCluster({ config, env, log });
    const pairs = initialCluster.flatMap(({ name, peerURLs }) =>
      peerURLs.map((url) => `${name}=${url}`),
    );
    return { cluster: pairs.join(','), error: undefined, lines };
  } catch (error) {
    return { cluster: undefined, error: (error as Error).message, lines };
  }
}

const at = (host: string, port = 2380): ServiceHost => ({ host, port });
const unknown = (service: string): string =>
  `error querying DNS SRV records for _${service} lookup _${service}._tcp.example.com: no such host`;

// Texts and names compared with real etcd 3.7 at a name server of one's own.
test('the members are numbered, but for the one at an address of this member', async () => {
  const zone: Zone = {
    services: { 'etcd-server': [at('a.example.com'), at('b.example.com'), at('c.example.com')] },
    hosts: { 'a.example.com': '10.0.0.9', 'b.example.com': '10.0.0.1', 'c.example.com': '::1' },
  };
  const { cluster, lines } = await look(zone);
  expect(cluster).toBe(
    '0=http://a.example.com:2380,1=http://c.example.com:2380,m1=http://b.example.com:2380',
  );
  expect(lines).toContain(
    'got bootstrap from DNS for etcd-server {"node":"m1=http://b.example.com:2380"}',
  );
  expect(lines[0]).toContain('get cluster for etcd-server-ssl SRV');
  expect(lines[0]).toContain(`"error":"${unknown('etcd-server-ssl')}"`);
  expect(lines.filter((line) => line.startsWith('failed to resolve'))).toHaveLength(1);
});

test('an address is the same under another name, and another port is another member', async () => {
  const zone: Zone = {
    services: { 'etcd-server': [at('x.example.com'), at('x.example.com', 2390)] },
    hosts: { 'x.example.com': '10.0.0.1', m1: '10.0.0.1' },
  };
  const { cluster } = await look(zone, { advertisePeerUrls: ['http://m1:2390'] });
  expect(cluster).toBe('0=http://x.example.com:2380,m1=http://x.example.com:2390');
});

test('a service with a name', async () => {
  const zone: Zone = { services: { 'etcd-server-ssl-blue': [at('10.0.0.1'), at('10.0.0.2')] } };
  const { cluster } = await look(zone, {
    srvDiscovery: { ...SRV, serviceName: 'blue' },
    advertisePeerUrls: ['https://10.0.0.1:2380'],
  });
  expect(cluster).toBe('0=https://10.0.0.2:2380,m1=https://10.0.0.1:2380');
});

test('records of both services count, each from 0', async () => {
  const zone: Zone = {
    services: { 'etcd-server-ssl': [at('10.0.0.2')], 'etcd-server': [at('10.0.0.1')] },
  };
  expect((await look(zone)).cluster).toBe('0=https://10.0.0.2:2380,m1=http://10.0.0.1:2380');
});

test.each<[string, Zone, Partial<ServerConfig>, string]>([
  ['no records', { services: {} }, {}, `${unknown('etcd-server-ssl')}\n${unknown('etcd-server')}`],
  [
    'others alone',
    { services: { 'etcd-server': [at('10.0.0.2')] } },
    {},
    'cannot find local etcd member "m1" in SRV records',
  ],
  [
    'the other scheme',
    { services: { 'etcd-server-ssl': [at('10.0.0.1')] } },
    {},
    'error querying DNS SRV records for _etcd-server-ssl bootstrap at https://10.0.0.1:2380 from DNS for ' +
      `etcd-server-ssl has scheme mismatch with expected peer http://10.0.0.1:2380\n${unknown('etcd-server')}`,
  ],
  [
    'hosts without an address',
    { services: { 'etcd-server': [at('x.example.com')] } },
    {},
    `${unknown('etcd-server-ssl')}\nerror querying DNS SRV records for _etcd-server lookup x.example.com: the host name is unknown`,
  ],
  [
    'an own URL without an address',
    { services: { 'etcd-server': [at('10.0.0.1')] } },
    { advertisePeerUrls: ['http://nowhere:2380'] },
    'lookup nowhere: the host name is unknown\nlookup nowhere: the host name is unknown',
  ],
])('refused: %s', async (_what, zone, changes, reason) => {
  expect((await look(zone, changes)).error).toBe(`error setting up initial cluster: ${reason}`);
});

test('three members found a cluster, and restart without the DNS', {
  timeout: 60_000,
}, async () => {
  await SimCluster.run(async (cluster) => {
    const names = ['m1', 'm2', 'm3'];
    const { network } = cluster.world;
    network.setService(
      '_etcd-server._tcp.example.com',
      names.map((name) => at(name)),
    );
    const settings = { initialCluster: [], srvDiscovery: SRV };
    const hosts = await cluster.found(names, settings);
    const members = hosts[0]!.up.member.parts.store.machine.cluster.members();
    expect(members.flatMap(({ peerURLs }) => peerURLs).sort()).toEqual(names.map(peerUrlOf));
    expect(members.map(({ name }) => name).sort()).toEqual(names);
    network.setService('_etcd-server._tcp.example.com', undefined);
    for (const host of hosts) {
      await host.stop();
      await host.start();
    }
    await cluster.leaderOf(hosts);
  });
});

test('a member joins a cluster that the DNS names', { timeout: 60_000 }, async () => {
  await SimCluster.run(async (cluster) => {
    const { network } = cluster.world;
    const [first] = await cluster.found(['m1']);
    const { memberAdd } = etcdserverpb.ClusterService.methods;
    await first!.up.call(memberAdd, { peerURLs: [peerUrlOf('m2')] });
    network.setService('_etcd-server._tcp.example.com', [at('m1'), at('m2')]);
    const settings = { initialCluster: [], srvDiscovery: SRV };
    const second = cluster.add('m2', { names: ['m2'], state: 'existing', settings });
    await second.start();
    const members = second.up.member.parts.store.machine.cluster.members();
    expect(members.map(({ name }) => name).sort()).toEqual(['m1', 'm2']);
  });
});
