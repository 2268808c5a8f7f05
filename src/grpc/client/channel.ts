// A channel: spreads calls over the connections to one or more endpoints.

import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import type { ByteStream, Timer } from '../../env/index.ts';
import { Deadlines } from '../deadlines.ts';
import { ByteCount } from '../http2/byte-count.ts';
import type { ConnectionContext } from '../http2/connection-output.ts';
import { FlushScheduler } from '../http2/flush-scheduler.ts';
import { InputTurns } from '../http2/input-turns.ts';
import { SlabPool } from '../http2/output.ts';
import {
  CLIENT_KEEPALIVE,
  CLIENT_LIMITS,
  type ClientKeepalive,
  type ClientLimits,
} from '../limits.ts';
import type { Encoder } from '../message-encoder.ts';
import { GrpcStatusError, STATUS, type StatusCode } from '../status.ts';
import { type ClientCallRecord, StreamClientCall, UnaryClientCall } from './client-call.ts';
import type {
  CallOptions,
  CallStatus,
  Channel,
  ChannelOptions,
  ClientCall,
  ClientStream,
  ClientStreamHandler,
  Endpoint,
  EndpointState,
  UnarySink,
} from './client-types.ts';
import { EndpointLink } from './endpoint-link.ts';

const TICK_MS_MAX = 1_000;
const TICK_MS_MIN = 10;
const NO_OPTIONS: CallOptions = {};
const NO_REASON = 'connection error: desc = "no endpoint"';

/** A channel; connects when the first call needs it. INVALID_ARGUMENT without endpoints. */
export function createChannel(options: ChannelOptions): Channel {
  return new ChannelCore(options);
}

