// Results of key-value calls, and their conversion from protocol messages.

import { etcdserverpb } from '../protocol/index.ts';
import { KeyValue, keyValueOf } from './key-value.ts';
import { printed } from './printed.ts';

/** Cluster, member and raft term of a response, and the revision of the store. */
export type ResponseHeader = etcdserverpb.ResponseHeader;

/** Result of a get. */
export interface GetResult {
  readonly header: ResponseHeader;
  /** The first of `kvs`, for a get of one key. Undefined if there is none. */
  readonly kv: KeyValue | undefined;
  readonly kvs: readonly KeyValue[];
  /** Number of keys in the range, regardless of the limit. */
  readonly count: number;
  /** Whether the limit excluded some keys. */
  readonly more: boolean;
}

/** Result of a put. */
export interface PutResult {
  readonly header: ResponseHeader;
  /** The previous key-value, if `prevKv` was set and the key existed. */
  readonly prevKv: KeyValue | undefined;
}

/** Result of a delete. */
export interface DeleteResult {
  readonly header: ResponseHeader;
  /** Number of keys deleted. */
  readonly deleted: number;
  /** The deleted key-values, if `prevKv` was set. */
  readonly prevKvs: readonly KeyValue[];
}

/** Result of one operation of a transaction, by `type`. */
export type OpResult =
  | (GetResult & { readonly type: 'get' })
  | (PutResult & { readonly type: 'put' })
  | (DeleteResult & { readonly type: 'delete' })
  | (TxnResult & { readonly type: 'txn' });

/** Result of a transaction. */
export interface TxnResult {
  readonly header: ResponseHeader;
  /** Whether all comparisons held: then the `then` branch was executed, else the `else` branch. */
  readonly succeeded: boolean;
  /** One result per operation of that branch, in order. */
  readonly responses: readonly OpResult[];
}

const HEADER_MISSING: ResponseHeader = printed(etcdserverpb.ResponseHeaderCodec.create());

/** The header of a response; zeros if it has none. */
export function resultHeader(header: ResponseHeader | undefined): ResponseHeader {
  return header === undefined ? HEADER_MISSING : printed(header);
}

export function getResultOf(response: etcdserverpb.RangeResponse): GetResult {
  const kvs = response.kvs.map((fields) => new KeyValue(fields));
  return printed({
    header: resultHeader(response.header),
    kv: kvs[0],
    kvs,
    count: response.count,
    more: response.more,
  });
}

export function putResultOf(response: etcdserverpb.PutResponse): PutResult {
  return printed({ header: resultHeader(response.header), prevKv: keyValueOf(response.prevKv) });
}

export function deleteResultOf(response: etcdserverpb.DeleteRangeResponse): DeleteResult {
  return printed({
    header: resultHeader(response.header),
    deleted: response.deleted,
    prevKvs: response.prevKvs.map((fields) => new KeyValue(fields)),
  });
}

export function txnResultOf(response: etcdserverpb.TxnResponse): TxnResult {
  return printed({
    header: resultHeader(response.header),
    succeeded: response.succeeded,
    responses: response.responses.flatMap((each) => opResultOf(each) ?? []),
  });
}

function opResultOf({ response }: etcdserverpb.ResponseOp): OpResult | undefined {
  switch (response?.case) {
    case 'responseRange':
      return printed<OpResult>({ type: 'get', ...getResultOf(response.value) });
    case 'responsePut':
      return printed<OpResult>({ type: 'put', ...putResultOf(response.value) });
    case 'responseDeleteRange':
      return printed<OpResult>({ type: 'delete', ...deleteResultOf(response.value) });
    case 'responseTxn':
      return printed<OpResult>({ type: 'txn', ...txnResultOf(response.value) });
    case undefined:
      return undefined;
  }
}
