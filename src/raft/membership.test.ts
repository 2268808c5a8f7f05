// Membership changes: what the leader accepts, what applying them does, learners, joint
// configurations, leadership transfer when members go.

import { describe, expect, test } from 'vitest';
import { EMPTY_BYTES, ERROR_CODES, hasCode } from '../base/index.ts';
import { parseChanges } from './confchange/parse.fixture.ts';
import { type AnyConfChange, describeConfiguration, ROLES, STEP_RESULTS } from './index.ts';
import { group, message, TestNode } from './node.fixture.ts';
import { ConfChangeTransition, EntryType, MessageType } from './raftpb.ts';

const { ConfChangeTransitionAuto, ConfChangeTransitionJointExplicit } = ConfChangeTransition;

function change(text: string, transition: number = ConfChangeTransitionAuto): AnyConfChange {
  return { transition, changes: parseChanges(text), context: EMPTY_BYTES };
}

function configOf(node: TestNode): string {
  return describeConfiguration(node.raw.status().config);
}

function typesInLog(node: TestNode): number[] {
  node.take();
  const { storage } = node;
  const entries = storage.entries(storage.firstIndex(), storage.lastIndex() + 1, Infinity);
  return (entries as { type: number }[]).map(({ type }) => type);
}

describe('proposing', () => {
  test('one change at a time: the next becomes an empty entry until the first is applied', () => {
    const node = new TestNode().elect(2n, 3n).establishFrom(2n, 3n);
    expect(node.raw.proposeConfChange(change('v4'))).toBe(STEP_RESULTS.OK);
    expect(node.raw.proposeConfChange(change('v5'))).toBe(STEP_RESULTS.OK);
    const { EntryNormal, EntryConfChangeV2 } = EntryType;
    expect(typesInLog(node)).toEqual([EntryNormal, EntryConfChangeV2, EntryNormal]);
    node.acknowledge(2n);
    expect(configOf(node)).toBe('voters=(1 2 3 4)');
    node.raw.proposeConfChange(change('v5'));
    expect(typesInLog(node).at(-1)).toBe(EntryConfChangeV2);
  });

  test('a new leader applies its whole log first', () => {
    const node = new TestNode({ terms: [1], hardState: { term: 1 } }).elect(2n);
    node.raw.proposeConfChange(change('v4'));
    expect(typesInLog(node).at(-1)).toBe(EntryType.EntryNormal);
  });

  test.each([
    ['voters=(1 2 3)', '', 'not in joint state'],
    ['voters=(1 2 3)&&(1 2)', 'v4', 'must transition out of joint config first'],
  ])('at %s the change "%s" is refused', (_, text, reason) => {
    const lines: string[] = [];
    const logger = { enabled: () => true, log: (_level: number, line: string) => lines.push(line) };
    const node = new TestNode({ voters: [1n, 2n], config: { logger } }).elect(2n).establishFrom(2n);
    if (text !== '') {
      node.raw.proposeConfChange(change('v3', ConfChangeTransitionJointExplicit));
      node.take();
      node.acknowledge(2n);
      node.take();
    }
    node.raw.proposeConfChange(change(text));
    expect(lines.at(-1)).toContain(reason);
    expect(lines.at(-1)).toContain(`ignoring conf change transition:ConfChangeTransitionAuto`);
  });

  test('what does not validate is let through when validation is off', () => {
    const config = { disableConfChangeValidation: true };
    const node = new TestNode({ config }).elect(2n, 3n).establishFrom(2n, 3n);
    node.raw.proposeConfChange(change(''));
    expect(typesInLog(node).at(-1)).toBe(EntryType.EntryConfChangeV2);
  });
});

describe('applying', () => {
  test('returns the configuration that results', () => {
    const node = new TestNode();
    expect(node.raw.applyConfChange(change('l4'))).toEqual({
      voters: [1n, 2n, 3n],
      learners: [4n],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    });
    const older = { id: 7n, type: 0, nodeId: 4n, context: EMPTY_BYTES };
    expect(node.raw.applyConfChange(older).voters).toEqual([1n, 2n, 3n, 4n]);
  });

  test('a change that does not fit changes nothing', () => {
    const node = new TestNode({ voters: [1n] });
    for (const bad of [change('r1'), change('v2 v3 r1 r2 r3'), change('')]) {
      let error: unknown;
      try {
        node.raw.applyConfChange(bad);
      } catch (caught) {
        error = caught;
      }
      expect(hasCode(error, ERROR_CODES.INVALID_ARGUMENT)).toBe(true);
      expect(configOf(node)).toBe('voters=(1)');
    }
  });

  test('node 0 stands for a change that was decided against', () => {
    const node = new TestNode();
    expect(node.raw.applyConfChange(change('v0')).voters).toEqual([1n, 2n, 3n]);
  });

  test('removing a member can commit what waited for it', () => {
    const node = new TestNode({ voters: [1n, 2n] }).elect(2n).establishFrom(2n);
    node.propose('x');
    node.take();
    expect(node.appliedTexts).toEqual([]);
    node.raw.applyConfChange(change('r2'));
    node.take();
    expect(node.appliedTexts).toEqual(['x']);
  });

  test('a new member is probed at once and counts as active', () => {
    const config = { checkQuorum: true };
    const node = new TestNode({ voters: [1n], config }).elect();
    node.raw.applyConfChange(change('v2'));
    const [probe] = node.take();
    expect(probe).toMatchObject({ type: MessageType.MsgApp, to: 2n });
    node.tick(10);
    expect(node.role).toBe(ROLES.LEADER);
    node.tick(10);
    expect(node.role).toBe(ROLES.FOLLOWER);
  });

  test('a snapshot that overtakes the apply thread is not undone by older changes', () => {
    const node = new TestNode({ id: 2n });
    const confState = {
      voters: [2n, 3n],
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    };
    const metadata = { confState, index: 10, term: 1 };
    const snapshot = { data: EMPTY_BYTES, metadata };
    node.raw.step(message(MessageType.MsgSnap, { from: 3n, to: 2n, term: 1, snapshot }));
    // Handed out for application before the snapshot came; its index is below the snapshot's.
    expect(node.raw.applyConfChange(change('v1'), 5).voters).toEqual([2n, 3n]);
    node.take();
    expect(node.raw.applyConfChange(change('v1'), 9).voters).toEqual([2n, 3n]);
    expect(node.raw.applyConfChange(change('v1'), 11).voters).toEqual([1n, 2n, 3n]);
  });
});

