// What a mixed cluster goes through. Each scenario is given its servers and throws, or expects, when
// something is not as in a cluster of one program.

import { expect } from 'vitest';
import type { Login, Message } from '../helpers/api.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterMember, Server } from './cluster-member.ts';
import { Load, putMany } from './load.ts';
import { until } from './until.ts';
import { WatchLog } from './watch-log.ts';

/** No write acknowledged for so long, and a client of three members would call it down. */
const GAP_MS_MAX = 20_000;
const LEASE_LONG = '7001';
const LEASE_SHORT = '7002';
const COMPACTED = 11;

const entries = (cluster: Cluster, member: ClusterMember): ClusterMember[] =>
  cluster.members.filter((one) => one !== member);

async function valueThrough(
  member: ClusterMember,
  key: string,
  serializable = false,
): Promise<string | undefined> {
  const reply = await member.client.must('KV/Range', { key, serializable });
  const [found] = reply['kvs'] as readonly Message[];
  return found === undefined ? undefined : String(found['value']);
}

/** As `GET /version` tells it, once the members have agreed. */
export async function clusterVersion(cluster: Cluster, version: string): Promise<void> {
  for (const { name, endpoint } of cluster.members) {
    await until(`cluster version ${version} at ${name}`, async () => {
      const told = (await (await fetch(`http://${endpoint}/version`)).json()) as {
        etcdcluster: string;
      };
      return told.etcdcluster === version || undefined;
    });
  }
}

/** Everything that clients do, through every member; `leader` leads. */
export async function useTogether(cluster: Cluster, leader: ClusterMember): Promise<void> {
  await cluster.moveLeader(leader);
  const from = (await cluster.revision()) + 1;
  const watches = cluster.members.map((one) => new WatchLog(one.connect(), from));
  await writeAndRead(cluster, leader.name);
  await useLeases(cluster);
  await compact(cluster);
  await cluster.expectEqualHashes();
  const revision = await cluster.caughtUp();
  await expectSameEvents(watches, revision);
  await expectSameMembers(cluster);
}

async function writeAndRead(cluster: Cluster, tag: string): Promise<void> {
  for (const [i, writer] of cluster.members.entries()) {
    const key = `${tag}/by/${writer.name}`;
    for (let round = 0; round < 3; round++) {
      const value = `round ${round}`;
      await writer.client.must('KV/Put', { key, value });
      for (const reader of cluster.members) expect(await valueThrough(reader, key)).toBe(value);
    }
    await writer.client.must('KV/Txn', {
      compare: [{ key, target: 3, result: 0, value: 'round 2' }],
      success: [
        { request_put: { key: `${tag}/txn`, value: `${i}` } },
        { request_put: { key: `${tag}/gone`, value: 'soon' } },
      ],
    });
    await writer.client.must('KV/DeleteRange', { key: `${tag}/gone` });
    for (const reader of cluster.members) {
      const seen = async (): Promise<true | undefined> =>
        (await valueThrough(reader, `${tag}/txn`, true)) === `${i}` || undefined;
      await until(`a serializable read through ${reader.name}`, seen);
      expect(await valueThrough(reader, `${tag}/gone`)).toBeUndefined();
    }
  }
}

/** Granted through one, kept alive through the next, asked for through the third. */
async function useLeases(cluster: Cluster): Promise<void> {
  const at = (i: number) => cluster.members[i % cluster.members.length]!.client;
  for (let i = 0; i < cluster.members.length; i++) {
    await at(i).must('Lease/LeaseGrant', { ID: LEASE_LONG, TTL: '600' });
    await at(i + 1).must('KV/Put', { key: 'leased', value: 'x', lease: LEASE_LONG });
    const alive = at(i + 1).stream('Lease/LeaseKeepAlive');
    alive.send({ ID: LEASE_LONG });
    expect(await alive.until(() => alive.received.length > 0)).toBe(true);
    alive.cancel();
    expect(alive.received[0]).toMatchObject({ ID: LEASE_LONG, TTL: '600' });
    const left = await at(i + 2).must('Lease/LeaseTimeToLive', { ID: LEASE_LONG, keys: true });
    expect(left).toMatchObject({ grantedTTL: '600', keys: ['leased'] });
    expect(Number(left['TTL'])).toBeGreaterThan(590);
    await at(i + 2).must('Lease/LeaseRevoke', { ID: LEASE_LONG });
  }
  await at(2).must('Lease/LeaseGrant', { ID: LEASE_SHORT, TTL: '2' });
  await at(1).must('KV/Put', { key: 'expires', lease: LEASE_SHORT });
  for (const member of cluster.members) {
    const gone = async (): Promise<true | undefined> =>
      (await valueThrough(member, 'expires', true)) === undefined || undefined;
    await until(`the lease's key gone at ${member.name}`, gone);
    expect(await valueThrough(member, 'leased')).toBeUndefined();
  }
}

