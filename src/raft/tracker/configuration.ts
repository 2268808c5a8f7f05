// Voters and learners of a group. A configuration is a value: a change makes a new one.

import { fail } from '../../base/index.ts';
import type { NodeId } from '../ids.ts';
import {
  describeIdSet,
  describeJoint,
  EMPTY_ID_SET,
  hasId,
  type IdSet,
  type JointVoters,
  unionOf,
} from '../quorum/index.ts';

/** Current voters and learners; two sets of voters while a joint change is in progress. */
export interface Configuration {
  readonly voters: JointVoters;
  /** Receive the log and have no vote. Invariant: no learner is a voter (in either half). */
  readonly learners: IdSet;
  /**
   * Outgoing voters that will be learners once the transition is over; until then they vote, and
   * being learners too would break the invariant above. Demoting 3 out of (1 2 3) goes
   *
   *     voters=(1 2 3)
   *     voters=(1 2)&&(1 2 3) learners_next=(3)
   *     voters=(1 2) learners=(3)
   */
  readonly learnersNext: IdSet;
  /** The leader ends the transition by itself as soon as it may. Only while joint. */
  readonly autoLeave: boolean;
}

export const EMPTY_CONFIGURATION: Configuration = {
  voters: { incoming: EMPTY_ID_SET, outgoing: EMPTY_ID_SET },
  learners: EMPTY_ID_SET,
  learnersNext: EMPTY_ID_SET,
  autoLeave: false,
};

export function isJoint(config: Configuration): boolean {
  return config.voters.outgoing.length > 0;
}

/** Whether `id` votes in either half. */
export function isVoter(config: Configuration, id: NodeId): boolean {
  return hasId(config.voters.incoming, id) || hasId(config.voters.outgoing, id);
}

/** All voters and learners: the nodes that the leader sends the log to. */
export function membersOf(config: Configuration): IdSet {
  return unionOf(config.voters.incoming, config.voters.outgoing, config.learners);
}

/** Asserts what every configuration must satisfy. The empty one does, for bootstrap and tests. */
export function checkConfiguration(config: Configuration): void {
  for (const id of config.learnersNext) {
    if (!hasId(config.voters.outgoing, id)) {
      fail(`${id} is in LearnersNext, but not in the outgoing voters`);
    }
    if (hasId(config.learners, id)) fail(`${id} is in LearnersNext and already a learner`);
  }
  for (const id of config.learners) {
    if (isVoter(config, id)) fail(`${id} is both learner and voter`);
  }
  if (!isJoint(config)) {
    if (config.learnersNext.length > 0) fail('LearnersNext must be empty when not joint');
    if (config.autoLeave) fail('AutoLeave must be false when not joint');
  }
}

/** Such as `voters=(1 2)&&(1 2 3) learners=(4) learners_next=(3) autoleave`. */
export function describeConfiguration(config: Configuration): string {
  let text = `voters=${describeJoint(config.voters)}`;
  if (config.learners.length > 0) text += ` learners=${describeIdSet(config.learners)}`;
  if (config.learnersNext.length > 0) {
    text += ` learners_next=${describeIdSet(config.learnersNext)}`;
  }
  if (config.autoLeave) text += ' autoleave';
  return text;
}