describe('joint configurations', () => {
  test.each([
    ['v4', ConfChangeTransitionAuto, 'voters=(1 2 3 4)'],
    ['v4 r3', ConfChangeTransitionAuto, 'voters=(1 2 4)'],
    ['v4', ConfChangeTransition.ConfChangeTransitionJointImplicit, 'voters=(1 2 3 4)'],
    ['l3 v4', ConfChangeTransitionAuto, 'voters=(1 2 4) learners=(3)'],
  ])('"%s" ends by itself at the right one', (text, transition, expected) => {
    const network = group(3);
    network.campaign(1n);
    network.node(1n).raw.proposeConfChange(change(text, transition));
    // Member 4 is not there: its messages go nowhere.
    for (let i = 0; i < 5; i++) {
      for (const sender of network.nodes) {
        for (const sent of sender.take()) {
          if (sent.to !== 4n) network.node(sent.to).raw.step(sent);
        }
      }
    }
    expect(configOf(network.node(1n))).toBe(expected);
    expect(configOf(network.node(2n))).toBe(expected);
  });

  test('explicit ones last until they are left', () => {
    const node = new TestNode({ voters: [1n] }).elect();
    node.raw.proposeConfChange(change('l2', ConfChangeTransitionJointExplicit));
    node.take();
    expect(configOf(node)).toBe('voters=(1)&&(1) learners=(2)');
    node.propose('x');
    node.take();
    expect(configOf(node)).toBe('voters=(1)&&(1) learners=(2)');
    node.raw.proposeConfChange(change(''));
    node.take();
    expect(configOf(node)).toBe('voters=(1) learners=(2)');
  });

  test('need a majority of both halves', () => {
    const node = new TestNode({ voters: [1n, 2n] }).elect(2n).establishFrom(2n);
    node.raw.applyConfChange(change('r2 v3 v4', ConfChangeTransitionJointExplicit));
    expect(configOf(node)).toBe('voters=(1 3 4)&&(1 2)');
    node.propose('x');
    node.take();
    node.acknowledge(3n);
    node.acknowledge(4n);
    expect(node.appliedTexts).toEqual([]);
    node.acknowledge(2n);
    expect(node.appliedTexts).toEqual(['x']);
  });
});

describe('leadership transfer', () => {
  const transferring = (): TestNode => {
    const node = new TestNode().elect(2n, 3n).establishFrom(2n, 3n);
    node.propose('x');
    node.take();
    node.raw.transferLeader(3n);
    expect(node.raw.basicStatus().leadTransferee).toBe(3n);
    return node;
  };

  test('is not made to a learner, a stranger or oneself', () => {
    const node = new TestNode({ learners: [4n] }).elect(2n, 3n);
    for (const to of [4n, 9n, 1n]) {
      node.raw.transferLeader(to);
      expect(node.raw.basicStatus().leadTransferee).toBe(0n);
    }
  });

  test('ends when the successor is removed or demoted', () => {
    for (const text of ['r3', 'l3']) {
      const node = transferring();
      node.raw.applyConfChange(change(text));
      expect(node.raw.basicStatus().leadTransferee).toBe(0n);
    }
  });

  test('another request replaces it, the same one changes nothing', () => {
    const node = transferring();
    node.raw.transferLeader(3n);
    expect(node.raw.basicStatus().leadTransferee).toBe(3n);
    node.raw.transferLeader(2n);
    expect(node.raw.basicStatus().leadTransferee).toBe(2n);
  });

  test('a follower sends the request on', () => {
    const network = group(3);
    network.campaign(1n);
    network.node(2n).raw.transferLeader(3n);
    network.settle();
    expect(network.node(3n).role).toBe(ROLES.LEADER);
  });
});