async function compact(cluster: Cluster): Promise<void> {
  const [one] = cluster.members;
  const reply = await one!.client.must('KV/Put', { key: 'compact', value: 'here' });
  const revision = Number((reply['header'] as Message)['revision']);
  const last = cluster.members.at(-1)!;
  await last.client.must('KV/Compact', { revision: String(revision), physical: true });
  for (const member of cluster.members) {
    expect(await valueThrough(member, 'compact')).toBe('here');
    const past = { key: 'compact', revision: String(revision - 1) };
    expect((await member.client.call('KV/Range', past)).code).toBe(COMPACTED);
  }
  await one!.client.must('KV/Put', { key: 'after', value: 'compaction' });
}

async function expectSameEvents(watches: readonly WatchLog[], revision: number): Promise<void> {
  for (const watch of watches) {
    await watch.upTo(revision);
    await watch.stop();
    expect(watch.wrong).toEqual([]);
  }
  for (const watch of watches) expect(watch.events).toEqual(watches[0]!.events);
}

async function expectSameMembers(cluster: Cluster): Promise<void> {
  const plain = (list: readonly Message[]): unknown =>
    list.map(({ ID, name, peerURLs, clientURLs, isLearner }) =>
      JSON.stringify({ ID, name, peerURLs, clientURLs, isLearner }),
    );
  const wanted = plain(await cluster.list());
  expect(wanted).toHaveLength(cluster.members.length);
  for (const member of cluster.running) {
    // Attributes are published after the start.
    const look = async (): Promise<true | undefined> => {
      const seen = plain(await cluster.list(member));
      return JSON.stringify(seen) === JSON.stringify(wanted) || undefined;
    };
    await until(`the same list of members at ${member.name}: ${wanted}`, look);
  }
  for (const one of await cluster.list()) expect(one['clientURLs']).toHaveLength(1);
}

/** The leader dies; another leads, and the dead one comes back. */
export async function loseLeader(cluster: Cluster): Promise<void> {
  const old = await cluster.leader();
  await old.kill();
  const next = await cluster.leader();
  expect(next).not.toBe(old);
  for (const member of entries(cluster, old)) {
    await member.client.must('KV/Put', { key: 'without', value: old.name });
  }
  await old.restart();
  expect(await valueThrough(old, 'without')).toBe(old.name);
  await cluster.expectEqualHashes();
}

/** A learner that is promoted, then a voting member, join a cluster with history. */
export async function join(cluster: Cluster, newcomers: readonly [Server, Server]): Promise<void> {
  const [first] = cluster.members;
  const lease = '7003';
  await first!.client.must('Lease/LeaseGrant', { ID: lease, TTL: '3600' });
  await putMany(first!.client, 'before/', 300);
  await first!.client.must('KV/Put', { key: 'leased', value: 'x', lease });
  const compactAt = String((await cluster.revision()) - 100);
  await first!.client.must('KV/Compact', { revision: compactAt, physical: true });

  const learner = await cluster.add(newcomers[0], { learner: true });
  expect((await learner.status()).isLearner).toBe(true);
  await cluster.caughtUp();
  expect(await valueThrough(learner, 'leased', true)).toBe('x');
  const refused = await learner.client.call('KV/Put', { key: 'by learner' });
  expect(refused.details).toMatch(/not supported for learner/);
  await cluster.promote(learner);
  await until('no learner any more', async () => !(await learner.status()).isLearner || undefined);
  await learner.client.must('KV/Put', { key: 'by learner', value: 'promoted' });
  await cluster.add(newcomers[1]);
  await writeAndRead(cluster, 'joined');
  for (const member of cluster.members) {
    const left = await member.client.must('Lease/LeaseTimeToLive', { ID: lease, keys: true });
    expect(left).toMatchObject({ grantedTTL: '3600', keys: ['leased'] });
  }
  await expectSameMembers(cluster);
  await cluster.expectEqualHashes();
  await cluster.remove(first!);
  await cluster.leader();
  await writeAndRead(cluster, 'two');
  await cluster.expectEqualHashes();
}

