// The pass over a database file while it is opened: the small buckets first, then every row.

import {
  ERROR_CODES,
  type LogIndex,
  latin1FromBytes,
  placed,
  type Term,
  TetcdError,
} from '../../base/index.ts';
import type { BucketVisitor, ReadTransaction } from '../../bbolt/index.ts';
import { BUCKET, META_KEY, uint64FromBytes } from '../schema/schema.ts';
import { type BackendSnapshot, CommittedView, describeKey, nameOf } from './committed-view.ts';

/** Receives every row of the key bucket, in revision order, while the file is opened. */
export interface RowVisitor {
  row(
    bytes: Uint8Array,
    keyOffset: number,
    keyLength: number,
    valueOffset: number,
    valueLength: number,
  ): void;
}

/** The last entry that a snapshot covers. */
export interface SnapshotPosition {
  readonly index: LogIndex;
  readonly term: Term;
}

interface FilePass {
  readonly path: string;
  /** The snapshot that the file came with, if it is from another member. */
  readonly received: SnapshotPosition | undefined;
  /** Gets the buckets before the first row. */
  readonly inspect: (snapshot: BackendSnapshot) => void;
  readonly rows: RowVisitor;
}

/** What to visit while a file is opened. */
export function visitorsOf(pass: FilePass): (transaction: ReadTransaction) => BucketVisitor[] {
  const { path, received, inspect, rows } = pass;
  return (transaction) => {
    const view = new CommittedView(transaction);
    if (received !== undefined) checkReceived(view, path, received);
    inspect(view);
    return [rowsOf(rows)];
  };
}

function rowsOf(rows: RowVisitor): BucketVisitor {
  return {
    bucket: nameOf(BUCKET.KEY),
    entry: (bytes, keyOffset, keyLength, valueOffset, valueLength) => {
      try {
        rows.row(bytes, keyOffset, keyLength, valueOffset, valueLength);
      } catch (error) {
        const key = describeKey(latin1FromBytes(bytes, keyOffset, keyOffset + keyLength));
        throw placed(error, `bucket key, key ${key}`);
      }
      return true;
    },
  };
}

/** A count in the meta bucket; 0 if it is missing. CORRUPT, naming its place, if it is malformed. */
export function readCount(view: Pick<BackendSnapshot, 'get' | 'placeOf'>, key: string): number {
  const bytes = view.get(BUCKET.META, key);
  if (bytes === undefined) return 0;
  const value = uint64FromBytes(bytes);
  if (value !== undefined) return value;
  const place = view.placeOf(BUCKET.META, key);
  throw new TetcdError(
    ERROR_CODES.CORRUPT,
    `${place}: ${bytes.length} bytes that are no 64-bit count`,
  );
}

/** The consistent index of a received database may be below that of its snapshot, never above. */
function checkReceived(view: CommittedView, path: string, received: SnapshotPosition): void {
  const index = readCount(view, META_KEY.CONSISTENT_INDEX);
  if (index <= received.index) return;
  throw new TetcdError(
    ERROR_CODES.CORRUPT,
    `${path} is at index ${index}, beyond the snapshot at ${received.index} that it came with`,
  );
}
