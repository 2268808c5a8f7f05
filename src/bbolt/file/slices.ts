// CPU work in slices: long loops ask `due` between units of work that are small themselves, and when
// it says so await `turn()`, which lets input, timers and others run.

import type { Env } from '../../env/index.ts';
import { SLICE_MS } from '../limits.ts';

export type SliceEnv = Pick<Env, 'clock' | 'timers'>;

export class Slices {
  readonly #env: SliceEnv;
  #startedMs: number;

  constructor(env: SliceEnv) {
    this.#env = env;
    this.#startedMs = env.clock.monotonicMs();
  }

  /** Whether this slice has used up its time. */
  get due(): boolean {
    return this.#env.clock.monotonicMs() - this.#startedMs >= SLICE_MS;
  }

  /** Ends the slice; resolves in a later turn of the event loop, in which the next one begins. */
  async turn(): Promise<void> {
    await this.#env.timers.nextTurn();
    this.restart();
  }

  /** A slice begins: to be called after any other `await`. */
  restart(): void {
    this.#startedMs = this.#env.clock.monotonicMs();
  }
}
