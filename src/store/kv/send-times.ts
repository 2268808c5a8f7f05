// Times in which watch streams take the events of a revision. Hot: once per watcher and batch, so that
// streams only count; what is sent together is timed together, and each response gets the mean.

import type { Clock } from '../../env/index.ts';
import type { StoreMetrics } from '../metrics.ts';

export class SendTimes {
  /** Responses, and events in them, since the last {@link measure}; the streams add to both. */
  responses = 0;
  events = 0;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #metrics: StoreMetrics['watch'];

  constructor(clock: Pick<Clock, 'monotonicMs'>, metrics: StoreMetrics['watch']) {
    this.#clock = clock;
    this.#metrics = metrics;
  }

  /** Runs what offers events to streams. */
  measure<T>(send: () => T): T {
    const began = this.#clock.monotonicMs();
    const result = send();
    const { responses, events } = this;
    if (responses === 0) return result;
    const seconds = (this.#clock.monotonicMs() - began) / 1000;
    this.#metrics.responseSeconds.observeMany(seconds / responses, responses);
    this.#metrics.eventSeconds.observeMany(seconds / Math.max(events, 1), responses);
    this.responses = 0;
    this.events = 0;
    return result;
  }
}
