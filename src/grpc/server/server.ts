// The server: its methods, its connections, and their shared state.

import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import type { ByteStream, Timer } from '../../env/index.ts';
import { Deadlines } from '../deadlines.ts';
import { ByteCount } from '../http2/byte-count.ts';
import type { ConnectionContext } from '../http2/connection-output.ts';
import { FlushScheduler } from '../http2/flush-scheduler.ts';
import { InputTurns } from '../http2/input-turns.ts';
import { SlabPool } from '../http2/output.ts';
import {
  heldBytesFloor,
  SERVER_KEEPALIVE,
  SERVER_LIMITS,
  type ServerKeepalive,
  type ServerLimits,
} from '../limits.ts';
import type { StatusCode } from '../status.ts';
import { Lateness } from './lateness.ts';
import { Routes } from './routes.ts';
import type { ServerCall } from './server-call.ts';
import { ServerConnection } from './server-connection.ts';
import type {
  AcceptOptions,
  MethodStats,
  Server,
  ServerOptions,
  StreamOpener,
  UnaryHandler,
} from './server-types.ts';

/** Interval of the connections' checks; shorter with shorter timeouts. */
const TICK_MS_MAX = 1_000;
const TICK_MS_MIN = 10;
/** By how much of its interval a tick may come later, with other timers. */
const TICK_SLACK = 0.1;

/** A server over any byte streams; `accept` each connection. */
export function createServer(options: ServerOptions): Server {
  return new ServerCore(options);
}

export class ServerCore implements Server {
  readonly limits: ServerLimits;
  readonly keepalive: ServerKeepalive;
  readonly context: ConnectionContext;
  readonly routes = new Routes();
  readonly deadlines: Deadlines;
  readonly lateness: Lateness;
  readonly mirrorsCompression: boolean;
  /** Whether durations are measured. */
  readonly measuresCalls: boolean;
  readonly #options: ServerOptions;
  readonly #connections = new Set<ServerConnection>();
  readonly #tickMs: number;
  callsBegun = 0;
  #timer: Timer | undefined = undefined;
  #stopped = false;
  #drained: Array<() => void> = [];

  constructor(options: ServerOptions) {
    this.#options = options;
    const limits = { ...SERVER_LIMITS, ...options.limits };
    const heldBytesMax = Math.max(limits.heldBytesMax, heldBytesFloor(limits.receiveBytesMax));
    const heldBytesTotalMax = Math.max(limits.heldBytesTotalMax, heldBytesMax);
    this.limits = { ...limits, heldBytesMax, heldBytesTotalMax };
    this.keepalive = { ...SERVER_KEEPALIVE, ...options.keepalive };
    const clock = options.turnClock ?? options.clock;
    this.context = {
      clock,
      exactClock: options.clock,
      pool: new SlabPool(),
      scheduler: new FlushScheduler(options.timers),
      pending: new ByteCount(limits.pendingBytesMax),
      held: new ByteCount(heldBytesTotalMax),
      turns: new InputTurns(options.timers),
    };
    this.deadlines = new Deadlines(clock, options.timers);
    this.lateness = new Lateness(clock, options.timers);
    this.mirrorsCompression = options.compression !== 'none';
    this.measuresCalls = options.onCallEnd !== undefined;
    const shortest = Math.min(
      this.keepalive.intervalMs,
      this.keepalive.timeoutMs,
      this.limits.prefaceTimeoutMs,
      this.limits.frameTimeoutMs,
      this.limits.writeStallTimeoutMs,
    );
    this.#tickMs = Math.max(TICK_MS_MIN, Math.min(TICK_MS_MAX, shortest / 4));
  }

  unary(path: string, handler: UnaryHandler): void {
    this.routes.add(path, handler);
  }

  stream(path: string, opener: StreamOpener): void {
    this.routes.addStream(path, opener, false);
  }

  serverStream(path: string, opener: StreamOpener): void {
    this.routes.addStream(path, opener, true);
  }

  get methods(): readonly MethodStats[] {
    return this.routes.methods;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  accept(stream: ByteStream, options: AcceptOptions = {}): void {
    const { traceStream } = this.#options;
    const shown = traceStream === undefined ? stream : traceStream(stream);
    const connection = new ServerConnection(shown, this, options);
    this.#connections.add(connection);
    if (this.#stopped || this.#connections.size > this.limits.connectionsMax) {
      shown.destroy();
      return;
    }
    this.lateness.start();
    this.#timer ??= this.#options.timers.after(this.#tickMs, this.#tick, TICK_SLACK * this.#tickMs);
  }

  readonly #tick = (): void => {
    this.#timer = undefined;
    const nowMs = this.context.clock.monotonicMs();
    for (const connection of this.#connections) connection.tick(nowMs);
    if (this.#connections.size > 0) {
      this.#timer = this.#options.timers.after(this.#tickMs, this.#tick, TICK_SLACK * this.#tickMs);
    }
  };

  cork(): void {
    this.context.scheduler.cork();
  }

  uncork(now: boolean): void {
    this.context.scheduler.uncork(now);
  }

  drain(): Promise<void> {
    this.#stopped = true;
    for (const connection of [...this.#connections]) connection.drain();
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  close(): void {
    this.#stopped = true;
    this.deadlines.close();
    for (const connection of [...this.#connections]) connection.close();
  }

  get pendingBytes(): number {
    return this.context.pending.bytes;
  }

  get heldBytes(): number {
    return this.context.held.bytes;
  }

  // For connections

  /** The connection that holds the most received bytes. */
  get heaviestHolder(): ServerConnection | undefined {
    let heaviest: ServerConnection | undefined;
    for (const connection of this.#connections) {
      if (connection.heldBytes > (heaviest?.heldBytes ?? 0)) heaviest = connection;
    }
    return heaviest;
  }

  callEnded(call: ServerCall, status: StatusCode, message: string): void {
    const durationMs = this.context.clock.monotonicMs() - call.startedMs;
    this.#options.onCallEnd?.(call, status, durationMs, message);
  }

  handlerFailed(call: ServerCall, error: unknown): void {
    if (this.#options.onHandlerError === undefined) throw error;
    this.#options.onHandlerError(call, error);
  }

  connectionGone(connection: ServerConnection, error: Error | undefined): void {
    this.#connections.delete(connection);
    const ours = error instanceof TetcdError && error.code === ERROR_CODES.CLOSED;
    if (error !== undefined && !ours) this.#options.onConnectionError?.(connection.peer, error);
    if (this.#connections.size > 0) return;
    this.lateness.stop();
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const resolve of this.#drained.splice(0)) resolve();
  }
}
