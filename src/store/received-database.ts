// A database file from another member, before anything relies on it.

import { openDatabase } from '../bbolt/index.ts';
import type { Env } from '../env/index.ts';
import { checkRevisionKey } from '../mvcc/index.ts';
import { type SnapshotPosition, visitorsOf } from './file-pass.ts';
import { Restore } from './restore.ts';
import { readStoredRow, StoredRow } from './stored-row.ts';
import type { BackendSnapshot } from './tree-sight.ts';

/**
 * Reads the whole file at `path`, which came with the snapshot at `position`, and leaves it as it is.
 * CORRUPT, MALFORMED or UNSUPPORTED, naming what, if this release could not serve it.
 */
export async function checkReceivedDatabase(
  env: Env,
  path: string,
  position: SnapshotPosition,
): Promise<void> {
  const restore = new Restore(1);
  const row = new StoredRow();
  const rows = {
    row: (
      bytes: Uint8Array,
      keyOffset: number,
      keyLength: number,
      valueOffset: number,
      valueLength: number,
    ) => {
      checkRevisionKey(bytes, keyOffset, keyLength);
      readStoredRow(bytes, valueOffset, valueOffset + valueLength, row);
    },
  };
  const inspect = (snapshot: BackendSnapshot) => restore.inspect(snapshot);
  const visit = visitorsOf({ path, received: position, inspect, rows });
  const database = await openDatabase(env, path, { visit });
  await database.close();
}
