// CPU work in slices: a long loop asks `isOver` between units of work that are small themselves, and
// when the slice is over awaits `next()`, which lets input, timers and other work run.

/**
 * Milliseconds of CPU in one slice of background work. A put waits for three or four turns of the event
 * loop, and each may hold a slice.
 */
const SLICE_MS = 1;

/** What slices need of `Env`. */
export interface SliceEnv {
  readonly clock: { monotonicMs(): number };
  readonly timers: { nextTurn(): Promise<void> };
}

/** The time slices of one piece of work; the first begins with the constructor. */
export class Slices {
  readonly #env: SliceEnv;
  readonly #sliceMs: number;
  #endMs: number;

  constructor(env: SliceEnv, sliceMs: number = SLICE_MS) {
    this.#env = env;
    this.#sliceMs = sliceMs;
    this.#endMs = env.clock.monotonicMs() + sliceMs;
  }

  /** Whether the slice has used up its time: then await {@link next}. */
  get isOver(): boolean {
    return this.#env.clock.monotonicMs() >= this.#endMs;
  }

  /** Ends the slice; resolves in a later turn of the event loop, in which the next one begins. */
  async next(): Promise<void> {
    await this.#env.timers.nextTurn();
    this.restart();
  }

  /** Begins a slice without a turn: after any other `await`, which has let others run already. */
  restart(): void {
    this.#endMs = this.#env.clock.monotonicMs() + this.#sliceMs;
  }
}
