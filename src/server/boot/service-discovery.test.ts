import { expect, test } from 'vitest';
import { formatId } from '../../membership/index.ts';
import type { ServerConfig, ServiceDiscovery } from '../config/index.ts';
import { peerUrlOf, SimCluster, type SimHost } from '../testing/sim-cluster.fixture.ts';
// Loaded here, and not by the first member: simulated time would not wait for the file.
import './service-discovery.ts';

const CLIENT_PORT = 2379;
const MEMBERS = '/_etcd/registry/tok/members';

const DISCOVERY: ServiceDiscovery = {
  token: 'tok',
  endpoints: ['http://registry:2379'],
  dialTimeoutMs: 2_000,
  requestTimeoutMs: 5_000,
  keepaliveTimeMs: 2_000,
  keepaliveTimeoutMs: 6_000,
  sendBytesMax: 0,
  receiveBytesMax: 0,
  tls: {
    insecureTransport: true,
    insecureSkipVerify: false,
    certFile: '',
    keyFile: '',
    trustedCaFile: '',
    serverName: '',
  },
  auth: undefined,
};

/** A cluster of one that others find each other at. */
async function registry(cluster: SimCluster): Promise<SimHost> {
  const [host] = await cluster.found(['registry']);
  await serve(host!);
  return host!;
}

async function serve({ env, up }: SimHost): Promise<void> {
  const address = { host: '0.0.0.0', port: CLIENT_PORT };
  await env.network.listen(address, (stream) => up.member.grpc.accept(stream));
}

function newMember(cluster: SimCluster, name: string, changes: Partial<ServerConfig> = {}) {
  const settings: Partial<ServerConfig> = {
    initialCluster: [{ name, peerURLs: [peerUrlOf(name)] }],
    initialClusterToken: 'tok',
    serviceDiscovery: DISCOVERY,
    ...changes,
  };
  return cluster.add(name, { names: [name], settings });
}

const sized = (host: SimHost, size: string) =>
  host.up.put('/_etcd/registry/tok/_config/size', size);

/** What a start that fails says. */
async function refusal(host: SimHost): Promise<string> {
  return host.start().then(
    () => 'it started',
    (error: Error) => error.message,
  );
}

test('three members find each other; a fourth is refused', { timeout: 120_000 }, async () => {
  await SimCluster.run(async (cluster) => {
    const there = await registry(cluster);
    await sized(there, '3');
    const hosts = ['m1', 'm2', 'm3'].map((name) => newMember(cluster, name));
    const first = hosts[0]!.start();
    await cluster.until('a member that waits', () =>
      hosts[0]!.logged('waiting for peers from discovery service'),
    );
    await Promise.all([first, hosts[1]!.start(), hosts[2]!.start()]);
    await cluster.leaderOf(hosts);
    const members = hosts[1]!.up.member.parts.store.machine.cluster.members();
    expect(members.map(({ name }) => name).sort()).toEqual(['m1', 'm2', 'm3']);
    expect(
      there.up
        .pairs()
        .slice(1)
        .map(({ key, value }) => `${key} ${value}`)
        .sort(),
    ).toEqual(
      members.map(({ id, name }) => `${MEMBERS}/${formatId(id)} ${name}=${peerUrlOf(name)}`).sort(),
    );
    expect(await refusal(newMember(cluster, 'm4'))).toBe(
      'failed to join discovery cluster (discovery: cluster is full)',
    );
    // Nobody is asked again.
    await there.stop();
    await hosts[2]!.stop();
    await hosts[2]!.start();
    expect(hosts[2]!.logged('discovery token is ignored since cluster already initialized')).toBe(
      true,
    );
  });
});

test('a service that is not there yet is waited for', { timeout: 120_000 }, async () => {
  await SimCluster.run(async (cluster) => {
    const host = newMember(cluster, 'm1');
    const started = host.start();
    await cluster.until('a retry', () => host.logged('retry connecting to discovery service'));
    await sized(await registry(cluster), '1');
    await started;
    expect(host.logged('failed to get cluster size from discovery service')).toBe(true);
    expect(host.logged('discovery joined cluster successfully')).toBe(true);
  });
});

