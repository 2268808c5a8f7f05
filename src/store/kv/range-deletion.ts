// The deletion of many keys as one record, whose tombstones are worked off beside the entries that follow.
//
// The entry takes the time of a put: from then on the index answers as if all keys had their
// tombstones (`mvcc/index/range-tombstone.ts`). Rows of the tombstones follow in slices, to the place
// that the overlay keeps for them. Until the last one is there no batch is cut: the file never holds a
// part of the deletion, nor anything after it, and a crash repeats the entry from the log. What reads
// rows as a whole, from a commit (checksums, snapshots, compaction) or for watchers that are behind,
// waits.

import { invariant, Slices } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import type { RangeTombstone, WriteTxn } from '../../mvcc/index.ts';
import type { Backend } from '../backend/backend.ts';
import { APPLY_STEP_KEYS } from '../limits.ts';
import type { KvRows } from './kv-rows.ts';

export class RangeDeletion {
  readonly #env: Env;
  readonly #backend: Backend;
  readonly #rows: KvRows;
  #tombstones: RangeTombstone | undefined;
  /** Until there are none left. */
  #work: Promise<void> | undefined;

  constructor(env: Env, backend: Backend, rows: KvRows) {
    this.#env = env;
    this.#backend = backend;
    this.#rows = rows;
  }

  /** Whether tombstones are still to be written. */
  get isUnderWay(): boolean {
    return this.#tombstones !== undefined;
  }

  /**
   * Deletes the `count` keys of a range, more than WATCH_NOTIFY_CHANGES_MAX, of which few have a lease, as
   * the only change of a transaction. One deletion is worked off before the next begins. Resolves when it is;
   * after a rejection the member must stop.
   */
  begin(txn: WriteTxn, key: string, rangeEnd: string, count: number): Promise<void> {
    invariant(!this.isUnderWay, 'one deletion is worked off before the next');
    this.#tombstones = txn.deleteRange(key, rangeEnd, count);
    this.#backend.beginLateRows(this.#tombstones.main);
    this.#work ??= this.#workOff();
    return this.#work;
  }

  /** Writes about `budget` tombstones; true when none is left. */
  step(budget: number): boolean {
    const tombstones = this.#tombstones;
    if (tombstones === undefined) return true;
    if (!tombstones.step(budget, this.#append)) return false;
    this.#tombstones = undefined;
    this.#backend.endLateRows();
    return true;
  }

  /** Resolves when none is under way, rejects as {@link begin}. */
  whenDone(): Promise<void> {
    return this.#work ?? Promise.resolve();
  }

  /** Another store has taken the place of this one: what is left is not written. */
  stop(): void {
    this.#tombstones = undefined;
  }

  readonly #append = (key: string, sub: number): void => {
    this.#rows.appendLateTombstone(key, sub);
  };

  async #workOff(): Promise<void> {
    const slices = new Slices(this.#env);
    // Not within the entry.
    await slices.next();
    while (!this.step(APPLY_STEP_KEYS)) if (slices.isOver) await slices.next();
    this.#work = undefined;
  }
}
