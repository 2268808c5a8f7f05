// Durations of requests: whole ones, from the handler to the answer, and evaluations of ranges. Hot: once
// or twice per request. The beginning of a whole request is that of its turn.

import { OutcomeTimes } from '../../base/index.ts';
import type { Clock } from '../../env/index.ts';
import { OperationTimes, REQUEST_KIND, type RequestKind } from '../../store/index.ts';
import type { ServerMetrics } from './metrics-table.ts';

interface RequestTimesParts {
  readonly env: { readonly clock: Pick<Clock, 'monotonicMs'> };
  readonly metrics: Pick<ServerMetrics, 'server'>;
}

export class RequestTimes {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #operations: OperationTimes;
  readonly #ranges: OutcomeTimes;
  readonly #readonlyTxns: OutcomeTimes;
  readonly #evaluations: OutcomeTimes;

  constructor({ env, metrics: { server } }: RequestTimesParts) {
    this.#clock = env.clock;
    const { requestSeconds, rangeSeconds } = server;
    this.#operations = new OperationTimes((operation, success) =>
      requestSeconds.with(operation, String(success)),
    );
    this.#ranges = this.#operations.of(REQUEST_KIND.RANGE);
    this.#readonlyTxns = new OutcomeTimes((success) =>
      requestSeconds.with('ReadonlyTxn', String(success)),
    );
    this.#evaluations = new OutcomeTimes((success) => rangeSeconds.with(String(success)));
  }

  /** Monotonic milliseconds, exactly: the evaluation of a range begins. */
  beginRange(): number {
    return this.#clock.monotonicMs();
  }

  /** A range that came at `sinceMs` has been evaluated since `beganMs`. */
  endRange(success: boolean, sinceMs: number, beganMs: number): void {
    const endMs = this.#clock.monotonicMs();
    this.#evaluations.observe(success, endMs - beganMs);
    this.#ranges.observe(success, endMs - sinceMs);
  }

  /** A piece of a range in a stream has been evaluated since `beganMs`; the stream is not measured. */
  endPiece(beganMs: number): void {
    this.#evaluations.observe(true, this.#clock.monotonicMs() - beganMs);
  }

  /** A range that came at `sinceMs` is not evaluated. */
  dropRange(sinceMs: number): void {
    this.#ranges.observe(false, this.#clock.monotonicMs() - sinceMs);
  }

  /** A transaction that only reads, and came at `sinceMs`, has ended. */
  endTxn(success: boolean, sinceMs: number): void {
    this.#readonlyTxns.observe(success, this.#clock.monotonicMs() - sinceMs);
  }

  /** Of a request that went through the log: a refusal when it was applied is a success, as in etcd. */
  observe(kind: RequestKind, success: boolean, ms: number): void {
    this.#operations.observe(kind, success, ms);
  }
}
