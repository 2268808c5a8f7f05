// Rests of work that shares its disk with others: as long as the work before them took, times a factor.

import { invariant } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import { REST_MS_MAX } from '../limits.ts';

export class Rests {
  readonly #env: Pick<Env, 'clock' | 'timers'>;
  readonly #factor: number;
  #beganMs = 0;

  /** With a factor of 0 there is none. */
  constructor(env: Pick<Env, 'clock' | 'timers'>, factor: number) {
    invariant(factor >= 0, 'a rest has a length');
    this.#env = env;
    this.#factor = factor;
  }

  /** The work begins that the next {@link rest} is for. */
  begin(): void {
    this.#beganMs = this.#env.clock.monotonicMs();
  }

  async rest(): Promise<void> {
    if (this.#factor === 0) return;
    const { clock, timers } = this.#env;
    const tookMs = clock.monotonicMs() - this.#beganMs;
    const restMs = Math.min(tookMs * this.#factor, REST_MS_MAX);
    await new Promise<void>((resolve) => timers.after(restMs, resolve));
  }
}
