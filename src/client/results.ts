// Results of key-value calls, and how they are made of protocol messages.

import { etcdserverpb } from '../protocol/index.ts';
import { KeyValue, keyValueOf } from './key-value.ts';
import { printed } from './printed.ts';

/** Who answered, and at which revision of the store. */
export type ResponseHeader = etcdserverpb.ResponseHeader;

/** Keys that were found. */
export interface GetResult {
  readonly header: ResponseHeader;
  /** The first of `kvs`: what a get of one key is after. Undefined if there is none. */
  readonly kv: KeyValue | undefined;
  readonly kvs: readonly KeyValue[];
  /** Keys in the range, regardless of the limit. */
  readonly count: number;
  /** The limit left some out. */
  readonly more: boolean;
}

/** What a put has replaced, if that was asked for. */
export interface PutResult {
  readonly header: ResponseHeader;
  /** What was there before, if asked for. */
  readonly prevKv: KeyValue | undefined;
}

/** What a deletion has deleted. */
export interface DeleteResult {
  readonly header: ResponseHeader;
  /** Number of keys deleted. */
  readonly deleted: number;
  /** What was deleted, if asked for. */
  readonly prevKvs: readonly KeyValue[];
}

/** The answer to one operation of a transaction; `type` says which kind. */
export type OpResult =
  | (GetResult & { readonly type: 'get' })
  | (PutResult & { readonly type: 'put' })
  | (DeleteResult & { readonly type: 'delete' })
  | (TxnResult & { readonly type: 'txn' });

/** Which branch a transaction took, and the results of its operations in order. */
export interface TxnResult {
  readonly header: ResponseHeader;
  /** Whether all comparisons held, that is, which branch was executed. */
  readonly succeeded: boolean;
  /** One per operation of that branch, in order. */
  readonly responses: readonly OpResult[];
}

const HEADER_MISSING: ResponseHeader = printed(etcdserverpb.ResponseHeaderCodec.create());

/** A response without header has one of zeros. */
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
