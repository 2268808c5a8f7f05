// From what clients recorded to what the search works on: operations that say nothing about the order
// are left out, and of writes whose outcome is unknown the change log tells as much as it can.

import type { ChangeLog } from './change-log.ts';
import {
  describeOperation,
  describeRequest,
  type History,
  type Operation,
  type PutRequest,
  type Request,
  type Violation,
} from './history.ts';
import { type KvOperation, kvModel } from './kv-model.ts';
import type { KvState } from './kv-state.ts';
import { checkLinearizable, type Linearization, type Timed } from './linearizability.ts';

/** Refusals that depend on the state, and so must fit into the order. */
const REFUSALS: ReadonlySet<string> = new Set([
  'COMPACTED',
  'FUTURE_REV',
  'LEASE_EXIST',
  'LEASE_NOT_FOUND',
]);

/** What of a history a linearization must explain. */
export function linearizableOperations(
  history: History,
  log: ChangeLog | undefined,
): Timed<KvOperation>[] {
  const seen = new SeenRevisions(history.operations);
  const written = log === undefined ? undefined : new WrittenValues(history, log);
  const leases = leasesInUse(history);
  const found: Timed<KvOperation>[] = [];
  for (const operation of history.operations) {
    const { request, outcome, called, returned } = operation;
    if (!isOrdered(request)) continue;
    if (outcome.kind === 'failed' && !REFUSALS.has(outcome.error)) continue;
    const text = describeOperation(operation);
    const kvOperation: KvOperation = { request, outcome, text };
    if (outcome.kind !== 'unknown') {
      found.push({ operation: kvOperation, call: called.order, return: returned.order });
      continue;
    }
    if (request.kind === 'range') continue;
    if (request.kind === 'grant' && !leases.has(request.lease)) continue;
    const fate = written?.fateOf(operation, seen);
    if (fate === 'never') continue;
    if (fate === undefined) {
      found.push({ operation: kvOperation, call: called.order, return: 0, optional: true });
      continue;
    }
    found.push({
      operation: { request, outcome: { kind: 'happened', revision: fate }, text },
      call: called.order,
      return: seen.firstReturnAt(fate, called.order),
    });
  }
  const last = log === undefined ? [] : [endOf(history, log)];
  return [...found, ...expiries(history, leases), ...last];
}

/** After everything, the log as a whole is what was read: it has no write without a request. */
function endOf({ operations }: History, log: ChangeLog): Timed<KvOperation> {
  const kvs = log.stateAt(log.last);
  const result = { kind: 'range', kvs, count: kvs.length, more: false } as const;
  const operation: KvOperation = {
    request: { kind: 'range', key: '\0', end: '\0' },
    outcome: { kind: 'ok', revision: log.last, member: '', term: 0, result },
    text: `the end of the change log, at revision ${log.last}`,
  };
  const call = 1 + operations.reduce((max, each) => Math.max(max, each.returned.order), 0);
  return { operation, call, return: call + 1 };
}

/** Finds an order of all linearizable operations, or says that there is none. */
export function linearize(
  history: History,
  log: ChangeLog | undefined,
  options: { readonly stepsMax?: number } = {},
): Linearization<KvState, KvOperation> {
  return checkLinearizable(kvModel(log), linearizableOperations(history, log), options);
}

export function describeLinearization(
  result: Linearization<KvState, KvOperation>,
): readonly Violation[] {
  if (result.kind === 'ok') return [];
  if (result.kind === 'unknown') {
    const text = `no order found in ${result.steps} steps; the search was given up`;
    return [{ rule: 'linearizable', text }];
  }
  const { revision, compacted, keys, leases } = result.state;
  const last = result.order.slice(-5).map((each) => `  ${each.text}`);
  const next = result.blocked.slice(0, 8).map((each) => `  ${each.text}`);
  const lines = [
    `no order of the operations explains the responses. After ${result.order.length} operations,`,
    `the last of which are`,
    ...last,
    `the state is: revision ${revision}, compacted ${compacted}, leases ${leases.join(' ')}, keys`,
    ...keys.slice(0, 40).map((each) => `  ${JSON.stringify(each)}`),
    'and none of these, one of which must come next, fits:',
    ...next,
  ];
  return [{ rule: 'linearizable', text: lines.join('\n') }];
}

function isOrdered(request: Request): boolean {
  if (request.kind === 'keepAlive' || request.kind === 'timeToLive') return false;
  return request.kind !== 'range' || request.serializable !== true;
}

