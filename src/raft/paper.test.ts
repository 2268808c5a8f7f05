// "In Search of an Understandable Consensus Algorithm (Extended Version)": each test names the
// section that it checks and quotes or paraphrases it.

import { describe, expect, test } from 'vitest';
import { bytesFromUtf8 } from '../base/index.ts';
import { type Message, type NodeId, newEntry, ROLES, STEP_RESULTS } from './index.ts';
import { ELECTION_TICKS, entriesOf, Network, TestNode } from './node.fixture.ts';
import { MessageType } from './raftpb.ts';

const { MsgApp, MsgAppResp, MsgHeartbeat, MsgVote, MsgVoteResp } = MessageType;
const FIVE = [1n, 2n, 3n, 4n, 5n];

function leader(init: ConstructorParameters<typeof TestNode>[0] = {}): TestNode {
  const node = new TestNode(init);
  const others = (init.voters ?? [1n, 2n, 3n]).filter((id) => id !== node.id);
  return node.elect(...others);
}

const ofType = (messages: readonly Message[], type: number): Message[] =>
  messages.filter((sent) => sent.type === type);

describe('5.1 terms', () => {
  const roles: Record<string, () => TestNode> = {
    follower: () => new TestNode(),
    candidate: () => {
      const node = new TestNode();
      node.raw.campaign();
      node.take();
      return node;
    },
    leader,
  };
  for (const [name, make] of Object.entries(roles)) {
    test(`a ${name} that sees a larger term updates its own and becomes a follower`, () => {
      const node = make();
      node.step(MsgApp, { from: 2n, term: 7 });
      expect([node.term, node.role, node.lead]).toEqual([7, ROLES.FOLLOWER, 2n]);
    });
  }

  test('a request with a stale term is rejected', () => {
    const node = new TestNode({ hardState: { term: 2 } });
    const sent = node.step(MsgApp, { from: 2n, term: 1, entries: entriesOf([1]) });
    expect(sent).toEqual([]);
    expect([node.role, node.lead, node.logTerms]).toEqual([ROLES.FOLLOWER, 0n, []]);
  });
});

