import { invariant } from '../../base/index.ts';
import type { ReadTransaction } from '../../bbolt/index.ts';
import type { ByteSlice } from '../../mvcc/index.ts';
import { CommittedView } from './committed-view.ts';
import type { Overlay } from './overlay.ts';

/** All rows as they were at the moment of pinning; holds pages of the file until released. */
export class PinnedRows {
  readonly #tree: CommittedView;
  /** Newest first. The live one may still grow: its new rows are of later revisions. */
  readonly #overlays: readonly Overlay[];
  #released = false;

  /** @internal Takes over the transaction. */
  constructor(transaction: ReadTransaction, overlays: readonly Overlay[]) {
    this.#tree = new CommittedView(transaction);
    this.#overlays = overlays;
  }

  /** As `Backend.findRow`. */
  findRow(main: number, sub: number, into: ByteSlice): boolean {
    invariant(!this.#released, 'a released view is not read');
    for (const overlay of this.#overlays) if (overlay.findRow(main, sub, into)) return true;
    return this.#tree.findRow(main, sub, into);
  }

  /** As {@link findRow}, for a row that is copied before this is called again, by one reader. */
  passRow(main: number, sub: number, into: ByteSlice): boolean {
    invariant(!this.#released, 'a released view is not read');
    for (const overlay of this.#overlays) if (overlay.findRow(main, sub, into)) return true;
    return this.#tree.passRow(main, sub, into);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#tree.transaction.close();
  }
}
