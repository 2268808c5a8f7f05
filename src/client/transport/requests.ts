// Requests of the key-value service: options of the client to protocol messages.

import { EMPTY_BYTES } from '../../base/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { checkFlags, checkId, checkInteger, checkName } from '../arguments.ts';
import { invalidArgument } from '../errors.ts';
import { type Bytes, bytesOf, type RangeOptions, rangeOf } from '../key-range.ts';

const SORT_TARGETS = {
  key: etcdserverpb.SortTarget.KEY,
  version: etcdserverpb.SortTarget.VERSION,
  createRevision: etcdserverpb.SortTarget.CREATE,
  modRevision: etcdserverpb.SortTarget.MOD,
  value: etcdserverpb.SortTarget.VALUE,
} as const;

/** Sort order of a range. */
export type SortTarget = keyof typeof SORT_TARGETS;

/** Options of a get. */
export interface GetOptions extends RangeOptions {
  /** Maximum number of keys returned; 0 for no limit. */
  readonly limit?: number | undefined;
  /** Reads at this revision; 0 is the current one. */
  readonly revision?: number | undefined;
  /** Sorts the result by this; ascending by default. */
  readonly sortBy?: SortTarget | undefined;
  readonly order?: 'ascend' | 'descend' | undefined;
  /** Serializable read, from one member without a quorum: faster, may be stale. */
  readonly serializable?: boolean | undefined;
  readonly keysOnly?: boolean | undefined;
  readonly countOnly?: boolean | undefined;
  readonly minModRevision?: number | undefined;
  readonly maxModRevision?: number | undefined;
  readonly minCreateRevision?: number | undefined;
  readonly maxCreateRevision?: number | undefined;
}

/** Options of a put. */
export interface PutOptions {
  /** Attaches the key to this lease, whose end deletes it. */
  readonly lease?: bigint | undefined;
  readonly prevKv?: boolean | undefined;
  /** Keeps the stored value and changes the lease; `value` must be empty. */
  readonly ignoreValue?: boolean | undefined;
  /** Keeps the stored lease. */
  readonly ignoreLease?: boolean | undefined;
}

/** Options of a delete. */
export interface DeleteOptions extends RangeOptions {
  readonly prevKv?: boolean | undefined;
}

function integer(value: number | undefined, name: string): number {
  if (value === undefined) return 0;
  checkInteger(value, name);
  return value;
}

export function rangeRequest(key: Bytes, options: GetOptions): etcdserverpb.RangeRequest {
  checkFlags(options, ['serializable', 'keysOnly', 'countOnly']);
  const { sortBy, order } = options;
  if (sortBy !== undefined) checkName(sortBy, Object.keys(SORT_TARGETS), 'sortBy');
  if (order !== undefined) checkName(order, ['ascend', 'descend'], 'order');
  return etcdserverpb.RangeRequestCodec.create({
    ...rangeOf(key, options),
    limit: integer(options.limit, 'limit'),
    revision: integer(options.revision, 'revision'),
    sortOrder: sortOrder(options),
    sortTarget: SORT_TARGETS[sortBy ?? 'key'],
    serializable: options.serializable ?? false,
    keysOnly: options.keysOnly ?? false,
    countOnly: options.countOnly ?? false,
    minModRevision: integer(options.minModRevision, 'minModRevision'),
    maxModRevision: integer(options.maxModRevision, 'maxModRevision'),
    minCreateRevision: integer(options.minCreateRevision, 'minCreateRevision'),
    maxCreateRevision: integer(options.maxCreateRevision, 'maxCreateRevision'),
  });
}

/** A sort target without order sorts ascending: NONE would sort by key for any target. */
function sortOrder({ sortBy, order }: GetOptions): etcdserverpb.SortOrder {
  const { NONE, ASCEND, DESCEND } = etcdserverpb.SortOrder;
  if (order === 'descend') return DESCEND;
  // The store returns keys in ascending order already.
  if (sortBy === undefined || sortBy === 'key') return NONE;
  return ASCEND;
}

