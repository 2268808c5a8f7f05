// What a database file holds, by the file alone: `snapshot status`.

import { bytesFromLatin1, crc32c, type Revision } from '../base/index.ts';
import type { ReadTransaction } from '../bbolt/index.ts';
import { formatStoredVersion } from '../membership/index.ts';
import { KeyIndex } from '../mvcc/index.ts';
import {
  BUCKET,
  BUCKET_NAMES,
  CommittedView,
  RowGate,
  type RowVisitor,
  readStorageVersion,
} from '../store/index.ts';
import { type LockOptions, readingDatabase } from './database-file.ts';
import { checkStructure } from './structure.ts';
import type { OfflineEnv } from './types.ts';

export interface SnapshotStatus {
  /** CRC-32C over the name of every bucket, and the keys and values in it; unsigned 32 bits. */
  readonly hash: number;
  /** Of the newest row; 0 without rows. */
  readonly revision: number;
  /** Keys that exist at that revision. */
  readonly totalKeys: number;
  /** Bytes of the database; a checksum behind it is not counted. */
  readonly totalSize: number;
  /** The storage version as it is stored (`3.7.0`); empty in files of releases up to 3.5. */
  readonly version: string;
}

/**
 * Reads the file as a whole, after a check of its structure. CORRUPT, with every violation on a line of
 * its own, for a damaged one; other errors as of {@link readingDatabase}.
 */
export function snapshotStatus(
  env: OfflineEnv,
  path: string,
  options: LockOptions = {},
): Promise<SnapshotStatus> {
  return readingDatabase(env, path, options, async (database) => {
    await checkStructure(database);
    const transaction = database.beginRead();
    try {
      return await statusOf(transaction);
    } finally {
      transaction.close();
    }
  });
}

async function statusOf(transaction: ReadTransaction): Promise<SnapshotStatus> {
  const view = new CommittedView(transaction);
  const keys = new LiveKeys();
  let hash = 0;
  for (const name of view.bucketNames()) {
    const bucket = bytesFromLatin1(name);
    const isKeys = name === BUCKET_NAMES[BUCKET.KEY];
    hash = crc32c(hash, bucket);
    await transaction.walk(bucket, {
      entry: (bytes, keyOffset, keyLength, valueOffset, valueLength) => {
        hash = crc32c(hash, bytes, keyOffset, keyOffset + keyLength);
        hash = crc32c(hash, bytes, valueOffset, valueOffset + valueLength);
        if (isKeys) keys.row(bytes, keyOffset, keyLength, valueOffset, valueLength);
        return true;
      },
    });
  }
  const version = readStorageVersion(view);
  return {
    hash,
    revision: keys.revision,
    totalKeys: keys.count,
    totalSize: transaction.size,
    version: version === undefined ? '' : formatStoredVersion(version),
  };
}

/** Counts the keys that exist after the rows that came. */
class LiveKeys {
  readonly #gate = new RowGate();
  readonly #index = new KeyIndex();

  get revision(): Revision {
    return this.#gate.main;
  }

  get count(): number {
    return this.#index.liveCount;
  }

  readonly row: RowVisitor['row'] = (bytes, keyOffset, keyLength, valueOffset, valueLength) => {
    const gate = this.#gate;
    gate.accept(bytes, keyOffset, keyLength, valueOffset, valueLength);
    const { main, sub, tombstone, row } = gate;
    this.#index.restoreRow(row.key, main, sub, tombstone, row.createRevision, row.version, 0);
  };
}
