// The clocks of one machine: both may run fast or slow, and the wall clock may be wrong.

import { invariant } from '../../base/index.ts';
import type { Clock } from '../index.ts';
import type { Scheduler } from './scheduler.ts';

/** Where wall clocks begin: an arbitrary moment in 2023. */
const WALL_START_MS = 1_700_000_000_000;

/** A clock on simulated time that may drift and jump. */
export class SimClock implements Clock {
  readonly #scheduler: Scheduler;
  #wallOffsetMs = WALL_START_MS;
  /** Milliseconds of this clock in one of the world's. */
  #rate = 1;
  /** What both clocks showed when the rate was set. */
  #sinceWorldMs = 0;
  #sinceMs = 0;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  get rate(): number {
    return this.#rate;
  }

  wallMs(): number {
    return Math.floor(this.#wallOffsetMs + this.monotonicMs());
  }

  monotonicMs(): number {
    return this.#sinceMs + (this.#scheduler.nowMs - this.#sinceWorldMs) * this.#rate;
  }

  /** The wall clock jumps, forward or (negative) back. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** From now on the clocks show `rate` milliseconds for each of the world's. */
  drift(rate: number): void {
    invariant(rate > 0, 'SimClock: a clock that stands still');
    this.#sinceMs = this.monotonicMs();
    this.#sinceWorldMs = this.#scheduler.nowMs;
    this.#rate = rate;
  }
}
