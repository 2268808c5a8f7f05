// etcd's keys and leases as a value: a state is never changed, an operation makes a new one. This is
// what each operation does, alone and without failures: the sequential meaning of the API.

import type { Change } from './change-log.ts';
import {
  type Comparison,
  type DeleteRequest,
  type DeleteResult,
  includes,
  type Keys,
  type PutRequest,
  type PutResult,
  type RangeRequest,
  type RangeResult,
  type StoredKey,
  type TxnOperation,
  type TxnRequest,
  type TxnResult,
} from './history.ts';

export interface KvState {
  readonly revision: number;
  /** Reads before this revision are refused; 0 before the first compaction. */
  readonly compacted: number;
  /** Sorted by key. */
  readonly keys: readonly StoredKey[];
  /** Ids of the leases that exist, in the order of their grants. */
  readonly leases: readonly string[];
}

export const EMPTY_STATE: KvState = { revision: 1, compacted: 0, keys: [], leases: [] };

/** What an operation does to a state. */
export interface Effect<Result> {
  readonly state: KvState;
  readonly result: Result;
  /** Rows written, in order. */
  readonly changes: readonly Change[];
}

/** An operation is refused, by etcd's name for the reason. */
export interface Refusal {
  readonly refused: string;
}

const NO_LEASE = '0';

export function isRefusal<Result>(effect: Effect<Result> | Refusal): effect is Refusal {
  return 'refused' in effect;
}

export function rangeOf(state: KvState, request: RangeRequest): RangeResult {
  return selectKeys(keysWithin(state.keys, request), request);
}

/** The answer to a range, given the keys of the range. */
export function selectKeys(found: readonly StoredKey[], request: RangeRequest): RangeResult {
  const { limit = 0 } = request;
  const taken = limit > 0 ? found.slice(0, limit) : found;
  const kvs = request.keysOnly === true ? taken.map((each) => ({ ...each, value: '' })) : taken;
  return {
    kind: 'range',
    kvs: request.countOnly === true ? [] : kvs,
    count: found.length,
    more: request.countOnly !== true && taken.length < found.length,
  };
}

export function put(state: KvState, request: PutRequest): Effect<PutResult> | Refusal {
  return asEffect(state, (writer) => writer.put(request));
}

export function remove(state: KvState, request: DeleteRequest): Effect<DeleteResult> | Refusal {
  return asEffect(state, (writer) => writer.delete(request));
}

export function txn(state: KvState, request: TxnRequest): Effect<TxnResult> | Refusal {
  const succeeded = request.compare.every((each) => holds(state, each));
  const operations = succeeded ? request.success : request.failure;
  return asEffect(state, (writer): TxnResult | Refusal => {
    const results: (RangeResult | PutResult | DeleteResult)[] = [];
    for (const operation of operations) {
      const result = writer.execute(operation);
      if ('refused' in result) return result;
      results.push(result);
    }
    return { kind: 'txn', succeeded, results };
  });
}

/** Ends a lease and deletes its keys, in the order of the keys. */
export function endLease(state: KvState, lease: string): KvState {
  const leases = state.leases.filter((each) => each !== lease);
  const keys = state.keys.filter((each) => each.lease !== lease);
  const revision = keys.length === state.keys.length ? state.revision : state.revision + 1;
  return { ...state, leases, keys, revision };
}

export function leaseChanges(state: KvState, lease: string): Change[] {
  const revision = state.revision + 1;
  return state.keys
    .filter((each) => each.lease === lease)
    .map(({ key }) => tombstone(key, revision));
}

export function hasKeys(state: KvState, lease: string): boolean {
  return state.keys.some((each) => each.lease === lease);
}

export function equalStates(a: KvState, b: KvState): boolean {
  if (a === b) return true;
  if (a.revision !== b.revision || a.compacted !== b.compacted) return false;
  if (a.keys !== b.keys) {
    if (a.keys.length !== b.keys.length) return false;
    if (!a.keys.every((each, i) => equalKeys(each, b.keys[i]!))) return false;
  }
  if (a.leases === b.leases) return true;
  if (a.leases.length !== b.leases.length) return false;
  return a.leases.every((each) => b.leases.includes(each));
}

export function equalKeys(a: StoredKey, b: StoredKey): boolean {
  return (
    a === b ||
    (a.key === b.key &&
      a.value === b.value &&
      a.createRevision === b.createRevision &&
      a.modRevision === b.modRevision &&
      a.version === b.version &&
      a.lease === b.lease)
  );
}

