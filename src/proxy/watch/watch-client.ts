// A client's stream of watches: requests become watchers, and what they get becomes responses.
//
// A client that does not read is full: its watchers lag, and continue from what is kept, or from the
// cluster, when there is room again. Its requests are not read until then either.

import { compareBytes } from '../../base/index.ts';
import type { StatusCode, StreamHandler } from '../../grpc/index.ts';
import { ETCD_ERRORS, etcdserverpb, watchIdField } from '../../protocol/index.ts';
import { endMalformed, type StreamCall } from '../../rpc/index.ts';
import { CREATIONS_MAX, FRAGMENT_BYTES, WATCHERS_MAX } from '../limits.ts';
import type { ProxyMetrics } from '../metrics.ts';
import { type EventRun, type EventSlice, VARIANT } from './event-run.ts';
import { EMPTY_HEADER, WATCH_RESPONSE_ENCODER, WatchResponse } from './response-encoder.ts';
import type { GroupClient, WatchGroup } from './watch-group.ts';
import { type Cancellation, WATCHER_STATE, Watcher, type WatcherOwner } from './watcher.ts';

const { WatchRequestCodec, FilterType } = etcdserverpb;

const NO_WATCHER_FIELD = watchIdField(-1n);
const REASON_EMPTY_RANGE = 'mvcc: watcher range is empty';
const REASON_DUPLICATE_ID = 'mvcc: duplicate watch ID provided on the WatchStream';
const REASON_TOO_MANY = 'etcdserver: too many watchers at this proxy';

const SMALLEST_KEY = new Uint8Array(1);

interface ClientParts {
  readonly call: StreamCall;
  readonly group: WatchGroup;
  readonly metrics: ProxyMetrics;
  /** Key and range end as the cluster has them. */
  readonly place: (key: Uint8Array, rangeEnd: Uint8Array) => readonly [Uint8Array, Uint8Array];
  /** The stream has ended: nothing of it is left in the group. */
  readonly onLeft: () => void;
}

/** A creation that was refused here, in its place among the others. */
interface Refused {
  readonly reason: string;
}

const RESPONSE = new WatchResponse();

export class WatchClient implements StreamHandler, WatcherOwner, GroupClient {
  full = false;
  readonly #parts: ClientParts;
  readonly #watchers = new Map<bigint, Watcher>();
  /** Creations that have not been answered, in the order of the requests. */
  readonly #creations: (Watcher | Refused)[] = [];
  readonly #lagging = new Set<Watcher>();
  #nextId = 0n;
  #ended = false;
  #paused = false;
  #answering = false;

  constructor(parts: ClientParts) {
    this.#parts = parts;
    parts.group.join(this);
  }

  // --- From the client ---------------------------------------------------------------------------

