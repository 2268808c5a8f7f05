// KV.RangeStream: a range in pieces of about the size of a request. Merged, the pieces are the answer
// of Range: only the last one carries header, count and `more`.

import { rangeRefusal } from '../../auth/index.ts';
import { failpoints, latin1FromBytes, Slices } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import { STATUS, type StatusCode, type StreamHandler } from '../../grpc/index.ts';
import {
  checkRangeRequest,
  hasRevisionFilters,
  isDefaultOrder,
  KeyValueScanner,
  RangeResult,
  RangeRun,
} from '../../mvcc/index.ts';
import { EtcdError, type EtcdErrorName, etcdserverpb, mvccpb } from '../../protocol/index.ts';
import {
  endMalformed,
  type ServiceTable,
  type StreamCall,
  statusOfError,
} from '../../rpc/index.ts';
import type { KvStore, PinnedView } from '../../store/index.ts';
import type { Callers } from '../auth/callers.ts';
import type { ServerConfig } from '../config/index.ts';
import type { Read, ReadIndexQueue } from '../consensus/read-index-queue.ts';
import type { StoreView } from '../consensus/store-view.ts';
import { RANGE_STREAM_FIRST_KEYS } from '../limits.ts';
import type { Logger } from '../telemetry/log.ts';
import type { RequestTimes } from '../telemetry/request-times.ts';
import { readFailure } from './read-failure.ts';
import type { ResponseHeaders } from './response-header.ts';

const method = etcdserverpb.KVService.methods.rangeStream;

export interface RangeStreamParts {
  readonly config: { readonly grpc: Pick<ServerConfig['grpc'], 'maxRequestBytes'> };
  readonly env: Pick<Env, 'clock' | 'timers'>;
  readonly log: Logger;
  readonly header: Pick<ResponseHeaders, 'message'>;
  readonly reads: Pick<ReadIndexQueue, 'request'>;
  readonly callers: Pick<Callers, 'areAsked' | 'check' | 'isOutdated'>;
  readonly store: StoreView<'kv'>;
  readonly requestTimes: Pick<RequestTimes, 'beginRange' | 'endPiece'>;
}

export function registerRangeStream(table: ServiceTable, parts: RangeStreamParts): void {
  table.stream(method, (call) => new RangeStream(parts, call), {
    access: 'handler',
    holdsMemory: true,
  });
}

class RangeStream implements StreamHandler, Read {
  readonly #parts: RangeStreamParts;
  readonly #call: StreamCall;
  #request: etcdserverpb.RangeRequest | undefined;
  #ended = false;
  #onRoom: (() => void) | undefined;

  constructor(parts: RangeStreamParts, call: StreamCall) {
    this.#parts = parts;
    this.#call = call;
  }

