// All watches of a client over one stream, which is reopened when it breaks.
//
// A watch is in one of these places:
//
//   queue      its create request waits to be sent
//   creating   sent; the server answers creates in the order of the requests
//   #byId      created: the server sends its events under this id
//   (none)     suspended: its reader is slow; it comes back through `subscribe`
//
// Ids are assigned by the server for one stream; a new stream begins with every watch in the queue.

import type { Timer } from '../../env/index.ts';
import { type CallStatus, type ClientStream, STATUS, type StatusCode } from '../../grpc/index.ts';
import { EtcdError, etcdErrorOfMessage, etcdserverpb, isEtcdError } from '../../protocol/index.ts';
import { clientClosed, errorOfStatus, statusOf, WatchCompactedError } from '../errors.ts';
import type { Bytes } from '../key-range.ts';
import { REOPEN_WAIT_MS_MAX, REOPEN_WAIT_MS_MIN, TOKEN_RENEWALS_MAX } from '../limits.ts';
import { resultHeader } from '../results.ts';
import { type Calls, REQUIRE_LEADER } from '../transport/calls.ts';
import { backoffMs } from '../transport/wait.ts';
import { Watcher, type WatcherLink, type WatchOptions } from './watcher.ts';

const method = etcdserverpb.WatchService.methods.watch;

/** The id of responses that belong to no watch. */
const NO_WATCH = -1n;

/**
 * Statuses of the stream after which it is reopened: the server is gone or ended it normally. After any
 * other one a retry is useless.
 */
const REOPENED: ReadonlySet<StatusCode> = new Set<StatusCode>([
  STATUS.OK,
  STATUS.CANCELED,
  STATUS.INTERNAL,
  STATUS.UNAVAILABLE,
]);

export class WatchStream implements WatcherLink {
  readonly #calls: Calls;
  /** Watches that are neither closed nor failed. */
  readonly #watchers = new Set<Watcher>();
  #queue: Watcher[] = [];
  #creating: Watcher[] = [];
  readonly #byId = new Map<bigint, Watcher>();
  readonly #ids = new Map<Watcher, bigint>();
  #stream: ClientStream | undefined = undefined;
  /** Number of the current stream: late messages of older ones are ignored. */
  #generation = 0;
  /** The token with which the stream was opened. */
  #token: string | undefined = undefined;
  /** Consecutive refused tokens. */
  #renewals = 0;
  #isFull = false;
  #isOpening = false;
  /** Consecutive streams that ended without a response. */
  #failures = 0;
  #reopenTimer: Timer | undefined = undefined;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  watch(key: Bytes, options: WatchOptions): Watcher {
    if (this.#calls.closed) throw clientClosed();
    const watcher = new Watcher(this, key, options);
    if (watcher.open) {
      this.#watchers.add(watcher);
      this.subscribe(watcher);
    }
    return watcher;
  }

