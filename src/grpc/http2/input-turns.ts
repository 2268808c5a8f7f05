// Turns of the event loop shared among connections. A connection that has caused its share of work in
// a turn (`inputWorkPerTurn`) keeps the rest of its input, is not read from, and goes on in a later turn.
// One of those that wait goes on per turn, so that a turn is as short with many of them as with one.

import type { Timers } from '../../env/index.ts';

export interface Continuable {
  /** Reads what was kept, with a new share; may ask for another turn. */
  continueInput(): void;
}

/** One per server or channel. */
export class InputTurns {
  /** Moves whenever a connection that waited has had its turn: shares begun before are over. */
  turn = 0;
  readonly #waiting: Continuable[] = [];
  #scheduled = false;
  readonly #timers: Pick<Timers, 'atEndOfTurn'>;
  readonly #run: () => void;

  constructor(timers: Pick<Timers, 'atEndOfTurn'>) {
    this.#timers = timers;
    this.#run = () => this.#continue();
  }

  /** The caller waits once until it is continued. */
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
