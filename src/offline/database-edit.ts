// Changes of the small buckets of a database file, which become durable together.

import { bytesFromLatin1, latin1FromBytes } from '../base/index.ts';
import type { Database, WriteTransaction } from '../bbolt/index.ts';
import { BUCKET_NAMES, type BucketId, CommittedView } from '../store/index.ts';

/** Reads what it has written. Keys are latin1, one char per byte. */
export class DatabaseEdit {
  readonly #transaction: WriteTransaction;
  /** The file as it was before. */
  readonly #before: CommittedView;

  constructor(transaction: WriteTransaction, before: CommittedView) {
    this.#transaction = transaction;
    this.#before = before;
  }

  get(bucket: BucketId, key: string): Uint8Array | undefined {
    return this.#transaction.bucket(nameOf(bucket))?.get(bytesFromLatin1(key));
  }

  /** A bucket that the file does not have is made. */
  set(bucket: BucketId, key: string, value: Uint8Array | undefined): void {
    const name = bytesFromLatin1(key);
    if (value !== undefined) {
      this.#transaction.createBucketIfNotExists(nameOf(bucket)).put(name, value);
    } else this.#transaction.bucket(nameOf(bucket))?.delete(name);
  }

  entries(bucket: BucketId): Map<string, Uint8Array> {
    const all = new Map<string, Uint8Array>();
    const cursor = this.#transaction.bucket(nameOf(bucket))?.cursor();
    if (cursor === undefined) return all;
    for (let found = cursor.first(); found; found = cursor.next()) {
      all.set(latin1FromBytes(cursor.key()), cursor.value());
    }
    return all;
  }

  placeOf(bucket: BucketId, key: string): string {
    return this.#before.placeOf(bucket, key);
  }

  /** The last key of a bucket, in a fresh array; undefined for one that is empty or missing. */
  lastKey(bucket: BucketId): Uint8Array | undefined {
    const cursor = this.#transaction.bucket(nameOf(bucket))?.cursor();
    return cursor?.last() === true ? cursor.key() : undefined;
  }
}

function nameOf(bucket: BucketId): Uint8Array {
  return bytesFromLatin1(BUCKET_NAMES[bucket]!);
}

/** Commits what `change` does, or nothing if it throws; resolves to its result. */
export async function editDatabase<Result>(
  database: Database,
  change: (edit: DatabaseEdit) => Result,
): Promise<Result> {
  const before = database.beginRead();
  try {
    const transaction = await database.beginWrite();
    try {
      const result = change(new DatabaseEdit(transaction, new CommittedView(before)));
      await transaction.commit();
      return result;
    } finally {
      transaction.rollback();
    }
  } finally {
    before.close();
  }
}
