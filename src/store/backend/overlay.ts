// Writes that are applied but not yet in the B+tree.
//
// Rows of the key bucket arrive in revision order and are found by binary search. The other buckets
// are small and change in place: a map per bucket, where `undefined` means removed. An overlay is
// frozen before it is written; a frozen one never changes, so pinned views may hold it.

import { invariant } from '../../base/index.ts';
import type { ByteSlice, SplitRow } from '../../mvcc/index.ts';
import { BUCKET, BUCKET_COUNT, type BucketId } from '../schema/schema.ts';
import { OverlayRows } from './overlay-rows.ts';

/** Estimated bytes of a row in the file beyond its value: key, element header, share of branches. */
const ROW_OVERHEAD_BYTES = 17 + 16 + 8;

/** Estimated memory of the key of a row to be removed, which takes nothing in the file. */
const REMOVED_ROW_BYTES = 128;

export class Overlay {
  /** New rows of the key bucket. */
  readonly rows: OverlayRows = new OverlayRows();

  /** Rows of the key bucket to remove from the tree, ascending; they are never in an overlay. */
  readonly removedKeys: Uint8Array[] = [];

  /** Other buckets: key (latin1) to value, or undefined where the key was removed. */
  readonly #buckets: (Map<string, Uint8Array | undefined> | undefined)[] = new Array(BUCKET_COUNT);

  /** Changes since the overlay began; etcd's batch limit counts them. */
  changeCount = 0;
  /** Estimated bytes that these changes will take in the file. */
  byteCount = 0;
  frozen = false;
  #lateBytes = 0;

  get isEmpty(): boolean {
    return this.changeCount === 0;
  }

  /**
   * Estimated bytes that the overlay itself takes, for the bound on it. Late rows are not among them: nothing
   * else can be done about these than to take them all.
   */
  get heldBytes(): number {
    return this.byteCount - this.#lateBytes + this.removedKeys.length * REMOVED_ROW_BYTES;
  }

  /** Appends a row of the key bucket; (main, sub) is above every row before it. */
  appendRow(
    main: number,
    sub: number,
    tombstone: boolean,
    slab: Uint8Array,
    offset: number,
    length: number,
  ): void {
    invariant(!this.frozen, 'a frozen overlay takes no row');
    this.rows.append(main, sub, tombstone, slab, offset, length);
    this.#countRow(length);
  }

  /** As {@link appendRow}, of a put in pieces. */
  appendSplitRow(main: number, sub: number, row: SplitRow): void {
    invariant(!this.frozen, 'a frozen overlay takes no row');
    this.rows.appendSplit(main, sub, row);
    this.#countRow(row.length);
  }

  /** Appends a tombstone of the revision that a place is kept for; see {@link OverlayRows.beginLate}. */
  appendLateTombstone(sub: number, slab: Uint8Array, offset: number, length: number): void {
    invariant(!this.frozen, 'a frozen overlay takes no row');
    this.rows.appendLate(sub, slab, offset, length);
    this.#lateBytes += this.#countRow(length);
  }

  /** Returns what the row is estimated to take in the file. */
  #countRow(length: number): number {
    const bytes = length + ROW_OVERHEAD_BYTES;
    this.changeCount++;
    this.byteCount += bytes;
    return bytes;
  }

  /** Removes a row that is already in the tree. */
  removeRow(key: Uint8Array): void {
    invariant(!this.frozen, 'a frozen overlay takes no removal');
    this.removedKeys.push(key);
    this.changeCount++;
  }

  /** Finds a row; false if it is not in this overlay. */
  findRow(main: number, sub: number, into: ByteSlice): boolean {
    return this.rows.find(main, sub, into);
  }

  /** Sets (or with undefined removes) a key of any bucket but the key bucket. */
  set(bucket: BucketId, key: string, value: Uint8Array | undefined): void {
    invariant(!this.frozen, 'a frozen overlay takes no change');
    invariant(bucket !== BUCKET.KEY, 'rows of the key bucket go through appendRow');
    let map = this.#buckets[bucket];
    if (map === undefined) {
      map = new Map();
      this.#buckets[bucket] = map;
    }
    map.set(key, value);
    this.changeCount++;
    this.byteCount += key.length + (value === undefined ? 0 : value.length) + ROW_OVERHEAD_BYTES;
  }

  /** The changes of one bucket, or undefined if it has none. */
  changes(bucket: BucketId): ReadonlyMap<string, Uint8Array | undefined> | undefined {
    return this.#buckets[bucket];
  }
}