async function snapshotsReceived(member: ClusterMember): Promise<number> {
  const text = await (await fetch(`http://${member.endpoint}/metrics`)).text();
  const counts = text.matchAll(/^etcd_network_snapshot_receive_success\{[^}]*\} (\S+)$/gm);
  return [...counts].reduce((sum, match) => sum + Number(match[1]), 0);
}

/**
 * `receiver` is cut off while so many entries are written that `sender`, which leads, no longer has
 * those that it misses; its watchers and leases must not notice.
 */
export async function catchUpBySnapshot(
  cluster: Cluster,
  sender: ClusterMember,
  receiver: ClusterMember,
  missed: number,
): Promise<void> {
  await cluster.moveLeader(sender);
  const lease = String(8000 + cluster.members.indexOf(receiver));
  const from = (await cluster.revision()) + 1;
  const watches = cluster.members.map(
    // A member of 3.4 that has received a snapshot tells its watchers everything again.
    (one) => new WatchLog(one.connect(), from, { mayRepeat: one.server.program.release === '3.4' }),
  );
  await sender.client.must('KV/Put', { key: 'first', value: receiver.name });
  for (const watch of watches) await watch.upTo(from);
  const before = await snapshotsReceived(receiver);
  cluster.links.isolate(receiver.name);
  await sender.client.must('Lease/LeaseGrant', { ID: lease, TTL: '3600' });
  await sender.client.must('KV/Put', { key: `leased/${lease}`, value: 'x', lease });
  await putMany(sender.client, `missed/${receiver.name}/`, missed);
  cluster.links.heal();
  const look = async (): Promise<true | undefined> =>
    (await snapshotsReceived(receiver)) > before || undefined;
  await until(`a snapshot received by ${receiver.name}`, look);
  await cluster.caughtUp();
  const at = receiver.client;
  const left = await at.must('Lease/LeaseTimeToLive', { ID: lease, keys: true });
  expect(left).toMatchObject({ grantedTTL: '3600', keys: [`leased/${lease}`] });
  // A member of 3.4 notes the index of a snapshot only with the next entry; until then it says
  // that it has too many requests, since it believes to be far behind.
  await sender.client.must('KV/Put', { key: 'next', value: sender.name });
  const put = async (): Promise<true | undefined> =>
    (await at.call('KV/Put', { key: 'after', value: receiver.name })).code === 0 || undefined;
  await until(`a write through ${receiver.name}`, put);
  await expectSameEvents(watches, await cluster.caughtUp());
  await expectSameMembers(cluster);
  await cluster.expectEqualHashes();
}

async function expectNothingLost(cluster: Cluster, load: Load): Promise<void> {
  await load.goesOn();
  await load.stop();
  for (const member of cluster.members) expect(await load.missing(member.client)).toEqual([]);
  expect(load.longestGapMs).toBeLessThan(GAP_MS_MAX);
}

export interface Replacing {
  /** In whose name is written; without one, as the cluster's own clients do. */
  readonly writer?: Login;
  /** Called with each member that has ended. */
  readonly down?: (member: ClusterMember) => Promise<void>;
  /** Called when a member has continued. */
  readonly up?: () => Promise<void>;
}

/** Under load, one member after the other continues with the next of `servers` on its directory. */
export async function replaceInPlace(
  cluster: Cluster,
  servers: readonly Server[],
  { writer, down, up }: Replacing = {},
): Promise<void> {
  const load = new Load(cluster, writer);
  const watches = cluster.members.map((one) => new WatchLog(one.connect(), 2));
  for (const [step, server] of servers.entries()) {
    for (const [i, member] of cluster.members.entries()) {
      await ((step + i) % 2 === 0 ? member.stop() : member.kill());
      await down?.(member);
      await member.restart(server);
      await load.goesOn();
      await cluster.expectEqualHashes();
      await up?.();
    }
    await expectSameMembers(cluster);
  }
  await expectNothingLost(cluster, load);
  await expectSameEvents(watches, await cluster.caughtUp());
}

/** Under load, one member after the other leaves when a fresh one has come in its place. */
export async function replaceByFresh(cluster: Cluster, servers: readonly Server[]): Promise<void> {
  const load = new Load(cluster);
  for (const server of servers) {
    for (const old of [...cluster.members]) {
      const fresh = await cluster.add(server, { learner: true });
      await cluster.promote(fresh);
      await cluster.remove(old);
      await cluster.expectEqualHashes();
    }
    await expectSameMembers(cluster);
  }
  const watches = cluster.members.map((one) => new WatchLog(one.connect(), 2));
  await expectNothingLost(cluster, load);
  await expectSameEvents(watches, await cluster.caughtUp());
}
