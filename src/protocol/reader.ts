// Reads the protobuf wire format. Generated code drives one shared Reader: it is never entered twice
// at once, since decoding neither waits nor calls back.
//
// A tag is a varint of field number and wire type (number << 3 | type); the value follows:
//
//   type 0  varint: 7 bits a byte, least significant first, high bit set on all but the last
//   type 1  8 bytes         type 5  4 bytes
//   type 2  varint length, then that many bytes: bytes, string, message, packed numbers
//   type 3  group, to the matching type 4: in no schema, but skipped as an unknown field
//
//   0a 01 6b 18 ac 02   field 1, one byte "k"; field 3, varint 300

import {
  EMPTY_BYTES,
  ERROR_CODES,
  type ErrorCode,
  invariant,
  latin1FromBytes,
  TetcdError,
  utf8FromBytes,
} from '../base/index.ts';
import type { MessageInfo } from './descriptor.ts';
import { FIELD_NUMBER_MAX, MESSAGE_NESTING_MAX } from './limits.ts';
import { describePlace } from './place.ts';
import { isUtf8 } from './utf8.ts';
import { bigFromHalves, bigFromSignedHalves } from './words.ts';

const TWO_32 = 0x1_0000_0000;
/** High half of 2^53: from here on a number is not exact. */
const HIGH_UNSAFE = 0x20_0000;
const CLAMP_MAX = 2 ** 53;

export class Reader {
  /** Next byte to read; at most `limit`. */
  pos = 0;
  /** End of the message, or of the packed numbers, being read. */
  limit = 0;

  #bytes: Uint8Array = EMPTY_BYTES;
  #root: MessageInfo | undefined;
  #start = 0;
  #end = 0;
  #depth = 0;
  /** Halves of the varint that #varint64 read, each unsigned 32 bits. */
  #low = 0;
  #high = 0;

  open(root: MessageInfo, bytes: Uint8Array, start: number, end: number): void {
    invariant(
      start >= 0 && start <= end && end <= bytes.length,
      'a message lies within its buffer',
    );
    this.#bytes = bytes;
    this.#root = root;
    this.#start = start;
    this.#end = end;
    this.#depth = 0;
    this.pos = start;
    this.limit = end;
  }

  /** Lets go of the buffer. */
  close(): void {
    this.#bytes = EMPTY_BYTES;
  }

  /** The next tag; the field number is in range, the wire type may be anything. */
  tag(): number {
    const at = this.pos;
    if (at < this.limit) {
      const byte = this.#bytes[at]!;
      if (byte >= 8 && byte < 0x80) {
        this.pos = at + 1;
        return byte;
      }
    }
    this.#varint64();
    const number = this.#low >>> 3;
    if (this.#high !== 0 || number < 1 || number > FIELD_NUMBER_MAX) {
      this.#malformed('bad field number', at);
    }
    return this.#low;
  }

  bool(): boolean {
    this.#varint64();
    return this.#low !== 0 || this.#high !== 0;
  }

  /** Wider values lose their high half, as the format demands. */
  int32(): number {
    this.#varint64();
    return this.#low | 0;
  }

  uint32(): number {
    this.#varint64();
    return this.#low;
  }

