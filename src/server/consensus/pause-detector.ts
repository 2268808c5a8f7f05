// Detects pauses of this process: it was stopped, or a turn took very long. Others may have elected a
// leader during one, so that a leader must confirm its leadership after it.

import type { Clock } from '../../env/index.ts';

export class PauseDetector {
  readonly #clock: Clock;
  readonly #limitMs: number;
  /** On the monotonic clock. */
  #noticedMs: number;
  /** Number of pauses, and the number of them at the last confirmation. */
  #count = 0;
  #confirmed = 0;

  /** A pause is longer than `limitMs`. */
  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#noticedMs = clock.monotonicMs();
  }

  /** Called at every tick, and before each use, which may come before the first tick after a pause. */
  notice(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#noticedMs > this.#limitMs) this.#count++;
    this.#noticedMs = nowMs;
  }

  /** Whether there was no pause since the last confirmation. */
  get areConfirmed(): boolean {
    this.notice();
    return this.#count === this.#confirmed;
  }

  /** Runs `ask`, a round with the other members; if it succeeds, pauses before it are confirmed. */
  async confirm(ask: () => Promise<boolean>): Promise<boolean> {
    this.notice();
    const count = this.#count;
    const isConfirmed = await ask();
    if (isConfirmed) this.#confirmed = Math.max(this.#confirmed, count);
    return isConfirmed;
  }
}
