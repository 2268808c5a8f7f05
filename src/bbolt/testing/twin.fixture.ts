// The deliberately naive twin of a database: maps of maps, keys as latin1 strings, a deep copy for
// each snapshot. And the comparison of the two.

import { expect } from 'vitest';
import { bytesFromLatin1, latin1FromBytes, type Random } from '../../base/index.ts';
import type { Bucket, Cursor } from '../api.ts';

export class TwinBucket {
  readonly entries = new Map<string, Uint8Array | TwinBucket>();
  sequence = 0n;

  copy(): TwinBucket {
    const copy = new TwinBucket();
    copy.sequence = this.sequence;
    for (const [key, value] of this.entries) {
      copy.entries.set(key, value instanceof TwinBucket ? value.copy() : value);
    }
    return copy;
  }

  /** Keys in byte order. */
  keys(): string[] {
    return [...this.entries.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }
}

/** The bytes cut at random places; some pieces may be empty. */
export function cutAnywhere(random: Random, bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length || pieces.length === 0; ) {
    const end = at + random.below(bytes.length - at + 1);
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}

/** Asserts that a bucket, or a transaction's root, holds what the twin does, all ways of reading. */
export function expectEqual(actual: Pick<Bucket, 'cursor' | 'bucket'>, twin: TwinBucket): void {
  const keys = twin.keys();
  expectSequence(actual.cursor(), keys, 'forward');
  expectSequence(actual.cursor(), keys.slice().reverse(), 'backward');
  const cursor = actual.cursor();
  for (const key of keys) {
    const value = twin.entries.get(key)!;
    const bytes = bytesFromLatin1(key);
    expect(cursor.seekExact(bytes)).toBe(true);
    expect(cursor.isBucket).toBe(value instanceof TwinBucket);
    const nested = actual.bucket(bytes);
    if (value instanceof TwinBucket) {
      expect(nested).toBeDefined();
      expect(nested!.sequence()).toBe(value.sequence);
      expectEqual(nested!, value);
      if ('get' in actual) expect((actual as Bucket).get(bytes)).toBeUndefined();
    } else {
      expect(nested).toBeUndefined();
      expect(Buffer.compare(cursor.value(), value)).toBe(0);
      if ('get' in actual) {
        expect(Buffer.compare((actual as Bucket).get(bytes)!, value)).toBe(0);
      }
    }
  }
}

function expectSequence(
  cursor: Cursor,
  keys: readonly string[],
  way: 'forward' | 'backward',
): void {
  const seen: string[] = [];
  const forward = way === 'forward';
  for (
    let on = forward ? cursor.first() : cursor.last();
    on;
    on = forward ? cursor.next() : cursor.prev()
  ) {
    seen.push(latin1FromBytes(cursor.key()));
  }
  expect(cursor.valid).toBe(false);
  expect(seen).toEqual(keys);
  // From behind the end the way back begins at the end.
  if (keys.length > 0) {
    expect(forward ? cursor.prev() : cursor.next()).toBe(true);
    expect(latin1FromBytes(cursor.key())).toBe(keys[keys.length - 1]);
  }
}
