// Fair sharing of turns of the event loop among connections. A connection that has caused its share of
// work in a turn (`inputWorkPerTurn`) buffers the rest of its input, is not read from, and continues in
// a later turn. One waiting connection continues per turn, so that turns stay short with many of them.

import type { Timers } from '../../env/index.ts';

export interface Continuable {
  /** Reads the buffered input, with a new share; may wait for another turn. */
  continueInput(): void;
}

/** One per server or channel. */
export class InputTurns {
  /** Incremented when a waiting connection has had its turn: older shares are void. */
  turn = 0;
  readonly #waiting: Continuable[] = [];
  #scheduled = false;
  readonly #timers: Pick<Timers, 'atEndOfTurn'>;
  readonly #run: () => void;

  constructor(timers: Pick<Timers, 'atEndOfTurn'>) {
    this.#timers = timers;
    this.#run = () => this.#continue();
  }

  /** Queues `connection`; called once until it is continued. */
  add(connection: Continuable): void {
    this.#waiting.push(connection);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.length === 0) return;
    this.#scheduled = true;
    this.#timers.atEndOfTurn(this.#run);
  }

  #continue(): void {
    this.#scheduled = false;
    this.turn++;
    const next = this.#waiting.shift();
    this.#schedule();
    next?.continueInput();
  }
}
