// The buckets of the backend and the keys of its meta bucket, named once.
//
// Facts: etcd v3.7.1 `server/storage/schema`. Values are written elsewhere, by the part that owns
// each bucket; this file owns names and the encodings that several parts share.

import { bytesFromLatin1, latin1FromBytes, uint64At, writeUint64 } from '../../base/index.ts';

/** Index of a bucket in {@link BUCKET_NAMES}; names never appear outside this file. */
export const BUCKET = {
  KEY: 0,
  META: 1,
  LEASE: 2,
  ALARM: 3,
  CLUSTER: 4,
  MEMBERS: 5,
  MEMBERS_REMOVED: 6,
  AUTH: 7,
  AUTH_USERS: 8,
  AUTH_ROLES: 9,
} as const;

export type BucketId = (typeof BUCKET)[keyof typeof BUCKET];

/** Bucket names by id, as bytes in the file. */
export const BUCKET_NAMES: readonly string[] = [
  'key',
  'meta',
  'lease',
  'alarm',
  'cluster',
  'members',
  'members_removed',
  'auth',
  'authUsers',
  'authRoles',
];

export const BUCKET_COUNT: number = BUCKET_NAMES.length;

/** Keys of the meta bucket. */
export const META_KEY = {
  /** uint64 big-endian: the raft index of the newest entry whose effects are in this file. */
  CONSISTENT_INDEX: 'consistent_index',
  /** uint64 big-endian: the term of that entry. Since 3.5. */
  TERM: 'term',
  /** JSON of raft's ConfState. Since 3.5. */
  CONF_STATE: 'confState',
  /** 17-byte revision up to which a compaction was accepted. */
  SCHEDULED_COMPACT: 'scheduledCompactRev',
  /** 17-byte revision up to which rows have been removed. */
  FINISHED_COMPACT: 'finishedCompactRev',
  /** Text MAJOR.MINOR.0. Since 3.6. */
  STORAGE_VERSION: 'storageVersion',
} as const;

/** Keys that Maintenance.Hash leaves out, since members may differ in them. */
export const HASH_IGNORED: ReadonlySet<string> = new Set([
  META_KEY.CONSISTENT_INDEX,
  META_KEY.TERM,
  META_KEY.STORAGE_VERSION,
]);

/** `value` (0 to 2^53-1) as 8 bytes, big-endian. */
export function uint64Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  writeUint64(value, bytes, 0);
  return bytes;
}

/** The number in 8 big-endian bytes, or undefined if it is not 8 bytes or above 2^53-1. */
export function uint64FromBytes(bytes: Uint8Array): number | undefined {
  if (bytes.length !== 8) return undefined;
  const value = uint64At(bytes, 0);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** The lease bucket's key for a lease id: its 64 bits, big-endian, as a latin1 string. */
export function leaseKey(id: bigint): string {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, id);
  return latin1FromBytes(bytes);
}

/** The inverse of {@link leaseKey}; undefined if the key has another length. */
export function leaseIdFromKey(key: string): bigint | undefined {
  if (key.length !== 8) return undefined;
  const bytes = bytesFromLatin1(key);
  return new DataView(bytes.buffer).getBigInt64(0);
}
