// etcdserverpb.KV of a proxy: passed on, with a cache before serializable reads, and perhaps below a prefix.

import { BYTES_ENCODER } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { failWith, type ServiceTable, type UnaryCall } from '../../rpc/index.ts';
import { hasToken } from '../calls/passed-metadata.ts';
import { passStream } from '../calls/passed-stream.ts';
import { passUnary } from '../calls/passed-unary.ts';
import type { Upstream } from '../calls/upstream.ts';
import type { ProxyMetrics } from '../metrics.ts';
import type { Namespace } from './namespace.ts';
import { RangeCache } from './range-cache.ts';

const { methods } = etcdserverpb.KVService;

interface KvServiceParts {
  readonly upstream: Upstream;
  readonly metrics: ProxyMetrics;
  /** Undefined without a prefix: requests and answers are passed on as they are. */
  readonly namespace: Namespace | undefined;
}

type Range = Pick<etcdserverpb.RangeRequest, 'key' | 'rangeEnd'>;

const NO_END = new Uint8Array(0);

export function registerKvService(table: ServiceTable, parts: KvServiceParts): RangeCache {
  const cache = new RangeCache();
  registerRange(table, parts, cache);
  registerWrites(table, parts, cache);
  table.unary(methods.compact, (call, request, bytes) => {
    passUnary(parts.upstream, call, bytes, {
      hooks: {
        onReply: () => {
          cache.compact(request.revision);
          return undefined;
        },
      },
    });
  });
  return cache;
}

function registerRange(table: ServiceTable, parts: KvServiceParts, cache: RangeCache): void {
  const { upstream, metrics, namespace } = parts;
  const { response } = methods.range;
  table.unary(methods.range, (call, request, bytes) => {
    // Of a caller with a token the cache does not know what the caller may read.
    const isShared = !hasToken(call.metadata);
    if (request.serializable && isShared && answeredFrom(cache, call, request, metrics)) return;
    const entry = isShared ? cache.expect(request) : undefined;
    const passed = namespace === undefined ? bytes : within(call, request, namespace);
    if (passed === undefined) return;
    passUnary(upstream, call, passed, {
      repeatable: true,
      hooks: {
        onReply: (reply) => {
          const answer =
            namespace === undefined
              ? reply
              : response.encode(namespace.rangeResponse(response.decode(reply)));
          if (entry !== undefined) cache.fill(entry, answer);
          return answer;
        },
        onFailure: () => {
          if (entry !== undefined) cache.forget(entry);
        },
      },
    });
  });
  if (namespace === undefined) return;
  const { rangeStream } = methods;
  table.stream(rangeStream, (call) =>
    passStream(upstream, call, {
      request: (message) =>
        rangeStream.request.encode(namespace.within(rangeStream.request.decodeRequest(message))),
      response: (message) => {
        const { rangeResponse } = rangeStream.response.decode(message);
        if (rangeResponse === undefined) return message;
        return rangeStream.response.encode({
          rangeResponse: namespace.rangeResponse(rangeResponse),
        });
      },
    }),
  );
}

function answeredFrom(
  cache: RangeCache,
  call: UnaryCall,
  request: etcdserverpb.RangeRequest,
  metrics: ProxyMetrics,
): boolean {
  if (cache.isCompacted(request)) {
    metrics.cacheHits.value++;
    failWith(call, 'COMPACTED');
    return true;
  }
  const reply = cache.find(request);
  if (reply === undefined) {
    metrics.cacheMisses.value++;
    return false;
  }
  metrics.cacheHits.value++;
  call.reply(BYTES_ENCODER, reply);
  return true;
}

/** The request below the prefix; without a key it is refused, since the prefix would be one. */
function within(
  call: UnaryCall,
  request: etcdserverpb.RangeRequest,
  namespace: Namespace,
): Uint8Array | undefined {
  if (request.key.length > 0) return methods.range.request.encode(namespace.within(request));
  failWith(call, 'EMPTY_KEY');
  return undefined;
}

function registerWrites(table: ServiceTable, parts: KvServiceParts, cache: RangeCache): void {
  const { upstream, namespace } = parts;
  /** Passes a write on: answers about its ranges are dropped before it and after it. */
  const pass = (
    call: UnaryCall,
    bytes: Uint8Array,
    ranges: readonly Range[],
    changed: (reply: Uint8Array) => Uint8Array,
  ): void => {
    const drop = (): void => {
      for (const range of ranges) cache.invalidate(range);
    };
    drop();
    passUnary(upstream, call, bytes, {
      hooks: {
        onReply: (reply) => {
          drop();
          return namespace === undefined ? undefined : changed(reply);
        },
        onFailure: drop,
      },
    });
  };
  const { put, deleteRange, txn } = methods;
  table.unary(put, (call, request, bytes) => {
    if (refusesEmptyKey(call, request.key, namespace)) return;
    const ranges = [{ key: Uint8Array.from(request.key), rangeEnd: NO_END }];
    const passed = namespace === undefined ? bytes : put.request.encode(namespace.put(request));
    pass(call, passed, ranges, (reply) =>
      put.response.encode(namespace!.putResponse(put.response.decode(reply))),
    );
  });
  table.unary(deleteRange, (call, request, bytes) => {
    if (refusesEmptyKey(call, request.key, namespace)) return;
    const ranges = [copied(request)];
    const passed =
      namespace === undefined ? bytes : deleteRange.request.encode(namespace.within(request));
    pass(call, passed, ranges, (reply) =>
      deleteRange.response.encode(namespace!.deleteResponse(deleteRange.response.decode(reply))),
    );
  });
  table.unary(txn, (call, request, bytes) => {
    const passed = namespace === undefined ? bytes : txn.request.encode(namespace.txn(request));
    pass(call, passed, rangesOf(request), (reply) =>
      txn.response.encode(namespace!.txnResponse(txn.response.decode(reply))),
    );
  });
}

function refusesEmptyKey(
  call: UnaryCall,
  key: Uint8Array,
  namespace: Namespace | undefined,
): boolean {
  if (namespace === undefined || key.length > 0) return false;
  failWith(call, 'EMPTY_KEY');
  return true;
}

/** Whatever the transaction may change, and what it compares: a client may have seen a newer value. */
function rangesOf(request: etcdserverpb.TxnRequest): Range[] {
  const ofOps = [...request.success, ...request.failure].flatMap(({ request: op }): Range[] => {
    switch (op?.case) {
      case 'requestPut':
        return [{ key: Uint8Array.from(op.value.key), rangeEnd: NO_END }];
      case 'requestDeleteRange':
        return [copied(op.value)];
      case 'requestTxn':
        return rangesOf(op.value);
      default:
        return [];
    }
  });
  return [...request.compare.map(copied), ...ofOps];
}

/** Requests lie in a buffer that is used again. */
function copied({ key, rangeEnd }: Range): Range {
  return { key: Uint8Array.from(key), rangeEnd: Uint8Array.from(rangeEnd) };
}
