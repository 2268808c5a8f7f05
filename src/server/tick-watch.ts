// Whether raft's clock has ticked regularly for long enough that this member's idea of who leads can be
// trusted. A process that was paused may have been replaced as leader without knowing. The first tick
// after the pause proves nothing, and it may come before the requests that have waited: only when so
// many ticks have passed that raft would have stepped down by itself is all well again.

import { STALE_TICKS_MAX } from './limits.ts';

export interface TickWatchOptions {
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly nowMs: number;
}

export class TickWatch {
  readonly #staleMs: number;
  /** Raft's check of the quorum fails at the second election timeout at the latest. */
  readonly #doubtfulTicks: number;
  #tickedMs: number;
  /** Ticks until nothing speaks for a pause any more. */
  #doubt = 0;

  constructor({ heartbeatMs, electionMs, nowMs }: TickWatchOptions) {
    this.#staleMs = STALE_TICKS_MAX * heartbeatMs;
    this.#doubtfulTicks = 2 * Math.ceil(electionMs / heartbeatMs) + 1;
    this.#tickedMs = nowMs;
  }

  tick(nowMs: number): void {
    if (this.#isStale(nowMs)) this.#doubt = this.#doubtfulTicks;
    else if (this.#doubt > 0) this.#doubt--;
    this.#tickedMs = nowMs;
  }

  isRegular(nowMs: number): boolean {
    return this.#doubt === 0 && !this.#isStale(nowMs);
  }

  #isStale(nowMs: number): boolean {
    return nowMs - this.#tickedMs > this.#staleMs;
  }
}
