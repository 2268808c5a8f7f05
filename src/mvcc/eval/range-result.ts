// What a range answers: where the encoded KeyValues lie. The response encoder splices those bytes in.

import { EMPTY_BYTES, invariant, type Revision } from '../../base/index.ts';
import type { ByteSlice } from '../types.ts';

/** Bytes of a buffer that pieces built here share. */
const ARENA_BYTES = 16 * 1024;

/** Encoded KeyValues in pieces, as parallel arrays, and what goes with them in a response. */
export class RangeResult {
  /** Revision for the response's header: the newest one when the range was evaluated. */
  revision: Revision = 0;
  /** Keys in the range at the revision asked for, regardless of limit and filters. */
  count = 0;
  /** Whether the limit left keys out. */
  more = false;

  /**
   * Piece i is `buffers[i]` from `offsets[i]` on, `lengths[i]` bytes: one KeyValue where `runs[i]` is 0, else
   * a run of so many, each as the field of a RangeResponse.
   */
  readonly buffers: Uint8Array[] = [];
  readonly offsets: number[] = [];
  readonly lengths: number[] = [];
  readonly runs: number[] = [];

  /** Whether runs are taken; without them every piece is a KeyValue. */
  readonly takesRuns: boolean;
  #size = 0;

  #arena: Uint8Array = EMPTY_BYTES;
  #arenaUsed = 0;

  constructor(takesRuns = false) {
    this.takesRuns = takesRuns;
  }

  /** KeyValues of all pieces. */
  get size(): number {
    return this.#size;
  }

  get hasRuns(): boolean {
    return this.#size > this.lengths.length;
  }

  /** Forgets everything, for use with another request. */
  reset(): void {
    this.revision = 0;
    this.count = 0;
    this.more = false;
    // Setting a length is a call out of compiled code, even of an empty array.
    if (this.#size === 0) return;
    this.#size = 0;
    this.buffers.length = 0;
    this.offsets.length = 0;
    this.lengths.length = 0;
    this.runs.length = 0;
  }

  push(buffer: Uint8Array, offset: number, length: number): void {
    this.buffers.push(buffer);
    this.offsets.push(offset);
    this.lengths.push(length);
    this.runs.push(0);
    this.#size++;
  }

  pushRun({ buffer, offset, length }: ByteSlice, count: number): void {
    invariant(this.takesRuns && count > 0, 'a run has keys, and a place');
    this.buffers.push(buffer);
    this.offsets.push(offset);
    this.lengths.push(length);
    this.runs.push(count);
    this.#size += count;
  }

  /** Puts another KeyValue in the place of number `at`. */
  replace(at: number, buffer: Uint8Array, offset: number, length: number): void {
    this.buffers[at] = buffer;
    this.offsets[at] = offset;
    this.lengths[at] = length;
  }

  pushSlice(slice: ByteSlice): void {
    this.push(slice.buffer, slice.offset, slice.length);
  }

  /** Adds a KeyValue of `length` bytes that the caller writes where `into` points. */
  reserve(length: number, into: ByteSlice): void {
    if (this.#arenaUsed + length > this.#arena.length) {
      this.#arena = new Uint8Array(Math.max(ARENA_BYTES, length));
      this.#arenaUsed = 0;
    }
    into.buffer = this.#arena;
    into.offset = this.#arenaUsed;
    into.length = length;
    this.#arenaUsed += length;
    this.pushSlice(into);
  }

  /** Total bytes of the pieces. */
  byteCount(): number {
    let total = 0;
    for (const length of this.lengths) total += length;
    return total;
  }
}
