// What a member answers on its peer port, to the byte.

import { describe, expect, test } from 'vitest';
import { utf8FromBytes } from '../../base/index.ts';
import { formatId } from '../../membership/index.ts';
import { etcdserverpb, leasepb } from '../../protocol/index.ts';
import { peerUrlOf, SimCluster, type SimHost } from '../testing/sim-cluster.fixture.ts';

const { LeaseKeepAliveRequestCodec, LeaseKeepAliveResponseCodec } = etcdserverpb;
const { LeaseInternalRequestCodec, LeaseInternalResponseCodec } = leasepb;

const PLAIN = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' };
const JSON_TYPE = { 'content-type': 'application/json' };
const CLUSTER = { 'x-etcd-cluster-id': '4bf133af7b9c66f3' };

type Ask = readonly [method: 'GET' | 'POST', path: string, body?: Uint8Array | string];

async function answersOf(
  asked: readonly Ask[],
  arrange: (cluster: SimCluster, host: SimHost) => Promise<void> = async () => undefined,
) {
  const found: { status: number; headers: Record<string, string>; body: string }[] = [];
  await SimCluster.run(async (cluster) => {
    const [host] = (await cluster.found(['m1'])) as [SimHost];
    expect(formatId(host.up.member.clusterId)).toBe(CLUSTER['x-etcd-cluster-id']);
    await arrange(cluster, host);
    for (const [method, path, body] of asked) {
      const { status, headers, body: bytes } = await cluster.ask('m1', method, path, body);
      const { date: _date, 'content-length': _length, connection: _close, ...shown } = headers;
      found.push({ status, headers: shown, body: utf8FromBytes(bytes) });
    }
  });
  return found;
}

const methodNotAllowed = (allow?: string) => ({
  status: 405,
  headers: { ...PLAIN, ...(allow === undefined ? {} : { allow }) },
  body: 'Method Not Allowed\n',
});
const plain = (status: number, text: string, headers = {}) => ({
  status,
  headers: { ...PLAIN, ...headers },
  body: `${text}\n`,
});

