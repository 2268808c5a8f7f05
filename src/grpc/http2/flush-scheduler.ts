// Flushes every connection with pending output once per turn of the event loop: the frames of all calls
// answered in the turn are one write.

import type { Timers } from '../../env/index.ts';

export interface Flushable {
  flushTurn(): void;
}

/** One per server or channel. */
export class FlushScheduler {
  #waiting: Flushable[] = [];
  #spare: Flushable[] = [];
  readonly #timers: Timers;
  readonly #run: () => void;

  constructor(timers: Timers) {
    this.#timers = timers;
    this.#run = () => this.#flushAll();
  }

  /** Schedules a flush of `connection`; called once until it is flushed. */
  add(connection: Flushable): void {
    this.#waiting.push(connection);
    if (this.#waiting.length === 1) this.#timers.atEndOfTurn(this.#run);
  }

  #flushAll(): void {
    const batch = this.#waiting;
    this.#waiting = this.#spare;
    for (const connection of batch) connection.flushTurn();
    batch.length = 0;
    this.#spare = batch;
  }
}
