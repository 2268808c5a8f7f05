// A configuration under change. The operations are those of one membership change; the result is
// checked before it is adopted, so that a refused change has no effect.

import { compareUint64, invariant } from '../../base/index.ts';
import type { NodeId } from '../ids.ts';
import { EMPTY_ID_SET, hasId, type IdSet, withId, withoutId } from '../quorum/index.ts';
import { type Configuration, membersOf } from '../tracker/index.ts';

export class Draft {
  incoming: IdSet;
  outgoing: IdSet;
  learners: IdSet;
  learnersNext: IdSet;
  /**
   * Members whose progress is kept. One that is removed and added again within the change starts with
   * new progress: it may have lost its log in between.
   */
  readonly kept: Set<NodeId>;

  constructor(base: Configuration) {
    this.incoming = base.voters.incoming;
    this.outgoing = base.voters.outgoing;
    this.learners = base.learners;
    this.learnersNext = base.learnersNext;
    this.kept = new Set(membersOf(base));
  }

  /** Adds `id` as a voter, or promotes the learner. */
  makeVoter(id: NodeId): void {
    this.learners = withoutId(this.learners, id);
    this.learnersNext = withoutId(this.learnersNext, id);
    this.incoming = withId(this.incoming, id);
    invariant(!hasId(this.learners, id), 'a voter is no learner');
  }

  /**
   * Adds `id` as a learner, or demotes the voter; an outgoing voter becomes a learner only when
   * the transition ends.
   */
  makeLearner(id: NodeId): void {
    if (hasId(this.learners, id)) return;
    this.incoming = withoutId(this.incoming, id);
    if (hasId(this.outgoing, id)) this.learnersNext = withId(this.learnersNext, id);
    else this.learners = withId(this.learners, id);
    invariant(!hasId(this.incoming, id), 'a learner is no voter');
  }

  /** Removes `id`; an outgoing voter remains one until the transition ends. */
  remove(id: NodeId): void {
    this.incoming = withoutId(this.incoming, id);
    this.learners = withoutId(this.learners, id);
    this.learnersNext = withoutId(this.learnersNext, id);
    invariant(!hasId(this.incoming, id), 'a member that is removed votes in no new configuration');
    if (!hasId(this.outgoing, id)) this.kept.delete(id);
  }

  /** The transition begins: today's voters are the outgoing ones. */
  enterJoint(): void {
    invariant(this.outgoing.length === 0, 'a transition begins when no other runs');
    this.outgoing = this.incoming;
  }

  /** The transition ends: staged learners become learners, outgoing voters leave. */
  leaveJoint(): void {
    invariant(this.outgoing.length > 0, 'a transition that ends had begun');
    this.learners = [...this.learners, ...this.learnersNext].sort(compareUint64);
    this.learnersNext = EMPTY_ID_SET;
    this.outgoing = EMPTY_ID_SET;
  }

  finish(autoLeave: boolean): Configuration {
    return {
      voters: { incoming: this.incoming, outgoing: this.outgoing },
      learners: this.learners,
      learnersNext: this.learnersNext,
      autoLeave,
    };
  }
}
