// Requests of a history, executed by the TypeScript client.

import { bytesFromLatin1, latin1FromBytes } from '../../src/base/index.ts';
import {
  type Client,
  type Comparison as ClientComparison,
  type DeleteResult as ClientDeleteResult,
  type GetResult as ClientGetResult,
  type PutResult as ClientPutResult,
  compare,
  EtcdError,
  type KeyValue,
  type mvccpb,
  type Op,
  type OpResult,
  op,
  type ResponseHeader,
} from '../../src/client/index.ts';
import type {
  Comparison,
  DeleteResult,
  Keys,
  PutResult,
  RangeRequest,
  RangeResult,
  Request,
  Result,
  StoredKey,
  TxnOperation,
} from './history.ts';
import type { Reply, Target } from './recorder.ts';

/** Errors that say that the request had no effect. */
const REFUSALS: ReadonlySet<string> = new Set([
  'AUTH_FAILED',
  'AUTH_OLD_REVISION',
  'COMPACTED',
  'DUPLICATE_KEY',
  'EMPTY_KEY',
  'FUTURE_REV',
  'INVALID_AUTH_TOKEN',
  'KEY_NOT_FOUND',
  'LEASE_EXIST',
  'LEASE_NOT_FOUND',
  'LEASE_TTL_TOO_LARGE',
  'NO_SPACE',
  'PERMISSION_DENIED',
  'REQUEST_TOO_LARGE',
  'REQUEST_TOO_MANY_REQUESTS',
  'TOO_MANY_OPS',
  'USER_EMPTY',
  'USER_NOT_FOUND',
]);

export interface ClientTargetOptions {
  /** Time limit of each request. */
  readonly timeoutMs: number;
}

export function clientTarget(client: Client, options: ClientTargetOptions): Target {
  return {
    execute: (request) => execute(client, request, options),
    refusalOf: (error) =>
      error instanceof EtcdError && REFUSALS.has(error.code) ? error.code : undefined,
  };
}

async function execute(
  client: Client,
  request: Request,
  options: ClientTargetOptions,
): Promise<Reply> {
  const { kv, lease } = client;
  switch (request.kind) {
    case 'range': {
      const result = await kv.get(bytes(request.key), { ...rangeOptions(request), ...options });
      return replyOf(result.header, rangeResultOf(result));
    }
    case 'put': {
      const { key, value } = request;
      const result = await kv.put(bytes(key), bytes(value), { ...putOptions(request), ...options });
      return replyOf(result.header, putResultOf(result));
    }
    case 'delete': {
      const given = { ...endOf(request), prevKv: request.prevKv ?? false, ...options };
      const result = await kv.delete(bytes(request.key), given);
      return replyOf(result.header, deleteResultOf(result, request.prevKv === true));
    }
    case 'txn': {
      const txn = kv.txn().if(...request.compare.map(comparisonOf));
      txn.else(...request.failure.map(opOf));
      const result = await txn.then(...request.success.map(opOf)).commit(options);
      const branch = result.succeeded ? request.success : request.failure;
      const results = result.responses.map((each, i) => opResultOf(each, branch[i]));
      return replyOf(result.header, { kind: 'txn', succeeded: result.succeeded, results });
    }
    case 'compact':
      return replyOf(await kv.compact(request.revision, options), { kind: 'empty' });
    case 'grant': {
      const id = BigInt(request.lease);
      const { header, ttl } = await lease.grant(request.ttl, { id, ...options });
      return replyOf(header, { kind: 'lease', ttl });
    }
    case 'revoke':
      return replyOf(await lease.revoke(BigInt(request.lease), options), { kind: 'empty' });
    case 'keepAlive': {
      const { header, ttl } = await lease.keepAliveOnce(BigInt(request.lease), options);
      return replyOf(header, { kind: 'lease', ttl });
    }
    case 'timeToLive': {
      const found = await lease.timeToLive(BigInt(request.lease), options);
      const { ttl, grantedTtl } = found;
      return replyOf(found.header, { kind: 'lease', ttl, grantedTtl });
    }
  }
}

const bytes = bytesFromLatin1;

function replyOf({ revision, memberId, raftTerm }: ResponseHeader, result: Result): Reply {
  return { revision, member: memberId.toString(), term: Number(raftTerm), result };
}

function endOf(keys: Keys): { readonly rangeEnd?: Uint8Array } {
  return keys.end === undefined ? {} : { rangeEnd: bytes(keys.end) };
}

function rangeOptions(request: RangeRequest) {
  const { limit = 0, revision = 0, serializable = false } = request;
  const { keysOnly = false, countOnly = false } = request;
  return { ...endOf(request), limit, revision, serializable, keysOnly, countOnly };
}

function putOptions(request: { readonly lease?: string; readonly prevKv?: boolean }) {
  return { lease: BigInt(request.lease ?? '0'), prevKv: request.prevKv ?? false };
}

function opOf(operation: TxnOperation): Op {
  switch (operation.kind) {
    case 'range':
      return op.get(bytes(operation.key), rangeOptions(operation));
    case 'put':
      return op.put(bytes(operation.key), bytes(operation.value), putOptions(operation));
    case 'delete': {
      const options = { ...endOf(operation), prevKv: operation.prevKv ?? false };
      return op.delete(bytes(operation.key), options);
    }
  }
}

function comparisonOf(comparison: Comparison): ClientComparison {
  const { key, target, operator, operand } = comparison;
  const range = endOf(comparison);
  switch (target) {
    case 'value':
      return compare(bytes(key), target, operator, bytes(String(operand)), range);
    case 'lease':
      return compare(bytes(key), target, operator, BigInt(operand), range);
    default:
      return compare(bytes(key), target, operator, Number(operand), range);
  }
}

function rangeResultOf({ kvs, count, more }: ClientGetResult): RangeResult {
  return { kind: 'range', kvs: kvs.map(storedKeyOf), count, more };
}

function putResultOf({ prevKv }: ClientPutResult): PutResult {
  return prevKv === undefined ? { kind: 'put' } : { kind: 'put', prevKv: storedKeyOf(prevKv) };
}

function deleteResultOf(result: ClientDeleteResult, withPrevious: boolean): DeleteResult {
  const { deleted, prevKvs } = result;
  if (!withPrevious) return { kind: 'delete', deleted };
  return { kind: 'delete', deleted, prevKvs: prevKvs.map(storedKeyOf) };
}

function opResultOf(
  result: OpResult,
  operation: TxnOperation | undefined,
): RangeResult | PutResult | DeleteResult {
  switch (result.type) {
    case 'get':
      return rangeResultOf(result);
    case 'put':
      return putResultOf(result);
    case 'delete':
      return deleteResultOf(result, operation?.kind === 'delete' && operation.prevKv === true);
    case 'txn':
      throw new Error('a transaction within a transaction is not recorded');
  }
}

export function storedKeyOf(kv: KeyValue | mvccpb.KeyValue): StoredKey {
  return {
    key: latin1FromBytes(kv.key),
    value: latin1FromBytes(kv.value),
    createRevision: kv.createRevision,
    modRevision: kv.modRevision,
    version: kv.version,
    lease: BigInt.asUintN(64, kv.lease).toString(),
  };
}
