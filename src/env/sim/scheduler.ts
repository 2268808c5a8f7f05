// Simulated time: one queue of events, ordered by time and then by the order of the requests, and the
// turns of a simulated event loop.
//
// A turn is what a real event loop does in one go: it delivers every event that is due when the turn
// begins (timers, completed disk operations, arrived bytes), then runs what was asked for with
// `atEndOfTurn`, once. What these ask for in their turn, even "at once", belongs to the next turn.
// Each turn takes TURN_MS. When nothing is due, time leaps to the next event.
//
// How `await` works in here. Simulated operations return ordinary promises, and code under test
// awaits them as usual. Something must alternate between events and the code that they wake: the
// pump. It runs one event, then lets a real `setImmediate` pass, by which the platform has run every
// promise continuation that the event caused, however long the chain, then runs the next event. The
// order of everything is thus a function of the seed, as long as the code does no real input/output.
//
// Two ways to drive it:
// - `run(body)` and its kin pump until the body's promise settles, and report a body that waits for
//   an event that will never come.
// - On its own (`autoRun`, the default) an event that is requested outside of `run` starts its own
//   pump, so that plain awaits in a plain test work. It stops when no event is left;
//   with periodic timers call `stop()` at the end.

import { fail, invariant } from '../../base/index.ts';
import type { Timer, Timers } from '../index.ts';
import { EVENTS_PER_RUN_MAX, TURN_MS } from './limits.ts';

class SimEvent implements Timer {
  readonly atMs: number;
  readonly sequence: number;
  callback: (() => void) | undefined;

  constructor(atMs: number, sequence: number, callback: () => void) {
    this.atMs = atMs;
    this.sequence = sequence;
    this.callback = callback;
  }

  cancel(): void {
    this.callback = undefined;
  }
}

interface SchedulerOptions {
  readonly autoRun?: boolean;
}

/** Simulated time: runs what is due in order, one after the other. */
export class Scheduler implements Timers {
  #nowMs = 0;
  #sequence = 0;
  /** Binary heap by (atMs, sequence). */
  readonly #events: SimEvent[] = [];
  /** Callbacks of the end of the turn that is ending, from `#endingNext` on. */
  #ending: (() => void)[] = [];
  #endingNext = 0;
  /** Callbacks for the end of this turn, or of the next one while one is ending. */
  #asked: (() => void)[] = [];
  /** Events with a lower sequence were requested before this turn began. */
  #turnSequence = 0;
  readonly #autoRun: boolean;
  #pumping = false;
  #autoStepArmed = false;
  #stopped = false;
  #fingerprint = 0;
  #eventCount = 0;

  constructor(options: SchedulerOptions = {}) {
    this.#autoRun = options.autoRun ?? true;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Number of events that have run. */
  get eventCount(): number {
    return this.#eventCount;
  }

  /** Hash over all events that have run: equal for two equal runs. */
  get fingerprint(): number {
    return this.#fingerprint >>> 0;
  }

  after(delayMs: number, callback: () => void): Timer {
    invariant(delayMs >= 0, 'Scheduler.after: negative delay');
    const event = new SimEvent(this.#nowMs + delayMs, this.#sequence++, callback);
    push(this.#events, event);
    this.#wake();
    return event;
  }

  atEndOfTurn(callback: () => void): void {
    this.#asked.push(callback);
    this.#wake();
  }

  nextTurn(): Promise<void> {
    return new Promise((resolve) => this.atEndOfTurn(resolve));
  }

  /** Pumps until the promise of `body` settles, and returns or throws what it does. */
  async run<T>(body: () => Promise<T>): Promise<T> {
    let settled = false;
    const result = body().finally(() => {
      settled = true;
    });
    // The caller of `run` gets the failure; until then it is not an unhandled one.
    result.catch(() => {});
    await this.#pump(() => settled, 'the body of run() waits for an event that will never come');
    return await result;
  }

  /** Pumps until the predicate holds; throws if it does not within `timeoutMs` of simulated time. */
  async runUntil(holds: () => boolean, timeoutMs: number): Promise<void> {
    const deadlineMs = this.#nowMs + timeoutMs;
    const overdue = this.after(timeoutMs, () => {});
    await this.#pump(() => holds() || this.#nowMs >= deadlineMs, '');
    overdue.cancel();
    if (!holds()) fail(`runUntil: does not hold after ${timeoutMs} ms of simulated time`);
  }

  /** Pumps for this much simulated time. */
  async runFor(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    this.after(durationMs, () => {});
    await this.#pump(() => this.#nowMs >= endMs, '');
  }

  /** Pumps until no event is left; never ends with periodic timers. */
  async settle(): Promise<void> {
    await this.#pump(() => false, undefined);
  }

  /** Nothing runs any more, until the next `run`. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Runs events until `done`. When none is left: returns if `stuckText` is undefined, else throws it.
   */
  async #pump(done: () => boolean, stuckText: string | undefined): Promise<void> {
    invariant(!this.#pumping, 'Scheduler: run() within run()');
    this.#pumping = true;
    this.#stopped = false;
    try {
      for (let count = 0; ; count++) {
        invariant(count < EVENTS_PER_RUN_MAX, 'Scheduler: too many events in one run');
        await microtasksDone();
        if (done() || this.#stopped) return;
        if (!this.#step()) {
          if (stuckText === undefined) return;
          fail(`simulation stuck at ${this.#nowMs} ms: ${stuckText}`);
        }
      }
    } finally {
      this.#pumping = false;
      this.#wake();
    }
  }

  /** Runs one callback. False if there is none. */
  #step(): boolean {
    for (;;) {
      if (this.#endingNext < this.#ending.length) {
        this.#ending[this.#endingNext++]!();
        return true;
      }
      const event = this.#events[0];
      if (event !== undefined && event.callback === undefined) {
        pop(this.#events);
      } else if (
        event !== undefined &&
        event.atMs <= this.#nowMs &&
        event.sequence < this.#turnSequence
      ) {
        pop(this.#events);
        this.#note(event);
        event.callback!();
        return true;
      } else if (this.#asked.length > 0) {
        this.#ending = this.#asked;
        this.#endingNext = 0;
        this.#asked = [];
        this.#beginTurn(this.#nowMs + TURN_MS);
      } else if (event !== undefined) {
        this.#beginTurn(Math.max(this.#nowMs + TURN_MS, event.atMs));
      } else return false;
    }
  }

  #note({ sequence }: SimEvent): void {
    this.#eventCount++;
    const microseconds = Math.floor(this.#nowMs * 1000) | 0;
    const mixed = Math.imul(this.#fingerprint ^ sequence, 0x9e3779b1);
    this.#fingerprint = Math.imul(mixed ^ (mixed >>> 15) ^ microseconds, 0x85ebca6b);
  }

  #beginTurn(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#turnSequence = this.#sequence;
  }

  /** Starts its own pump, with `autoRun` and unless another one runs. */
  #wake(): void {
    if (!this.#autoRun || this.#pumping || this.#autoStepArmed || this.#stopped) return;
    this.#autoStepArmed = true;
    setImmediate(() => {
      this.#autoStepArmed = false;
      if (this.#pumping || this.#stopped) return;
      if (this.#step()) this.#wake();
    });
  }
}

function microtasksDone(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function before(a: SimEvent, b: SimEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}

function push(heap: SimEvent[], event: SimEvent): void {
  let at = heap.length;
  heap.push(event);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(event, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = event;
}

function pop(heap: SimEvent[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
    if (!before(heap[child]!, last)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
}
