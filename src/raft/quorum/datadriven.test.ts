import { fail } from '../../base/index.ts';
import { type Case, testEveryFile } from '../datadriven.fixture.ts';
import type { NodeId } from '../ids.ts';
import {
  type AckedIndexes,
  describeAcked,
  describeIndex,
  describeJointAcked,
  idSet,
  type JointVoters,
  jointCommittedIndex,
  jointIds,
  jointVoteResult,
  majorityCommittedIndex,
  majorityVoteResult,
} from './index.ts';
import { naiveCommittedIndex } from './naive.fixture.ts';

testEveryFile('quorum', () => runCase);

interface Input {
  /** Undefined: a majority alone is under test. */
  readonly outgoing: readonly NodeId[] | undefined;
  readonly incoming: readonly NodeId[];
  /** In the order of the voters, incoming first, each once; undefined where the file has `_`. */
  readonly values: readonly (string | undefined)[];
}

function runCase(c: Case): string {
  const input = parse(c);
  const voters: JointVoters = {
    incoming: idSet(input.incoming),
    outgoing: idSet(input.outgoing ?? []),
  };
  const order = [...new Set([...input.incoming, ...(input.outgoing ?? [])])];
  if (order.length !== input.values.length) {
    return `error: mismatched input for voters ${jointIds(voters)}: ${input.values}`;
  }
  const given = new Map<NodeId, string>();
  order.forEach((id, i) => {
    const value = input.values[i];
    if (value !== undefined) given.set(id, value);
  });
  switch (c.command) {
    case 'committed':
      return committed(voters, given, input.outgoing !== undefined);
    case 'vote':
      return vote(voters, given);
    default:
      return fail(`unknown command ${c.command}`);
  }
}

function parse(c: Case): Input {
  let incoming: NodeId[] = [];
  let outgoing: NodeId[] | undefined;
  let values: (string | undefined)[] = [];
  for (const { key, values: list } of c.args) {
    if (key === 'cfg') incoming = list.map(BigInt);
    else if (key === 'cfgj') outgoing = list[0] === 'zero' ? [] : list.map(BigInt);
    else if (key === 'idx' || key === 'votes') {
      values = list.map((value) => (value === '_' ? undefined : value));
    } else fail(`unknown argument ${key}`);
  }
  return { incoming, outgoing, values };
}

/** The result, and a line for every other way to compute it that gives another one. */
function committed(voters: JointVoters, given: Map<NodeId, string>, joint: boolean): string {
  const indexes = new Map([...given].map(([id, value]) => [id, Number(value)]));
  const acked: AckedIndexes = { ackedIndex: (id) => indexes.get(id) };
  const { incoming, outgoing } = voters;
  let text = '';
  const compare = (other: number, how: string): void => {
    if (other !== index) text += `${describeIndex(other)} <-- ${how}\n`;
  };
  const index = joint
    ? jointCommittedIndex(voters, acked)
    : majorityCommittedIndex(incoming, acked);
  if (joint) {
    text += describeJointAcked(voters, acked);
    const swapped = { incoming: outgoing, outgoing: incoming };
    compare(jointCommittedIndex(swapped, acked), 'via symmetry');
  } else {
    text += describeAcked(incoming, acked);
    compare(naiveCommittedIndex(incoming, acked), 'via alternative computation');
    compare(jointCommittedIndex({ incoming, outgoing: [] }, acked), 'via zero-joint quorum');
    compare(jointCommittedIndex({ incoming, outgoing: incoming }, acked), 'via self-joint quorum');
    for (const [id, own] of indexes) {
      // What stands below the result does not matter, however far below.
      if (index <= own) continue;
      for (const lower of [own - 1, 0]) {
        const overlay: AckedIndexes = {
          ackedIndex: (other) => (other === id ? lower : indexes.get(other)),
        };
        compare(majorityCommittedIndex(incoming, overlay), `overlaying ${id}->${lower}`);
      }
    }
  }
  return `${text}${describeIndex(index)}\n`;
}

function vote(voters: JointVoters, given: Map<NodeId, string>): string {
  const votes = new Map([...given].map(([id, value]) => [id, value === 'y']));
  const { incoming, outgoing } = voters;
  const result =
    outgoing.length === 0 ? majorityVoteResult(incoming, votes) : jointVoteResult(voters, votes);
  const swapped = jointVoteResult({ incoming: outgoing, outgoing: incoming }, votes);
  return `${swapped === result ? '' : `${swapped} <-- via symmetry\n`}${result}\n`;
}
