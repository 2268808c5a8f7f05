// The newest events of a watch, so that a watcher that is a little late, or slow for a moment, is
// caught up without asking the cluster again.

import { RECENT_BYTES_MAX, RECENT_BYTES_TOTAL_MAX, RECENT_RUNS_MAX } from '../limits.ts';
import type { EventRun } from './event-run.ts';

/** What the runs of all watches take. */
interface RecentBytes {
  value: number;
}

export class RecentRuns {
  /** All events of the range at this revision or later that the watch has had are here. */
  from = 0;
  readonly #runs: EventRun[] = [];
  readonly #total: RecentBytes;
  #bytes = 0;

  constructor(total: RecentBytes) {
    this.#total = total;
  }

  add(run: EventRun): void {
    this.#runs.push(run);
    this.#count(run.byteCount);
    while (this.#isTooMuch()) {
      const oldest = this.#runs.shift();
      if (oldest === undefined) return;
      this.#count(-oldest.byteCount);
      this.from = oldest.lastRevision + 1;
    }
  }

  /** Calls `take` with the runs that have events at `revision` or later, while it returns true. */
  replay(revision: number, take: (run: EventRun) => boolean): void {
    let first = this.#runs.length;
    while (first > 0 && this.#runs[first - 1]!.lastRevision >= revision) first--;
    for (; first < this.#runs.length; first++) if (!take(this.#runs[first]!)) return;
  }

  clear(): void {
    this.#runs.length = 0;
    this.#count(-this.#bytes);
  }

  #isTooMuch(): boolean {
    return (
      this.#bytes > RECENT_BYTES_MAX ||
      this.#runs.length > RECENT_RUNS_MAX ||
      (this.#total.value > RECENT_BYTES_TOTAL_MAX && this.#runs.length > 0)
    );
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#total.value += bytes;
  }
}
