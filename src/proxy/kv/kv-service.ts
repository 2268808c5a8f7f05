// etcdserverpb.KV of a proxy, with a cache before serializable reads.

import { latin1FromBytes } from '../../base/index.ts';
import { BYTES_ENCODER } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { failWith, type ServiceTable, type UnaryCall } from '../../rpc/index.ts';
import { hasToken } from '../calls/passed-metadata.ts';
import { passStream } from '../calls/passed-stream.ts';
import { passUnary, type UnaryHooks } from '../calls/passed-unary.ts';
import type { Upstream } from '../calls/upstream.ts';
import type { ProxyMetrics } from '../metrics.ts';
import { type KeyRange, rangeOf } from './key-range.ts';
import type { KvCalls } from './kv-calls.ts';
import type { Namespace } from './namespace.ts';
import { type CacheEntry, RangeCache } from './range-cache.ts';
import type { ReadOrder } from './read-order.ts';

const { methods } = etcdserverpb.KVService;

interface KvServiceParts {
  readonly upstream: Upstream;
  readonly metrics: ProxyMetrics;
  /** How all but streams and compactions get to the cluster. */
  readonly calls: KvCalls;
  readonly namespace: Namespace | undefined;
  /** Undefined if serializable reads may be of any age. */
  readonly order: ReadOrder | undefined;
}

export function registerKvService(table: ServiceTable, parts: KvServiceParts): RangeCache {
  const cache = new RangeCache();
  registerRange(table, parts, cache);
  registerWrites(table, parts, cache);
  table.unary(methods.compact, (call, request, bytes) => {
    const { revision } = request;
    passUnary(parts.upstream, call, bytes, {
      onReply: () => {
        cache.compact(revision);
        return undefined;
      },
    });
  });
  return cache;
}

function registerRange(table: ServiceTable, parts: KvServiceParts, cache: RangeCache): void {
  const { upstream, calls, metrics, namespace, order } = parts;
  table.unary(methods.range, (call, request, bytes) => {
    // Of a caller with a token the cache does not know what the caller may read.
    const isShared = !hasToken(call.metadata);
    if (request.serializable && isShared && answeredFrom(cache, call, request, metrics, order))
      return;
    const entry = isShared ? cache.expect(request) : undefined;
    calls.range(call, request, bytes, entry && new ReadHooks(cache, entry));
  });
  if (namespace === undefined) return;
  const { rangeStream } = methods;
  table.stream(rangeStream, (call) =>
    passStream(upstream, call, {
      request: (message) => {
        const request = rangeStream.request.decodeRequest(message);
        // Refused by the cluster, as it is without a prefix.
        return request.key.length === 0
          ? message
          : rangeStream.request.encode(namespace.within(request));
      },
      response: (message) => {
        const { rangeResponse } = rangeStream.response.decode(message);
        if (rangeResponse === undefined) return message;
        const stripped = namespace.rangeResponse(rangeResponse);
        return rangeStream.response.encode({ rangeResponse: stripped });
      },
    }),
  );
}

/** Keeps the answer to a read. */
class ReadHooks implements UnaryHooks {
  readonly #cache: RangeCache;
  readonly #entry: CacheEntry;

  constructor(cache: RangeCache, entry: CacheEntry) {
    this.#cache = cache;
    this.#entry = entry;
  }

  onReply(reply: Uint8Array): undefined {
    this.#cache.fill(this.#entry, reply);
  }

  onFailure(): void {
    this.#cache.forget(this.#entry);
  }
}

function answeredFrom(
  cache: RangeCache,
  call: UnaryCall,
  request: etcdserverpb.RangeRequest,
  metrics: ProxyMetrics,
  order: ReadOrder | undefined,
): boolean {
  if (cache.isCompacted(request)) {
    metrics.cacheHits.value++;
    failWith(call, 'COMPACTED');
    return true;
  }
  const reply = cache.find(request);
  if (reply === undefined || order?.admits(reply, order.revision) === false) {
    metrics.cacheMisses.value++;
    return false;
  }
  metrics.cacheHits.value++;
  call.reply(BYTES_ENCODER, reply);
  return true;
}

/** Drops answers about what a write may change, before it is passed on and when it is answered. */
abstract class WriteHooks implements UnaryHooks {
  protected readonly cache: RangeCache;

  constructor(cache: RangeCache) {
    this.cache = cache;
  }

  abstract drop(): void;

  onReply(): undefined {
    this.drop();
  }

  onFailure(): void {
    this.drop();
  }
}

class KeyHooks extends WriteHooks {
  /** One char per byte. */
  readonly #key: string;

  constructor(cache: RangeCache, key: Uint8Array) {
    super(cache);
    this.#key = latin1FromBytes(key);
  }

  drop(): void {
    this.cache.invalidate(this.#key, '');
  }
}

class RangesHooks extends WriteHooks {
  readonly #ranges: readonly KeyRange[];

  constructor(cache: RangeCache, ranges: readonly KeyRange[]) {
    super(cache);
    this.#ranges = ranges;
  }

  drop(): void {
    for (const { from, end } of this.#ranges) this.cache.invalidate(from, end);
  }
}

function registerWrites(table: ServiceTable, { calls }: KvServiceParts, cache: RangeCache): void {
  table.unary(methods.put, (call, request, bytes) => {
    const hooks = new KeyHooks(cache, request.key);
    hooks.drop();
    calls.put(call, request, bytes, hooks);
  });
  table.unary(methods.deleteRange, (call, request, bytes) => {
    const hooks = new RangesHooks(cache, [rangeOf(request)]);
    hooks.drop();
    calls.deleteRange(call, request, bytes, hooks);
  });
  table.unary(methods.txn, (call, request, bytes) => {
    const hooks = new RangesHooks(cache, rangesOf(request));
    hooks.drop();
    calls.txn(call, request, bytes, hooks);
  });
}

/** Whatever the transaction may change, and what it compares: a client may have seen a newer value. */
function rangesOf(request: etcdserverpb.TxnRequest): KeyRange[] {
  const ofOps = [...request.success, ...request.failure].flatMap(({ request: op }) => {
    switch (op?.case) {
      case 'requestPut':
        return [{ from: latin1FromBytes(op.value.key), end: '' }];
      case 'requestDeleteRange':
        return [rangeOf(op.value)];
      case 'requestTxn':
        return rangesOf(op.value);
      default:
        return [];
    }
  });
  return [...request.compare.map(rangeOf), ...ofOps];
}