/** Leases that a put or a revocation names. */
function leasesInUse({ operations }: History): Set<string> {
  const leases = new Set<string>();
  for (const { request } of operations) {
    if (request.kind === 'revoke') leases.add(request.lease);
    for (const { lease } of putsOf(request)) if (lease !== undefined) leases.add(lease);
  }
  return leases;
}

/** A lease that a client used may end at any time after its grant was asked for. */
function expiries(history: History, used: ReadonlySet<string>): Timed<KvOperation>[] {
  const found: Timed<KvOperation>[] = [];
  for (const { request, outcome, called } of history.operations) {
    if (request.kind !== 'grant' || outcome.kind === 'failed' || !used.has(request.lease)) continue;
    const expire = { kind: 'expire', lease: request.lease } as const;
    const operation: KvOperation = {
      request: expire,
      outcome: { kind: 'unknown', error: '' },
      text: describeRequest(request).replace('grant', 'expire'),
    };
    // A little after the call of the grant: orders are whole numbers.
    found.push({ operation, call: called.order + 0.5, return: 0, optional: true });
  }
  return found;
}

function putsOf(request: Request): readonly PutRequest[] {
  if (request.kind === 'put') return [request];
  if (request.kind !== 'txn') return [];
  return [...request.success, ...request.failure].filter((each) => each.kind === 'put');
}

/** When clients had seen which revision. */
class SeenRevisions {
  /** In the order of their returns; revisions made to rise, each the highest so far. */
  readonly #returns: { readonly order: number; readonly revision: number }[] = [];
  /** Lowest order of a return with at least this revision, by falling revision. */
  readonly #first: { readonly order: number; readonly revision: number }[] = [];

  constructor(operations: readonly Operation[]) {
    const exact = operations.flatMap(({ outcome, returned }) =>
      outcome.kind === 'ok' ? [{ order: returned.order, revision: outcome.revision }] : [],
    );
    exact.sort((a, b) => a.order - b.order);
    let highest = 0;
    for (const each of exact) {
      if (each.revision <= highest) continue;
      highest = each.revision;
      this.#returns.push(each);
    }
    this.#first.push(...this.#returns);
  }

  /** The highest revision that a client had seen before this moment. */
  before(order: number): number {
    let revision = 1;
    for (const each of this.#returns) {
      if (each.order > order) break;
      revision = each.revision;
    }
    return revision;
  }

  get highest(): number {
    return this.#returns.at(-1)?.revision ?? 1;
  }

  /** When a client, after `order`, had first seen this revision or a later one. */
  firstReturnAt(revision: number, order: number): number {
    const found = this.#first.find((each) => each.revision >= revision);
    return found === undefined ? Number.POSITIVE_INFINITY : Math.max(found.order, order + 0.25);
  }
}

/** Which revision put which value, for values that only one request puts. */
class WrittenValues {
  readonly #log: ChangeLog;
  readonly #revisions = new Map<string, number>();
  readonly #requests = new Map<string, number>();

  constructor(history: History, log: ChangeLog) {
    this.#log = log;
    for (const { request } of history.operations) {
      for (const put of putsOf(request)) {
        const id = valueId(put.key, put.value);
        this.#requests.set(id, (this.#requests.get(id) ?? 0) + 1);
      }
    }
    for (const change of log.changes()) {
      if (change.value === undefined) continue;
      this.#revisions.set(valueId(change.key, change.value), change.revision);
    }
  }

  /** The revision that the operation made, or that it never happened; undefined if unknown. */
  fateOf(operation: Operation, seen: SeenRevisions): number | 'never' | undefined {
    const { request, called } = operation;
    const puts = putsOf(request);
    const unique = puts.filter(({ key, value }) => this.#requests.get(valueId(key, value)) === 1);
    for (const { key, value } of unique) {
      const revision = this.#revisions.get(valueId(key, value));
      if (revision !== undefined) return revision;
    }
    const knowsAll = this.#log.first <= seen.before(called.order) + 1;
    const isCurrent = seen.highest <= this.#log.last;
    return knowsAll && isCurrent && leavesTrace(request, unique) ? 'never' : undefined;
  }
}

/** Whether the request, had it happened, would have written one of these or nothing at all. */
function leavesTrace(request: Request, unique: readonly PutRequest[]): boolean {
  if (request.kind === 'put') return unique.includes(request);
  if (request.kind !== 'txn') return false;
  return [request.success, request.failure].every(
    (branch) =>
      branch.every((each) => each.kind === 'range') ||
      branch.some((each) => each.kind === 'put' && unique.includes(each)),
  );
}

function valueId(key: string, value: string): string {
  return `${key.length} ${key}${value}`;
}
