// `--namespace`: the keys of clients are those below a prefix of the cluster's. Requests get the prefix,
// answers lose it; of a client's point of view there are no other keys.

import { equalBytes } from '../../base/index.ts';
import { etcdserverpb, type mvccpb } from '../../protocol/index.ts';

type RequestOp = etcdserverpb.RequestOp;
type ResponseOp = etcdserverpb.ResponseOp;

export class Namespace {
  readonly #prefix: Uint8Array;
  /** The end of the range of all keys with the prefix. */
  readonly #end: Uint8Array;

  constructor(prefix: Uint8Array) {
    this.#prefix = prefix;
    this.#end = endOf(prefix);
  }

  key(key: Uint8Array): Uint8Array {
    return Buffer.concat([this.#prefix, key]);
  }

  /** Key and range end as in a request; an end beyond all keys is the end of the namespace. */
  range(key: Uint8Array, rangeEnd: Uint8Array): readonly [Uint8Array, Uint8Array] {
    return [this.key(key), this.#rangeEnd(rangeEnd)];
  }

  #rangeEnd(rangeEnd: Uint8Array): Uint8Array {
    if (rangeEnd.length === 0) return rangeEnd;
    return rangeEnd.length === 1 && rangeEnd[0] === 0 ? this.#end : this.key(rangeEnd);
  }

  /** A key of the cluster as clients know it. */
  stripped(key: Uint8Array): Uint8Array {
    return key.subarray(this.#prefix.length);
  }

  has(key: Uint8Array): boolean {
    return equalBytes(key.subarray(0, this.#prefix.length), this.#prefix);
  }

  within<T extends { readonly key: Uint8Array; readonly rangeEnd: Uint8Array }>(request: T): T {
    const [key, rangeEnd] = this.range(request.key, request.rangeEnd);
    return { ...request, key, rangeEnd };
  }

  put(request: etcdserverpb.PutRequest): etcdserverpb.PutRequest {
    return { ...request, key: this.key(request.key) };
  }

  txn(request: etcdserverpb.TxnRequest): etcdserverpb.TxnRequest {
    return {
      ...request,
      compare: request.compare.map((each) => this.within(each)),
      success: request.success.map((each) => this.#op(each)),
      failure: request.failure.map((each) => this.#op(each)),
    };
  }

  #op(op: RequestOp): RequestOp {
    const { request } = op;
    switch (request?.case) {
      case 'requestRange':
        return { ...op, request: { case: request.case, value: this.within(request.value) } };
      case 'requestDeleteRange':
        return { ...op, request: { case: request.case, value: this.within(request.value) } };
      case 'requestPut':
        return { ...op, request: { case: request.case, value: this.put(request.value) } };
      case 'requestTxn':
        return { ...op, request: { case: request.case, value: this.txn(request.value) } };
      case undefined:
        return op;
    }
  }

  keyValue(kv: mvccpb.KeyValue): mvccpb.KeyValue {
    return { ...kv, key: this.stripped(kv.key) };
  }

  #optional(kv: mvccpb.KeyValue | undefined): mvccpb.KeyValue | undefined {
    return kv === undefined ? undefined : this.keyValue(kv);
  }

  rangeResponse(response: etcdserverpb.RangeResponse): etcdserverpb.RangeResponse {
    return { ...response, kvs: response.kvs.map((kv) => this.keyValue(kv)) };
  }

  putResponse(response: etcdserverpb.PutResponse): etcdserverpb.PutResponse {
    return { ...response, prevKv: this.#optional(response.prevKv) };
  }

  deleteResponse(response: etcdserverpb.DeleteRangeResponse): etcdserverpb.DeleteRangeResponse {
    return { ...response, prevKvs: response.prevKvs.map((kv) => this.keyValue(kv)) };
  }

  txnResponse(response: etcdserverpb.TxnResponse): etcdserverpb.TxnResponse {
    return { ...response, responses: response.responses.map((each) => this.#opResponse(each)) };
  }

  #opResponse(op: ResponseOp): ResponseOp {
    const { response } = op;
    switch (response?.case) {
      case 'responseRange':
        return {
          ...op,
          response: { case: response.case, value: this.rangeResponse(response.value) },
        };
      case 'responseDeleteRange':
        return {
          ...op,
          response: { case: response.case, value: this.deleteResponse(response.value) },
        };
      case 'responsePut':
        return {
          ...op,
          response: { case: response.case, value: this.putResponse(response.value) },
        };
      case 'responseTxn':
        return {
          ...op,
          response: { case: response.case, value: this.txnResponse(response.value) },
        };
      case undefined:
        return op;
    }
  }

  /** An encoded watch response. */
  watchResponse(bytes: Uint8Array): Uint8Array {
    const { WatchResponseCodec } = etcdserverpb;
    const response = WatchResponseCodec.decode(bytes);
    const events = response.events.map((event) => ({
      ...event,
      kv: this.#optional(event.kv),
      prevKv: this.#optional(event.prevKv),
    }));
    return WatchResponseCodec.encode({ ...response, events });
  }
}

/** The least byte string after all that begin with `prefix`; `\0`, beyond all, if there is none. */
export function endOf(prefix: Uint8Array): Uint8Array {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return Uint8Array.of(0);
  const end = Uint8Array.from(prefix.subarray(0, length));
  end[length - 1]!++;
  return end;
}
