// Leases kept alive over one stream, which is reopened when it breaks, or at another endpoint when it is
// silent. A lease is lost when the server reports it expired, or when its TTL passes without a response.

import type { Timer } from '../../env/index.ts';
import { type CallStatus, type ClientStream, STATUS, type StatusCode } from '../../grpc/index.ts';
import { EtcdError, etcdserverpb, isEtcdError } from '../../protocol/index.ts';
import { checkCallOptions } from '../arguments.ts';
import { clientClosed, errorOfStatus, statusOf } from '../errors.ts';
import {
  DELAY_MS_MAX,
  KEEP_ALIVE_BUFFER_MAX,
  KEEP_ALIVE_FRACTION,
  KEEP_ALIVE_PATIENCE_FRACTION,
  KEEP_ALIVE_REOPEN_WAIT_MS_MAX,
  KEEP_ALIVE_REPEAT_MS,
  REOPEN_WAIT_MS_MIN,
} from '../limits.ts';
import { printed } from '../printed.ts';
import { type ResponseHeader, resultHeader } from '../results.ts';
import { type Calls, REQUIRE_LEADER } from '../transport/calls.ts';
import { backoffMs } from '../transport/wait.ts';
import { DONE, PullQueue } from '../watch/pull-queue.ts';

const method = etcdserverpb.LeaseService.methods.leaseKeepAlive;

/** Statuses of the stream after which reopening is useless. */
const FINAL: ReadonlySet<StatusCode> = new Set<StatusCode>([
  STATUS.INVALID_ARGUMENT,
  STATUS.PERMISSION_DENIED,
  STATUS.UNIMPLEMENTED,
  STATUS.UNAUTHENTICATED,
]);

/** The server's response to one renewal. */
export interface KeepAliveResponse {
  readonly header: ResponseHeader;
  readonly id: bigint;
  /** Seconds until the lease expires without another renewal. */
  readonly ttl: number;
}

/** Options of `LeaseClient.keepAlive`. */
export interface KeepAliveOptions {
  /**
   * Report the lease as lost, with NO_LEADER, when the member that renews it loses its leader. Without it,
   * renewal continues at another member, or when there is a leader again, until the TTL has passed.
   */
  readonly requireLeader?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Keeps a lease alive until it is closed or the lease is lost; iterating over it is optional. A loop
 * yields the server's responses (the newest few, if it is slow), ends when the keeper is closed, and
 * throws LEASE_NOT_FOUND when the lease has expired or was revoked.
 */
export class LeaseKeeper implements AsyncIterableIterator<KeepAliveResponse, undefined> {
  readonly id: bigint;
  /** Resolves with the error when the lease is lost, with undefined when it is closed before. */
  readonly lost: Promise<unknown>;
  /** When the next renewal is due, and when the lease expires, on the monotonic clock. */
  dueMs: number;
  expiresMs: number;
  /** When the oldest unanswered renewal of this stream was sent; Infinity if there is none. */
  askedMs: number = Number.POSITIVE_INFINITY;
  /** How long a renewal may be unanswered before another endpoint is tried. */
  patienceMs: number;
  readonly requireLeader: boolean;
  readonly #remove: (keeper: LeaseKeeper) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #answers = new PullQueue<KeepAliveResponse>();
  #resolveLost!: (reason: unknown) => void;

