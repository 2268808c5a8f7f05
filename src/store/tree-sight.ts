// One commit of the B+tree, as the store reads it.

import { bytesFromLatin1, invariant, latin1FromBytes, type Revision } from '../base/index.ts';
import type { Cursor, ReadTransaction } from '../bbolt/index.ts';
import { type ByteSlice, REVISION_KEY_BYTES, writeRevisionKey } from '../mvcc/index.ts';
import type { Overlay } from './overlay.ts';
import { BUCKET, BUCKET_NAMES, type BucketId } from './schema.ts';

/** A bucket's name as the file has it. */
export function nameOf(bucket: BucketId): Uint8Array {
  return bytesFromLatin1(BUCKET_NAMES[bucket]!);
}

/** The file as it was when it was opened: what boot reads before anything is applied. */
export interface BackendSnapshot {
  get(bucket: BucketId, key: string): Uint8Array | undefined;
  entries(bucket: BucketId): Map<string, Uint8Array>;
  /** Names of all buckets, known or not. */
  bucketNames(): string[];
}

/** One commit of the tree, with the cursor that point reads of the key bucket share. */
export class TreeSight implements BackendSnapshot {
  readonly transaction: ReadTransaction;
  readonly #rows: Cursor | undefined;
  readonly #key = new Uint8Array(REVISION_KEY_BYTES);

  constructor(transaction: ReadTransaction) {
    this.transaction = transaction;
    this.#rows = transaction.bucket(nameOf(BUCKET.KEY))?.cursor();
  }

  findRow(main: Revision, sub: number, into: ByteSlice): boolean {
    const rows = this.#rows;
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

  bucketNames(): string[] {
    const names: string[] = [];
    const cursor = this.transaction.cursor();
    for (let found = cursor.first(); found; found = cursor.next()) {
      names.push(latin1FromBytes(cursor.key()));
    }
    return names;
  }
}

/** A consistent sight of all rows at the moment it was taken; holds pages until released. */
export class PinnedRows {
  readonly #tree: TreeSight;
  readonly #overlays: readonly Overlay[];
  #released = false;

  /** @internal */
  constructor(transaction: ReadTransaction, overlays: readonly Overlay[]) {
    this.#tree = new TreeSight(transaction);
    this.#overlays = overlays;
  }

  /** As {@link Backend.findRow}. */
  findRow(main: Revision, sub: number, into: ByteSlice): boolean {
    invariant(!this.#released, 'a released view is not read');
    for (const overlay of this.#overlays) if (overlay.findRow(main, sub, into)) return true;
    return this.#tree.findRow(main, sub, into);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#tree.transaction.close();
  }
}
