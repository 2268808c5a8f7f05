// The batches in front of the file, and when a batch is cut.
//
//     entries ──► live ──cut──► frozen ──committed──► (in the file)
//
// There is at most one frozen batch: the one that is being written. A batch is cut only between log
// entries, so that the consistent index, term and confState frozen with it match its content exactly.
// A cut that is not possible yet (an entry is open, rows of one are still to come, the batch before is not in
// the file, the batches are paused) is remembered and made as soon as possible.

import {
  failpoints,
  invariant,
  type LogIndex,
  type Revision,
  type Term,
} from '../../base/index.ts';
import type { Timer, Timers } from '../../env/index.ts';
import { BUCKET, META_KEY, uint64Bytes } from '../schema/schema.ts';
import { Batch } from './batch.ts';
import type { DurableIndex, MembershipImage } from './durable-index.ts';
import type { Overlay } from './overlay.ts';

interface BatchLimits {
  /** Changes at which a batch is cut. */
  readonly changes: number;
  /** Age at which a batch is cut. */
  readonly intervalMs: number;
  /** Bytes of the live overlay at which writers wait for the frozen batch. */
  readonly overlayBytes: number;
}

export class Batches {
  /** Collects the writes. */
  live: Batch;
  /** Being written to the file, immutable; undefined between two commits. */
  frozen: Batch | undefined = undefined;

  readonly #timers: Timers;
  readonly #limits: BatchLimits;
  /** Receives each batch that is cut, to be written; {@link committed} follows. */
  readonly #write: (batch: Batch) => void;
  /** Called when a batch is cut, before it is frozen. */
  #beforeFreeze: (() => MembershipImage) | undefined;
  /** An entry is being applied. */
  #entryOpen = false;
  #cutWanted = false;
  /** Rows of an entry that has ended are still to come into the live batch. */
  #rowsToCome = false;
  /** The file is being exchanged: no batch is cut. */
  #paused = false;
  /** Called when the frozen batch is in the file, and the pause begins. */
  #onPaused: (() => void) | undefined;
  /** Runs from the first change of a batch to its cut. */
  #interval: Timer | undefined;
  #intervalEnabled = true;
  /** Why nothing is written any more. */
  #ended: { readonly error: unknown } | undefined;
  /** Writers that wait for the live overlay to fall below its bound. */
  readonly #roomWaiters: (() => void)[] = [];

  constructor(timers: Timers, limits: BatchLimits, first: Batch, write: (batch: Batch) => void) {
    invariant(limits.changes > 0, 'a batch has room for a change');
    invariant(first.overlay.isEmpty, 'the first batch begins empty');
    this.#timers = timers;
    this.#limits = limits;
    this.live = first;
    this.#write = write;
  }

  get entryOpen(): boolean {
    return this.#entryOpen;
  }

  /** Whether the live batch lacks effects of its entries. */
  get isIncomplete(): boolean {
    return this.#entryOpen || this.#rowsToCome;
  }