describe('5.2 leader election', () => {
  test('servers start as followers', () => {
    expect(new TestNode().role).toBe(ROLES.FOLLOWER);
  });

  test('a leader sends heartbeats to all followers', () => {
    const beats = ofType(leader().tick(1), MsgHeartbeat);
    expect(beats.map(({ to, term }) => [to, term])).toEqual([
      [2n, 1],
      [3n, 1],
    ]);
  });

  for (const from of ['follower', 'candidate']) {
    test(`a ${from} that hears nothing begins an election: next term, own vote, requests`, () => {
      const node = new TestNode();
      if (from === 'candidate') {
        node.raw.campaign();
        node.take();
      }
      const before = node.term;
      const requests = ofType(node.tick(2 * ELECTION_TICKS), MsgVote);
      expect(node.role).toBe(ROLES.CANDIDATE);
      expect(node.raw.basicStatus().vote).toBe(1n);
      expect(node.term).toBeGreaterThan(before);
      const last = requests.filter(({ term }) => term === node.term);
      expect(last.map(({ to }) => to)).toEqual([2n, 3n]);
    });
  }

  // Votes of the others, in order; the candidate has its own.
  test.each([
    [1, [], ROLES.LEADER],
    [3, [true, true], ROLES.LEADER],
    [3, [true], ROLES.LEADER],
    [5, [true, true, true, true], ROLES.LEADER],
    [5, [true, true], ROLES.LEADER],
    [3, [false, false], ROLES.FOLLOWER],
    [5, [false, false, false, false], ROLES.FOLLOWER],
    [5, [true, false, false, false], ROLES.FOLLOWER],
    [3, [], ROLES.CANDIDATE],
    [5, [true], ROLES.CANDIDATE],
    [5, [false, false], ROLES.CANDIDATE],
  ])('of %i servers, with votes %j, a candidate becomes %s', (size, votes, role) => {
    const voters = FIVE.slice(0, size);
    const node = new TestNode({ voters });
    node.raw.campaign();
    node.take();
    votes.forEach((granted, i) => {
      node.step(MsgVoteResp, { from: BigInt(i + 2), term: node.term, reject: !granted });
    });
    expect([node.role, node.term]).toEqual([role, 1]);
  });

  test('each server votes for at most one candidate per term, first come, first served', () => {
    const node = new TestNode();
    const ask = (from: NodeId): (readonly [NodeId, boolean])[] =>
      node.step(MsgVote, { from, term: 1 }).map(({ to, reject }) => [to, reject] as const);
    expect(ask(2n)).toEqual([[2n, false]]);
    expect(ask(3n)).toEqual([[3n, true]]);
    expect(ask(2n)).toEqual([[2n, false]]);
  });

  test.each([1, 2])('a candidate that hears from a leader of term %i follows it', (term) => {
    const node = new TestNode();
    node.raw.campaign();
    node.take();
    node.step(MsgApp, { from: 2n, term });
    expect([node.role, node.term, node.lead]).toEqual([ROLES.FOLLOWER, term, 2n]);
  });

  test('election timeouts are drawn from [timeout, 2 timeout)', () => {
    const drawn = new Set<number>();
    for (let seed = 1; seed <= 300; seed++) {
      const node = new TestNode({ seed });
      let ticks = 0;
      while (node.role === ROLES.FOLLOWER) {
        node.tick(1);
        ticks++;
      }
      drawn.add(ticks);
    }
    const all = Array.from({ length: ELECTION_TICKS }, (_, i) => ELECTION_TICKS + i);
    expect([...drawn].sort((a, b) => a - b)).toEqual(all);
  });

  test('in most elections a single server times out first', () => {
    let conflicts = 0;
    for (let round = 0; round < 300; round++) {
      const nodes = FIVE.map(
        (id) => new TestNode({ id, voters: FIVE, seed: round * 5 + Number(id) }),
      );
      while (nodes.every(({ role }) => role === ROLES.FOLLOWER)) {
        for (const node of nodes) node.tick(1);
      }
      if (nodes.filter(({ role }) => role !== ROLES.FOLLOWER).length > 1) conflicts++;
    }
    // With 10 possible draws two of five collide at the front about a quarter of the time.
    expect(conflicts / 300).toBeLessThan(0.35);
  });
});

