// A leaf of the key index: up to LEAF_KEYS_MAX keys, and for each what its newest revision says.
//
// The columns of many leaves lie in one chunk: few objects for the collector, and few cache misses.
// A key keeps its slot while others come: only `order`, one byte per key, is sorted.
//
//   a leaf's part of the chunk, from `base` on:
//   keys      "b"  "a"  "d"            one string per slot, in order of arrival
//   digests   ...                      one double per slot, see digest.ts
//   floats    main create version ...  three doubles per slot
//   integers  sub+tomb head lease ...  three unsigned 32-bit numbers per slot
//   order      1    0    2             slot (counted from `base`) of each key in byte order
//
// A `rank` is a position in byte order, from 0 in every leaf; a `slot` is a position in the chunk's
// columns. A dead key (its newest revision is a tombstone) keeps its slot until compaction.

import { fail, invariant, type Revision } from '../../base/index.ts';
import { digestOf, sharedChars } from '../eval/digest.ts';
import { LEAF_KEYS_MAX, LEAVES_PER_CHUNK } from '../limits.ts';
import type { HistoryHandle } from './history.ts';
import type { LeafBlock } from './leaf-blocks.ts';

/** Float columns of a slot: newest main revision, creation, version. */
export const F_MAIN = 0;
export const F_CREATE = 1;
export const F_VERSION = 2;
export const FLOATS = 3;

/** Integer columns of a slot: packed sub (see packSub), head of the history, lease slot. */
export const I_SUB = 0;
const I_HEAD = 1;
export const I_LEASE = 2;
export const INTEGERS = 3;

const CHUNK_SLOTS = LEAVES_PER_CHUNK * LEAF_KEYS_MAX;

class Chunk {
  readonly keys: string[] = new Array<string>(CHUNK_SLOTS).fill('');
  readonly digests = new Float64Array(CHUNK_SLOTS);
  readonly floats = new Float64Array(CHUNK_SLOTS * FLOATS);
  readonly integers = new Uint32Array(CHUNK_SLOTS * INTEGERS);
  readonly order = new Uint8Array(CHUNK_SLOTS);
}

/** Hands out places for leaves; the places of leaves given back are used again. */
export class LeafPool {
  #chunk = new Chunk();
  #used = 0;
  readonly #free: Leaf[] = [];

  make(): Leaf {
    const free = this.#free.pop();
    if (free !== undefined) return new Leaf(free, free.base);
    if (this.#used === LEAVES_PER_CHUNK) {
      this.#chunk = new Chunk();
      this.#used = 0;
    }
    return new Leaf(this.#chunk, this.#used++ * LEAF_KEYS_MAX);
  }

  /** Takes back an empty leaf. */
  release(leaf: Leaf): void {
    invariant(leaf.size === 0, 'a leaf given back is empty');
    this.#free.push(leaf);
  }
}

export class Leaf {
  // The columns of the chunk.
  readonly keys: string[];
  readonly digests: Float64Array;
  readonly floats: Float64Array;
  readonly integers: Uint32Array;
  readonly order: Uint8Array;
  /** First slot of this leaf. */
  readonly base: number;

  /** Keys in the leaf: the slots `[base, base + size)` are in use. */
  size = 0;
  /** Leading chars that all keys have in common. */
  shared = 0;
  /** Above every string that begins with those chars, and at or below all that follow them. */
  #beyond = '';
  /** Keys whose newest revision is a put. */
  live = 0;
  /** Keys that have a lease; dead ones have none. */
  leased = 0;
  /** Keys that have older revisions. */
  withHistory = 0;
  /** Rank of the key that came last: keys that arrive in order come beside it. */
  lastRank = -1;
  /** Its live keys as a range answers them; dropped with any change. See leaf-blocks.ts. */
  block: LeafBlock | undefined = undefined;
  /** The leaves beside this one in key order. */
  next: Leaf | undefined = undefined;
  previous: Leaf | undefined = undefined;

  constructor(chunk: Chunk | Leaf, base: number) {
    this.keys = chunk.keys;
    this.digests = chunk.digests;
    this.floats = chunk.floats;
    this.integers = chunk.integers;
    this.order = chunk.order;
    this.base = base;
  }

  slotAt(rank: number): number {
    return this.base + this.order[this.base + rank]!;
  }

  keyAt(rank: number): string {
    return this.keys[this.slotAt(rank)]!;
  }

