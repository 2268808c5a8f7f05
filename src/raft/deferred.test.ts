// `deferAppends`: the same outcome in fewer messages.

import { expect, test } from 'vitest';
import { bytesFromUtf8 } from '../base/index.ts';
import { LOCAL_APPEND_THREAD, STEP_RESULTS } from './index.ts';
import { group, message, type Network, TestNode } from './node.fixture.ts';
import { MessageType, newEntry } from './raftpb.ts';

const { MsgApp, MsgAppResp, MsgProp } = MessageType;
const config = { deferAppends: true };

function leader(init: ConstructorParameters<typeof TestNode>[0] = {}): TestNode {
  return new TestNode({ config, ...init }).elect(2n, 3n).establishFrom(2n, 3n);
}

test('any number of proposals makes one append per follower', () => {
  const node = leader();
  for (const text of ['a', 'b', 'c']) expect(node.propose(text)).toBe(STEP_RESULTS.OK);
  const entries = [newEntry(0, 0, 0, bytesFromUtf8('d')), newEntry(0, 0, 0, bytesFromUtf8('e'))];
  node.raw.step(message(MsgProp, { from: 2n, entries }));
  expect(node.raw.hasReady()).toBe(true);
  const appends = node.take().filter(({ type }) => type === MsgApp);
  expect(appends.map(({ to, entries }) => [to, entries.length])).toEqual([
    [2n, 5],
    [3n, 5],
  ]);
});

test('the leader acknowledges its own log once', () => {
  const node = new TestNode({ config: { ...config, asyncStorageWrites: true } });
  const turn = (): { type: number; to: bigint; index: number }[] => {
    const own: { type: number; to: bigint; index: number }[] = [];
    while (node.raw.hasReady()) {
      for (const sent of node.raw.ready().messages) {
        if (sent.to !== LOCAL_APPEND_THREAD) continue;
        node.storage.append(sent.entries);
        for (const response of sent.responses) {
          if (response.to !== 1n) continue;
          own.push({ type: response.type, to: response.to, index: response.index });
          node.raw.step(response);
        }
      }
    }
    return own;
  };
  node.raw.campaign();
  turn();
  node.raw.step(message(MessageType.MsgVoteResp, { from: 2n, term: 1 }));
  for (let i = 0; i < 100; i++) node.raw.propose(bytesFromUtf8('x'));
  const acks = turn().filter(({ type }) => type === MsgAppResp);
  expect(acks).toEqual([{ type: MsgAppResp, to: 1n, index: 101 }]);
});

test('an acknowledgement in between sends what waits, and nothing twice', () => {
  const node = leader();
  node.propose('a');
  node.raw.step(message(MsgAppResp, { from: 2n, term: 1, index: 1 }));
  node.raw.step(message(MessageType.MsgHeartbeatResp, { from: 2n, term: 1 }));
  node.propose('b');
  const sent = node.take().filter(({ type, to }) => type === MsgApp && to === 2n);
  expect(sent.flatMap(({ entries }) => entries.map(({ index }) => index))).toEqual([2, 3]);
});

test('more than one message holds goes in several', () => {
  const node = leader({ config: { ...config, messageBytesMax: 0 } });
  for (const text of ['a', 'b', 'c']) node.propose(text);
  const sent = node.take().filter(({ type, to }) => type === MsgApp && to === 3n);
  expect(sent.map(({ entries }) => entries.map(({ index }) => index))).toEqual([[2], [3], [4]]);
});

test('a leader that lost its term sends nothing of what it deferred', () => {
  const node = leader();
  node.propose('a');
  node.raw.step(message(MessageType.MsgHeartbeat, { from: 2n, term: 9 }));
  expect(node.take().filter(({ type }) => type === MsgApp)).toEqual([]);
  expect(node.role).toBe('StateFollower');
});

test('a commit is told with the next entries, once', () => {
  const node = leader();
  node.propose('a');
  node.take();
  node.raw.step(message(MsgAppResp, { from: 2n, term: 1, index: 2 }));
  expect(node.take().filter(({ type }) => type === MsgApp)).toEqual([]);
  expect(node.raw.hasUnsentCommit).toBe(true);
  node.propose('b');
  const appends = node.take().filter(({ type }) => type === MsgApp);
  expect(appends.map(({ to, entries, commit }) => [to, entries.length, commit])).toEqual([
    [2n, 1, 2],
    [3n, 1, 2],
  ]);
  expect(node.raw.hasUnsentCommit).toBe(false);
  node.raw.sendCommit();
  expect(node.take()).toEqual([]);
});

test('a leader without followers has nobody to tell', () => {
  const node = new TestNode({ config, voters: [1n] });
  node.raw.campaign();
  node.take();
  node.propose('a');
  node.take();
  expect(node.raw.basicStatus().commit).toBe(2);
  expect(node.raw.hasUnsentCommit).toBe(false);
});

test('a commit without entries to follow is told when the shell says so', () => {
  const node = leader();
  node.propose('a');
  node.take();
  node.raw.step(message(MsgAppResp, { from: 2n, term: 1, index: 2 }));
  node.raw.sendCommit();
  const appends = node.take().filter(({ type }) => type === MsgApp);
  expect(appends.map(({ to, entries, commit }) => [to, entries.length, commit])).toEqual([
    [2n, 0, 2],
    [3n, 0, 2],
  ]);
});

test('the log is the same as without', () => {
  const run = (defer: boolean): Network => {
    const network = group(3, { deferAppends: defer });
    network.campaign(1n);
    for (let i = 0; i < 20; i++) {
      network.node(1n).propose(`p${i}`);
      if (i % 3 === 0) network.node(2n).propose(`f${i}`);
      if (i % 5 === 0) network.settle();
    }
    network.settle();
    network.node(1n).raw.sendCommit();
    network.settle();
    return network;
  };
  const [plain, deferred] = [run(false), run(true)];
  for (const id of [1n, 2n, 3n]) {
    expect(deferred.node(id).appliedTexts).toEqual(plain.node(id).appliedTexts);
    expect(deferred.node(id).commit).toBe(plain.node(id).commit);
  }
});
