// Changes of the membership: what is refused beforehand, what when it is applied, and who decides.

import { describe, expect, test } from 'vitest';
import { formatId } from '../../membership/index.ts';
import { peerUrlOf, SimCluster, type SimHost } from '../testing/sim-cluster.fixture.ts';

const THREE = ['m1', 'm2', 'm3'];
/** Until links count as healthy. */
const HEALTHY_MS = 6000;

async function three(cluster: SimCluster): Promise<{
  hosts: SimHost[];
  leader: SimHost;
  followers: [SimHost, SimHost];
}> {
  const hosts = await cluster.found(THREE);
  const { leader, followers } = await cluster.leaderOf(hosts);
  await cluster.sleep(HEALTHY_MS);
  return { hosts, leader, followers: followers as [SimHost, SimHost] };
}

const changesOf = ({ up }: SimHost) => up.member.parts.changes;
const idOf = ({ up }: SimHost) => up.member.memberId;

describe('a change that the cluster makes', () => {
  test('a member is moved to another address, with its data', async () => {
    await SimCluster.run(async (cluster) => {
      const { hosts, leader, followers } = await three(cluster);
      const [moved] = followers;
      await moved.stop();
      const other = cluster.world.machine('elsewhere');
      await other.network.listen({ host: '', port: 9 }, () => undefined);
      expect(await changesOf(leader).update(idOf(leader), [peerUrlOf(leader.name)])).toMatchObject({
        members: [{}, {}, {}],
      });
      const id = leader.up.member.parts.store.machine.cluster
        .members()
        .find(({ name }) => name === moved.name)!.id;
      expect(await changesOf(leader).update(id, ['http://elsewhere:2380'])).toHaveProperty(
        'members',
      );
      await moved.start().catch(() => undefined);
      await cluster.even(hosts);
      const urls = leader.up.member.parts.store.machine.cluster.member(id)?.peerURLs;
      expect(urls).toEqual(['http://elsewhere:2380']);
      // Nobody reaches it there, but it reaches the others.
      await moved.up.put('a', '1');
    });
  });

  test('refusals of the log, with etcd errors', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, followers } = await three(cluster);
      const { add, update, remove, promote } = {
        add: (name: string, isLearner = false) =>
          changesOf(leader).add([peerUrlOf(name)], isLearner),
        update: (id: bigint, name: string) => changesOf(leader).update(id, [peerUrlOf(name)]),
        remove: (id: bigint) => changesOf(leader).remove(id),
        promote: (id: bigint) => changesOf(leader).promote(id),
      };
      const taken = followers[0].name;
      expect(await add(taken)).toHaveProperty('error', 'PEER_URL_EXIST');
      expect(await update(9n, 'm9')).toHaveProperty('error', 'MEMBER_NOT_FOUND');
      expect(await update(idOf(leader), taken)).toHaveProperty('error', 'PEER_URL_EXIST');
      expect(await remove(9n)).toHaveProperty('error', 'MEMBER_NOT_FOUND');
      expect(await promote(9n)).toHaveProperty('error', 'MEMBER_NOT_FOUND');
      expect(await promote(idOf(leader))).toHaveProperty('error', 'MEMBER_NOT_LEARNER');
      const { id } = await add('m4', true);
      expect(await add('m5', true)).toHaveProperty('error', 'TOO_MANY_LEARNERS');
      expect(await remove(id)).toHaveProperty('members');
      expect(await remove(id)).toHaveProperty('error', 'MEMBER_NOT_FOUND');
      expect(await update(id, 'm6')).toHaveProperty('error', 'MEMBER_NOT_FOUND');
      expect(await changesOf(followers[0]).remove(id)).toHaveProperty('error', 'MEMBER_NOT_FOUND');
    });
  });
});

test('a member that lost its address is linked up with once it has another', async () => {
  await SimCluster.run(async (cluster) => {
    const hosts = await cluster.found(['m1']);
    const [host] = hosts as [SimHost];
    const { id } = await changesOf(host).add([peerUrlOf('m2')], true);
    // As etcd, nobody looks at what an update brings.
    expect(await changesOf(host).update(id, [])).toHaveProperty('members');
    expect(host.logged('cannot link up with a member')).toBe(true);
    await host.stop();
    await host.start();
    expect(await changesOf(host).update(id, [peerUrlOf('m2')])).toHaveProperty('members');
    const learner = cluster.add('m2', { names: ['m1', 'm2'], state: 'existing' });
    await learner.start();
    await cluster.even([host, learner]);
  });
});

