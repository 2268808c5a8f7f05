// How late the event loop is. Node's own monitor sets a timer for it, which wakes an idle process; the
// timer of consensus is there anyway, and tells how late it came.

import { createHistogram } from 'node:perf_hooks';

const NS_PER_MS = 1e6;

export const LAG_FIGURES = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'] as const;

type Figures = Readonly<Record<(typeof LAG_FIGURES)[number], number>>;

const NOTHING: Figures = { min: 0, max: 0, mean: 0, stddev: 0, p50: 0, p90: 0, p99: 0 };

export class LoopLag {
  /** In nanoseconds, since the last {@link take}. */
  readonly #histogram = createHistogram();

  /** A timer has come so late, which may be 0. */
  record(lateMs: number): void {
    this.#histogram.record(Math.max(1, Math.round(lateMs * NS_PER_MS)));
  }

  /** What was recorded since the last call, in seconds; zeros if nothing was. */
  take(): Figures {
    const { count, min, max, mean, stddev } = this.#histogram;
    if (count === 0) return NOTHING;
    const percentile = (of: number): number => this.#histogram.percentile(of) / 1e9;
    const figures = {
      ...{ min: min / 1e9, max: max / 1e9, mean: mean / 1e9, stddev: stddev / 1e9 },
      ...{ p50: percentile(50), p90: percentile(90), p99: percentile(99) },
    };
    this.#histogram.reset();
    return figures;
  }
}