export class ChannelCore implements Channel {
  readonly limits: ClientLimits;
  readonly keepalive: ClientKeepalive;
  readonly context: ConnectionContext;
  readonly deadlines: Deadlines;
  readonly scheme: string;
  readonly userAgent: string;
  readonly #options: ChannelOptions;
  readonly #tickMs: number;
  #links: EndpointLink[] = [];
  /** Links of removed endpoints, until their last call has ended. */
  readonly #retired = new Set<EndpointLink>();
  #next = 0;
  /** Calls that wait for a connection or for room on one, oldest first. */
  #waiting: ClientCallRecord[] = [];
  #timer: Timer | undefined = undefined;
  #closed = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.limits = { ...CLIENT_LIMITS, ...options.limits };
    this.keepalive = { ...CLIENT_KEEPALIVE, ...options.keepalive };
    this.scheme = options.scheme ?? 'http';
    this.userAgent = options.userAgent ?? 'tetcd-grpc';
    this.context = {
      clock: options.clock,
      exactClock: options.clock,
      pool: new SlabPool(),
      scheduler: new FlushScheduler(options.timers),
      pending: new ByteCount(Number.POSITIVE_INFINITY),
      held: new ByteCount(Number.POSITIVE_INFINITY),
      turns: new InputTurns(options.timers),
    };
    this.deadlines = new Deadlines(options.clock, options.timers);
    const shortest = Math.min(
      this.keepalive.intervalMs,
      this.keepalive.timeoutMs,
      this.limits.prefaceTimeoutMs,
      this.limits.frameTimeoutMs,
    );
    this.#tickMs = Math.max(TICK_MS_MIN, Math.min(TICK_MS_MAX, shortest / 4));
    this.setEndpoints(options.endpoints);
  }

  // Calls

  unary<T>(
    path: string,
    encoder: Encoder<T>,
    message: T,
    sink: UnarySink,
    options: CallOptions = NO_OPTIONS,
  ): ClientCall {
    const call = new UnaryClientCall(this, path, sink, options);
    call.request(encoder, message);
    this.place(call);
    return call;
  }

  request<T>(
    path: string,
    encoder: Encoder<T>,
    message: T,
    options: CallOptions = NO_OPTIONS,
  ): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const sink: UnarySink = {
        onReply: (reply) => resolve(reply),
        onFailure: (status: CallStatus) => {
          reject(new GrpcStatusError(status.code, status.message));
        },
      };
      this.unary(path, encoder, message, sink, options);
    });
  }

  stream(
    path: string,
    handler: ClientStreamHandler,
    options: CallOptions = NO_OPTIONS,
  ): ClientStream {
    const call = new StreamClientCall(this, path, handler, options);
    this.place(call);
    return call;
  }

  // Placing

  /** Opens the call on a connection, or lets it wait, or fails it. */
  place(call: ClientCallRecord): void {
    if (call.ended) return;
    if (this.#closed) {
      this.#failSoon(call, STATUS.CANCELED, 'the client connection is closing');
      return;
    }
    // Waiting calls go first.
    const link = this.#waiting.length > 0 ? undefined : this.#pick();
    if (link !== undefined) link.connection!.open(call);
    else this.#wait(call);
  }

  #wait(call: ClientCallRecord): void {
    this.#connectWhatIsIdle();
    if (this.#waiting.length >= this.limits.waitingCallsMax) this.#dropEnded();
    if (!call.waitForReady && this.#hopeless) {
      this.#failSoon(call, STATUS.UNAVAILABLE, this.connectFailure ?? NO_REASON);
    } else if (this.#waiting.length >= this.limits.waitingCallsMax) {
      this.#failSoon(call, STATUS.RESOURCE_EXHAUSTED, 'too many calls wait for a connection');
    } else {
      this.#waiting.push(call);
    }
  }

  /** Never from within the caller's own call: it has no call object yet. */
  #failSoon(call: ClientCallRecord, code: StatusCode, text: string): void {
    this.#options.timers.atEndOfTurn(() => call.failUnplaced(code, text));
  }

  /** The next ready link with room, in rotation. */
  #pick(): EndpointLink | undefined {
    const links = this.#links;
    for (let i = 0; i < links.length; i++) {
      const link = links[(this.#next + i) % links.length]!;
      if (link.state !== 'ready' || !link.connection!.hasRoom) continue;
      if (this.#options.balance !== 'first') this.#next = (this.#next + i + 1) % links.length;
      return link;
    }
    return undefined;
  }

  #connectWhatIsIdle(): void {
    if (this.#options.balance !== 'first') {
      for (const link of this.#links) link.connect();
      return;
    }
    if (this.#links.some((link) => link.state === 'ready' || link.state === 'connecting')) return;
    for (let i = 0; i < this.#links.length; i++) {
      const link = this.#links[(this.#next + i) % this.#links.length]!;
      if (link.state !== 'idle') continue;
      this.#next = (this.#next + i) % this.#links.length;
      link.connect();
      return;
    }
  }

  /** Whether every endpoint has just failed to connect. */
  get #hopeless(): boolean {
    return this.#links.every((link) => link.state === 'backoff');
  }

  get connectFailure(): string | undefined {
    const reasons = this.#links.flatMap(({ lastError }) => lastError ?? []);
    if (reasons.length === 0) return undefined;
    const text = `transport: Error while dialing: ${[...new Set(reasons)].join('; ')}`;
    return `connection error: desc = ${JSON.stringify(text)}`;
  }

  // For links

  /** Opens waiting calls as far as there is room. */
  placeWaiting(): void {
    let opened = 0;
    while (opened < this.#waiting.length) {
      const call = this.#waiting[opened]!;
      if (!call.ended) {
        const link = this.#pick();
        if (link === undefined) break;
        link.connection!.open(call);
      }
      opened++;
    }
    if (opened > 0) this.#waiting.splice(0, opened);
  }

  /** A connection was lost or drained; its link is idle. */
  linkLost(): void {
    if (this.#waiting.length > 0 || this.#isServing) this.#connectWhatIsIdle();
  }

  /** A backoff has passed. */
  linkIdle(): void {
    this.#dropEnded();
    if (this.#waiting.length > 0 || this.#isServing) this.#connectWhatIsIdle();
  }

  /** Whether calls go on over other links: then a lost one reconnects immediately. */
  get #isServing(): boolean {
    return !this.#closed && this.#links.some((link) => link.state === 'ready');
  }

  /** A link could not connect. */
  linkFailed(): void {
    if (this.#waiting.length === 0) return;
    this.#connectWhatIsIdle();
    if (!this.#hopeless) return;
    const calls = this.#waiting;
    this.#waiting = calls.filter((call) => call.waitForReady);
    for (const call of calls) {
      if (!call.waitForReady)
        call.failUnplaced(STATUS.UNAVAILABLE, this.connectFailure ?? NO_REASON);
    }
  }

  connectTo(endpoint: Endpoint, timeoutMs: number): Promise<ByteStream> {
    return this.#options.connect(endpoint, timeoutMs);
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#options.timers.after(delayMs, callback);
  }

  /** At least 0, below 1. */
  randomFraction(): number {
    const bytes = this.#options.entropy.bytes(4);
    return (bytes[0]! * 2 ** 24 + bytes[1]! * 2 ** 16 + bytes[2]! * 2 ** 8 + bytes[3]!) / 2 ** 32;
  }

  nowMs(): number {
    return this.#options.clock.monotonicMs();
  }

  /** Starts the periodic look at connections, while there is one. */
  watch(): void {
    this.#timer ??= this.after(this.#tickMs, () => this.#tick());
  }

  #tick(): void {
    this.#timer = undefined;
    const nowMs = this.nowMs();
    let open = 0;
    for (const link of [...this.#links, ...this.#retired]) {
      link.tick(nowMs);
      open += link.connections.size;
      if (link.connections.size === 0) this.#retired.delete(link);
    }
    this.#dropEnded();
    if (open > 0) this.watch();
  }

  /** Calls that were cancelled while they waited. */
  #dropEnded(): void {
    this.#waiting = this.#waiting.filter((call) => !call.ended);
  }

  // Endpoints

  setEndpoints(endpoints: readonly Endpoint[]): void {
    if (endpoints.length === 0) {
      throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, 'grpc: a channel needs an endpoint');
    }
    const before = this.#links;
    this.#links = endpoints.map(
      (endpoint) =>
        before.find((link) => isSame(link.endpoint, endpoint)) ?? new EndpointLink(this, endpoint),
    );
    for (const link of before) {
      if (this.#links.includes(link)) continue;
      this.#retired.add(link);
      link.drain();
    }
    this.#next = 0;
    if (this.#waiting.length > 0) this.#connectWhatIsIdle();
  }

  states(): readonly EndpointState[] {
    return this.#links.map((link) => link.state);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) {
      call.failUnplaced(STATUS.CANCELED, 'the client connection is closing');
    }
    for (const link of [...this.#links, ...this.#retired]) link.close();
    this.deadlines.close();
  }
}

function isSame(a: Endpoint, b: Endpoint): boolean {
  const isSamePlace = a.host === b.host && a.port === b.port && a.path === b.path;
  return isSamePlace && a.authority === b.authority && a.scheme === b.scheme;
}
