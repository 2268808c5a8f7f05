// One commit of the B+tree, as the store reads it.

import { bytesFromLatin1, latin1FromBytes, placed, type Revision } from '../../base/index.ts';
import type { Cursor, ReadTransaction } from '../../bbolt/index.ts';
import { type ByteSlice, REVISION_KEY_BYTES, writeRevisionKey } from '../../mvcc/index.ts';
import { BUCKET, BUCKET_NAMES, type BucketId } from '../schema/schema.ts';

/** A bucket's name as the file has it. */
export function nameOf(bucket: BucketId): Uint8Array {
  return bytesFromLatin1(BUCKET_NAMES[bucket]!);
}

/** The file as of its opening, which boot reads before anything is applied. */
export interface BackendSnapshot {
  get(bucket: BucketId, key: string): Uint8Array | undefined;
  entries(bucket: BucketId): Map<string, Uint8Array>;
  /** Names of all buckets, known or not. */
  bucketNames(): string[];
  /** Where a row is: file, page, bucket and key, for messages. */
  placeOf(bucket: BucketId, key: string): string;
}

/** Runs `read`; adds to its error the place of the row in the file. */
export function readAt<Value>(
  view: Pick<BackendSnapshot, 'placeOf'>,
  bucket: BucketId,
  key: string,
  read: () => Value,
): Value {
  try {
    return read();
  } catch (error) {
    throw placed(error, view.placeOf(bucket, key));
  }
}

/** One commit of the tree, with the cursor that point reads of the key bucket share. */
export class CommittedView implements BackendSnapshot {
  readonly transaction: ReadTransaction;
  readonly #rows: Cursor | undefined;
  /** Made with the first row that is asked for in passing. */
  #passing: Cursor | undefined;
  readonly #key = new Uint8Array(REVISION_KEY_BYTES);

  constructor(transaction: ReadTransaction) {
    this.transaction = transaction;
    this.#rows = transaction.bucket(nameOf(BUCKET.KEY))?.cursor();
  }

  findRow(main: Revision, sub: number, into: ByteSlice): boolean {
    return this.#find(this.#rows, main, sub, into);
  }

  /** As {@link findRow}, for a row that is copied before this is called again, by one reader. */
  passRow(main: Revision, sub: number, into: ByteSlice): boolean {
    this.#passing ??= this.transaction.bucket(nameOf(BUCKET.KEY))?.passingCursor();
    return this.#find(this.#passing, main, sub, into);
  }

  #find(rows: Cursor | undefined, main: Revision, sub: number, into: ByteSlice): boolean {
    if (rows === undefined) return false;
    writeRevisionKey(main, sub, false, this.#key, 0);
    if (!rows.seekExact(this.#key)) return false;
    into.buffer = rows.valueBytes;
    into.offset = rows.valueOffset;
    into.length = rows.valueLength;
    return true;
  }

  get(bucket: BucketId, key: string): Uint8Array | undefined {
    return this.transaction.bucket(nameOf(bucket))?.get(bytesFromLatin1(key));
  }

  entries(bucket: BucketId): Map<string, Uint8Array> {
    const all = new Map<string, Uint8Array>();
    const cursor = this.transaction.bucket(nameOf(bucket))?.cursor();
    if (cursor === undefined) return all;
    for (let found = cursor.first(); found; found = cursor.next()) {
      all.set(latin1FromBytes(cursor.key()), cursor.value());
    }
    return all;
  }

  placeOf(bucket: BucketId, key: string): string {
    const page = this.transaction.placeOf(nameOf(bucket), bytesFromLatin1(key));
    return `${page}: bucket ${BUCKET_NAMES[bucket]}, key ${describeKey(key)}`;
  }

  bucketNames(): string[] {
    const names: string[] = [];
    const cursor = this.transaction.cursor();
    for (let found = cursor.first(); found; found = cursor.next()) {
      names.push(latin1FromBytes(cursor.key()));
    }
    return names;
  }
}

/** A key (one char per byte) for messages: as text if it is printable, else in hexadecimal. */
export function describeKey(key: string): string {
  if (/^[ -~]*$/.test(key)) return JSON.stringify(key);
  return [...key].map((char) => char.charCodeAt(0).toString(16).padStart(2, '0')).join('');
}
