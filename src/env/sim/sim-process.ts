// A process: every callback into its code goes through here, so that it can be paused and killed.

import type { Timer, Timers } from '../index.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimClock } from './sim-clock.ts';

/** What calls into a process must know of it. */
export interface Callable {
  /** Calls now; when the process resumes, if it is paused; or never, if it is dead. */
  enter(callback: () => void): void;
  /** Whether `enter` would call now. */
  readonly running: boolean;
}

export class SimProcess implements Timers, Callable {
  readonly #scheduler: Scheduler;
  readonly #clock: SimClock;
  #dead = false;
  #paused = false;
  #resuming = false;
  /** What was due while it was paused, in order. */
  #held: (() => void)[] = [];

  constructor(scheduler: Scheduler, clock: SimClock) {
    this.#scheduler = scheduler;
    this.#clock = clock;
  }

  get dead(): boolean {
    return this.#dead;
  }

  get running(): boolean {
    return !this.#dead && !this.#paused;
  }

  enter(callback: () => void): void {
    if (this.#dead) return;
    if (this.#paused) this.#held.push(callback);
    else callback();
  }

  pause(): void {
    this.#paused = true;
    this.#resuming = false;
  }

  resume(): void {
    if (!this.#paused || this.#resuming) return;
    this.#resuming = true;
    this.#catchUp();
  }

  /**
   * What was held comes one by one, each in its own event, so that the code it wakes runs before
   * the next; what falls due meanwhile queues up behind it.
   */
  #catchUp(): void {
    if (!this.#resuming) return;
    const callback = this.#held.shift();
    if (callback === undefined) {
      this.#paused = false;
      this.#resuming = false;
      return;
    }
    callback();
    this.#scheduler.after(0, () => this.#catchUp());
  }

  die(): void {
    this.#dead = true;
    this.#resuming = false;
    this.#held = [];
  }

  // --- Timers, on the clock of the machine -------------------------------------------------------

  after(delayMs: number, callback: () => void): Timer {
    const timer = new ProcessTimer(callback);
    this.#arm(timer, this.#clock.monotonicMs() + delayMs);
    return timer;
  }

  #arm(timer: ProcessTimer, dueMs: number): void {
    const leftMs = Math.max(0, dueMs - this.#clock.monotonicMs());
    timer.event = this.#scheduler.after(leftMs / this.#clock.rate, () => {
      // The clock may have been slowed down since.
      if (dueMs - this.#clock.monotonicMs() > CLOCK_ERROR_MS) this.#arm(timer, dueMs);
      else this.enter(() => timer.fire());
    });
  }

  atEndOfTurn(callback: () => void): void {
    this.#scheduler.atEndOfTurn(() => this.enter(callback));
  }

  nextTurn(): Promise<void> {
    return new Promise((resolve) => this.atEndOfTurn(resolve));
  }
}

/** What adding and multiplying may lose. */
const CLOCK_ERROR_MS = 1e-6;

class ProcessTimer implements Timer {
  event: Timer | undefined = undefined;
  #callback: (() => void) | undefined;

  constructor(callback: () => void) {
    this.#callback = callback;
  }

  fire(): void {
    const callback = this.#callback;
    this.#callback = undefined;
    callback?.();
  }

  cancel(): void {
    this.#callback = undefined;
    this.event?.cancel();
  }
}