describe('--strict-reconfig-check refuses', () => {
  test('to add or remove while links are young', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { leader, followers } = await cluster.leaderOf(hosts);
      const add = () => changesOf(leader).add([peerUrlOf('m4')], false);
      expect(await add()).toHaveProperty('error', 'UNHEALTHY');
      expect(await changesOf(leader).remove(idOf(followers[0]!))).toEqual({ error: 'UNHEALTHY' });
      await cluster.sleep(HEALTHY_MS);
      expect(await add()).toHaveProperty('members');
    });
  });

  test('to add while a voter has not started, or is away', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, followers } = await three(cluster);
      const add = (name: string, learner = false) =>
        changesOf(leader).add([peerUrlOf(name)], learner);
      followers[0].crash();
      await cluster.sleep(1000);
      // Of four voters two could be reached.
      expect(await add('m4')).toHaveProperty('error', 'UNHEALTHY');
      expect(await add('m4', true)).toHaveProperty('error', 'UNHEALTHY');
      await followers[0].start();
      await cluster.sleep(HEALTHY_MS);
      expect(await add('m4')).toHaveProperty('members');
      expect(await add('m5')).toHaveProperty('members');
      expect(await add('m6')).toHaveProperty('error', 'MEMBER_NOT_ENOUGH_STARTED');
    });
  });

  test('to add a second voter that has not started to one that has', async () => {
    await SimCluster.run(async (cluster) => {
      const [host] = (await cluster.found(['m1'])) as [SimHost];
      expect(await changesOf(host).add([peerUrlOf('m2')], false)).toHaveProperty('members');
      expect(await changesOf(host).add([peerUrlOf('m3')], false)).toHaveProperty(
        'error',
        'MEMBER_NOT_ENOUGH_STARTED',
      );
    });
  });

  test('to remove one that works while another is down, but not one that is down', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, followers } = await three(cluster);
      const [up, down] = followers;
      const downId = idOf(down);
      down.crash();
      await cluster.sleep(1000);
      expect(await changesOf(leader).remove(idOf(up))).toEqual({ error: 'UNHEALTHY' });
      expect(await changesOf(leader).remove(downId)).toMatchObject({ members: [{}, {}] });
    });
  });

  test('nothing of that kind without it', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE, { strictReconfigCheck: false });
      const { leader } = await cluster.leaderOf(hosts);
      expect(await changesOf(leader).add([peerUrlOf('m4')], false)).toHaveProperty('members');
    });
  });
});

describe('a learner', () => {
  async function withLearner(cluster: SimCluster) {
    const { hosts, leader, followers } = await three(cluster);
    for (let i = 0; i < 30; i++) await leader.up.put(`k${i}`, 'v');
    const { id } = await changesOf(leader).add([peerUrlOf('m4')], true);
    const learner = cluster.add('m4', { names: [...THREE, 'm4'], state: 'existing' });
    return { hosts, leader, followers, id, learner };
  }

  test('is promoted by the leader, asked anywhere, once it has caught up', async () => {
    await SimCluster.run(async (cluster) => {
      const { hosts, leader, followers, id, learner } = await withLearner(cluster);
      for (const host of [leader, ...followers]) {
        expect(await changesOf(host).promote(id)).toEqual({ error: 'LEARNER_NOT_READY' });
      }
      await learner.start();
      expect(learner.up.member.parts.membership.isLearner).toBe(true);
      await cluster.even([...hosts, learner]);
      expect(await changesOf(followers[0]).promote(9n)).toEqual({ error: 'MEMBER_NOT_FOUND' });
      // It may even ask for it itself.
      const promoted = await changesOf(learner).promote(id);
      expect(promoted.error).toBeUndefined();
      expect(promoted).toMatchObject({ members: [{}, {}, {}, {}] });
      await cluster.even([...hosts, learner]);
      expect(learner.up.member.parts.membership.isLearner).toBe(false);
      for (const host of [leader, followers[1], learner]) {
        expect(await changesOf(host).promote(id)).toEqual({ error: 'MEMBER_NOT_LEARNER' });
      }
      const { metrics } = leader.up.member.parts;
      expect(metrics.server.learnerPromotions.value).toBe(1);
    });
  });

  test('is not promoted without a leader', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, followers, id } = await withLearner(cluster);
      leader.crash();
      followers[0].crash();
      await cluster.until('it is known', () => followers[1].up.member.parts.raft.leader === 0n);
      expect(await changesOf(followers[1]).promote(id)).toEqual({ error: 'NO_LEADER' });
    });
  });

  test('is not promoted by a leader that has not applied what it knows of', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, id } = await withLearner(cluster);
      const { member } = leader.up;
      Object.defineProperty(member.parts.raft, 'isCaughtUp', { value: false });
      member.parts.appliedWaits.whenCaughtUp = async () => false;
      expect(await changesOf(leader).promote(id)).toEqual({ error: 'TIMEOUT_WAIT_APPLIED_INDEX' });
    });
  });

  test('may be removed at any time, and a voter never becomes one', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, followers, id } = await withLearner(cluster);
      for (const host of followers) host.crash('kept');
      const removed = changesOf(leader).remove(id);
      await cluster.sleep(100);
      await Promise.all(followers.map((host) => host.start()));
      // It was proposed before, and is decided by whoever leads then.
      const outcome = await removed;
      expect([undefined, 'TIMEOUT_DUE_TO_LEADER_FAIL', 'TIMEOUT']).toContain(outcome.error);
      expect(formatId(id)).toMatch(/^[0-9a-f]+$/);
    });
  });
});
