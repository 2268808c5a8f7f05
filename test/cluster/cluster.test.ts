// The harness itself, on real etcd: what it claims to do to a cluster happens.

import { afterEach, expect, onTestFailed, test } from 'vitest';
import { realProgram } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { Load } from './load.ts';
import { until } from './until.ts';
import { WatchLog } from './watch-log.ts';

const real35 = realEtcd('3.5');

const clusters: Cluster[] = [];
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

async function start(options: Partial<ClusterOptions> = {}): Promise<Cluster> {
  const server = { program: realProgram(need(real35)) };
  const cluster = await Cluster.start({ servers: [server, server, server], ...options });
  clusters.push(cluster);
  onTestFailed(() => console.error(cluster.logs()));
  return cluster;
}

/** Whether a write through it succeeds, tried once. */
async function writes(member: { client: Cluster['members'][number]['client'] }): Promise<boolean> {
  const reply = await member.client.call('KV/Put', { key: 'w' }, { timeoutMs: 1_500 });
  return reply.code === 0;
}

describeWith('a cluster of processes', [real35], () => {
  test('grows, shrinks, changes leaders and loses no write', async () => {
    const cluster = await start();
    const load = new Load(cluster);
    const watch = new WatchLog(cluster.members[1]!.connect(), 2);
    const learner = await cluster.add(cluster.members[0]!.server, { learner: true });
    expect((await learner.status()).isLearner).toBe(true);
    await cluster.promote(learner);
    await cluster.remove(cluster.members[0]!);
    await cluster.moveLeader(learner);
    const follower = await cluster.follower();
    follower.pause();
    expect(cluster.running).not.toContain(follower);
    follower.continue();
    await learner.kill();
    await cluster.leader();
    await learner.restart();
    await load.stop();
    expect(load.acknowledged).toBeGreaterThan(10);
    const revision = await cluster.caughtUp();
    await watch.upTo(revision);
    await watch.stop();
    expect(watch.wrong).toEqual([]);
    expect(watch.events.length).toBe(revision - 1);
    expect(await load.missing(cluster.members[2]!.client)).toEqual([]);
    await cluster.expectEqualHashes();
    expect(await cluster.list()).toHaveLength(3);
  });

  test('links: a leader that is cut off loses its place, and joins again', async () => {
    const cluster = await start({ linked: true });
    const old = await cluster.leader();
    cluster.links.isolate(old.name);
    expect(await writes(old)).toBe(false);
    const others = cluster.members.filter((one) => one !== old);
    await until('a write', async () => (await writes(others[0]!)) || undefined);
    expect(await cluster.leader()).not.toBe(old);
    cluster.links.heal();
    await until('a write through the old leader', async () => (await writes(old)) || undefined);
    await cluster.expectEqualHashes();
  });

  test('links: a leader that hears nobody loses its place', async () => {
    const cluster = await start({ linked: true });
    const old = await cluster.leader();
    const others = cluster.members.filter((one) => one !== old);
    for (const one of others) cluster.links.block(one.name, old.name);
    await until('a write', async () => (await writes(others[0]!)) || undefined);
    cluster.links.heal();
    await until('a write through the old leader', async () => (await writes(old)) || undefined);
    await cluster.expectEqualHashes();
  });

  test('links: slow ones make writes slow', async () => {
    const cluster = await start({ linked: true });
    const leader = await cluster.leader();
    const others = cluster.members.filter((one) => one !== leader);
    for (const one of others) cluster.links.slow(leader.name, one.name, { delayMs: 150 });
    const startedAt = performance.now();
    await leader.client.must('KV/Put', { key: 'slow' });
    expect(performance.now() - startedAt).toBeGreaterThan(140);
    cluster.links.heal();
    for (const one of others) cluster.links.slow(leader.name, one.name, { bytesPerSecond: 1e6 });
    const value = 'x'.repeat(400_000);
    const againAt = performance.now();
    await leader.client.must('KV/Put', { key: 'large', value });
    expect(performance.now() - againAt).toBeGreaterThan(300);
    await cluster.expectEqualHashes();
  });
});
