// Handing leadership over, and what is said of time that ran out.

import { describe, expect, test } from 'vitest';
import { Cluster, emptyState } from '../../membership/index.ts';
import { SimCluster, type SimHost } from '../testing/sim-cluster.fixture.ts';
import { timeoutErrorOf } from './timeout-error.ts';

const THREE = ['m1', 'm2', 'm3'];

async function three(cluster: SimCluster) {
  const hosts = await cluster.found(THREE);
  const { leader, followers } = await cluster.leaderOf(hosts);
  return { hosts, leader, followers: followers as [SimHost, SimHost] };
}

const idOf = ({ up }: SimHost): bigint => up.member.memberId;

describe('a leader', () => {
  test('moves leadership to a voter', async () => {
    await SimCluster.run(async (cluster) => {
      const { hosts, leader, followers } = await three(cluster);
      const began = cluster.nowMs;
      expect(await leader.up.member.parts.leadership.moveTo(idOf(followers[1]))).toBeUndefined();
      expect(cluster.nowMs - began).toBeLessThan(100);
      await cluster.until('all know', () => cluster.leaderAmong(hosts) === followers[1]);
      // To the one that leads: nothing to do.
      const { leadership } = followers[1].up.member.parts;
      expect(await leadership.moveTo(idOf(followers[1]))).toBeUndefined();
    });
  });

  test('does not move it to a learner or to nobody', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader } = await three(cluster);
      const { leadership, changes } = leader.up.member.parts;
      expect(await leadership.moveTo(9n)).toBe('BAD_LEADER_TRANSFEREE');
      await cluster.sleep(6000);
      const { id } = await changes.add(['http://m4:2380'], true);
      expect(await leadership.moveTo(id)).toBe('BAD_LEADER_TRANSFEREE');
    });
  });

  test('gives up on one that is away, and goes on', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, followers } = await three(cluster);
      const id = idOf(followers[0]);
      followers[0].crash();
      const began = cluster.nowMs;
      expect(await leader.up.member.parts.leadership.moveTo(id)).toBe('TIMEOUT_LEADER_TRANSFER');
      expect(cluster.nowMs - began).toBeGreaterThan(6999);
      await leader.up.put('a', '1');
      expect(leader.leads).toBe(true);
    });
  });

  test('that stops hands over first: writes go on at once', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, followers } = await three(cluster);
      await leader.up.put('a', '1');
      const stopped = leader.stop();
      await cluster.until('another leads', () => followers.some((host) => host.leads), 300);
      await followers[0].up.put('b', '2');
      await stopped;
      expect(leader.logged('leadership transfer finished')).toBe(true);
      await leader.start();
      await cluster.even([leader, ...followers]);
    });
  });

  test('that stops alone, or as a follower, hands nothing over', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, followers } = await three(cluster);
      await followers[0].stop();
      expect(followers[0].logged('skipped leadership transfer; local server is not leader')).toBe(
        true,
      );
      followers[1].crash();
      await cluster.sleep(100);
      const began = cluster.nowMs;
      await leader.stop();
      expect(cluster.nowMs - began).toBeLessThan(8000);
      expect(leader.logged('leadership transfer failed')).toBe(true);
      const one = (await cluster.found(['n1']))[0]!;
      await one.stop();
      const text = 'skipped leadership transfer for single voting member cluster';
      expect(one.logged(text)).toBe(true);
    });
  });
});

