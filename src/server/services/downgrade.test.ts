// A downgrade of a cluster, as a client begins and cancels it, and what becomes of versions meanwhile.

import { describe, expect, test } from 'vitest';
import { formatVersion } from '../../membership/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { call } from '../testing/local-client.fixture.ts';
import { jsonAnswer, peerUrlOf, SimCluster, type SimHost } from '../testing/sim-cluster.fixture.ts';

const { DowngradeAction, MaintenanceService } = etcdserverpb;
const { methods } = MaintenanceService;
const THREE = ['m1', 'm2', 'm3'];

/** The cluster version that is answered, or the refusal. */
async function downgrade(host: SimHost, action: number, version = ''): Promise<unknown> {
  const answer = await call(host.up.member, methods.downgrade, { action, version });
  return 'version' in answer ? answer.version : answer;
}

const validate = (host: SimHost, version: string) =>
  downgrade(host, DowngradeAction.VALIDATE, version);
const enable = (host: SimHost, version: string) => downgrade(host, DowngradeAction.ENABLE, version);
const cancel = (host: SimHost) => downgrade(host, DowngradeAction.CANCEL);

interface Versions {
  readonly cluster: string;
  readonly storage: string;
  readonly target: string | undefined;
}

async function versionsOf(host: SimHost): Promise<Versions> {
  const { version } = host.up.member.parts.store.machine.cluster;
  const status = await call(host.up.member, methods.status, {});
  if (!('downgradeInfo' in status)) throw new Error(status[1]);
  const { enabled = false, targetVersion = '' } = status.downgradeInfo ?? {};
  const cluster = version === undefined ? 'none' : formatVersion(version);
  return { cluster, storage: status.storageVersion, target: enabled ? targetVersion : undefined };
}

const at = (cluster: string, target?: string): Versions => ({
  cluster,
  storage: `${cluster}.0`,
  target,
});

const INVALID = [3, 'etcdserver: invalid downgrade target version'];
const MALFORMED = [3, 'etcdserver: wrong downgrade target version format'];
const IN_PROCESS = [9, 'etcdserver: cluster has a downgrade job in progress'];

test('a member alone: what is refused, and the way down and up', async () => {
  await SimCluster.run(async (cluster) => {
    const host = cluster.add('m1', { names: ['m1'] });
    await host.start();
    await cluster.sleep(100);
    expect(await versionsOf(host)).toEqual(at('3.7'));
    for (const text of ['', '3', 'v3.6', '3.6.x']) {
      expect(await validate(host, text)).toEqual(MALFORMED);
      expect(await enable(host, text)).toEqual(MALFORMED);
    }
    for (const text of ['3.7', '3.5', '3.8.0', '2.6.0', '4.6']) {
      expect(await validate(host, text)).toEqual(INVALID);
      expect(await enable(host, text)).toEqual(INVALID);
    }
    expect(await downgrade(host, 7, '3.6')).toEqual([2, 'etcdserver: unknown method']);
    expect(host.logged('reject downgrade request')).toBe(true);
    expect(await validate(host, '3.6')).toBe('3.7');
    // Nothing to cancel is no failure to a client, as in etcd.
    expect(await cancel(host)).toBe('3.7');
    expect(host.logged('etcdserver: no inflight downgrade job')).toBe(true);
    expect(await versionsOf(host)).toEqual(at('3.7'));

    expect(await enable(host, '3.6.0')).toBe('3.7');
    expect(await enable(host, '3.6')).toEqual(IN_PROCESS);
    await cluster.sleep(5000);
    expect(await versionsOf(host)).toEqual(at('3.6', '3.6.0'));
    expect(host.logged('Cluster version downgrade detected, forcing snapshot')).toBe(true);
    expect(host.logged('The server is ready to downgrade')).toBe(true);
    expect(await validate(host, '3.5')).toEqual(IN_PROCESS);
    expect(await validate(host, '3.6')).toEqual(INVALID);

    // Started again it stays there: the downgrade goes on.
    await host.stop();
    await host.start();
    expect(host.logged('cluster is downgrading to target version')).toBe(true);
    await cluster.sleep(10_000);
    expect(await versionsOf(host)).toEqual(at('3.6', '3.6.0'));
    expect(host.logged('remotes server has mismatching etcd version')).toBe(true);

    expect(await cancel(host)).toBe('3.6');
    await cluster.sleep(5000);
    expect(await versionsOf(host)).toEqual(at('3.7'));
    expect(host.fatal).toEqual([]);
  });
});