  /**
   * The first rank whose key is at or above `key`, `size` if there is none, provided that `key`
   * begins with the chars that all keys of the leaf share; see digest.ts.
   */
  lowerBoundBlind(key: string): number {
    const { base, digests, order, size } = this;
    const digest = digestOf(key, this.shared);
    let low = 0;
    for (let left = size; left > 0; ) {
      const half = (left + 1) >>> 1;
      low += half * Number(digests[base + order[base + low + half - 1]!]! < digest);
      left -= half;
    }
    if (low === size || digests[base + order[base + low]!] !== digest) return low;
    let equalEnd = low + 1;
    while (equalEnd < size && digests[this.slotAt(equalEnd)] === digest) equalEnd++;
    return this.lowerBound(key, low, equalEnd);
  }

  /** The first rank in `[from, to)` whose key is at or above `key`; `to` if there is none. */
  lowerBound(key: string, from = 0, to = this.size): number {
    let low = from;
    let high = to;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.keyAt(middle) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  isLive(slot: number): boolean {
    return (this.integers[slot * INTEGERS + I_SUB]! & 1) === 0;
  }

  /** Sub revision of the newest revision of a slot. */
  sub(slot: number): number {
    return this.integers[slot * INTEGERS + I_SUB]! >>> 1;
  }

  /** Live keys before `rank`. */
  liveBefore(rank: number): number {
    if (this.live === this.size) return rank;
    let count = 0;
    for (let i = 0; i < rank; i++) {
      count += 1 - (this.integers[this.slotAt(i) * INTEGERS + I_SUB]! & 1);
    }
    return count;
  }

  #isLeased(slot: number): boolean {
    return this.integers[slot * INTEGERS + I_LEASE] !== 0;
  }