export function putRequest(key: Bytes, value: Bytes, options: PutOptions): etcdserverpb.PutRequest {
  checkFlags(options, ['prevKv', 'ignoreValue', 'ignoreLease']);
  const { lease = 0n } = options;
  checkId(lease, 'lease');
  return etcdserverpb.PutRequestCodec.create({
    key: bytesOf(key, 'key'),
    value: bytesOf(value, 'value'),
    lease,
    prevKv: options.prevKv ?? false,
    ignoreValue: options.ignoreValue ?? false,
    ignoreLease: options.ignoreLease ?? false,
  });
}

export function deleteRequest(key: Bytes, options: DeleteOptions): etcdserverpb.DeleteRangeRequest {
  checkFlags(options, ['prevKv']);
  return etcdserverpb.DeleteRangeRequestCodec.create({
    ...rangeOf(key, options),
    prevKv: options.prevKv ?? false,
  });
}

/** One operation of a transaction, made by {@link op}. */
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
  txn: ({ compare = [], success = [], failure = [] }: TxnParts): Op => ({
    request: { case: 'requestTxn', value: txnRequest(compare, success, failure) },
  }),
} as const;

/** A transaction: `then` is executed if all comparisons hold, else `else`. */
export interface TxnParts {
  readonly compare?: readonly Comparison[] | undefined;
  readonly success?: readonly Op[] | undefined;
  readonly failure?: readonly Op[] | undefined;
}

export function txnRequest(
  compares: readonly Comparison[],
  success: readonly Op[],
  failure: readonly Op[],
): etcdserverpb.TxnRequest {
  checkComparisons(compares);
  checkOps(success);
  checkOps(failure);
  return etcdserverpb.TxnRequestCodec.create({
    compare: [...compares],
    success: [...success],
    failure: [...failure],
  });
}

/** INVALID_ARGUMENT unless each was made by `compare`. */
export function checkComparisons(parts: readonly Comparison[]): void {
  for (const each of parts) checkPart(each, 'targetUnion', 'a comparison is made by compare()');
}

/** INVALID_ARGUMENT unless each was made by `op`. */
export function checkOps(parts: readonly Op[]): void {
  const text = 'an operation is made by op.get(), op.put(), op.delete() or op.txn()';
  for (const each of parts) checkPart(each, 'request', text);
}

function checkPart(part: unknown, field: string, text: string): void {
  const isPart = typeof part === 'object' && part !== null && field in part;
  if (!isPart) throw invalidArgument(text);
}

/** One comparison of a transaction: a property of a key against a value. */
export type Comparison = etcdserverpb.Compare;

const RESULTS = {
  '=': etcdserverpb.CompareResult.EQUAL,
  '!=': etcdserverpb.CompareResult.NOT_EQUAL,
  '>': etcdserverpb.CompareResult.GREATER,
  '<': etcdserverpb.CompareResult.LESS,
} as const;

/** Operators of comparisons. */
export type CompareOperator = keyof typeof RESULTS;

/** Targets of comparisons, with the types of their values. */
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

const COMPARE_TARGETS: readonly (keyof CompareValues)[] = [
  'version',
  'createRevision',
  'modRevision',
  'value',
  'lease',
];

/**
 * A comparison of a transaction, such as `compare('key', 'version', '=', 0)`. With range options it must
 * hold for every key of the range, and `key` need not exist.
 */
export function compare<Target extends keyof CompareValues>(
  key: Bytes,
  target: Target,
  operator: CompareOperator,
  value: CompareValues[Target],
  options: RangeOptions = {},
): Comparison {
  checkName(target, COMPARE_TARGETS, 'the target of a comparison');
  checkName(operator, Object.keys(RESULTS), 'the operator of a comparison');
  return etcdserverpb.CompareCodec.create({
    ...rangeOf(key, options),
    result: RESULTS[operator],
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
  if (target === 'lease') checkId(value, 'lease');
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
          value: is === 'bytes' ? bytesOf(value as Bytes, 'value') : EMPTY_BYTES,
        },
      };
    case 'lease':
      return { target: LEASE, targetUnion: { case: 'lease', value: value as bigint } };
  }
}