test('three members: a follower is asked as well as the leader, a learner is not', async () => {
  await SimCluster.run(async (cluster) => {
    const hosts = await cluster.found(THREE);
    const { leader, followers } = await cluster.leaderOf(hosts);
    const [follower, other] = followers as [SimHost, SimHost];
    const all = async () => Promise.all(hosts.map(versionsOf));
    expect(await enable(follower, '3.6')).toBe('3.7');
    await cluster.even(hosts);
    expect((await all()).map(({ target }) => target)).toEqual(['3.6.0', '3.6.0', '3.6.0']);
    // One that crashes at any moment comes to the same.
    other.crash();
    await other.start();
    await cluster.sleep(6000);
    expect(await all()).toEqual([at('3.6', '3.6.0'), at('3.6', '3.6.0'), at('3.6', '3.6.0')]);
    const { header } = (await call(leader.up.member, methods.downgrade, {
      action: DowngradeAction.CANCEL,
    })) as etcdserverpb.DowngradeResponse;
    expect(header).toMatchObject({ memberId: leader.up.member.memberId, revision: 1 });
    await cluster.sleep(6000);
    expect(await all()).toEqual([at('3.7'), at('3.7'), at('3.7')]);

    await leader.up.member.parts.changes.add([peerUrlOf('m4')], true);
    const learner = cluster.add('m4', { names: [...THREE, 'm4'], state: 'existing' });
    await learner.start();
    const refusal = [9, 'etcdserver: rpc not supported for learner'];
    for (const action of Object.values(DowngradeAction)) {
      expect(await downgrade(learner, action, '3.6')).toEqual(refusal);
    }
  });
});

test('without a quorum nothing is answered, and nothing begun', async () => {
  await SimCluster.run(async (cluster) => {
    const hosts = await cluster.found(THREE);
    const { leader, followers } = await cluster.leaderOf(hosts);
    for (const { name } of followers) cluster.cutOff(name);
    const outcomes = [validate(leader, '3.6'), enable(leader, '3.6'), cancel(leader)];
    for (const outcome of await Promise.all(outcomes)) {
      expect(outcome).toEqual([14, expect.stringMatching(/^etcdserver: /)]);
    }
  });
});

describe('a leader whose cluster is downgraded', () => {
  test('ends it once every member runs the target', async () => {
    await SimCluster.run(async (cluster) => {
      const host = cluster.add('m1', { names: ['m1'] });
      await host.start();
      let release = '3.7.1';
      await cluster.fake('x1', (path) =>
        path === '/version' ? jsonAnswer({ etcdserver: release, etcdcluster: '3.6.0' }) : undefined,
      );
      await host.up.member.parts.changes.add([peerUrlOf('x1')], true);
      expect(await enable(host, '3.6')).toBe('3.7');
      await cluster.sleep(10_000);
      release = '3.6.16';
      await cluster.sleep(10_000);
      // This member itself runs 3.7.
      expect(await versionsOf(host)).toEqual(at('3.6', '3.6.0'));
      // As a program of 3.6 says it.
      Object.assign(host.up.member.config, { maxClusterVersion: { major: 3, minor: 6 } });
      await cluster.sleep(10_000);
      expect(await versionsOf(host)).toEqual(at('3.6'));
      expect(host.logged('the cluster has been downgraded')).toBe(true);
    });
  });

  test('goes no lower than the members and no further than one version', async () => {
    await SimCluster.run(async (cluster) => {
      const host = cluster.add('m1', { names: ['m1'] });
      await host.start();
      await cluster.fake('x1', (path) =>
        path === '/version' ? jsonAnswer({ etcdserver: '3.6.9', etcdcluster: '3.7.0' }) : undefined,
      );
      await host.up.member.parts.changes.add([peerUrlOf('x1')], true);
      expect(await enable(host, '3.6')).toBe('3.7');
      await cluster.sleep(5000);
      expect(host.logged('Cannot downgrade from minimal-server-version')).toBe(true);
      expect(host.logged('invalid downgrade target')).toBe(true);
      expect((await versionsOf(host)).cluster).toBe('3.7');
    });
  });
});
