// A cluster of ours goes down to real members of 3.6, one by one, and up again, under load.

import { afterEach, expect, onTestFailed, test } from 'vitest';
import type { Message } from '../helpers/api.ts';
import { realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { Cluster } from './cluster.ts';
import type { ClusterMember, Server } from './cluster-member.ts';
import { clusterVersion, replaceInPlace } from './scenarios.ts';
import { until } from './until.ts';

const TIMEOUT_MS = 180_000;
const [VALIDATE, ENABLE] = [0, 1];
const OFTEN = [
  '--snapshot-count=100',
  '--snapshot-catchup-entries=50',
  '--downgrade-check-time=1s',
];

const clusters: Cluster[] = [];
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

const ours = serverUnderTest();
const real = realEtcd('3.6');

async function downgradeInfoOf(member: ClusterMember): Promise<Message> {
  return (await member.client.must('Maintenance/Status', {}))['downgradeInfo'] as Message;
}

async function storageVersion(cluster: Cluster, version: string): Promise<void> {
  for (const { name, client } of cluster.members) {
    await until(`storage version ${version} at ${name}`, async () => {
      const status = await client.must('Maintenance/Status', {});
      return status['storageVersion'] === version || undefined;
    });
  }
}

describeWith('a cluster of ours goes down to 3.6 and up again', [ours, real], () => {
  test('in place, under load', { timeout: TIMEOUT_MS }, async () => {
    const plain = (): Server => ({ program: need(ours), flags: OFTEN });
    const theirs = (): Server => ({ program: realProgram(need(real)), flags: OFTEN });
    const cluster = await Cluster.start({ servers: [plain(), plain(), plain()] });
    clusters.push(cluster);
    onTestFailed(() => console.error(cluster.logs()));
    await clusterVersion(cluster, '3.7.0');
    await storageVersion(cluster, '3.7.0');

    // One that is down holds it up, and follows when it is back.
    const late = await cluster.follower();
    await late.kill();
    const { client } = (await cluster.leader())!;
    const target = { version: '3.6.0' };
    const valid = await client.must('Maintenance/Downgrade', { action: VALIDATE, ...target });
    expect(valid).toMatchObject({ version: '3.7' });
    await client.must('Maintenance/Downgrade', { action: ENABLE, ...target });
    await late.restart();
    await clusterVersion(cluster, '3.6.0');
    await storageVersion(cluster, '3.6.0');
    for (const member of cluster.members) {
      await member.line(/The server is ready to downgrade/);
      expect(await downgradeInfoOf(member)).toEqual({ enabled: true, targetVersion: '3.6.0' });
    }

    await replaceInPlace(cluster, [theirs()]);
    for (const member of cluster.members) {
      await until(`the end of the downgrade at ${member.name}`, async () => {
        const { enabled = false } = await downgradeInfoOf(member);
        return enabled !== true || undefined;
      });
    }
    await clusterVersion(cluster, '3.6.0');

    await replaceInPlace(cluster, [plain()]);
    await clusterVersion(cluster, '3.7.0');
    await storageVersion(cluster, '3.7.0');
    await cluster.expectEqualHashes();
  });
});
