import { expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import {
  bootstrapMembers,
  Cluster,
  CONF_CHANGE,
  confChangeContext,
  emptyState,
  encodeV2Put,
} from '../../membership/index.ts';
import { etcdserverpb, membershippb, raftpb } from '../../protocol/index.ts';
import { encodeEnvelope, REQUEST_KIND } from '../apply/request-envelope.ts';
import { putOf } from '../testing/store.fixture.ts';
import { replayMembership } from './legacy-membership.ts';

const [member] = bootstrapMembers([{ name: '', peerURLs: ['http://h:2380'] }], 'token');
const { id } = member!;

function attributes(name: string): Uint8Array {
  const val = JSON.stringify({ name, clientURLs: [] });
  const path = `/0/members/${id.toString(16)}/attributes`;
  return encodeV2Put({ method: 'PUT', path, val }, 1n);
}

/** What a 3.5 log begins with, and some requests for keys. */
function log(): raftpb.Entry[] {
  const add = raftpb.ConfChangeCodec.create({
    type: CONF_CHANGE.ADD_NODE,
    nodeId: id,
    context: confChangeContext(member!),
  });
  const put = etcdserverpb.PutRequestCodec.encode(putOf('a', '1'));
  const version = membershippb.ClusterVersionSetRequestCodec.encode(
    membershippb.ClusterVersionSetRequestCodec.create({ ver: '3.5.0' }),
  );
  const payloads: [number, Uint8Array][] = [
    [1, raftpb.ConfChangeCodec.encode(add)],
    [0, new Uint8Array(0)],
    [0, attributes('one')],
    [0, encodeEnvelope(REQUEST_KIND.PUT, 1, 2, put)],
    [0, encodeEnvelope(REQUEST_KIND.CLUSTER_VERSION_SET, 1, 3, version)],
    [0, encodeV2Put({ method: 'QGET' as 'PUT', path: '/', val: '' }, 4n)],
    [0, attributes('two')],
  ];
  return payloads.map(([type, data], i) => ({ type, term: 1, index: i + 1, data }));
}

function replayed(lastIndex: number, entries = log()): Cluster {
  const cluster = new Cluster(emptyState(0), { clusterId: 1n, maxLearners: 1 });
  replayMembership(cluster, entries, lastIndex);
  return cluster;
}

test('the membership is that of the index, whatever else the log holds', () => {
  expect(replayed(0).members()).toEqual([]);
  expect(replayed(2).member(id)?.name).toBe('');
  expect(replayed(4).member(id)?.name).toBe('one');
  expect(replayed(4).version).toBeUndefined();
  expect(replayed(6).version).toEqual({ major: 3, minor: 5 });
  expect(replayed(7).member(id)?.name).toBe('two');
  expect(replayed(100).member(id)?.name).toBe('two');
});

test('entries that the state covers already change nothing', () => {
  const cluster = replayed(7);
  const { state } = { state: cluster.state() };
  replayMembership(cluster, log(), 7);
  expect(cluster.state()).toEqual(state);
});

test('what cannot be understood is refused, and only up to the index', () => {
  const entries = log();
  const broken = encodeV2Put({ method: 'PUT', path: '/1/key', val: 'x' }, 9n);
  entries.push({ type: 0, term: 1, index: 8, data: broken });
  expect(replayed(7, entries).member(id)?.name).toBe('two');
  expect(() => replayed(8, entries)).toThrow('PUT /1/key');
  entries[7] = { type: 0, term: 1, index: 8, data: bytesFromLatin1('"garbage') };
  expect(() => replayed(8, entries)).toThrow('InternalRaftRequest');
});
