// A set of keys that may hold millions without the stalls of one large V8 set.
//
// Extendible hashing: a directory of 2^depth places, each naming a set; a set that overflows is
// split in two by the next bit of the hash, and the directory doubles when it must.
//
//     directory (depth 2)   sets
//     00 ─────────────────► {hash ..00}   bits 2
//     01 ──┐
//     10 ──┼──────────────► {hash ..10}   bits 2
//     11 ──┴──────────────► {hash ...1}   bits 1, named by 01 and 11

import { KEYS_PER_SET_MAX } from './limits.ts';

interface Bucket {
  readonly keys: Set<string>;
  /** How many low bits of the hash its keys share. */
  readonly bits: number;
}

/**
 * Bits beyond which an overflowing set is left as it is: 2^14 sets hold 67 million keys. More would
 * only serve keys chosen so that their hashes collide, and let those double the directory without end.
 */
const BITS_MAX = 14;

/** FNV-1a over the chars. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

export class KeySet {
  #directory: Bucket[] = [{ keys: new Set(), bits: 0 }];
  #depth = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(key: string): boolean {
    return this.#bucketOf(key).keys.has(key);
  }

  /** False if it was there already. */
  add(key: string): boolean {
    const bucket = this.#bucketOf(key);
    if (bucket.keys.has(key)) return false;
    bucket.keys.add(key);
    this.#size++;
    if (bucket.keys.size > KEYS_PER_SET_MAX && bucket.bits < BITS_MAX) this.#split(bucket);
    return true;
  }

  /** False if it was not there. */
  delete(key: string): boolean {
    if (!this.#bucketOf(key).keys.delete(key)) return false;
    this.#size--;
    return true;
  }

  /** The keys in pieces of bounded size, in no particular order; not to be changed meanwhile. */
  *pieces(): Generator<ReadonlySet<string>> {
    for (const bucket of new Set(this.#directory)) yield bucket.keys;
  }

  /** All keys in byte order; a fresh array. */
  sorted(): string[] {
    const all: string[] = [];
    for (const piece of this.pieces()) for (const key of piece) all.push(key);
    return all.sort((a, b) => (a < b ? -1 : 1));
  }

  #bucketOf(key: string): Bucket {
    if (this.#depth === 0) return this.#directory[0]!;
    return this.#directory[hashOf(key) & (this.#directory.length - 1)]!;
  }

  #split(bucket: Bucket): void {
    if (bucket.bits === this.#depth) {
      this.#directory = [...this.#directory, ...this.#directory];
      this.#depth++;
    }
    const bit = 1 << bucket.bits;
    const zero: Bucket = { keys: new Set(), bits: bucket.bits + 1 };
    const one: Bucket = { keys: new Set(), bits: bucket.bits + 1 };
    for (const key of bucket.keys) ((hashOf(key) & bit) === 0 ? zero : one).keys.add(key);
    for (let i = 0; i < this.#directory.length; i++) {
      if (this.#directory[i] === bucket) this.#directory[i] = (i & bit) === 0 ? zero : one;
    }
  }
}
