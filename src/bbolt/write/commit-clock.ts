// Where the time of a commit goes, in bbolt's three parts: rebalancing, spilling, writing.

import type { Clock } from '../../env/index.ts';
import type { CommitTimes } from '../api.ts';

export class CommitClock {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #startMs: number;
  #rebalanceMs = 0;
  #writeMs = 0;
  #spillMs = 0;
  #builtMs: number | undefined;

  /** The commit begins now. */
  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
    this.#startMs = clock.monotonicMs();
  }

  async rebalancing(work: () => Promise<void>): Promise<void> {
    const began = this.#clock.monotonicMs();
    await work();
    this.#rebalanceMs += this.#clock.monotonicMs() - began;
  }

  /** Writes in the course of the build are no part of the spill. */
  async writing(work: () => Promise<void>): Promise<void> {
    const began = this.#clock.monotonicMs();
    await work();
    this.#writeMs += this.#clock.monotonicMs() - began;
  }

  /** Every page is built: what follows is writing. */
  built(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#builtMs = nowMs;
    this.#spillMs = Math.max(0, nowMs - this.#startMs - this.#rebalanceMs - this.#writeMs);
  }

  /** The commit has ended. */
  times(): CommitTimes {
    const sinceBuiltMs =
      this.#builtMs === undefined ? 0 : this.#clock.monotonicMs() - this.#builtMs;
    return {
      rebalanceMs: this.#rebalanceMs,
      spillMs: this.#spillMs,
      writeMs: this.#writeMs + sinceBuiltMs,
    };
  }
}