  onMessage(message: Uint8Array): void {
    if (this.#ended) return;
    let union: etcdserverpb.WatchRequest['requestUnion'];
    try {
      ({ requestUnion: union } = WatchRequestCodec.decodeRequest(message));
    } catch (error) {
      this.#close();
      endMalformed(this.#parts.call, error);
      return;
    }
    switch (union?.case) {
      case 'createRequest':
        this.#create(union.value);
        break;
      case 'cancelRequest':
        this.#cancel(union.value.watchId);
        break;
      case 'progressRequest':
        if (this.#watchers.size > 0) this.#parts.group.askProgress(this);
        break;
      case undefined:
        break;
    }
  }

  onEnd(): void {
    // Watches continue after the client has ended its requests.
  }

  onCancel(): void {
    this.#close();
  }

  onDrain(): void {
    if (this.#ended || !this.full) return;
    this.full = false;
    this.#answer();
    // Those that have to ask the cluster come back among the lagging ones.
    for (const watcher of [...this.#lagging]) {
      if (this.full) break;
      this.#lagging.delete(watcher);
      if (watcher.state === WATCHER_STATE.LAGGING) watcher.range.resume(watcher);
    }
    this.#pace();
  }

  #create(request: etcdserverpb.WatchCreateRequest): void {
    const reason = this.#refusalOf(request);
    if (reason !== undefined) {
      this.#creations.push({ reason });
      this.#answer();
      return;
    }
    const { group, metrics, place } = this.#parts;
    const id = request.watchId === 0n ? this.#freeId() : request.watchId;
    const [key, rangeEnd] = place(keyOf(request), request.rangeEnd);
    const watcher = new Watcher(this, {
      id,
      idField: watchIdField(id),
      range: group.rangeOf(Uint8Array.from(key), Uint8Array.from(rangeEnd)),
      variant: variantOf(request),
      progressNotify: request.progressNotify,
      fragment: request.fragment,
      nextRevision: request.startRevision,
    });
    this.#watchers.set(id, watcher);
    this.#creations.push(watcher);
    metrics.watchers.value++;
    watcher.range.place(watcher);
    this.#pace();
  }

  #refusalOf(request: etcdserverpb.WatchCreateRequest): string | undefined {
    if (request.startRevision < 0) return ETCD_ERRORS.COMPACTED.message;
    const { rangeEnd } = request;
    const isBounded = rangeEnd.length > 1 || (rangeEnd.length === 1 && rangeEnd[0] !== 0);
    if (isBounded && compareBytes(keyOf(request), rangeEnd) >= 0) return REASON_EMPTY_RANGE;
    if (request.watchId !== 0n && this.#watchers.has(request.watchId)) return REASON_DUPLICATE_ID;
    return this.#parts.metrics.watchers.value >= WATCHERS_MAX ? REASON_TOO_MANY : undefined;
  }

  #freeId(): bigint {
    while (this.#watchers.has(this.#nextId)) this.#nextId++;
    return this.#nextId++;
  }

  /** A watcher that the stream does not have is not answered, as in etcd. */
  #cancel(id: bigint): void {
    const watcher = this.#watchers.get(id);
    if (watcher === undefined) return;
    if (watcher.state <= WATCHER_STATE.READY) watcher.isUnwanted = true;
    else this.#endWatcher(watcher);
  }

  #endWatcher(watcher: Watcher): void {
    watcher.range.remove(watcher);
    this.#forget(watcher);
    const response = RESPONSE.reset(this.#parts.group.newestHeader, watcher.idField);
    response.canceled = true;
    this.#send(response);
  }

  #forget(watcher: Watcher): void {
    watcher.state = WATCHER_STATE.GONE;
    this.#watchers.delete(watcher.id);
    this.#lagging.delete(watcher);
    this.#parts.metrics.watchers.value--;
  }

  // --- Answers to creations, in the order of the requests ----------------------------------------

  onReady(): void {
    this.#answer();
  }

  #answer(): void {
    // A watcher that is resumed may make another one ready.
    if (this.#answering) return;
    this.#answering = true;
    while (!this.full && !this.#ended) {
      const first = this.#creations[0];
      if (first === undefined) break;
      if (!(first instanceof Watcher)) {
        this.#creations.shift();
        this.#sendRefusal({ header: this.#parts.group.newestHeader, compactRevision: 0, ...first });
      } else if (first.state === WATCHER_STATE.CREATING) break;
      else {
        this.#creations.shift();
        this.#open(first);
      }
    }
    this.#answering = false;
    this.#pace();
  }

  #open(watcher: Watcher): void {
    if (watcher.refusal !== undefined) {
      this.#sendRefusal(watcher.refusal);
      return;
    }
    const response = RESPONSE.reset(watcher.header ?? EMPTY_HEADER, watcher.idField);
    response.created = true;
    this.#send(response);
    watcher.state = WATCHER_STATE.LAGGING;
    if (watcher.isUnwanted) this.#endWatcher(watcher);
    else if (this.full) this.onLagging(watcher);
    else watcher.range.resume(watcher);
  }

  #sendRefusal({ header, reason, compactRevision }: Cancellation): void {
    const response = RESPONSE.reset(header, NO_WATCHER_FIELD);
    response.created = true;
    response.canceled = true;
    response.compactRevision = compactRevision;
    response.cancelReason = reason;
    this.#send(response);
  }

