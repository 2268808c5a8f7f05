// Carries over to a copy of the file what later commits changed.

import { bytesFromLatin1, invariant, Slices } from '../../base/index.ts';
import type { Cursor, Database, ReadTransaction, WriteTransaction } from '../../bbolt/index.ts';
import type { Env } from '../../env/index.ts';
import { revisionKey } from '../../mvcc/index.ts';
import { CARRY_OVER_TRANSACTION_BYTES, CHANGES_PER_CLOCK_CHECK } from '../limits.ts';
import { BUCKET, BUCKET_COUNT, type BucketId } from '../schema/schema.ts';
import type { ChangeNotes } from './change-notes.ts';
import { nameOf } from './committed-view.ts';
import { KEY_FILL_PERCENT } from './write-overlay.ts';

interface CarryOverOptions {
  readonly env: Env;
  /** The commit whose content `target` then has. */
  readonly commit: ReadTransaction;
  /** Changes between the commit that `target` holds and {@link commit}. */
  readonly notes: ChangeNotes;
  readonly target: Database;
  /** Changes that one transaction takes. */
  readonly batchChanges: number;
  /** Called before each slice; an error that it throws ends the work. */
  readonly assertGoesOn: () => void;
}

/**
 * Durable when it resolves. In slices, and in several transactions: between them `target` equals no
 * commit of the source.
 */
export async function carryOver(options: CarryOverOptions): Promise<void> {
  if (options.notes.changeCount === 0) return;
  const work = new CarryOver(options);
  try {
    await work.run();
  } finally {
    work.end();
  }
}

class CarryOver {
  readonly #options: CarryOverOptions;
  readonly #slices: Slices;
  /** Undefined before the first and after the last. */
  #transaction: WriteTransaction | undefined;
  /** Keys, and bytes of values, in the transaction. */
  #keys = 0;
  #bytes = 0;

  constructor(options: CarryOverOptions) {
    this.#options = options;
    this.#slices = new Slices(options.env);
  }

  async run(): Promise<void> {
    const { commit, notes, target } = this.#options;
    this.#transaction = await target.beginWrite();
    for (const keys of notes.removedKeys) {
      for (const key of keys) {
        this.#rows().delete(key);
        await this.#count(0);
      }
    }
    if (notes.firstMain >= 0) {
      const cursor = commit.bucket(nameOf(BUCKET.KEY))?.cursor();
      if (cursor !== undefined) await this.#copyRows(cursor);
    }
    for (let id = 0; id < BUCKET_COUNT; id++) await this.#copySmall(id as BucketId);
    await this.#transaction.commit();
    this.#transaction = undefined;
  }

  /** Drops what is not committed. */
  end(): void {
    this.#transaction?.rollback();
  }

  async #copyRows(cursor: Cursor): Promise<void> {
    const { firstMain, firstSub } = this.#options.notes;
    let found = cursor.seek(revisionKey(firstMain, firstSub));
    for (; found; found = cursor.next()) {
      const from = cursor.valueOffset;
      // A view: pages in memory never change, and the end of the transaction releases them.
      const value = cursor.valueBytes.subarray(from, from + cursor.valueLength);
      this.#rows().put(cursor.key(), value);
      await this.#count(value.length);
    }
  }

  async #copySmall(id: BucketId): Promise<void> {
    const { commit, notes } = this.#options;
    const source = commit.bucket(nameOf(id));
    // Creates buckets without keys too: they came with the first batch.
    if (source !== undefined) this.#bucket(id);
    for (const key of notes.changedKeys(id) ?? []) {
      invariant(source !== undefined, 'a bucket of which keys were committed is in the file');
      const bytes = bytesFromLatin1(key);
      const value = source.get(bytes);
      if (value === undefined) this.#bucket(id).delete(bytes);
      else this.#bucket(id).put(bytes, value);
      await this.#count(value?.length ?? 0);
    }
  }

  #bucket(id: BucketId) {
    invariant(this.#transaction !== undefined, 'changes are made within a transaction');
    return this.#transaction.createBucketIfNotExists(nameOf(id));
  }

  #rows() {
    const rows = this.#bucket(BUCKET.KEY);
    rows.fillPercent = KEY_FILL_PERCENT;
    return rows;
  }

  /** Counts a change: yields, or begins the next transaction, when it is time. */
  async #count(bytes: number): Promise<void> {
    this.#keys++;
    this.#bytes += bytes;
    if (this.#keys % CHANGES_PER_CLOCK_CHECK === 0) {
      this.#options.assertGoesOn();
      if (this.#slices.isOver) await this.#slices.next();
    }
    const { batchChanges } = this.#options;
    if (this.#keys < batchChanges && this.#bytes < CARRY_OVER_TRANSACTION_BYTES) return;
    await this.#transaction!.commit();
    this.#transaction = undefined;
    this.#options.assertGoesOn();
    this.#transaction = await this.#options.target.beginWrite();
    this.#keys = 0;
    this.#bytes = 0;
  }
}
