// Deadlines of calls: a wheel of slots, each a doubly linked list of the calls whose deadline falls
// into its tick. Adding and removing a deadline touch two links and no timer; one timer serves all.
//
//     slot = tick % SLOTS; a deadline further than one turn of the wheel waits in its slot until its
//     own turn comes, at the cost of one check per turn.

import { invariant } from '../base/index.ts';
import type { Clock, Timer, Timers } from '../env/index.ts';

/** Resolution of the wheel: how late a deadline may fire. */
const TICK_MS = 8;
const SLOTS = 1024;
/** One slot's share of a longer wait is skipped at once, so that an idle wheel seldom wakes. */
const TIMER_MS_MAX = TICK_MS * SLOTS;

/** An entry of the wheel, which owns the link fields. */
export interface HasDeadline {
  /** On the monotonic clock. */
  deadlineMs: number;
  deadlineNext: HasDeadline | undefined;
  deadlinePrevious: HasDeadline | undefined;
  /** Slot number while in the wheel, else -1. */
  deadlineSlot: number;
  /** May still come once after `remove`, if both were due in one tick. */
  onDeadline(): void;
}

export class Deadlines {
  readonly #slots: Array<HasDeadline | undefined> = new Array<HasDeadline | undefined>(SLOTS).fill(
    undefined,
  );
  readonly #clock: Clock;
  readonly #timers: Timers;
  #count = 0;
  /** The last tick whose slot was checked. */
  #tick = 0;
  #timer: Timer | undefined = undefined;
  #wakeTick = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, timers: Timers) {
    this.#clock = clock;
    this.#timers = timers;
  }

  /** Adds an entry whose `deadlineMs` is set; it may have passed already. */
  add(entry: HasDeadline): void {
    invariant(entry.deadlineSlot < 0, 'a deadline is watched once');
    if (this.#count === 0) this.#tick = Math.floor(this.#clock.monotonicMs() / TICK_MS);
    // Never an already visited tick, or it would wait a whole turn of the wheel.
    const tick = Math.max(Math.ceil(entry.deadlineMs / TICK_MS), this.#tick + 1);
    const slot = tick % SLOTS;
    const head = this.#slots[slot];
    entry.deadlineSlot = slot;
    entry.deadlinePrevious = undefined;
    entry.deadlineNext = head;
    if (head !== undefined) head.deadlinePrevious = entry;
    this.#slots[slot] = entry;
    this.#count++;
    const wakeTick = Math.min(tick, this.#tick + SLOTS);
    if (wakeTick < this.#wakeTick) this.#wakeAt(wakeTick);
  }

  /** Removes an entry; no effect on one that is not in the wheel. */
  remove(entry: HasDeadline): void {
    if (entry.deadlineSlot < 0) return;
    const { deadlineNext: next, deadlinePrevious: previous } = entry;
    if (previous === undefined) this.#slots[entry.deadlineSlot] = next;
    else previous.deadlineNext = next;
    if (next !== undefined) next.deadlinePrevious = previous;
    entry.deadlineSlot = -1;
    entry.deadlineNext = undefined;
    entry.deadlinePrevious = undefined;
    this.#count--;
  }

  /** Stops the timer: no deadline fires any more. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wakeAt(tick: number): void {
    this.#timer?.cancel();
    this.#wakeTick = tick;
    const delayMs = tick * TICK_MS - this.#clock.monotonicMs();
    this.#timer = this.#timers.after(Math.min(Math.max(Math.ceil(delayMs), 0), TIMER_MS_MAX), () =>
      this.#run(),
    );
  }

  #run(): void {
    this.#timer = undefined;
    this.#wakeTick = Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.monotonicMs();
    const nowTick = Math.floor(nowMs / TICK_MS);
    // After a long pause one turn of the wheel covers every slot.
    const first = Math.max(this.#tick + 1, nowTick - SLOTS + 1);
    for (let tick = first; tick <= nowTick; tick++) {
      this.#tick = tick;
      this.#expire(tick % SLOTS, nowMs);
    }
    if (this.#count > 0) this.#wakeAt(this.#nextTick());
  }

  #expire(slot: number, nowMs: number): void {
    const due: HasDeadline[] = [];
    for (let entry = this.#slots[slot]; entry !== undefined; entry = entry.deadlineNext) {
      if (entry.deadlineMs <= nowMs) due.push(entry);
    }
    for (const entry of due) {
      this.remove(entry);
      entry.onDeadline();
    }
  }

  /** The next tick whose slot holds anything. */
  #nextTick(): number {
    for (let tick = this.#tick + 1; tick < this.#tick + SLOTS; tick++) {
      if (this.#slots[tick % SLOTS] !== undefined) return tick;
    }
    return this.#tick + SLOTS;
  }
}
