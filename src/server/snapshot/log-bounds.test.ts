// The bounds of raft's log, in entries and in bytes, and what they mean for members that lag.

import { describe, expect, test } from 'vitest';
import { LOG_BYTES_COMMON_MAX, LOG_BYTES_IDLE_MAX } from '../limits.ts';
import { SimCluster, type SimHost } from '../testing/sim-cluster.fixture.ts';

const THREE = ['m1', 'm2', 'm3'];
const VALUE_BYTES = 1000;
const LOG_BYTES_MAX = 20 * VALUE_BYTES;
/** The counts alone would keep everything. */
const BOUND_IN_BYTES = {
  snapshotCount: 10_000,
  snapshotCatchupEntries: 10_000,
  logBytesMax: LOG_BYTES_MAX,
};
/** Of an entry, beside the value. */
const ENVELOPE_BYTES_MAX = 100;

const storageOf = ({ up }: SimHost) => up.member.parts.storage;
const snapshotsSaved = ({ log }: SimHost): number =>
  log.filter((line) => line.includes('saved snapshot to disk')).length;

async function putLarge({ up }: SimHost, count: number, bytes = VALUE_BYTES): Promise<void> {
  for (let i = 0; i < count; i++) await up.put(`k${i % 7}`, 'v'.repeat(bytes));
}

/** The backend has committed what is applied, and the log is compacted accordingly. */
async function settle(host: SimHost): Promise<void> {
  const { store, snapshotter } = host.up.member.parts;
  await store.machine.backend.commit();
  await snapshotter.whenIdle();
}

describe('large entries', () => {
  test('are kept up to a bound, in memory and in what a start reads', async () => {
    await SimCluster.run(async (cluster) => {
      const [host] = (await cluster.found(['m1'], BOUND_IN_BYTES)) as [SimHost];
      await putLarge(host, 200);
      await settle(host);
      const storage = storageOf(host);
      expect(storage.payloadBytes).toBeLessThanOrEqual(LOG_BYTES_MAX);
      expect(storage.payloadBytes).toBeGreaterThan(LOG_BYTES_MAX / 2);
      expect(snapshotsSaved(host)).toBeGreaterThan(3);
      const pairs = host.up.pairs();

      host.crash('kept');
      await host.start();
      expect(storageOf(host).payloadBytes).toBeLessThan(3 * LOG_BYTES_MAX);
      expect(host.up.pairs()).toEqual(pairs);
    });
  });

  test('that an earlier release has left in the log are dropped after the start', async () => {
    await SimCluster.run(async (cluster) => {
      const unbound = { ...BOUND_IN_BYTES, logBytesMax: Number.POSITIVE_INFINITY };
      const [host] = (await cluster.found(['m1'], unbound)) as [SimHost];
      await putLarge(host, 100);
      await settle(host);
      expect(storageOf(host).payloadBytes).toBeGreaterThan(4 * LOG_BYTES_MAX);
      await host.stop();
      await host.start({ logBytesMax: LOG_BYTES_MAX });
      expect(storageOf(host).payloadBytes).toBeGreaterThan(4 * LOG_BYTES_MAX);
      await host.up.put('after', 'v');
      await settle(host);
      expect(storageOf(host).payloadBytes).toBeLessThanOrEqual(LOG_BYTES_MAX);
      expect(snapshotsSaved(host)).toBe(1);
    });
  });

  test('are kept one at least, for a follower that lacks only that', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, behind } = await foundWithOneCutOff(cluster);
      await putLarge(leader, 1, 3 * LOG_BYTES_MAX);
      await settle(leader);
      expect(storageOf(leader).payloadBytes).toBeGreaterThan(3 * LOG_BYTES_MAX);
      await rejoin(cluster, leader, behind);
      expect(behind.logged('applied snapshot')).toBe(false);

      await leader.up.put('next', 'v');
      await settle(leader);
      expect(storageOf(leader).payloadBytes).toBeLessThan(LOG_BYTES_MAX);
    });
  });
});

const MIB = 1024 * 1024;
const unbound = { ...BOUND_IN_BYTES, logBytesMax: Number.POSITIVE_INFINITY };

describe('entries that all members have', { timeout: 60_000 }, () => {
  test('are few in memory, and read by a start', async () => {
    await SimCluster.run(async (cluster) => {
      const [host] = (await cluster.found(['m1'], unbound)) as [SimHost];
      await putLarge(host, 40, MIB);
      await settle(host);
      expect(storageOf(host).payloadBytes).toBeLessThanOrEqual(LOG_BYTES_COMMON_MAX);
      expect(storageOf(host).payloadBytes).toBeGreaterThan(LOG_BYTES_COMMON_MAX / 2);
      expect(snapshotsSaved(host)).toBe(0);
      const pairs = host.up.pairs();
      host.crash('kept');
      await host.start();
      expect(storageOf(host).payloadBytes).toBeGreaterThan(40 * MIB);
      expect(host.up.pairs()).toEqual(pairs);
    });
  });

  test('are in a snapshot on disk before a start has too much to read', async () => {
    await SimCluster.run(async (cluster) => {
      const settings = { ...BOUND_IN_BYTES, logBytesMax: 40 * MIB };
      const [host] = (await cluster.found(['m1'], settings)) as [SimHost];
      await putLarge(host, 39, MIB);
      await settle(host);
      expect(snapshotsSaved(host)).toBe(0);
      await putLarge(host, 45, MIB);
      await settle(host);
      expect(snapshotsSaved(host)).toBeGreaterThan(0);
      host.crash('kept');
      await host.start();
      expect(storageOf(host).payloadBytes).toBeLessThan(60 * MIB);
    });
  });

  test('are all, for a leader, but those that a follower lacks', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, behind } = await foundWithOneCutOff(cluster, unbound);
      await putLarge(leader, 36, MIB);
      await settle(leader);
      expect(storageOf(leader).payloadBytes).toBeGreaterThan(36 * MIB);
      await rejoin(cluster, leader, behind);
      expect(behind.logged('applied snapshot')).toBe(false);
      await leader.up.put('next', 'v');
      await settle(leader);
      expect(storageOf(leader).payloadBytes).toBeLessThanOrEqual(LOG_BYTES_COMMON_MAX);
      // It may lead one day, and does not know what others lack.
      await settle(behind);
      expect(storageOf(behind).payloadBytes).toBeGreaterThan(36 * MIB);
    });
  });
});

