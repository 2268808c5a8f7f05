// A follower that is brought up by a snapshot while it serves.

import { describe, expect, test } from 'vitest';
import { WatchStream } from '../../mvcc/index.ts';
import { Sink } from '../../store/testing/install.fixture.ts';
import { SimCluster, type SimHost, SNAP_DIR } from '../testing/sim-cluster.fixture.ts';

/** Every effect in place of every ninth one. */
const FULL = process.env['CRASH_FULL'] === '1';

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
      `saved snapshot to disk\t{"snapshot-index": ${leader.up.member.parts.raft.appliedIndex}}`,
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
      behind.env.disk.extraLatencyMs = ({ kind, path }) => {
        if (kind === 'rename' && path.endsWith('.snap')) return 4000;
        // Before it is answered, and between opening the received file and giving it its final name.
        return kind === 'sync' && path.endsWith('.snap.db') ? 3000 : 0;
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

  test('or does not, wherever the follower crashes, which then catches up again', {
    timeout: 120_000,
  }, async () => {
    let effects = 0;
    let isOver = false;
    for (let effect = 1; !isOver; effect += FULL ? 1 : 9) {
      await SimCluster.run(async (cluster) => {
        const { hosts, leader, behind } = await withOneBehind(cluster);
        const { disk } = behind.env;
        const acknowledged = (await behind.filesOf(SNAP_DIR)).size;
        expect(acknowledged).toBeGreaterThan(0);
        disk.crashAtEffect(disk.effectCount + effect);
        void behind.start();
        const isDone = () => disk.dead || behind.running !== undefined;
        await cluster.until('it serves or dies', isDone);
        // What is applied is written later.
        for (let i = 0; i < 10 && !disk.dead; i++) {
          await leader.up.put(`more${i}`, 'x');
          await cluster.sleep(20);
        }
        isOver = !disk.dead;
        effects = effect;
        behind.crash('random');
        await behind.start();
        await leader.up.put('last', 'x');
        await cluster.even(hosts);
        expect(behind.fatal).toEqual([]);
        expect(behind.up.pairs()).toEqual(leader.up.pairs());
        expect(await behind.up.hashKv(0)).toEqual(await leader.up.hashKv(0));
        expect(await behind.up.violations()).toEqual([]);
        const left = await behind.env.disk.list(SNAP_DIR);
        expect(left.filter((name) => name.startsWith('tmp'))).toEqual([]);
      }, effect);
    }
    expect(effects).toBeGreaterThan(20);
  });

  test('under watchers, who miss nothing and see nothing twice', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { leader, followers } = await cluster.leaderOf(hosts);
      const [behind] = followers as [SimHost];
      const { watch } = behind.up.member.parts.store.machine;
      const sink = new Sink();
      const made = watch.hub.watch(new WatchStream(sink), 0n, {
        key: '\0',
        rangeEnd: '\0',
        startRev: 0,
        noPut: false,
        noDelete: false,
        withPrevious: false,
      });
      if (!made.ok) throw new Error(made.reason);
      const revisions = () => sink.of(made.watcher).map(({ main }) => main);
      await leader.up.put('first', '1');
      await cluster.even(hosts);
      cluster.cutOff(behind.name);
      for (const { name } of hosts) cluster.world.network.reset(behind.name, name);
      for (let i = 0; i < 150; i++) await leader.up.put(`k${i % 10}`, String(i));
      cluster.world.network.heal();
      await cluster.until('a snapshot', () => behind.logged('applied snapshot'));
      for (let i = 0; i < 10; i++) await leader.up.put('after', String(i));
      await cluster.even(hosts);
      await cluster.sleep(500);
      expect(revisions()).toEqual(Array.from({ length: 161 }, (_, i) => i + 2));
    });
  });
});
