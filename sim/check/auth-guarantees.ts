// What etcd promises about users: what a user was not permitted at any moment of a request does not
// succeed, and what is refused has a reason in what the user was permitted, or in what changed meanwhile.

import { compareSync } from 'bcryptjs';
import type { AuthModel, AuthStates } from './auth-states.ts';
import {
  describeOperation,
  type History,
  type Moment,
  type Operation,
  type Outcome,
  type Request,
  type TxnOperation,
  type Violation,
} from './history.ts';

/** A request of the administrator, in the words of the entry that it makes. */
export interface AdminOperation {
  readonly what: string;
  readonly called: Moment;
  readonly returned: Moment;
  readonly outcome: 'ok' | 'unknown' | { readonly refused: string };
}

export interface AuthEvidence {
  readonly states: AuthStates;
  /** Of each client whose requests are judged. */
  readonly users: ReadonlyMap<string, string>;
  /** The password of each login that was refused, in their order, by client. */
  readonly refusedPasswords: ReadonlyMap<string, readonly string[]>;
  readonly administration: readonly AdminOperation[];
}

const AUTH_ERRORS: ReadonlySet<string> = new Set([
  'AUTH_FAILED',
  'AUTH_OLD_REVISION',
  'INVALID_AUTH_TOKEN',
  'PERMISSION_DENIED',
  'USER_EMPTY',
  'USER_NOT_FOUND',
]);

/** Less than what a member takes that needs a snapshot. */
const CATCH_UP_MS = 1_000;

export function checkAuth({ operations }: History, evidence: AuthEvidence): Violation[] {
  const checker = new Checker(operations, evidence);
  return [...operations.flatMap((each) => checker.check(each)), ...checkAdministration(evidence)];
}

/** How often an error of authentication was answered, by its name; `permitted` for what succeeded. */
export function countAuth({ operations }: History, { users }: AuthEvidence): Map<string, number> {
  const counts = new Map<string, number>();
  const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const { client, outcome } of operations) {
    if (!users.has(client)) continue;
    if (outcome.kind === 'ok') count('permitted');
    if (outcome.kind === 'failed' && AUTH_ERRORS.has(outcome.error)) count(outcome.error);
  }
  return counts;
}

class Checker {
  readonly #evidence: AuthEvidence;
  readonly #leaseKeys = new Map<string, { readonly key: string; readonly order: number }[]>();
  readonly #logins = new Map<string, number>();

  constructor(operations: readonly Operation[], evidence: AuthEvidence) {
    this.#evidence = evidence;
    for (const { request, called } of operations) {
      for (const { lease, key } of putsOf(request)) {
        if (lease === undefined) continue;
        const keys = this.#leaseKeys.get(lease) ?? [];
        keys.push({ key, order: called.order });
        this.#leaseKeys.set(lease, keys);
      }
    }
  }

  check(operation: Operation): Violation[] {
    const user = this.#evidence.users.get(operation.client);
    const { outcome } = operation;
    if (user === undefined || outcome.kind === 'unknown') return [];
    if (outcome.kind === 'failed' && !AUTH_ERRORS.has(outcome.error)) return [];
    const isExplained =
      outcome.kind === 'ok'
        ? this.#decisive(operation).some((state) => mayAsk(state, user, operation.request))
        : this.#explains(operation, user, outcome);
    if (isExplained) return [];
    const rule = outcome.kind === 'ok' ? 'never permitted' : 'refused without reason';
    const { called, returned } = operation;
    const states = this.#evidence.states.applied(called.order, returned.order);
    const text = `${user}: ${describeOperation(operation)}; ${states.map(describe).join('; ')}`;
    return [{ rule, text }];
  }

