// Requests of the key-value service as users describe them, and as protocol messages.

import { EMPTY_BYTES } from '../base/index.ts';
import { etcdserverpb } from '../protocol/index.ts';
import { invalidArgument } from './errors.ts';
import { type Bytes, bytesOf, type RangeOptions, rangeOf } from './key-range.ts';

export const SORT_TARGETS = {
  key: etcdserverpb.SortTarget.KEY,
  version: etcdserverpb.SortTarget.VERSION,
  createRevision: etcdserverpb.SortTarget.CREATE,
  modRevision: etcdserverpb.SortTarget.MOD,
  value: etcdserverpb.SortTarget.VALUE,
} as const;

export type SortTarget = keyof typeof SORT_TARGETS;

export interface GetOptions extends RangeOptions {
  /** Most keys returned; 0 is no limit. */
  readonly limit?: number;
  /** Reads the store as it was at this revision; 0 is now. */
  readonly revision?: number;
  /** Order of the result by this; ascending unless `order` says otherwise. */
  readonly sortBy?: SortTarget;
  readonly order?: 'ascend' | 'descend';
  /** Read from the member that is asked, without asking the others: faster, may be stale. */
  readonly serializable?: boolean;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
  readonly minModRevision?: number;
  readonly maxModRevision?: number;
  readonly minCreateRevision?: number;
  readonly maxCreateRevision?: number;
}

export interface PutOptions {
  /** The key is deleted when this lease ends. */
  readonly lease?: bigint;
  readonly prevKv?: boolean;
  /** Keeps the stored value and changes the lease; `value` must be empty. */
  readonly ignoreValue?: boolean;
  /** Keeps the stored lease. */
  readonly ignoreLease?: boolean;
}

export interface DeleteOptions extends RangeOptions {
  readonly prevKv?: boolean;
}

/** Integers that a request may carry; the server takes all of int64, beyond 2^53 it is clamped. */
function integer(value: number | undefined, name: string): number {
  if (value === undefined) return 0;
  if (!Number.isInteger(value) || Math.abs(value) > 2 ** 53) {
    throw invalidArgument(`${name} is not an integer within 2^53: ${value}`);
  }
  return value;
}

export function rangeRequest(key: Bytes, options: GetOptions): etcdserverpb.RangeRequest {
  return etcdserverpb.RangeRequestCodec.create({
    ...rangeOf(key, options),
    limit: integer(options.limit, 'limit'),
    revision: integer(options.revision, 'revision'),
    sortOrder: sortOrder(options),
    sortTarget: SORT_TARGETS[options.sortBy ?? 'key'],
    serializable: options.serializable ?? false,
    keysOnly: options.keysOnly ?? false,
    countOnly: options.countOnly ?? false,
    minModRevision: integer(options.minModRevision, 'minModRevision'),
    maxModRevision: integer(options.maxModRevision, 'maxModRevision'),
    minCreateRevision: integer(options.minCreateRevision, 'minCreateRevision'),
    maxCreateRevision: integer(options.maxCreateRevision, 'maxCreateRevision'),
  });
}

/** A sort target without order asks for an order: NONE would sort by key whatever the target. */
function sortOrder({ sortBy, order }: GetOptions): etcdserverpb.SortOrder {
  const { NONE, ASCEND, DESCEND } = etcdserverpb.SortOrder;
  if (order === 'descend') return DESCEND;
  // Ascending by key is how the store returns keys anyhow: nothing to sort.
  if (sortBy === undefined || sortBy === 'key') return NONE;
  return ASCEND;
}

export function putRequest(key: Bytes, value: Bytes, options: PutOptions): etcdserverpb.PutRequest {
  return etcdserverpb.PutRequestCodec.create({
    key: bytesOf(key),
    value: bytesOf(value),
    lease: options.lease ?? 0n,
    prevKv: options.prevKv ?? false,
    ignoreValue: options.ignoreValue ?? false,
    ignoreLease: options.ignoreLease ?? false,
  });
}

export function deleteRequest(key: Bytes, options: DeleteOptions): etcdserverpb.DeleteRangeRequest {
  return etcdserverpb.DeleteRangeRequestCodec.create({
    ...rangeOf(key, options),
    prevKv: options.prevKv ?? false,
  });
}

