// Elections beyond the paper: pre-vote (thesis, section 9.6), leases by check-quorum (4.2.3, 6.2),
// learners.

import { describe, expect, test } from 'vitest';
import { bytesFromUtf8 } from '../base/index.ts';
import { ROLES } from './index.ts';
import { ELECTION_TICKS, entriesOf, group, message, TestNode } from './node.fixture.ts';
import { MessageType } from './raftpb.ts';

const { MsgApp, MsgAppResp, MsgHeartbeat, MsgPreVote, MsgPreVoteResp, MsgVote, MsgVoteResp } =
  MessageType;

const roles = (...nodes: TestNode[]): string[] => nodes.map(({ role }) => role);

describe('pre-vote', () => {
  const config = { preVote: true };

  test('asks about the next term without entering it', () => {
    const node = new TestNode({ config, hardState: { term: 4 } });
    node.raw.campaign();
    const sent = node.take();
    expect(sent.map(({ type, to, term }) => [type, to, term])).toEqual([
      [MsgPreVote, 2n, 5],
      [MsgPreVote, 3n, 5],
    ]);
    expect([node.role, node.term]).toEqual([ROLES.PRE_CANDIDATE, 4]);
    const votes = node.step(MsgPreVoteResp, { from: 2n, term: 5 });
    expect(votes.map(({ type, term }) => [type, term])).toEqual([
      [MsgVote, 5],
      [MsgVote, 5],
    ]);
    expect([node.role, node.term]).toEqual([ROLES.CANDIDATE, 5]);
  });

  test('a late pre-vote does not count as a vote', () => {
    const node = new TestNode({ config });
    node.raw.campaign();
    node.take();
    node.step(MsgPreVoteResp, { from: 2n, term: 1 });
    node.step(MsgPreVoteResp, { from: 3n, term: 1 });
    expect(node.role).toBe(ROLES.CANDIDATE);
    node.step(MsgVoteResp, { from: 3n, term: 1 });
    expect(node.role).toBe(ROLES.LEADER);
  });

  test('granting one commits to nothing', () => {
    const node = new TestNode({ config });
    for (const from of [2n, 3n]) {
      const [answer] = node.step(MsgPreVote, { from, term: 1 });
      expect(answer).toMatchObject({ type: MsgPreVoteResp, reject: false, term: 1 });
    }
    expect([node.term, node.raw.basicStatus().vote]).toEqual([0, 0n]);
  });

  test('a node that was cut off comes back without disturbing anyone', () => {
    const network = group(3, { preVote: true, checkQuorum: true });
    network.campaign(1n);
    network.isolate(3n);
    network.node(1n).propose('x');
    network.settle();
    // It times out again and again, and its term stays.
    network.node(3n).tick(5 * ELECTION_TICKS);
    expect(network.node(3n).term).toBe(1);
    network.recover();
    network.tick(1);
    expect(roles(...network.nodes)).toEqual([ROLES.LEADER, ROLES.FOLLOWER, ROLES.FOLLOWER]);
    expect(network.node(3n).appliedTexts).toEqual(['x']);
  });

  test('a rejection tells a term that is ahead', () => {
    const node = new TestNode({ config });
    node.raw.campaign();
    node.take();
    node.step(MsgPreVoteResp, { from: 2n, term: 7, reject: true });
    expect([node.role, node.term]).toEqual([ROLES.FOLLOWER, 7]);
  });

  test('a pre-vote of an earlier term is rejected aloud, or a group in transition locks up', () => {
    const node = new TestNode({ config, hardState: { term: 3 } });
    const [answer] = node.step(MsgPreVote, { from: 2n, term: 2 });
    expect(answer).toMatchObject({ type: MsgPreVoteResp, reject: true, term: 3, to: 2n });
  });
});

