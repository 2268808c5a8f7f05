// The keys and their revisions: index in memory, rows in the backend.
//
// Reads see `currentRev`, which advances when an entry is complete; a writer appends rows of the next
// revision, which readers do not see. Long readers pin a view: its rows stay readable across commits, and
// the index is not compacted above its revision until it is released.

import {
  ERROR_CODES,
  invariant,
  type Revision,
  type Slices,
  TetcdError,
} from '../../base/index.ts';
import type { Env, Timer } from '../../env/index.ts';
import type { Lessor } from '../../lease/index.ts';
import {
  type ByteSlice,
  IndexRestore,
  KeyIndex,
  type ReadView,
  type RowReader,
} from '../../mvcc/index.ts';
import type { Backend } from '../backend/backend.ts';
import type { RowVisitor } from '../backend/file-pass.ts';
import type { PinnedRows } from '../backend/pinned-rows.ts';
import { PIN_MS_MAX, ROWS_PER_CLOCK_CHECK } from '../limits.ts';
import { RowGate } from '../schema/row-gate.ts';
import { KvRows, type RowFinder } from './kv-rows.ts';
import { RangeDeletion } from './range-deletion.ts';
import type { StoredRow } from './stored-row.ts';

/** The revision of a store without any write. */
const FIRST_REVISION: Revision = 1;

/** What boot knows of compaction before rows are restored; -1 where there was none. */
export interface CompactionMarks {
  readonly scheduledRev: Revision;
  readonly finishedRev: Revision;
}

/** Builds the index from the rows of the backend, in revision order. */
export class KvRestore implements RowVisitor {
  readonly #restore = new IndexRestore(new KeyIndex());
  #finished = false;
  /** Revision of the newest row; 0 without rows. */
  newestRev: Revision = 0;
  readonly #gate = new RowGate();
  #lessor: Lessor | undefined;

  /** Complete once {@link finish} has resolved; not to be asked for before. */
  get index(): KeyIndex {
    invariant(this.#finished, 'an index is used when it has all rows');
    return this.#restore.index;
  }

  /** Before the first row. Leases must be restored already, so that keys find theirs. */
  begin(lessor: Lessor, marks: CompactionMarks): void {
    this.#lessor = lessor;
    if (marks.finishedRev >= 0) this.#restore.index.setCompactedRev(marks.finishedRev);
  }

  row(
    bytes: Uint8Array,
    keyOffset: number,
    keyLength: number,
    valueOffset: number,
    valueLength: number,
  ): void {
    const gate = this.#gate;
    gate.accept(bytes, keyOffset, keyLength, valueOffset, valueLength);
    const { row, main, sub, tombstone } = gate;
    let slot = 0;
    if (!tombstone && (row.leaseLow !== 0 || row.leaseHigh !== 0)) slot = this.#slotOf(row);
    this.#restore.add(row.key, main, sub, tombstone, row.createRevision, row.version, slot);
    this.newestRev = main;
  }

  /**
   * A row may name a lease that no longer exists: an old revision that was not compacted, or one that etcd
   * left behind. The key is then attached to none.
   */
  #slotOf(row: StoredRow): number {
    invariant(this.#lessor !== undefined, 'leases are restored before rows');
    return this.#lessor.slotOf(row.leaseId());
  }

  /**
   * After the last row: completes the index, and attaches every key that exists to the lease of its newest
   * revision. In slices, since a member that serves may be installing a snapshot.
   */
  async finish(slices: Slices): Promise<void> {
    for (let i = 1; this.#restore.placeNext(); i++) {
      if (i % ROWS_PER_CLOCK_CHECK === 0 && slices.isOver) await slices.next();
    }
    this.#finished = true;
    const lessor = this.#lessor;
    if (lessor === undefined || lessor.size === 0) return;
    const cursor = this.index.cursor();
    cursor.open('', '\0', this.newestRev);
    for (let i = 1; cursor.next(); i++) {
      if (cursor.state.leaseSlot !== 0) lessor.attach(cursor.state.leaseSlot, cursor.key);
      if (i % ROWS_PER_CLOCK_CHECK === 0 && slices.isOver) await slices.next();
    }
  }
}

/** A view that stays readable until it is released, for PIN_MS_MAX at most. */
export class PinnedView implements ReadView, RowReader {
  readonly currentRev: Revision;
  readonly index: KeyIndex;
  readonly rows: RowReader = this;
  readonly #pinned: PinnedRows;
  readonly #inPassing: RowFinder;
  readonly #stored: KvRows;
  readonly #onRelease: (view: PinnedView) => void;
  readonly #timer: Timer;
  /** Lowest revision that may be read: the index is not compacted above it. */
  readonly floorRev: Revision;
  #state: 'held' | 'released' | 'expired' = 'held';

