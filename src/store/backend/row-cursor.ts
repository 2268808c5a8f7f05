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
  /** The overlay that is read, and block and row in it; -1 while the tree is read. */
  #overlay = -1;
  #block = 0;
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
    const rows = this.#overlays[this.#overlay]?.rows;
    if (rows === undefined) return;
    this.#block = rows.blockOf(this.main, this.sub);
    this.#row = rows.blocks[this.#block]?.lowerBound(this.main, this.sub) ?? 0;
  }

  #nextInOverlays(): boolean {
    for (; this.#overlay < this.#overlays.length; this.#overlay++, this.#enterOverlay()) {
      const { blocks } = this.#overlays[this.#overlay]!.rows;
      for (; this.#block < blocks.length; this.#block++, this.#row = 0) {
        const block = blocks[this.#block]!;
        const row = this.#row;
        if (row >= block.size) continue;
        this.#row = row + 1;
        this.main = block.mains[row]!;
        this.sub = block.subs[row]!;
        this.tombstone = block.tombstones[row]!;
        block.pointAt(row, this.value);
        return true;
      }
    }
    return false;
  }
}
