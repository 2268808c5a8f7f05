// A call inside this process, on the handler's side: the common part of unary calls and streams, and
// the unary call.

import type { Clock, Timer, Timers } from '../env/index.ts';
import {
  type Encoder,
  GrpcStatusError,
  type Metadata,
  type MethodStats,
  type Peer,
  type Pieces,
  type RoomWaiter,
  STATUS,
  type StatusCode,
} from '../grpc/index.ts';
import type { Call, Caller, UnaryCall } from './call.ts';
import { TIMER_MS_MAX } from './limits.ts';

/** The context of a call: that of the call in whose course it is made, or one of its own. */
export interface LocalContext extends Pick<Call, 'peer' | 'metadata' | 'deadlineMs' | 'caller'> {
  /** Its abort cancels the call. */
  readonly signal?: AbortSignal;
}

export interface LocalEnv {
  readonly clock: Clock;
  readonly timers: Timers;
}

/** Counts calls as the transport counts those of remote clients. */
export interface CallMeter {
  /** The counters of the method of a path; undefined if its calls are not counted. */
  statsOf(path: string): MethodStats | undefined;
  /** A call has begun. */
  onCallStart?(call: Call): void;
  /** A call that was begun has ended. */
  onCallEnd(
    call: Pick<Call, 'path' | 'peer'>,
    method: MethodStats,
    durationMs: number,
    status: StatusCode,
    message: string,
  ): void;
}

export abstract class LocalCall implements Call {
  readonly path: string;
  readonly peer: Peer;
  readonly metadata: Metadata;
  readonly deadlineMs: number;
  caller: Caller | undefined;
  ended = false;
  readonly #env: LocalEnv;
  readonly #signal: AbortSignal | undefined;
  #timer: Timer | undefined;
  #meter: CallMeter | undefined;
  #stats: MethodStats | undefined;
  #startMs = 0;

  constructor(path: string, context: LocalContext, env: LocalEnv) {
    this.path = path;
    this.peer = context.peer;
    this.metadata = context.metadata;
    this.deadlineMs = context.deadlineMs;
    this.caller = context.caller;
    this.#env = env;
    this.#signal = context.signal;
  }

  /**
   * Starts the deadline and the signal. False if one of them has ended the call already; then it is not
   * counted either.
   */
  begin(meter: CallMeter | undefined): boolean {
    if (this.#signal?.aborted === true) this.#onAbort();
    if (!this.isWanted()) return false;
    this.#signal?.addEventListener('abort', this.#onAbort);
    this.#awaitDeadline();
    this.#meter = meter;
    this.#stats = meter?.statsOf(this.path);
    if (this.#stats !== undefined) {
      this.#stats.started++;
      this.#startMs = this.#env.clock.monotonicMs();
      meter?.onCallStart?.(this);
    }
    return true;
  }

  get isInner(): boolean {
    return this.#meter === undefined;
  }

  /** The handler gets a message of so many bytes. */
  countReceived(bytes: number): void {
    if (this.#stats === undefined) return;
    this.#stats.messagesReceived++;
    this.#stats.bytesReceived += bytes;
  }

  /** What the client sent cannot be read. */
  protected countReceiveFailure(): void {
    if (this.#stats !== undefined) this.#stats.receiveFailures++;
  }

  /** The handler gives a message of so many bytes. */
  protected countSent(bytes: number): void {
    if (this.#stats === undefined) return;
    this.#stats.messagesSent++;
    this.#stats.bytesSent += bytes;
  }

  isWanted(): boolean {
    if (this.ended) return false;
    if (this.#leftMs() > 0) return true;
    this.giveUp(STATUS.DEADLINE_EXCEEDED, 'context deadline exceeded');
    return false;
  }

  /** Ends the call for a reason other than its handler: deadline, signal. */
  abstract giveUp(status: StatusCode, message: string): void;

  /** The bookkeeping at the end of a call, for any reason. */
  protected leave(status: StatusCode, message: string): void {
    this.ended = true;
    if (this.#stats !== undefined) {
      this.#stats.ended[status]!++;
      const durationMs = this.#env.clock.monotonicMs() - this.#startMs;
      this.#meter?.onCallEnd(this, this.#stats, durationMs, status, message);
    }
    this.#timer?.cancel();
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (): void => {
    if (!this.ended) this.giveUp(STATUS.CANCELED, 'context canceled');
  };

  #leftMs(): number {
    const { deadlineMs } = this;
    if (deadlineMs === Number.POSITIVE_INFINITY) return deadlineMs;
    return deadlineMs - this.#env.clock.monotonicMs();
  }

  #awaitDeadline(): void {
    const leftMs = this.#leftMs();
    if (leftMs === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#env.timers.after(Math.min(Math.max(leftMs, 0), TIMER_MS_MAX), () => {
      if (this.isWanted()) this.#awaitDeadline();
    });
  }
}

/** Where the answer of a unary call goes. */
interface LocalSink {
  resolve(answer: Uint8Array): void;
  reject(error: GrpcStatusError): void;
}

/** There is always room for the answer, which is completely in memory. */
export class LocalUnaryCall extends LocalCall implements UnaryCall {
  readonly isBehind = false;
  onCancel: (() => void) | undefined = undefined;
  readonly #sink: LocalSink;

  constructor(path: string, context: LocalContext, env: LocalEnv, sink: LocalSink) {
    super(path, context, env);
    this.#sink = sink;
  }

  whenRoom(waiter: RoomWaiter): void {
    waiter.onRoom();
  }

  mayHold(): boolean {
    return true;
  }

  holdMemory(): void {
    // Until the call ends; then it is the answer, which belongs to the client.
  }

  reply<T>(encoder: Encoder<T>, message: T): void {
    if (this.ended) return;
    const answer = encodedBy(encoder, message);
    this.countSent(answer.length);
    this.leave(STATUS.OK, '');
    this.#sink.resolve(answer);
  }

  replyInPieces(size: number, pieces: Pieces): void {
    try {
      if (this.ended) return;
      const answer = joined(size, pieces);
      this.countSent(size);
      this.leave(STATUS.OK, '');
      this.#sink.resolve(answer);
    } catch (error) {
      if (!(error instanceof GrpcStatusError)) throw error;
      this.fail(error.code, error.details);
    } finally {
      pieces.return?.();
    }
  }

  fail(status: StatusCode, message: string): void {
    if (this.ended) return;
    this.leave(status, message);
    this.#sink.reject(new GrpcStatusError(status, message));
  }

  giveUp(status: StatusCode, message: string): void {
    if (this.ended) return;
    this.fail(status, message);
    this.onCancel?.();
  }
}

export function encodedBy<T>(encoder: Encoder<T>, message: T): Uint8Array {
  const bytes = new Uint8Array(encoder.size(message));
  encoder.write(message, bytes, 0);
  return bytes;
}

function joined(size: number, pieces: Pieces): Uint8Array {
  const whole = new Uint8Array(size);
  for (let at = 0; at < size; ) {
    const { value } = pieces.next();
    if (value === undefined) throw new TypeError('an answer has pieces for its whole size');
    whole.set(value, at);
    at += value.length;
  }
  return whole;
}
