// etcdserverpb.KV of a proxy: passed on, with a cache before serializable reads, and perhaps below a prefix.

import { latin1FromBytes } from '../../base/index.ts';
import { BYTES_ENCODER } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { failWith, type ServiceTable, type UnaryCall } from '../../rpc/index.ts';
import { hasToken } from '../calls/passed-metadata.ts';
import { passStream } from '../calls/passed-stream.ts';
import { passUnary, REPEATABLE, type UnaryHooks } from '../calls/passed-unary.ts';
import type { Upstream } from '../calls/upstream.ts';
import type { ProxyMetrics } from '../metrics.ts';
import type { Namespace } from './namespace.ts';
import { type CacheEntry, RangeCache } from './range-cache.ts';

const { methods } = etcdserverpb.KVService;

interface KvServiceParts {
  readonly upstream: Upstream;
  readonly metrics: ProxyMetrics;
  /** Undefined without a prefix: requests and answers are passed on as they are. */
  readonly namespace: Namespace | undefined;
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
  const { upstream, metrics, namespace } = parts;
  table.unary(methods.range, (call, request, bytes) => {
    // Of a caller with a token the cache does not know what the caller may read.
    const isShared = !hasToken(call.metadata);
    if (request.serializable && isShared && answeredFrom(cache, call, request, metrics)) return;
    if (refusesEmptyKey(call, request.key, namespace)) return;
    const passed =
      namespace === undefined ? bytes : methods.range.request.encode(namespace.within(request));
    const entry = isShared ? cache.expect(request) : undefined;
    const hooks = new ReadHooks(cache, entry, namespace);
    passUnary(upstream, call, passed, hooks, REPEATABLE);
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
  /** Undefined if the answer is for the caller alone. */
  readonly #entry: CacheEntry | undefined;
  readonly #namespace: Namespace | undefined;

  constructor(cache: RangeCache, entry: CacheEntry | undefined, namespace: Namespace | undefined) {
    this.#cache = cache;
    this.#entry = entry;
    this.#namespace = namespace;
  }

  onReply(reply: Uint8Array): Uint8Array {
    const { response } = methods.range;
    const namespace = this.#namespace;
    const answer =
      namespace === undefined
        ? reply
        : response.encode(namespace.rangeResponse(response.decode(reply)));
    if (this.#entry !== undefined) this.#cache.fill(this.#entry, answer);
    return answer;
  }

  onFailure(): void {
    if (this.#entry !== undefined) this.#cache.forget(this.#entry);
  }
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

/** Drops answers about what a write may change, before it is passed on and when it is answered. */
abstract class WriteHooks implements UnaryHooks {
  protected readonly cache: RangeCache;
  readonly #changed: ((reply: Uint8Array) => Uint8Array) | undefined;

  /** `changed`: what clients get for an answer of the cluster; undefined for the same. */
  constructor(cache: RangeCache, changed: ((reply: Uint8Array) => Uint8Array) | undefined) {
    this.cache = cache;
    this.#changed = changed;
  }

  abstract drop(): void;

  onReply(reply: Uint8Array): Uint8Array | undefined {
    this.drop();
    return this.#changed?.(reply);
  }

  onFailure(): void {
    this.drop();
  }
}

class KeyHooks extends WriteHooks {
  /** One char per byte. */
  readonly #key: string;

  constructor(cache: RangeCache, key: Uint8Array, changed: WriteChange) {
    super(cache, changed);
    this.#key = latin1FromBytes(key);
  }

  drop(): void {
    this.cache.invalidate(this.#key, '');
  }
}

class RangesHooks extends WriteHooks {
  readonly #ranges: readonly ChangedRange[];

  constructor(cache: RangeCache, ranges: readonly ChangedRange[], changed: WriteChange) {
    super(cache, changed);
    this.#ranges = ranges;
  }

  drop(): void {
    for (const { from, end } of this.#ranges) this.cache.invalidate(from, end);
  }
}

type WriteChange = ((reply: Uint8Array) => Uint8Array) | undefined;

/** As in a request, one char per byte. */
interface ChangedRange {
  readonly from: string;
  readonly end: string;
}

function registerWrites(table: ServiceTable, parts: KvServiceParts, cache: RangeCache): void {
  const { upstream, namespace } = parts;
  const { put, deleteRange, txn } = methods;
  const ofPut: WriteChange =
    namespace &&
    ((reply) => put.response.encode(namespace.putResponse(put.response.decode(reply))));
  const ofDelete: WriteChange =
    namespace &&
    ((reply) =>
      deleteRange.response.encode(namespace.deleteResponse(deleteRange.response.decode(reply))));
  const ofTxn: WriteChange =
    namespace &&
    ((reply) => txn.response.encode(namespace.txnResponse(txn.response.decode(reply))));
  const pass = (call: UnaryCall, bytes: Uint8Array, hooks: WriteHooks): void => {
    hooks.drop();
    passUnary(upstream, call, bytes, hooks);
  };
  table.unary(put, (call, request, bytes) => {
    if (refusesEmptyKey(call, request.key, namespace)) return;
    const passed = namespace === undefined ? bytes : put.request.encode(namespace.put(request));
    pass(call, passed, new KeyHooks(cache, request.key, ofPut));
  });
  table.unary(deleteRange, (call, request, bytes) => {
    if (refusesEmptyKey(call, request.key, namespace)) return;
    const passed =
      namespace === undefined ? bytes : deleteRange.request.encode(namespace.within(request));
    pass(call, passed, new RangesHooks(cache, [changedRange(request)], ofDelete));
  });
  table.unary(txn, (call, request, bytes) => {
    const passed = namespace === undefined ? bytes : txn.request.encode(namespace.txn(request));
    pass(call, passed, new RangesHooks(cache, rangesOf(request), ofTxn));
  });
}

/** Below a prefix an empty key would be the prefix itself. */
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
function rangesOf(request: etcdserverpb.TxnRequest): ChangedRange[] {
  const ofOps = [...request.success, ...request.failure].flatMap(({ request: op }) => {
    switch (op?.case) {
      case 'requestPut':
        return [{ from: latin1FromBytes(op.value.key), end: '' }];
      case 'requestDeleteRange':
        return [changedRange(op.value)];
      case 'requestTxn':
        return rangesOf(op.value);
      default:
        return [];
    }
  });
  return [...request.compare.map(changedRange), ...ofOps];
}

function changedRange({ key, rangeEnd }: Pick<etcdserverpb.RangeRequest, 'key' | 'rangeEnd'>) {
  return { from: latin1FromBytes(key), end: latin1FromBytes(rangeEnd) };
}
