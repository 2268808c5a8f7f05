// The first start of members, and later ones: founding, joining, being refused, being cut off.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeWith, need, sharedData } from '../../../test/helpers/real-etcd.ts';
import { formatId } from '../../membership/index.ts';
import {
  jsonAnswer,
  PEER_PORT,
  peerUrlOf,
  SimCluster,
  type SimHost,
} from '../testing/sim-cluster.fixture.ts';

const THREE = ['m1', 'm2', 'm3'];

async function refusalOf(host: SimHost): Promise<string> {
  try {
    await host.start();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return STARTED;
}

const STARTED = 'it starts';
const GOES_ON = /^(re)?starting local member$/;

/** What it says when it goes on as a member, or why it does not. */
async function startOf(cluster: SimCluster, host: SimHost): Promise<string> {
  host.log.length = 0;
  const goesOn = async (): Promise<string> => {
    await cluster.until('it goes on', () => host.logged('starting local member'));
    return host.logged('restarting') ? 'restarting local member' : 'starting local member';
  };
  const first = await Promise.race([refusalOf(host), goesOn()]);
  // A start can be over before its log is looked at.
  return first === STARTED ? await goesOn() : first;
}

describe('three founders', () => {
  test('have the ids that etcd gives them, and one history', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { followers } = await cluster.leaderOf(hosts);
      for (const [i, { up }] of followers.entries()) await up.put(`k${i}`, 'v');
      await cluster.even(hosts);
      for (const { up } of hosts) expect(up.pairs().map(({ key }) => key)).toEqual(['k0', 'k1']);
      // SHA-1 of URL and token, and of the ids in their order.
      expect(hosts.map(({ up }) => formatId(up.member.memberId))).toEqual([
        '2d8acd1c6af7f3bc',
        '7705c771822c37e9',
        '4d42af1432fea5f6',
      ]);
      for (const { up } of hosts) expect(formatId(up.member.clusterId)).toBe('d68d1ea027168d16');
      expect(
        hosts[0]!.up.member.parts.store.machine.cluster.members().map(({ name }) => name),
      ).toEqual(['m1', 'm3', 'm2']);
    });
  });

  test('begin again after a crash at any time of the first start', async () => {
    for (let step = 0; step < 12; step++) {
      await SimCluster.run(async (cluster) => {
        const hosts = THREE.map((name) => cluster.add(name, { names: THREE }));
        for (const host of hosts) void host.start();
        await cluster.sleep(step < 6 ? step : 20 * step);
        // One of them, or all at once.
        const crashed = step % 4 === 3 ? hosts : [hosts[step % 3]!];
        for (const host of crashed) host.crash();
        await cluster.sleep(50);
        await Promise.all(crashed.map((host) => host.start()));
        await cluster.until('all serve', () => hosts.every((host) => host.running !== undefined));
        const { leader } = await cluster.leaderOf(hosts);
        await leader.up.put('a', '1');
        await cluster.even(hosts);
        for (const { fatal } of hosts) expect(fatal).toEqual([]);
      }, step + 1);
    }
  });

  test('one that lost its data is not taken for new', async () => {
    await SimCluster.run(async (cluster) => {
      const [, second] = await cluster.found(THREE);
      await second!.stop();
      await second!.env.disk.removeTree('/srv/data');
      expect(await refusalOf(second!)).toBe(
        'member 7705c771822c37e9 has already been bootstrapped',
      );
    });
  });

  test('one alone begins again after a crash at every effect, for the same cluster only', async () => {
    const outcomes: string[] = [];
    for (let effect = 1; effect < 40; effect++) {
      await SimCluster.run(async (cluster) => {
        const host = cluster.add('m1', { names: THREE });
        host.env.disk.crashAtEffect(effect);
        void host.start();
        await cluster.sleep(300);
        host.crash();
        host.beginning = { names: effect % 2 === 0 ? THREE : ['m1', 'm2'] };
        outcomes.push(await startOf(cluster, host));
      }, effect);
    }
    const refused = outcomes.filter((outcome) => !GOES_ON.test(outcome));
    // Once its log says who it is, and before it has its first entries.
    expect(new Set(refused)).toEqual(
      new Set([
        '/srv/data/member/wal was made for member 2d8acd1c6af7f3bc of cluster d68d1ea027168d16, ' +
          'whose first start was cut off; the settings ask for member 2d8acd1c6af7f3bc of cluster ' +
          'e67c4ab1afd2ac5d',
      ]),
    );
    expect(outcomes.at(-1)).toBe('restarting local member');
  });
});

