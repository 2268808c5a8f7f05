// What is measured, as plain fields: the owner of an event adds to a field, and only a scrape reads
// it. Adding costs a nanosecond, and pure code can do it. Names, help and label names belong to the
// registry in `server/telemetry/metrics.ts`.

import { invariant } from './invariant.ts';

/** A number that only grows: write `counter.value++`. */
export class Counter {
  value = 0;
}

/** A number that moves both ways. */
export class Gauge {
  value = 0;
}

/** How often values fell into ranges. */
export class Histogram {
  /** Upper bounds, inclusive, ascending; the last range has no bound. */
  readonly bounds: readonly number[];
  /** Values per range, not cumulated: `bounds.length + 1` numbers. */
  readonly counts: Float64Array;
  /** Of all values. */
  sum = 0;

  constructor(bounds: readonly number[]) {
    for (const [i, bound] of bounds.entries()) {
      invariant(i === 0 || bounds[i - 1]! < bound, 'the bounds of a histogram ascend');
    }
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    this.observeMany(value, 1);
  }

  /** Observes `value` so many times. */
  observeMany(value: number, times: number): void {
    let low = 0;
    let high = this.bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= this.bounds[middle]!) high = middle;
      else low = middle + 1;
    }
    this.counts[low]! += times;
    this.sum += value * times;
  }
}

/** Durations of one operation, by outcome. */
export class OutcomeTimes {
  readonly #make: (success: boolean) => Histogram;
  #success: Histogram | undefined = undefined;
  #failure: Histogram | undefined = undefined;

  /** `make` gives the histogram of an outcome, in seconds; called at its first observation. */
  constructor(make: (success: boolean) => Histogram) {
    this.#make = make;
  }

  observe(success: boolean, ms: number): void {
    if (success) {
      this.#success ??= this.#make(true);
      this.#success.observe(ms / 1000);
    } else {
      this.#failure ??= this.#make(false);
      this.#failure.observe(ms / 1000);
    }
  }
}

/** `count` bounds from `start`, each `factor` times the one before. */
export function exponentialBounds(start: number, factor: number, count: number): number[] {
  const bounds: number[] = [];
  for (let bound = start; bounds.length < count; bound *= factor) bounds.push(bound);
  return bounds;
}

/**
 * Most label combinations of one family. A label that a client chooses must not fill the memory;
 * combinations beyond share one child, whose labels all read `other`.
 */
export const FAMILY_CHILDREN_MAX = 1_000;

/** The records of one metric, by label values. Keep the child at hand on hot paths. */
export class MetricFamily<Metric> {
  readonly #children = new Map<string, { readonly labels: readonly string[]; metric: Metric }>();
  readonly #labelCount: number;
  readonly #make: () => Metric;

  constructor(labelCount: number, make: () => Metric) {
    this.#labelCount = labelCount;
    this.#make = make;
  }

  /** The record of these label values, in the order of the names; made at the first call. */
  with(...labels: readonly string[]): Metric {
    invariant(labels.length === this.#labelCount, 'a label value for every label name');
    // Each part says its length, so that no two lists of labels join to the same key.
    const key = labels.map((label) => `${label.length}:${label}`).join('');
    const known = this.#children.get(key);
    if (known !== undefined) return known.metric;
    if (this.#children.size >= FAMILY_CHILDREN_MAX && labels.some((label) => label !== OTHER)) {
      return this.with(...labels.map(() => OTHER));
    }
    const metric = this.#make();
    this.#children.set(key, { labels: [...labels], metric });
    return metric;
  }

  children(): Iterable<{ readonly labels: readonly string[]; readonly metric: Metric }> {
    return this.#children.values();
  }
}

const OTHER = 'other';
