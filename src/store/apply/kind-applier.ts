// The end of the chain of appliers: dispatches each request to the applier of its concern.

import type { ApplyResult } from './apply-result.ts';
import type { AuthOperation } from './auth-operation.ts';
import type { AlarmOperation, KvOperation, LeaseOperation, Operation } from './operation.ts';
import type { OperationApplier } from './operation-applier.ts';
import type { RequestApplier } from './request-applier.ts';
import { REQUEST_KIND, type RequestUser } from './request-envelope.ts';

interface ConcernAppliers {
  readonly kv: OperationApplier<KvOperation>;
  readonly leases: OperationApplier<LeaseOperation>;
  readonly alarms: OperationApplier<AlarmOperation>;
  readonly auth: OperationApplier<AuthOperation>;
}

export class KindApplier implements RequestApplier {
  readonly #appliers: ConcernAppliers;
  /** The applier of the current request. */
  #current: Pick<RequestApplier, 'step' | 'result'>;

  constructor(appliers: ConcernAppliers) {
    this.#appliers = appliers;
    this.#current = appliers.kv;
  }

  begin(operation: Operation, user: RequestUser, awaited: boolean): boolean {
    const { kv, leases, alarms, auth } = this.#appliers;
    switch (operation.kind) {
      case REQUEST_KIND.LEASE_GRANT:
      case REQUEST_KIND.LEASE_REVOKE:
      case REQUEST_KIND.LEASE_CHECKPOINT:
        this.#current = leases;
        return leases.begin(operation, user, awaited);
      case REQUEST_KIND.ALARM:
        this.#current = alarms;
        return alarms.begin(operation, user, awaited);
      case REQUEST_KIND.RANGE:
      case REQUEST_KIND.PUT:
      case REQUEST_KIND.DELETE_RANGE:
      case REQUEST_KIND.TXN:
      case REQUEST_KIND.COMPACTION:
        this.#current = kv;
        return kv.begin(operation, user, awaited);
      default:
        this.#current = auth;
        return auth.begin(operation, user, awaited);
    }
  }

  step(): boolean {
    return this.#current.step();
  }

  get result(): ApplyResult {
    return this.#current.result;
  }
}