const shared = sharedData('cases');
describeWith('a first start whose URLs differ in spelling', [shared], () => {
  const { cases } = JSON.parse(readFileSync(join(need(shared), 'urls.json'), 'utf8')) as {
    cases: readonly { advertise: string; initialCluster: string; reference: string }[];
  };

  test.each(cases.map((each) => [each.advertise, each.initialCluster, each.reference] as const))(
    '%s and %s: %s',
    async (advertise, initialCluster, reference) => {
      const filled = (text: string): string =>
        text.replace('HOST', 'host.example').replace(/P$/, String(PEER_PORT));
      await SimCluster.run(async (cluster) => {
        cluster.world.network.setAddress('host.example', '127.0.0.1');
        const [name = '', url = ''] = filled(initialCluster).split('=');
        const settings = {
          advertisePeerUrls: [filled(advertise)],
          initialCluster: [{ name, peerURLs: [url] }],
        };
        const host = cluster.add(name, { names: [name], settings });
        if (reference === 'starts') {
          expect(await startOf(cluster, host)).toBe('starting local member');
          // The log's member has the URL of the initial cluster.
          await cluster.until('it serves', () => host.running !== undefined);
          const [member] = host.up.member.parts.store.machine.cluster.members();
          expect(member!.peerURLs).toEqual([url]);
        } else {
          expect(await startOf(cluster, host)).toBe(
            `--initial-cluster has ${name}=${url} but missing from ` +
              `--initial-advertise-peer-urls=${filled(advertise)} ` +
              `(resolved urls: "${filled(advertise)}" != "${url}")`,
          );
        }
      });
    },
  );
});

describe('a joiner', () => {
  async function withRoomForOne(cluster: SimCluster): Promise<SimHost[]> {
    const hosts = await cluster.found(['m1']);
    const { changes } = hosts[0]!.up.member.parts;
    expect(await changes.add([peerUrlOf('m2')], false)).toMatchObject({ members: [{}, {}] });
    return hosts;
  }

  test('joins, and so it does after a crash at any time', async () => {
    for (let step = 0; step < 10; step++) {
      await SimCluster.run(async (cluster) => {
        await withRoomForOne(cluster);
        const joiner = cluster.add('m2', { names: ['m1', 'm2'], state: 'existing' });
        void joiner.start();
        await cluster.sleep(step < 5 ? 2 * step : 20 * step);
        joiner.crash();
        await joiner.start();
        await joiner.up.put('a', '1');
        await cluster.even([...cluster.hosts.values()]);
        expect(joiner.fatal).toEqual([]);
      }, step + 1);
    }
  });

  const refused = async (
    names: readonly string[],
    arrange: (cluster: SimCluster, hosts: SimHost[]) => unknown = () => undefined,
  ): Promise<string> => {
    let refusal = '';
    await SimCluster.run(async (cluster) => {
      const hosts = await withRoomForOne(cluster);
      await arrange(cluster, hosts);
      refusal = await refusalOf(cluster.add(names.at(-1)!, { names, state: 'existing' }));
    });
    return refusal;
  };

  test('joins under another name of its address', async () => {
    await SimCluster.run(async (cluster) => {
      await withRoomForOne(cluster);
      const { network } = cluster.world;
      const address = network.addressOf('m2');
      network.setAddress('also-m1', network.addressOf('m1'));
      const initialCluster = [
        { name: 'm1', peerURLs: [`http://also-m1:${PEER_PORT}`] },
        { name: 'm2', peerURLs: [`http://${address}:${PEER_PORT}`] },
      ];
      const settings = { initialCluster };
      const joiner = cluster.add('m2', { names: ['m1', 'm2'], state: 'existing', settings });
      await joiner.start();
      await joiner.up.put('a', '1');
      await cluster.even([...cluster.hosts.values()]);
      // The cluster's own URLs hold.
      const urls = joiner.up.member.parts.store.machine.cluster
        .members()
        .map(({ peerURLs }) => peerURLs[0]);
      expect(urls.sort()).toEqual([peerUrlOf('m1'), peerUrlOf('m2')]);
    });
  });

  test('is refused with another count of members', async () => {
    expect(await refused(['m1', 'm3', 'm2'])).toMatch(
      /^error validating peerURLs .*: member count is unequal$/,
    );
  });

  test('is refused with URLs that nobody has', async () => {
    const refusal = await refused(['m1', 'm5']);
    expect(refusal).toMatch(
      /no match found for existing member \([0-9a-f]+, \[http:\/\/m2:2380\]\)/,
    );
    // No machine has that name.
    expect(refusal).toContain(
      'last resolver error (failed to resolve "http://m2:2380" ' +
        '(lookup m2: the host name is unknown))',
    );
  });

  test('is refused if nobody answers', async () => {
    expect(await refused(['m1', 'm2'], (cluster) => cluster.cutOff('m1', 'm2'))).toBe(
      'cannot fetch cluster info from peer urls: could not retrieve cluster information from the ' +
        'given URLs',
    );
  });
});

