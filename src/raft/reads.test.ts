// Linearizable reads (thesis, section 6.4).

import { describe, expect, test } from 'vitest';
import { bytesFromUtf8, utf8FromBytes } from '../base/index.ts';
import { READ_ONLY_MODES } from './index.ts';
import { ELECTION_TICKS, group, Network, TestNode } from './node.fixture.ts';
import { MessageType, newEntry } from './raftpb.ts';

const { MsgHeartbeat, MsgHeartbeatResp, MsgReadIndex, MsgReadIndexResp } = MessageType;

function readOf(network: Network, id: bigint): (readonly [string, number])[] {
  return network
    .node(id)
    .reads.map(({ context, index }) => [utf8FromBytes(context), index] as const);
}

for (const readOnlyMode of Object.values(READ_ONLY_MODES)) {
  describe(`mode ${readOnlyMode}`, () => {
    test.each([1n, 2n, 4n])('a read asked for at %s gets the commit index', (id) => {
      const config = { readOnlyMode, checkQuorum: true };
      const voters = [1n, 2n, 3n];
      const wide = new Network(
        ...[...voters, 4n].map((own) => new TestNode({ id: own, voters, learners: [4n], config })),
      );
      wide.campaign(1n);
      wide.node(1n).propose('a', 'b');
      wide.settle();
      wide.node(id).raw.readIndex(bytesFromUtf8('r'));
      wide.settle();
      expect(readOf(wide, id)).toEqual([['r', 3]]);
    });
  });
}

test('no leader: the read is dropped, and nothing is answered later', () => {
  const node = new TestNode();
  node.raw.readIndex(bytesFromUtf8('r'));
  expect([node.take(), node.reads]).toEqual([[], []]);
});

test('a leader without a quorum answers nothing', () => {
  const network = group(3);
  network.campaign(1n);
  network.isolate(2n, 3n);
  network.node(1n).raw.readIndex(bytesFromUtf8('r'));
  network.settle();
  expect(readOf(network, 1n)).toEqual([]);
});

test('a paused leader that was replaced never serves a stale read', () => {
  const network = group(3);
  network.campaign(1n);
  network.isolate(1n);
  network.campaign(2n);
  network.node(2n).propose('new');
  network.settle();
  network.node(1n).raw.readIndex(bytesFromUtf8('r'));
  network.recover();
  network.settle();
  network.tick(1);
  expect(network.node(2n).appliedTexts).toEqual(['new']);
  expect(readOf(network, 1n).every(([, index]) => index >= 3)).toBe(true);
});

test('one round confirms all reads that arrived before it, and not those after', () => {
  const node = new TestNode().elect(2n, 3n).establishFrom(2n, 3n);
  const beats = ['a', 'b', 'c'].map((text) => {
    node.raw.readIndex(bytesFromUtf8(text));
    return node.take().find(({ type, to }) => type === MsgHeartbeat && to === 2n)!;
  });
  const answer = (context: Uint8Array): string[] => {
    node.step(MsgHeartbeatResp, { from: 2n, term: 1, context });
    return node.reads.map((read) => utf8FromBytes(read.context));
  };
  expect(answer(beats[1]!.context)).toEqual(['a', 'b']);
  // Repetitions, and contexts of an older leader or of garbage, confirm nothing.
  expect(answer(beats[0]!.context)).toEqual(['a', 'b']);
  expect(answer(bytesFromUtf8('garbage'))).toEqual(['a', 'b']);
  expect(answer(new Uint8Array(8).fill(255))).toEqual(['a', 'b']);
  expect(answer(beats[2]!.context)).toEqual(['a', 'b', 'c']);
});

// Of a leader that may have been replaced while it was paused: 1. A read was asked for and confirmed.
// 2. Another one waits. 3. The first is asked for once more, under its name. 4. Answers to the first
// round come late; they say nothing of the second.
test('late answers to a question that is asked again confirm nothing', () => {
  const node = new TestNode().elect(2n, 3n).establishFrom(2n, 3n);
  const ask = (text: string) => {
    const entries = [newEntry(0, 0, 0, bytesFromUtf8(text))];
    return node.step(MsgReadIndex, { from: 3n, entries }).find(({ to }) => to === 2n)!;
  };
  const answer = (from: bigint, context: Uint8Array) =>
    node
      .step(MsgHeartbeatResp, { from, term: 1, context })
      .filter(({ type }) => type === MsgReadIndexResp)
      .map(({ entries }) => utf8FromBytes(entries[0]!.data));
  const first = ask('A').context;
  expect(answer(2n, first)).toEqual(['A']);
  ask('B');
  const again = ask('A').context;
  expect([...answer(2n, first), ...answer(3n, first)]).toEqual([]);
  expect(answer(3n, again)).toEqual(['B', 'A']);
});

test('reads wait for the first commit of a term, also of a leader alone', () => {
  const alone = new TestNode({
    voters: [1n],
    terms: [1, 1],
    hardState: { term: 1, commit: 1 },
    config: { asyncStorageWrites: true },
  });
  alone.raw.campaign();
  for (const response of alone.raw.ready().messages.flatMap(({ responses }) => responses)) {
    alone.raw.step(response);
  }
  // It leads, and entry 2 may have been acknowledged before the crash, though commit says 1.
  alone.raw.readIndex(bytesFromUtf8('r'));
  const ready = alone.raw.ready();
  alone.storage.append(ready.entries);
  expect(ready.readStates).toEqual([]);
  for (const response of ready.messages.flatMap(({ responses }) => responses)) {
    alone.raw.step(response);
  }
  expect(alone.raw.ready().readStates).toEqual([{ index: 3, context: bytesFromUtf8('r') }]);
});

test('a leader that was removed does not answer for the one that is left', () => {
  const network = group(2);
  network.campaign(1n);
  const [one, two] = [network.node(1n), network.node(2n)];
  one.raw.proposeConfChange({ id: 0n, type: 1, nodeId: 1n, context: new Uint8Array(0) });
  network.settle();
  expect(one.raw.basicStatus().role).toBe('StateLeader');
  network.isolate(1n);
  network.campaign(2n);
  two.propose('new');
  network.settle();
  expect(two.appliedTexts).toEqual(['new']);
  one.raw.readIndex(bytesFromUtf8('r'));
  network.settle();
  expect(one.reads).toEqual([]);
});

test('a forwarded read is answered to the one who asked', () => {
  const node = new TestNode().elect(2n, 3n).establishFrom(2n, 3n);
  const entries = [newEntry(0, 0, 0, bytesFromUtf8('r'))];
  const [beat] = node.step(MsgReadIndex, { from: 3n, entries });
  const sent = node.step(MsgHeartbeatResp, { from: 2n, term: 1, context: beat!.context });
  expect(sent.map(({ type, to, index }) => [type, to, index])).toEqual([[MsgReadIndexResp, 3n, 1]]);
  expect(sent[0]!.entries).toEqual(entries);
});

test('lease-based reads end with the lease', () => {
  const config = { readOnlyMode: READ_ONLY_MODES.LEASE_BASED, checkQuorum: true };
  const network = group(3, config);
  network.campaign(1n);
  const one = network.node(1n);
  one.raw.readIndex(bytesFromUtf8('a'));
  expect(one.take()).toEqual([]);
  expect(one.reads).toHaveLength(1);
  one.tick(2 * ELECTION_TICKS);
  one.raw.readIndex(bytesFromUtf8('b'));
  one.take();
  expect(one.reads).toHaveLength(1);
});
