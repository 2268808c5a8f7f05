// Snapshots between members, on their way.

import { describe, expect, test } from 'vitest';
import { SimCluster, type SimHost } from './sim-cluster.fixture.ts';

const THREE = ['m1', 'm2', 'm3'];

describe('a snapshot is sent', () => {
  test('by a leader that has applied nothing since its start', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { leader, followers } = await cluster.leaderOf(hosts);
      const [behind, other] = followers as [SimHost, SimHost];
      behind.crash('kept');
      for (let i = 0; i < 150; i++) await leader.up.put(`k${i % 10}`, String(i));
      await other.stop();
      await leader.stop();
      // Only together can these two commit anything.
      const started = [leader.start(), behind.start()];
      await cluster.until('both serve', () => behind.running !== undefined);
      await Promise.all(started);
      await behind.up.put('after', '1');
      await cluster.even([leader, behind]);
      expect(behind.up.pairs()).toEqual(leader.up.pairs());
    });
  });
});
