// The gateway for the rows of the key bucket, in the order of the file: rows that pass can be indexed.

import { ERROR_CODES, type Revision, TetcdError } from '../../base/index.ts';
import { checkRevisionKey, isTombstoneKey, mainOfKey, subOfKey } from '../../mvcc/index.ts';
import { readStoredRow, StoredRow } from '../kv/stored-row.ts';

/** Holds the newest row that was accepted. Hot at boot: once per row, a million times. */
export class RowGate {
  /** Revision of the row; 0 before the first. */
  main: Revision = 0;
  sub = -1;
  tombstone = false;
  readonly row: StoredRow = new StoredRow();

  /** CORRUPT or NUMBER_TOO_LARGE if the row is malformed or cannot follow the ones before. */
  accept(
    bytes: Uint8Array,
    keyOffset: number,
    keyLength: number,
    valueOffset: number,
    valueLength: number,
  ): void {
    checkRevisionKey(bytes, keyOffset, keyLength);
    readStoredRow(bytes, valueOffset, valueOffset + valueLength, this.row);
    const main = mainOfKey(bytes, keyOffset);
    const sub = subOfKey(bytes, keyOffset);
    if (main === this.main && sub === this.sub) {
      throw new TetcdError(ERROR_CODES.CORRUPT, `two rows have the revision ${main}.${sub}`);
    }
    this.main = main;
    this.sub = sub;
    this.tombstone = isTombstoneKey(keyLength);
  }
}