describe('5.3 log replication', () => {
  test('the leader appends the command and sends it to all others', () => {
    const node = leader().establishFrom(2n, 3n);
    expect(node.propose('command')).toBe(STEP_RESULTS.OK);
    const appends = ofType(node.take(), MsgApp);
    const expected = newEntry(0, 1, 2, bytesFromUtf8('command'));
    expect(appends.map(({ to }) => to)).toEqual([2n, 3n]);
    for (const { index, logTerm, entries, commit } of appends) {
      expect([index, logTerm, entries, commit]).toEqual([1, 1, [expected], 1]);
    }
    expect(node.commit).toBe(1);
  });

  test.each([
    [1, [], true],
    [3, [], false],
    [3, [2], true],
    [5, [2], false],
    [5, [2, 3], true],
    [5, [2, 3, 4, 5], true],
  ])('of %i servers, once %j have stored an entry it is committed: %s', (size, by, committed) => {
    const voters = FIVE.slice(0, size);
    const node = leader({ voters }).establishFrom(...voters.slice(1));
    node.propose('command');
    node.take();
    for (const from of by) node.acknowledge(BigInt(from));
    expect(node.appliedTexts).toEqual(committed ? ['command'] : []);
  });

  test('the leader tells followers what is committed', () => {
    const node = leader().establishFrom(2n, 3n);
    node.propose('command');
    node.take();
    const sent = ofType(node.acknowledge(2n), MsgApp);
    expect(sent.map(({ to, commit }) => [to, commit])).toEqual([
      [2n, 2],
      [3n, 2],
    ]);
  });

  test.each([[[]], [[2]], [[1, 2]], [[1]]])(
    'committing an entry commits all before it, of earlier leaders too: %j',
    (terms) => {
      const node = leader({ terms, hardState: { term: 2 } });
      node.propose('command');
      node.take();
      node.acknowledge(2n);
      expect(node.applied.map(({ term }) => term)).toEqual([...terms, 3, 3]);
    },
  );

  test.each([
    [[1], 1],
    [[1, 1], 2],
    [[1, 1], 1],
  ])('a follower applies what is committed, in log order: %j up to %i', (terms, commit) => {
    const node = new TestNode();
    node.step(MsgApp, { from: 2n, term: 1, entries: entriesOf(terms), commit });
    expect(node.appliedTexts).toEqual(
      entriesOf(terms)
        .slice(0, commit)
        .map((e) => `1.${e.index}`),
    );
    expect(node.commit).toBe(commit);
  });

  // The follower has (1, 1), (2, 2), of which the first is committed.
  test.each([
    { prev: [0, 0], reject: false, index: 1, hint: [0, 0] },
    { prev: [1, 1], reject: false, index: 1, hint: [0, 0] },
    { prev: [2, 2], reject: false, index: 2, hint: [0, 0] },
    // A conflict: the hint skips what cannot match.
    { prev: [1, 2], reject: true, index: 2, hint: [1, 1] },
    { prev: [3, 3], reject: true, index: 3, hint: [2, 2] },
  ])('the consistency check of an append after %j', ({ prev: [term, at], reject, index, hint }) => {
    const node = new TestNode({ terms: [1, 2], hardState: { commit: 1, term: 2 } });
    const [sent] = node.step(MsgApp, { from: 2n, term: 3, logTerm: term!, index: at! });
    expect([sent?.type, sent?.reject, sent?.index]).toEqual([MsgAppResp, reject, index]);
    expect([sent?.logTerm, sent?.rejectHint]).toEqual(hint);
  });

  test.each([
    [[2, 2], entriesOf([3], 3), [1, 2, 3]],
    [[1, 1], entriesOf([3, 4], 2), [1, 3, 4]],
    [[0, 0], entriesOf([1]), [1, 2]],
    [[0, 0], entriesOf([3]), [3]],
  ])('conflicting entries are deleted, after %j', (prev, entries, expected) => {
    const node = new TestNode({ terms: [1, 2], hardState: { term: 2 } });
    node.step(MsgApp, { from: 2n, term: 5, logTerm: prev[0]!, index: prev[1]!, entries });
    expect(node.logTerms).toEqual(expected);
  });

  const leaderTerms = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  test.each([
    ['a', [1, 1, 1, 4, 4, 5, 5, 6, 6]],
    ['b', [1, 1, 1, 4]],
    ['c', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]],
    ['d', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]],
    ['e', [1, 1, 1, 4, 4, 4, 4]],
    ['f', [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]],
  ])('figure 7: the leader makes follower (%s) equal to itself', (_, terms) => {
    const first = new TestNode({ id: 1n, terms: leaderTerms, hardState: { term: 7 } });
    const second = new TestNode({ id: 2n, terms, hardState: { term: 7 } });
    // The third has an empty log and votes for anyone.
    const third = new TestNode({ id: 3n, hardState: { term: 7 } });
    const network = new Network(first, second, third);
    network.campaign(1n);
    first.propose('command');
    network.settle();
    expect(first.role).toBe(ROLES.LEADER);
    expect(second.logTerms).toEqual([...leaderTerms, 8, 8]);
    expect(second.appliedTexts.at(-1)).toBe('command');
  });
});

describe('5.4.1 election restriction', () => {
  test.each([[[1]], [[1, 2]]])('a request names the last entry of the log %j', (terms) => {
    const node = new TestNode({ terms, hardState: { term: 2 } });
    node.raw.campaign();
    const requests = ofType(node.take(), MsgVote);
    expect(requests.map(({ to, index, logTerm, term }) => [to, index, logTerm, term])).toEqual([
      [2n, terms.length, terms.at(-1), 3],
      [3n, terms.length, terms.at(-1), 3],
    ]);
  });

  test.each([
    // own terms, candidate's last (term, index), denied
    [[1], 1, 1, false],
    [[1], 1, 2, false],
    [[1, 1], 1, 1, true],
    [[1], 2, 1, false],
    [[1], 2, 2, false],
    [[1, 1], 2, 1, false],
    [[2], 1, 1, true],
    [[2], 1, 2, true],
    [[2, 1], 1, 1, true],
  ])('a voter with %j asked by (term %i, index %i) denies: %s', (terms, logTerm, index, denied) => {
    const node = new TestNode({ terms: [...terms].sort(), hardState: { term: 2 } });
    const [vote] = node.step(MsgVote, { from: 2n, term: 3, logTerm, index });
    expect([vote?.type, vote?.reject]).toEqual([MsgVoteResp, denied]);
  });
});