  onMessage(message: Uint8Array): void {
    if (this.#request !== undefined || this.#ended) return;
    let request: etcdserverpb.RangeRequest;
    try {
      request = method.request.decodeRequest(Uint8Array.from(message));
    } catch (error) {
      this.#ended = true;
      endMalformed(this.#call, error);
      return;
    }
    this.#request = request;
    try {
      checkRangeRequest(request);
    } catch (error) {
      this.#failWith(error);
      return;
    }
    if (!isDefaultOrder(request)) {
      this.#end(STATUS.UNIMPLEMENTED, 'RangeStream does not support custom sort orders');
    } else if (hasRevisionFilters(request)) {
      this.#end(STATUS.UNIMPLEMENTED, 'RangeStream does not support revision filters');
    } else if (request.serializable) {
      this.serve();
    } else {
      this.#parts.reads.request(this);
    }
  }

  onEnd(): void {
    // The one request has arrived, or its absence is reported by gRPC.
  }

  onCancel(): void {
    this.#ended = true;
    this.#onRoom?.();
  }

  onDrain(): void {
    this.#onRoom?.();
  }

  serve(): void {
    if (this.#ended || !this.#call.isWanted()) return;
    const { callers } = this.#parts;
    if (!callers.areAsked) {
      void this.#send();
      return;
    }
    callers.check(
      this.#call,
      (access) => rangeRefusal(access, this.#request!),
      (refusal) => {
        if (refusal !== undefined) this.fail(refusal);
        else if (callers.isOutdated(this.#call)) this.fail('AUTH_OLD_REVISION');
        else if (!this.#ended) void this.#send();
      },
    );
  }

  fail(error: EtcdErrorName): void {
    const { status, message } = statusOfError(error);
    this.#end(status, message);
  }

  async #send(): Promise<void> {
    const request = this.#request!;
    const { kv } = this.#parts.store.machine;
    let pin: PinnedView | undefined;
    try {
      if (request.countOnly) this.#sendCount(request);
      else {
        if (request.revision > kv.currentRev) throw new EtcdError('FUTURE_REV');
        if (request.revision > 0 && request.revision < kv.compactedRev) {
          throw new EtcdError('COMPACTED');
        }
        const revision = request.revision > 0 ? request.revision : kv.currentRev;
        pin = kv.pin(revision);
        await this.#sendPieces(kv, { ...request, revision });
      }
      // What has been sent was permitted then; that it is all is not said.
      if (this.#parts.callers.isOutdated(this.#call)) throw new EtcdError('AUTH_OLD_REVISION');
      this.#end(STATUS.OK, '');
    } catch (error) {
      this.#failWith(error);
    } finally {
      pin?.release();
    }
  }

  #sendCount(request: etcdserverpb.RangeRequest): void {
    const { header, requestTimes, store } = this.#parts;
    const { kv } = store.machine;
    const beganMs = requestTimes.beginRange();
    const result = new RangeResult();
    new RangeRun().start(kv, request, result);
    requestTimes.endPiece(beganMs);
    const rangeResponse = {
      ...emptyResponse(),
      header: header.message(kv.currentRev),
      count: result.count,
    };
    this.#call.write(method.response, { rangeResponse });
  }

  /** `kv` is pinned at the revision; a leader's snapshot may replace the store before the end. */
  async #sendPieces(kv: KvStore, request: etcdserverpb.RangeRequest): Promise<void> {
    const { config, env, requestTimes, store } = this.#parts;
    const slices = new Slices(env);
    const header = this.#parts.header.message(store.machine.kv.currentRev);
    const totalLimit = request.limit > 0 ? request.limit : Number.POSITIVE_INFINITY;
    const run = new RangeRun();
    const result = new RangeResult();
    let { key } = request;
    let limit = Math.min(RANGE_STREAM_FIRST_KEYS, totalLimit);
    let sent = 0;
    while (!this.#ended) {
      if (!this.#call.hasRoom) await this.#room();
      if (failpoints.active !== undefined) await failpoints.active.hold('beforeRangeStreamChunk');
      const beganMs = requestTimes.beginRange();
      run.start(kv, { ...request, key, limit }, result, false);
      let complete = run.step(PIECE_STEP_KEYS);
      // Ends the piece when it is large enough; the next piece continues after it.
      while (!complete && (result.size === 0 || result.byteCount() < config.grpc.maxRequestBytes)) {
        if (slices.isOver) await slices.next();
        complete = run.step(PIECE_STEP_KEYS);
      }
      requestTimes.endPiece(beganMs);
      const more = !complete || result.more;
      sent += result.size;
      const done = !more || (complete && sent >= totalLimit);
      const rangeResponse = emptyResponse();
      rangeResponse.kvs = decodeAll(result);
      const nextKey = more ? keyAfter(result) : undefined;
      if (done) {
        rangeResponse.header = header;
        rangeResponse.more = more;
        rangeResponse.count = sent + countFrom(kv, nextKey, request);
      }
      const hasRoom = this.#call.write(method.response, { rangeResponse });
      if (done || nextKey === undefined) return;
      key = nextKey;
      limit = Math.min(
        nextLimit(limit, result.byteCount(), config.grpc.maxRequestBytes),
        totalLimit - sent,
      );
      if (!hasRoom) await this.#room();
      if (slices.isOver) await slices.next();
    }
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#onRoom = resolve;
    });
  }

  #failWith(error: unknown): void {
    const { status, message } = readFailure(this.#parts.log, error);
    this.#end(status, message);
  }

  #end(status: StatusCode, message: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#call.end(status, message);
  }
}

/** Keys of a piece that are read before its size is checked: 1 MiB of large rows. */
const PIECE_STEP_KEYS = 64;

/** Number of remaining keys, from `key` on. */
function countFrom(
  { index }: KvStore,
  key: Uint8Array | undefined,
  { rangeEnd, revision }: etcdserverpb.RangeRequest,
): number {
  if (key === undefined) return 0;
  return index.count(latin1FromBytes(key), latin1FromBytes(rangeEnd), revision);
}

function emptyResponse(): etcdserverpb.RangeResponse {
  return { header: undefined, kvs: [], more: false, count: 0 };
}

/** The pairs as messages: streams are for large answers, whose pieces are few. */
function decodeAll(result: RangeResult): mvccpb.KeyValue[] {
  const kvs: mvccpb.KeyValue[] = [];
  for (let i = 0; i < result.size; i++) {
    const start = result.offsets[i]!;
    kvs.push(mvccpb.KeyValueCodec.decode(result.buffers[i]!, start, start + result.lengths[i]!));
  }
  return kvs;
}

/** The smallest key after the last one answered. */
function keyAfter(result: RangeResult): Uint8Array {
  const last = result.size - 1;
  const scanner = new KeyValueScanner();
  scanner.scan(result.buffers[last]!, result.offsets[last]!, result.lengths[last]!);
  const key = scanner.key();
  const after = new Uint8Array(key.length + 1);
  for (let i = 0; i < key.length; i++) after[i] = key.charCodeAt(i);
  return after;
}

/** Doubles or halves the keys of a piece until its size is near the target. */
function nextLimit(limit: number, bytes: number, targetBytes: number): number {
  if (bytes < targetBytes / 2) return limit * 2;
  if (bytes > targetBytes * 2) return Math.max(1, Math.floor(limit / 2));
  return limit;
}