describe('an idle member', () => {
  test('alone keeps a small log', async () => {
    await SimCluster.run(async (cluster) => {
      const [host] = (await cluster.found(['m1'], unbound)) as [SimHost];
      await putLarge(host, 12, MIB);
      await settle(host);
      expect(storageOf(host).payloadBytes).toBeGreaterThan(12 * MIB);
      await host.up.member.parts.snapshotter.shrinkLog();
      await settle(host);
      expect(storageOf(host).payloadBytes).toBeLessThanOrEqual(LOG_BYTES_IDLE_MAX);
      expect(snapshotsSaved(host)).toBe(1);
      const pairs = host.up.pairs();
      host.crash('kept');
      await host.start();
      expect(host.up.pairs()).toEqual(pairs);
    });
  });

  test('that leads keeps what a follower lacks', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, behind } = await foundWithOneCutOff(cluster, unbound);
      await putLarge(leader, 12, MIB);
      await settle(leader);
      await leader.up.member.parts.snapshotter.shrinkLog();
      expect(storageOf(leader).payloadBytes).toBeGreaterThan(12 * MIB);
      await rejoin(cluster, leader, behind);
      expect(behind.logged('applied snapshot')).toBe(false);
      await leader.up.member.parts.snapshotter.shrinkLog();
      expect(storageOf(leader).payloadBytes).toBeLessThanOrEqual(LOG_BYTES_IDLE_MAX);
    });
  });
});

describe('small entries', () => {
  test('are bound by their number alone, as in etcd', async () => {
    await SimCluster.run(async (cluster) => {
      const counts = { snapshotCount: 100, snapshotCatchupEntries: 50 };
      const [host] = (await cluster.found(['m1'], counts)) as [SimHost];
      for (let i = 0; i < 1000; i++) await host.up.put(`k${i % 7}`, 'v');
      await settle(host);
      const storage = storageOf(host);
      const { index = 0 } = storage.snapshot().metadata ?? {};
      expect(storage.firstIndex()).toBe(index - 50 + 1);
      expect(snapshotsSaved(host)).toBeGreaterThanOrEqual(8);
      expect(snapshotsSaved(host)).toBeLessThanOrEqual(10);
    });
  });
});

describe('a follower that was away', () => {
  const perEntry = VALUE_BYTES + ENVELOPE_BYTES_MAX;

  test('while less than the bound was written gets the entries', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, behind } = await foundWithOneCutOff(cluster);
      await putLarge(leader, Math.floor(LOG_BYTES_MAX / perEntry));
      await settle(leader);
      await rejoin(cluster, leader, behind);
      expect(behind.logged('applied snapshot')).toBe(false);
    });
  });

  test('while just more than the bound was written gets the database', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, behind } = await foundWithOneCutOff(cluster);
      await putLarge(leader, Math.ceil(LOG_BYTES_MAX / VALUE_BYTES) + 1);
      await settle(leader);
      await rejoin(cluster, leader, behind);
      expect(behind.logged('applied snapshot')).toBe(true);
    });
  });

  test('gets the database once, though large entries are written meanwhile', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, behind } = await foundWithOneCutOff(cluster);
      await putLarge(leader, 40);
      await settle(leader);
      behind.env.disk.extraLatencyMs = ({ kind, path }) =>
        kind === 'sync' && path.includes('/snap/tmp-') ? 2000 : 0;
      cluster.world.network.heal();
      await cluster.until('a transfer', () => behind.logged('receiving database snapshot'));
      await putLarge(leader, 100);
      await settle(leader);
      expect(storageOf(leader).payloadBytes).toBeGreaterThan(4 * LOG_BYTES_MAX);
      await rejoin(cluster, leader, behind);
      const sent = leader.log.filter((line) => line.includes('sending merged snapshot'));
      expect(sent).toHaveLength(1);
      // What its receiver may still have needed goes some time after.
      await cluster.sleep(60_000);
      await leader.up.put('after', 'v');
      await settle(leader);
      expect(storageOf(leader).payloadBytes).toBeLessThanOrEqual(LOG_BYTES_MAX);
    });
  });
});

async function foundWithOneCutOff(cluster: SimCluster, bounds = BOUND_IN_BYTES) {
  const hosts = await cluster.found(THREE, bounds);
  const { leader, followers } = await cluster.leaderOf(hosts);
  const [behind] = followers as [SimHost];
  await leader.up.put('before', 'v');
  await cluster.even(hosts);
  cluster.cutOff(behind.name);
  for (const { name } of hosts) cluster.world.network.reset(behind.name, name);
  return { leader, behind };
}

async function rejoin(cluster: SimCluster, leader: SimHost, behind: SimHost): Promise<void> {
  cluster.world.network.heal();
  await cluster.even([leader, behind]);
  expect(behind.up.pairs()).toEqual(leader.up.pairs());
}
