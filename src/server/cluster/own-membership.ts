// This member's own status in its cluster: whether it votes, is alone, was removed. Updates the peers
// after changes of the membership.

import type { Env } from '../../env/index.ts';
import type { StoreView } from '../consensus/store-view.ts';
import { REMOVAL_DELAY_MS } from '../limits.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Peers } from './peers.ts';

interface OwnMembershipParts {
  readonly memberId: bigint;
  readonly env: Pick<Env, 'timers'>;
  readonly log: Logger;
  readonly store: StoreView<'cluster' | 'confState'>;
  readonly peers: Pick<Peers, 'follow' | 'forgetRemoved'>;
  readonly life: {
    readonly isStopping: boolean;
    /** Stops this member, which was removed from the cluster. */
    leave(): void;
  };
}

export class OwnMembership {
  readonly #parts: OwnMembershipParts;
  #isLearner = false;
  #isRemoved = false;

  constructor(parts: OwnMembershipParts) {
    this.#parts = parts;
  }

  /** A learner receives the log, has no vote, and serves few requests. */
  get isLearner(): boolean {
    return this.#isLearner;
  }

  get isRemoved(): boolean {
    return this.#isRemoved;
  }

  /** The only voter of its cluster, without learners. */
  get isAlone(): boolean {
    const { memberId, store } = this.#parts;
    const { voters, learners } = store.machine.confState;
    return voters.length === 1 && voters[0] === memberId && learners.length === 0;
  }

  /** Called after a possible change of the membership: updates the peers and this member's status. */
  follow(): void {
    const { memberId, store, peers } = this.#parts;
    const { cluster } = store.machine;
    this.#isLearner = cluster.member(memberId)?.isLearner === true;
    peers.follow(cluster.members());
    peers.forgetRemoved(cluster);
    if (cluster.isRemoved(memberId)) this.acceptRemoval();
  }

  /** This member was removed: it stops after REMOVAL_DELAY_MS. */
  acceptRemoval(): void {
    const { env, log, life } = this.#parts;
    if (this.#isRemoved || life.isStopping) return;
    this.#isRemoved = true;
    env.timers.after(REMOVAL_DELAY_MS, () => {
      if (life.isStopping) return;
      log.warn('server error', {
        error: 'the member has been permanently removed from the cluster',
      });
      log.warn('data-dir used by this member must be removed');
      life.leave();
    });
  }
}
