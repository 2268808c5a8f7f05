import { performance } from 'node:perf_hooks';
import { invariant } from '../../base/index.ts';
import type { Clock, Timer, Timers } from '../clock.ts';

/** Longest delay Node's timers take; beyond it they would fire at once. */
const DELAY_MS_MAX: number = 2 ** 31 - 1;

/** Below a millisecond, by more than the rounding of a number of today's size. */
const ALMOST_MS = 0.9995;

/** The clocks of this machine; both with fractions of a millisecond. */
export function createNodeClock(): Clock {
  // The wall clock at the monotonic clock's zero, as well as it is known.
  let originMs = performance.timeOrigin;
  return {
    // The system's wall clock is read in whole milliseconds; what is below comes from the monotonic
    // clock. Where the two disagree (it was set, or runs at another rate) the wall clock is right.
    wallMs(): number {
      const wholeMs = Date.now();
      const monotonicMs = performance.now();
      const aheadMs = originMs + monotonicMs - wholeMs;
      const partMs = Math.min(Math.max(aheadMs, 0), ALMOST_MS);
      originMs += partMs - aheadMs;
      return wholeMs + partMs;
    },
    monotonicMs: () => performance.now(),
  };
}

/** The timers of this process; one that waits keeps the process alive. */
export function createNodeTimers(): Timers {
  return {
    after(delayMs: number, callback: () => void): Timer {
      invariant(delayMs >= 0 && delayMs <= DELAY_MS_MAX, 'timers.after: delay out of range');
      return new NodeTimer(delayMs, callback);
    },
    // The check phase follows the poll phase, which delivers the input of a turn.
    atEndOfTurn(callback: () => void): void {
      setImmediate(callback);
    },
    // Asked for in a check phase (every slice but the first is), the next check phase comes after
    // the timers and the input of a whole turn.
    nextTurn(): Promise<void> {
      return new Promise((resolve) => {
        setImmediate(resolve);
      });
    },
  };
}

/**
 * Node counts a timeout from the beginning of the turn that asked for it and cuts fractions off, so
 * a timeout set late in a long turn comes early. "No earlier than" is kept by looking at the clock.
 */
class NodeTimer implements Timer {
  readonly #callback: () => void;
  readonly #dueMs: number;
  #handle: NodeJS.Timeout;

  constructor(delayMs: number, callback: () => void) {
    this.#callback = callback;
    this.#dueMs = performance.now() + delayMs;
    this.#handle = setTimeout(this.#fire, Math.ceil(delayMs));
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }

  readonly #fire = (): void => {
    const leftMs = this.#dueMs - performance.now();
    if (leftMs > 0) this.#handle = setTimeout(this.#fire, Math.ceil(leftMs));
    else this.#callback();
  };
}
