// Walks over the fields of an encoded message without decoding them: for answers that are passed on to
// many, of which only a number here and there must be known.

import { ERROR_CODES, TetcdError } from '../../base/index.ts';

const VARINT = 0;
const FIXED_64 = 1;
const DELIMITED = 2;
const FIXED_32 = 5;

export class WireCursor {
  /** Of the current field: its number, and where it begins with its tag. */
  field = 0;
  fieldStart = 0;
  /** Of a number: the number. Beyond 2^53, and below 0, it is not exact. */
  value = 0;
  /** Where the content lies, of text, bytes and messages without their length. */
  start = 0;
  end: number;
  readonly #bytes: Uint8Array;
  readonly #limit: number;

  constructor(bytes: Uint8Array, start: number, limit: number) {
    this.#bytes = bytes;
    this.end = start;
    this.#limit = limit;
  }

  /** Goes to the next field; false after the last one. MALFORMED for what is no message. */
  next(): boolean {
    if (this.end >= this.#limit) return false;
    this.fieldStart = this.end;
    const tag = this.#varint(this.end);
    this.field = tag >>> 3;
    this.start = this.end;
    switch (tag & 7) {
      case VARINT:
        this.value = this.#varint(this.start);
        break;
      case DELIMITED: {
        const length = this.#varint(this.start);
        this.start = this.end;
        this.end += length;
        break;
      }
      case FIXED_64:
        this.end += 8;
        break;
      case FIXED_32:
        this.end += 4;
        break;
      default:
        throw malformed();
    }
    if (this.end > this.#limit) throw malformed();
    return true;
  }

  /** Sets `end` to the byte after it. */
  #varint(from: number): number {
    const bytes = this.#bytes;
    let value = 0;
    let scale = 1;
    for (let at = from; at < this.#limit; at++) {
      const byte = bytes[at]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        this.end = at + 1;
        return value;
      }
      scale *= 128;
    }
    throw malformed();
  }
}

function malformed(): TetcdError {
  return new TetcdError(ERROR_CODES.MALFORMED, 'a member sent an answer that is cut off');
}
