import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { NodeId } from '../ids.ts';
import { type ConfChangeSingle, ConfChangeType } from '../raftpb.ts';
import {
  type Configuration,
  describeConfiguration,
  EMPTY_CONFIGURATION,
  isJoint,
  membersOf,
} from '../tracker/index.ts';
import {
  type ChangeOutcome,
  changeSimply,
  configurationFrom,
  confStateOf,
  enterJoint,
  equivalentConfStates,
  leaveJoint,
} from './index.ts';
import { parseChanges } from './parse.fixture.ts';

const change: fc.Arbitrary<ConfChangeSingle> = fc.record({
  type: fc.constantFrom(
    ConfChangeType.ConfChangeAddNode,
    ConfChangeType.ConfChangeAddNode,
    ConfChangeType.ConfChangeRemoveNode,
    ConfChangeType.ConfChangeUpdateNode,
    ConfChangeType.ConfChangeAddLearnerNode,
  ),
  nodeId: fc.bigInt(1n, 9n),
});
const changes = fc.array(change, { maxLength: 9 });

/** A configuration that a group can have come to: node 1, then whatever is accepted. */
const configuration = changes.map((list): Configuration => {
  let config = accepted(changeSimply(EMPTY_CONFIGURATION, parseChanges('v1'))).config;
  for (const one of list) {
    const outcome = changeSimply(config, [one]);
    if (outcome.ok) config = outcome.config;
  }
  return config;
});

function accepted(outcome: ChangeOutcome): ChangeOutcome & { ok: true } {
  if (!outcome.ok) throw new Error(outcome.reason);
  return outcome;
}

/** One by one, by simple changes; undefined where one is refused. */
function oneByOne(base: Configuration, list: ConfChangeSingle[]): Configuration | undefined {
  let config = base;
  for (const one of list) {
    const outcome = changeSimply(config, [one]);
    if (!outcome.ok) return undefined;
    config = outcome.config;
  }
  return config;
}

test('through a joint configuration the end is the same as one by one', () => {
  fc.assert(
    fc.property(configuration, changes, (base, list) => {
      const simple = oneByOne(base, list);
      const joint = enterJoint(base, list, false);
      // A change may pass through a configuration without voters only within a joint one.
      if (simple === undefined) return;
      const through = accepted(joint);
      expect(isJoint(through.config)).toBe(true);
      expect(through.config.voters.outgoing).toEqual(base.voters.incoming);
      const left = accepted(leaveJoint(through.config));
      expect(describeConfiguration(left.config)).toBe(describeConfiguration(simple));
      // With autoleave nothing differs but the flag.
      const auto = accepted(enterJoint(base, list, true));
      expect({ ...auto.config, autoLeave: false }).toEqual(through.config);
    }),
    { numRuns: 2_000 },
  );
});

test('everything accepted can be stored and restored', () => {
  fc.assert(
    fc.property(configuration, changes, fc.boolean(), (base, list, autoLeave) => {
      for (const outcome of [changeSimply(base, list), enterJoint(base, list, autoLeave)]) {
        if (!outcome.ok) continue;
        const state = confStateOf(outcome.config);
        expect(configurationFrom(state)).toEqual({ ok: true, config: outcome.config });
        const shuffled = { ...state, voters: [...state.voters].reverse() };
        expect(equivalentConfStates(state, shuffled)).toBe(true);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('outgoing voters keep their progress, members that go and come start anew', () => {
  fc.assert(
    fc.property(configuration, changes, (base, list) => {
      const before = new Set<NodeId>(membersOf(base));
      const outcome = enterJoint(base, list, false);
      if (!outcome.ok) return;
      for (const id of outcome.kept) expect(before.has(id)).toBe(true);
      for (const id of base.voters.incoming) expect(outcome.kept.has(id)).toBe(true);
    }),
    { numRuns: 500 },
  );
  const base = accepted(changeSimply(EMPTY_CONFIGURATION, parseChanges('v1'))).config;
  const learner = accepted(changeSimply(base, parseChanges('l2'))).config;
  expect([...accepted(changeSimply(learner, parseChanges('r2 l2'))).kept]).toEqual([1n]);
  expect([...accepted(changeSimply(learner, parseChanges('v2'))).kept]).toEqual([1n, 2n]);
});

describe('a stored configuration is refused', () => {
  const empty = confStateOf(EMPTY_CONFIGURATION);
  test.each([
    ['learners without voters', { learners: [1n] }],
    ['outgoing voters without incoming', { votersOutgoing: [1n] }],
    ['a learner that votes', { voters: [1n, 2n], learners: [2n] }],
    ['a learner that still votes', { voters: [1n], votersOutgoing: [2n], learners: [2n] }],
    ['a staged learner that was no voter', { voters: [1n], learnersNext: [2n] }],
    ['a staged learner that votes on', { voters: [1n], votersOutgoing: [1n], learnersNext: [1n] }],
    ['autoleave of nothing', { voters: [1n], autoLeave: true }],
  ])('%s', (_, state) => {
    expect(configurationFrom({ ...empty, ...state }).ok).toBe(false);
  });

  test('but not an empty one', () => {
    expect(configurationFrom(empty)).toEqual({ ok: true, config: EMPTY_CONFIGURATION });
  });
});

test('unknown kinds of change are refused', () => {
  const base = accepted(changeSimply(EMPTY_CONFIGURATION, parseChanges('v1'))).config;
  const outcome = changeSimply(base, [{ type: 9, nodeId: 2n }]);
  expect(outcome).toEqual({ ok: false, reason: 'unexpected conf type 9' });
});