  /** The states of users and roles by which a request may have been decided. */
  #decisive({ request, called, returned }: Operation): AuthModel[] {
    const { states } = this.#evidence;
    const isLocal =
      (request.kind === 'range' && request.serializable === true) ||
      request.kind === 'compact' ||
      request.kind === 'keepAlive';
    return isLocal
      ? states.applied(called.order, returned.order)
      : states.committed(called.order, returned.order);
  }

  #explains(operation: Operation, user: string, { error }: Outcome & { kind: 'failed' }): boolean {
    const { called, returned, client } = operation;
    const { states, refusedPasswords } = this.#evidence;
    const applied = states.applied(called.order, returned.order);
    switch (error) {
      case 'PERMISSION_DENIED':
        return this.#decisive(operation).some((state) => this.#denies(state, user, operation));
      case 'USER_NOT_FOUND':
        return applied.some((state) => state.enabled && !state.has(user));
      case 'USER_EMPTY':
        return applied.some(({ enabled }) => !enabled);
      case 'AUTH_FAILED': {
        const count = this.#logins.get(client) ?? 0;
        this.#logins.set(client, count + 1);
        const password = refusedPasswords.get(client)?.[count] ?? '';
        return states
          .committed(called.order, returned.order)
          .some((state) => state.enabled && !isPassword(state, user, password));
      }
      case 'INVALID_AUTH_TOKEN':
        // A member that was started again, or got a leader's database, knows no token of before; that takes
        // a while.
        return applied.length > 1 || returned.atMs - called.atMs > CATCH_UP_MS;
      default:
        return applied.length > 1;
    }
  }

  #denies(state: AuthModel, user: string, { request, returned }: Operation): boolean {
    if (!state.enabled) return false;
    if (isDenied(state, user, request)) return true;
    return leasesOf(request).some((lease) =>
      this.#leaseKeys
        .get(lease)
        ?.some(
          ({ key, order }) => order < returned.order && state.permits(user, 'write', key) === false,
        ),
    );
  }
}

/**
 * A request that touches no key may be answered either way, and what is asked of a lease depends on
 * keys that others may have attached to it.
 */
function mayAsk(state: AuthModel, user: string, request: Request): boolean {
  return !state.enabled || !isDenied(state, user, request);
}

function isDenied(state: AuthModel, user: string, request: Request): boolean {
  switch (request.kind) {
    case 'txn':
      return (
        request.compare.some(({ key, end }) => state.permits(user, 'read', key, end) === false) ||
        [...request.success, ...request.failure].some((each) => isKeyDenied(state, user, each))
      );
    case 'range':
    case 'put':
    case 'delete':
      return isKeyDenied(state, user, request);
    case 'compact':
      return !state.isRoot(user);
    default:
      return false;
  }
}

function isKeyDenied(state: AuthModel, user: string, request: TxnOperation): boolean {
  const { key } = request;
  const end = request.kind === 'put' ? '' : (request.end ?? '');
  const reads = request.kind === 'range' || request.prevKv === true;
  const writes = request.kind !== 'range';
  return (
    (reads && state.permits(user, 'read', key, end) === false) ||
    (writes && state.permits(user, 'write', key, end) === false)
  );
}

function putsOf(request: Request) {
  if (request.kind === 'put') return [request];
  if (request.kind !== 'txn') return [];
  return [...request.success, ...request.failure].filter((each) => each.kind === 'put');
}

function leasesOf(request: Request): string[] {
  if (request.kind === 'revoke' || request.kind === 'keepAlive') return [request.lease];
  return putsOf(request).flatMap(({ lease }) => lease ?? []);
}

function isPassword(state: AuthModel, user: string, password: string): boolean {
  const hash = state.hashes.find(([name]) => name === user)?.[1];
  if (hash === undefined || !state.has(user)) return false;
  return compareSync(password, Buffer.from(hash, 'base64').toString('latin1'));
}

function checkAdministration({ states, administration }: AuthEvidence): Violation[] {
  return administration.flatMap((operation) => {
    const { what, called, returned, outcome } = operation;
    if (outcome === 'unknown') return [];
    const refusal = outcome === 'ok' ? undefined : outcome.refused;
    const isLogged = states.entries.some(
      (entry) =>
        entry.what === what &&
        entry.refusal === refusal &&
        entry.order > called.order &&
        entry.order < returned.order,
    );
    if (isLogged) return [];
    const logged = states.entries.filter((entry) => entry.what === what).slice(-3);
    const text = `${JSON.stringify(operation)}; the log has ${JSON.stringify(logged)}`;
    return [{ rule: 'administration', text }];
  });
}

function describe({ enabled, revision, users, roles }: AuthModel): string {
  return JSON.stringify({ enabled, revision, users, roles });
}
