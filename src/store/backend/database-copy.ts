// The database file as of one commit, to be sent while writers go on.

import { ERROR_CODES, invariant, TetcdError } from '../../base/index.ts';
import type { ReadTransaction } from '../../bbolt/index.ts';
import { BUCKET, META_KEY, uint64FromBytes } from '../schema/schema.ts';
import { CommittedView } from './committed-view.ts';
import type { DurableIndex } from './durable-index.ts';

/** Pins pages of the file until its owner closes it. */
export class DatabaseCopy {
  /** The index and membership of the copied content. */
  readonly durable: DurableIndex;
  /** Bytes of the copy. */
  readonly size: number;
  readonly #transaction: ReadTransaction;
  readonly #onClosed: () => void;
  #taken = false;
  #closed = false;

  /** @internal Takes over the transaction, which is the commit that made `durable`. */
  constructor(transaction: ReadTransaction, durable: DurableIndex, onClosed: () => void) {
    this.#transaction = transaction;
    this.#onClosed = onClosed;
    this.durable = durable;
    this.size = transaction.size;
    const inside = new CommittedView(transaction).get(BUCKET.META, META_KEY.CONSISTENT_INDEX);
    const index = inside === undefined ? 0 : uint64FromBytes(inside);
    invariant(index === durable.index, 'the index of a copy is the one inside the file');
  }

  /**
   * The whole file, `size` bytes; to be read once. A chunk (at most 1 MiB) is the caller's until it
   * requests the next. CLOSED once the copy or the backend is closed.
   */
  chunks(): AsyncIterable<Uint8Array> {
    invariant(!this.#taken, 'a copy is read once');
    this.#taken = true;
    if (this.#closed)
      throw new TetcdError(ERROR_CODES.CLOSED, 'the copy of the database is closed');
    return this.#transaction.chunks();
  }

  /** Unpins the pages. Safe to call again. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#transaction.close();
    this.#onClosed();
  }
}
