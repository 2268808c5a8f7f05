// Applies the requests about leases: grant, revoke, checkpoint.

import type { Clock } from '../../env/index.ts';
import { EtcdError, type etcdserverpb } from '../../protocol/index.ts';
import { APPLY_STEP_KEYS } from '../limits.ts';
import type { StoreMetrics } from '../metrics.ts';
import type { LeaseStore } from '../schema/lease-store.ts';
import type { ApplyResult } from './apply-result.ts';
import { LeaseRevocation } from './lease-revocation.ts';
import type { LeaseOperation } from './operation.ts';
import { OperationApplier } from './operation-applier.ts';
import { REQUEST_KIND } from './request-envelope.ts';
import type { StoreWriter } from './store-writer.ts';

interface LeaseApplierOptions {
  readonly leases: LeaseStore;
  readonly clock: Clock;
  readonly metrics: StoreMetrics;
}

export class LeaseApplier extends OperationApplier<LeaseOperation> {
  readonly #options: LeaseApplierOptions;

  constructor(writer: StoreWriter, options: LeaseApplierOptions) {
    super(writer);
    this.#options = options;
  }

  protected start(operation: LeaseOperation): boolean {
    switch (operation.kind) {
      case REQUEST_KIND.LEASE_GRANT:
        return this.complete(this.#grant(operation.request));
      case REQUEST_KIND.LEASE_REVOKE:
        return this.#beginRevoke(operation.request);
      case REQUEST_KIND.LEASE_CHECKPOINT:
        return this.complete(this.#checkpoint(operation.request));
    }
  }

  #grant(request: etcdserverpb.LeaseGrantRequest): ApplyResult {
    const { leases, clock, metrics } = this.#options;
    const lease = leases.grant(request.id, request.ttl, clock.monotonicMs());
    if (typeof lease === 'string') return { kind: 'error', error: lease };
    metrics.lease.granted.value++;
    metrics.lease.ttlSeconds.observe(lease.ttlSec);
    return { kind: 'leaseGrant', id: lease.id, ttlSec: lease.ttlSec };
  }

  /** Checkpoints of leases that no longer exist are ignored. */
  #checkpoint({ checkpoints }: etcdserverpb.LeaseCheckpointRequest): ApplyResult {
    const { leases, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const { id, remainingTTL } of checkpoints) leases.checkpoint(id, remainingTTL, nowMs);
    return { kind: 'leaseCheckpoint' };
  }

  #beginRevoke(request: etcdserverpb.LeaseRevokeRequest): boolean {
    const { leases, metrics } = this.#options;
    const lease = leases.lessor.lookup(request.id);
    if (lease === undefined) throw new EtcdError('LEASE_NOT_FOUND');
    const revocation = new LeaseRevocation(lease, this.writer.begin());
    return this.continueWith(() => {
      if (!revocation.step(APPLY_STEP_KEYS)) return undefined;
      leases.remove(lease);
      metrics.lease.revoked.value++;
      this.writer.end();
      return { kind: 'leaseRevoke' };
    });
  }
}
