// The version that all members speak, and the forms in which members say things of themselves.

import { describe, expect, test } from 'vitest';
import { bytesFromUtf8 } from '../../base/index.ts';
import { type ClusterVersion, formatVersion, v2RequestIn } from '../../membership/index.ts';
import { membershippb } from '../../protocol/index.ts';
import { RequestEnvelope, readEnvelope } from '../../store/apply/request-envelope.ts';
import { REQUEST_KIND } from '../../store/index.ts';
import { readWal } from '../../wal/index.ts';
import {
  jsonAnswer,
  peerUrlOf,
  SimCluster,
  type SimHost,
  WAL_DIR,
} from '../testing/sim-cluster.fixture.ts';

const THREE = ['m1', 'm2', 'm3'];

function versionOf({ up }: SimHost): string {
  const { version } = up.member.parts.store.machine.cluster;
  return version === undefined ? 'none' : formatVersion(version);
}

const held = (minor: number): { maxClusterVersion: ClusterVersion } => ({
  maxClusterVersion: { major: 3, minor },
});

/** How attributes and versions were logged. */
async function formsIn(host: SimHost): Promise<string[]> {
  const { env } = host;
  const { entries } = await readWal(env, WAL_DIR, { index: 0, term: 0 });
  const envelope = new RequestEnvelope();
  return entries.flatMap(({ type, data }) => {
    if (type !== 0 || data.length === 0) return [];
    const v2 = v2RequestIn(data);
    if (v2 !== undefined) return [`v2 ${v2.path.replace(/[0-9a-f]{16}/, 'id')} ${v2.val}`];
    readEnvelope(data, envelope);
    if (envelope.kind === REQUEST_KIND.CLUSTER_VERSION_SET) return ['1300'];
    return envelope.kind === REQUEST_KIND.CLUSTER_MEMBER_ATTR_SET ? ['1301'] : [];
  });
}

describe('the version of a cluster', () => {
  test('is that of the members, and is said in the forms that all read', async () => {
    for (const minor of [4, 5, 6]) {
      await SimCluster.run(async (cluster) => {
        const hosts = await cluster.found(THREE, { ...held(minor), snapshotCount: 10_000 });
        await cluster.even(hosts);
        expect(hosts.map(versionOf)).toEqual([`3.${minor}`, `3.${minor}`, `3.${minor}`]);
        await hosts[0]!.up.put('a', '1');
        await cluster.sleep(200);
        const forms = await formsIn(hosts[0]!);
        if (minor === 4) {
          expect(forms.shift()).toBe('v2 /0/version 3.4.0');
          expect(forms).toHaveLength(3);
          for (const form of forms) expect(form).toMatch(/^v2 \/0\/members\/id\/attributes \{/);
        } else expect(forms).toEqual(['1300', '1301', '1301', '1301']);
      });
    }
  });

  test('is the lowest of them, and rises with the last one', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE, held(4));
      for (const minor of [5, 7]) {
        for (const host of hosts) {
          const before = versionOf(host);
          await host.stop();
          // As another release: from then on it says so.
          host.beginning = { ...host.beginning, settings: minor === 7 ? {} : held(minor) };
          await host.start();
          await host.up.put('a', String(minor));
          await cluster.sleep(5000);
          if (host !== hosts.at(-1)) expect(versionOf(host)).toBe(before);
        }
        await cluster.until('it rises', () => hosts.every((h) => versionOf(h) === `3.${minor}`));
      }
      await cluster.even(hosts);
      const states = hosts.map(({ up }) => up.member.parts.store.machine.cluster.state());
      expect(states).toEqual([states[0], states[0], states[0]]);
    });
  });

  test('does not sink when an older member comes, which is refused by itself', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      await cluster.even(hosts);
      const [host] = hosts as [SimHost];
      await host.stop();
      host.beginning = { ...host.beginning, settings: held(5) };
      await expect(host.start()).rejects.toThrow(/cannot hold this data directory/);
    });
  });
});

