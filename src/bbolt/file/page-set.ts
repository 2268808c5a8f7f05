// A set of page ids as a bitmap in chunks of 32,768 pages (128 MiB of file in 4 KiB of memory),
// chunks only where there are, or were, members. Memory is bounded by file size / page size / 8.

import { invariant } from '../../base/index.ts';

const CHUNK_BITS = 32_768;
const CHUNK_WORDS = CHUNK_BITS / 32;

export class PageSet {
  /** Number of members. */
  count = 0;
  #chunks: (Uint32Array | undefined)[] = [];
  #chunkCounts: number[] = [];

  has(id: number): boolean {
    const chunk = this.#chunks[Math.floor(id / CHUNK_BITS)];
    if (chunk === undefined) return false;
    const bit = id % CHUNK_BITS;
    return ((chunk[bit >>> 5]! >>> (bit & 31)) & 1) !== 0;
  }

  /** False if it was a member already. */
  add(id: number): boolean {
    invariant(id >= 0, 'a page id is not negative');
    const at = Math.floor(id / CHUNK_BITS);
    const chunk = this.#chunks[at] ?? this.#createChunk(at);
    const bit = id % CHUNK_BITS;
    const mask = 1 << (bit & 31);
    if ((chunk[bit >>> 5]! & mask) !== 0) return false;
    chunk[bit >>> 5]! |= mask;
    this.#chunkCounts[at]!++;
    this.count++;
    return true;
  }

  /** False if it was no member. */
  delete(id: number): boolean {
    const at = Math.floor(id / CHUNK_BITS);
    const chunk = this.#chunks[at];
    const bit = id % CHUNK_BITS;
    const mask = 1 << (bit & 31);
    if (chunk === undefined || (chunk[bit >>> 5]! & mask) === 0) return false;
    chunk[bit >>> 5]! &= ~mask;
    this.#chunkCounts[at]!--;
    this.count--;
    invariant(this.#chunkCounts[at]! >= 0 && this.count >= 0, 'members that leave were counted');
    return true;
  }

  /** The smallest member that is not below `from`; -1 if there is none. */
  next(from: number): number {
    let at = Math.floor(from / CHUNK_BITS);
    let bit = from % CHUNK_BITS;
    for (; at < this.#chunks.length; at++, bit = 0) {
      const chunk = this.#chunks[at];
      if (chunk === undefined || this.#chunkCounts[at] === 0) continue;
      const found = nextBit(chunk, bit);
      invariant(found < 0 || found >= bit, 'the next member is not below where it is looked for');
      if (found >= 0) return at * CHUNK_BITS + found;
    }
    return -1;
  }

  /**
   * The smallest `start` not below `from` with [start, start + length) all members; -1 if there is
   * none. With `aligned`, only multiples of `length` count (1 to 32, a power of two): then whole
   * words are looked at.
   */
  findRun(length: number, from: number, aligned: boolean): number {
    if (aligned) return this.#findAlignedRun(length, from);
    let start = this.next(from);
    while (start >= 0) {
      let end = start + 1;
      while (end < start + length && this.has(end)) end++;
      if (end === start + length) return start;
      start = this.next(end);
    }
    return -1;
  }

  #findAlignedRun(length: number, from: number): number {
    invariant(length >= 1 && 32 % length === 0, 'an aligned run divides a word');
    const mask = length === 32 ? 0xffff_ffff : (1 << length) - 1;
    const first = Math.ceil(from / length) * length;
    let shift = first % 32;
    let word = first - shift;
    const end = this.#chunks.length * CHUNK_BITS;
    while (word < end) {
      const at = Math.floor(word / CHUNK_BITS);
      const chunk = this.#chunks[at];
      if (chunk === undefined || this.#chunkCounts[at] === 0) {
        word += CHUNK_BITS - (word % CHUNK_BITS);
      } else {
        const bits = chunk[(word % CHUNK_BITS) >>> 5]!;
        for (; bits !== 0 && shift < 32; shift += length) {
          if (((bits >>> shift) & mask) >>> 0 === mask) return word + shift;
        }
        word += 32;
      }
      shift = 0;
    }
    return -1;
  }

  /** The ids of [from, to) that are no members, as a new set. */
  complement(from: number, to: number): PageSet {
    invariant(from <= to, 'a range does not end before it begins');
    const result = new PageSet();
    for (let at = 0; at * CHUNK_BITS < to; at++) {
      const base = at * CHUNK_BITS;
      const own = this.#chunks[at];
      const chunk = result.#createChunk(at);
      let members = 0;
      for (let index = 0; index < CHUNK_WORDS; index++) {
        const word = base + index * 32;
        let bits = ~(own === undefined ? 0 : own[index]!);
        if (word < from) bits = word + 32 <= from ? 0 : bits & (-1 << (from - word));
        if (word + 32 > to) bits = word >= to ? 0 : bits & ~(-1 << (to - word));
        chunk[index] = bits;
        members += countBits(bits);
      }
      result.#chunkCounts[at] = members;
      result.count += members;
      invariant(members <= CHUNK_BITS, 'a chunk has a bit per member');
      if (members === 0) result.#chunks[at] = undefined;
    }
    invariant(result.count <= to - from, 'a complement lies in its range');
    return result;
  }

  clone(): PageSet {
    const copy = new PageSet();
    copy.count = this.count;
    copy.#chunks = this.#chunks.map((chunk) => chunk?.slice());
    copy.#chunkCounts = this.#chunkCounts.slice();
    return copy;
  }

  #createChunk(at: number): Uint32Array {
    invariant(this.#chunks[at] === undefined, 'a chunk is created once');
    while (this.#chunks.length <= at) {
      this.#chunks.push(undefined);
      this.#chunkCounts.push(0);
    }
    const chunk = new Uint32Array(CHUNK_WORDS);
    this.#chunks[at] = chunk;
    return chunk;
  }
}

function nextBit(chunk: Uint32Array, from: number): number {
  let index = from >>> 5;
  let word = chunk[index]! & (-1 << (from & 31));
  while (word === 0) {
    index++;
    if (index === CHUNK_WORDS) return -1;
    word = chunk[index]!;
  }
  return index * 32 + (31 - Math.clz32(word & -word));
}

function countBits(word: number): number {
  let bits = word - ((word >>> 1) & 0x5555_5555);
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
