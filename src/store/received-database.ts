// A database file from another member, before anything relies on it.

import type { Env } from '../env/index.ts';
import { checkRevisionKey } from '../mvcc/index.ts';
import { Backend, type SnapshotPosition } from './backend.ts';
import { Restore } from './restore.ts';
import { readStoredRow, StoredRow } from './stored-row.ts';

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
  await Backend.inspect(env, path, position, rows, (snapshot) => restore.inspect(snapshot));
}
