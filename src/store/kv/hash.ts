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
  crc32c,
  latin1FromBytes,
  type Revision,
  type SliceEnv,
  Slices,
} from '../../base/index.ts';
import type { ReadTransaction } from '../../bbolt/index.ts';
import type { Env } from '../../env/index.ts';
import {
  isTombstoneKey,
  type KeyIndex,
  mainOfKey,
  revisionKey,
  subOfKey,
} from '../../mvcc/index.ts';
import { ROWS_PER_CLOCK_CHECK } from '../limits.ts';
import { BUCKET, BUCKET_NAMES, HASH_IGNORED } from '../schema/schema.ts';
import { readStoredRow, StoredRow } from './stored-row.ts';

interface HashKvInput {
  readonly env: SliceEnv;
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

/** The checksum, unsigned 32 bits. In slices. */
export async function hashKv(input: HashKvInput): Promise<number> {
  const { env, tree, index, revision, compactedRev, keepsNothing } = input;
  const slices = new Slices(env);
  const name = bytesFromLatin1(BUCKET_NAMES[BUCKET.KEY]!);
  const row = new StoredRow();
  let hash = crc32c(0, name);
  const cursor = tree.bucket(name)?.cursor();
  if (cursor === undefined) return hash;
  let sinceCheck = 0;
  for (let found = cursor.first(); found; found = cursor.next()) {
    const { keyBytes, keyOffset, keyLength, valueBytes, valueOffset, valueLength } = cursor;
    const main = mainOfKey(keyBytes, keyOffset);
    if (main > revision) break;
    const valueEnd = valueOffset + valueLength;
    let kept = true;
    if (main <= compactedRev) {
      if (isTombstoneKey(keyLength)) {
        kept = keepsNothing && main !== compactedRev;
      } else if (!keepsNothing) {
        readStoredRow(valueBytes, valueOffset, valueEnd, row);
        kept = index.isKept(row.key, main, subOfKey(keyBytes, keyOffset), revision);
      }
    }
    if (kept) {
      hash = crc32c(hash, keyBytes, keyOffset, keyOffset + keyLength);
      hash = crc32c(hash, valueBytes, valueOffset, valueEnd);
    }
    if (++sinceCheck === ROWS_PER_CLOCK_CHECK) {
      sinceCheck = 0;
      if (slices.isOver) await slices.next();
    }
  }
  return hash;
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

/** Maintenance.Hash over one commit of the file. In slices. */
export async function hashBackend(env: Env, tree: ReadTransaction): Promise<number> {
  const slices = new Slices(env);
  let hash = 0;
  const buckets = tree.cursor();
  for (let found = buckets.first(); found; found = buckets.next()) {
    const name = buckets.key();
    hash = crc32c(hash, name);
    const cursor = tree.bucket(name)?.cursor();
    if (cursor === undefined) continue;
    const isMeta = latin1FromBytes(name) === BUCKET_NAMES[BUCKET.META];
    let sinceCheck = 0;
    for (let row = cursor.first(); row; row = cursor.next()) {
      if (isMeta && HASH_IGNORED.has(latin1FromBytes(cursor.key()))) continue;
      const { keyBytes, keyOffset, keyLength, valueBytes, valueOffset, valueLength } = cursor;
      hash = crc32c(hash, keyBytes, keyOffset, keyOffset + keyLength);
      hash = crc32c(hash, valueBytes, valueOffset, valueOffset + valueLength);
      if (++sinceCheck === ROWS_PER_CLOCK_CHECK) {
        sinceCheck = 0;
        if (slices.isOver) await slices.next();
      }
    }
  }
  return hash;
}
