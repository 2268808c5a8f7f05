// etcd's key-value service as a model for the linearizability check.
//
// Revisions make the search short: a write says which revision it made, so that it fits into one
// place of the order only, and a read says at which revision it was made. When the change log is
// known, each write must also have made exactly the rows of its revision; so that of several writes
// whose outcome is unknown, the one that happened is recognised by what it wrote.
//
// The expiry of a lease is an operation without a client: it may happen at any time after the grant (whether
// it was too early is for `leases.ts`). While no key is attached to the lease it is invisible; then the
// operation that misses the lease takes its end with it.

import { type Change, type ChangeLog, equalChanges } from './change-log.ts';
import type {
  DeleteResult,
  Outcome,
  PutResult,
  RangeRequest,
  RangeResult,
  Request,
  Result,
  StoredKey,
  TxnOperation,
  TxnRequest,
  TxnResult,
} from './history.ts';
import {
  type Effect,
  EMPTY_STATE,
  endLease,
  equalKeys,
  equalStates,
  hasKeys,
  isRefusal,
  type KvState,
  leaseChanges,
  put,
  type Refusal,
  rangeOf,
  remove,
  txn,
} from './kv-state.ts';
import type { Model } from './linearizability.ts';

/** A lease runs out. */
export interface ExpireRequest {
  readonly kind: 'expire';
  readonly lease: string;
}

/** No client saw the response, but the change log tells the revision that the operation made. */
export interface HappenedOutcome {
  readonly kind: 'happened';
  readonly revision: number;
}

export interface KvOperation {
  readonly request: Request | ExpireRequest;
  readonly outcome: Outcome | HappenedOutcome;
  /** For reports. */
  readonly text: string;
}

/** `log`: what is known of the rows that each revision wrote. */
export function kvModel(log: ChangeLog | undefined): Model<KvState, KvOperation> {
  return {
    initial: EMPTY_STATE,
    step: (state, operation) => {
      const effect = stepOf(state, operation);
      if (effect === undefined || effect.state.revision === state.revision) return effect?.state;
      const { revision } = effect.state;
      if (log?.covers(revision)) {
        if (!equalChanges(effect.changes, log.at(revision))) return undefined;
      }
      return effect.state;
    },
    isRead,
    equal: equalStates,
    hash: (state) => Math.imul(state.revision, 0x9e3779b1) ^ Math.imul(state.compacted, 0x85ebca6b),
  };
}

/** The rows that a linearization wrote: a change log when no member can be asked for one. */
export function changesOfOrder(order: readonly KvOperation[]): Change[] {
  const changes: Change[] = [];
  let state = EMPTY_STATE;
  for (const operation of order) {
    const effect = stepOf(state, operation);
    if (effect === undefined) throw new Error(`does not fit: ${operation.text}`);
    changes.push(...effect.changes);
    state = effect.state;
  }
  return changes;
}

/** With this answer it changed nothing. */
function isRead({ request, outcome }: KvOperation): boolean {
  if (request.kind === 'range') return true;
  if (outcome.kind === 'failed') return outcome.error !== 'LEASE_NOT_FOUND';
  if (outcome.kind !== 'ok') return false;
  const { result } = outcome;
  if (result.kind === 'delete') return result.deleted === 0;
  return result.kind === 'txn' && result.results.every((each) => !isWrite(each));
}

function isWrite(result: RangeResult | PutResult | DeleteResult): boolean {
  return result.kind === 'put' || (result.kind === 'delete' && result.deleted > 0);
}

interface Step {
  readonly state: KvState;
  readonly changes: readonly Change[];
}

function stepOf(state: KvState, { request, outcome }: KvOperation): Step | undefined {
  if (cannotFit(state, request, outcome)) return undefined;
  switch (request.kind) {
    case 'range':
      return stepRange(state, request, outcome);
    case 'put':
      return stepWrite(state, put(state, request), outcome, equalPutResults, request.lease);
    case 'delete':
      return stepWrite(state, remove(state, request), outcome, equalDeleteResults);
    case 'txn':
      return stepWrite(state, txn(state, request), outcome, equalTxnResults(request));
    case 'compact':
      return stepCompact(state, request.revision, outcome);
    case 'grant':
      return stepGrant(state, request.lease, outcome);
    case 'revoke':
      return stepRevoke(state, request.lease, outcome);
    case 'expire':
      return hasKeys(state, request.lease) ? stepEnd(state, request.lease) : undefined;
    case 'keepAlive':
    case 'timeToLive':
      throw new Error(`${request.kind} is no part of the key-value model`);
  }
}

/** A quick look at the revisions, which settles nearly all. */
function cannotFit(state: KvState, request: Request | ExpireRequest, outcome: AnyOutcome): boolean {
  if (outcome.kind === 'happened') return outcome.revision !== state.revision + 1;
  if (outcome.kind !== 'ok') return false;
  switch (request.kind) {
    case 'range':
      return outcome.revision !== state.revision;
    case 'put':
      return outcome.revision !== state.revision + 1;
    case 'delete':
    case 'txn':
      return outcome.revision !== state.revision && outcome.revision !== state.revision + 1;
    default:
      // The header of the others is filled in later than they take effect.
      return outcome.revision < state.revision;
  }
}

type AnyOutcome = Outcome | HappenedOutcome;

