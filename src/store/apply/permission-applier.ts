// Refuses what the user of a request is not permitted, when the request is applied: whatever was checked
// before it was proposed may have changed since.

import {
  type AuthState,
  deleteRefusal,
  LeaseAccess,
  putRefusal,
  rangeRefusal,
  txnRefusal,
} from '../../auth/index.ts';
import { invariant } from '../../base/index.ts';
import type { Lessor } from '../../lease/index.ts';
import type { EtcdErrorName } from '../../protocol/index.ts';
import { APPLY_STEP_KEYS } from '../limits.ts';
import type { ApplyResult } from './apply-result.ts';
import type { Operation } from './operation.ts';
import type { RequestApplier } from './request-applier.ts';
import { REQUEST_KIND, type RequestUser } from './request-envelope.ts';

/** A request whose leases are being looked at. */
interface Held {
  readonly operation: Operation;
  readonly user: RequestUser;
  readonly awaited: boolean;
  readonly check: LeaseAccess;
}

export class PermissionApplier implements RequestApplier {
  readonly #next: RequestApplier;
  readonly #auth: AuthState;
  readonly #lessor: Pick<Lessor, 'lookup'>;
  #refusal: EtcdErrorName | undefined = undefined;
  #held: Held | undefined = undefined;

  constructor(next: RequestApplier, auth: AuthState, lessor: Pick<Lessor, 'lookup'>) {
    this.#next = next;
    this.#auth = auth;
    this.#lessor = lessor;
  }

  begin(operation: Operation, user: RequestUser, awaited: boolean): boolean {
    invariant(this.#held === undefined, 'a request begins when the one before is complete');
    const auth = this.#auth;
    this.#refusal = undefined;
    if (!auth.enabled) return this.#next.begin(operation, user, awaited);
    const leases: bigint[] = [];
    this.#refusal = this.#refusalOf(operation, user, leases);
    if (this.#refusal !== undefined) return true;
    if (leases.length === 0) return this.#next.begin(operation, user, awaited);
    const keys = leases.flatMap((id) => this.#lessor.lookup(id)?.keys ?? []);
    const check = new LeaseAccess(auth, user, 'write', keys);
    this.#held = { operation, user, awaited, check };
    return this.step();
  }

  step(): boolean {
    if (this.#held === undefined) return this.#next.step();
    const { operation, user, awaited, check } = this.#held;
    if (!check.step(APPLY_STEP_KEYS)) return false;
    this.#held = undefined;
    this.#refusal = check.refusal;
    return this.#refusal !== undefined || this.#next.begin(operation, user, awaited);
  }

  get result(): ApplyResult {
    return this.#refusal === undefined
      ? this.#next.result
      : { kind: 'error', error: this.#refusal };
  }

  /** Adds leases all of whose keys the user must be permitted to write. */
  #refusalOf(operation: Operation, user: RequestUser, leases: bigint[]): EtcdErrorName | undefined {
    const auth = this.#auth;
    switch (operation.kind) {
      case REQUEST_KIND.RANGE:
        return rangeRefusal(auth.accessOf(user), operation.request);
      case REQUEST_KIND.PUT:
        if (operation.request.lease !== 0n) leases.push(operation.request.lease);
        return putRefusal(auth.accessOf(user), operation.request);
      case REQUEST_KIND.DELETE_RANGE:
        return deleteRefusal(auth.accessOf(user), operation.request);
      case REQUEST_KIND.TXN:
        return txnRefusal(auth.accessOf(user), operation.request, leases);
      case REQUEST_KIND.LEASE_REVOKE:
        leases.push(operation.request.id);
        return undefined;
      case REQUEST_KIND.AUTH_USER_GET:
        return auth.userGetRefusal(user, operation.request.name);
      case REQUEST_KIND.AUTH_ROLE_GET:
        return auth.roleGetRefusal(user, operation.request.role);
      case REQUEST_KIND.COMPACTION:
      case REQUEST_KIND.LEASE_GRANT:
      case REQUEST_KIND.LEASE_CHECKPOINT:
      case REQUEST_KIND.ALARM:
      case REQUEST_KIND.AUTHENTICATE:
      case REQUEST_KIND.AUTH_STATUS:
        // Asked before they are proposed, or by the member itself, or of everybody.
        return undefined;
      default:
        return auth.adminRefusal(user);
    }
  }
}