  /** @internal */
  constructor(
    store: KvStore,
    pinned: PinnedRows,
    floorRev: Revision,
    env: Env,
    onRelease: (view: PinnedView) => void,
  ) {
    this.currentRev = store.currentRev;
    this.index = store.index;
    this.floorRev = floorRev;
    this.#pinned = pinned;
    this.#inPassing = { findRow: (main, sub, into) => pinned.passRow(main, sub, into) };
    this.#stored = store.rows;
    this.#onRelease = onRelease;
    this.#timer = env.timers.after(PIN_MS_MAX, () => this.#end('expired'));
  }

  get compactedRev(): Revision {
    return this.index.compactedRev;
  }

  readRow(main: Revision, sub: number, into: ByteSlice): void {
    this.#assertHeld();
    this.#stored.readPinnedRow(this.#pinned, main, sub, into);
  }

  /**
   * As {@link readRow}, for a scan of many rows: the bytes are valid until the next call, which no one else
   * makes.
   */
  passRow(main: Revision, sub: number, into: ByteSlice): void {
    this.#assertHeld();
    this.#stored.readPinnedRow(this.#inPassing, main, sub, into);
  }

  release(): void {
    this.#end('released');
  }

  #assertHeld(): void {
    invariant(this.#state !== 'released', 'a released view is not read');
    if (this.#state === 'expired') {
      throw new TetcdError(ERROR_CODES.TIMEOUT, 'a view of the store was held for too long');
    }
  }

  #end(state: 'released' | 'expired'): void {
    if (this.#state !== 'held') return;
    this.#state = state;
    this.#timer.cancel();
    this.#pinned.release();
    this.#onRelease(this);
  }
}

export class KvStore implements ReadView {
  readonly index: KeyIndex;
  readonly rows: KvRows;
  readonly deletion: RangeDeletion;
  /** Newest revision that readers see. */
  currentRev: Revision;
  /** Reads below are refused: the newest compaction that was accepted; -1 before any. */
  compactedRev: Revision;

  readonly #env: Env;
  readonly #backend: Backend;
  readonly #pins = new Set<PinnedView>();
  #onUnpinned: (() => void) | undefined;

  constructor(env: Env, backend: Backend, restored: KvRestore, marks: CompactionMarks) {
    this.#env = env;
    this.#backend = backend;
    this.index = restored.index;
    this.rows = new KvRows(backend);
    this.deletion = new RangeDeletion(env, backend, this.rows);
    // An accepted compaction that is not finished may have removed rows already.
    this.compactedRev = Math.max(marks.finishedRev, marks.scheduledRev);
    // All rows may be compacted: then the compacted revision is the newest one known.
    this.currentRev = Math.max(
      FIRST_REVISION,
      restored.newestRev,
      marks.finishedRev,
      marks.scheduledRev,
    );
  }

  /** Keeps rows and index readable from `floorRev` on; the caller releases the view. */
  pin(floorRev: Revision = this.currentRev): PinnedView {
    invariant(floorRev >= this.index.compactedRev, 'a pin is not below the compacted revision');
    const view = new PinnedView(this, this.#backend.pin(), floorRev, this.#env, (released) => {
      this.#pins.delete(released);
      this.#onUnpinned?.();
    });
    this.#pins.add(view);
    return view;
  }

  /** Resolves when no pinned view needs revisions below `rev`. Other views may be pinned before. */
  async unpinnedBelow(rev: Revision): Promise<void> {
    while (this.#isPinnedBelow(rev)) {
      await new Promise<void>((resolve) => {
        this.#onUnpinned = resolve;
      });
    }
    this.#onUnpinned = undefined;
  }

  #isPinnedBelow(rev: Revision): boolean {
    for (const view of this.#pins) if (view.floorRev < rev) return true;
    return false;
  }
}
