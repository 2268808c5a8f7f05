// Leases by the time of their next check: a binary heap in which each lease knows its place, so that a
// renewal moves it without a search.

import { invariant } from '../base/index.ts';
import type { Lease } from './lease.ts';

/** `heapIndex` of a lease that is not in the heap. */
export const NOT_IN_HEAP = -1;

export class ExpiryHeap {
  readonly #leases: Lease[] = [];

  get size(): number {
    return this.#leases.length;
  }

  /** The lease with the earliest `dueMs`. */
  peek(): Lease | undefined {
    return this.#leases[0];
  }

  /** Puts the lease at its place for `dueMs`, which it may be in the heap with already. */
  place(lease: Lease, dueMs: number): void {
    lease.dueMs = dueMs;
    if (lease.heapIndex === NOT_IN_HEAP) {
      lease.heapIndex = this.#leases.length;
      this.#leases.push(lease);
    }
    this.#up(lease.heapIndex);
    this.#down(lease.heapIndex);
  }

  remove(lease: Lease): void {
    const index = lease.heapIndex;
    if (index === NOT_IN_HEAP) return;
    invariant(this.#leases[index] === lease, 'a lease in the heap knows its place');
    lease.heapIndex = NOT_IN_HEAP;
    const last = this.#leases.pop()!;
    if (last === lease) return;
    this.#set(index, last);
    this.#up(index);
    this.#down(last.heapIndex);
  }

  clear(): void {
    for (const lease of this.#leases) lease.heapIndex = NOT_IN_HEAP;
    this.#leases.length = 0;
  }

  /** Every violation of the heap's order. */
  check(): string[] {
    const violations: string[] = [];
    for (const [index, lease] of this.#leases.entries()) {
      if (lease.heapIndex !== index) violations.push(`lease ${lease.id} has a wrong place`);
      const parent = this.#leases[(index - 1) >> 1];
      if (index > 0 && parent!.dueMs > lease.dueMs)
        violations.push(`lease ${lease.id} is misplaced`);
    }
    return violations;
  }

  #set(index: number, lease: Lease): void {
    this.#leases[index] = lease;
    lease.heapIndex = index;
  }

  #up(start: number): void {
    const lease = this.#leases[start]!;
    let index = start;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#leases[parentIndex]!;
      if (parent.dueMs <= lease.dueMs) break;
      this.#set(index, parent);
      index = parentIndex;
    }
    this.#set(index, lease);
  }

  #down(start: number): void {
    const lease = this.#leases[start]!;
    const { length } = this.#leases;
    let index = start;
    for (;;) {
      let childIndex = 2 * index + 1;
      if (childIndex >= length) break;
      const right = childIndex + 1;
      if (right < length && this.#leases[right]!.dueMs < this.#leases[childIndex]!.dueMs) {
        childIndex = right;
      }
      const child = this.#leases[childIndex]!;
      if (child.dueMs >= lease.dueMs) break;
      this.#set(index, child);
      index = childIndex;
    }
    this.#set(index, lease);
  }
}
