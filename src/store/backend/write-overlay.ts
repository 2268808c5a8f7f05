// An overlay's changes as puts and deletes of a write transaction.

import { bytesFromLatin1, EMPTY_BYTES, Slices } from '../../base/index.ts';
import type { WriteTransaction } from '../../bbolt/index.ts';
import type { Env } from '../../env/index.ts';
import { TOMBSTONE_KEY_BYTES, writeRevisionKey } from '../../mvcc/index.ts';
import { CHANGES_PER_CLOCK_CHECK } from '../limits.ts';
import { BUCKET, BUCKET_COUNT, type BucketId } from '../schema/schema.ts';
import { nameOf } from './committed-view.ts';
import type { Overlay } from './overlay.ts';

/** Share of a page that ordered puts fill; etcd uses the same for this bucket. */
export const KEY_FILL_PERCENT = 0.9;

interface WriteOverlayOptions {
  /** Create buckets without changes too. */
  readonly allBuckets: boolean;
  /** Called before each slice; an error that it throws ends the work. */
  readonly assertGoesOn: () => void;
}

/** In slices; the caller commits or rolls back. The overlay is frozen. */
export async function writeOverlay(
  env: Env,
  transaction: WriteTransaction,
  overlay: Overlay,
  { allBuckets, assertGoesOn }: WriteOverlayOptions,
): Promise<void> {
  const bucket = transaction.createBucketIfNotExists(nameOf(BUCKET.KEY));
  bucket.fillPercent = KEY_FILL_PERCENT;
  const slices = new Slices(env);
  const yieldIfDue = async (): Promise<void> => {
    assertGoesOn();
    if (slices.isOver) await slices.next();
  };
  for (let i = 0; i < overlay.removedKeys.length; i++) {
    bucket.delete(overlay.removedKeys[i]!);
    if (i % CHANGES_PER_CLOCK_CHECK === 0) await yieldIfDue();
  }
  for (const { mains, subs, tombstones, slabs, offsets, lengths, splits } of overlay.rows.blocks) {
    // Keys of the changes between two looks at the clock, one behind the other.
    let keys = EMPTY_BYTES;
    let keyOffset = 0;
    for (let i = 0; i < mains.length; i++) {
      if (i % CHANGES_PER_CLOCK_CHECK === 0) {
        await yieldIfDue();
        keys = new Uint8Array(CHANGES_PER_CLOCK_CHECK * TOMBSTONE_KEY_BYTES);
        keyOffset = 0;
      }
      const keyEnd = writeRevisionKey(mains[i]!, subs[i]!, tombstones[i]!, keys, keyOffset);
      const keyLength = keyEnd - keyOffset;
      const split = splits?.get(i);
      if (split !== undefined) bucket.putPieces(keys, keyOffset, keyLength, split.pieces);
      else bucket.putSlice(keys, keyOffset, keyLength, slabs[i]!, offsets[i]!, lengths[i]!);
      keyOffset = keyEnd;
    }
  }
  writeSmallBuckets(transaction, overlay, allBuckets);
}

/**
 * The other buckets change by few keys per batch: one slice. All of them are created with the first
 * batch: a member of 3.4 that receives this file from its leader stops if one is missing.
 */
function writeSmallBuckets(
  transaction: WriteTransaction,
  overlay: Overlay,
  allBuckets: boolean,
): void {
  for (let id = 0; id < BUCKET_COUNT; id++) {
    const changes = overlay.changes(id as BucketId);
    if (changes === undefined && !allBuckets) continue;
    const bucket = transaction.createBucketIfNotExists(nameOf(id as BucketId));
    for (const [key, value] of changes ?? []) {
      const bytes = bytesFromLatin1(key);
      if (value === undefined) bucket.delete(bytes);
      else bucket.put(bytes, value);
    }
  }
}