/** One operation of a transaction. */
export type Op = etcdserverpb.RequestOp;

/** Makes operations of transactions. */
export const op = {
  get: (key: Bytes, options: GetOptions = {}): Op => ({
    request: { case: 'requestRange', value: rangeRequest(key, options) },
  }),
  put: (key: Bytes, value: Bytes, options: PutOptions = {}): Op => ({
    request: { case: 'requestPut', value: putRequest(key, value, options) },
  }),
  delete: (key: Bytes, options: DeleteOptions = {}): Op => ({
    request: { case: 'requestDeleteRange', value: deleteRequest(key, options) },
  }),
  txn: (parts: TxnParts): Op => ({
    request: {
      case: 'requestTxn',
      value: txnRequest(parts.compare ?? [], parts.success ?? [], parts.failure ?? []),
    },
  }),
} as const;

/** A transaction: if all comparisons hold, the one list of operations, else the other. */
export interface TxnParts {
  readonly compare?: readonly Comparison[];
  readonly success?: readonly Op[];
  readonly failure?: readonly Op[];
}

export function txnRequest(
  compares: readonly Comparison[],
  success: readonly Op[],
  failure: readonly Op[],
): etcdserverpb.TxnRequest {
  return etcdserverpb.TxnRequestCodec.create({
    compare: [...compares],
    success: [...success],
    failure: [...failure],
  });
}

/** One comparison of a transaction. */
export type Comparison = etcdserverpb.Compare;

const RESULTS = {
  '=': etcdserverpb.CompareResult.EQUAL,
  '!=': etcdserverpb.CompareResult.NOT_EQUAL,
  '>': etcdserverpb.CompareResult.GREATER,
  '<': etcdserverpb.CompareResult.LESS,
} as const;

export type CompareOperator = keyof typeof RESULTS;

/** What a comparison looks at, and the type it compares with. */
export interface CompareValues {
  /** 0 if the key does not exist. */
  version: number;
  /** 0 if the key does not exist. */
  createRevision: number;
  /** 0 if the key does not exist. */
  modRevision: number;
  /** Byte by byte; a key that does not exist fails every comparison. */
  value: Bytes;
  /** 0n if the key has none. */
  lease: bigint;
}

/**
 * `compare('key', 'version', '=', 0)`. With range options it must hold for every key of the range,
 * and `key` need not exist.
 */
export function compare<Target extends keyof CompareValues>(
  key: Bytes,
  target: Target,
  operator: CompareOperator,
  value: CompareValues[Target],
  options: RangeOptions = {},
): Comparison {
  const result = RESULTS[operator];
  if (result === undefined) throw invalidArgument(`unknown comparison ${operator}`);
  return etcdserverpb.CompareCodec.create({
    ...rangeOf(key, options),
    result,
    ...compareTarget(target, value),
  });
}

function compareTarget(
  target: keyof CompareValues,
  value: CompareValues[keyof CompareValues],
): Pick<Comparison, 'target' | 'targetUnion'> {
  const { VERSION, CREATE, MOD, VALUE, LEASE } = etcdserverpb.CompareTarget;
  const number = typeof value === 'number' ? integer(value, target) : 0;
  const wants = target === 'value' ? 'bytes' : target === 'lease' ? 'bigint' : 'number';
  const is = typeof value === 'string' || value instanceof Uint8Array ? 'bytes' : typeof value;
  if (is !== wants) throw invalidArgument(`${target} is compared with a ${wants}, not a ${is}`);
  switch (target) {
    case 'version':
      return { target: VERSION, targetUnion: { case: 'version', value: number } };
    case 'createRevision':
      return { target: CREATE, targetUnion: { case: 'createRevision', value: number } };
    case 'modRevision':
      return { target: MOD, targetUnion: { case: 'modRevision', value: number } };
    case 'value':
      return {
        target: VALUE,
        targetUnion: {
          case: 'value',
          value: is === 'bytes' ? bytesOf(value as Bytes) : EMPTY_BYTES,
        },
      };
    case 'lease':
      return { target: LEASE, targetUnion: { case: 'lease', value: value as bigint } };
  }
}
