// A watch as its user sees it: an async iterable that continues across reconnects.

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

/** What is watched, from when, and what is left out. */
export interface WatchOptions extends RangeOptions {
  /** First revision whose events are delivered; 0 is "from now on". */
  readonly startRevision?: number | undefined;
  /** Bring with each event what was there before. */
  readonly prevKv?: boolean | undefined;
  /** Leaves out one kind of event. */
  readonly filters?: readonly ('noPut' | 'noDelete')[] | undefined;
  /** Have the server say now and then, when nothing happens, up to where nothing happened. */
  readonly progressNotify?: boolean | undefined;
  /** Let the server cut large sets of events into several messages. */
  readonly fragment?: boolean | undefined;
  /**
   * The watch fails with NO_LEADER when the member that serves it loses its leader. Without it, it goes
   * on at another member, or when there is a leader again.
   */
  readonly requireLeader?: boolean | undefined;
  /** Ends the watch; the loop over it throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** One change of a key. */
export interface WatchEvent {
  readonly type: 'put' | 'delete';
  /** What was put; of a deletion, the key and its revision. */
  readonly kv: KeyValue;
  /** What was there before, if asked for and not compacted. */
  readonly prevKv: KeyValue | undefined;
}

/** What the server has sent at once: events of one or more revisions, or a sign of progress. */
export interface WatchResponse {
  readonly header: ResponseHeader;
  /** In revision order. Empty for a progress notification. */
  readonly events: readonly WatchEvent[];
  /** Up to the header's revision there is no event that was not delivered. */
  readonly isProgress: boolean;
  /** More events of the last event's revision follow in the next response. */
  readonly fragment: boolean;
}

/** How the watcher speaks to the stream that it shares with others. */
export interface WatcherLink {
  /** The server need not send to this watcher any more. */
  remove(watcher: Watcher): void;
  /** The buffer was full: stop sending, until `subscribe`. */
  suspend(watcher: Watcher): void;
  /** Begin or begin again, from where the cursor is. */
  subscribe(watcher: Watcher): void;
}

/**
 * Iterate over it for events, or over `responses()` for what the server sent with them; not over both.
 * The loop ends when the watch is closed and throws when it fails: COMPACTED (a
 * `WatchCompactedError`) if the start, or the place where a break left off, was compacted.
 */
export class Watcher implements AsyncIterable<WatchEvent> {
  /** Resolves when the server has taken the watch for the first time; rejects if it does not. */
  readonly created: Promise<void>;
  /** What the server sent when it cancelled the watch, if it did. */
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
    // Waiting for it is optional.
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

  /** Ends the watch: a loop over it ends after what has already arrived. */
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

  /** An answer to a request for progress that goes to all watchers of the stream. */
  onRequestedProgress(header: ResponseHeader): void {
    // Not for the cursor: releases before 3.4.25 and 3.5.8 answer though events are outstanding.
    if (!this.open) return;
    this.#deliver(
      printed({ header, events: [], isProgress: true, fragment: false }),
      WATCH_EVENT_OVERHEAD_BYTES,
    );
  }

  /** It is over, by the server's or the client's doing. */
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
