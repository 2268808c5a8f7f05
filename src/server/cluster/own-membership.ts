// This member's own place in its cluster: whether it votes, is alone, was removed. The peers follow
// the membership from here.

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
    /** Stops, for good: there is no way back into the cluster. */
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

  /** It receives the log, has no vote, and serves next to nothing. */
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

  /** The membership may have changed: the peers follow it, and the rights of this member. */
  follow(): void {
    const { memberId, store, peers } = this.#parts;
    const { cluster } = store.machine;
    this.#isLearner = cluster.member(memberId)?.isLearner === true;
    peers.follow(cluster.members());
    peers.forgetRemoved(cluster);
    if (cluster.isRemoved(memberId)) this.acceptRemoval();
  }

  /** The others go on without this member: a little later it stops. */
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
