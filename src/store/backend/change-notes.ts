// Keys that commits have changed in the file since one of them; the values are in the tree. New rows are
// always above the existing ones, so that the first new one identifies all.

import { invariant, type Revision } from '../../base/index.ts';
import { BUCKET_COUNT, type BucketId } from '../schema/schema.ts';
import type { Overlay } from './overlay.ts';

export class ChangeNotes {
  /** The lowest of the new rows; main is -1 while there is none. */
  firstMain: Revision = -1;
  firstSub = 0;
  /** Keys of removed rows, as the overlays hold them; some of these rows were added since, too. */
  readonly removedKeys: (readonly Uint8Array[])[] = [];
  /** By bucket: keys (latin1) that were set or removed. */
  readonly #changedKeys: (Set<string> | undefined)[] = new Array(BUCKET_COUNT);
  /** New rows; they take no memory here. */
  #rowCount = 0;
  /** Number of keys held here, counting duplicates. */
  keyCount = 0;

  /** Approximate number of changes to carry over. */
  get changeCount(): number {
    return this.#rowCount + this.keyCount;
  }

  changedKeys(bucket: BucketId): ReadonlySet<string> | undefined {
    return this.#changedKeys[bucket];
  }

  /** Records the changes of a commit. */
  add(overlay: Overlay): void {
    invariant(overlay.frozen, 'what was committed does not change any more');
    const { rows } = overlay;
    const first = rows.blocks[0];
    if (first !== undefined && this.firstMain < 0) {
      this.firstMain = first.mains[0]!;
      this.firstSub = first.subs[0]!;
    }
    this.#rowCount += rows.size;
    if (overlay.removedKeys.length > 0) {
      this.removedKeys.push(overlay.removedKeys);
      this.keyCount += overlay.removedKeys.length;
    }
    for (let id = 0; id < BUCKET_COUNT; id++) {
      const changes = overlay.changes(id as BucketId);
      if (changes === undefined) continue;
      let keys = this.#changedKeys[id];
      if (keys === undefined) {
        keys = new Set();
        this.#changedKeys[id] = keys;
      }
      for (const key of changes.keys()) keys.add(key);
      this.keyCount += changes.size;
    }
  }
}
