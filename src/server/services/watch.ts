// etcdserverpb.Watch: one stream, many watchers.
//
// The hub decides which events a watcher gets and when; this file turns requests into watchers and batches
// into responses. Back-pressure of a client that does not read: once the connection's buffer is full,
// batches are refused (the watchers become victims), and the watchers continue from the store when there
// is room again. Requests are not read until then either, so that responses are not queued without bound.

import { rangeRefusal } from '../../auth/index.ts';
import { failpoints, invariant, latin1FromBytes, type Revision } from '../../base/index.ts';
import type { Env, Timer } from '../../env/index.ts';
import { type Encoder, STATUS, type StreamHandler } from '../../grpc/index.ts';
import {
  type EventBatch,
  FROM_KEY,
  SINGLE_KEY,
  type Watcher,
  type WatchSink,
  WatchStream,
} from '../../mvcc/index.ts';
import {
  ETCD_ERRORS,
  type EtcdErrorName,
  etcdserverpb,
  watchIdField,
} from '../../protocol/index.ts';
import {
  endMalformed,
  endWith,
  type ServiceTable,
  type StreamCall,
  statusOfError,
  textOfStatus,
} from '../../rpc/index.ts';
import type { Callers } from '../auth/callers.ts';
import type { ServerConfig } from '../config/index.ts';
import type { RaftState } from '../consensus/raft-state.ts';
import type { StoreView } from '../consensus/store-view.ts';
import type { Quota } from '../duties/quota.ts';
import { REQUEST_OVERHEAD_BYTES, WATCH_PROGRESS_INTERVAL_MS_MIN } from '../limits.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ServerMetrics } from '../telemetry/metrics-table.ts';
import { requiresLeader, TOO_MUCH_OPEN } from './guards.ts';
import type { RequestSpan, RequestSpans } from './request-spans.ts';
import type { ResponseHeaders } from './response-header.ts';
import { WatchResponse, watchEncoder } from './watch-response.ts';

const { WatchRequestCodec, FilterType } = etcdserverpb;
const method = etcdserverpb.WatchService.methods.watch;

/** The id of a response for no particular watcher. */
const NO_WATCHER_FIELD = watchIdField(-1n);

const REASON_EMPTY_RANGE = 'mvcc: watcher range is empty';
const REASON_DUPLICATE_ID = 'mvcc: duplicate watch ID provided on the WatchStream';

/** Events of fewer bytes are copied into each response. */
const SHARED_BYTES_MIN = 4096;

const SMALLEST_KEY = new Uint8Array(1);
/** Refusals of which etcd says what they are; any other one is "permission denied" to it. */
const TOLD_REFUSALS: ReadonlySet<EtcdErrorName> = new Set([
  'INVALID_AUTH_TOKEN',
  'AUTH_OLD_REVISION',
  'USER_EMPTY',
]);

/** Why there is no watch, as Go prints the status of an error. */
function reasonOf(refusal: EtcdErrorName): string {
  return textOfStatus(statusOfError(toldFor(refusal)));
}

function toldFor(refusal: EtcdErrorName): EtcdErrorName {
  if (TOLD_REFUSALS.has(refusal)) return refusal;
  const { status } = statusOfError(refusal);
  const isForNow = status === STATUS.UNAVAILABLE || status === STATUS.RESOURCE_EXHAUSTED;
  // It is not known yet whose the token is: at these words clients of etcd open another stream.
  return isForNow ? 'INVALID_AUTH_TOKEN' : 'PERMISSION_DENIED';
}

export interface WatchParts {
  readonly config: Pick<ServerConfig, 'electionMs' | 'watchProgressNotifyIntervalMs'> & {
    readonly grpc: Pick<ServerConfig['grpc'], 'maxRequestBytes'>;
  };
  readonly env: Pick<Env, 'clock' | 'entropy' | 'timers'>;
  readonly log: Logger;
  readonly metrics: Pick<ServerMetrics, 'mvcc' | 'watch'>;
  readonly header: ResponseHeaders;
  readonly raft: Pick<RaftState, 'leader'>;
  readonly quota: Pick<Quota, 'mayGrow'>;
  readonly callers: Pick<Callers, 'areAsked' | 'check'>;
  readonly tracing?: RequestSpans | undefined;
  readonly store: StoreView<'kv' | 'watch'>;
}

export function registerWatchService(table: ServiceTable, parts: WatchParts): void {
  const encoder = watchEncoder(parts.header);
  table.stream(method, (call) => new WatchCall(parts, call, encoder), {
    access: 'handler',
    holdsMemory: true,
  });
}

/** State of one watcher of a stream. */
class Watch {
  readonly idField: Uint8Array;
  /** Whether large responses may be fragmented. */
  readonly fragment: boolean;
  /** Whether the client requested progress notifications. */
  readonly progressNotify: boolean;
  /** Whether there were no events since the last notification, so that one is due. */
  quiet = true;
  span: RequestSpan | undefined = undefined;

