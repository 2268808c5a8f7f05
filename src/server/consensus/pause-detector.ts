// Pauses of this process: it was stopped, or its turn took very long. Others may have
// elected a leader meanwhile, so what a member then says as leader it must have confirmed first.

import type { Clock } from '../../env/index.ts';

export class PauseDetector {
  readonly #clock: Clock;
  readonly #limitMs: number;
  /** On the monotonic clock. */
  #noticedMs: number;
  /** How many there were, and how many of them when the others last confirmed what is known here. */
  #count = 0;
  #confirmed = 0;

  /** A pause is longer than `limitMs`. */
  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#noticedMs = clock.monotonicMs();
  }

  /** Called at every tick; a question before the first tick after a pause notices it too. */
  notice(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#noticedMs > this.#limitMs) this.#count++;
    this.#noticedMs = nowMs;
  }

  /** Whether nothing has passed unnoticed since the others were asked. */
  get areConfirmed(): boolean {
    this.notice();
    return this.#count === this.#confirmed;
  }

  /** Whether `ask`, which asks the others, succeeds; it confirms what is known since it began. */
  async confirm(ask: () => Promise<boolean>): Promise<boolean> {
    this.notice();
    const count = this.#count;
    const isConfirmed = await ask();
    if (isConfirmed) this.#confirmed = Math.max(this.#confirmed, count);
    return isConfirmed;
  }
}
