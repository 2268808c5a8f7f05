// The watches of all clients that look alike to the cluster (same token, same demand for a leader), over
// one stream. When the stream is lost, it is opened again, and each watch continues where it was.

import { latin1FromBytes } from '../../base/index.ts';
import type { Timer } from '../../env/index.ts';
import type { CallStatus, ClientStream, MetadataInit } from '../../grpc/index.ts';
import { STATUS, type StatusCode } from '../../grpc/index.ts';
import { ETCD_ERRORS, etcdserverpb } from '../../protocol/index.ts';
import type { Upstream } from '../calls/upstream.ts';
import { STREAM_RETRY_MS_MAX, STREAM_RETRY_MS_MIN } from '../limits.ts';
import type { ProxyLog } from '../log.ts';
import type { ProxyMetrics } from '../metrics.ts';
import { EMPTY_HEADER } from './response-encoder.ts';
import { UpstreamWatch } from './upstream-watch.ts';
import { WatchFrame } from './watch-frame.ts';
import { type WatchOpener, WatchRange } from './watch-range.ts';

const { WatchRequestCodec, WatchCreateRequestCodec, WatchCancelRequestCodec } = etcdserverpb;
const { path } = etcdserverpb.WatchService.methods.watch;

/** A client's stream, as the group needs it. */
export interface GroupClient {
  /** All watches of the stream have had what there was up to the revision of the header. */
  onProgress(header: Uint8Array): void;
  /** The cluster does not serve watches to this client. */
  onUpstreamEnd(status: StatusCode, message: string): void;
}

interface GroupParts {
  readonly upstream: Upstream;
  readonly metrics: ProxyMetrics;
  readonly log: ProxyLog;
  readonly metadata: MetadataInit;
  readonly requiresLeader: boolean;
  /** Changes a response before it is read. */
  readonly change: ((message: Uint8Array) => Uint8Array) | undefined;
}

/** Of a stream that is lost: its connection, its member, or our own patience with it. */
const PASSING: ReadonlySet<StatusCode> = new Set([
  STATUS.UNAVAILABLE,
  STATUS.INTERNAL,
  STATUS.CANCELED,
  STATUS.OK,
]);

export class WatchGroup implements WatchOpener {
  readonly #parts: GroupParts;
  readonly #ranges = new Map<string, WatchRange>();
  readonly #clients = new Set<GroupClient>();
  /** Undefined until the first watch, and while it waits to be opened again. */
  #stream: ClientStream | undefined;
  /** Watches by their id on the stream. */
  readonly #byId = new Map<number, UpstreamWatch>();
  /** Those whose creation the cluster has not answered, in the order of the requests. */
  readonly #asked = new Map<number, UpstreamWatch | undefined>();
  /** Clients that have asked for progress. */
  readonly #waiting = new Set<GroupClient>();
  #lastId = 0;
  #newest = { revision: 0, header: EMPTY_HEADER };
  #retryMs = 0;
  #retry: Timer | undefined;

  constructor(parts: GroupParts) {
    this.#parts = parts;
  }

  get isEmpty(): boolean {
    return this.#clients.size === 0;
  }

  get newestHeader(): Uint8Array {
    return this.#newest.header;
  }

  ranges(): IterableIterator<WatchRange> {
    return this.#ranges.values();
  }

  join(client: GroupClient): void {
    this.#clients.add(client);
  }

  /** The client has taken all its watchers out before. */
  leave(client: GroupClient): void {
    this.#clients.delete(client);
    this.#waiting.delete(client);
    if (this.#clients.size === 0) this.#stop();
  }

  /** As in a request: empty range end for one key, `\0` for all keys from `key` on. Owned by the range. */
  rangeOf(key: Uint8Array, rangeEnd: Uint8Array): WatchRange {
    const name = `${key.length} ${latin1FromBytes(key)}${latin1FromBytes(rangeEnd)}`;
    return this.#ranges.get(name) ?? new WatchRange(name, key, rangeEnd, this);
  }

  /** Answered by `onProgress`, or not at all if the cluster does not answer. */
  askProgress(client: GroupClient): void {
    this.#waiting.add(client);
    this.#write(
      WatchRequestCodec.create({
        requestUnion: { case: 'progressRequest', value: {} },
      }),
    );
  }

  // --- Watches -----------------------------------------------------------------------------------

  open(range: WatchRange, startRevision: number): UpstreamWatch {
    this.#ranges.set(range.name, range);
    return new UpstreamWatch(range, startRevision, this.#parts.metrics);
  }

  send(watch: UpstreamWatch): void {
    if (this.#stream === undefined && this.#retry === undefined) this.#openStream();
    if (this.#stream !== undefined && watch.id === 0) this.#create(watch);
  }

  close(watch: UpstreamWatch): void {
    this.#forgetRange(watch.range);
    const { id } = watch;
    if (id === 0) return;
    watch.id = 0;
    if (this.#asked.has(id)) {
      // Its answer is still to come.
      this.#asked.set(id, undefined);
    } else {
      this.#byId.delete(id);
      this.#parts.metrics.upstreamWatches.value--;
      this.#cancel(id);
    }
  }

  #forgetRange(range: WatchRange): void {
    if (range.isEmpty) this.#ranges.delete(range.name);
  }

  #create(watch: UpstreamWatch): void {
    const id = ++this.#lastId;
    watch.id = id;
    this.#asked.set(id, watch);
    const { key, rangeEnd } = watch.range;
    this.#write(
      WatchRequestCodec.create({
        requestUnion: {
          case: 'createRequest',
          value: WatchCreateRequestCodec.create({
            key,
            rangeEnd,
            startRevision: watch.nextRevision,
            // What some watcher may want; the others' responses are made without it.
            prevKv: true,
            progressNotify: true,
            fragment: true,
            watchId: BigInt(id),
          }),
        },
      }),
    );
  }

