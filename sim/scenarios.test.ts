// Races that runs with random faults have found, each as the steps that lead to it.

import { expect, test } from 'vitest';
import { seededRandom } from '../src/base/index.ts';
import { settle } from './end.ts';
import { peerUrlOf } from './node.ts';
import { runScenario } from './scenario.fixture.ts';

// 1. The leader is paused, and then cut off; another member is elected, and extends the leases once.
// 2. A client renews its lease with the old leader, whose system keeps the request.
// 3. The old leader goes on. Its first timer makes its clock of ticks look regular again.
// 4. It answers the renewal on its own, while the new leader lets the lease expire.
test('a leader that was paused renews no lease that its successor ends', async () => {
  await runScenario({}, async (scenario) => {
    const { cluster, leader } = scenario;
    const ttl = 5;
    const client = scenario.clientOf(leader);
    const { id } = await client.lease.grant(ttl);
    const grantedMs = cluster.nowMs;
    const other = scenario.clientOf(cluster.nodes.find((node) => node !== leader)!);
    leader.pause();
    const others = cluster.nodes.filter((node) => node !== leader).map(({ name }) => name);
    cluster.world.network.partition([leader.name], others);
    expect(await cluster.until(() => cluster.leader !== undefined, 10_000)).toBe(true);
    // Shortly before the old leader would let it expire.
    await cluster.sleep(grantedMs + ttl * 1000 - 100 - cluster.nowMs);
    const calledMs = cluster.nowMs;
    const renewal = client.lease.keepAliveOnce(id).then(
      () => true,
      () => false,
    );
    await cluster.sleep(10);
    leader.resume();
    if (!(await renewal)) return;
    const isOver = async () => (await other.lease.timeToLive(id)).ttl < 0;
    while (!(await isOver())) await cluster.sleep(20);
    expect(cluster.nowMs - calledMs).toBeGreaterThanOrEqual(ttl * 1000);
  });
});

// 1. At cluster version 3.4 the database does not say of which term its newest entry is.
// 2. A member is away until the others' logs begin after its own end.
// 3. The others start again, and the first thing their leader does is to send it its database.
test('a database that is sent before anything was applied is of the right term', async () => {
  const settings = {
    maxClusterVersion: { major: 3, minor: 4 },
    ...{ snapshotCount: 10, snapshotCatchupEntries: 1 },
  };
  await runScenario({ settings }, async (scenario) => {
    const { cluster, leader } = scenario;
    const away = cluster.nodes.find((node) => node !== leader)!;
    away.crash({ seed: 1, unsynced: 'kept' });
    const client = scenario.clientOf(leader);
    for (let i = 0; i < 50; i++) await client.kv.put('k', String(i));
    await cluster.sleep(1000);
    for (const node of cluster.nodes) node.crash({ seed: 1, unsynced: 'kept' });
    for (const node of cluster.nodes) node.start();
    expect(await cluster.until(() => cluster.running.length === 3, 20_000)).toBe(true);
    const revisions = (): number[] =>
      cluster.running.map(({ member }) => member!.parts.store.machine.kv.currentRev);
    expect(await cluster.until(() => Math.min(...revisions()) === 51, 5_000)).toBe(true);
    expect(away.log.join('\n')).toMatch(/restored snapshot \[index: \d+, term: [1-9]/);
  });
});

// 1. A cluster held at 3.6 goes down to 3.5, whose members keep the membership in the `.snap` file.
// 2. A member starts again, from a file that is newer than the entry that began the downgrade.
test('a downgrade to 3.5 goes on after a start from a snapshot', async () => {
  const settings = { maxClusterVersion: { major: 3, minor: 6 }, snapshotCount: 5 };
  await runScenario({ settings }, async (scenario) => {
    const { cluster, leader } = scenario;
    const client = scenario.clientOf(leader);
    await client.maintenance.downgrade('enable', '3.5');
    const isDown = () =>
      cluster.running.every(({ member }) => member!.parts.store.storageVersion === undefined);
    expect(await cluster.until(isDown, 20_000)).toBe(true);
    for (let i = 0; i < 20; i++) await client.kv.put('k', String(i));
    await cluster.sleep(1000);
    const node = cluster.nodes.find((each) => each !== leader)!;
    node.crash({ seed: 1, unsynced: 'kept' });
    node.start();
    expect(await cluster.until(() => node.member !== undefined, 20_000)).toBe(true);
    const { downgrade } = node.member!.parts.store.machine.cluster;
    expect(downgrade).toEqual({ enabled: true, targetVersion: '3.5.0' });
  });
});

// 1. A member is removed, and its machine is added again as a learner.
// 2. The operator does not learn of that, since a list times out, and starts nothing there.
test('a machine that was added again without being started is put right at the end of a run', async () => {
  await runScenario({ size: 5 }, async ({ cluster, leader }) => {
    const node = cluster.nodes.find((each) => each !== leader)!;
    const id = (await cluster.memberId(node))!;
    // A change needs members that have been connected for some time.
    await cluster.sleep(6_000);
    await cluster.call('member remove', (client) => client.cluster.memberRemove(id));
    expect(await cluster.until(() => node.status === 'removed', 20_000)).toBe(true);
    const url = peerUrlOf(node.name);
    await cluster.call('member add', (client) =>
      client.cluster.memberAdd([url], { learner: true }),
    );
    expect(await cluster.memberNames()).toContain(node.name);
    expect(await settle(cluster, seededRandom(1))).toBe(true);
    expect(cluster.running).toHaveLength(5);
  });
});
