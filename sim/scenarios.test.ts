// Races that runs with random faults have found, each as the steps that lead to it.

import { expect, test } from 'vitest';
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
