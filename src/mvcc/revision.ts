// Revisions, and their form as keys of the backend's `key` bucket.
//
//   offset  size  meaning
//   0       8     main, int64, big-endian
//   8       1     0x5f '_'
//   9       8     sub, int64, big-endian
//   17      1     0x74 't', only on a tombstone
//
// Example: put at main 5, sub 1: 00 00 00 00 00 00 00 05 5f 00 00 00 00 00 00 00 01
// The order of these bytes is the order of revisions. All changes of one transaction share `main`;
// `sub` counts them from 0.

import {
  CONSENSUS_END,
  ERROR_CODES,
  type Revision,
  TetcdError,
  uint64At,
  writeUint64,
} from '../base/index.ts';
import { SUB_MAX } from './limits.ts';

/** Length of the key of a put. */
export const REVISION_KEY_BYTES = 17;
/** Length of the key of a tombstone. */
export const TOMBSTONE_KEY_BYTES = 18;

const SEPARATOR = 0x5f;
const TOMBSTONE_MARK = 0x74;

/** Negative, zero or positive as revision a is before, equal to or after revision b. */
export function compareRevisions(
  mainA: Revision,
  subA: number,
  mainB: Revision,
  subB: number,
): number {
  return mainA !== mainB ? mainA - mainB : subA - subB;
}

/** Writes 17 or 18 bytes at `offset`; the caller made room. Returns the offset after. */
export function writeRevisionKey(
  main: Revision,
  sub: number,
  tombstone: boolean,
  target: Uint8Array,
  offset: number,
): number {
  writeUint64(main, target, offset);
  target[offset + 8] = SEPARATOR;
  writeUint64(sub, target, offset + 9);
  if (!tombstone) return offset + REVISION_KEY_BYTES;
  target[offset + REVISION_KEY_BYTES] = TOMBSTONE_MARK;
  return offset + TOMBSTONE_KEY_BYTES;
}

/** The key of a revision in a fresh array. */
export function revisionKey(main: Revision, sub: number, tombstone = false): Uint8Array {
  const key = new Uint8Array(tombstone ? TOMBSTONE_KEY_BYTES : REVISION_KEY_BYTES);
  writeRevisionKey(main, sub, tombstone, key, 0);
  return key;
}

/** Main revision of a key that {@link checkRevisionKey} accepts. */
export function mainOfKey(bytes: Uint8Array, offset = 0): Revision {
  return uint64At(bytes, offset);
}

/** Sub revision of a key that {@link checkRevisionKey} accepts. */
export function subOfKey(bytes: Uint8Array, offset = 0): number {
  return uint64At(bytes, offset + 9);
}

/** Whether a key of this length is a tombstone's. */
export function isTombstoneKey(length: number): boolean {
  return length === TOMBSTONE_KEY_BYTES;
}

/**
 * The gateway for keys read from disk: throws CORRUPT if `bytes[offset, offset + length)` is not a
 * revision, NUMBER_TOO_LARGE if it leaves no room for those that follow.
 */
export function checkRevisionKey(bytes: Uint8Array, offset = 0, length = bytes.length): void {
  const sized =
    length === REVISION_KEY_BYTES ||
    (length === TOMBSTONE_KEY_BYTES && bytes[offset + REVISION_KEY_BYTES] === TOMBSTONE_MARK);
  if (!sized || bytes[offset + 8] !== SEPARATOR) {
    throw new TetcdError(ERROR_CODES.CORRUPT, `a key of ${length} bytes is not a revision`);
  }
  if (bytes[offset]! >= 0x80 || bytes[offset + 9]! >= 0x80) {
    throw new TetcdError(ERROR_CODES.CORRUPT, 'negative revision');
  }
  // Revisions that follow must still be numbers that can be counted.
  if (uint64At(bytes, offset) >= CONSENSUS_END) {
    throw new TetcdError(ERROR_CODES.NUMBER_TOO_LARGE, 'revision not below 2^52');
  }
  if (uint64At(bytes, offset + 9) > SUB_MAX) {
    throw new TetcdError(ERROR_CODES.NUMBER_TOO_LARGE, 'sub revision above 2^31-1');
  }
}
