// A duty that is done at an interval, or a little later, with other timers: an idle member wakes up less.

import type { Timer, Timers } from '../../env/index.ts';
import { INTERVAL_SLACK } from '../limits.ts';

export class Periodic {
  readonly #timers: Timers;
  readonly #intervalMs: number;
  readonly #work: () => void;
  #timer: Timer | undefined;

  constructor(timers: Timers, intervalMs: number, work: () => void) {
    this.#timers = timers;
    this.#intervalMs = intervalMs;
    this.#work = work;
  }

  start(): void {
    const again = () => {
      this.start();
      this.#work();
    };
    this.#timer = this.#timers.after(this.#intervalMs, again, INTERVAL_SLACK * this.#intervalMs);
  }

  stop(): void {
    this.#timer?.cancel();
  }
}
