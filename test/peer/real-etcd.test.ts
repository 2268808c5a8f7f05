// The transport against real members: what it answers to bad requests, byte by byte, and a cluster
// of one real member with others that are transports with a simple follower behind each.

import { readdirSync, statSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { clusterIdFor, memberIdFor } from '../../src/membership/index.ts';
import { createNodeEnv } from '../../src/net/index.ts';
import { type Member as Ours, startMember, stopAll } from '../../src/peer/rig.fixture.ts';
import { raftpb } from '../../src/protocol/index.ts';
import { Member, realProgram } from '../helpers/member.ts';
import { describeWith, need, type Release, realEtcd } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';
import { freePort } from '../helpers/server-process.ts';
import { ask, badRequests, comparable } from './bad-requests.ts';
import { Follower } from './follower.ts';

const ENV = createNodeEnv();

const TOKEN = 'etcd-cluster';
const { MessageType } = raftpb;

let ours: Ours[] = [];
let real: Member | undefined;

afterEach(async () => {
  const members = ours;
  ours = [];
  await stopAll(members);
  await real?.dispose();
  real = undefined;
});

/** Ids of a cluster whose members have these peer URLs. */
function idsOf(urls: readonly string[]): { ids: bigint[]; clusterId: bigint } {
  const ids = urls.map((url) => memberIdFor({ peerURLs: [url], token: TOKEN }));
  return { ids, clusterId: clusterIdFor(ids) };
}

interface Cluster {
  readonly realId: bigint;
  readonly realUrl: string;
  readonly followers: Follower[];
  /** Resolves once the real member serves clients. */
  readonly started: Promise<Member>;
}

/** A real member and `count` of ours; those from `silent` on are not reachable at first. */
async function cluster(
  release: Release,
  count: number,
  options: { readonly silent?: number; readonly flags?: readonly string[] } = {},
): Promise<Cluster> {
  const ports = await Promise.all(Array.from({ length: count + 1 }, () => freePort()));
  const urls = ports.map((port) => `http://127.0.0.1:${port}`);
  const { ids, clusterId } = idsOf(urls);
  const [realUrl] = urls;
  const followers: Follower[] = [];
  for (let i = 1; i <= count; i++) {
    const follower = new Follower();
    followers.push(follower);
    if (i >= (options.silent ?? count + 1)) continue;
    await join(follower, { id: ids[i]!, clusterId, port: ports[i]! }, [ids[0]!, realUrl!]);
  }
  const names = urls.map((url, i) => `m${i + 1}=${url}`).join(',');
  const started = Member.start(realProgram(need(realEtcd(release))), {
    flags: [
      `--listen-peer-urls=${realUrl}`,
      `--initial-advertise-peer-urls=${realUrl}`,
      `--initial-cluster=${names}`,
      ...(options.flags ?? []),
    ],
  });
  const result = { realId: ids[0]!, realUrl: realUrl!, followers, started };
  for (const [i, follower] of followers.entries()) {
    follower.rejoin = () =>
      join(follower, { id: ids[i + 1]!, clusterId, port: ports[i + 1]! }, [ids[0]!, realUrl!]);
  }
  return result;
}

async function join(
  follower: Follower,
  member: { readonly id: bigint; readonly clusterId: bigint; readonly port: number },
  [realId, realUrl]: readonly [bigint, string],
): Promise<void> {
  const started = await startMember(ENV, {
    ...member,
    host: '127.0.0.1',
    testHost: follower,
  });
  follower.member = started;
  ours.push(started);
  started.transport.addPeer(realId, [realUrl]);
}

async function put(member: Member, release: Release, key: string): Promise<void> {
  const { etcdctl } = need(realEtcd(release));
  const result = await run([etcdctl, `--endpoints=${member.endpoint}`, 'put', key, 'value']);
  expect(result).toMatchObject({ code: 0, stdout: 'OK\n' });
}

for (const release of ['3.5', '3.4'] as const) {
  describeWith(`the transport and etcd ${release}`, [realEtcd(release)], () => {
    test('answer bad requests with the same bytes', async () => {
      real = await Member.start(realProgram(need(realEtcd(release))));
      const { ids, clusterId } = idsOf([real.peerUrl]);
      const member = await startMember(ENV, { id: ids[0]!, clusterId, host: '127.0.0.1', port: 0 });
      ours = [member];
      const cases = badRequests({ cluster: clusterId.toString(16), local: ids[0]!.toString(16) });
      const ourPort = member.listener.address.port;
      const realPort = Number(real.peerUrl.split(':')[2]);
      const answers: { name: string; theirs: string; ours: string }[] = [];
      for (const { name, bytes } of cases) {
        const theirs = comparable(await ask(realPort, bytes));
        answers.push({ name, theirs, ours: comparable(await ask(ourPort, bytes)) });
      }
      const different = answers.filter((one) => one.ours !== one.theirs);
      expect(different).toEqual([]);
    });

    test('agree on how a database is sent', async () => {
      const { followers, realId, started } = await cluster(release, 1);
      real = await started;
      const { transport, id, metrics } = followers[0]!.member!;
      const piece = new Uint8Array(1 << 20).fill(7);
      const snapshot = (type: number) =>
        transport.sendSnapshot(
          // Of a term long past: raft ignores it once the file is kept.
          raftpb.MessageCodec.create({
            type,
            from: id,
            to: realId,
            snapshot: {
              data: new Uint8Array(0),
              metadata: raftpb.SnapshotMetadataCodec.create({ index: 1, term: 0 }),
            },
          }),
          {
            size: 5 * piece.length,
            async *chunks() {
              for (let i = 0; i < 5; i++) yield piece;
            },
            close: () => {},
          },
        );
      expect(await snapshot(MessageType.MsgSnap)).toBe(true);
      expect(metrics.snapshotSendSuccess(realId.toString(16)).value).toBe(1);
      expect(await snapshot(MessageType.MsgApp)).toBe(false);
      const [kept] = readdirSync(`${real.directory}/member/snap`).filter((name) =>
        name.endsWith('.snap.db'),
      );
      expect(statSync(`${real.directory}/member/snap/${kept}`).size).toBe(5 * piece.length);
    });

    test('form a cluster: the real one leads, and follows', async () => {
      const { followers, realId, started } = await cluster(release, 1);
      const [follower] = followers;
      real = await started;
      expect(follower!.received.some((one) => one.type === MessageType.MsgVote)).toBe(true);
      for (let i = 0; i < 20; i++) await put(real, release, `key-${i}`);
      const texts = follower!.entries.map((entry) => Buffer.from(entry.data).toString('latin1'));
      expect(texts.filter((text) => text.includes('key-'))).toHaveLength(20);
      await expect.poll(() => follower!.commit).toBe(follower!.lastIndex);
      expect(follower!.unreachable).toEqual([]);
      // Now ours leads: a higher term, then appends that continue the log.
      follower!.term++;
      const { lastIndex, lastTerm } = follower!;
      follower!.send(realId, {
        type: MessageType.MsgVote,
        index: lastIndex,
        logTerm: lastTerm,
        // The lease of the leader it knows does not count in a transfer of leadership.
        context: Buffer.from('CampaignTransfer'),
      });
      await expect.poll(() => follower!.votes.length, { timeout: 5000 }).toBe(1);
      expect(follower!.votes[0]!.reject).toBe(false);
      follower!.received.length = 0;
      const { term } = follower!;
      for (let i = 0; i < 3; i++) {
        follower!.send(realId, {
          type: MessageType.MsgApp,
          index: lastIndex + i,
          logTerm: i === 0 ? lastTerm : term,
          entries: [raftpb.EntryCodec.create({ term, index: lastIndex + 1 + i })],
          commit: lastIndex + i,
        });
      }
      const taken = (): number =>
        Math.max(
          0,
          ...follower!.received
            .filter((one) => one.type === MessageType.MsgAppResp && !one.reject)
            .map((one) => one.index),
        );
      await expect.poll(taken, { timeout: 5000 }).toBe(lastIndex + 3);
    });
  });
}

describeWith('a snapshot of etcd 3.5', [realEtcd('3.5')], () => {
  test('reaches a member that missed too much', async () => {
    const flags = ['--snapshot-count=10', '--experimental-snapshot-catchup-entries=1'];
    const { followers, started } = await cluster('3.5', 2, { silent: 2, flags });
    real = await started;
    for (let i = 0; i < 40; i++) await put(real, '3.5', `key-${i}`);
    const late = followers[1]!;
    await late.rejoin();
    await expect.poll(() => late.databases.length, { timeout: 20_000 }).toBe(1);
    expect(late.snapshot.index).toBeGreaterThan(20);
    const database = Buffer.from(late.databases[0]!);
    // The first page of a B+tree file says its kind at byte 16.
    expect(database.readUInt32LE(16)).toBe(0xed0cdaed);
    await put(real, '3.5', 'key-last');
    await expect.poll(() => late.lastIndex, { timeout: 10_000 }).toBe(followers[0]!.lastIndex);
  });
});

describeWith('a member that was removed from etcd 3.5', [realEtcd('3.5')], () => {
  test('is told so', async () => {
    const { followers, started } = await cluster('3.5', 2);
    real = await started;
    const gone = followers[1]!;
    const { etcdctl } = need(realEtcd('3.5'));
    const id = gone.member!.id.toString(16);
    // The cluster has been connected for less than the time that strict checks ask for.
    await expect
      .poll(
        async () => {
          const args = [`--endpoints=${real!.endpoint}`, 'member', 'remove', id];
          return (await run([etcdctl, ...args])).code;
        },
        { timeout: 20_000, interval: 500 },
      )
      .toBe(0);
    await expect.poll(() => gone.removals.length, { timeout: 10_000 }).toBeGreaterThan(0);
    expect(gone.removals[0]).toContain('permanently removed');
  });
});
