// One write transaction of the store: all its changes share one new main revision, counted by sub
// revisions. The applier begins it, evaluates requests on it, and ends it.
//
// What it writes is in the index and in the rows at once, above the current revision: readers at the
// current revision do not see it, and the transaction's own reads do. Its revision becomes current
// when the store takes over what `end` returns. There is no undo: requests are checked before their
// first effect, and an error after it is our own mistake.

import { invariant, type Revision } from '../../base/index.ts';
import { ChangeList } from '../index/change-list.ts';
import { type KeyIndex, NOT_ALIVE } from '../index/key-index.ts';
import type { RangeTombstone } from '../index/range-tombstone.ts';
import { sizeOfKeyField, sizeOfKeyValue, writeKeyField, writeKeyValue } from '../key-value.ts';
import { splitKeyValue } from '../split-row.ts';
import { ByteSlice, KeyState, type LeaseHooks, type RowWriter } from '../types.ts';
import type { ReadView } from './range.ts';

export class WriteTxn implements ReadView {
  readonly index: KeyIndex;
  readonly rows: RowWriter;
  readonly leases: LeaseHooks;
  compactedRev: Revision = -1;
  /** The current revision when the transaction began. */
  beginRev: Revision = 0;
  /** What was changed, in order: the events of the revision. The next `begin` clears the list. */
  readonly changes: ChangeList = new ChangeList();

  #open = false;
  readonly #state = new KeyState();
  readonly #slice = new ByteSlice();

  constructor(index: KeyIndex, rows: RowWriter, leases: LeaseHooks) {
    this.index = index;
    this.rows = rows;
    this.leases = leases;
  }

  /** Begins a transaction on top of `currentRev`. */
  begin(currentRev: Revision, compactedRev: Revision): void {
    invariant(!this.#open, 'one write transaction at a time');
    invariant(currentRev >= this.index.newestRev, 'nothing was written above the current revision');
    this.#open = true;
    this.beginRev = currentRev;
    this.compactedRev = compactedRev;
    this.changes.clear();
  }

  /** What the transaction's own reads see: its changes included. Also what response headers say. */
  get currentRev(): Revision {
    return this.changes.size > 0 ? this.beginRev + 1 : this.beginRev;
  }

  /** Ends the transaction. The result is the store's current revision from now on. */
  end(): Revision {
    invariant(this.#open, 'a transaction is open');
    this.#open = false;
    return this.currentRev;
  }

  /** Puts a key with `value[valueOffset, valueOffset + valueLength)`, of which the bytes never change. */
  put(
    key: string,
    value: Uint8Array,
    valueOffset: number,
    valueLength: number,
    lease: bigint,
  ): void {
    invariant(this.#open, 'a transaction is open');
    const main = this.beginRev + 1;
    const sub = this.changes.size;
    const leaseSlot = lease === 0n ? 0 : this.leases.slotOf(lease);
    const state = this.#state;
    this.index.put(key, main, sub, leaseSlot, state);
    const { createMain, version } = state;
    const creates = createMain === main;
    if (valueLength >= this.rows.splitValueBytesMin) {
      const row = splitKeyValue(
        key,
        createMain,
        main,
        version,
        value,
        valueOffset,
        valueLength,
        lease,
      );
      this.rows.appendSplitRow(main, sub, row);
      this.changes.addSplitPut(key, creates, row);
    } else {
      const size = sizeOfKeyValue(key, createMain, main, version, valueLength, lease);
      const row = this.#slice;
      this.rows.appendRow(main, sub, false, size, row);
      writeKeyValue(
        key,
        createMain,
        main,
        version,
        value,
        valueOffset,
        valueLength,
        lease,
        row.buffer,
        row.offset,
      );
      this.changes.addPut(key, creates, row);
    }
    if (state.leaseSlot !== leaseSlot) {
      if (state.leaseSlot !== 0) this.leases.detach(state.leaseSlot, key);
      if (leaseSlot !== 0) this.leases.attach(leaseSlot, key);
    }
  }

  /**
   * Deletes all `count` keys of a range that exist, more than a {@link ChangeList} lists, as the only change.
   * Those that have a lease are detached from it at once: there should be few, see
   * RANGE_TOMBSTONE_LEASED_MAX. Their rows are the caller's to append, as it works the result off.
   */
  deleteRange(key: string, rangeEnd: string, count: number): RangeTombstone {
    invariant(this.#open && this.changes.size === 0, 'a transaction is open, and has no change');
    this.changes.countDeletes(count);
    this.index.releaseLeases(key, rangeEnd, (name, slot) => this.leases.detach(slot, name));
    return this.index.startRangeTombstone(key, rangeEnd, this.currentRev);
  }

  /** Deletes a key that exists at {@link currentRev}. */
  delete(key: string): void {
    invariant(this.#open, 'a transaction is open');
    const main = this.beginRev + 1;
    const sub = this.changes.size;
    const leaseSlot = this.index.tombstone(key, main, sub);
    invariant(leaseSlot !== NOT_ALIVE, 'a deleted key exists');
    const row = this.#slice;
    this.rows.appendRow(main, sub, true, sizeOfKeyField(key), row);
    writeKeyField(key, row.buffer, row.offset);
    if (leaseSlot !== 0) this.leases.detach(leaseSlot, key);
    this.changes.addDelete(key);
  }
}
