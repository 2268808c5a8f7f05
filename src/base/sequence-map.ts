// A map for keys that are given out in sequence and mostly removed soon: ids of requests and streams.
//
//     ring    [ 96 | 97 | 98 | 91 | … ]    the place of a key are its lowest bits
//     others  { 3, 35 }                    keys whose place is another's: few, and long there
//
// Keys are whole numbers from 0 on, in any order; sequences are what it is quick for. Twice as quick as a
// Map, which makes garbage of its own where keys come and go.

import { invariant } from './invariant.ts';

const PLACES_MIN = 16;
/** Reached: more keys are among the others. */
const PLACES_MAX: number = 64 * 1024;
/** An empty map gives a larger ring back. */
const PLACES_KEPT = 1024;
/** A place without a key; no key is negative. */
const NONE = -1;

export class SequenceMap<V> {
  #keys: number[] = new Array<number>(PLACES_MIN).fill(NONE);
  #values: (V | undefined)[] = new Array<undefined>(PLACES_MIN).fill(undefined);
  #mask = PLACES_MIN - 1;
  /** Keys in the ring. */
  #count = 0;
  readonly #others = new Map<number, V>();

  get size(): number {
    return this.#count + this.#others.size;
  }

  get(key: number): V | undefined {
    const place = key & this.#mask;
    if (this.#keys[place] === key) return this.#values[place];
    return this.#others.size === 0 ? undefined : this.#others.get(key);
  }

  has(key: number): boolean {
    return this.#keys[key & this.#mask] === key || this.#others.has(key);
  }

  /** Adds the key, which must not be there. */
  add(key: number, value: V): void {
    invariant(key >= 0 && !this.has(key), 'a key of a sequence is added once');
    if (4 * this.#count > this.#mask && this.#mask < PLACES_MAX - 1) this.#grow();
    const place = key & this.#mask;
    const there = this.#keys[place]!;
    if (there === NONE) this.#count++;
    else this.#others.set(there, this.#values[place]!);
    this.#keys[place] = key;
    this.#values[place] = value;
  }

  /** Whether the key was there. */
  delete(key: number): boolean {
    const place = key & this.#mask;
    if (this.#keys[place] !== key) return this.#others.delete(key);
    this.#keys[place] = NONE;
    this.#values[place] = undefined;
    this.#count--;
    if (this.#count === 0 && this.#mask >= PLACES_KEPT) this.#resize(PLACES_KEPT);
    return true;
  }

  /** In no order. Keys may be deleted meanwhile, and are then left out, but none added. */
  *entries(): Generator<[key: number, value: V]> {
    yield* this.#others;
    const keys = this.#keys;
    const values = this.#values;
    for (let place = 0; place < keys.length; place++) {
      if (keys[place] !== NONE) yield [keys[place]!, values[place]!];
    }
  }

  /** As {@link entries}, the values alone. */
  *values(): Generator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  #grow(): void {
    const keys = this.#keys;
    const values = this.#values;
    const { size } = this;
    this.#resize(2 * keys.length);
    // Keys of different places stay in different ones.
    for (let from = 0; from < keys.length; from++) {
      const key = keys[from]!;
      if (key === NONE) continue;
      this.#keys[key & this.#mask] = key;
      this.#values[key & this.#mask] = values[from];
      this.#count++;
    }
    invariant(this.size === size, 'a ring that grows keeps its keys');
  }

  #resize(places: number): void {
    this.#keys = new Array<number>(places).fill(NONE);
    this.#values = new Array<undefined>(places).fill(undefined);
    this.#mask = places - 1;
    this.#count = 0;
  }
}
