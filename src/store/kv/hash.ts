// The two checksums by which members and operators compare the stored data.
//
// HashKV covers the keys at a revision: crc32c over the name of the key bucket, then every row in
// revision order (key bytes, value bytes) with main <= revision, except rows at or before the compacted
// revision that compacting at the hashed revision would not keep. It must be equal on all members, real
// etcd ones included. Hash covers every bucket of the file, except meta keys in which members may differ.
//
// Source: etcd v3.7.1 `server/storage/mvcc/hash.go`, `server/storage/backend` (Hash).

import {
  bytesFromLatin1,
  copyBytes,
  crc32c,
  latin1FromBytes,
  type Revision,
} from '../../base/index.ts';
import type { ReadTransaction } from '../../bbolt/index.ts';
import {
  isTombstoneKey,
  type KeyIndex,
  mainOfKey,
  revisionKey,
  subOfKey,
} from '../../mvcc/index.ts';
import { BUCKET, BUCKET_NAMES, HASH_IGNORED } from '../schema/schema.ts';
import { readStoredRow, StoredRow } from './stored-row.ts';

interface HashKvInput {
  /** Holds every row up to the revision, synced; stays open until the hash is done. */
  readonly tree: ReadTransaction;
  /** Not compacted above the revision until the hash is done. */
  readonly index: KeyIndex;
  readonly revision: Revision;
  /** -1 before any compaction. */
  readonly compactedRev: Revision;
  /** A compaction at the revision would keep no rows; etcd then includes all of them. */
  readonly keepsNothing: boolean;
}

/** The checksum, unsigned 32 bits. In slices, with large reads past the page cache. */
export async function hashKv(input: HashKvInput): Promise<number> {
  const { tree, index, revision, compactedRev, keepsNothing } = input;
  const name = bytesFromLatin1(BUCKET_NAMES[BUCKET.KEY]!);
  const row = new StoredRow();
  const hash = new StagedChecksum();
  hash.add(name, 0, name.length);
  await tree.walk(name, {
    entry(bytes, keyOffset, keyLength, valueOffset, valueLength) {
      const main = mainOfKey(bytes, keyOffset);
      if (main > revision) return false;
      const valueEnd = valueOffset + valueLength;
      let kept = true;
      if (main <= compactedRev) {
        if (isTombstoneKey(keyLength)) {
          kept = keepsNothing && main !== compactedRev;
        } else if (!keepsNothing) {
          readStoredRow(bytes, valueOffset, valueEnd, row);
          kept = index.isKept(row.key, main, subOfKey(bytes, keyOffset), revision);
        }
      }
      if (kept) {
        hash.add(bytes, keyOffset, keyOffset + keyLength);
        hash.add(bytes, valueOffset, valueEnd);
      }
      return true;
    },
  });
  return hash.finish();
}

/** Bytes that are copied together before they are added to a checksum. */
const STAGE_BYTES = 64 * 1024;

/** A checksum of many short pieces: it takes a fifth of the time for long ones, copying them included. */
class StagedChecksum {
  readonly #stage = new Uint8Array(STAGE_BYTES);
  #used = 0;
  #checksum = 0;

  add(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (this.#used + length > STAGE_BYTES) this.finish();
    if (length > STAGE_BYTES) this.#checksum = crc32c(this.#checksum, bytes, start, end);
    else {
      copyBytes(bytes, start, length, this.#stage, this.#used);
      this.#used += length;
    }
  }

  /** The checksum of all that was added. */
  finish(): number {
    this.#checksum = crc32c(this.#checksum, this.#stage, 0, this.#used);
    this.#used = 0;
    return this.#checksum;
  }
}

/** Whether a key was deleted exactly at this revision. */
export function hasTombstoneAt(tree: ReadTransaction, revision: Revision): boolean {
  const cursor = tree.bucket(bytesFromLatin1(BUCKET_NAMES[BUCKET.KEY]!))?.cursor();
  if (cursor === undefined) return false;
  for (let found = cursor.seek(revisionKey(revision, 0)); found; found = cursor.next()) {
    if (mainOfKey(cursor.keyBytes, cursor.keyOffset) !== revision) return false;
    if (isTombstoneKey(cursor.keyLength)) return true;
  }
  return false;
}

/** Maintenance.Hash over one commit of the file. In slices, past the page cache. */
export async function hashBackend(tree: ReadTransaction): Promise<number> {
  const hash = new StagedChecksum();
  const buckets = tree.cursor();
  for (let found = buckets.first(); found; found = buckets.next()) {
    const name = buckets.key();
    hash.add(name, 0, name.length);
    const isMeta = latin1FromBytes(name) === BUCKET_NAMES[BUCKET.META];
    await tree.walk(name, {
      entry(bytes, keyOffset, keyLength, valueOffset, valueLength) {
        const keyEnd = keyOffset + keyLength;
        if (isMeta && HASH_IGNORED.has(latin1FromBytes(bytes, keyOffset, keyEnd))) return true;
        hash.add(bytes, keyOffset, keyEnd);
        hash.add(bytes, valueOffset, valueOffset + valueLength);
        return true;
      },
    });
  }
  return hash.finish();
}
