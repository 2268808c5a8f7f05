// A duty that is done at an interval.

import type { Timer, Timers } from '../../env/index.ts';

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
    this.#timer = this.#timers.after(this.#intervalMs, () => {
      this.start();
      this.#work();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }
}