describe('a leader among members of other releases', () => {
  const says = (etcdserver: string) => ({ etcdserver, etcdcluster: '3.4.0' });

  test.each([
    ['a newer one', { x1: says('3.8.0') }, '3.7'],
    ['a pre-release', { x1: says('3.7.0-rc.1') }, '3.7'],
    ['one that does not answer', {}, '3.5'],
    ['one that says nothing that can be read', { x1: 'no JSON' }, '3.5'],
    ['one without a version', { x1: {} }, '3.5'],
    ['one of a release between', { x1: says('3.6.10') }, '3.6'],
    ['one as old as the cluster', { x1: says('3.5.16') }, '3.5'],
    ['an older one', { x1: says('3.4.23') }, '3.5'],
  ])('%s', async (_what, answers: Record<string, unknown>, outcome) => {
    await SimCluster.run(async (cluster) => {
      const host = cluster.add('m1', { names: ['m1'], settings: held(5) });
      await host.start();
      await cluster.fake('x1', (path) => {
        const found = path === '/version' ? answers['x1'] : undefined;
        if (found === undefined) return undefined;
        return typeof found === 'string' ? { body: bytesFromUtf8(found) } : jsonAnswer(found);
      });
      await host.up.member.parts.changes.add([peerUrlOf('x1')], true);
      expect(versionOf(host)).toBe('3.5');
      // From now on this one speaks as it does without being held.
      Object.assign(host.up.member.config, { maxClusterVersion: undefined });
      await cluster.sleep(30_000);
      expect(versionOf(host)).toBe(outcome);
      expect(host.fatal).toEqual([]);
    });
  });

  test('during a downgrade: the target, once all could follow', async () => {
    await SimCluster.run(async (cluster) => {
      const host = cluster.add('m1', { names: ['m1'] });
      await host.start();
      expect(versionOf(host)).toBe('3.7');
      const set = (enabled: boolean, ver: string) => {
        const body = membershippb.DowngradeInfoSetRequestCodec.encode({ enabled, ver });
        return host.up.propose(REQUEST_KIND.DOWNGRADE_INFO_SET, body);
      };
      await set(true, '3.5.0');
      await cluster.sleep(5000);
      expect(host.logged('Cannot downgrade from cluster-version to downgrade-target')).toBe(true);
      expect(versionOf(host)).toBe('3.7');
      await set(true, '3.6.0');
      await cluster.sleep(5000);
      expect(versionOf(host)).toBe('3.6');
      // It stays there while the downgrade goes on, and rises again when it is given up.
      await cluster.sleep(10_000);
      expect(versionOf(host)).toBe('3.6');
      await set(false, '');
      await cluster.sleep(5000);
      expect(versionOf(host)).toBe('3.7');
    });
  });
});

describe('a member of others that has no version yet', () => {
  test('has the placeholder while one member cannot be asked, and says itself in what all read', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = THREE.slice(0, 2).map((name) => cluster.add(name, { names: THREE }));
      await Promise.all(hosts.map((host) => host.start()));
      expect(hosts.map(versionOf)).toEqual(['3.0', '3.0']);
      await hosts[0]!.up.put('a', '1');
      const last = cluster.add('m3', { names: THREE });
      await last.start();
      await cluster.until('it rises', () => [...hosts, last].every((h) => versionOf(h) === '3.7'));
    });
  });

  test('waits with its publication until the leader has set one', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = THREE.map((name) =>
        cluster.add(name, { names: THREE, settings: { ...held(4), snapshotCount: 10_000 } }),
      );
      // Slow to answer each other: the version comes late.
      cluster.world.network.setDefaults({ delayMs: 80 });
      await Promise.all(hosts.map((host) => host.start()));
      await cluster.sleep(500);
      expect((await formsIn(hosts[0]!))[0]).toMatch(/^v2 \/0\/version 3\.[04]\.0$/);
    });
  });
});
