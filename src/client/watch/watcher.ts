// A watch: an async iterable of events that continues across reconnects.

import { etcdserverpb, mvccpb } from '../../protocol/index.ts';
import { checkCallOptions, checkFlags, checkInteger, checkName } from '../arguments.ts';
import { clientClosed, invalidArgument } from '../errors.ts';
import { type Bytes, type RangeOptions, rangeOf } from '../key-range.ts';
import { KeyValue, keyValueOf } from '../key-value.ts';
import { WATCH_BUFFER_BYTES_MAX, WATCH_EVENT_OVERHEAD_BYTES } from '../limits.ts';
import { printed } from '../printed.ts';
import { type ResponseHeader, resultHeader } from '../results.ts';
import { DONE, PullQueue } from './pull-queue.ts';
import { WatchCursor } from './watch-cursor.ts';

/** Options of a watch. */
export interface WatchOptions extends RangeOptions {
  /** First revision whose events are delivered; 0 is "from now on". */
  readonly startRevision?: number | undefined;
  /** Include the previous key-value in each event. */
  readonly prevKv?: boolean | undefined;
  /** Excludes one kind of event. */
  readonly filters?: readonly ('noPut' | 'noDelete')[] | undefined;
  /** Progress notifications: the server reports its revision periodically while there are no events. */
  readonly progressNotify?: boolean | undefined;
  /** Lets the server split large sets of events into several messages. */
  readonly fragment?: boolean | undefined;
  /**
   * The watch fails with NO_LEADER when the member that serves it loses its leader. Without it, the watch
   * continues at another member, or when there is a leader again.
   */
  readonly requireLeader?: boolean | undefined;
  /** Ends the watch; the loop over it throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** One change of a key. */
export interface WatchEvent {
  readonly type: 'put' | 'delete';
  /** The key-value that was put; of a DELETE event, only the key and `modRevision`. */
  readonly kv: KeyValue;
  /** The previous key-value, if `prevKv` was set and it is not compacted. */
  readonly prevKv: KeyValue | undefined;
}

/** One message of the server: events of one or more revisions, or a progress notification. */
export interface WatchResponse {
  readonly header: ResponseHeader;
  /** In revision order. Empty for a progress notification. */
  readonly events: readonly WatchEvent[];
  /** Whether all events up to the header's revision have been delivered. */
  readonly isProgress: boolean;
  /** More events of the last event's revision follow in the next response. */
  readonly fragment: boolean;
}

/** The stream that a watcher shares with others, as far as it uses it. */
export interface WatcherLink {
  /** Cancels the watch at the server. */
  remove(watcher: Watcher): void;
  /** The buffer is full: cancels the watch at the server, until `subscribe`. */
  suspend(watcher: Watcher): void;
  /** Creates the watch, at the position of its cursor. */
  subscribe(watcher: Watcher): void;
}

/**
 * A watch. Iterate over it for events, or over `responses()` for whole responses; not over both. The loop
 * ends when the watch is closed and throws when it fails: COMPACTED (a `WatchCompactedError`) if the
 * start revision, or the one to continue at after a break, is compacted.
 */
export class Watcher implements AsyncIterable<WatchEvent> {
  /** Resolves when the server has created the watch for the first time; rejects if it refuses. */
  readonly created: Promise<void>;
  /** The server's response that cancelled the watch, if it did. */
  cancellation: etcdserverpb.WatchResponse | undefined = undefined;
  readonly requireLeader: boolean;
  readonly #link: WatcherLink;
  readonly #request: etcdserverpb.WatchCreateRequest;
  readonly #cursor: WatchCursor;
  readonly #signal: AbortSignal | undefined;
  readonly #responses = new PullQueue<WatchResponse>();
  #suspended = false;
  #isRead = false;
  #settleCreated!: { readonly resolve: () => void; readonly reject: (error: unknown) => void };

