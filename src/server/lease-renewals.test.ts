// Leases in a cluster: renewed and asked for anywhere, answered by the leader alone.

import { describe, expect, test } from 'vitest';
import { SimCluster, type SimHost } from './sim-cluster.fixture.ts';

const THREE = ['m1', 'm2', 'm3'];

function has(host: SimHost, id: bigint): boolean {
  return host.up.member.machine.leases.lessor.lookup(id) !== undefined;
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
      expect(await leader.up.member.leaseRenewals.renew(1n)).toEqual({
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
        answers.add(old.up.member.leaseRenewals.renewNow(2n)?.kind);
        await cluster.sleep(0.05);
      }
      expect(answers).toEqual(new Set([undefined]));
      await cluster.even(hosts);
      expect(await old.up.member.leaseRenewals.renew(2n)).toEqual({ kind: 'missing' });
      expect(await old.up.member.leaseRenewals.renew(1n)).toEqual({ kind: 'renewed', ttlSec: 5 });
    });
  });

  test('proposes to revoke none, even if it can reach nobody at first', async () => {
    for (const cutMs of [0, 300, 3000]) {
      await SimCluster.run(async (cluster) => {
        const { old, leader, hosts } = await paused(cluster);
        const revoked: bigint[] = [];
        const { lessor } = old.up.member.machine.leases;
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
          expect(await leader.up.member.leaseRenewals.renew(1n)).toHaveProperty('kind', 'renewed');
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
      expect(host.up.member.leadsSurely).toBe(true);
      expect(host.up.member.leaseRenewals.renewNow(2n)).toEqual({ kind: 'renewed', ttlSec: 60 });
    });
  });
});