  constructor(id: bigint, request: etcdserverpb.WatchCreateRequest) {
    this.idField = watchIdField(id);
    this.fragment = request.fragment;
    this.progressNotify = request.progressNotify;
  }
}

class WatchCall implements StreamHandler, WatchSink {
  readonly #parts: WatchParts;
  readonly #call: StreamCall;
  readonly #encoder: Encoder<WatchResponse>;
  readonly #stream: WatchStream;
  /** The same for all state machines of the member, as the watchers are. */
  readonly #sends: { responses: number; events: number };
  readonly #response = new WatchResponse();
  /** Of the watchers of a run; used during it only. */
  readonly #fields: Uint8Array[] = [];
  readonly #fragmentBytesMax: number;
  /** Whether the connection is full: batches are refused, requests are not read. */
  #full = false;
  /** Events in the responses with which it became full. */
  #pendingEvents = 0;
  #ended = false;
  #progressTimer: Timer | undefined;
  #leaderTimer: Timer | undefined;

  constructor(parts: WatchParts, call: StreamCall, encoder: Encoder<WatchResponse>) {
    this.#parts = parts;
    this.#call = call;
    call.sendsNews = true;
    this.#encoder = encoder;
    this.#stream = new WatchStream(this);
    this.#sends = parts.store.machine.watch.sends;
    this.#fragmentBytesMax = parts.config.grpc.maxRequestBytes + REQUEST_OVERHEAD_BYTES;
    parts.metrics.mvcc.watchStreams.value++;
    this.#scheduleProgress();
    if (requiresLeader(call)) this.#watchLeader(0);
  }

  // --- From the client ---------------------------------------------------------------------------

  onMessage(message: Uint8Array): void {
    if (this.#ended) return;
    let requestUnion: etcdserverpb.WatchRequest['requestUnion'];
    try {
      ({ requestUnion } = WatchRequestCodec.decodeRequest(message));
    } catch (error) {
      this.#close();
      endMalformed(this.#call, error);
      return;
    }
    switch (requestUnion?.case) {
      case 'createRequest':
        this.#accept(requestUnion.value, message);
        break;
      case 'cancelRequest':
        this.#cancel(requestUnion.value.watchId);
        break;
      case 'progressRequest':
        this.#answerProgressRequest();
        break;
      case undefined:
        this.#parts.log.info('a watch request without content was passed over');
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
    if (this.#ended || !this.#full) return;
    this.#full = false;
    this.#notePending(0);
    this.#call.resume();
    this.#parts.store.machine.watch.resume(this.#stream);
  }

  #accept(request: etcdserverpb.WatchCreateRequest, message: Uint8Array): void {
    if (!this.#parts.quota.mayGrow()) {
      this.#refuse(TOO_MUCH_OPEN);
      return;
    }
    if (request.startRevision < 0) {
      this.#refuse(ETCD_ERRORS.COMPACTED.message);
      return;
    }
    if (this.#parts.callers.areAsked) this.#ask(message);
    else this.#create(request);
  }

  /** Asks for the range exactly as it was sent. Requests that follow wait for the answer. */
  #ask(message: Uint8Array): void {
    const { requestUnion } = WatchRequestCodec.decodeRequest(Uint8Array.from(message));
    invariant(requestUnion?.case === 'createRequest', 'the same bytes are the same request');
    const request = requestUnion.value;
    const { rangeEnd } = request;
    const key = request.key.length === 0 ? SMALLEST_KEY : request.key;
    let isLate = false;
    let isDone = false;
    this.#parts.callers.check(
      this.#call,
      (access) => rangeRefusal(access, { key, rangeEnd }),
      (refusal) => {
        isDone = true;
        if (this.#ended) return;
        if (refusal === undefined) this.#create(request);
        else this.#refuse(reasonOf(refusal));
        if (isLate && !this.#full) this.#call.resume();
      },
    );
    isLate = !isDone;
    if (isLate) this.#call.pause();
  }

  #create(request: etcdserverpb.WatchCreateRequest): void {
    const { watch, kv } = this.#parts.store.machine;
    // An empty key means the smallest one.
    const key = request.key.length === 0 ? '\0' : latin1FromBytes(request.key);
    const answer = watch.hub.watch(this.#stream, request.watchId, {
      key,
      rangeEnd: rangeEndOf(request.rangeEnd),
      startRev: request.startRevision,
      noPut: request.filters.includes(FilterType.NOPUT),
      noDelete: request.filters.includes(FilterType.NODELETE),
      withPrevious: request.prevKv,
    });
    if (!answer.ok) {
      this.#refuse(answer.reason === 'empty range' ? REASON_EMPTY_RANGE : REASON_DUPLICATE_ID);
      return;
    }
    const made = new Watch(answer.watcher.id, request);
    answer.watcher.ofSink = made;
    made.span = this.#parts.tracing?.begin(this.#call, 'watch', attributesOf(request));
    const response = this.#response.reset(kv.currentRev, made.idField);
    response.created = true;
    this.#sendControl(response);
    watch.schedule();
  }

  /** Refuses a create request. */
  #refuse(reason: string): void {
    const response = this.#response.reset(
      this.#parts.store.machine.kv.currentRev,
      NO_WATCHER_FIELD,
    );
    response.created = true;
    response.canceled = true;
    response.cancelReason = reason;
    this.#sendControl(response);
  }