describe('a joiner among members of other releases', () => {
  const members = [
    { id: 1, peerURLs: [peerUrlOf('old')], name: 'old', clientURLs: ['http://old:2379'] },
    { id: 2, peerURLs: [peerUrlOf('m2')] },
  ];
  const join = async (answers: Readonly<Record<string, unknown>>): Promise<string> => {
    let refusal = '';
    await SimCluster.run(async (cluster) => {
      await cluster.fake('old', (path) => {
        const found = { '/members': members, ...answers }[path];
        return found === undefined ? undefined : jsonAnswer(found, 'cafe');
      });
      const joiner = cluster.add('m2', { names: ['old', 'm2'], state: 'existing' });
      refusal = await startOf(cluster, joiner);
    });
    return refusal;
  };
  const version = (cluster: string, server = `${cluster.slice(0, 3)}.9`) => ({
    '/version': { etcdserver: server, etcdcluster: cluster },
  });
  const INCOMPATIBLE = 'incompatible with current running cluster';

  test.each([
    ['3.4.0', 'starting local member'],
    ['3.0.0', 'starting local member'],
    ['3.7.0', 'starting local member'],
    ['3.8.0', INCOMPATIBLE],
    ['2.3.0', INCOMPATIBLE],
    ['4.0.0', INCOMPATIBLE],
    ['not_decided', INCOMPATIBLE],
  ])('cluster version %s: %s', async (text, outcome) => {
    expect(await join(version(text))).toBe(outcome);
  });

  test('one release above, while it is downgraded: goes on', async () => {
    expect(await join({ ...version('3.8.0'), '/downgrade/enabled': true })).toBe(
      'starting local member',
    );
    expect(await join({ ...version('3.8.0'), '/downgrade/enabled': false })).toBe(INCOMPATIBLE);
    expect(await join({ ...version('3.9.0'), '/downgrade/enabled': true })).toBe(INCOMPATIBLE);
  });

  test('without /version: refused', async () => {
    expect(await join({})).toBe(INCOMPATIBLE);
  });

  test('with more learners than it allows: refused', async () => {
    const learners = [
      { ...members[0], isLearner: true },
      { ...members[1], isLearner: true },
    ];
    expect(await join({ '/members': learners, ...version('3.7.0') })).toBe(
      'membership: too many learner members in cluster',
    );
  });

  test('an answer that names a member twice: refused', async () => {
    const twice = [members[0], { ...members[0], id: 3 }];
    expect(await join({ '/members': twice, ...version('3.7.0') })).toMatch(/^error validating/);
  });
});

describe('a removed member', () => {
  test('stops, and does not start again', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { leader, followers } = await cluster.leaderOf(hosts);
      // The leader: of its own removal it is sure to know.
      const gone = leader;
      await cluster.sleep(6000);
      const { memberId } = gone.up.member;
      expect(await gone.up.member.parts.changes.remove(memberId)).toMatchObject({
        members: [{}, {}],
      });
      await cluster.until('it stops', () => gone.removed);
      await cluster.leaderOf(followers);
      gone.crash('kept');
      expect(await refusalOf(gone)).toBe(
        `the member ${formatId(memberId)} has been permanently removed from the cluster; ` +
          '/srv/data must be removed before a new member can start there',
      );
    });
  });

  test('that was down is told when it comes back', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { leader, followers } = await cluster.leaderOf(hosts);
      const [gone] = followers as [SimHost];
      const { memberId } = gone.up.member;
      gone.crash('kept');
      await cluster.sleep(6000);
      expect(await leader.up.member.parts.changes.remove(memberId)).toMatchObject({
        members: [{}, {}],
      });
      void gone.start();
      await cluster.until('it stops', () => gone.removed);
    });
  });
});
