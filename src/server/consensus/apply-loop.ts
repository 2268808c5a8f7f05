// Applies committed entries to the state machine, one after the other.
//
// Usually a message's entries are applied in the turn in which they arrive. The loop yields when its time
// slice is over, when an entry needs several slices, or when the backend's overlay is full; ticks, reads
// at the previous revision and sockets are then served. Order is kept: no entry begins before the previous
// one has ended.

import { failpoints, invariant } from '../../base/index.ts';
import type { Clock, Timers } from '../../env/index.ts';
import { raftpb } from '../../protocol/index.ts';
import type { Message } from '../../raft/index.ts';
import { APPLY_SLICE_MS } from '../limits.ts';

type Entry = Message['entries'][number];

/** Applies entries; `begin` and `step` return whether the entry is complete. */
export interface EntryApplier {
  /** Entries up to here have been applied, or are covered by a snapshot: they are skipped. */
  readonly appliedIndex: number;
  begin(entry: Entry): boolean;
  /** Continues the entry that `begin` left incomplete. */
  step(): boolean;
  /** The entry that has ended took so long. */
  observe(tookMs: number): void;
  /** Resolves when the backend takes more; undefined if it does now. */
  whenReady(): Promise<void> | undefined;
  /** No entry follows in this turn: sends what was collected over several entries. */
  endTurn(): void;
}

interface ApplyLoopOptions {
  /** Read each time: a snapshot replaces it. */
  readonly applier: EntryApplier;
  readonly clock: Clock;
  readonly timers: Timers;
  /** The entry is applied; times are monotonic milliseconds. */
  readonly onEntryEnd: (entry: Entry, beganMs: number, endMs: number) => void;
  /** All entries of a message are applied. */
  readonly onApplied: (message: Message) => void;
  /** An entry cannot be applied: the member must stop. */
  readonly onFailure: (error: unknown) => void;
}

export class ApplyLoop {
  readonly #options: ApplyLoopOptions;
  /** Bounded by raft, which delivers a limited number of bytes that are not applied. */
  #queue: Message[] = [];
  /** Next entry of the first message. */
  #next = 0;
  /** The entry before `#next` has begun and not ended. */
  #open = false;
  #openEntry: Entry | undefined;
  #openIndex = 0;
  #beganMs = 0;
  /** Of the last entry at which a failpoint was passed. */
  #heldIndex = 0;
  #running = false;
  #stopped = false;
  /** Number of unreleased calls of {@link hold}: while above 0 no entry begins. */
  #holds = 0;
  readonly #onIdle: (() => void)[] = [];

  constructor(options: ApplyLoopOptions) {
    this.#options = options;
  }

  get isIdle(): boolean {
    return this.#queue.length === 0;
  }

  /** When the entry was begun that is being applied, on the monotonic clock. */
  get beganMs(): number {
    return this.#beganMs;
  }

  deliver(message: Message): void {
    if (this.#stopped) return;
    invariant(message.entries.length > 0, 'a message to apply has entries');
    this.#queue.push(message);
    if (!this.#running) this.#run();
  }

  /**
   * Begins no entry from now on, until {@link release} is called as often; resolves when none is open.
   */
  hold(): Promise<void> {
    this.#holds++;
    return this.#entryEnd();
  }

  release(): void {
    invariant(this.#holds > 0, 'the loop is held');
    this.#holds--;
    if (this.#holds === 0 && !this.#running && !this.#stopped) this.#run();
  }

  /** Refuses further entries; resolves when the open one has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#entryEnd();
  }

  /** Resolves at the end of an entry, without waiting for room in the backend. */
  async #entryEnd(): Promise<void> {
    if (!this.#running || !this.#open) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  /** Runs until there is nothing to do or the slice is over. */
  #run(): void {
    invariant(!this.#open || this.#queue.length > 0, 'an entry that is open belongs to a message');
    this.#running = true;
    let wait: Promise<void> | undefined;
    try {
      wait = this.#applySome();
      this.#options.applier.endTurn();
    } catch (error) {
      this.#stopped = true;
      this.#queue = [];
      this.#settle();
      this.#options.onFailure(error);
      return;
    }
    if (wait === undefined) this.#settle();
    else void wait.then(() => this.#run());
  }

  #settle(): void {
    invariant(this.#running, 'the loop ends once');
    this.#running = false;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /** The promise to wait for before continuing; undefined if all is done. */
  #applySome(): Promise<void> | undefined {
    const { clock, timers, onEntryEnd } = this.#options;
    const { applier } = this.#options;
    let now = clock.monotonicMs();
    const sliceEnd = now + APPLY_SLICE_MS;
    for (;;) {
      if (this.#open) {
        this.#open = !applier.step();
      } else {
        if (this.#stopped || this.#holds > 0) return undefined;
        const entry = this.#nextEntry();
        if (entry === undefined) return undefined;
        const wait = applier.whenReady();
        if (wait !== undefined) return wait;
        const held = failpoints.active === undefined ? undefined : this.#holdBefore(entry);
        if (held !== undefined) return held;
        this.#next++;
        this.#beganMs = now;
        invariant(entry.index > this.#openIndex, 'entries are applied in their order');
        this.#openIndex = entry.index;
        this.#openEntry = entry;
        this.#open = entry.index > applier.appliedIndex && !applier.begin(entry);
      }
      now = clock.monotonicMs();
      if (!this.#open) {
        applier.observe(now - this.#beganMs);
        onEntryEnd(this.#openEntry!, this.#beganMs, now);
        this.#openEntry = undefined;
        this.#finishMessage();
      }
      if (now >= sliceEnd) return timers.nextTurn();
    }
  }

  /** Once for each entry. */
  #holdBefore({ index, type }: Entry): Promise<void> | undefined {
    if (index <= this.#options.applier.appliedIndex || index === this.#heldIndex) return undefined;
    this.#heldIndex = index;
    const isChange = type !== raftpb.EntryType.EntryNormal;
    return failpoints.active?.hold(
      isChange ? 'beforeApplyOneConfChange' : 'beforeApplyOneEntryNormal',
    );
  }

  #nextEntry(): Entry | undefined {
    const message = this.#queue[0];
    if (message === undefined) return undefined;
    invariant(this.#next < message.entries.length, 'a message that waits has entries left');
    return message.entries[this.#next];
  }

  #finishMessage(): void {
    const message = this.#queue[0];
    invariant(message !== undefined, 'an entry that ends belongs to a message');
    invariant(!this.#open, 'an entry ends once');
    if (this.#next < message.entries.length) return;
    this.#queue.shift();
    this.#next = 0;
    this.#options.onApplied(message);
  }
}