describe('check-quorum', () => {
  const config = { checkQuorum: true };

  test('a leader that hears from a quorum stays, one that does not steps down', () => {
    const node = new TestNode({ config }).elect(2n);
    for (let round = 0; round < 3; round++) {
      node.tick(ELECTION_TICKS - 1);
      node.step(MsgAppResp, { from: 3n, term: node.term });
      node.tick(1);
      expect(node.role).toBe(ROLES.LEADER);
    }
    node.tick(ELECTION_TICKS);
    expect([node.role, node.lead]).toEqual([ROLES.FOLLOWER, 0n]);
  });

  test('votes are refused in the lease of a leader, unless it sent the candidate itself', () => {
    const node = new TestNode({ config });
    node.step(MsgHeartbeat, { from: 2n, term: 1 });
    node.tick(ELECTION_TICKS - 2);
    expect(node.step(MsgVote, { from: 3n, term: 5 })).toEqual([]);
    expect(node.term).toBe(1);
    const context = bytesFromUtf8('CampaignTransfer');
    const [vote] = node.step(MsgVote, { from: 3n, term: 5, context });
    expect(vote).toMatchObject({ type: MsgVoteResp, reject: false, term: 5 });
  });

  test('votes are granted after it', () => {
    const node = new TestNode({ config, seed: 2 });
    node.step(MsgHeartbeat, { from: 2n, term: 1 });
    // Its own timeout is later than the lease.
    node.raw.setRandomizedElectionTimeout(2 * ELECTION_TICKS);
    node.tick(ELECTION_TICKS);
    const [vote] = node.step(MsgVote, { from: 3n, term: 5 });
    expect(vote).toMatchObject({ type: MsgVoteResp, reject: false });
  });

  test('a candidate that got ahead is freed: the leader hears its term and steps down', () => {
    const network = group(3, config);
    network.campaign(1n);
    network.isolate(3n);
    network.node(3n).tick(4 * ELECTION_TICKS);
    const ahead = network.node(3n).term;
    expect(ahead).toBeGreaterThan(1);
    network.recover();
    network.tick(1);
    expect(network.node(1n).role).toBe(ROLES.FOLLOWER);
    expect(network.node(1n).term).toBeGreaterThanOrEqual(ahead);
    network.tick(6 * ELECTION_TICKS);
    expect(roles(...network.nodes)).toContain(ROLES.LEADER);
  });

  test('without it, and without pre-vote, an earlier term gets no answer', () => {
    const node = new TestNode({ hardState: { term: 5 } });
    expect(node.step(MsgApp, { from: 2n, term: 4 })).toEqual([]);
    const checking = new TestNode({ hardState: { term: 5 }, config });
    expect(checking.step(MsgApp, { from: 2n, term: 4 })).toMatchObject([
      { type: MsgAppResp, to: 2n, term: 5 },
    ]);
  });
});

describe('who may stand', () => {
  test('not a learner, though it votes', () => {
    const node = new TestNode({ id: 3n, voters: [1n, 2n], learners: [3n] });
    expect(node.tick(4 * ELECTION_TICKS)).toEqual([]);
    expect(node.role).toBe(ROLES.FOLLOWER);
    const [vote] = node.step(MsgVote, { from: 1n, term: 1 });
    expect(vote).toMatchObject({ type: MsgVoteResp, reject: false });
  });

  test('not with a membership change to apply', () => {
    const node = new TestNode({ terms: [1], hardState: { term: 1 } });
    const [change] = entriesOf([1], 2);
    const entries = [{ ...change!, type: 2, data: new Uint8Array(0) }];
    const init = { from: 2n, to: 1n, term: 1, index: 1, logTerm: 1, entries, commit: 2 };
    node.raw.step(message(MsgApp, init));
    node.raw.campaign();
    expect(node.role).toBe(ROLES.FOLLOWER);
  });

  test('a leader has no reason to', () => {
    const node = new TestNode({ voters: [1n] }).elect();
    node.raw.campaign();
    expect([node.role, node.term]).toEqual([ROLES.LEADER, 1]);
  });
});

test('forgetting the leader makes room for another in the same term', () => {
  const node = new TestNode();
  node.step(MsgHeartbeat, { from: 2n, term: 1 });
  expect(node.step(MsgVote, { from: 3n, term: 1 })[0]?.reject).toBe(true);
  node.raw.forgetLeader();
  expect(node.lead).toBe(0n);
  expect(node.step(MsgVote, { from: 3n, term: 1 })[0]?.reject).toBe(false);
});