  uint64Count(): number {
    const at = this.pos;
    if (at < this.limit && this.#bytes[at]! < 0x80) {
      this.pos = at + 1;
      return this.#bytes[at]!;
    }
    this.#varint64();
    if (this.#high >= HIGH_UNSAFE) this.#tooLarge(at);
    return this.#high * TWO_32 + this.#low;
  }

  int64Count(): number {
    const at = this.pos;
    if (at < this.limit && this.#bytes[at]! < 0x80) {
      this.pos = at + 1;
      return this.#bytes[at]!;
    }
    this.#varint64();
    const value = (this.#high | 0) * TWO_32 + this.#low;
    // The double nearest to an unsafe integer is itself at or beyond 2^53.
    if (!Number.isSafeInteger(value)) this.#tooLarge(at);
    return value;
  }

  int64Clamp(): number {
    this.#varint64();
    const value = (this.#high | 0) * TWO_32 + this.#low;
    return Math.max(-CLAMP_MAX, Math.min(CLAMP_MAX, value));
  }

  uint64Id(): bigint {
    this.#varint64();
    return bigFromHalves(this.#low, this.#high);
  }

  int64Id(): bigint {
    this.#varint64();
    return bigFromSignedHalves(this.#low, this.#high);
  }

  /** A view of the buffer. */
  byteField(): Uint8Array {
    const length = this.#length();
    const start = this.pos;
    this.pos = start + length;
    if (length === 0) return EMPTY_BYTES;
    const bytes = this.#bytes;
    return new Uint8Array(bytes.buffer, bytes.byteOffset + start, length);
  }

  text(): string {
    const length = this.#length();
    const bytes = this.#bytes;
    const start = this.pos;
    const end = start + length;
    let at = start;
    while (at < end && bytes[at]! < 0x80) at++;
    if (at === end) {
      this.pos = end;
      return length === 0 ? '' : latin1FromBytes(bytes, start, end);
    }
    if (!isUtf8(bytes, at, end)) this.#malformed('invalid UTF-8', start);
    this.pos = end;
    return utf8FromBytes(bytes, start, end);
  }

  /** Enters a length-delimited value: `limit` is then its end. Returns the limit for `leave`. */
  enter(): number {
    const at = this.pos;
    const length = this.#length();
    if (++this.#depth >= MESSAGE_NESTING_MAX) this.#malformed('nested too deeply', at);
    const outer = this.limit;
    this.limit = this.pos + length;
    return outer;
  }

  leave(outer: number): void {
    this.#depth--;
    this.limit = outer;
  }

  /** After a tag that the message has no use for: skips an unknown field, refuses a known one. */
  unknown(tag: number, message: MessageInfo): void {
    if (message.fieldByNumber(tag >>> 3) !== undefined) {
      // The last byte of the tag.
      this.#malformed(`wire type ${tag & 7} does not fit`, this.pos - 1);
    }
    this.#skip(tag, 0);
  }

  #skip(tag: number, groups: number): void {
    const at = this.pos - 1;
    switch (tag & 7) {
      case 0:
        this.#varint64();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.#advance(this.#length());
        return;
      case 3:
        if (this.#depth + groups + 1 >= MESSAGE_NESTING_MAX) {
          this.#malformed('nested too deeply', at);
        }
        this.#skipGroup(tag >>> 3, groups + 1);
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        this.#malformed(`unexpected wire type ${tag & 7}`, at);
    }
  }

  #skipGroup(number: number, groups: number): void {
    for (;;) {
      const at = this.pos;
      const tag = this.tag();
      if ((tag & 7) !== 4) this.#skip(tag, groups);
      else if (tag >>> 3 === number) return;
      else this.#malformed('group ends with another number', at);
    }
  }

  #advance(count: number): void {
    if (count > this.limit - this.pos) this.#malformed('truncated', this.pos);
    this.pos += count;
  }

  /** Reads the length of a value that fits before the limit. */
  #length(): number {
    const at = this.pos;
    let length: number;
    if (at < this.limit && this.#bytes[at]! < 0x80) {
      this.pos = at + 1;
      length = this.#bytes[at]!;
    } else {
      this.#varint64();
      length = this.#high * TWO_32 + this.#low;
    }
    if (length > this.limit - this.pos) {
      this.#malformed(`length ${length} exceeds the ${this.limit - this.pos} bytes left`, at);
    }
    return length;
  }

  /** Reads a varint of up to ten bytes into #low and #high. */
  #varint64(): void {
    const bytes = this.#bytes;
    const limit = this.limit;
    let pos = this.pos;
    let low = 0;
    let shift = 0;
    for (; shift < 28; shift += 7) {
      if (pos >= limit) this.#malformed('truncated', this.pos);
      const byte = bytes[pos++]!;
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.pos = pos;
        this.#low = low;
        this.#high = 0;
        return;
      }
    }
    this.#varintTail(pos, low);
  }

  /** The fifth to tenth byte: the fifth straddles the halves. */
  #varintTail(from: number, lowBits: number): void {
    const bytes = this.#bytes;
    const limit = this.limit;
    let pos = from;
    if (pos >= limit) this.#malformed('truncated', this.pos);
    let byte = bytes[pos++]!;
    const low = (lowBits | (byte << 28)) >>> 0;
    let high = (byte & 0x7f) >>> 4;
    for (let shift = 3; byte >= 0x80; shift += 7) {
      if (pos >= limit) this.#malformed('truncated', this.pos);
      byte = bytes[pos++]!;
      // The tenth byte has room for one bit.
      if (shift === 31 && byte > 1) this.#malformed('varint exceeds 64 bits', this.pos);
      high |= (byte & 0x7f) << shift;
    }
    this.pos = pos;
    this.#low = low;
    this.#high = high >>> 0;
  }

  #malformed(problem: string, at: number): never {
    this.#fail(ERROR_CODES.MALFORMED, problem, at);
  }

  #tooLarge(at: number): never {
    this.#fail(ERROR_CODES.NUMBER_TOO_LARGE, 'number beyond 2^53-1', at);
  }

  /** `at` lies in the tag or at the beginning of the value in question. */
  #fail(code: ErrorCode, problem: string, at: number): never {
    invariant(this.#root !== undefined, 'a reader fails only while open');
    const place = describePlace(this.#root, this.#bytes, this.#start, this.#end, at);
    this.close();
    throw new TetcdError(code, `${place} at byte ${at - this.#start}: ${problem}`);
  }
}
