// Reads encoded entries at boot, a million and more. Hot: for an entry that is skipped (it is before
// the snapshot) it makes no object; measured, 0.05 us against 1 us of decoding.

import { COUNT_MAX, EMPTY_BYTES, ERROR_CODES, hasCode, invariant } from '../base/index.ts';
import { raftpb } from '../protocol/index.ts';

const ENTRY_TYPE_MAX = raftpb.EntryType.EntryConfChangeV2;

const TAG_TYPE = 0x08;
const TAG_TERM = 0x10;
const TAG_INDEX = 0x18;
const TAG_DATA = 0x22;

export class EntryScanner {
  type = 0;
  term = 0;
  index = 0;
  #bytes: Uint8Array = EMPTY_BYTES;
  #dataStart = 0;
  #dataEnd = 0;
  #value = 0;

  /**
   * Reads a raftpb.Entry in bytes[start, end) into the fields; absent ones are 0. False if it is
   * malformed, has a type that entries do not have, or a number above 2^53-1.
   */
  scan(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#scanUsual(bytes, start, end) || this.#scanUnusual(bytes, start, end);
  }

  /** The fields that entries have, and no other. */
  #scanUsual(bytes: Uint8Array, start: number, end: number): boolean {
    this.type = 0;
    this.term = 0;
    this.index = 0;
    this.#bytes = bytes;
    this.#dataStart = start;
    this.#dataEnd = start;
    let at = start;
    while (at < end) {
      const tag = bytes[at]!;
      at = this.#varint(bytes, at + 1, end);
      if (at < 0) return false;
      const value = this.#value;
      if (tag === TAG_DATA) {
        if (value > end - at) return false;
        this.#dataStart = at;
        at += value;
        this.#dataEnd = at;
      } else if (tag === TAG_INDEX) this.index = value;
      else if (tag === TAG_TERM) this.term = value;
      else if (tag === TAG_TYPE && value <= ENTRY_TYPE_MAX) this.type = value;
      else return false;
    }
    return true;
  }

  /** An entry came from another member and may hold what that one did not know either. */
  #scanUnusual(bytes: Uint8Array, start: number, end: number): boolean {
    let entry: raftpb.Entry;
    try {
      entry = raftpb.EntryCodec.decode(bytes, start, end);
    } catch (error) {
      if (hasCode(error, ERROR_CODES.MALFORMED) || hasCode(error, ERROR_CODES.NUMBER_TOO_LARGE))
        return false;
      throw error;
    }
    this.type = entry.type;
    this.term = entry.term;
    this.index = entry.index;
    this.#bytes = entry.data;
    this.#dataStart = 0;
    this.#dataEnd = entry.data.length;
    return entry.type >= 0 && entry.type <= ENTRY_TYPE_MAX;
  }

  /** The entry that was scanned; its data are a view. */
  entry(): raftpb.Entry {
    const { type, term, index } = this;
    invariant(
      term <= COUNT_MAX && index <= COUNT_MAX,
      'an entry that was scanned has exact numbers',
    );
    invariant(this.#dataStart <= this.#dataEnd, 'the data of an entry lie in it');
    const data =
      this.#dataStart === this.#dataEnd
        ? EMPTY_BYTES
        : this.#bytes.subarray(this.#dataStart, this.#dataEnd);
    return { type, term, index, data };
  }

  /** Returns the offset after the varint, or -1. */
  #varint(bytes: Uint8Array, start: number, end: number): number {
    let value = 0;
    let scale = 1;
    for (let at = start; at < end; at++) {
      const byte = bytes[at]!;
      value += (byte & 0x7f) * scale;
      if (value > COUNT_MAX) return -1;
      if (byte < 0x80) {
        this.#value = value;
        return at + 1;
      }
      scale *= 128;
    }
    return -1;
  }
}