describe('a peer port', () => {
  test('answers what it does not know', async () => {
    const notFound = plain(404, '404 page not found');
    expect(
      await answersOf([
        ['GET', '/'],
        ['GET', '/member'],
        ['GET', '/members/'],
        ['POST', '/leases/other'],
        ['GET', '/v2/members'],
      ]),
    ).toEqual([notFound, notFound, notFound, notFound, notFound]);
  });

  test('answers other methods', async () => {
    expect(
      await answersOf([
        ['POST', '/members'],
        ['POST', '/version'],
        ['GET', '/members/promote/1'],
        ['GET', '/leases'],
        ['GET', '/leases/internal'],
        ['POST', '/downgrade/enabled'],
      ]),
    ).toEqual([
      methodNotAllowed('GET'),
      methodNotAllowed('GET'),
      methodNotAllowed('POST'),
      methodNotAllowed(),
      methodNotAllowed(),
      methodNotAllowed('GET'),
    ]);
  });

  test('/members, /version, /downgrade/enabled', async () => {
    const learner = async (_cluster: SimCluster, host: SimHost): Promise<void> => {
      await host.up.member.parts.changes.add([peerUrlOf('m2')], true);
      // The storage version is unknown, as etcd's, until the backend has committed it.
      await host.up.member.parts.store.machine.backend.commit();
    };
    const [members, version, downgrade] = await answersOf(
      [
        ['GET', '/members'],
        ['GET', '/version'],
        ['GET', '/downgrade/enabled'],
      ],
      learner,
    );
    expect(members).toEqual({
      status: 200,
      headers: { ...JSON_TYPE, ...CLUSTER },
      body:
        '[{"id":3281660800430240700,"peerURLs":["http://m1:2380"],"name":"m1",' +
        '"clientURLs":["http://m1:2379"]},' +
        '{"id":4199623549082543633,"peerURLs":["http://m2:2380"],"isLearner":true}]\n',
    });
    expect(version).toEqual({
      status: 200,
      headers: JSON_TYPE,
      body: '{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}',
    });
    expect(downgrade).toEqual({
      status: 200,
      headers: { 'content-type': 'text/plain', ...CLUSTER },
      body: 'false',
    });
  });

  test('/members/promote', async () => {
    expect(
      await answersOf(
        [
          ['POST', '/members/promote/x'],
          ['POST', '/members/promote/-1'],
          ['POST', '/members/promote/18446744073709551616'],
          ['POST', '/members/promote/18446744073709551615'],
          ['POST', '/members/promote/3281660800430240700'],
          ['POST', '/members/promote/4199623549082543633'],
        ],
        async (_cluster, host) => {
          await host.up.member.parts.changes.add([peerUrlOf('m2')], true);
        },
      ),
    ).toEqual([
      plain(404, 'member x not found in cluster', CLUSTER),
      plain(404, 'member -1 not found in cluster', CLUSTER),
      plain(404, 'member 18446744073709551616 not found in cluster', CLUSTER),
      plain(404, 'membership: ID not found', CLUSTER),
      plain(412, 'membership: can only promote a learner member', CLUSTER),
      plain(
        412,
        'etcdserver: can only promote a learner member which is in sync with leader',
        CLUSTER,
      ),
    ]);
  });

  test('dcbd6df13: /leases and /leases/internal', async () => {
    const renew = (id: bigint) => LeaseKeepAliveRequestCodec.encode({ id });
    const live = (id: bigint, keys: boolean) =>
      LeaseInternalRequestCodec.encode({ leaseTimeToLiveRequest: { id, keys } });
    const garbage = Uint8Array.of(0xff, 0xff, 0xff);
    const unread = plain(400, 'error unmarshalling request');
    const missing = plain(404, 'lease not found');
    const [renewed, lived, ...others] = await answersOf(
      [
        ['POST', '/leases', renew(7n)],
        ['POST', '/leases/internal', live(7n, true)],
        ['POST', '/leases', renew(8n)],
        ['POST', '/leases/internal', live(8n, true)],
        ['POST', '/leases', garbage],
        ['POST', '/leases/internal', garbage],
        ['POST', '/leases/internal', new Uint8Array(0)],
        ['POST', '/leases', new Uint8Array(64 * 1024 + 1)],
      ],
      async (_cluster, host) => {
        await host.up.grant(7n, 60);
        await host.up.put('a', '1', 7n);
      },
    );
    expect(others).toEqual([
      missing,
      missing,
      unread,
      unread,
      unread,
      plain(413, 'request body too large'),
    ]);
    const bytesOf = (body: string) => Uint8Array.from(Buffer.from(body));
    expect(renewed?.headers).toEqual({ 'content-type': 'application/protobuf' });
    expect(LeaseKeepAliveResponseCodec.decode(bytesOf(renewed!.body))).toEqual({
      header: undefined,
      id: 7n,
      ttl: 60,
    });
    const { leaseTimeToLiveResponse } = LeaseInternalResponseCodec.decode(bytesOf(lived!.body));
    // As in etcd there is a header, and nothing in it.
    expect(leaseTimeToLiveResponse).toMatchObject({
      header: { clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0 },
      id: 7n,
      grantedTTL: 60,
      keys: [Uint8Array.of(97)],
    });
  });

  test('/leases of a member that does not lead, or has not applied what it knows of', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(['m1', 'm2', 'm3']);
      const { leader, followers } = await cluster.leaderOf(hosts);
      await leader.up.grant(7n, 60);
      await cluster.even(hosts);
      const renew = () =>
        cluster.ask(
          followers[0]!.name,
          'POST',
          '/leases',
          LeaseKeepAliveRequestCodec.encode({ id: 7n }),
        );
      const text = ({ status, body }: { status: number; body: Uint8Array }) =>
        `${status} ${utf8FromBytes(body)}`;
      expect(text(await renew())).toBe('400 not a primary lessor\n');
      const live = LeaseInternalRequestCodec.encode({
        leaseTimeToLiveRequest: { id: 7n, keys: false },
      });
      expect(text(await cluster.ask(followers[0]!.name, 'POST', '/leases/internal', live))).toBe(
        '500 not a primary lessor\n',
      );
      const { member } = followers[0]!.up;
      Object.defineProperty(member.parts.raft, 'isCaughtUp', { value: false });
      const { committedIndex } = member.parts.raft;
      Object.defineProperty(member.parts.appliedWaits, 'whenCaughtUp', {
        value: (timeoutMs: number) =>
          new Promise((resolve) => cluster.client.timers.after(timeoutMs, () => resolve(false))),
      });
      const began = cluster.nowMs;
      expect(text(await renew())).toBe(
        '408 waiting for node to catch up its applied index has timed out\n',
      );
      expect(cluster.nowMs - began).toBeGreaterThan(999);
      expect(committedIndex).toBe(member.parts.raft.appliedIndex);
    });
  });
});
