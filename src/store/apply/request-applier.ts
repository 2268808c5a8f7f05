// Applies one decoded request at a time. The two alarms, the permissions (permission-applier.ts) and the
// quota each wrap the next applier; at the end is the one of the request's concern (kind-applier.ts).
//
//     CORRUPT alarm ──► NOSPACE alarm ──► permissions ──► quota ──► the applier of the request's concern

import type { EtcdErrorName } from '../../protocol/index.ts';
import type { ApplyResult } from './apply-result.ts';
import { isAuthKind } from './auth-operation.ts';
import type { Operation } from './operation.ts';
import { costOf } from './request-cost.ts';
import { REQUEST_KIND, type RequestUser } from './request-envelope.ts';

export interface RequestApplier {
  /**
   * Begins a request; true if it is complete. `user`: on whose behalf it is made, valid until it is
   * complete. `awaited`: whether a client of this member waits for the result.
   */
  begin(operation: Operation, user: RequestUser, awaited: boolean): boolean;
  /** Continues a request that is not complete. */
  step(): boolean;
  /** Result of the completed request; valid until the next one begins. */
  readonly result: ApplyResult;
}

/** Refuses some requests while an alarm is raised. */
export class AlarmApplier implements RequestApplier {
  readonly #next: RequestApplier;
  readonly #isRaised: () => boolean;
  readonly #refuses: (operation: Operation) => boolean;
  readonly #refusal: ApplyResult;
  #refused = false;

  private constructor(
    next: RequestApplier,
    isRaised: () => boolean,
    refuses: (operation: Operation) => boolean,
    error: EtcdErrorName,
  ) {
    this.#next = next;
    this.#isRaised = isRaised;
    this.#refuses = refuses;
    this.#refusal = { kind: 'error', error };
  }

  /** With NOSPACE raised, requests that make the backend grow are refused. */
  static forNoSpace(next: RequestApplier, isRaised: () => boolean): AlarmApplier {
    return new AlarmApplier(next, isRaised, (operation) => costOf(operation) > 0, 'NO_SPACE');
  }

  /** With CORRUPT raised, the keys are neither read nor written. */
  static forCorrupt(next: RequestApplier, isRaised: () => boolean): AlarmApplier {
    const refuses = ({ kind }: Operation) =>
      kind !== REQUEST_KIND.ALARM && kind !== REQUEST_KIND.LEASE_CHECKPOINT && !isAuthKind(kind);
    return new AlarmApplier(next, isRaised, refuses, 'CORRUPT');
  }

  begin(operation: Operation, user: RequestUser, awaited: boolean): boolean {
    this.#refused = this.#isRaised() && this.#refuses(operation);
    return this.#refused || this.#next.begin(operation, user, awaited);
  }

  step(): boolean {
    return this.#next.step();
  }

  get result(): ApplyResult {
    return this.#refused ? this.#refusal : this.#next.result;
  }
}

/**
 * Marks the result of a request that did not fit the quota. As in etcd the request is applied
 * nevertheless (members may differ in the size of their files, not in their content), and the result
 * makes the member raise the NOSPACE alarm.
 */
export class QuotaApplier implements RequestApplier {
  readonly #next: RequestApplier;
  readonly #isAvailable: (costBytes: number) => boolean;
  #fits = true;

  constructor(next: RequestApplier, isAvailable: (costBytes: number) => boolean) {
    this.#next = next;
    this.#isAvailable = isAvailable;
  }

  begin(operation: Operation, user: RequestUser, awaited: boolean): boolean {
    const cost = costOf(operation);
    this.#fits = cost === 0 || this.#isAvailable(cost);
    return this.#next.begin(operation, user, awaited);
  }

  step(): boolean {
    return this.#next.step();
  }

  get result(): ApplyResult {
    const { result } = this.#next;
    if (this.#fits || result.kind === 'error') return result;
    return { kind: 'error', error: 'NO_SPACE' };
  }
}
