// Sorts keys six chars at a time: the digests (see digest.ts) of keys that share their first chars, each
// with the position of its key, are 64-bit numbers, which the runtime sorts natively. Keys whose digests
// are equal are sorted among themselves by the chars that follow.
//
//   keys      "/pods/b"  "/pods/a"  "/pods/abc"        shared chars: 6
//   numbers   "b" 0      "a" 1      "abc" 2            (digest, 48 bits; position, 16 bits)
//   order     1 2 0
//
// Comparing strings costs about four times as much, most of it in cache misses.

import { invariant } from '../../base/index.ts';
import { digestOf, sharedChars } from '../eval/digest.ts';

/** Keys that one sort may take: positions have 16 bits. */
export const SORTED_KEYS_MAX: number = 2 ** 16;

/** Up to here keys are inserted one by one. */
const FEW_KEYS = 12;
/** Digests that one key is looked at with; keys that are equal up to there are compared as strings. */
const DIGESTS_MAX = 16;
const TWO_POW_16 = 2 ** 16;

export class KeySorter {
  /** After {@link sort}: the positions of the keys, in byte order. */
  readonly order: Uint16Array;
  readonly #numbers: BigUint64Array;
  /** The same memory: the lower half of each number (end of the digest, position), then the upper. */
  readonly #halves: Uint32Array;

  /** For up to `max` keys at once. */
  constructor(max: number) {
    invariant(max <= SORTED_KEYS_MAX, 'a position has 16 bits');
    this.order = new Uint16Array(max);
    this.#numbers = new BigUint64Array(max);
    this.#halves = new Uint32Array(this.#numbers.buffer);
  }

  /** Sorts all keys into {@link order}; equal ones keep their order. */
  sort(keys: readonly string[]): void {
    invariant(keys.length <= this.order.length, 'there is room for all keys');
    for (let i = 0; i < keys.length; i++) this.order[i] = i;
    this.#sortPart(keys, 0, keys.length, 0);
  }

  /** Sorts `[from, to)` of the order, whose keys were looked at with so many digests. */
  #sortPart(keys: readonly string[], from: number, to: number, digests: number): void {
    if (to - from <= FEW_KEYS || digests === DIGESTS_MAX) {
      this.#compareKeys(keys, from, to);
      return;
    }
    const { order } = this;
    const halves = this.#halves;
    const shared = sharedByAll(keys, order, from, to);
    for (let i = from; i < to; i++) {
      const digest = digestOf(keys[order[i]!]!, shared);
      const high = Math.floor(digest / TWO_POW_16);
      halves[2 * i] = (digest - high * TWO_POW_16) * TWO_POW_16 + order[i]!;
      halves[2 * i + 1] = high;
    }
    this.#numbers.subarray(from, to).sort();
    for (let i = from; i < to; i++) order[i] = halves[2 * i]! & 0xffff;
    for (let start = from, end = from + 1; start < to; start = end++) {
      while (end < to && this.#isTie(start, end)) end++;
      // All of them: they are equal, or differ in zero chars at their ends.
      if (end - start === to - from) this.#compareKeys(keys, from, to);
      else if (end - start > 1) this.#sortPart(keys, start, end, digests + 1);
    }
  }

  #isTie(a: number, b: number): boolean {
    const halves = this.#halves;
    return (
      halves[2 * a + 1] === halves[2 * b + 1] && halves[2 * a]! >>> 16 === halves[2 * b]! >>> 16
    );
  }

  /** Sorts `[from, to)` of the order by the strings themselves. */
  #compareKeys(keys: readonly string[], from: number, to: number): void {
    const { order } = this;
    if (to - from > FEW_KEYS) {
      const part = order.slice(from, to).sort((a, b) => {
        if (keys[a] === keys[b]) return a - b;
        return keys[a]! < keys[b]! ? -1 : 1;
      });
      order.set(part, from);
      return;
    }
    for (let i = from + 1; i < to; i++) {
      const position = order[i]!;
      const key = keys[position]!;
      let at = i;
      for (; at > from && keys[order[at - 1]!]! > key; at--) order[at] = order[at - 1]!;
      order[at] = position;
    }
  }
}

/** Leading chars that the keys of a part share: those of the lowest and the highest. */
function sharedByAll(
  keys: readonly string[],
  order: Uint16Array,
  from: number,
  to: number,
): number {
  let lowest = keys[order[from]!]!;
  let highest = lowest;
  for (let i = from + 1; i < to; i++) {
    const key = keys[order[i]!]!;
    if (key < lowest) lowest = key;
    else if (key > highest) highest = key;
  }
  return sharedChars(lowest, highest);
}
