// Proposes the revocation of expired leases, and checkpoints of long leases if that is enabled. Only the
// leader's lessor expires leases. A leader that was paused may have been replaced, and leases renewed
// elsewhere: it confirms its leadership first. Its proposals are not forwarded, since they may be wrong for
// another leader.

import type { Env, Timer } from '../../env/index.ts';
import type { EtcdErrorName } from '../../protocol/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { type ApplyResult, REQUEST_KIND } from '../../store/index.ts';
import type { Callers } from '../auth/callers.ts';
import type { Leadership } from '../consensus/leadership.ts';
import type { Proposal, Proposals } from '../consensus/proposals.ts';
import type { StoreView } from '../consensus/store-view.ts';
import { INTERVAL_SLACK, LEASE_CHECK_INTERVAL_MS } from '../limits.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';

export interface LeaseExpiryParts {
  readonly env: Pick<Env, 'clock' | 'timers'>;
  readonly log: Logger;
  readonly metrics: Pick<ServerMetrics, 'lease'>;
  readonly leadership: Pick<Leadership, 'confirm'>;
  readonly callers: Pick<Callers, 'root'>;
  readonly proposals: Pick<Proposals, 'proposeAsLeader'>;
  readonly store: StoreView<'leases'>;
}

export class LeaseExpiry {
  readonly #parts: LeaseExpiryParts;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(parts: LeaseExpiryParts) {
    this.#parts = parts;
  }

  start(): void {
    const check = () => {
      if (this.#stopped) return;
      void this.#check().finally(() => {
        if (!this.#stopped) this.start();
      });
    };
    const slackMs = INTERVAL_SLACK * LEASE_CHECK_INTERVAL_MS;
    this.#timer = this.#parts.env.timers.after(LEASE_CHECK_INTERVAL_MS, check, slackMs);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #check(): Promise<void> {
    const { store, leadership } = this.#parts;
    if (!store.machine.leases.lessor.isPrimary) return;
    if (!(await leadership.confirm()) || this.#stopped) return;
    this.#revokeExpired();
    this.#checkpoint();
  }

  #checkpoint(): void {
    const { store, env, proposals } = this.#parts;
    const rests = store.machine.leases.lessor.takeCheckpoints(env.clock.monotonicMs());
    if (rests.length === 0) return;
    const checkpoints = rests.map(({ id, remainingSec: remainingTTL }) => ({ id, remainingTTL }));
    const body = etcdserverpb.LeaseCheckpointRequestCodec.encode({ checkpoints });
    // Not awaited: a lost checkpoint only shortens the extension of a lease after a change of leaders.
    const noCaller = { complete: () => undefined, fail: () => undefined };
    proposals.proposeAsLeader(REQUEST_KIND.LEASE_CHECKPOINT, undefined, body, noCaller);
  }

  #revokeExpired(): void {
    const { store, env, log, callers, proposals, metrics } = this.#parts;
    for (const { id } of store.machine.leases.lessor.takeExpired(env.clock.monotonicMs())) {
      const body = etcdserverpb.LeaseRevokeRequestCodec.encode({ id });
      const revocation = new Revocation(log, id, () => metrics.lease.expired.value++);
      proposals.proposeAsLeader(REQUEST_KIND.LEASE_REVOKE, callers.root, body, revocation);
    }
  }
}

class Revocation implements Proposal {
  readonly #log: Logger;
  readonly #id: bigint;
  readonly #onRevoked: () => void;

  constructor(log: Logger, id: bigint, onRevoked: () => void) {
    this.#log = log;
    this.#id = id;
    this.#onRevoked = onRevoked;
  }

  complete(result: ApplyResult): void {
    if (result.kind !== 'error') this.#onRevoked();
    // LEASE_NOT_FOUND: revoked already.
    else if (result.error !== 'LEASE_NOT_FOUND') this.fail(result.error);
  }

  /** The lessor will report the lease as expired again. */
  fail(error: EtcdErrorName): void {
    this.#log.warn('failed to revoke lease', {
      'lease-id': BigInt.asUintN(64, this.#id).toString(16).padStart(16, '0'),
      error,
    });
  }
}
