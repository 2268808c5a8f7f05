import type { Clock, Timers } from '../../env/index.ts';
import { SLICE_MS } from '../limits.ts';

/** Gives the turn back when a piece of background work has used up its slice. */
export class Slices {
  readonly #clock: Clock;
  readonly #timers: Timers;
  #endMs: number;

  constructor(env: { readonly clock: Clock; readonly timers: Timers }) {
    this.#clock = env.clock;
    this.#timers = env.timers;
    this.#endMs = env.clock.monotonicMs() + SLICE_MS;
  }

  /** Whether the slice is used up: then await {@link next}. */
  get isOver(): boolean {
    return this.#clock.monotonicMs() >= this.#endMs;
  }

  /** Resolves in a later turn, with a fresh slice. */
  async next(): Promise<void> {
    await this.#timers.nextTurn();
    this.#endMs = this.#clock.monotonicMs() + SLICE_MS;
  }
}
