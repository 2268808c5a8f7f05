// A stable merge sort of the positions 0 to n-1 that can be interrupted: sorting a million keys takes
// a second, and the event loop must not wait for it.

import { invariant } from '../../base/index.ts';

/** Negative, zero or positive as position a sorts before, with or after position b. */
type ComparePositions = (a: number, b: number) => number;

/** Positions that are sorted at once to begin with; about 0.1 ms. */
const RUN = 256;

/** What is sorted before the first start. */
const NO_POSITIONS = new Uint32Array(0);

export class SlicedSort {
  /** The positions; sorted once `step` said true. */
  order: Uint32Array = NO_POSITIONS;

  #compare: ComparePositions = () => 0;
  /** The other array to merge into. */
  #spare: Uint32Array = NO_POSITIONS;
  /** Length of sorted runs; below RUN the runs are still to be made. */
  #width = 0;
  /** Next place to sort or merge at. */
  #at = 0;
  /** The current merge: next of the left run and its end, next of the right run and its end. */
  #left = 0;
  #middle = 0;
  #right = 0;
  #end = 0;

  start(count: number, compare: ComparePositions): void {
    this.order = new Uint32Array(count);
    this.#spare = count > RUN ? new Uint32Array(count) : NO_POSITIONS;
    this.#compare = compare;
    this.#width = 0;
    this.#at = 0;
    this.#end = 0;
  }

  /** Handles about `budget` positions; true when all is sorted. */
  step(budget: number): boolean {
    invariant(budget > 0, 'a slice of sorting does something');
    let left = budget;
    const count = this.order.length;
    while (this.#width === 0) {
      const end = Math.min(this.#at + RUN, count);
      for (let i = this.#at; i < end; i++) this.order[i] = i;
      this.order.subarray(this.#at, end).sort(this.#compare);
      left -= end - this.#at;
      this.#at = end;
      if (end === count) this.#nextWidth(RUN);
      if (left <= 0) break;
    }
    while (this.#width > 0 && this.#width < count) {
      if (left <= 0) return false;
      left -= this.#merge(left);
      if (this.#at === count) {
        [this.order, this.#spare] = [this.#spare, this.order];
        this.#nextWidth(this.#width * 2);
      }
    }
    return this.#width >= count;
  }

  #nextWidth(width: number): void {
    this.#width = Math.max(width, 1);
    this.#at = 0;
    this.#end = 0;
  }

  /** Moves up to `limit` positions of two neighbouring runs into the spare array. */
  #merge(limit: number): number {
    const { order } = this;
    const spare = this.#spare;
    const count = order.length;
    if (this.#at === this.#end) {
      this.#left = this.#at;
      this.#middle = Math.min(this.#at + this.#width, count);
      this.#right = this.#middle;
      this.#end = Math.min(this.#middle + this.#width, count);
    }
    const stop = Math.min(this.#at + limit, this.#end);
    const moved = stop - this.#at;
    while (this.#at < stop) {
      const fromLeft =
        this.#right === this.#end ||
        (this.#left < this.#middle && this.#compare(order[this.#left]!, order[this.#right]!) <= 0);
      spare[this.#at++] = order[fromLeft ? this.#left++ : this.#right++]!;
    }
    return moved;
  }
}
