// Members of ours and of real etcd in one cluster: used together, joining, catching up, replaced.

import { afterEach, expect, onTestFailed, test } from 'vitest';
import { realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, type Release, realEtcd } from '../helpers/real-etcd.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import type { ClusterMember, Server } from './cluster-member.ts';
import { putMany } from './load.ts';
import {
  catchUpBySnapshot,
  clusterVersion,
  join,
  loseLeader,
  replaceByFresh,
  replaceInPlace,
  useTogether,
} from './scenarios.ts';
import { KEPT, SNAPSHOT_COUNT, snapshotsOften } from './snapshots-often.ts';
import { until } from './until.ts';

const TIMEOUT_MS = 60_000;

const clusters: Cluster[] = [];
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

async function start(servers: readonly Server[], options: Partial<ClusterOptions> = {}) {
  const cluster = await Cluster.start({ servers, ...options });
  clusters.push(cluster);
  onTestFailed(() => console.error(cluster.logs()));
  return cluster;
}

const ours = serverUnderTest();

for (const release of ['3.5', '3.4'] as const satisfies readonly Release[]) {
  const real = realEtcd(release);
  const theirs = (): Server => ({ program: realProgram(need(real)) });
  const plain = (): Server => ({ program: need(ours) });
  /** Stays what `theirs` can follow, even while no real member is there. */
  const held = (): Server => ({ ...plain(), flags: [`--max-cluster-version=${release}`] });

  describeWith(`a cluster of ours and etcd ${release}`, [ours, real], () => {
    const mixes = [
      { name: 'one real member and two of ours', servers: () => [theirs(), plain(), plain()] },
      { name: 'two real members and one of ours', servers: () => [plain(), theirs(), theirs()] },
    ];
    for (const { name, servers } of mixes) {
      test(`is used: ${name}`, { timeout: TIMEOUT_MS }, async () => {
        const cluster = await start(servers());
        await clusterVersion(cluster, `${release}.0`);
        await useTogether(cluster, cluster.members[0]!);
        await useTogether(cluster, cluster.members[1]!);
        await loseLeader(cluster);
        await loseLeader(cluster);
        expect(cluster.running).toHaveLength(3);
      });
    }

    test('ours join a real member', { timeout: TIMEOUT_MS }, async () => {
      const cluster = await start([snapshotsOften(theirs())]);
      await join(cluster, [snapshotsOften(held()), snapshotsOften(held())]);
    });

    test('real members join one of ours', { timeout: TIMEOUT_MS }, async () => {
      const cluster = await start([snapshotsOften(held())]);
      await join(cluster, [snapshotsOften(theirs()), snapshotsOften(theirs())]);
    });

    test('snapshots go both ways', { timeout: TIMEOUT_MS }, async () => {
      const servers = [theirs(), plain(), plain()].map(snapshotsOften);
      const cluster = await start(servers, { linked: true });
      const [real, one] = cluster.members;
      const missed = (sender: ClusterMember): number =>
        KEPT[sender.server.program.release] + 4 * SNAPSHOT_COUNT;
      await catchUpBySnapshot(cluster, real!, one!, missed(real!));
      await catchUpBySnapshot(cluster, one!, real!, missed(one!));
    });

    // Of 3.5 with users and certificates: `secured.test.ts`.
    test.skipIf(release === '3.5')(
      'is replaced by ours and back, in place',
      { timeout: 2 * TIMEOUT_MS },
      async () => {
        const cluster = await start([theirs(), theirs(), theirs()].map(snapshotsOften));
        await replaceInPlace(cluster, [held(), theirs()].map(snapshotsOften));
      },
    );

    test('is replaced by fresh ones of ours and back', { timeout: 2 * TIMEOUT_MS }, async () => {
      // That check wants every member to be connected for five seconds before each change.
      const flags = ['--strict-reconfig-check=false'];
      const servers = [theirs(), theirs(), theirs()].map(snapshotsOften);
      const cluster = await start(servers, { flags });
      await replaceByFresh(cluster, [held(), theirs()].map(snapshotsOften));
    });
  });
}

const newest = realEtcd('3.7');
describeWith('a cluster of ours and etcd 3.7', [ours, newest], () => {
  // A real member that has got a database refuses everything until an entry follows, if the database
  // is so far ahead of its log: it takes itself for one that lags.
  const FAR = 5_200;
  const plain = (): Server => snapshotsOften({ program: need(ours) });
  const theirs = (): Server => ({ program: realProgram(need(newest)) });

  test('real members join while nobody writes', { timeout: 2 * TIMEOUT_MS }, async () => {
    const cluster = await start([plain()]);
    await putMany(cluster.members[0]!.client, 'before/', FAR);
    for (const learner of [true, false]) {
      const joined = await cluster.add(theirs(), { learner });
      const listed = async (): Promise<true | undefined> => {
        const list = await cluster.list();
        return list.some(({ ID, name }) => ID === joined.id && name === joined.name) || undefined;
      };
      await until(`the name of ${joined.name}`, listed);
      if (learner) await cluster.promote(joined);
    }
    expect(await cluster.revision()).toBe(1 + FAR);
    await cluster.expectEqualHashes();
  });

  test('a real member catches up while nobody writes', { timeout: 2 * TIMEOUT_MS }, async () => {
    const cluster = await start([plain(), plain(), theirs()], { linked: true });
    const [leader, , real] = cluster.members;
    await cluster.moveLeader(leader!);
    cluster.links.isolate(real!.name);
    await putMany(leader!.client, 'missed/', FAR);
    cluster.links.heal();
    await cluster.caughtUp();
    const put = async (): Promise<true | undefined> =>
      (await real!.client.call('KV/Put', { key: 'after', value: 'x' })).code === 0 || undefined;
    await until(`a write through ${real!.name}`, put);
    await cluster.expectEqualHashes();
  });
});