describe('read index rounds', () => {
  test('of all members have names of their own', async () => {
    await SimCluster.run(async (cluster) => {
      const { hosts } = await three(cluster);
      const names = new Set<bigint>();
      for (const { up } of hosts) {
        for (let i = 0; i < 50; i++) names.add(up.member.parts.requestIds.nextWhole());
      }
      expect(names.size).toBe(150);
    });
  });

  test('answer followers while many ask at once, and see every write before', async () => {
    await SimCluster.run(async (cluster) => {
      const { hosts, leader } = await three(cluster);
      for (let i = 0; i < 20; i++) {
        await leader.up.put('a', String(i));
        await Promise.all(
          hosts.map(async ({ up }) => {
            await up.linearizable();
            expect(up.pairs()[0]!.value).toBe(String(i));
          }),
        );
      }
    });
  });

  test('fail at a leader that was replaced without knowing', async () => {
    await SimCluster.run(async (cluster) => {
      const { hosts, leader, followers } = await three(cluster);
      await leader.up.put('a', 'old');
      await cluster.even(hosts);
      leader.env.pause();
      await cluster.until('another leads', () => followers.some((host) => host.leads));
      await followers[0].up.put('a', 'new');
      leader.env.resume();
      // Whatever comes first: either it fails, or it shows what is new.
      const read = async (): Promise<string> => {
        await leader.up.linearizable();
        return leader.up.pairs()[0]!.value;
      };
      const outcomes = new Set<string>();
      for (let i = 0; i < 50; i++) {
        outcomes.add(await read().catch((error: Error) => error.message));
        await cluster.sleep(0.3);
      }
      expect(outcomes).not.toContain('old');
      expect(outcomes).toContain('new');
    });
  });
});

describe('a proposal that runs out of time', () => {
  const failed = (host: SimHost): Promise<string> =>
    host.up.put('x', '1').then(
      () => 'done',
      (error: Error) => error.message,
    );

  test('with another error for each reason', async () => {
    await SimCluster.run(async (cluster) => {
      const { leader, followers } = await three(cluster);
      // The leader is cut off from a follower that does not know yet.
      for (const { name } of [leader, followers[1]]) cluster.cutOff(followers[0].name, name);
      for (const { name } of [leader, followers[1]]) {
        cluster.world.network.reset(followers[0].name, name);
      }
      expect(await failed(followers[0])).toBe('TIMEOUT');
      cluster.world.network.heal();
      await cluster.leaderOf([leader, ...followers]);
      // Both followers are gone: the leader knows it after a while, and is none.
      for (const host of followers) host.crash();
      expect(await failed(leader)).toMatch(/^TIMEOUT/);
    });
  });

  test('is judged by who led, and by links', () => {
    const NO_ATTRIBUTES = { name: '', peerURLs: [], clientURLs: [], isLearner: false };
    const members = [1n, 2n, 3n].map((id) => ({ ...NO_ATTRIBUTES, id }));
    const cluster = new Cluster({ ...emptyState(0), members }, { clusterId: 1n, maxLearners: 1 });
    const judged = (leader: bigint, electedMs: number, linkedSince: number | undefined) => ({
      memberId: 1n,
      config: { electionMs: 1000 },
      raft: { leader },
      leadership: { electedMs },
      store: { machine: { cluster } },
      peers: {
        isConnectedSince: (_id: bigint, sinceMs: number) =>
          linkedSince !== undefined && linkedSince < sinceMs,
        connectedCount: (_members: unknown, sinceMs: number) =>
          linkedSince !== undefined && linkedSince < sinceMs ? 3 : 1,
      },
    });
    const never = Number.NEGATIVE_INFINITY;
    expect(timeoutErrorOf(judged(1n, 5000, 0), 4000)).toBe('TIMEOUT_DUE_TO_LEADER_FAIL');
    expect(timeoutErrorOf(judged(1n, 5000, 0), 3000)).toBe('TIMEOUT');
    expect(timeoutErrorOf(judged(1n, 5000, 0), 5000)).toBe('TIMEOUT');
    expect(timeoutErrorOf(judged(1n, never, 100), 50)).toBe('TIMEOUT_DUE_TO_CONNECTION_LOST');
    expect(timeoutErrorOf(judged(1n, never, undefined), 50)).toBe('TIMEOUT_DUE_TO_CONNECTION_LOST');
    expect(timeoutErrorOf(judged(2n, never, 100), 50)).toBe('TIMEOUT_DUE_TO_CONNECTION_LOST');
    expect(timeoutErrorOf(judged(2n, never, 10), 50)).toBe('TIMEOUT');
    expect(timeoutErrorOf(judged(0n, never, undefined), 50)).toBe('TIMEOUT');
  });
});