  /** A watcher that the stream does not have is not answered, as in etcd. */
  #cancel(id: bigint): void {
    const { watch, kv } = this.#parts.store.machine;
    const watcher = this.#stream.watchers.get(id);
    if (watcher === undefined || !watch.hub.cancel(this.#stream, id)) return;
    watchOf(watcher).span?.end();
    const response = this.#response.reset(kv.currentRev, watchIdField(id));
    response.canceled = true;
    this.#sendControl(response);
  }

  // --- From the hub ------------------------------------------------------------------------------

  offer(watchers: readonly Watcher[], from: number, to: number, batch: EventBatch): number {
    let at = from;
    while (at < to && this.#mayTake()) {
      const end = endOfRun(watchers, at, to);
      at += this.#sendRun(watchers, at, end, batch);
      // Beyond windows and socket, the stream's queue takes more until it is full.
      while (at < end && this.#mayTake()) this.#sendBatch(watchers[at++]!, batch);
    }
    return (this.#ended ? to : at) - from;
  }

  #mayTake(): boolean {
    if (this.#ended || this.#full) return false;
    if (this.#call.hasRoom) return true;
    this.#fill();
    return false;
  }

  /**
   * Sends the batch to watchers whose id fields have one length, as far as there is room at once: the
   * responses are copies of one but for that field. Returns to how many.
   */
  #sendRun(watchers: readonly Watcher[], from: number, to: number, batch: EventBatch): number {
    if (to - from === 1 || failpoints.active !== undefined) return 0;
    if (batch.byteCount() >= this.#fragmentBytesMax) return 0;
    const fields = this.#fields;
    fields.length = 0;
    for (let i = from; i < to; i++) fields.push(watchOf(watchers[i]!).idField);
    const response = this.#response.resetBatch(fields[0]!, batch);
    const fieldAt = this.#parts.header.size(batch.revision);
    const sent = this.#call.writeRun(this.#encoder, response, fieldAt, fields);
    for (let i = from; i < from + sent; i++) watchOf(watchers[i]!).quiet = false;
    this.#count(sent, batch.size);
    return sent;
  }

  /** Sends the batch to one watcher, whatever room there is. */
  #sendBatch(watcher: Watcher, batch: EventBatch): void {
    const made = watchOf(watcher);
    made.quiet = false;
    this.#count(1, batch.size);
    if (made.fragment && batch.byteCount() >= this.#fragmentBytesMax && batch.size > 1) {
      this.#sendFragments(made, batch);
    } else if (batch.byteCount() >= SHARED_BYTES_MIN) this.#sendShared(made, batch);
    else this.#send(this.#response.resetBatch(made.idField, batch));
    if (this.#full) this.#notePending(batch.size);
  }

  /** Large events are not copied into the queue of each stream. */
  #sendShared(made: Watch, batch: EventBatch): void {
    failpoints.active?.hit('beforeSendWatchResponse');
    const response = this.#response.reset(batch.revision, made.idField);
    const head = new Uint8Array(this.#encoder.size(response));
    this.#encoder.write(response, head, 0);
    if (this.#ended || this.#call.writeParts(head, batch.bytes) || this.#full) return;
    this.#fill();
  }

  /** Counts so many responses of so many events each. */
  #count(responses: number, events: number): void {
    this.#sends.responses += responses;
    this.#sends.events += responses * events;
    this.#parts.metrics.mvcc.events.value += responses * events;
  }

  /** Events of one revision in several responses, each but the last marked as a fragment. */
  #sendFragments(made: Watch, batch: EventBatch): void {
    let from = 0;
    while (from < batch.size) {
      let to = from;
      let bytes = 0;
      while (to < batch.size) {
        const length = batch.byteCount(to, to + 1);
        if (to > from && bytes + length >= this.#fragmentBytesMax) break;
        bytes += length;
        to++;
      }
      const response = this.#response.reset(batch.revision, made.idField);
      response.batch = batch;
      response.from = from;
      response.to = to;
      response.eventBytes = bytes;
      response.fragment = to < batch.size;
      this.#send(response);
      from = to;
    }
  }

  compacted(watcher: Watcher, compactedRev: Revision): void {
    const response = this.#response.reset(0, watchOf(watcher).idField);
    response.canceled = true;
    response.compactRevision = compactedRev;
    this.#send(response);
  }

  // --- Progress ----------------------------------------------------------------------------------

  /** Answers for all watchers, or not at all while one of them is unsynced. */
  #answerProgressRequest(): void {
    if (this.#stream.watchers.size === 0) return;
    const revision = this.#parts.store.machine.watch.hub.progressRev(
      this.#stream.watchers.values(),
    );
    if (revision !== undefined) this.#send(this.#response.reset(revision, NO_WATCHER_FIELD));
  }

  /** With 10 % jitter, so that streams opened together do not notify together. */
  #scheduleProgress(): void {
    const { env, config } = this.#parts;
    const interval = Math.max(config.watchProgressNotifyIntervalMs, WATCH_PROGRESS_INTERVAL_MS_MIN);
    const jitter = (interval / 10) * (env.entropy.bytes(1)[0]! / 256);
    this.#progressTimer = env.timers.after(interval + jitter, () => {
      if (this.#ended) return;
      this.#notifyProgress();
      this.#scheduleProgress();
    });
  }

  #notifyProgress(): void {
    const { env, metrics } = this.#parts;
    const began = env.clock.monotonicMs();
    this.#sendProgress();
    metrics.watch.progressSeconds.observe((env.clock.monotonicMs() - began) / 1000);
  }