  /** Requests progress notifications for all watches. No effect without a stream. */
  requestProgress(): void {
    if (this.#stream !== undefined) this.#send({ case: 'progressRequest', value: {} });
  }

  close(): void {
    this.#reopenTimer?.cancel();
    for (const watcher of [...this.#watchers]) watcher.close();
    this.#endStream();
  }

  // Requests of watchers

  subscribe(watcher: Watcher): void {
    this.#queue.push(watcher);
    if (this.#stream === undefined) this.#open();
    else this.#sendQueue();
  }

  suspend(watcher: Watcher): void {
    this.#forgetId(watcher);
  }

  remove(watcher: Watcher): void {
    if (!this.#watchers.delete(watcher)) return;
    this.#forgetId(watcher);
    // A queued watch is skipped; one that is being created is cancelled when its id is known.
    if (this.#watchers.size === 0) this.#endStream();
  }

  #forgetId(watcher: Watcher): void {
    const id = this.#ids.get(watcher);
    if (id === undefined) return;
    this.#ids.delete(watcher);
    this.#byId.delete(id);
    this.#cancel(id);
  }

  // The stream

  #open(): void {
    if (this.#isOpening || this.#reopenTimer !== undefined || this.#calls.closed) return;
    this.#isOpening = true;
    if (this.#calls.tokens.ready) this.#opened();
    else
      this.#calls.obtainToken().then(
        () => this.#opened(),
        (error: unknown) => this.#onTokenMissing(error),
      );
  }

  /** The user was refused, or nobody could be asked: then it is tried again, as a stream is. */
  #onTokenMissing(error: unknown): void {
    this.#isOpening = false;
    if (!REOPENED.has(statusOf(error))) this.#failAll(error);
    else if (this.#watchers.size > 0) this.#reopenLater();
  }

  #opened(): void {
    this.#isOpening = false;
    if (this.#watchers.size === 0 || this.#calls.closed) return;
    const generation = ++this.#generation;
    const isCurrent = (): boolean => generation === this.#generation;
    this.#isFull = false;
    this.#token = this.#calls.tokens.current;
    const handler = {
      onMessage: (bytes: Uint8Array): void => {
        if (isCurrent()) this.#onMessage(bytes);
      },
      onStatus: (status: CallStatus): void => {
        if (isCurrent()) this.#onStatus(status);
      },
      onDrain: (): void => {
        if (!isCurrent()) return;
        this.#isFull = false;
        this.#sendQueue();
      },
    };
    // The member must know a leader, and ends the stream when it loses it: a member that is cut off
    // from its cluster would otherwise stay silent.
    const options = { waitForReady: true, metadata: REQUIRE_LEADER };
    this.#stream = this.#calls.stream(method.path, handler, options);
    this.#sendQueue();
  }

  #endStream(): void {
    this.#generation++;
    this.#reopenTimer?.cancel();
    this.#reopenTimer = undefined;
    this.#stream?.cancel();
    this.#stream = undefined;
    this.#queue = [];
    this.#creating = [];
    this.#byId.clear();
    this.#ids.clear();
  }

  #onStatus(status: CallStatus): void {
    this.#generation++;
    this.#stream = undefined;
    const error = errorOfStatus(status);
    if (!this.#isReopenedAfter(status.code, error)) {
      this.#failAll(error);
      return;
    }
    if (isEtcdError(error, 'NO_LEADER')) this.#failThoseWhoRequireLeader(error);
    this.#requeue();
  }

  #isReopenedAfter(code: StatusCode, error: Error): boolean {
    if (REOPENED.has(code) || this.#calls.isRefusalOfLearner(error)) return true;
    return this.#calls.tokens.refresh(error, this.#token, this.#renewals === 0);
  }

  #failThoseWhoRequireLeader(error: Error): void {
    for (const watcher of [...this.#watchers]) {
      if (!watcher.requireLeader) continue;
      this.#watchers.delete(watcher);
      watcher.onFailed(error);
    }
  }

  /** The stream is gone: its watches wait for the next. */
  #requeue(): void {
    // Created watches and those being created; suspended ones are in neither place.
    const subscribed = new Set([...this.#byId.values(), ...this.#creating, ...this.#queue]);
    this.#queue = [...subscribed].filter((watcher) => this.#watchers.has(watcher));
    this.#creating = [];
    this.#byId.clear();
    this.#ids.clear();
    if (this.#queue.length > 0) this.#reopenLater();
  }

  #reopenLater(): void {
    const { timers, entropy } = this.#calls.runtime;
    const bounds = { minMs: REOPEN_WAIT_MS_MIN, maxMs: REOPEN_WAIT_MS_MAX };
    const waitMs = backoffMs(entropy, this.#failures, bounds);
    this.#failures++;
    this.#reopenTimer = timers.after(waitMs, () => {
      this.#reopenTimer = undefined;
      this.#open();
    });
  }

  #failAll(error: unknown): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    this.#endStream();
    for (const watcher of watchers) watcher.onFailed(error);
  }

  // Sending

  #sendQueue(): void {
    if (this.#stream === undefined) return;
    let sent = 0;
    while (sent < this.#queue.length && !this.#isFull) {
      const watcher = this.#queue[sent]!;
      sent++;
      if (!this.#watchers.has(watcher)) continue;
      this.#creating.push(watcher);
      this.#send({ case: 'createRequest', value: watcher.beginRequest() });
    }
    this.#queue.splice(0, sent);
  }

  #cancel(watchId: bigint): void {
    this.#send({ case: 'cancelRequest', value: { watchId } });
  }

  #send(requestUnion: NonNullable<etcdserverpb.WatchRequest['requestUnion']>): void {
    const hasRoom = this.#stream?.write(method.request, { requestUnion });
    if (hasRoom === false) this.#isFull = true;
  }

  // Receiving

  #onMessage(bytes: Uint8Array): void {
    let response: etcdserverpb.WatchResponse;
    try {
      // The transport's bytes are valid during this call only; events keep views of them.
      response = method.response.decode(Uint8Array.from(bytes));
    } catch (error) {
      this.#failAll(error);
      return;
    }
    this.#failures = 0;
    if (response.created) this.#onCreated(response);
    else if (response.canceled) this.#onCanceled(response);
    else if (response.watchId === NO_WATCH) {
      const header = resultHeader(response.header);
      for (const watcher of [...this.#byId.values()]) watcher.onRequestedProgress(header);
    } else {
      // An unknown id: the watch was cancelled here while the response was in flight.
      this.#byId.get(response.watchId)?.onResponse(response, bytes.length);
    }
  }

  #onCreated(response: etcdserverpb.WatchResponse): void {
    const watcher = this.#creating.shift();
    if (watcher === undefined || !this.#watchers.has(watcher)) {
      if (!response.canceled) this.#cancel(response.watchId);
    } else if (response.canceled) {
      if (!this.#hasRefreshed(watcher, response)) this.#fail(watcher, response);
    } else {
      this.#renewals = 0;
      this.#byId.set(response.watchId, watcher);
      this.#ids.set(watcher, response.watchId);
      watcher.onCreated(resultHeader(response.header).revision);
    }
  }

  /**
   * If a create is refused because the stream's token has expired, all watches move to a stream with
   * another token, TOKEN_RENEWALS_MAX times at most; then the refusal counts.
   */
  #hasRefreshed(watcher: Watcher, response: etcdserverpb.WatchResponse): boolean {
    const error = errorOfCancellation(response);
    if (this.#renewals >= TOKEN_RENEWALS_MAX) return false;
    if (!this.#calls.tokens.refresh(error, this.#token, this.#renewals === 0)) return false;
    this.#renewals++;
    this.#generation++;
    this.#stream?.cancel();
    this.#stream = undefined;
    this.#creating.unshift(watcher);
    this.#requeue();
    return true;
  }

  #onCanceled(response: etcdserverpb.WatchResponse): void {
    const watcher = this.#byId.get(response.watchId);
    if (watcher === undefined) return;
    this.#byId.delete(response.watchId);
    this.#ids.delete(watcher);
    this.#fail(watcher, response);
  }

  #fail(watcher: Watcher, response: etcdserverpb.WatchResponse): void {
    this.#watchers.delete(watcher);
    watcher.cancellation = response;
    watcher.onFailed(errorOfCancellation(response));
    if (this.#watchers.size === 0) this.#endStream();
  }
}

function errorOfCancellation(response: etcdserverpb.WatchResponse): Error {
  if (response.compactRevision !== 0) return new WatchCompactedError(response.compactRevision);
  const { cancelReason } = response;
  if (cancelReason === '') return new EtcdError('WATCH_CANCELED');
  // The server may send a whole status as text.
  const status = /^rpc error: code = \w+ desc = (.*)$/s.exec(cancelReason);
  const name = etcdErrorOfMessage(status?.[1] ?? cancelReason);
  if (name !== undefined) return new EtcdError(name);
  return errorOfStatus({ code: STATUS.FAILED_PRECONDITION, message: cancelReason });
}
