// A clock that is read once per turn of the event loop: reading the real one twice per request is a
// few percent of what a request costs.

import type { Clock, Timers } from '../../env/index.ts';

/** Late by at most the duration of the turn so far; only for uses that may be that coarse. */
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

  readonly #forget = (): void => {
    this.#isFresh = false;
  };
}