  #sendProgress(): void {
    const { hub } = this.#parts.store.machine.watch;
    for (const watcher of this.#stream.watchers.values()) {
      const made = watchOf(watcher);
      if (!made.progressNotify) continue;
      const revision = made.quiet ? hub.progressRev([watcher]) : undefined;
      if (revision !== undefined) this.#send(this.#response.reset(revision, made.idField));
      made.quiet = true;
    }
  }

  // --- The stream --------------------------------------------------------------------------------

  #send(response: WatchResponse): void {
    failpoints.active?.hit('beforeSendWatchResponse');
    if (this.#ended || this.#call.write(this.#encoder, response) || this.#full) return;
    this.#fill();
  }

  /** An answer to a request. */
  #sendControl(response: WatchResponse): void {
    const { env, metrics } = this.#parts;
    const began = env.clock.monotonicMs();
    this.#send(response);
    metrics.watch.controlSeconds.observe((env.clock.monotonicMs() - began) / 1000);
  }

  #notePending(events: number): void {
    this.#parts.metrics.mvcc.pendingEvents.value += events - this.#pendingEvents;
    this.#pendingEvents = events;
  }

  #fill(): void {
    this.#full = true;
    this.#call.pause();
  }

  /** The stream of a client that requires a leader ends after three election timeouts without one. */
  #watchLeader(missedTimeouts: number): void {
    const { env, config } = this.#parts;
    this.#leaderTimer = env.timers.after(config.electionMs, () => {
      const missed = this.#parts.raft.leader === 0n ? missedTimeouts + 1 : 0;
      if (missed >= 3) this.#endWith('NO_LEADER');
      else this.#watchLeader(missed);
    });
  }

  #endWith(error: EtcdErrorName): void {
    this.#close();
    endWith(this.#call, error);
  }

  #close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#progressTimer?.cancel();
    this.#leaderTimer?.cancel();
    this.#parts.store.machine.watch.hub.close(this.#stream);
    this.#notePending(0);
    this.#parts.metrics.mvcc.watchStreams.value--;
  }
}

/** Where the watchers end whose id fields are as long as that of the one at `from`; at most `to`. */
function endOfRun(watchers: readonly Watcher[], from: number, to: number): number {
  const { length } = watchOf(watchers[from]!).idField;
  let end = from + 1;
  while (end < to && watchOf(watchers[end]!).idField.length === length) end++;
  return end;
}

/** What its stream keeps of a watcher. */
function watchOf(watcher: Watcher): Watch {
  return watcher.ofSink as Watch;
}

function rangeEndOf(rangeEnd: Uint8Array): string {
  if (rangeEnd.length === 0) return SINGLE_KEY;
  return rangeEnd.length === 1 && rangeEnd[0] === 0 ? FROM_KEY : latin1FromBytes(rangeEnd);
}

/** As etcd's span of a watch has them. */
function attributesOf(
  request: etcdserverpb.WatchCreateRequest,
): Parameters<RequestSpans['begin']>[2] {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
  const end = request.rangeEnd;
  return {
    key: text(request.key),
    range_end: end.length === 1 && end[0] === 0 ? '' : text(end),
    start_rev: request.startRevision,
    progress_notify: request.progressNotify,
    prev_kv: request.prevKv,
    fragment: request.fragment,
  };
}
