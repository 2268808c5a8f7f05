// A member whose backend is ahead of its log, as etcd leaves them: it applies what a quorum has before
// its own disk does, and a crash may then take the end of the log away.

import { describe, expect, test } from 'vitest';
import type { ServerConfig } from '../config/index.ts';
import { SimCluster, type SimHost, WAL_DIR } from '../testing/sim-cluster.fixture.ts';

const THREE = ['m1', 'm2', 'm3'];

/**
 * Gives a follower that is down an older log. It had acknowledged more, which etcd's would not have:
 * so another member must lead, who does not remember that.
 */
async function shorten(
  cluster: SimCluster,
  hosts: readonly SimHost[],
  short: SimHost,
  log: ReadonlyMap<string, Uint8Array>,
): Promise<SimHost> {
  await short.replaceFiles(WAL_DIR, log);
  const others = hosts.filter((host) => host !== short);
  const { leader: before } = await cluster.leaderOf(others);
  await before.stop();
  await before.start();
  const { leader } = await cluster.leaderOf(others);
  expect(leader).not.toBe(before);
  return leader;
}

/** A follower that is down, and whose log ends `missing` entries before its backend. */
async function withShortLog(
  cluster: SimCluster,
  missing: number,
  settings: Partial<ServerConfig> = {},
  valueBytes = 10,
): Promise<{ hosts: SimHost[]; leader: SimHost; short: SimHost }> {
  const hosts = await cluster.found(THREE, settings);
  const { leader: first, followers } = await cluster.leaderOf(hosts);
  const [short] = followers as [SimHost];
  await first.up.put('first', '1');
  await cluster.even(hosts);
  await short.stop();
  const log = await short.filesOf(WAL_DIR);
  await short.start();
  const value = 'v'.repeat(valueBytes);
  for (let i = 0; i < missing; i++) await first.up.put(`k${i % 5}`, value);
  await cluster.even(hosts);
  await short.stop();
  const leader = await shorten(cluster, hosts, short, log);
  return { hosts, leader, short };
}

describe('a member whose backend is ahead of its log', () => {
  test.each([3, 120])('by %i entries: passes over what it has, and goes on', async (missing) => {
    await SimCluster.run(async (cluster) => {
      const settings = { snapshotCount: 10_000, snapshotCatchupEntries: 10_000 };
      const { hosts, leader, short } = await withShortLog(cluster, missing, settings);
      await leader.up.put('meanwhile', '1');
      await short.start();
      await short.up.put('after', '1');
      await cluster.even(hosts);
      await cluster.sleep(1000);
      expect(short.fatal).toEqual([]);
      expect(short.up.pairs()).toEqual(leader.up.pairs());
      expect(await short.up.hashKv(0)).toEqual(await leader.up.hashKv(0));
      // Twice as long a log.
      for (let i = 0; i < 150; i++) await leader.up.put(`k${i % 5}`, String(i));
      await cluster.even(hosts);
      short.crash();
      await short.start();
      await cluster.even(hosts);
      expect(short.up.pairs()).toEqual(leader.up.pairs());
    });
  });

  test('takes no snapshot beyond what its log has committed', async () => {
    await SimCluster.run(async (cluster) => {
      const settings = { snapshotCatchupEntries: 10_000, snapshotCount: 10_000 };
      // More than one message of committed entries.
      const { hosts, leader, short } = await withShortLog(cluster, 60, settings, 40_000);
      // Due with the first message, whose commit index lies before the end of the backend.
      short.beginning = { ...short.beginning, settings: { ...settings, snapshotCount: 20 } };
      const started = short.start();
      await cluster.until('a snapshot', () => short.logged('saved snapshot to disk'));
      await started;
      for (let i = 0; i < 40; i++) await leader.up.put(`k${i % 5}`, String(i));
      await cluster.even(hosts);
      short.crash();
      await short.start();
      await cluster.even(hosts);
      expect(short.fatal).toEqual([]);
      expect(short.up.pairs()).toEqual(leader.up.pairs());
    });
  });

  test('is brought up by a snapshot as well', async () => {
    await SimCluster.run(async (cluster) => {
      const { hosts, leader, short } = await withShortLog(cluster, 10);
      for (let i = 0; i < 150; i++) await leader.up.put(`k${i % 5}`, String(i));
      await short.start();
      await cluster.even(hosts);
      expect(short.logged('applied snapshot')).toBe(true);
      expect(short.up.pairs()).toEqual(leader.up.pairs());
    });
  });

  test('applies no membership change twice', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE, { snapshotCount: 10_000 });
      const { leader, followers } = await cluster.leaderOf(hosts);
      const [short] = followers as [SimHost];
      await cluster.sleep(6000);
      await short.stop();
      const log = await short.filesOf(WAL_DIR);
      await short.start();
      await cluster.sleep(6000);
      const { changes } = leader.up.member.parts;
      const added = await changes.add(['http://m4:2380'], true);
      expect(added).toMatchObject({ members: [{}, {}, {}, {}] });
      expect(await changes.update(added.id, ['http://m5:2380'])).toHaveProperty('members');
      expect(await changes.remove(added.id)).toHaveProperty('members');
      await cluster.even(hosts);
      await short.stop();
      const next = await shorten(cluster, hosts, short, log);
      await short.start();
      await short.up.put('after', '1');
      await cluster.even(hosts);
      const { machine } = short.up.member.parts.store;
      expect(machine.cluster.state()).toEqual(next.up.member.parts.store.machine.cluster.state());
      expect(machine.confState).toEqual(next.up.member.parts.store.machine.confState);
      const { config } = short.up.member.parts.raft.status();
      expect(config).toEqual(next.up.member.parts.raft.status().config);
    });
  });
});
