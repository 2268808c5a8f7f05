// A member that goes on alone.

import { describe, expect, test } from 'vitest';
import { SimCluster, type SimHost, WAL_DIR } from '../testing/sim-cluster.fixture.ts';

const THREE = ['m1', 'm2', 'm3'];
const FORCE = { forceNewCluster: true };
/**
 * The log need not say yet that its last entry is committed: the backend does, after its interval.
 * Before, being forced discards it.
 */
const NOTED_MS = 200;

async function allDown(cluster: SimCluster, puts = 10): Promise<SimHost[]> {
  const hosts = await cluster.found(THREE);
  const { leader } = await cluster.leaderOf(hosts);
  for (let i = 0; i < puts; i++) await leader.up.put(`k${i}`, 'v');
  await cluster.even(hosts);
  await cluster.sleep(NOTED_MS);
  for (const host of hosts) host.crash('kept');
  return hosts;
}

function membersOf(host: SimHost): string[] {
  return host.up.member.parts.store.machine.cluster.members().map(({ name }) => name);
}

describe('a member that is forced to go on alone', () => {
  test('has what it had, serves alone, and stays alone', async () => {
    await SimCluster.run(async (cluster) => {
      const [host] = (await allDown(cluster)) as [SimHost];
      const { clusterId } = await host.start(FORCE).then(({ member }) => member);
      expect(membersOf(host)).toEqual(['m1']);
      expect(host.up.pairs()).toHaveLength(10);
      await host.up.put('alone', '1');
      // Without the flag, and with it once more.
      for (const settings of [{}, FORCE, {}]) {
        await cluster.sleep(NOTED_MS);
        host.crash();
        await host.start(settings);
        expect(membersOf(host)).toEqual(['m1']);
        expect(host.up.pairs()).toHaveLength(11);
        expect(host.up.member.parts.membership.isAlone).toBe(true);
        expect(host.up.member.clusterId).toBe(clusterId);
      }
      // And it can grow again: the ids that were removed do not come back, their URLs may.
      const { changes } = host.up.member.parts;
      expect(await changes.add(['http://m4:2380'], false)).toMatchObject({ members: [{}, {}] });
      const joiner = cluster.add('m4', { names: ['m1', 'm4'], state: 'existing' });
      await joiner.start();
      await joiner.up.put('two', '2');
      await cluster.even([host, joiner]);
      expect(joiner.up.pairs()).toEqual(host.up.pairs());
    });
  });

  test('discards what was not committed', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { leader } = await cluster.leaderOf(hosts);
      await leader.up.put('committed', '1');
      await cluster.even(hosts);
      cluster.cutOff(leader.name);
      leader.up.put('not committed', '1').catch(() => undefined);
      await cluster.sleep(50);
      for (const host of hosts) host.crash('kept');
      cluster.world.network.heal();
      await leader.start(FORCE);
      expect(leader.logged('discarding uncommitted WAL entries')).toBe(true);
      expect(leader.up.pairs().map(({ key }) => key)).toEqual(['committed']);
      await leader.up.put('later', '1');
      leader.crash();
      await leader.start();
      expect(leader.up.pairs().map(({ key }) => key)).toEqual(['committed', 'later']);
    });
  });

  test('may have been a learner', async () => {
    await SimCluster.run(async (cluster) => {
      const [first] = (await cluster.found(['m1'])) as [SimHost];
      await first.up.put('k', 'v');
      await first.up.member.parts.changes.add(['http://m2:2380'], true);
      const learner = cluster.add('m2', { names: ['m1', 'm2'], state: 'existing' });
      await learner.start();
      await cluster.even([first, learner]);
      expect(learner.up.member.parts.membership.isLearner).toBe(true);
      first.crash();
      learner.crash('kept');
      await learner.start(FORCE);
      expect(learner.up.member.parts.membership.isLearner).toBe(false);
      expect(membersOf(learner)).toEqual(['m2']);
      await learner.up.put('alone', '1');
      learner.crash();
      await learner.start();
      expect(learner.up.pairs()).toHaveLength(2);
    });
  });

  test('may crash at any effect, and is forced again', async () => {
    let isOver = false;
    for (let effect = 1; !isOver; effect += 5) {
      await SimCluster.run(async (cluster) => {
        const [host] = (await allDown(cluster)) as [SimHost];
        const { disk } = host.env;
        disk.crashAtEffect(disk.effectCount + effect);
        await host.start(FORCE).catch(() => undefined);
        isOver = !disk.dead;
        host.crash();
        await host.start(FORCE);
        expect(membersOf(host)).toEqual(['m1']);
        expect(host.up.pairs()).toHaveLength(10);
        await host.up.put('alone', '1');
        host.crash();
        await host.start();
        expect(host.up.pairs()).toHaveLength(11);
      }, effect);
    }
  });

  test('is refused, and left as it was, if its backend is ahead of its log', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE, { snapshotCount: 10_000 });
      const { leader, followers } = await cluster.leaderOf(hosts);
      const [host] = followers as [SimHost];
      await host.stop();
      const log = await host.filesOf(WAL_DIR);
      await host.start();
      // Fewer than there are entries to make it alone.
      await leader.up.put('k', 'v');
      await cluster.even(hosts);
      for (const each of hosts) await each.stop();
      await host.replaceFiles(WAL_DIR, log);
      await expect(host.start(FORCE)).rejects.toThrow(/beyond the end of the log in/);
      host.crash('kept');
      expect(await host.filesOf(WAL_DIR)).toEqual(log);
    });
  });
});