  /** Keys before `rank` that have a lease. */
  leasedBefore(rank: number): number {
    if (this.leased === 0) return 0;
    let count = 0;
    for (let i = 0; i < rank; i++) if (this.#isLeased(this.slotAt(i))) count++;
    return count;
  }

  /** The rank of the key with a lease that has `before` others with one before it. */
  rankOfLeased(before: number): number {
    let left = before;
    for (let rank = 0; rank < this.size; rank++) {
      if (this.#isLeased(this.slotAt(rank)) && left-- === 0) return rank;
    }
    return fail('a leaf has as many keys with a lease as it says');
  }

  /** The rank after the first `count` live keys. */
  rankAfterLive(count: number): number {
    if (this.live === this.size) return count;
    let rank = 0;
    for (let left = count; left > 0; rank++) {
      left -= 1 - (this.integers[this.slotAt(rank) * INTEGERS + I_SUB]! & 1);
    }
    return rank;
  }

  /** Gives a key that the leaf does not have its rank, and returns its slot, still to be filled. */
  insertKey(rank: number, key: string): number {
    const { base, order, size } = this;
    invariant(size < LEAF_KEYS_MAX, 'a leaf has room for a key');
    this.block = undefined;
    for (let i = base + size; i > base + rank; i--) order[i] = order[i - 1]!;
    order[base + rank] = size;
    const slot = base + size;
    this.keys[slot] = key;
    this.size = size + 1;
    this.lastRank = rank;
    // A key between two others shares what they share; one at an end may share less. Comparing it as a
    // whole takes a tenth of the time that looking at its chars does.
    if (rank === 0 || (rank === size && key >= this.#beyond)) {
      const shared = sharedChars(this.keyAt(0), this.keyAt(size));
      if (shared < this.shared || size === 0) {
        this.#setShared(shared);
        return slot;
      }
    }
    this.digests[slot] = digestOf(key, this.shared);
    return slot;
  }

  /** Fills a new slot; the caller corrects `leased`. */
  setNew(
    slot: number,
    main: Revision,
    packedSub: number,
    createMain: Revision,
    version: number,
    leaseSlot: number,
  ): void {
    this.integers[slot * INTEGERS + I_HEAD] = 0;
    this.setNewest(slot, main, packedSub, createMain, version, leaseSlot);
    this.live += 1 - (packedSub & 1);
  }

  /** Overwrites a slot's newest revision; the caller corrects `live` and `leased`. */
  setNewest(
    slot: number,
    main: Revision,
    packedSub: number,
    createMain: Revision,
    version: number,
    leaseSlot: number,
  ): void {
    const { floats, integers } = this;
    this.block = undefined;
    const f = slot * FLOATS;
    floats[f + F_MAIN] = main;
    floats[f + F_CREATE] = createMain;
    floats[f + F_VERSION] = version;
    const i = slot * INTEGERS;
    integers[i + I_SUB] = packedSub;
    integers[i + I_LEASE] = leaseSlot;
  }

  head(slot: number): HistoryHandle {
    return this.integers[slot * INTEGERS + I_HEAD]!;
  }

  /** Sets the newest older revision of a slot, 0 for none. */
  setHead(slot: number, handle: HistoryHandle): void {
    const i = slot * INTEGERS + I_HEAD;
    this.withHistory += (handle === 0 ? 0 : 1) - (this.integers[i] === 0 ? 0 : 1);
    this.integers[i] = handle;
  }

  /** Moves the keys from `rank` on behind those of `target`, which sort before and leave room. */
  moveTail(rank: number, target: Leaf): void {
    // As where keys come in ascending order.
    if (rank === this.size) return;
    for (let i = rank; i < this.size; i++) {
      const place = target.size++;
      target.order[target.base + place] = place;
      copySlot(this, this.slotAt(i), target, target.base + place);
    }
    this.keepRanks(rank);
    target.#refresh();
  }

  /** Drops the keys from `rank` on. Slots that stay may move. */
  keepRanks(rank: number): void {
    this.#pack(rank);
    this.#refresh();
  }

  /**
   * Keeps only the keys whose ranks `keep` accepts; asked once for each, in order. Slots that stay
   * may move.
   */
  filter(keep: (slot: number) => boolean): void {
    const { base, order } = this;
    let kept = 0;
    for (let rank = 0; rank < this.size; rank++) {
      if (keep(this.slotAt(rank))) order[base + kept++] = order[base + rank]!;
    }
    this.#pack(kept);
    this.#refresh();
  }

  /** Moves the keys of the first `kept` ranks into the first `kept` slots and frees the others. */
  #pack(kept: number): void {
    const { base, order } = this;
    const taken = new Uint8Array(LEAF_KEYS_MAX);
    for (let rank = 0; rank < kept; rank++) taken[order[base + rank]!] = 1;
    let hole = 0;
    for (let rank = 0; rank < kept; rank++) {
      const place = order[base + rank]!;
      if (place < kept) continue;
      while (taken[hole] === 1) hole++;
      copySlot(this, base + place, this, base + hole);
      order[base + rank] = hole++;
    }
    for (let place = kept; place < this.size; place++) this.keys[base + place] = '';
    this.size = kept;
  }

  /** Recomputes counts and digests, after keys left or came in bulk. */
  #refresh(): void {
    this.block = undefined;
    this.live = 0;
    this.leased = 0;
    this.withHistory = 0;
    for (let slot = this.base; slot < this.base + this.size; slot++) {
      if (this.isLive(slot)) this.live++;
      if (this.#isLeased(slot)) this.leased++;
      if (this.head(slot) !== 0) this.withHistory++;
    }
    if (this.size > 0) this.#setShared(sharedChars(this.keyAt(0), this.keyAt(this.size - 1)));
  }

  #setShared(shared: number): void {
    const { base, digests, keys, size } = this;
    this.shared = shared;
    this.#beyond = shared === 0 ? '' : endOfPrefix(keys[base]!, shared);
    for (let slot = base; slot < base + size; slot++) digests[slot] = digestOf(keys[slot]!, shared);
  }

  /** Violations of the leaf's rules. */
  check(): string[] {
    const wrong: string[] = [];
    const seen = new Set<number>();
    for (let rank = 0; rank < this.size; rank++) {
      const key = this.keyAt(rank);
      seen.add(this.slotAt(rank));
      if (rank > 0 && this.keyAt(rank - 1) >= key) wrong.push(`keys out of order at ${key}`);
      if (sharedChars(this.keyAt(0), key) < this.shared) wrong.push(`${key}: lacks shared chars`);
      if (this.digests[this.slotAt(rank)] !== digestOf(key, this.shared)) {
        wrong.push(`${key}: wrong digest`);
      }
    }
    if (this.size > LEAF_KEYS_MAX) wrong.push(`a leaf of ${this.size} keys`);
    if (seen.size !== this.size || Math.max(-1, ...seen) >= this.base + this.size) {
      wrong.push('the order of a leaf is not one of its slots');
    }
    return wrong;
  }
}

/** The lowest string above all that begin with the first `length` chars of `key`; not 0 of them. */
function endOfPrefix(key: string, length: number): string {
  const last = key.charCodeAt(length - 1);
  return key.slice(0, length - 1) + String.fromCharCode(last + 1);
}

function copySlot(from: Leaf, fromSlot: number, to: Leaf, toSlot: number): void {
  to.keys[toSlot] = from.keys[fromSlot]!;
  to.digests[toSlot] = from.digests[fromSlot]!;
  for (let i = 0; i < FLOATS; i++) {
    to.floats[toSlot * FLOATS + i] = from.floats[fromSlot * FLOATS + i]!;
  }
  for (let i = 0; i < INTEGERS; i++) {
    to.integers[toSlot * INTEGERS + i] = from.integers[fromSlot * INTEGERS + i]!;
  }
}
