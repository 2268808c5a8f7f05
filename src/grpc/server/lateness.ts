// Whether this process was stopped, starved or busy a moment ago. What then arrives in one burst was
// sent by clients over a longer time, and must not count against them.

import type { Clock, Timer, Timers } from '../../env/index.ts';
import { LATE_BEAT_MS, LATE_BEAT_SLACK_MS, LATE_GRACE_MS, LATE_MS_MIN } from '../limits.ts';

export class Lateness {
  readonly #clock: Clock;
  readonly #timers: Timers;
  #timer: Timer | undefined = undefined;
  /** When the timer is due. Also checked without the timer, since input may be handled before it. */
  #dueMs = Number.POSITIVE_INFINITY;
  #graceUntilMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, timers: Timers) {
    this.#clock = clock;
    this.#timers = timers;
  }

  /** Starts the checks; no effect if they run. */
  start(): void {
    if (this.#timer === undefined) this.#beat();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#dueMs = Number.POSITIVE_INFINITY;
  }

  /** Whether the process is late, or was within `LATE_GRACE_MS`. */
  isLate(nowMs: number): boolean {
    if (nowMs - this.#dueMs > LATE_MS_MIN) this.#graceUntilMs = nowMs + LATE_GRACE_MS;
    return nowMs < this.#graceUntilMs;
  }

  #beat(): void {
    const nowMs = this.#clock.monotonicMs();
    this.isLate(nowMs);
    this.#dueMs = nowMs + LATE_BEAT_MS;
    this.#timer = this.#timers.after(LATE_BEAT_MS, () => this.#beat(), LATE_BEAT_SLACK_MS);
  }
}