describe('5.4.2 committing entries from previous terms', () => {
  test.each([
    [1, 0],
    [2, 0],
    [3, 3],
  ])('with acknowledgements up to %i the leader commits up to %i', (index, committed) => {
    const node = new TestNode({ terms: [1, 2], hardState: { term: 2 } });
    node.raw.campaign();
    node.take();
    node.step(MsgVoteResp, { from: 2n, term: 3 });
    node.acknowledge(2n, index);
    expect(node.commit).toBe(committed);
  });

  // Figure 8 from (c) on: S1 has led in term 2 and leads again, in term 4; S5 has led in term 3.
  function figure8(): { s1: TestNode; s3: TestNode; s5: TestNode; network: Network } {
    const logs: Record<string, number[]> = { 1: [1, 2], 2: [1, 2], 3: [1], 4: [1], 5: [1, 3] };
    const nodes = FIVE.map((id) => {
      const config = { messageBytesMax: 0 };
      const voted = id === 2n || id === 3n;
      const hardState = voted ? { term: 4, vote: 1n } : { term: 3 };
      const init = { id, voters: FIVE, terms: logs[String(id)]!, hardState, config };
      return new TestNode(init);
    });
    const [s1, , s3, , s5] = nodes as [TestNode, TestNode, TestNode, TestNode, TestNode];
    s1.elect(2n, 3n);
    expect(s1.term).toBe(4);
    // S3 gets the entry of term 2, and nothing of term 4.
    const rejection = { from: 3n, term: 4, reject: true, index: 2, rejectHint: 1, logTerm: 1 };
    const [append] = s1.step(MsgAppResp, rejection).filter(({ to }) => to === 3n);
    expect(append?.entries.map(({ term }) => term)).toEqual([2]);
    s3.raw.step(append!);
    s3.take();
    s1.acknowledge(2n, 2);
    s1.acknowledge(3n, 2);
    return { s1, s3, s5, network: new Network(...nodes) };
  }

  test('figure 8 (d): an entry of an earlier term on a majority is not committed', () => {
    const { s1, s3, s5, network } = figure8();
    expect([s1.commit, s3.logTerms]).toEqual([0, [1, 2]]);
    network.isolate(1n);
    network.campaign(5n);
    network.campaign(5n);
    expect([s5.role, s5.term]).toEqual([ROLES.LEADER, 5]);
    expect(s3.logTerms).toEqual([1, 3, 5]);
  });

  test('figure 8 (e): an entry of the own term on a majority makes all before it safe', () => {
    const { s1, s5, network } = figure8();
    network.isolate(4n, 5n);
    s1.propose('command');
    network.settle();
    expect([s1.commit, s1.logTerms]).toEqual([4, [1, 2, 4, 4]]);
    network.recover();
    network.isolate(1n);
    for (let i = 0; i < 5; i++) network.campaign(5n);
    expect(s5.role).not.toBe(ROLES.LEADER);
  });
});

describe('8 client interaction', () => {
  test('a new leader commits an empty entry before it serves reads', () => {
    const node = leader({ terms: [1], hardState: { term: 1 } });
    node.raw.readIndex(bytesFromUtf8('r'));
    expect(ofType(node.take(), MsgHeartbeat)).toEqual([]);
    const beats = ofType(node.acknowledge(2n), MsgHeartbeat);
    expect(beats.map(({ to }) => to)).toEqual([2n, 3n]);
    expect(node.reads).toEqual([]);
    const { context } = beats[0]!;
    node.step(MessageType.MsgHeartbeatResp, { from: 2n, term: node.term, context });
    expect(node.reads).toEqual([{ index: 2, context: bytesFromUtf8('r') }]);
  });
});
