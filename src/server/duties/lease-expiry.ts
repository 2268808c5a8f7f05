// Looks for expired leases and proposes to revoke them; where that is asked for, has the rest of long
// leases written down. Only the leader's lessor lets leases expire. A leader that was paused may have
// been replaced, and leases renewed elsewhere, without its knowing: then it asks the others first. What
// it proposes is not passed on: to another leader it may be untrue.

import type { Timer } from '../../env/index.ts';
import type { EtcdErrorName } from '../../protocol/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { type ApplyResult, REQUEST_KIND } from '../../store/index.ts';
import type { Proposal } from '../consensus/proposals.ts';
import type { MemberCore } from '../core.ts';
import { LEASE_CHECK_INTERVAL_MS } from '../limits.ts';

export class LeaseExpiry {
  readonly #core: MemberCore;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(core: MemberCore) {
    this.#core = core;
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    this.#timer = this.#core.env.timers.after(LEASE_CHECK_INTERVAL_MS, () => {
      if (this.#stopped) return;
      void this.#check().finally(() => {
        if (!this.#stopped) this.#schedule();
      });
    });
  }

  async #check(): Promise<void> {
    const core = this.#core;
    if (!core.machine.leases.lessor.isPrimary) return;
    if (!(await core.confirmLeadership()) || this.#stopped) return;
    this.#revokeExpired();
    this.#checkpoint();
  }

  #checkpoint(): void {
    const { machine, env, proposals } = this.#core;
    const rests = machine.leases.lessor.takeCheckpoints(env.clock.monotonicMs());
    if (rests.length === 0) return;
    const checkpoints = rests.map(({ id, remainingSec: remainingTTL }) => ({ id, remainingTTL }));
    const body = etcdserverpb.LeaseCheckpointRequestCodec.encode({ checkpoints });
    // A lost one costs a lease only some of its extra time after a change of leaders.
    const noCaller = { complete: () => undefined, fail: () => undefined };
    proposals.proposeAsLeader(REQUEST_KIND.LEASE_CHECKPOINT, body, noCaller);
  }

  #revokeExpired(): void {
    const { machine, env, proposals, metrics } = this.#core;
    for (const { id } of machine.leases.lessor.takeExpired(env.clock.monotonicMs())) {
      const body = etcdserverpb.LeaseRevokeRequestCodec.encode({ id });
      const revocation = new Revocation(this.#core, id, () => metrics.lease.expired.value++);
      proposals.proposeAsLeader(REQUEST_KIND.LEASE_REVOKE, body, revocation);
    }
  }
}

class Revocation implements Proposal {
  readonly #core: MemberCore;
  readonly #id: bigint;
  readonly #onRevoked: () => void;

  constructor(core: MemberCore, id: bigint, onRevoked: () => void) {
    this.#core = core;
    this.#id = id;
    this.#onRevoked = onRevoked;
  }

  complete(result: ApplyResult): void {
    if (result.kind !== 'error') this.#onRevoked();
    // It has been revoked meanwhile.
    else if (result.error !== 'LEASE_NOT_FOUND') this.fail(result.error);
  }

  /** The lessor hands the lease out again. */
  fail(error: EtcdErrorName): void {
    this.#core.log.warn('failed to revoke lease', {
      'lease-id': BigInt.asUintN(64, this.#id).toString(16).padStart(16, '0'),
      error,
    });
  }
}
