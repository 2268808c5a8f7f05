// Deletes the keys of a lease, in slices. In byte order, so that the deletions get the same sub revisions
// on every member.

import type { Lease } from '../../lease/index.ts';
import { SlicedSort, type WriteTxn } from '../../mvcc/index.ts';

export class LeaseRevocation {
  readonly #txn: WriteTxn;
  readonly #pieces: Iterator<ReadonlySet<string>>;
  readonly #keys: string[] = [];
  #sort: SlicedSort | undefined;
  #sorted = false;
  #deleted = 0;

  constructor(lease: Lease, txn: WriteTxn) {
    this.#txn = txn;
    this.#pieces = lease.keys.pieces();
  }

  /** Deletes about `budget` keys; true when all are deleted. */
  step(budget: number): boolean {
    let left = budget;
    while (this.#sort === undefined) {
      if (left <= 0) return false;
      const piece = this.#pieces.next();
      if (piece.done === true) {
        const keys = this.#keys;
        this.#sort = new SlicedSort();
        this.#sort.start(keys.length, (a, b) => (keys[a]! < keys[b]! ? -1 : 1));
      } else {
        for (const key of piece.value) this.#keys.push(key);
        left -= piece.value.size;
      }
    }
    if (!this.#sorted) {
      this.#sorted = this.#sort.step(Math.max(left, 1));
      if (!this.#sorted) return false;
    }
    const { order } = this.#sort;
    const end = Math.min(order.length, this.#deleted + Math.max(left, 1));
    for (; this.#deleted < end; this.#deleted++) {
      this.#txn.delete(this.#keys[order[this.#deleted]!]!);
    }
    return this.#deleted === order.length;
  }
}