function same(state: KvState): Step {
  return { state, changes: [] };
}

function stepRange(state: KvState, request: RangeRequest, outcome: AnyOutcome): Step | undefined {
  const { revision = 0 } = request;
  if (outcome.kind === 'failed') {
    if (outcome.error === 'FUTURE_REV') return revision > state.revision ? same(state) : undefined;
    if (outcome.error !== 'COMPACTED') return undefined;
    return revision > 0 && revision < state.compacted ? same(state) : undefined;
  }
  if (outcome.kind !== 'ok') return undefined;
  if (revision > state.revision) return undefined;
  if (revision > 0 && revision < state.compacted) return undefined;
  // Reads of the past are compared with the change log, in `serializable.ts`.
  if (revision > 0 && revision < state.revision) return same(state);
  const expected = rangeOf(state, request);
  return equalRangeResults(outcome.result as RangeResult, expected) ? same(state) : undefined;
}

function stepWrite<Wanted>(
  state: KvState,
  effect: Effect<Wanted> | Refusal,
  outcome: AnyOutcome,
  equal: (found: Result, wanted: Wanted) => boolean,
  lease = '0',
): Step | undefined {
  if (outcome.kind === 'failed') {
    if (isRefusal(effect)) return effect.refused === outcome.error ? same(state) : undefined;
    if (outcome.error !== 'LEASE_NOT_FOUND' || lease === '0') return undefined;
    return hasKeys(state, lease) ? undefined : stepEnd(state, lease);
  }
  if (isRefusal(effect)) return outcome.kind === 'unknown' ? same(state) : undefined;
  if (outcome.kind === 'happened' || outcome.kind === 'unknown') return effect;
  if (outcome.revision !== effect.state.revision) return undefined;
  return equal(outcome.result, effect.result) ? effect : undefined;
}

function stepCompact(state: KvState, revision: number, outcome: AnyOutcome): Step | undefined {
  const refused =
    revision > state.revision ? 'FUTURE_REV' : revision <= state.compacted ? 'COMPACTED' : '';
  if (outcome.kind === 'failed') return refused === outcome.error ? same(state) : undefined;
  if (refused !== '') return outcome.kind === 'unknown' ? same(state) : undefined;
  return same({ ...state, compacted: revision });
}

function stepGrant(state: KvState, lease: string, outcome: AnyOutcome): Step | undefined {
  const exists = state.leases.includes(lease);
  if (outcome.kind === 'failed') {
    return exists && outcome.error === 'LEASE_EXIST' ? same(state) : undefined;
  }
  if (exists) return outcome.kind === 'unknown' ? same(state) : undefined;
  return same({ ...state, leases: [...state.leases, lease] });
}

function stepRevoke(state: KvState, lease: string, outcome: AnyOutcome): Step | undefined {
  const exists = state.leases.includes(lease);
  if (outcome.kind === 'failed') {
    if (outcome.error !== 'LEASE_NOT_FOUND') return undefined;
    if (!exists) return same(state);
    return hasKeys(state, lease) ? undefined : stepEnd(state, lease);
  }
  if (!exists) return outcome.kind === 'unknown' ? same(state) : undefined;
  const step = stepEnd(state, lease);
  return outcome.kind === 'ok' && outcome.revision < step.state.revision ? undefined : step;
}

function stepEnd(state: KvState, lease: string): Step {
  return { state: endLease(state, lease), changes: leaseChanges(state, lease) };
}

// Responses

export function equalRangeResults(found: RangeResult, wanted: RangeResult): boolean {
  return (
    found.count === wanted.count && found.more === wanted.more && equalLists(found.kvs, wanted.kvs)
  );
}

function equalPutResults(found: Result, wanted: PutResult): boolean {
  return found.kind === 'put' && equalMaybe(found.prevKv, wanted.prevKv);
}

function equalDeleteResults(found: Result, wanted: DeleteResult): boolean {
  return (
    found.kind === 'delete' &&
    found.deleted === wanted.deleted &&
    equalLists(found.prevKvs ?? [], wanted.prevKvs ?? [])
  );
}

function equalTxnResults(request: TxnRequest): (found: Result, wanted: TxnResult) => boolean {
  return (found, wanted) => {
    if (found.kind !== 'txn' || found.succeeded !== wanted.succeeded) return false;
    if (found.results.length !== wanted.results.length) return false;
    const operations = wanted.succeeded ? request.success : request.failure;
    return wanted.results.every((each, i) =>
      equalOpResults(found.results[i]!, each, operations[i]!),
    );
  };
}

function equalOpResults(
  found: TxnResult['results'][number],
  wanted: TxnResult['results'][number],
  operation: TxnOperation,
): boolean {
  switch (wanted.kind) {
    case 'range':
      // Of the past: the model has no old states.
      if (operation.kind === 'range' && (operation.revision ?? 0) > 0) return true;
      return found.kind === 'range' && equalRangeResults(found, wanted);
    case 'put':
      return equalPutResults(found, wanted);
    case 'delete':
      return equalDeleteResults(found, wanted);
  }
}

function equalLists(a: readonly StoredKey[], b: readonly StoredKey[]): boolean {
  return a.length === b.length && a.every((each, i) => equalKeys(each, b[i]!));
}

function equalMaybe(a: StoredKey | undefined, b: StoredKey | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalKeys(a, b);
}
