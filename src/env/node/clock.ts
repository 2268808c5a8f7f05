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
  return new NodeTimers();
}

class NodeTimers implements Timers {
  /** Timers with slack. Each has a timeout of its own for the latest moment. */
  readonly #patient = new Set<PatientTimer>();
  /** When the first of these is due, or earlier. */
  #patientDueMs = Number.POSITIVE_INFINITY;

  after(delayMs: number, callback: () => void, slackMs = 0): Timer {
    invariant(delayMs >= 0 && delayMs <= DELAY_MS_MAX, 'timers.after: delay out of range');
    invariant(slackMs >= 0, 'timers.after: slack out of range');
    if (slackMs === 0) return new NodeTimer(delayMs, this, callback);
    const latestMs = Math.min(delayMs + slackMs, DELAY_MS_MAX);
    const timer = new PatientTimer(delayMs, latestMs, this, this.#patient, callback);
    this.#patientDueMs = Math.min(this.#patientDueMs, timer.dueMs);
    return timer;
  }

  // The check phase follows the poll phase, which delivers the input of a turn.
  atEndOfTurn(callback: () => void): void {
    setImmediate(callback);
  }

  // Asked for in a check phase (every slice but the first is), the next check phase comes after
  // the timers and the input of a whole turn.
  nextTurn(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(resolve);
    });
  }

  /** A timer has run: those with slack that are due run with it. */
  runPatient(): void {
    const nowMs = performance.now();
    if (nowMs < this.#patientDueMs) return;
    const due: PatientTimer[] = [];
    this.#patientDueMs = Number.POSITIVE_INFINITY;
    for (const timer of this.#patient) {
      if (timer.dueMs <= nowMs) due.push(timer);
      else this.#patientDueMs = Math.min(this.#patientDueMs, timer.dueMs);
    }
    for (const timer of due) timer.runNow();
  }
}

/**
 * Node counts a timeout from the beginning of the turn that asked for it and cuts fractions off, so
 * a timeout set late in a long turn comes early. "No earlier than" is kept by looking at the clock.
 */
class NodeTimer implements Timer {
  readonly #timers: NodeTimers;
  readonly #callback: () => void;
  readonly #dueMs: number;
  #handle: NodeJS.Timeout;

  constructor(delayMs: number, timers: NodeTimers, callback: () => void) {
    this.#timers = timers;
    this.#callback = callback;
    this.#dueMs = performance.now() + delayMs;
    this.#handle = setTimeout(this.#fire, timeoutMs(delayMs));
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }

  readonly #fire = (): void => {
    const leftMs = this.#dueMs - performance.now();
    if (leftMs > 0) {
      this.#handle = setTimeout(this.#fire, Math.ceil(leftMs));
      return;
    }
    this.#callback();
    this.#timers.runPatient();
  };
}

/** A timer with slack: it runs after another one, or at its latest moment. */
class PatientTimer implements Timer {
  readonly dueMs: number;
  readonly #all: Set<PatientTimer>;
  readonly #callback: () => void;
  readonly #latest: NodeTimer;

  constructor(
    delayMs: number,
    latestMs: number,
    timers: NodeTimers,
    all: Set<PatientTimer>,
    callback: () => void,
  ) {
    this.dueMs = performance.now() + delayMs;
    this.#all = all;
    this.#callback = callback;
    this.#latest = new NodeTimer(latestMs, timers, this.runNow);
    all.add(this);
  }

  /** No effect after it has run or was cancelled. */
  readonly runNow = (): void => {
    if (!this.#all.has(this)) return;
    this.cancel();
    this.#callback();
  };

  cancel(): void {
    this.#latest.cancel();
    this.#all.delete(this);
  }
}

/** Delays from which a millisecond more does not matter, as a second wake-up for a fraction of one would. */
const LONG_MS = 50;

function timeoutMs(delayMs: number): number {
  return Math.min(Math.ceil(delayMs) + (delayMs >= LONG_MS ? 1 : 0), DELAY_MS_MAX);
}
