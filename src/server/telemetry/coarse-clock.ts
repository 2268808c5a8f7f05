// A clock that reads the real one once per turn of the event loop: two reads per request would be a few
// percent of its cost.

import type { Clock, Timers } from '../../env/index.ts';

/** Late by the duration of the current turn at most, for uses that tolerate this. */
export class CoarseClock implements Clock {
  readonly #clock: Clock;
  readonly #timers: Pick<Timers, 'atEndOfTurn'>;
  #nowMs = 0;
  #isFresh = false;

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
      this.#timers.atEndOfTurn(this.#forget);
    }
    return this.#nowMs;
  }

  /** Time has passed within this turn: the next look is exact. */
  lookAgain(): void {
    this.#isFresh = false;
  }

  readonly #forget = (): void => {
    this.#isFresh = false;
  };
}
