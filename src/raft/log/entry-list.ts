// Consecutive log entries, in chunks, for logs of any length: appending and dropping at either end
// cost only what is appended or dropped, and no array ever grows so large that copying it stalls.
//
//   first                                        next
//     v                                            v
//   [ . . a b c d e f ][ g h i j k l m n ][ o p q . . . ]
//         chunk 0           chunk 1           chunk 2         CHUNK_ENTRIES places each
//
// Dropped places are overwritten, so that the payloads can be collected.

import { EMPTY_BYTES, invariant, type LogIndex, verify } from '../../base/index.ts';
import { type Entry, EntryType } from '../raftpb.ts';
import { entrySize } from './entry-size.ts';

const CHUNK_ENTRIES = 1024;

/** Fills the place of a dropped entry. */
const DROPPED: Entry = {
  type: EntryType.EntryNormal,
  term: 0,
  index: 0,
  data: EMPTY_BYTES,
};

export class EntryList {
  #chunks: Entry[][] = [];
  /** Place of the first entry within chunk 0. */
  #head = 0;
  #first: LogIndex;
  #count = 0;

  /** An empty list; the entry appended first must have index `first`. */
  constructor(first: LogIndex) {
    this.#first = first;
  }

  /** Index of the first entry, or of the one that would be appended first. */
  get first(): LogIndex {
    return this.#first;
  }

  /** Index after the last entry. */
  get next(): LogIndex {
    return this.#first + this.#count;
  }

  get count(): number {
    return this.#count;
  }

  /** The entry at `index`, which must be in [first, next). */
  at(index: LogIndex): Entry {
    const offset = index - this.#first;
    invariant(offset >= 0 && offset < this.#count, 'entry list: index out of range');
    const place = this.#head + offset;
    return this.#chunks[Math.floor(place / CHUNK_ENTRIES)]![place % CHUNK_ENTRIES]!;
  }

  /** Appends one entry, whose index must be `next`. */
  push(entry: Entry): void {
    invariant(entry.index === this.next, 'entry list: appended entries must be contiguous');
    const place = this.#head + this.#count;
    const chunkIndex = Math.floor(place / CHUNK_ENTRIES);
    let chunk = this.#chunks[chunkIndex];
    if (chunk === undefined) {
      chunk = [];
      this.#chunks.push(chunk);
    }
    chunk.push(entry);
    this.#count++;
  }

  /** Appends `entries[from...]`, whose indexes must continue the list. */
  append(entries: readonly Entry[], from = 0): void {
    for (let i = from; i < entries.length; i++) this.push(entries[i]!);
  }

  /** Drops every entry with an index of `end` or more. */
  truncateTo(end: LogIndex): void {
    invariant(end >= this.#first && end <= this.next, 'entry list: truncation out of range');
    this.#count = end - this.#first;
    if (this.#count === 0) {
      this.clear(end);
      return;
    }
    const places = this.#head + this.#count;
    const chunkCount = Math.ceil(places / CHUNK_ENTRIES);
    this.#chunks.length = chunkCount;
    this.#chunks[chunkCount - 1]!.length = places - (chunkCount - 1) * CHUNK_ENTRIES;
    if (verify.all) this.#verify();
  }

  /** Drops every entry before `first`. */
  dropBefore(first: LogIndex): void {
    invariant(first >= this.#first && first <= this.next, 'entry list: drop out of range');
    if (first === this.next) {
      this.clear(first);
      return;
    }
    const head = this.#head + (first - this.#first);
    const whole = Math.floor(head / CHUNK_ENTRIES);
    if (whole > 0) this.#chunks.splice(0, whole);
    const left = head - whole * CHUNK_ENTRIES;
    this.#chunks[0]!.fill(DROPPED, whole > 0 ? 0 : this.#head, left);
    this.#head = left;
    this.#count -= first - this.#first;
    this.#first = first;
    invariant(left < CHUNK_ENTRIES, 'entry list: the first entry is in the first chunk');
    if (verify.all) this.#verify();
  }

  /** Drops everything; the entry appended next must have index `first`. */
  clear(first: LogIndex): void {
    // One chunk stays, for lists that fill and drain all the time.
    if (this.#chunks.length > 1) this.#chunks.length = 1;
    const chunk = this.#chunks[0];
    if (chunk !== undefined) chunk.length = 0;
    this.#head = 0;
    this.#count = 0;
    this.#first = first;
    invariant(this.next === first, 'entry list: an empty list has no end of its own');
  }

  /** The places in the chunks are those of the entries, and both ends have their index. */
  #verify(): void {
    const places = this.#head + this.#count;
    let held = 0;
    for (const chunk of this.#chunks) held += chunk.length;
    invariant(held === places, 'entry list: the chunks hold the entries and nothing behind them');
    invariant(
      this.#chunks.every(
        ({ length }, i) => length === CHUNK_ENTRIES || i === this.#chunks.length - 1,
      ),
      'entry list: every chunk but the last is full',
    );
    invariant(this.at(this.#first).index === this.#first, 'entry list: first entry out of place');
    invariant(
      this.at(this.next - 1).index === this.next - 1,
      'entry list: last entry out of place',
    );
  }

  /** The entries [from, to) in an array that the caller owns. */
  slice(from: LogIndex, to: LogIndex): Entry[] {
    invariant(from >= this.#first && from <= to && to <= this.next, 'entry list: slice range');
    const start = this.#head + (from - this.#first);
    const end = this.#head + (to - this.#first);
    const firstChunk = Math.floor(start / CHUNK_ENTRIES);
    const lastChunk = Math.floor((end - 1) / CHUNK_ENTRIES);
    if (from === to) return [];
    const base = firstChunk * CHUNK_ENTRIES;
    if (firstChunk === lastChunk) return this.#chunks[firstChunk]!.slice(start - base, end - base);
    const entries = this.#chunks[firstChunk]!.slice(start - base);
    for (let c = firstChunk + 1; c <= lastChunk; c++) {
      const chunk = this.#chunks[c]!;
      const count = c === lastChunk ? end - c * CHUNK_ENTRIES : CHUNK_ENTRIES;
      for (let i = 0; i < count; i++) entries.push(chunk[i]!);
    }
    invariant(entries.length === to - from, 'entry list: a slice has every entry of its range');
    return entries;
  }

  /**
   * The end of the longest run [from, end) within [from, to) whose sizes sum up to at most
   * `sizeMax`; at least one entry, however large, unless the range is empty.
   */
  limit(from: LogIndex, to: LogIndex, sizeMax: number): LogIndex {
    invariant(from <= to, 'entry list: a range does not end before it begins');
    if (sizeMax === Number.POSITIVE_INFINITY || to - from <= 1) return to;
    let size = entrySize(this.at(from));
    for (let index = from + 1; index < to; index++) {
      size += entrySize(this.at(index));
      if (size > sizeMax) return index;
    }
    return to;
  }
}
