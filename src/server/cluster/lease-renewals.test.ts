// Leases in a cluster: renewed and asked for anywhere, answered by the leader alone.

import { describe, expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { peerUrlOf, SimCluster, type SimHost } from '../testing/sim-cluster.fixture.ts';
import { simConfig } from '../testing/sim-member.fixture.ts';

const { LeaseKeepAliveResponseCodec } = etcdserverpb;

const THREE = ['m1', 'm2', 'm3'];

function has(host: SimHost, id: bigint): boolean {
  return host.up.member.parts.store.machine.leases.lessor.lookup(id) !== undefined;
}

describe('a leader that was paused', () => {
  /** Pauses the leader; the others go on with another one. */
  async function paused(cluster: SimCluster) {
    const hosts = await cluster.found(THREE);
    const { leader: old, followers } = await cluster.leaderOf(hosts);
    await old.up.grant(1n, 5);
    await old.up.grant(2n, 5);
    await cluster.even(hosts);
    old.env.pause();
    await cluster.until('another leader', () => followers.some((host) => host.leads));
    const leader = followers.find((host) => host.leads)!;
    for (let i = 0; i < 30; i++) {
      await cluster.sleep(1000);
      // The first is kept alive, the second is not.
      expect(await leader.up.member.parts.leaseRenewals.renew(1n)).toEqual({
        kind: 'renewed',
        ttlSec: 5,
      });
    }
    await cluster.until('the second is revoked', () => !has(leader, 2n));
    return { old, leader, hosts };
  }

  test('renews no lease that others may have revoked', async () => {
    await SimCluster.run(async (cluster) => {
      const { old, hosts } = await paused(cluster);
      expect(has(old, 2n)).toBe(true);
      old.env.resume();
      const answers = new Set<string | undefined>();
      for (let i = 0; i < 2000; i++) {
        answers.add(old.up.member.parts.leaseRenewals.renewNow(2n)?.kind);
        await cluster.sleep(0.05);
      }
      expect(answers).toEqual(new Set([undefined]));
      await cluster.even(hosts);
      expect(await old.up.member.parts.leaseRenewals.renew(2n)).toEqual({ kind: 'missing' });
      expect(await old.up.member.parts.leaseRenewals.renew(1n)).toEqual({
        kind: 'renewed',
        ttlSec: 5,
      });
    });
  });

  test('proposes to revoke none, even if it can reach nobody at first', async () => {
    for (const cutMs of [0, 300, 3000]) {
      await SimCluster.run(async (cluster) => {
        const { old, leader, hosts } = await paused(cluster);
        const revoked: bigint[] = [];
        const { lessor } = old.up.member.parts.store.machine.leases;
        const { takeExpired } = lessor;
        lessor.takeExpired = (nowMs) => {
          const expired = takeExpired.call(lessor, nowMs);
          revoked.push(...expired.map(({ id }) => id));
          return expired;
        };
        if (cutMs > 0) cluster.cutOff(old.name);
        old.env.resume();
        await cluster.sleep(cutMs);
        cluster.world.network.heal();
        for (let i = 0; i < 10; i++) {
          await cluster.sleep(1000);
          expect(has(leader, 1n)).toBe(true);
          expect(await leader.up.member.parts.leaseRenewals.renew(1n)).toHaveProperty(
            'kind',
            'renewed',
          );
        }
        expect(revoked).toEqual([]);
        await cluster.even(hosts);
      });
    }
  });

  test('goes on with leases if nobody has taken its place', async () => {
    await SimCluster.run(async (cluster) => {
      const [host] = (await cluster.found(['m1'])) as [SimHost];
      await host.up.grant(1n, 5);
      await host.up.grant(2n, 60);
      host.env.pause();
      await cluster.sleep(10_000);
      host.env.resume();
      await cluster.until('it is revoked', () => !has(host, 1n), 3000);
      expect(host.up.member.parts.leadership.isSure).toBe(true);
      expect(host.up.member.parts.leaseRenewals.renewNow(2n)).toEqual({
        kind: 'renewed',
        ttlSec: 60,
      });
    });
  });
});

describe('leases asked for at a follower', () => {
  test('are renewed and told of as the leader does', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { leader, followers } = await cluster.leaderOf(hosts);
      const [follower] = followers as [SimHost];
      const { leaseRenewals } = follower.up.member.parts;
      await follower.up.grant(7n, 60);
      await follower.up.put('a', '1', 7n);
      await cluster.sleep(10_500);
      expect(await leaseRenewals.timeToLive(7n, true)).toMatchObject({
        kind: 'found',
        response: { id: 7n, ttl: 49, grantedTTL: 60, keys: [bytesFromLatin1('a')] },
      });
      expect(leaseRenewals.renewNow(7n)).toBeUndefined();
      expect(await leaseRenewals.renew(7n)).toEqual({ kind: 'renewed', ttlSec: 60 });
      expect(await leaseRenewals.timeToLive(7n, false)).toMatchObject({
        response: { ttl: 59, keys: [] },
      });
      expect(leader.up.member.parts.leaseRenewals.renewNow(7n)).toEqual({
        kind: 'renewed',
        ttlSec: 60,
      });
      expect(await leaseRenewals.renew(8n)).toEqual({ kind: 'missing' });
      expect(await leaseRenewals.timeToLive(8n, true)).toEqual({ kind: 'missing' });
      expect(leader.up.member.parts.leaseRenewals.renewNow(8n)).toEqual({ kind: 'missing' });
    });
  });

  test('go on while the leader changes', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { leader, followers } = await cluster.leaderOf(hosts);
      const [follower] = followers as [SimHost];
      await follower.up.grant(7n, 60);
      leader.crash();
      const { leaseRenewals } = follower.up.member.parts;
      expect(await leaseRenewals.renew(7n)).toEqual({ kind: 'renewed', ttlSec: 60 });
      expect(await leaseRenewals.timeToLive(7n, false)).toHaveProperty('kind', 'found');
    });
  });

  test('fail without a leader: with another error before one is known and after', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { leader, followers } = await cluster.leaderOf(hosts);
      const [follower, other] = followers as [SimHost, SimHost];
      await follower.up.grant(7n, 60);
      leader.crash();
      other.crash();
      const { leaseRenewals } = follower.up.member.parts;
      expect(await leaseRenewals.renew(7n)).toEqual({ kind: 'failed', error: 'TIMEOUT' });
      expect(await leaseRenewals.renew(7n)).toEqual({ kind: 'failed', error: 'NO_LEADER' });
      const asked = leaseRenewals.timeToLive(7n, false);
      await cluster.sleep(100);
      await follower.stop();
      expect(await asked).toEqual({ kind: 'failed', error: 'STOPPED' });
    });
  });

  test('an expired one that is being revoked is waited for, and gone', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { leader, followers } = await cluster.leaderOf(hosts);
      const [follower] = followers as [SimHost];
      await leader.up.grant(7n, 2);
      const { lessor } = leader.up.member.parts.store.machine.leases;
      const { takeExpired } = lessor;
      // Nothing is revoked for a while.
      lessor.takeExpired = () => [];
      await cluster.sleep(3000);
      expect(leader.up.member.parts.leaseRenewals.renewNow(7n)).toBeUndefined();
      const answers = [leader, follower].map(({ up }) => up.member.parts.leaseRenewals.renew(7n));
      await cluster.sleep(1000);
      lessor.takeExpired = takeExpired;
      expect(await Promise.all(answers)).toEqual([{ kind: 'missing' }, { kind: 'missing' }]);
    });
  });

  test('a checkpointed rest is cleared before the renewal', async () => {
    await SimCluster.run(async (cluster) => {
      const featureGates = {
        ...simConfig().featureGates,
        enabled: { ...simConfig().featureGates.enabled, LeaseCheckpoint: true },
      };
      const hosts = await cluster.found(THREE, { featureGates } as Partial<ServerConfig>);
      const { leader, followers } = await cluster.leaderOf(hosts);
      await leader.up.grant(7n, 1200);
      const restOf = ({ up }: SimHost) =>
        up.member.parts.store.machine.leases.lessor.lookup(7n)?.remainingSec;
      await cluster.sleep(301_000);
      await cluster.even(hosts);
      expect(hosts.map(restOf)).toEqual([900, 900, 900]);
      expect(leader.up.member.parts.leaseRenewals.renewNow(7n)).toBeUndefined();
      const { leaseRenewals } = followers[0]!.up.member.parts;
      expect(await leaseRenewals.renew(7n)).toEqual({ kind: 'renewed', ttlSec: 1200 });
      await cluster.even(hosts);
      expect(hosts.map(restOf)).toEqual([0, 0, 0]);
    });
  });

  test('garbage in place of an answer is no answer', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { leader, followers } = await cluster.leaderOf(hosts);
      const [follower] = followers as [SimHost];
      await follower.up.grant(7n, 60);
      // Somebody else answers at the URL that the cluster has for its leader.
      const wrong = LeaseKeepAliveResponseCodec.encode({ header: undefined, id: 8n, ttl: 1 });
      const bodies = [Uint8Array.of(0xff, 0xff, 1), wrong];
      let asked = 0;
      await cluster.fake('other', () => ({ body: bodies[asked++ % 2]! }));
      await leader.up.member.parts.changes.update(leader.up.member.memberId, [peerUrlOf('other')]);
      await cluster.even(hosts);
      const { leaseRenewals } = follower.up.member.parts;
      expect(await leaseRenewals.renew(7n)).toEqual({ kind: 'failed', error: 'TIMEOUT' });
      expect(await leaseRenewals.timeToLive(7n, true)).toEqual({
        kind: 'failed',
        error: 'TIMEOUT',
      });
      expect(asked).toBeGreaterThan(10);
      expect(follower.fatal).toEqual([]);
    });
  });
});
