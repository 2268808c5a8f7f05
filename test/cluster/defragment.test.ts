// Members defragmented one after the other while clients write and watch: nothing is lost, and all members
// hold the same afterwards.

import { afterEach, expect, onTestFailed, test } from 'vitest';
import type { Message } from '../helpers/api.ts';
import { realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { Cluster } from './cluster.ts';
import type { ClusterMember, Server } from './cluster-member.ts';
import { Load, putMany } from './load.ts';
import { WatchLog } from './watch-log.ts';

const TIMEOUT_MS = 120_000;
const HISTORY = 4_000;
/** Of writers at a member of ours while it is defragmented, with its neighbours on the same cores. */
const GAP_MS_MAX = 2_000;

const clusters: Cluster[] = [];
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

async function sizesOf(member: ClusterMember): Promise<{ db: number; inUse: number }> {
  const status: Message = await member.client.must('Maintenance/Status', {});
  return { db: Number(status['dbSize']), inUse: Number(status['dbSizeInUse']) };
}

async function defragmentAll(servers: readonly Server[]): Promise<void> {
  const cluster = await Cluster.start({ servers });
  clusters.push(cluster);
  onTestFailed(() => console.error(cluster.logs()));
  const { client } = await cluster.leader();
  await putMany(client, 'history/', HISTORY);
  await client.must('KV/Compact', { revision: await cluster.revision(), physical: true });
  await cluster.caughtUp();
  const from = (await cluster.revision()) + 1;
  const watches = cluster.members.map((one) => new WatchLog(one.connect(), from));
  const load = new Load(cluster);
  for (const member of cluster.members) {
    await load.goesOn(10);
    const before = await sizesOf(member);
    await member.client.must('Maintenance/Defragment', {}, { timeoutMs: 60_000 });
    const after = await sizesOf(member);
    expect(after.db, member.name).toBeLessThan(before.db);
    expect(after.db - after.inUse, member.name).toBeLessThan(before.db / 4);
  }
  await load.goesOn(10);
  await load.stop();
  const last = await cluster.caughtUp();
  for (const watch of watches) {
    await watch.upTo(last);
    await watch.stop();
    expect(watch.wrong).toEqual([]);
  }
  for (const member of cluster.members) expect(await load.missing(member.client)).toEqual([]);
  await cluster.expectEqualHashes();
  if (servers.every(({ program }) => program.name === servers[0]!.program.name)) {
    expect(load.longestGapMs).toBeLessThan(GAP_MS_MAX);
  }
}

const ours = serverUnderTest();
const plain = (): Server => ({ program: need(ours) });

describeWith('defragmentation under load', [ours], () => {
  test('of three members of ours', { timeout: TIMEOUT_MS }, async () => {
    await defragmentAll([plain(), plain(), plain()]);
  });
});

for (const release of ['3.5', '3.7'] as const) {
  const real = realEtcd(release);
  const theirs = (): Server => ({ program: realProgram(need(real)) });
  describeWith(`defragmentation under load, with etcd ${release}`, [ours, real], () => {
    test('of one real member and two of ours', { timeout: TIMEOUT_MS }, async () => {
      await defragmentAll([plain(), plain(), theirs()]);
    });
  });
}