function asEffect<Result>(
  state: KvState,
  work: (writer: Writer) => Result | Refusal,
): Effect<Result> | Refusal {
  const writer = new Writer(state);
  const result = work(writer);
  if (isRefused(result)) return result;
  const { changes, keys } = writer;
  if (changes.length === 0) return { state, result, changes };
  return { state: { ...state, keys, revision: state.revision + 1 }, result, changes };
}

function isRefused<Result>(result: Result | Refusal): result is Refusal {
  return typeof result === 'object' && result !== null && 'refused' in result;
}

/** One request under way: its writes share a revision, and its reads see its earlier writes. */
class Writer {
  readonly changes: Change[] = [];
  keys: readonly StoredKey[];
  readonly #state: KvState;
  readonly #revision: number;

  constructor(state: KvState) {
    this.#state = state;
    this.keys = state.keys;
    this.#revision = state.revision + 1;
  }

  execute(operation: TxnOperation): RangeResult | PutResult | DeleteResult | Refusal {
    switch (operation.kind) {
      case 'put':
        return this.put(operation);
      case 'delete':
        return this.delete(operation);
      case 'range':
        return this.#range(operation);
    }
  }

  #range(request: RangeRequest): RangeResult | Refusal {
    const { revision = 0 } = request;
    if (revision > this.#state.revision) return { refused: 'FUTURE_REV' };
    if (revision > 0 && revision < this.#state.compacted) return { refused: 'COMPACTED' };
    return rangeOf({ ...this.#state, keys: this.keys }, request);
  }

  put(request: PutRequest): PutResult | Refusal {
    const { key, value, lease = NO_LEASE } = request;
    if (lease !== NO_LEASE && !this.#state.leases.includes(lease)) {
      return { refused: 'LEASE_NOT_FOUND' };
    }
    const at = lowerBound(this.keys, key);
    const found = this.keys[at];
    const before = found?.key === key ? found : undefined;
    const stored: StoredKey = {
      key,
      value,
      createRevision: before?.createRevision ?? this.#revision,
      modRevision: this.#revision,
      version: (before?.version ?? 0) + 1,
      lease,
    };
    const keys = this.keys.slice();
    keys.splice(at, before === undefined ? 0 : 1, stored);
    this.keys = keys;
    const { modRevision: revision, ...rest } = stored;
    this.changes.push({ revision, ...rest });
    if (request.prevKv !== true || before === undefined) return { kind: 'put' };
    return { kind: 'put', prevKv: before };
  }

  delete(request: DeleteRequest): DeleteResult {
    const gone = keysWithin(this.keys, request);
    if (gone.length > 0) {
      this.keys = this.keys.filter((each) => !includes(request, each.key));
      this.changes.push(...gone.map(({ key }) => tombstone(key, this.#revision)));
    }
    const deleted = gone.length;
    if (request.prevKv !== true) return { kind: 'delete', deleted };
    return { kind: 'delete', deleted, prevKvs: gone };
  }
}

function tombstone(key: string, revision: number): Change {
  return { revision, key, value: undefined, createRevision: 0, version: 0, lease: NO_LEASE };
}

function keysWithin(keys: readonly StoredKey[], range: Keys): readonly StoredKey[] {
  const from = lowerBound(keys, range.key);
  let to = from;
  while (to < keys.length && includes(range, keys[to]!.key)) to++;
  return keys.slice(from, to);
}

function lowerBound(keys: readonly StoredKey[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]!.key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A range without keys counts as one key of zeros, except that it has no value to compare. */
function holds(state: KvState, comparison: Comparison): boolean {
  const found = keysWithin(state.keys, comparison);
  if (found.length === 0) {
    if (comparison.target === 'value') return false;
    return satisfies(comparison, comparison.target === 'lease' ? '0' : 0);
  }
  return found.every((each) => satisfies(comparison, each[comparison.target]));
}

function satisfies({ target, operator, operand }: Comparison, actual: number | string): boolean {
  const order =
    target === 'lease'
      ? compareNumbers(BigInt(actual), BigInt(operand))
      : compareNumbers(actual, operand);
  if (operator === '=') return order === 0;
  if (operator === '!=') return order !== 0;
  return operator === '<' ? order < 0 : order > 0;
}

function compareNumbers<T extends number | string | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
