// Evaluation of a delete request on a write transaction, in slices: a million keys take a second.

import { latin1FromBytes, type Revision } from '../../base/index.ts';
import type { etcdserverpb } from '../../protocol/index.ts';
import type { IndexCursor } from '../index/index-cursor.ts';
import { ByteSlice } from '../types.ts';
import { SINGLE_KEY } from './key-range.ts';
import { RangeResult } from './range-result.ts';
import type { WriteTxn } from './write-txn.ts';

/** Answer to a delete request. */
export class DeleteResult {
  /** Revision for the response's header: the new one if anything was changed by now. */
  revision: Revision = 0;
  /** Keys deleted. */
  deleted = 0;
  /** The encoded previous KeyValues, if `prev_kv` was asked for. */
  readonly previous: RangeResult = new RangeResult();
}

/** One deletion at a time: `start`, then `step` until it says true. */
export class DeleteRun {
  #txn!: WriteTxn;
  #cursor!: IndexCursor;
  #result!: DeleteResult;
  #withPrevious = false;
  readonly #slice = new ByteSlice();

  start(txn: WriteTxn, request: etcdserverpb.DeleteRangeRequest, result: DeleteResult): void {
    const rangeEnd = request.rangeEnd.length === 0 ? SINGLE_KEY : latin1FromBytes(request.rangeEnd);
    this.startRange(txn, latin1FromBytes(request.key), rangeEnd, request.prevKv, result);
  }

  /** {@link start} for a range that is no request: a lease's key, say. */
  startRange(
    txn: WriteTxn,
    key: string,
    rangeEnd: string,
    withPrevious: boolean,
    result: DeleteResult,
  ): void {
    result.revision = 0;
    result.deleted = 0;
    result.previous.reset();
    this.#txn = txn;
    this.#result = result;
    this.#withPrevious = withPrevious;
    // Reads at the revision before its own deletions; they are behind the cursor anyway.
    this.#cursor = txn.index.pausingCursor();
    this.#cursor.open(key, rangeEnd, txn.currentRev);
  }

  /** Deletes about `budget` keys; true when the range is empty. */
  step(budget: number): boolean {
    const txn = this.#txn;
    const cursor = this.#cursor;
    const result = this.#result;
    for (let left = budget; left > 0; left--) {
      if (!cursor.next()) {
        if (cursor.paused) return false;
        result.revision = txn.currentRev;
        result.previous.revision = result.revision;
        return true;
      }
      if (this.#withPrevious) {
        txn.rows.readRow(cursor.state.modMain, cursor.state.modSub, this.#slice);
        result.previous.pushSlice(this.#slice);
      }
      txn.delete(cursor.key);
      result.deleted++;
    }
    return false;
  }
}
