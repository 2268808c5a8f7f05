// Rows of the key bucket in revision order: the tree's, then the frozen overlay's, then the live one's.
// New rows are always above the existing ones, so that the three follow each other.

import { fail, type Revision } from '../../base/index.ts';
import type { Cursor } from '../../bbolt/index.ts';
import {
  ByteSlice,
  isTombstoneKey,
  mainOfKey,
  type RowCursor,
  revisionKey,
  subOfKey,
} from '../../mvcc/index.ts';
import type { Overlay } from './overlay.ts';

export class BackendRowCursor implements RowCursor {
  main: Revision;
  sub: number;
  tombstone = false;
  readonly value: ByteSlice = new ByteSlice();

  readonly #tree: Cursor | undefined;
  /** Oldest first. */
  readonly #overlays: readonly Overlay[];
  /** The overlay that is read, and the row in it; -1 while the tree is read. */
  #overlay = -1;
  #row = 0;
  #started = false;
  #closed = false;

  /** Before the first row at or after (main, sub). `overlays` oldest first. */
  constructor(tree: Cursor | undefined, overlays: readonly Overlay[], main: Revision, sub: number) {
    this.#tree = tree;
    this.#overlays = overlays;
    this.main = main;
    this.sub = sub;
  }

  next(): boolean {
    if (this.#closed) fail('a closed cursor is not moved');
    if (this.#overlay < 0) {
      if (this.#nextInTree()) return true;
      this.#overlay = 0;
      this.#enterOverlay();
    }
    return this.#nextInOverlays();
  }

  close(): void {
    this.#closed = true;
  }

  #nextInTree(): boolean {
    const tree = this.#tree;
    if (tree === undefined) return false;
    const found = this.#started ? tree.next() : tree.seek(revisionKey(this.main, this.sub));
    this.#started = true;
    if (!found) return false;
    this.main = mainOfKey(tree.keyBytes, tree.keyOffset);
    this.sub = subOfKey(tree.keyBytes, tree.keyOffset);
    this.tombstone = isTombstoneKey(tree.keyLength);
    this.value.buffer = tree.valueBytes;
    this.value.offset = tree.valueOffset;
    this.value.length = tree.valueLength;
    return true;
  }

  /** Moves to the first wanted row of the overlay. */
  #enterOverlay(): void {
    const overlay = this.#overlays[this.#overlay];
    if (overlay !== undefined) this.#row = overlay.lowerBound(this.main, this.sub);
  }

  #nextInOverlays(): boolean {
    for (; this.#overlay < this.#overlays.length; this.#overlay++, this.#enterOverlay()) {
      const overlay = this.#overlays[this.#overlay]!;
      const row = this.#row;
      if (row >= overlay.mains.length) continue;
      this.#row = row + 1;
      this.main = overlay.mains[row]!;
      this.sub = overlay.subs[row]!;
      this.tombstone = overlay.tombstones[row]!;
      this.value.buffer = overlay.slabs[row]!;
      this.value.offset = overlay.offsets[row]!;
      this.value.length = overlay.lengths[row]!;
      return true;
    }
    return false;
  }
}