  #cancel(id: number): void {
    this.#write(
      WatchRequestCodec.create({
        requestUnion: {
          case: 'cancelRequest',
          value: WatchCancelRequestCodec.create({ watchId: BigInt(id) }),
        },
      }),
    );
  }

  #write(request: etcdserverpb.WatchRequest): void {
    // Small, and bounded in number by the watches of clients.
    this.#stream?.write(WatchRequestCodec, request);
  }

  // --- The stream --------------------------------------------------------------------------------

  #openStream(): void {
    const { upstream, metadata } = this.#parts;
    const stream: ClientStream = upstream.channel.stream(
      path,
      {
        onMessage: (message) => this.#onMessage(message),
        onStatus: (status) => {
          if (this.#stream === stream) this.#onStatus(status);
        },
        onDrain: () => {},
      },
      { metadata, waitForReady: true },
    );
    this.#stream = stream;
  }

  #onMessage(message: Uint8Array): void {
    let frame: WatchFrame;
    try {
      frame = new WatchFrame(this.#parts.change?.(message) ?? message);
    } catch (error) {
      this.#parts.log.error('a watch response cannot be read', { error: error as Error });
      // Opened again, after a wait.
      this.#retryMs = STREAM_RETRY_MS_MAX;
      this.#stream?.cancel();
      return;
    }
    this.#retryMs = 0;
    if (frame.revision >= this.#newest.revision && frame.header.length > 0) {
      this.#newest = { revision: frame.revision, header: frame.header };
    }
    if (frame.created) this.#onCreated(frame);
    else if (frame.watchId === -1 && !frame.canceled) this.#onProgress(frame);
    else {
      const watch = this.#byId.get(frame.watchId);
      // Of one that is closed, something may still come.
      if (watch !== undefined) this.#onFrame(watch, frame);
    }
  }

  #onFrame(watch: UpstreamWatch, frame: WatchFrame): void {
    if (frame.canceled) this.#end(watch, frame);
    else if (frame.events.length === 0) watch.onProgress(frame);
    else watch.onEvents(frame);
    if (!frame.canceled) watch.range.moved(watch);
  }

  #onCreated(frame: WatchFrame): void {
    const [oldest] = this.#asked.keys();
    // Who ignores the ids of clients answers in the order of the requests.
    const asked = this.#asked.has(frame.watchId) ? frame.watchId : oldest;
    if (asked === undefined) return;
    const watch = this.#asked.get(asked);
    this.#asked.delete(asked);
    if (watch === undefined) {
      if (!frame.canceled) this.#cancel(frame.watchId);
      return;
    }
    watch.range.answered(watch);
    if (frame.canceled) {
      this.#end(watch, frame);
      return;
    }
    watch.id = frame.watchId;
    this.#byId.set(watch.id, watch);
    this.#parts.metrics.upstreamWatches.value++;
    watch.onOpen(frame);
    if (watch.isEmpty) return;
    watch.range.moved(watch);
  }

  #end(watch: UpstreamWatch, frame: WatchFrame): void {
    if (this.#byId.delete(watch.id)) this.#parts.metrics.upstreamWatches.value--;
    // A member would count it among the unsynced ones, and tell nobody of progress.
    if (frame.compactRevision > 0) this.#cancel(watch.id);
    watch.id = 0;
    watch.range.forget(watch);
    this.#forgetRange(watch.range);
    watch.onCanceled({
      header: frame.header,
      compactRevision: frame.compactRevision,
      reason: frame.cancelReason,
    });
  }

  /** Of all watches of the stream: also those of other clients have had what there was. */
  #onProgress(frame: WatchFrame): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const client of waiting) client.onProgress(frame.header);
  }

  #onStatus(status: CallStatus): void {
    this.#stream = undefined;
    this.#forgetIds();
    if (this.#clients.size === 0) return;
    if (!this.#isPassing(status)) {
      for (const client of [...this.#clients]) client.onUpstreamEnd(status.code, status.message);
      return;
    }
    this.#parts.log.debug('the stream of watches is opened again', { reason: status.message });
    const delayMs = this.#retryMs;
    this.#retryMs = Math.min(Math.max(delayMs * 2, STREAM_RETRY_MS_MIN), STREAM_RETRY_MS_MAX);
    this.#retry = this.#parts.upstream.timers.after(delayMs, () => {
      this.#retry = undefined;
      this.#reopen();
    });
  }

  #isPassing({ code, message }: CallStatus): boolean {
    if (this.#parts.requiresLeader && message === ETCD_ERRORS.NO_LEADER.message) return false;
    return PASSING.has(code);
  }

  #reopen(): void {
    for (const range of [...this.#ranges.values()]) range.sendAgain();
  }

  #forgetIds(): void {
    this.#parts.metrics.upstreamWatches.value -= this.#byId.size;
    for (const watch of [...this.#byId.values(), ...this.#asked.values()]) {
      if (watch !== undefined) watch.id = 0;
    }
    this.#byId.clear();
    this.#asked.clear();
    this.#waiting.clear();
  }

  #stop(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#forgetIds();
    stream?.cancel();
  }
}
