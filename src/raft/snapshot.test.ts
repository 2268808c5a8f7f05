// Members that need a snapshot, and the leader that sends it.

import { describe, expect, test } from 'vitest';
import { EMPTY_BYTES } from '../base/index.ts';
import { emptyConfState, type Message, type Snapshot, STORAGE_OUTCOMES } from './index.ts';
import { message, TestNode } from './node.fixture.ts';
import { MessageType } from './raftpb.ts';

const { MsgApp, MsgAppResp, MsgHeartbeatResp, MsgSnap } = MessageType;

function snapshotAt(
  index: number,
  term: number,
  voters: readonly bigint[] = [1n, 2n, 3n],
): Snapshot {
  const confState = { ...emptyConfState(), voters: [...voters] };
  return { data: EMPTY_BYTES, metadata: { confState, index, term } };
}

function progressOf(node: TestNode, id: bigint): string | undefined {
  return node.raw.status().progress.get(id)?.describe();
}

describe('the leader', () => {
  /** Leads a group of two whose log begins after index 10; node 2 is known to hold nothing. */
  function leader(): TestNode {
    const node = new TestNode({ voters: [1n, 2n] }).elect(2n).establishFrom(2n);
    for (let i = 0; i < 10; i++) node.propose('x');
    node.take();
    node.acknowledge(2n);
    const { applied } = node.raw.basicStatus();
    node.storage.createSnapshot(applied, undefined, EMPTY_BYTES);
    expect(node.storage.compact(applied)).toBe(STORAGE_OUTCOMES.DONE);
    return node;
  }

  const remove = { id: 0n, type: 1, nodeId: 2n, context: EMPTY_BYTES };
  const add = { id: 0n, type: 0, nodeId: 2n, context: EMPTY_BYTES };

  /** As `leader`; node 2 was removed and comes back with an empty log. */
  function readd(node: TestNode): Message[] {
    node.raw.applyConfChange(remove);
    node.raw.applyConfChange(add);
    return node.take();
  }

  test('sends its snapshot where its log does not reach back, and waits', () => {
    const node = leader();
    const sent = readd(node);
    expect(sent.map(({ type, to, snapshot }) => [type, to, snapshot?.metadata?.index])).toEqual([
      [MsgSnap, 2n, 11],
    ]);
    expect(progressOf(node, 2n)).toBe('StateSnapshot match=0 next=12 paused pendingSnap=11');
    node.propose('y');
    expect(node.take()).toEqual([]);
    expect(node.step(MsgHeartbeatResp, { from: 2n, term: 1 })).toEqual([]);
  });

  function waiting(): TestNode {
    const node = leader();
    readd(node);
    return node;
  }

  test('goes on after the snapshot when its transport reports success', () => {
    const node = waiting();
    node.raw.reportSnapshot(2n, 'finished');
    expect(progressOf(node, 2n)).toBe('StateProbe match=0 next=12 paused');
    const [probe] = node.step(MsgHeartbeatResp, { from: 2n, term: 1 });
    expect(probe).toMatchObject({ type: MsgApp, index: 11 });
  });

  test('tries again after a failure, at the next heartbeat', () => {
    const node = waiting();
    node.raw.reportSnapshot(2n, 'failed');
    expect(progressOf(node, 2n)).toBe('StateProbe match=0 next=1 paused');
    const [again] = node.step(MsgHeartbeatResp, { from: 2n, term: 1 });
    expect(again?.type).toBe(MsgSnap);
  });

  test('a report about someone who waits for none changes nothing', () => {
    const node = leader();
    const before = progressOf(node, 2n);
    node.raw.reportSnapshot(2n, 'failed');
    node.raw.reportSnapshot(9n, 'failed');
    expect(progressOf(node, 2n)).toBe(before);
  });

  test('an acknowledgement that connects to its log ends the wait', () => {
    const node = waiting();
    node.step(MsgAppResp, { from: 2n, term: 1, index: 9 });
    expect(progressOf(node, 2n)).toContain('StateSnapshot match=9');
    node.step(MsgAppResp, { from: 2n, term: 1, index: 11 });
    expect(progressOf(node, 2n)).toBe('StateReplicate match=11 next=12');
  });

  test('sends none while the storage prepares it, and asks again', () => {
    const node = leader();
    const { storage } = node;
    const snapshot = storage.snapshot();
    let prepared = false;
    Object.assign(storage, { snapshot: () => (prepared ? snapshot : undefined) });
    expect(readd(node)).toEqual([]);
    expect(progressOf(node, 2n)).toBe('StateProbe match=0 next=11');
    prepared = true;
    node.propose('y');
    expect(node.take().map(({ type }) => type)).toEqual([MsgSnap]);
  });

  test('a stale rejection asks for nothing', () => {
    const node = leader();
    const rejection = { from: 2n, term: 1, reject: true, index: 11, rejectHint: 0 };
    expect(node.step(MsgAppResp, rejection)).toEqual([]);
    expect(progressOf(node, 2n)).toContain('match=11');
  });
});

