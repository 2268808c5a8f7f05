// What a database file of another member must hold before it is used, besides what any file must.

import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import type { BackendSnapshot } from '../backend/committed-view.ts';
import { readCount, type SnapshotPosition } from '../backend/file-pass.ts';
import { readAlarms } from './alarm-store.ts';
import { BUCKET, META_KEY } from './schema.ts';

/**
 * Reads the buckets that `Restore` does not: alarms, and the index, which must be that of the snapshot
 * at `position` that the file at `path` came with. CORRUPT, naming the cause, if it could not be served.
 */
export function checkReceivedBuckets(
  snapshot: BackendSnapshot,
  path: string,
  position: SnapshotPosition,
): void {
  checkIndex(snapshot, path, position);
  readAlarms(snapshot);
}

/** The index inside is that of the snapshot. Releases up to 3.4 do not write it for every entry. */
function checkIndex(snapshot: BackendSnapshot, path: string, { index }: SnapshotPosition): void {
  const inside = readCount(snapshot, META_KEY.CONSISTENT_INDEX);
  if (inside === 0) throw new TetcdError(ERROR_CODES.CORRUPT, `${path} is no database of a member`);
  const isExact = snapshot.get(BUCKET.META, META_KEY.TERM) !== undefined;
  if (!isExact || inside === index) return;
  throw new TetcdError(
    ERROR_CODES.CORRUPT,
    `${path} is at index ${inside}, not at the snapshot at ${index} that it came with`,
  );
}
