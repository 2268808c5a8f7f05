// The appends that were sent to one follower and not yet acknowledged: a window bounded in
// messages and in bytes.
//
//        head          head + count
//          v                v
//   . . [ 12 ][ 15 ][ 16 ][ 20 ] . .      last index of each message, ascending
//       [300 ][ 80 ][ 80 ][ 900]          bytes of its entries
//
// Two arrays used as a ring. It grows by doubling up to `countMax`, so that idle followers cost
// nothing.

import { invariant, type LogIndex } from '../../base/index.ts';

const CAPACITY_FIRST = 4;

/** The appends in flight to one follower. */
export class Inflights {
  /** Most messages in the window. */
  readonly countMax: number;
  /**
   * Bound of the bytes in the window; Infinity for none. Soft: one message may cross it, and only
   * then is the window full.
   */
  readonly bytesMax: number;
  #lastIndexes: number[] = [];
  #bytes: number[] = [];
  /** Place of the oldest message. */
  #head = 0;
  #count = 0;
  #bytesTotal = 0;

  constructor(countMax: number, bytesMax: number) {
    invariant(countMax > 0, 'an inflight window holds at least one message');
    this.countMax = countMax;
    this.bytesMax = bytesMax;
  }

  /** Messages in the window. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of the entries in the window. */
  get bytes(): number {
    return this.#bytesTotal;
  }

  /** Whether no further message may be sent. */
  full(): boolean {
    return this.#count >= this.countMax || this.#bytesTotal >= this.bytesMax;
  }

  /** Records a message whose last entry has `lastIndex`. The caller has asked `full()` before. */
  add(lastIndex: LogIndex, bytes: number): void {
    invariant(!this.full(), 'a message was added to a full inflight window');
    if (this.#count === this.#lastIndexes.length) this.#grow();
    const at = (this.#head + this.#count) % this.#lastIndexes.length;
    if (this.#count > 0) {
      const before = at === 0 ? this.#lastIndexes.length - 1 : at - 1;
      invariant(this.#lastIndexes[before]! < lastIndex, 'messages in flight ascend');
    }
    this.#lastIndexes[at] = lastIndex;
    invariant(bytes >= 0, 'a message has no negative size');
    this.#bytes[at] = bytes;
    this.#count++;
    this.#bytesTotal += bytes;
  }

  /** Forgets every message whose last index is at most `index`. */
  freeTo(index: LogIndex): void {
    const capacity = this.#lastIndexes.length;
    while (this.#count > 0 && this.#lastIndexes[this.#head]! <= index) {
      this.#bytesTotal -= this.#bytes[this.#head]!;
      this.#head = (this.#head + 1) % capacity;
      this.#count--;
    }
    invariant(this.#bytesTotal >= 0, 'bytes that leave the window were counted');
    if (this.#count > 0) return;
    invariant(this.#bytesTotal === 0, 'an empty window holds no bytes');
    this.#head = 0;
  }

  /** Forgets everything. */
  reset(): void {
    this.#head = 0;
    this.#count = 0;
    this.#bytesTotal = 0;
  }

  clone(): Inflights {
    const copy = new Inflights(this.countMax, this.bytesMax);
    copy.#lastIndexes = this.#lastIndexes.slice();
    copy.#bytes = this.#bytes.slice();
    copy.#head = this.#head;
    copy.#count = this.#count;
    copy.#bytesTotal = this.#bytesTotal;
    invariant(copy.full() === this.full(), 'a copy of a window is as full');
    return copy;
  }

  /** Doubles the ring and moves its oldest message to place 0. */
  #grow(): void {
    const old = this.#lastIndexes.length;
    const capacity = Math.min(Math.max(old * 2, CAPACITY_FIRST), this.countMax);
    invariant(capacity > this.#count, 'a grown ring has room for a message');
    const lastIndexes: number[] = new Array<number>(capacity).fill(0);
    const bytes: number[] = new Array<number>(capacity).fill(0);
    for (let i = 0; i < this.#count; i++) {
      const from = (this.#head + i) % old;
      lastIndexes[i] = this.#lastIndexes[from]!;
      bytes[i] = this.#bytes[from]!;
    }
    this.#lastIndexes = lastIndexes;
    this.#bytes = bytes;
    this.#head = 0;
  }
}