describe('a follower', () => {
  function receive(node: TestNode, snapshot: Snapshot | undefined): Message | undefined {
    const init = { from: 1n, term: 2, snapshot };
    return node.step(MsgSnap, init)[0];
  }

  test('takes over log and configuration, and acknowledges the end of both', () => {
    const node = new TestNode({ id: 2n });
    const answer = receive(node, snapshotAt(11, 2, [1n, 2n]));
    expect(answer).toMatchObject({ type: MsgAppResp, to: 1n, index: 11, reject: false });
    expect([node.storage.firstIndex(), node.storage.lastIndex()]).toEqual([12, 11]);
    expect(node.commit).toBe(11);
    expect(node.raw.status().config.voters.incoming).toEqual([1n, 2n]);
  });

  test('ignores one that is older than what it has committed', () => {
    const node = new TestNode({ id: 2n, terms: [1, 1], hardState: { term: 1, commit: 2 } });
    expect(receive(node, snapshotAt(1, 1))).toMatchObject({ index: 2, reject: false });
    expect(node.storage.lastIndex()).toBe(2);
  });

  test('of one that its log contains takes the commit index only', () => {
    const node = new TestNode({ id: 2n, terms: [1, 1, 1], hardState: { term: 1 } });
    expect(receive(node, snapshotAt(2, 1))).toMatchObject({ index: 2 });
    expect([node.commit, node.storage.lastIndex()]).toEqual([2, 3]);
  });

  test.each([
    ['without itself', snapshotAt(11, 2, [1n, 3n])],
    ['without any member', snapshotAt(11, 2, [])],
    ['that is empty', { data: EMPTY_BYTES, metadata: undefined }],
    ['that is missing', undefined],
  ])('ignores one %s', (_, snapshot) => {
    const node = new TestNode({ id: 2n });
    expect(receive(node, snapshot)).toMatchObject({ type: MsgAppResp, index: 0 });
    expect([node.commit, node.storage.lastIndex()]).toEqual([0, 0]);
  });

  test('ignores one whose configuration is impossible', () => {
    const node = new TestNode({ id: 2n });
    const snapshot = snapshotAt(11, 2);
    snapshot.metadata!.confState!.learners = [2n];
    expect(receive(node, snapshot)).toMatchObject({ index: 0 });
    expect(node.raw.status().config.voters.incoming).toEqual([1n, 2n, 3n]);
  });

  test('applies nothing and stands for nothing until it is on disk', () => {
    const config = { asyncStorageWrites: true };
    const node = new TestNode({ id: 2n, config });
    const snapshot = snapshotAt(11, 2);
    node.raw.step(message(MsgSnap, { from: 1n, to: 2n, term: 2, snapshot }));
    const [write] = node.raw.ready().messages;
    node.raw.campaign();
    expect(node.role).toBe('StateFollower');
    node.storage.applySnapshot(write!.snapshot!);
    for (const response of write!.responses) if (response.to === 2n) node.raw.step(response);
    expect(node.raw.basicStatus().applied).toBe(11);
    node.raw.campaign();
    expect(node.role).toBe('StateCandidate');
  });
});