test('a service that goes while a member waits is waited for', { timeout: 120_000 }, async () => {
  await SimCluster.run(async (cluster) => {
    const there = await registry(cluster);
    await sized(there, '2');
    const hosts = ['m1', 'm2'].map((name) => newMember(cluster, name));
    const first = hosts[0]!.start();
    await cluster.until('a member that waits', () =>
      hosts[0]!.logged('waiting for peers from discovery service'),
    );
    there.crash('kept');
    await there.start();
    await serve(there);
    await Promise.all([first, hosts[1]!.start()]);
    await cluster.leaderOf(hosts);
  });
});

test('a member that dies while it waits is the same one again', { timeout: 120_000 }, async () => {
  await SimCluster.run(async (cluster) => {
    const there = await registry(cluster);
    await sized(there, '2');
    const hosts = ['m1', 'm2'].map((name) => newMember(cluster, name));
    void hosts[0]!.start();
    await cluster.until('a member that waits', () =>
      hosts[0]!.logged('waiting for peers from discovery service'),
    );
    hosts[0]!.crash();
    await Promise.all(hosts.map((host) => host.start()));
    await cluster.leaderOf(hosts);
    const registered = there.up.pairs().filter(({ key }) => key.startsWith(MEMBERS));
    expect(registered.map(({ version }) => version).sort()).toEqual([1, 2]);
  });
});

test('of members that register at once the first are the cluster', {
  timeout: 120_000,
}, async () => {
  await SimCluster.run(async (cluster) => {
    const there = await registry(cluster);
    await sized(there, '2');
    const hosts = ['m1', 'm2', 'm3'].map((name) => newMember(cluster, name));
    const ends = await Promise.allSettled(hosts.map((host) => host.start()));
    const reasons = ends.flatMap((end) => (end.status === 'rejected' ? [`${end.reason}`] : []));
    expect(reasons).toEqual([
      'TetcdError: failed to join discovery cluster (discovery: cluster is full)',
    ]);
    await cluster.leaderOf(hosts.filter((host) => host.running !== undefined));
  });
});

test.each([
  [undefined, 'discovery: size key not found'],
  ['', 'discovery: size key is bad'],
  ['three', 'discovery: size key is bad'],
  ['0', 'discovery: size key is bad'],
  ['-1', 'discovery: size key is bad'],
  ['3\n', 'discovery: size key is bad'],
])('a size of %j is refused', async (size, reason) => {
  await SimCluster.run(async (cluster) => {
    const there = await registry(cluster);
    if (size !== undefined) await sized(there, size);
    const host = newMember(cluster, 'm1');
    expect(await refusal(host)).toBe(`failed to join discovery cluster (${reason})`);
    expect(there.up.pairs().filter(({ key }) => key.startsWith(MEMBERS))).toEqual([]);
  });
});

test.each([
  ['other=nonsense', 'failed to join discovery cluster (discovery: invalid peer URL)'],
  [`other=${peerUrlOf('m1')}`, /^discovery cluster m1=.* has duplicate url$/],
  [`m1=${peerUrlOf('other')}`, /^discovery cluster .* has several members of the name "m1"$/],
])('another member that registers as %s', async (info, refused) => {
  await SimCluster.run(async (cluster) => {
    const there = await registry(cluster);
    await sized(there, '2');
    await there.up.put(`${MEMBERS}/1`, 'no member at all');
    await there.up.put(`${MEMBERS}/2`, info);
    const host = newMember(cluster, 'm1');
    expect(await refusal(host)).toMatch(refused);
    expect(host.logged('invalid peer info returned from discovery service')).toBe(true);
  });
});

test('a member that joins a running cluster discovers nothing', async () => {
  await SimCluster.run(async (cluster) => {
    const host = newMember(cluster, 'm1', { initialClusterState: 'existing' });
    expect(await refusal(host)).toBe(
      'discovery URL should not be set when joining existing initial cluster',
    );
  });
});