  // --- From the watches --------------------------------------------------------------------------

  sendRun(watcher: Watcher, run: EventRun): void {
    const slice = run.slice(watcher.variant);
    const { revisions, offsets } = slice;
    const from =
      watcher.nextRevision <= run.firstRevision ? 0 : slice.firstAt(watcher.nextRevision);
    if (from >= revisions.length) return;
    const bytes = offsets[revisions.length]! - offsets[from]!;
    if (watcher.fragment && bytes >= FRAGMENT_BYTES && revisions.length - from > 1) {
      this.#sendFragments(watcher, run, slice, from);
      return;
    }
    const response = RESPONSE.reset(run.header, watcher.idField);
    response.bytes = slice.bytes;
    response.start = offsets[from]!;
    response.end = offsets[revisions.length]!;
    this.#send(response);
  }

  /** Each response but the last one is marked as a fragment. */
  #sendFragments(watcher: Watcher, run: EventRun, slice: EventSlice, from: number): void {
    const { offsets, count } = slice;
    for (let start = from; start < count; ) {
      let end = start + 1;
      while (end < count && offsets[end + 1]! - offsets[start]! < FRAGMENT_BYTES) end++;
      const response = RESPONSE.reset(run.header, watcher.idField);
      response.bytes = slice.bytes;
      response.start = offsets[start]!;
      response.end = offsets[end]!;
      response.fragment = end < count;
      this.#send(response);
      start = end;
    }
  }

  sendProgress(watcher: Watcher, header: Uint8Array): void {
    this.#send(RESPONSE.reset(header, watcher.idField));
  }

  onLagging(watcher: Watcher): void {
    this.#lagging.add(watcher);
  }

  onCanceled(watcher: Watcher, cancellation: Cancellation): void {
    if (watcher.state <= WATCHER_STATE.READY) {
      // Answered when it is its turn.
      this.#forget(watcher);
      watcher.refusal = cancellation;
      this.#answer();
      return;
    }
    this.#forget(watcher);
    const response = RESPONSE.reset(cancellation.header, watcher.idField);
    response.canceled = true;
    response.compactRevision = cancellation.compactRevision;
    response.cancelReason = cancellation.reason;
    this.#send(response);
  }

  onProgress(header: Uint8Array): void {
    for (const { state } of this.#watchers.values()) {
      if (state !== WATCHER_STATE.ATTACHED) return;
    }
    if (this.#watchers.size > 0) this.#send(RESPONSE.reset(header, NO_WATCHER_FIELD));
  }

  onUpstreamEnd(status: StatusCode, message: string): void {
    this.#close();
    this.#parts.call.end(status, message);
  }

  // --- The stream --------------------------------------------------------------------------------

  #send(response: WatchResponse): void {
    if (this.#ended || this.#parts.call.write(WATCH_RESPONSE_ENCODER, response)) return;
    this.full = true;
    this.#pace();
  }

  /** Reads requests only while there is room for their answers. */
  #pace(): void {
    const mustPause = this.full || this.#creations.length >= CREATIONS_MAX;
    if (mustPause === this.#paused || this.#ended) return;
    this.#paused = mustPause;
    if (mustPause) this.#parts.call.pause();
    else this.#parts.call.resume();
  }

  #close(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const watcher of [...this.#watchers.values()]) {
      watcher.range.remove(watcher);
      this.#forget(watcher);
    }
    this.#creations.length = 0;
    this.#parts.group.leave(this);
    this.#parts.onLeft();
  }
}

/** An empty key means the smallest one. */
function keyOf({ key }: etcdserverpb.WatchCreateRequest): Uint8Array {
  return key.length === 0 ? SMALLEST_KEY : key;
}

function variantOf({ prevKv, filters }: etcdserverpb.WatchCreateRequest): number {
  return (
    (prevKv ? VARIANT.PREV_KV : 0) |
    (filters.includes(FilterType.NOPUT) ? VARIANT.NO_PUT : 0) |
    (filters.includes(FilterType.NODELETE) ? VARIANT.NO_DELETE : 0)
  );
}