  constructor(
    id: bigint,
    times: { readonly nowMs: number; readonly firstTimeoutMs: number },
    options: KeepAliveOptions,
    remove: (keeper: LeaseKeeper) => void,
  ) {
    this.id = id;
    this.dueMs = times.nowMs;
    this.expiresMs = times.nowMs + times.firstTimeoutMs;
    this.patienceMs = times.firstTimeoutMs * KEEP_ALIVE_PATIENCE_FRACTION;
    this.requireLeader = options.requireLeader ?? false;
    this.#remove = remove;
    this.lost = new Promise((resolve) => {
      this.#resolveLost = resolve;
    });
    this.#signal = options.signal;
    if (this.#signal?.aborted === true) this.onLost(this.#signal.reason);
    else this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  readonly #onAbort = (): void => {
    this.#remove(this);
    this.onLost(this.#signal?.reason);
  };

  get kept(): boolean {
    return this.#answers.open;
  }

  /** Stops the renewals; the lease then expires after its TTL, or is ended by `revoke`. */
  close(): void {
    if (!this.kept) return;
    this.#remove(this);
    this.#stopListening();
    this.#resolveLost(undefined);
    this.#answers.close();
  }

  next(): Promise<IteratorResult<KeepAliveResponse, undefined>> {
    return this.#answers.next();
  }

  async return(): Promise<IteratorResult<KeepAliveResponse, undefined>> {
    this.close();
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  onAnswer(response: KeepAliveResponse, nowMs: number): void {
    if (!this.kept) return;
    const ttlMs = response.ttl * 1_000;
    this.dueMs = nowMs + ttlMs * KEEP_ALIVE_FRACTION;
    this.expiresMs = nowMs + ttlMs;
    this.askedMs = Number.POSITIVE_INFINITY;
    this.patienceMs = ttlMs * KEEP_ALIVE_PATIENCE_FRACTION;
    if (this.#answers.size >= KEEP_ALIVE_BUFFER_MAX) this.#answers.shift();
    this.#answers.push(response);
  }

  onLost(reason: unknown): void {
    if (!this.kept) return;
    this.#stopListening();
    this.#resolveLost(reason);
    this.#answers.fail(reason);
  }

  #stopListening(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}

/** The stream that all kept leases of a client share. */
export class KeepAliveStream {
  readonly #calls: Calls;
  readonly #firstTimeoutMs: number;
  /** By lease; a lease may be kept by several. */
  readonly #keepers = new Map<bigint, Set<LeaseKeeper>>();
  #stream: ClientStream | undefined = undefined;
  #generation = 0;
  #isOpening = false;
  #isFull = false;
  #failures = 0;
  /** When the last message of this stream arrived. */
  #heardMs = 0;
  #timer: Timer | undefined = undefined;
  #timerMs = 0;
  #reopenTimer: Timer | undefined = undefined;

  /** `firstTimeoutMs`: how long the first renewal, with the TTL still unknown, may take. */
  constructor(calls: Calls, firstTimeoutMs: number) {
    this.#calls = calls;
    this.#firstTimeoutMs = firstTimeoutMs;
  }

  keep(id: bigint, options: KeepAliveOptions): LeaseKeeper {
    checkCallOptions(options);
    if (this.#calls.closed) throw clientClosed();
    const times = { nowMs: this.#nowMs(), firstTimeoutMs: this.#firstTimeoutMs };
    const keeper = new LeaseKeeper(id, times, options, (each) => this.#remove(each));
    if (!keeper.kept) return keeper;
    const others = this.#keepers.get(id);
    if (others === undefined) this.#keepers.set(id, new Set([keeper]));
    else others.add(keeper);
    this.#open();
    this.#work();
    return keeper;
  }

  close(): void {
    for (const keeper of this.#all()) keeper.close();
    this.#stop();
  }

  #all(): LeaseKeeper[] {
    return [...this.#keepers.values()].flatMap((keepers) => [...keepers]);
  }

  #remove(keeper: LeaseKeeper): void {
    const keepers = this.#keepers.get(keeper.id);
    if (keepers === undefined) return;
    keepers.delete(keeper);
    if (keepers.size === 0) this.#keepers.delete(keeper.id);
    if (this.#keepers.size === 0) this.#stop();
  }

  #stop(): void {
    this.#leaveStream();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#reopenTimer?.cancel();
    this.#reopenTimer = undefined;
  }

  #nowMs(): number {
    return this.#calls.runtime.clock.monotonicMs();
  }

  // Time

  /** Sends due renewals, ends expired leases, and sets the timer for the next event. */
  #work(): void {
    const nowMs = this.#nowMs();
    let nextMs = Number.POSITIVE_INFINITY;
    let isSilent = false;
    for (const [id, keepers] of [...this.#keepers]) {
      let isDue = false;
      for (const keeper of [...keepers]) {
        if (nowMs >= keeper.expiresMs) {
          this.#remove(keeper);
          keeper.onLost(new EtcdError('LEASE_NOT_FOUND'));
          continue;
        }
        if (nowMs >= keeper.dueMs && this.#stream !== undefined && !this.#isFull) {
          isDue = true;
          keeper.dueMs = nowMs + KEEP_ALIVE_REPEAT_MS;
          keeper.askedMs = Math.min(keeper.askedMs, nowMs);
        }
        // Without a stream, due renewals wait for one.
        const wakeMs = keeper.dueMs > nowMs ? keeper.dueMs : keeper.expiresMs;
        nextMs = Math.min(nextMs, wakeMs, keeper.expiresMs);
        const patientUntilMs = keeper.askedMs + keeper.patienceMs;
        if (patientUntilMs > nowMs) nextMs = Math.min(nextMs, patientUntilMs);
        else if (this.#heardMs < keeper.askedMs) isSilent = true;
      }
      if (isDue) this.#isFull = this.#stream?.write(method.request, { id }) === false;
    }
    if (isSilent && this.#calls.endpointCount > 1) this.#moveOn();
    else this.#wakeAt(nextMs, nowMs);
  }

  /** Abandons a silent stream: the next one is opened at another endpoint. */
  #moveOn(): void {
    this.#leaveStream();
    this.#open();
    this.#work();
  }

  #leaveStream(): void {
    this.#generation++;
    this.#stream?.cancel();
    this.#stream = undefined;
    for (const keeper of this.#all()) keeper.askedMs = Number.POSITIVE_INFINITY;
  }

  #wakeAt(atMs: number, nowMs: number): void {
    if (this.#timer !== undefined && this.#timerMs <= atMs && this.#timerMs > nowMs) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (atMs === Number.POSITIVE_INFINITY) return;
    this.#timerMs = atMs;
    const delayMs = Math.min(Math.max(0, atMs - nowMs), DELAY_MS_MAX);
    this.#timer = this.#calls.runtime.timers.after(delayMs, () => {
      this.#timer = undefined;
      this.#work();
    });
  }

  // The stream

  #open(): void {
    if (this.#stream !== undefined || this.#isOpening || this.#reopenTimer !== undefined) return;
    this.#isOpening = true;
    if (this.#calls.tokens.ready) this.#opened();
    else {
      this.#calls.obtainToken().then(
        () => {
          this.#opened();
          this.#work();
        },
        (error: unknown) => this.#onTokenMissing(error),
      );
    }
  }

  /** The user was refused, or nobody could be asked: then it is tried again, as a stream is. */
  #onTokenMissing(error: unknown): void {
    this.#isOpening = false;
    const status = statusOf(error);
    if (FINAL.has(status) || status === STATUS.UNKNOWN) this.#loseAll(error);
    else this.#reopenLater();
  }

  #opened(): void {
    this.#isOpening = false;
    if (this.#keepers.size === 0 || this.#calls.closed) return;
    const generation = ++this.#generation;
    const isCurrent = (): boolean => generation === this.#generation;
    const token = this.#calls.tokens.current;
    this.#isFull = false;
    const handler = {
      onMessage: (bytes: Uint8Array): void => {
        if (isCurrent()) this.#onMessage(bytes);
      },
      onStatus: (status: CallStatus): void => {
        if (isCurrent()) this.#onStatus(status, token);
      },
      onDrain: (): void => {
        if (!isCurrent()) return;
        this.#isFull = false;
        this.#work();
      },
    };
    // A member without a leader cannot renew, and says so at once only if the request requires a leader.
    const options = { waitForReady: true, metadata: REQUIRE_LEADER };
    this.#stream = this.#calls.stream(method.path, handler, options);
    this.#heardMs = this.#nowMs();
    // Renewals sent on the previous stream may not have arrived.
    for (const keeper of this.#all()) keeper.dueMs = this.#heardMs;
  }

  #onStatus(status: CallStatus, token: string | undefined): void {
    this.#leaveStream();
    const error = errorOfStatus(status);
    if (FINAL.has(status.code) && !this.#calls.tokens.refresh(error, token, this.#failures === 0)) {
      this.#loseAll(error);
      return;
    }
    if (isEtcdError(error, 'NO_LEADER')) this.#loseThoseWhoRequireLeader(error);
    this.#reopenLater();
  }

  #reopenLater(): void {
    if (this.#keepers.size === 0) return;
    const { timers, entropy } = this.#calls.runtime;
    const bounds = { minMs: REOPEN_WAIT_MS_MIN, maxMs: KEEP_ALIVE_REOPEN_WAIT_MS_MAX };
    this.#reopenTimer = timers.after(backoffMs(entropy, this.#failures, bounds), () => {
      this.#reopenTimer = undefined;
      this.#open();
      this.#work();
    });
    this.#failures++;
  }

  #loseThoseWhoRequireLeader(reason: Error): void {
    for (const keeper of this.#all()) {
      if (!keeper.requireLeader) continue;
      this.#remove(keeper);
      keeper.onLost(reason);
    }
  }

  #loseAll(reason: unknown): void {
    const keepers = this.#all();
    this.#keepers.clear();
    this.#stop();
    for (const keeper of keepers) keeper.onLost(reason);
  }

  #onMessage(bytes: Uint8Array): void {
    let response: etcdserverpb.LeaseKeepAliveResponse;
    try {
      response = method.response.decode(Uint8Array.from(bytes));
    } catch (error) {
      this.#loseAll(error);
      return;
    }
    this.#failures = 0;
    this.#heardMs = this.#nowMs();
    const { id, ttl } = response;
    const header = resultHeader(response.header);
    for (const keeper of [...(this.#keepers.get(id) ?? [])]) {
      if (ttl > 0) keeper.onAnswer(printed({ header, id, ttl }), this.#nowMs());
      else {
        this.#remove(keeper);
        keeper.onLost(new EtcdError('LEASE_NOT_FOUND'));
      }
    }
    this.#work();
  }
}
