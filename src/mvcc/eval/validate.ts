// What etcd refuses before it proposes a request, in its order and with its errors
// (server/etcdserver/api/v3rpc/key.go, v3.7.1). Each function throws the EtcdError.

import { latin1FromBytes } from '../../base/index.ts';
import { EtcdError, etcdserverpb, PutInPlace } from '../../protocol/index.ts';
import { TXN_NESTING_MAX } from '../limits.ts';
import { FROM_KEY } from './key-range.ts';

const { SortOrder, SortTarget } = etcdserverpb;

/** The put of a transaction that is being checked. */
const nestedPut = new PutInPlace();

/** EMPTY_KEY, INVALID_SORT_OPTION. */
export function checkRangeRequest(request: etcdserverpb.RangeRequest): void {
  if (request.key.length === 0) throw new EtcdError('EMPTY_KEY');
  const { sortOrder, sortTarget } = request;
  if (sortOrder < SortOrder.NONE || sortOrder > SortOrder.DESCEND) {
    throw new EtcdError('INVALID_SORT_OPTION');
  }
  if (sortTarget < SortTarget.KEY || sortTarget > SortTarget.VALUE) {
    throw new EtcdError('INVALID_SORT_OPTION');
  }
}

/** EMPTY_KEY, VALUE_PROVIDED, LEASE_PROVIDED. */
export function checkPutRequest(request: PutInPlace): void {
  if (request.keyLength === 0) throw new EtcdError('EMPTY_KEY');
  if (request.ignoreValue && request.valueLength > 0) throw new EtcdError('VALUE_PROVIDED');
  if (request.ignoreLease && request.lease !== 0n) throw new EtcdError('LEASE_PROVIDED');
}

/** EMPTY_KEY. */
export function checkDeleteRangeRequest(request: etcdserverpb.DeleteRangeRequest): void {
  if (request.key.length === 0) throw new EtcdError('EMPTY_KEY');
}

/**
 * TOO_MANY_OPS, EMPTY_KEY, KEY_NOT_FOUND (an operation without content), what the operations' own
 * checks throw, then DUPLICATE_KEY.
 */
export function checkTxnRequest(request: etcdserverpb.TxnRequest, opsMax: number): void {
  checkShape(request, opsMax, 1);
  checkOverlaps(request.success);
  checkOverlaps(request.failure);
}

/** Nested transactions get what their parent leaves of the limit. */
function checkShape(request: etcdserverpb.TxnRequest, opsMax: number, depth: number): void {
  const { compare, success, failure } = request;
  const ops = Math.max(compare.length, success.length, failure.length);
  if (ops > opsMax || depth > TXN_NESTING_MAX) throw new EtcdError('TOO_MANY_OPS');
  for (const { key } of compare) {
    if (key.length === 0) throw new EtcdError('EMPTY_KEY');
  }
  for (const op of success) checkOp(op, opsMax - ops, depth);
  for (const op of failure) checkOp(op, opsMax - ops, depth);
}

function checkOp({ request }: etcdserverpb.RequestOp, opsMax: number, depth: number): void {
  switch (request?.case) {
    case 'requestRange':
      checkRangeRequest(request.value);
      break;
    case 'requestPut':
      checkPutRequest(nestedPut.accept(request.value));
      break;
    case 'requestDeleteRange':
      checkDeleteRangeRequest(request.value);
      break;
    case 'requestTxn':
      checkShape(request.value, opsMax, depth + 1);
      break;
    case undefined:
      throw new EtcdError('KEY_NOT_FOUND');
  }
}

/** Deleted ranges of one branch, sorted by begin for searching once they are complete. */
class DeletedRanges {
  /** Pairs of begin and end; an undefined end has no bound. */
  readonly #ranges: { readonly begin: string; readonly end: string | undefined }[] = [];
  #merged = true;

  /**
   * Adds what a request deletes. A range from a key on (end "\0") or with an end below its begin is
   * left out: etcd compares the end as it stands, so no put is ever found inside.
   */
  add(key: string, rangeEnd: string): void {
    if (rangeEnd === FROM_KEY) return;
    const end = rangeEnd === '' ? `${key}\0` : rangeEnd;
    if (end <= key) return;
    this.#ranges.push({ begin: key, end });
    this.#merged = false;
  }

  addAll(other: DeletedRanges): void {
    for (const range of other.#ranges) this.#ranges.push(range);
    this.#merged = false;
  }

  contains(key: string): boolean {
    if (!this.#merged) this.#merge();
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ranges[middle]!.begin <= key) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return false;
    const { end } = this.#ranges[low - 1]!;
    return end === undefined || key < end;
  }

  /** Sorts, and joins ranges that overlap, so that the last one before a key decides. */
  #merge(): void {
    const sorted = this.#ranges.splice(0);
    sorted.sort((a, b) => (a.begin < b.begin ? -1 : a.begin > b.begin ? 1 : 0));
    for (const range of sorted) {
      const last = this.#ranges.at(-1);
      if (last === undefined || (last.end !== undefined && last.end < range.begin)) {
        this.#ranges.push(range);
      } else if (last.end !== undefined && (range.end === undefined || range.end > last.end)) {
        this.#ranges[this.#ranges.length - 1] = { begin: last.begin, end: range.end };
      }
    }
    this.#merged = true;
  }
}

/** What one branch, with all below it, may put and delete. */
interface BranchKeys {
  readonly puts: Set<string>;
  readonly deletes: DeletedRanges;
}

/**
 * DUPLICATE_KEY if a key may be put twice in a branch, or put inside a range that the branch or one
 * of its earlier parts deletes. The two branches of a nested transaction exclude each other.
 */
function checkOverlaps(ops: readonly etcdserverpb.RequestOp[]): BranchKeys {
  const puts = new Set<string>();
  const deletes = new DeletedRanges();
  for (const { request } of ops) {
    if (request?.case !== 'requestDeleteRange') continue;
    deletes.add(latin1FromBytes(request.value.key), latin1FromBytes(request.value.rangeEnd));
  }
  for (const { request } of ops) {
    if (request?.case !== 'requestTxn') continue;
    const then = checkOverlaps(request.value.success);
    const otherwise = checkOverlaps(request.value.failure);
    for (const key of then.puts) addPut(key, puts, deletes);
    for (const key of otherwise.puts) {
      if (then.puts.has(key)) continue;
      addPut(key, puts, deletes);
    }
    deletes.addAll(then.deletes);
    deletes.addAll(otherwise.deletes);
  }
  for (const { request } of ops) {
    if (request?.case !== 'requestPut') continue;
    addPut(latin1FromBytes(request.value.key), puts, deletes);
  }
  return { puts, deletes };
}

function addPut(key: string, puts: Set<string>, deletes: DeletedRanges): void {
  if (puts.has(key) || deletes.contains(key)) throw new EtcdError('DUPLICATE_KEY');
  puts.add(key);
}
