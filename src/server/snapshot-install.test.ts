// A follower that is brought up by a snapshot while it serves.

import { describe, expect, test } from 'vitest';
import { SimCluster, type SimHost } from './sim-cluster.fixture.ts';

const THREE = ['m1', 'm2', 'm3'];

/** Puts one after the other, until told to end. */
function writer(host: SimHost, pauseMs: number) {
  const state = { count: 0, ended: false };
  const loop = async (cluster: SimCluster): Promise<void> => {
    while (!state.ended) {
      await host.up.put(`w${state.count % 7}`, String(state.count));
      state.count++;
      await cluster.sleep(pauseMs);
    }
  };
  return { state, loop };
}

/** A cluster one of whose followers is down and has missed more than the log still has. */
async function withOneBehind(cluster: SimCluster) {
  const hosts = await cluster.found(THREE);
  const { leader, followers } = await cluster.leaderOf(hosts);
  const [behind, other] = followers as [SimHost, SimHost];
  for (let i = 0; i < 5; i++) await leader.up.put(`before${i}`, 'x');
  behind.crash('kept');
  for (let i = 0; i < 100; i++) await leader.up.put(`k${i % 10}`, String(i));
  // Until raft's own snapshot is of the last entry: the one that is sent is then the one asked for.
  const isOfNow = () =>
    leader.logged(
      `saved snapshot to disk\t{"snapshot-index": ${leader.up.member.raft.appliedIndex}}`,
    );
  while (!isOfNow()) {
    await Promise.all([1, 2, 3].map((i) => leader.up.put('k', String(i))));
    await cluster.sleep(100);
  }
  return { hosts, leader, behind, other };
}

describe('a snapshot takes the place of the running store', () => {
  test('entries behind it that the log completes with it wait for it', async () => {
    await SimCluster.run(async (cluster) => {
      const { hosts, leader, behind } = await withOneBehind(cluster);
      // The snapshot's file takes long: entries that follow it are held, and complete with it.
      behind.env.disk.extraLatencyMs = ({ kind, path }) =>
        kind === 'rename' && path.endsWith('.snap') ? 400 : 0;
      const { state, loop } = writer(leader, 20);
      const started = behind.start();
      await cluster.until('the file', () => behind.logged('received and saved database snapshot'));
      const writing = loop(cluster);
      await cluster.until('a snapshot', () => behind.logged('applied snapshot'));
      await started;
      await cluster.sleep(500);
      state.ended = true;
      await writing;
      await cluster.even(hosts);
      expect(behind.up.fatal).toEqual([]);
      expect(behind.up.pairs()).toEqual(leader.up.pairs());
      expect(await behind.up.violations()).toEqual([]);
    });
  });

  test('is not disturbed by the same snapshot sent again', async () => {
    await SimCluster.run(async (cluster) => {
      const { hosts, leader, behind } = await withOneBehind(cluster);
      const { network } = cluster.world;
      let renames = 0;
      behind.env.disk.extraLatencyMs = ({ kind, path }) => {
        if (kind === 'rename' && path.endsWith('.snap')) return 4000;
        // Between opening the received file and giving it its final name.
        return kind === 'sync' && path.endsWith('.snap.db') && renames++ > 0 ? 3000 : 0;
      };
      const started = behind.start();
      await cluster.until('a transfer', () => behind.logged('receiving database snapshot'));
      // The leader does not hear that it has arrived.
      network.cut(behind.name, leader.name);
      await cluster.until('the file', () => behind.logged('received and saved database snapshot'));
      network.reset(behind.name, leader.name);
      network.heal();
      await cluster.until(
        'the file again',
        () => behind.log.filter((line) => line.includes('receiving database')).length > 1,
      );
      await cluster.until('a snapshot', () => behind.logged('applied snapshot'));
      await started;
      await leader.up.put('after', '1');
      await cluster.even(hosts);
      await behind.stop();
      await behind.start();
      await cluster.even(hosts);
      expect(behind.up.fatal).toEqual([]);
      expect(behind.up.pairs()).toEqual(leader.up.pairs());
    });
  });
});