  constructor(link: WatcherLink, key: Bytes, options: WatchOptions) {
    checkCallOptions(options);
    checkFlags(options, ['prevKv', 'progressNotify', 'fragment']);
    const { startRevision = 0, filters = [] } = options;
    checkInteger(startRevision, 'startRevision');
    if (!Array.isArray(filters)) throw invalidArgument('filters must be an array');
    for (const filter of filters) checkName(filter, ['noPut', 'noDelete'], 'each of filters');
    this.#link = link;
    this.requireLeader = options.requireLeader ?? false;
    this.#cursor = new WatchCursor(startRevision);
    this.#request = etcdserverpb.WatchCreateRequestCodec.create({
      ...rangeOf(key, options),
      prevKv: options.prevKv ?? false,
      progressNotify: options.progressNotify ?? false,
      fragment: options.fragment ?? false,
      filters: filters.map((filter) =>
        filter === 'noPut' ? etcdserverpb.FilterType.NOPUT : etcdserverpb.FilterType.NODELETE,
      ),
    });
    this.created = new Promise((resolve, reject) => {
      this.#settleCreated = { resolve, reject };
    });
    // Awaiting it is optional.
    this.created.catch(() => {});
    this.#signal = options.signal;
    if (this.#signal?.aborted === true) this.onFailed(this.#signal.reason);
    else this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  readonly #onAbort = (): void => {
    this.#link.remove(this);
    this.onFailed(this.#signal?.reason);
  };

  /** False once closed or failed. */
  get open(): boolean {
    return this.#responses.open;
  }

  // The user's side

  /** Ends the watch: a loop over it ends after the events that have arrived. */
  close(): void {
    if (!this.open) return;
    this.#link.remove(this);
    this.#stopListening();
    this.#settleCreated.reject(clientClosed());
    this.#responses.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchEvent, void, undefined> {
    for await (const response of this.responses()) yield* response.events;
  }

  /** Responses with events, and progress notifications. Leaving the loop closes the watch. */
  responses(): AsyncIterableIterator<WatchResponse, undefined> {
    if (this.#isRead) throw invalidArgument('a watch is read by one loop');
    this.#isRead = true;
    return {
      next: () => this.#next(),
      return: async () => {
        this.close();
        return DONE;
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  #next(): Promise<IteratorResult<WatchResponse, undefined>> {
    const response = this.#responses.next();
    if (this.#responses.size === 0) this.#takeUpAgain();
    return response;
  }

  #takeUpAgain(): void {
    if (!this.#suspended || !this.open) return;
    this.#suspended = false;
    this.#link.subscribe(this);
  }

  // The stream's side

  /** The request for a subscription that begins now. */
  beginRequest(): etcdserverpb.WatchCreateRequest {
    return { ...this.#request, startRevision: this.#cursor.begin() };
  }

  onCreated(revision: number): void {
    this.#cursor.onCreated(revision);
    this.#settleCreated.resolve();
  }

  /** `bytes`: size of the message. */
  onResponse(response: etcdserverpb.WatchResponse, bytes: number): void {
    if (!this.open) return;
    const header = resultHeader(response.header);
    const isProgress = response.events.length === 0 && !response.fragment;
    if (isProgress) this.#cursor.onProgress(header.revision);
    const fresh = this.#cursor.accept(response.events, response.fragment);
    if (!isProgress && fresh.length === 0) return;
    this.#deliver(
      printed({ header, events: fresh.map(eventOf), isProgress, fragment: response.fragment }),
      bytes + fresh.length * WATCH_EVENT_OVERHEAD_BYTES,
    );
  }

  /** A requested progress notification, for all watchers of the stream. */
  onRequestedProgress(header: ResponseHeader): void {
    // The cursor ignores it: releases before 3.4.25 and 3.5.8 send it though events are outstanding.
    if (!this.open) return;
    this.#deliver(
      printed({ header, events: [], isProgress: true, fragment: false }),
      WATCH_EVENT_OVERHEAD_BYTES,
    );
  }

  /** The watch has failed, at the server or in the client. */
  onFailed(error: unknown): void {
    if (!this.open) return;
    this.#stopListening();
    this.#settleCreated.reject(error);
    this.#responses.fail(error);
  }

  #stopListening(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  #deliver(response: WatchResponse, bytes: number): void {
    this.#responses.push(response, bytes);
    if (this.#responses.bytes > WATCH_BUFFER_BYTES_MAX && !this.#suspended) {
      this.#suspended = true;
      this.#link.suspend(this);
    }
  }
}

function eventOf(event: mvccpb.Event): WatchEvent {
  const kv = keyValueOf(event.kv) ?? new KeyValue(mvccpb.KeyValueCodec.create());
  return printed({
    type: event.type === mvccpb.EventType.DELETE ? 'delete' : 'put',
    kv,
    prevKv: keyValueOf(event.prevKv),
  });
}
