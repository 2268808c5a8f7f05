// Members that get their users from somewhere else than the log: their own file, or a leader's database.

import { expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { call, open } from '../testing/local-client.fixture.ts';
import { SimCluster, type SimHost } from '../testing/sim-cluster.fixture.ts';
import { simConfig } from '../testing/sim-member.fixture.ts';
import { auth, kv, reads, secure, shown, tokenOf, withToken } from './auth-calls.fixture.ts';

const { leaseGrant, leaseTimeToLive } = etcdserverpb.LeaseService.methods;
const { WatchCreateRequestCodec } = etcdserverpb;
const watchMethod = etcdserverpb.WatchService.methods.watch;
const INVALID_TOKEN = 'rpc error: code = Unauthenticated desc = etcdserver: invalid auth token';
const THREE = ['m1', 'm2', 'm3'];
const SETTINGS = { auth: simConfig().auth };

/** What `uma` may read now of her keys and of others, by the member that is asked. */
async function umaReads(host: SimHost): Promise<readonly string[]> {
  const { member } = host.up;
  const uma = await tokenOf(member, 'uma');
  return [await reads(member, uma, 'k'), await reads(member, uma, 'a'), await reads(member, '')];
}

test('fbed8cb64: permissions are right at once after a restart, also after power was lost', async () => {
  await SimCluster.run(async (cluster) => {
    const [host] = await cluster.found(['m1'], SETTINGS);
    await secure(host!.up.member);
    for (const ending of ['stop', 'crash'] as const) {
      if (ending === 'stop') await host!.stop();
      else host!.crash('lost');
      await host!.start();
      // The first thing that it is asked.
      expect(await reads(host!.up.member, 'made up.7')).toBe('invalid auth token');
      expect(await umaReads(host!)).toEqual(['OK', 'permission denied', 'invalid auth token']);
    }
  });
});

test("ae608da7e: a leader's database brings its users, and takes those before it away", async () => {
  await SimCluster.run(async (cluster) => {
    const hosts = await cluster.found(THREE, SETTINGS);
    const { leader, followers } = await cluster.leaderOf(hosts);
    const [behind] = followers as [SimHost];
    const { member } = leader.up;
    await secure(member);
    let password = 'root';
    const root = () => tokenOf(member, 'root', password).then(withToken);
    await cluster.even(hosts);
    const old = await tokenOf(behind.up.member, 'uma');
    const stolen = await tokenOf(behind.up.member, 'root');
    expect(await umaReads(behind)).toEqual(['OK', 'permission denied', 'invalid auth token']);

    // Cut off, it keeps its tokens and its view of the users, and misses more than the log has.
    cluster.cutOff(behind.name);
    for (const { name } of hosts) cluster.world.network.reset(behind.name, name);
    await cluster.until('a leader', () => leader.leads);
    await call(member, auth.userChangePassword, { name: 'root', password: 'new' }, await root());
    password = 'new';
    await call(member, auth.userDelete, { name: 'uma' }, await root());
    await call(member, auth.userAdd, { name: 'uma', password: 'uma' }, await root());
    await call(member, auth.roleAdd, { name: 'a' }, await root());
    const perm = { permType: 0, key: bytesFromLatin1('a'), rangeEnd: bytesFromLatin1('') };
    await call(member, auth.roleGrantPermission, { name: 'a', perm }, await root());
    await call(member, auth.userGrantRole, { user: 'uma', role: 'a' }, await root());
    const as = await root();
    for (let i = 0; i < 100; i++) {
      const request = { key: bytesFromLatin1('w'), value: bytesFromLatin1(String(i)) };
      expect(shown(await call(member, kv.put, request, as))).toBe('OK');
    }
    for (const token of [old, stolen]) expect(await reads(behind.up.member, token)).toBe('OK');
    cluster.world.network.heal();
    await cluster.until('a snapshot', () => behind.logged('applied snapshot'));
    // What ended the tokens is in entries that this member has never applied.
    for (const token of [old, stolen]) {
      expect(await reads(behind.up.member, token)).toBe('invalid auth token');
    }
    await cluster.even(hosts);
    expect(await umaReads(behind)).toEqual([...['permission denied', 'OK', 'invalid auth token']]);
    expect(await umaReads(leader)).toEqual(['permission denied', 'OK', 'invalid auth token']);
  });
});

test('CVE-2023-32082, GHSA-3p4g-rcw5-8298: a lease shows its keys to whom may read them all', async () => {
  await SimCluster.run(async (cluster) => {
    const hosts = await cluster.found(THREE, SETTINGS);
    const { leader, followers } = await cluster.leaderOf(hosts);
    const [follower] = followers as [SimHost];
    await secure(leader.up.member);
    const root = withToken(await tokenOf(leader.up.member, 'root'));
    const uma = withToken(await tokenOf(leader.up.member, 'uma'));
    const attach = (key: string) =>
      call(leader.up.member, kv.put, { key: bytesFromLatin1(key), lease: 7n }, root);
    await call(leader.up.member, leaseGrant, { id: 7n, ttl: 600 }, root);
    await attach('k');
    await cluster.even(hosts);
    const ask = (host: SimHost, keys: boolean, by: typeof uma) =>
      call(host.up.member, leaseTimeToLive, { id: 7n, keys }, by);
    for (const host of [leader, follower]) {
      expect(await ask(host, true, uma)).toMatchObject({ keys: [bytesFromLatin1('k')] });
    }
    // The follower writes slowly, and does not know yet what the leader does.
    follower.env.disk.extraLatencyMs = ({ path }) => (path.endsWith('.wal') ? 300 : 0);
    await attach('a');
    const { leases } = follower.up.member.parts.store.machine;
    expect(leases.lessor.lookup(7n)!.keys.size).toBe(1);
    for (const host of [follower, leader]) {
      expect(shown(await ask(host, true, uma))).toBe('permission denied');
      expect(await ask(host, false, uma)).toMatchObject({ keys: [], grantedTTL: 600 });
      expect(await ask(host, true, root)).toMatchObject({
        keys: [bytesFromLatin1('a'), bytesFromLatin1('k')],
      });
    }
  });
});

test('a member that is cut off says so of a token that it cannot know yet', async () => {
  await SimCluster.run(async (cluster) => {
    const hosts = await cluster.found(THREE, SETTINGS);
    const { leader, followers } = await cluster.leaderOf(hosts);
    const [behind] = followers as [SimHost];
    await secure(leader.up.member);
    await cluster.even(hosts);
    const known = await tokenOf(leader.up.member, 'uma');
    await cluster.even(hosts);
    cluster.cutOff(behind.name);
    for (const { name } of hosts) cluster.world.network.reset(behind.name, name);
    await cluster.until('a leader', () => leader.leads);
    const fresh = await tokenOf(leader.up.member, 'uma');
    const made = `${'A'.repeat(16)}.${Number(fresh.split('.')[1]) + 1}`;
    const { member } = behind.up;
    expect(await reads(member, known)).toBe('OK');
    for (const token of [fresh, made]) {
      expect(await reads(member, token)).toMatch(/^request timed out/);
      const value = WatchCreateRequestCodec.create({ key: bytesFromLatin1('k') });
      const watch = open(
        member,
        watchMethod,
        { requestUnion: { case: 'createRequest', value } },
        withToken(token),
      );
      await cluster.until('an answer', () => watch.received.length > 0);
      expect(watch.received[0]).toMatchObject({ canceled: true, cancelReason: INVALID_TOKEN });
      watch.stream.cancel();
    }
    cluster.world.network.heal();
    await cluster.even(hosts);
    expect(await reads(member, fresh)).toBe('OK');
    expect(await reads(member, made)).toBe('invalid auth token');
  });
});
