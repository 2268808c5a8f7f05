// The end of the chain: hands each request to the applier of its concern.

import type { ApplyResult } from './apply-result.ts';
import type { AlarmOperation, KvOperation, LeaseOperation, Operation } from './operation.ts';
import type { OperationApplier } from './operation-applier.ts';
import type { RequestApplier } from './request-applier.ts';
import { REQUEST_KIND, type RequestUser } from './request-envelope.ts';

export interface ConcernAppliers {
  readonly kv: OperationApplier<KvOperation>;
  readonly leases: OperationApplier<LeaseOperation>;
  readonly alarms: OperationApplier<AlarmOperation>;
}

export class KindApplier implements RequestApplier {
  readonly #appliers: ConcernAppliers;
  /** Has the request that began last. */
  #current: Pick<RequestApplier, 'step' | 'result'>;

  constructor(appliers: ConcernAppliers) {
    this.#appliers = appliers;
    this.#current = appliers.kv;
  }

  begin(operation: Operation, user: RequestUser, awaited: boolean): boolean {
    const { kv, leases, alarms } = this.#appliers;
    switch (operation.kind) {
      case REQUEST_KIND.LEASE_GRANT:
      case REQUEST_KIND.LEASE_REVOKE:
      case REQUEST_KIND.LEASE_CHECKPOINT:
        this.#current = leases;
        return leases.begin(operation, user, awaited);
      case REQUEST_KIND.ALARM:
        this.#current = alarms;
        return alarms.begin(operation, user, awaited);
      default:
        this.#current = kv;
        return kv.begin(operation, user, awaited);
    }
  }

  step(): boolean {
    return this.#current.step();
  }

  get result(): ApplyResult {
    return this.#current.result;
  }
}
