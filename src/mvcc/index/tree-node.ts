// An inner node of the key tree: children, the keys that separate them, and how many live keys and keys
// with a lease are below each. Keys below `separators[i]` are in a child up to i, the others in one after it.

import { digestOf, sharedChars } from '../eval/digest.ts';
import { NODE_CHILDREN_MAX } from '../limits.ts';
import type { Leaf } from './leaf.ts';

export type Child = Leaf | TreeNode;

export class TreeNode {
  /** One fewer than children. */
  readonly separators: string[] = [];
  readonly live: number[] = [];
  readonly leased: number[] = [];
  readonly children: Child[] = [];
  /** Leading chars that all separators have in common. */
  #shared = 0;
  /** See digest.ts. A full node has one separator too many for a moment, before it splits. */
  readonly #digests = new Float64Array(NODE_CHILDREN_MAX);

  /**
   * The child that holds `key` if any does, provided that `key` begins with the chars that all
   * separators share; see digest.ts.
   */
  slotOfBlind(key: string): number {
    const digests = this.#digests;
    const digest = digestOf(key, this.#shared);
    const size = this.separators.length;
    let low = 0;
    for (let left = size; left > 0; ) {
      const half = (left + 1) >>> 1;
      low += half * Number(digests[low + half - 1]! < digest);
      left -= half;
    }
    if (low === size || digests[low] !== digest) return low;
    let equalEnd = low + 1;
    while (equalEnd < size && digests[equalEnd] === digest) equalEnd++;
    return this.slotOf(key, low, equalEnd);
  }

  /** The child that holds `key` if any does, given that it is in `[from, to]`. */
  slotOf(key: string, from = 0, to = this.separators.length): number {
    const { separators } = this;
    let low = from;
    let high = to;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (separators[middle]! <= key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Makes the two children of a new root. */
  begin(left: Child, separator: string, right: Child): void {
    this.children.push(left, right);
    this.live.push(liveOf(left), liveOf(right));
    this.leased.push(leasedOf(left), leasedOf(right));
    this.separators.push(separator);
    this.#refresh();
  }

  /** Inserts a child that holds the keys from `separator` on, split off the child at `slot - 1`. */
  insert(slot: number, separator: string, child: Child): void {
    const live = liveOf(child);
    const leased = leasedOf(child);
    this.live[slot - 1]! -= live;
    this.leased[slot - 1]! -= leased;
    this.separators.splice(slot - 1, 0, separator);
    this.live.splice(slot, 0, live);
    this.leased.splice(slot, 0, leased);
    this.children.splice(slot, 0, child);
    this.#refresh();
  }

  /** Removes a child; the one before it (or, for the first, after it) takes over its keys. */
  remove(slot: number): void {
    this.separators.splice(slot === 0 ? 0 : slot - 1, 1);
    this.live.splice(slot, 1);
    this.leased.splice(slot, 1);
    this.children.splice(slot, 1);
    this.#refresh();
  }

  /** Moves the children from `from` on into `target`, empty; returns the separator between both. */
  splitInto(from: number, target: TreeNode): string {
    target.live.push(...this.live.splice(from));
    target.leased.push(...this.leased.splice(from));
    target.children.push(...this.children.splice(from));
    target.separators.push(...this.separators.splice(from));
    target.#refresh();
    const separator = this.separators.pop()!;
    this.#refresh();
    return separator;
  }

  /** Takes over all children of the node after it, beyond `separator`. */
  absorb(other: TreeNode, separator: string): void {
    this.live.push(...other.live);
    this.leased.push(...other.leased);
    this.children.push(...other.children);
    this.separators.push(separator, ...other.separators);
    this.#refresh();
  }

  #refresh(): void {
    const { separators } = this;
    const size = separators.length;
    if (size === 0) return;
    const shared = sharedChars(separators[0]!, separators[size - 1]!);
    this.#shared = shared;
    for (let i = 0; i < size; i++) this.#digests[i] = digestOf(separators[i]!, shared);
  }
}

/** Live keys below a child. */
function liveOf(child: Child): number {
  return child instanceof TreeNode ? sumOf(child.live) : child.live;
}

/** Keys below a child that have a lease. */
function leasedOf(child: Child): number {
  return child instanceof TreeNode ? sumOf(child.leased) : child.leased;
}

function sumOf(counts: readonly number[]): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}
