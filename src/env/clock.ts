/** Clocks of a process, in milliseconds: wall time for what is shown, monotonic time for durations. */
export interface Clock {
  /**
   * Milliseconds, with fraction where it is known, since the Unix epoch. May jump either way; never
   * used to measure a duration.
   */
  wallMs(): number;
  /** Milliseconds, with fraction, since an arbitrary start. Never goes back. */
  monotonicMs(): number;
}

/** Handle of one pending call of {@link Timers.after}. */
export interface Timer {
  /** The callback will not run after this. Safe to call at any time, any number of times. */
  cancel(): void;
}

/** Scheduling of callbacks. Callbacks run on the event loop, never inside the scheduling call. */
export interface Timers {
  /**
   * Runs `callback` once, no earlier than `delayMs` (0 to 2^31-1) from now. With `slackMs` it may come
   * up to so much later, together with another timer, so that an idle process wakes up less often.
   */
  after(delayMs: number, callback: () => void, slackMs?: number): Timer;
  /**
   * Runs `callback` once after all input that this turn of the event loop delivers. The ready loop
   * and the connections use it to do work once per turn for many events.
   */
  atEndOfTurn(callback: () => void): void;
  /** Resolves in a later turn, after input and timers had their chance: the seam between slices. */
  nextTurn(): Promise<void>;
}
