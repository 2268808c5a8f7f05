// Turns of the event loop shared among connections. A connection that has caused its share of work in
// a turn (`inputWorkPerTurn`) keeps the rest of its input, is not read from, and goes on in a later turn,
// in the order in which connections came to this point: whoever floods waits for all others.

import type { Timers } from '../../env/index.ts';
import { CONTINUED_PER_TURN_MAX } from '../limits.ts';

export interface Continuable {
  /** Reads what was kept, with a new share; may ask for another turn. */
  continueInput(): void;
}

/** One per server or channel. */
export class InputTurns {
  /** Moves whenever connections that waited have had a turn: shares begun before are over. */
  turn = 0;
  #waiting: Continuable[] = [];
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
    const due = this.#waiting.splice(0, CONTINUED_PER_TURN_MAX);
    try {
      for (let next = due.shift(); next !== undefined; next = due.shift()) next.continueInput();
    } finally {
      // Only after an error of the embedding program is anybody left.
      this.#waiting = due.concat(this.#waiting);
      this.#schedule();
    }
  }
}
