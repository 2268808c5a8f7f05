// The check of a database file from another member, before it is used.

import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import { openDatabase } from '../../bbolt/index.ts';
import type { Env } from '../../env/index.ts';
import type { BackendSnapshot } from '../backend/committed-view.ts';
import { readCount, type SnapshotPosition, visitorsOf } from '../backend/file-pass.ts';
import { readAlarms } from './alarm-store.ts';
import { Restore } from './restore.ts';
import { RowGate } from './row-gate.ts';
import { BUCKET, META_KEY } from './schema.ts';

/**
 * Reads the whole file at `path`, which came with the snapshot at `position`, without changing it.
 * `inspect` gets the buckets that are read elsewhere. CORRUPT, MALFORMED or UNSUPPORTED, naming the
 * cause, if this release could not serve the file.
 */
export async function checkReceivedDatabase(
  env: Env,
  path: string,
  position: SnapshotPosition,
  inspect: (snapshot: BackendSnapshot) => void,
): Promise<void> {
  const restore = new Restore(1);
  const gate = new RowGate();
  const visit = visitorsOf({
    path,
    received: position,
    inspect: (snapshot) => {
      checkIndex(snapshot, path, position);
      restore.inspect(snapshot);
      readAlarms(snapshot);
      inspect(snapshot);
    },
    rows: { row: gate.accept.bind(gate) },
  });
  // Read-only, so that an empty file is not initialized as a database.
  const database = await openDatabase(env, path, { visit, readOnly: true });
  await database.close();
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
