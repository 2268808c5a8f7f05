// What ends a real etcd member when it comes to the peer port, or in a request: ours refuses it and
// goes on. Rows of docs/known-bugs-of-etcd.md point here.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { raftpb } from '../../src/protocol/index.ts';
import { ApiClient } from '../helpers/api.ts';
import { Member, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need } from '../helpers/real-etcd.ts';

const ours = serverUnderTest();
const { MessageType, EntryType } = raftpb;

interface Identity {
  readonly cluster: bigint;
  readonly member: bigint;
}

const STRANGER = 77n;
const garbage = Buffer.from('ffffffff', 'hex');
const addLearner = raftpb.ConfChangeV2Codec.encode(
  raftpb.ConfChangeV2Codec.create({
    changes: [{ type: raftpb.ConfChangeType.ConfChangeAddLearnerNode, nodeId: STRANGER }],
  }),
);
const addNode = (change: Partial<raftpb.ConfChange>): Uint8Array =>
  raftpb.ConfChangeCodec.encode(raftpb.ConfChangeCodec.create({ nodeId: STRANGER, ...change }));
const { EntryConfChange, EntryConfChangeV2 } = EntryType;

/** Proposals that other members would forward to the leader. */
const PROPOSALS: readonly (readonly [string, readonly Partial<raftpb.Entry>[]])[] = [
  ['no entry', []],
  ['an entry of type 99', [{ type: 99 }]],
  ['an entry of type 99 that is garbage', [{ type: 99, data: garbage }]],
  ['an entry of type 99 that reads like a change', [{ type: 99, data: addLearner }]],
  ['a garbage configuration change', [{ type: EntryConfChange, data: garbage }]],
  ['a change without a member', [{ type: EntryConfChange, data: addNode({}) }]],
  [
    'a change with a garbage member',
    [{ type: EntryConfChange, data: addNode({ context: garbage }) }],
  ],
  ['a change of an unknown kind', [{ type: EntryConfChange, data: addNode({ type: 99 }) }]],
  ['a change of the second kind', [{ type: EntryConfChangeV2, data: addLearner }]],
  [
    'a garbage configuration change of the second kind',
    [{ type: EntryConfChangeV2, data: garbage }],
  ],
];

describeWith('what ends a real member', [ours], () => {
  let member: Member;
  let client: ApiClient;
  let identity: Identity;

  beforeAll(async () => {
    member = await Member.start(need(ours));
    client = new ApiClient(member.endpoint);
    const { header } = await client.must('KV/Put', { key: 'kept', value: 'as it was' });
    const { cluster_id: cluster, member_id: id } = header as Record<string, string>;
    identity = { cluster: BigInt(cluster!), member: BigInt(id!) };
  });
  afterAll(async () => {
    client?.close();
    await member?.dispose();
  });

  const raftIndex = async (): Promise<string> =>
    String((await client.must('Maintenance/Status', {}))['raftIndex']);

  async function servesOn(): Promise<void> {
    expect(member.pid).toBeGreaterThan(0);
    const response = await client.must('KV/Range', { key: 'kept' });
    expect(response['kvs']).toMatchObject([{ value: 'as it was' }]);
  }

  async function post(message: Partial<raftpb.Message>): Promise<void> {
    const { cluster, member: to } = identity;
    const body = raftpb.MessageCodec.encode(
      raftpb.MessageCodec.create({ from: STRANGER, to, ...message }),
    );
    await fetch(`${member.peerUrl}/raft`, {
      method: 'POST',
      body: Buffer.from(body),
      headers: {
        'Content-Type': 'application/protobuf',
        'X-Etcd-Cluster-ID': cluster.toString(16),
        'X-Server-From': STRANGER.toString(16),
        'X-Server-Version': '3.7.1',
        'X-Min-Cluster-Version': '3.0.0',
      },
    });
  }

  describe('a forwarded proposal of', () => {
    test.each(PROPOSALS)('%s', async (_name, entries) => {
      const proposal = entries.map((entry) => raftpb.EntryCodec.create(entry));
      const before = await raftIndex();
      await post({ type: MessageType.MsgProp, entries: proposal });
      await servesOn();
      expect(await raftIndex()).toBe(before);
    });
  });

  test.each([-1, 3, 2_147_483_647])('an alarm request with action %i', async (action) => {
    const reply = await client.must('Maintenance/Alarm', { action });
    expect(reply['alarms']).toEqual([]);
    await servesOn();
  });

  test('nothing of it is in the log, which a restart reads', async () => {
    await member.kill();
    await member.restart();
    await servesOn();
  });
});
