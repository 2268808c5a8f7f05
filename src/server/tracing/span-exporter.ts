// Sends ended spans to a collector, in batches. What it does not take in time is lost and counted: no
// request waits for it, and memory is bounded.

import type { Clock, Timer, Timers } from '../../env/index.ts';
import { BYTES_ENCODER, GrpcStatusError, STATUS, type StatusCode } from '../../grpc/index.ts';
import {
  SPAN_BATCH_DELAY_MS,
  SPAN_BATCH_MAX,
  SPAN_CLOSE_TIMEOUT_MS,
  SPAN_EXPORT_RETRY_MS,
  SPAN_EXPORT_TIMEOUT_MS,
  SPAN_EXPORT_TRIES_MAX,
  SPANS_QUEUED_MAX,
} from '../limits.ts';
import { asError, type Logger } from '../telemetry/log.ts';
import { EXPORT_PATH, encodeSpans } from './otlp.ts';
import type { Attributes, Span } from './span.ts';

/** The part of a gRPC channel that is used. */
interface SpanChannel {
  request(
    path: string,
    encoder: typeof BYTES_ENCODER,
    message: Uint8Array,
    options: { readonly timeoutMs: number },
  ): Promise<Uint8Array>;
  close(): void;
}

interface SpanExporterParts {
  readonly channel: SpanChannel;
  readonly env: { readonly clock: Clock; readonly timers: Timers };
  readonly log: Pick<Logger, 'warn' | 'info'>;
  /** Of the process whose spans these are. */
  readonly resource: Attributes;
}

/** After these the same spans are sent again, as OTLP asks for. */
const RETRYABLE: ReadonlySet<StatusCode> = new Set<StatusCode>([
  STATUS.CANCELED,
  STATUS.DEADLINE_EXCEEDED,
  STATUS.ABORTED,
  STATUS.OUT_OF_RANGE,
  STATUS.UNAVAILABLE,
  STATUS.DATA_LOSS,
]);

export class SpanExporter {
  readonly #parts: SpanExporterParts;
  #queue: Span[] = [];
  #timer: Timer | undefined;
  #sending: Promise<void> | undefined;
  #fails = false;
  #closing = false;
  /** Ends the pause before another try. */
  #hasten: (() => void) | undefined;
  /** Spans that nobody got, since the start. */
  droppedCount = 0;

  constructor(parts: SpanExporterParts) {
    this.#parts = parts;
  }

  /** Takes an ended span, or drops it where too many wait. */
  push(span: Span): void {
    if (this.#closing || this.#queue.length >= SPANS_QUEUED_MAX) {
      this.droppedCount++;
      return;
    }
    this.#queue.push(span);
    if (this.#sending !== undefined) return;
    if (this.#queue.length >= SPAN_BATCH_MAX) this.#begin();
    else this.#timer ??= this.#parts.env.timers.after(SPAN_BATCH_DELAY_MS, () => this.#begin());
  }

  /** Sends what waits, for SPAN_CLOSE_TIMEOUT_MS at most; nothing is taken any more. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#hasten?.();
    this.#begin();
    const { channel, env } = this.#parts;
    // Ends what is being sent, which then fails.
    const timer = env.timers.after(SPAN_CLOSE_TIMEOUT_MS, () => channel.close());
    await this.#sending;
    timer.cancel();
    channel.close();
  }

  #begin(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
  }

  /** Never rejects. */
  async #sendAll(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, SPAN_BATCH_MAX);
      const request = encodeSpans(this.#parts.resource, batch);
      if (!(await this.#sendBatch(request))) this.droppedCount += batch.length;
      if (this.#closing && this.#fails) {
        this.droppedCount += this.#queue.length;
        this.#queue = [];
      }
    }
  }

  async #sendBatch(request: Uint8Array): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      const failure = await this.#failureOf(request);
      if (failure === undefined) return true;
      if (this.#closing || tries >= SPAN_EXPORT_TRIES_MAX || !isRetryable(failure)) return false;
      await this.#pause();
      if (this.#closing) return false;
    }
  }

  async #failureOf(request: Uint8Array): Promise<unknown> {
    const { channel, log } = this.#parts;
    const options = { timeoutMs: SPAN_EXPORT_TIMEOUT_MS };
    try {
      await channel.request(EXPORT_PATH, BYTES_ENCODER, request, options);
      if (this.#fails) log.info('spans are exported again', { dropped: this.droppedCount });
      this.#fails = false;
      return undefined;
    } catch (error) {
      if (!this.#fails) log.warn('failed to export spans', { error: asError(error) });
      this.#fails = true;
      return error;
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#parts.env.timers.after(SPAN_EXPORT_RETRY_MS, resolve);
      this.#hasten = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

function isRetryable(failure: unknown): boolean {
  return failure instanceof GrpcStatusError && RETRYABLE.has(failure.code);
}
