// A clock that reads the real one once per turn of the event loop: two reads per request would be a few
// percent of its cost.

import { invariant } from '../../base/index.ts';
import type { Clock, Timers } from '../../env/index.ts';

/** Late by the duration of the current turn at most, for uses that tolerate this. */
export class CoarseClock implements Clock {
  readonly #clock: Clock;
  readonly #timers: Pick<Timers, 'atEndOfTurn'>;
  #nowMs = 0;
  #isFresh = false;
  #isScheduled = false;
  #pins = 0;

  constructor(clock: Clock, timers: Pick<Timers, 'atEndOfTurn'>) {
    this.#clock = clock;
    this.#timers = timers;
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  monotonicMs(): number {
    if (!this.#isFresh) {
      this.#isFresh = true;
      this.#nowMs = this.#clock.monotonicMs();
      if (this.#pins === 0 && !this.#isScheduled) {
        this.#isScheduled = true;
        this.#timers.atEndOfTurn(this.#forget);
      }
    }
    return this.#nowMs;
  }

  /** Time has passed within this turn: the next look is exact. */
  lookAgain(): void {
    this.#isFresh = false;
  }

  /** Until as many calls of {@link unpin}, in this turn: the look is kept for so long, at no other cost. */
  pin(): void {
    this.#pins++;
  }

  unpin(): void {
    invariant(this.#pins > 0, 'what is unpinned was pinned');
    this.#pins--;
    if (this.#pins === 0) this.#isFresh = false;
  }

  readonly #forget = (): void => {
    this.#isScheduled = false;
    this.#isFresh = false;
  };
}