  /** Rows of revision `main`, of the open entry, come after the entry: no batch is cut before they have. */
  beginLateRows(main: Revision): void {
    invariant(this.#entryOpen && !this.#rowsToCome, 'rows of one entry come late');
    this.#rowsToCome = true;
    this.live.overlay.rows.beginLate(main);
  }

  endLateRows(): void {
    invariant(this.#rowsToCome, 'late rows were to come');
    this.live.overlay.rows.endLate();
    this.#rowsToCome = false;
    if (this.#cutWanted || this.live.overlay.changeCount >= this.#limits.changes) this.cut();
    if (!this.isFull) this.#announceRoom();
  }

  /** Why nothing is written any more; undefined while batches are cut. */
  get ended(): { readonly error: unknown } | undefined {
    return this.#ended;
  }

  get capturesMembership(): boolean {
    return this.#beforeFreeze !== undefined;
  }

  captureMembership(beforeFreeze: () => MembershipImage): void {
    this.#beforeFreeze = beforeFreeze;
  }

  /** Newest first. */
  overlays(): Overlay[] {
    const live = this.live.overlay;
    return this.frozen === undefined ? [live] : [live, this.frozen.overlay];
  }

  /** Estimated bytes of the batches in the file. */
  get byteCount(): number {
    return this.live.overlay.byteCount + (this.frozen?.overlay.byteCount ?? 0);
  }

  beginEntry(): void {
    invariant(!this.#entryOpen, 'an entry begins when the one before has ended');
    this.#entryOpen = true;
  }

  endEntry(index: LogIndex, term: Term): void {
    invariant(this.#entryOpen, 'an entry that ends has begun');
    const live = this.live;
    invariant(index > live.index, 'entries are applied in order and once');
    this.#entryOpen = false;
    live.index = index;
    live.term = term;
    if (this.#cutWanted || live.overlay.changeCount >= this.#limits.changes) this.cut();
    else if (!live.overlay.isEmpty) this.#startInterval();
  }

  /** A change was made, possibly outside of an entry (compaction, membership rows at boot). */
  changed(): void {
    if (!this.#entryOpen) this.#startInterval();
  }

  adoptTerm(term: Term): void {
    invariant(!this.#entryOpen, 'a term is adopted between entries');
    this.live.term = term;
  }

  /** Freezes the live batch and passes it on to be written, now or as soon as possible. */
  cut(): void {
    if (this.#ended !== undefined) return;
    if (this.isIncomplete || this.frozen !== undefined || this.#paused) {
      this.#cutWanted = true;
      return;
    }
    this.#cutWanted = false;
    const batch = this.live;
    failpoints.active?.hit('commitBeforePreCommitHook');
    batch.membership = this.#beforeFreeze?.();
    failpoints.active?.hit('commitAfterPreCommitHook');
    // After `beforeFreeze`, whose changes belong to this batch but start the interval.
    this.#stopInterval();
    batch.overlay.set(BUCKET.META, META_KEY.CONSISTENT_INDEX, uint64Bytes(batch.index));
    batch.overlay.frozen = true;
    this.frozen = batch;
    this.live = new Batch(batch.index, batch.term);
    this.#write(batch);
  }

  /** The frozen batch is in the file. A remembered cut follows with {@link cutIfWanted}. */
  committed(batch: Batch, durable: DurableIndex): void {
    invariant(this.frozen === batch, 'the batch that was synced is the frozen one');
    invariant(batch.overlay.frozen, 'nothing was added to a batch while it was written');
    this.frozen = undefined;
    batch.resolve(durable);
    this.#announceRoom();
    this.#onPaused?.();
    this.#onPaused = undefined;
  }

  /** Makes a remembered cut, if there is one. */
  cutIfWanted(): void {
    if (this.#cutWanted) this.cut();
  }

  /**
   * No batch is cut until {@link resume}; writes collect in the live one, up to its bound. Resolves
   * when no frozen batch is left, or at `resume`.
   */
  pause(): Promise<void> {
    invariant(!this.#paused, 'batches are paused by one');
    this.#paused = true;
    if (this.frozen === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onPaused = resolve;
    });
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#onPaused?.();
    this.#onPaused = undefined;
    this.cutIfWanted();
    if (!this.isFull) this.#announceRoom();
  }

  /** Whether the live overlay has reached its bound, and cannot be frozen yet. */
  get isFull(): boolean {
    const canFreeze = this.frozen === undefined && !this.#paused && !this.#rowsToCome;
    if (canFreeze || this.#ended !== undefined) return false;
    return this.live.overlay.heldBytes >= this.#limits.overlayBytes;
  }

  /** Resolves when {@link isFull} may have become false. */
  whenRoom(): Promise<void> {
    if (!this.isFull) return Promise.resolve();
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** From now on a batch is cut only on request. */
  disableInterval(): void {
    this.#intervalEnabled = false;
    this.#stopInterval();
  }

  /** Ends all cuts; pending commits reject with `error`. */
  end(error: unknown): void {
    this.#ended = { error };
    this.#stopInterval();
    this.frozen?.reject(error);
    this.live.reject(error);
    this.#announceRoom();
  }

  #announceRoom(): void {
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }

  #startInterval(): void {
    if (this.#interval !== undefined || !this.#intervalEnabled || this.#ended !== undefined) return;
    this.#interval = this.#timers.after(this.#limits.intervalMs, () => {
      this.#interval = undefined;
      this.cut();
    });
  }

  #stopInterval(): void {
    this.#interval?.cancel();
    this.#interval = undefined;
  }
}
