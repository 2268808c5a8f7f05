// A cluster of our members alone: what needs no real etcd beside it.

import { afterEach, expect, onTestFailed, test } from 'vitest';
import { serverUnderTest } from '../helpers/member.ts';
import { describeWith, need } from '../helpers/real-etcd.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import type { Server } from './cluster-member.ts';
import { Load, putMany } from './load.ts';
import { catchUpBySnapshot, clusterVersion, loseLeader, useTogether } from './scenarios.ts';
import { until } from './until.ts';

const TIMEOUT_MS = 90_000;
const ours = serverUnderTest();

const clusters: Cluster[] = [];
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

async function start(count: number, options: Partial<ClusterOptions> = {}): Promise<Cluster> {
  const servers = Array.from({ length: count }, (): Server => ({ program: need(ours) }));
  const cluster = await Cluster.start({ servers, ...options });
  clusters.push(cluster);
  onTestFailed(() => console.error(cluster.logs()));
  return cluster;
}

describeWith('a cluster of ours', [ours], () => {
  test('is used, and loses its leaders', { timeout: TIMEOUT_MS }, async () => {
    const cluster = await start(5);
    await clusterVersion(cluster, '3.7.0');
    await useTogether(cluster, cluster.members[3]!);
    await loseLeader(cluster);
    await loseLeader(cluster);
    expect(cluster.running).toHaveLength(5);
  });

  test('sends snapshots', { timeout: TIMEOUT_MS }, async () => {
    const flags = ['--snapshot-count=100', '--snapshot-catchup-entries=50'];
    const cluster = await start(3, { flags, linked: true });
    const [one, two] = cluster.members;
    await catchUpBySnapshot(cluster, one!, two!, 400);
    await catchUpBySnapshot(cluster, two!, one!, 2_000);
  });

  test('loses nothing when all are killed at once', { timeout: TIMEOUT_MS }, async () => {
    const cluster = await start(3, { flags: ['--snapshot-count=100'] });
    const load = new Load(cluster);
    for (let round = 0; round < 4; round++) {
      const before = load.acknowledged;
      const look = (): true | undefined => load.acknowledged > before + 50 || undefined;
      await until('fifty writes', look);
      await Promise.all(cluster.members.map((one) => one.kill()));
      await Promise.all(cluster.members.map((one) => one.restart()));
      await cluster.leader();
      expect(await load.missing(cluster.members[round % 3]!.client)).toEqual([]);
    }
    await load.stop();
    for (const { client } of cluster.members) expect(await load.missing(client)).toEqual([]);
    await cluster.expectEqualHashes();
  });

  test('does not take a removed member back', { timeout: TIMEOUT_MS }, async () => {
    const cluster = await start(3);
    const removed = await cluster.follower();
    await removed.stop();
    await cluster.remove(removed);
    await expect(removed.restart()).rejects.toThrow(/ended with/);
    expect(removed.log()).toMatch(/removed/);
    await cluster.add(removed.server);
    await cluster.expectEqualHashes();
    expect(await cluster.list()).toHaveLength(3);
  });

  test('is rescued from its last member', { timeout: TIMEOUT_MS }, async () => {
    const cluster = await start(3);
    const [one, two, three] = cluster.members;
    await putMany(one!.client, 'before/', 200);
    await cluster.caughtUp();
    const revision = await cluster.revision();
    // Killed, it might not know that its newest entries are committed, and would discard them.
    for (const member of cluster.members) await member.stop();
    const rescued = { program: need(ours), flags: ['--force-new-cluster'] };
    await one!.restart(rescued);
    for (const lost of [two!, three!]) await cluster.forget(lost);
    expect(await cluster.list()).toHaveLength(1);
    expect(await cluster.revision()).toBe(revision);
    await one!.stop();
    await one!.restart({ program: need(ours) });
    for (let i = 0; i < 2; i++) await cluster.add({ program: need(ours) });
    await putMany(one!.client, 'after/', 200);
    await cluster.expectEqualHashes();
  });
});
