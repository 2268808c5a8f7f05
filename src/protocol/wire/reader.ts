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
//
// A known field of another wire type is an unknown field. What else is read depends on where the bytes
// come from:
//
//   strict   from a client: what etcd 3.7 takes, whose protobuf is Go's own
//   lenient  from the log, the disk, a member: also what releases up to 3.6 take (gogo/protobuf), since
//            a real member may have logged it: text that is no UTF-8, a tenth byte of a varint with
//            more than one bit (dropped), field numbers of 31 bits (higher bits dropped), groups of any
//            depth whose ends have other numbers

import {
  EMPTY_BYTES,
  ERROR_CODES,
  type ErrorCode,
  invariant,
  latin1FromBytes,
  TetcdError,
  utf8FromBytes,
} from '../../base/index.ts';
import type { MessageInfo } from '../descriptor.ts';
import { DECODER_STACK_MESSAGES, GROUP_NESTING_MAX, MESSAGE_NESTING_MAX } from '../limits.ts';
import { bigFromHalves, bigFromSignedHalves } from './int64-halves.ts';
import { describePlace } from './place.ts';
import { isUtf8 } from './utf8.ts';

const TWO_32 = 0x1_0000_0000;
/** High half of 2^53: from here on a number is not exact. */
const HIGH_UNSAFE = 0x20_0000;
const CLAMP_MAX = 2 ** 53;

/** A message whose reading was put off: `begin` reads it into an object that its parent has already. */
interface Later {
  readonly begin: (reader: Reader) => void;
  readonly start: number;
  readonly end: number;
  readonly depth: number;
}

/** Which bytes are read; see the header. */
export const LENIENT = false;
export const STRICT = true;

export class Reader {
  /** Next byte to read; at most `limit`. */
  pos = 0;
  /** End of the message, or of the packed numbers, being read. */
  limit = 0;

  #bytes: Uint8Array = EMPTY_BYTES;
  #root: MessageInfo | undefined;
  #start = 0;
  #end = 0;
  #strict = false;
  #nestingMax = MESSAGE_NESTING_MAX;
  #depth = 0;
  /** Depth of the message that is lowest on the stack. */
  #stackDepth = 0;
  #later: Later[] = [];
  #plain = true;
  /** Halves of the varint that #varint64 read, each unsigned 32 bits. */
  #low = 0;
  #high = 0;

  /** `nestingMax`: messages within messages, the outermost counted. */
  open(
    root: MessageInfo,
    bytes: Uint8Array,
    start: number,
    end: number,
    strict: boolean = LENIENT,
    nestingMax: number = MESSAGE_NESTING_MAX,
  ): void {
    invariant(
      start >= 0 && start <= end && end <= bytes.length,
      'a message lies within its buffer',
    );
    this.#bytes = bytes;
    this.#root = root;
    this.#start = start;
    this.#end = end;
    this.#strict = strict;
    this.#nestingMax = nestingMax;
    this.#depth = 0;
    this.#stackDepth = 0;
    this.#plain = true;
    this.pos = start;
    this.limit = end;
  }

  /** Releases the buffer. */
  close(): void {
    this.#bytes = EMPTY_BYTES;
    if (this.#later.length > 0) this.#later = [];
  }

  /**
   * Reads what was put off, then closes. A strict message that is not plain must fit the stack, since it
   * is written again.
   */
  finish(): void {
    const wasDeep = this.#later.length > 0;
    // Reading one may put off more. Those that merge into one object keep their order.
    for (let i = 0; i < this.#later.length; i++) {
      const { begin, start, end, depth } = this.#later[i]!;
      this.pos = start;
      this.limit = end;
      this.#depth = depth;
      this.#stackDepth = depth;
      begin(this);
      invariant(this.pos === end, 'a message that was put off is read to its end');
    }
    if (wasDeep && this.#strict && !this.#plain) this.#malformed('nested too deeply', this.#start);
    this.close();
  }

  /**
   * Whether every release reads these bytes, and to the same: false after a known field of another
   * wire type, which releases up to 3.6 refuse, and after a message that is the choice of a oneof
   * twice, which they replace where 3.7 merges. Of the message that was read last.
   */
  get wasPlain(): boolean {
    return this.#plain;
  }

  /** No message that was read before counts for {@link wasPlain} any longer. */
  beginPlain(): void {
    this.#plain = true;
  }

  /** A message is again the choice of its oneof. */
  mergesChoice(): void {
    this.#plain = false;
  }

  /**
   * The next tag; the field number is in range, the wire type may be anything. Beyond 32 bits in
   * lenient reading.
   */
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
    const number = (this.#high << 29) | (this.#low >>> 3);
    if (number < 1 || (this.#strict && this.#high !== 0)) this.#malformed('bad field number', at);
    return number * 8 + (this.#low & 7);
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
    if (this.#strict && !isUtf8(bytes, at, end)) this.#malformed('invalid UTF-8', start);
    this.pos = end;
    return utf8FromBytes(bytes, start, end);
  }

  /** Enters a length-delimited value: `limit` is then its end. Returns the limit for `leave`. */
  enter(): number {
    const at = this.pos;
    const length = this.#length();
    if (++this.#depth >= this.#nestingMax) this.#malformed('nested too deeply', at);
    const outer = this.limit;
    this.limit = this.pos + length;
    return outer;
  }

  leave(outer: number): void {
    this.#depth--;
    this.limit = outer;
  }

  /**
   * Reads a message that may hold messages of its own type into `into`: now, or, where the stack has
   * enough of them, in `finish`.
   */
  nested<T>(read: (reader: Reader, into: T) => unknown, into: T): void {
    const outer = this.enter();
    if (this.#depth - this.#stackDepth < DECODER_STACK_MESSAGES) {
      read(this, into);
    } else {
      const begin = (reader: Reader): void => void read(reader, into);
      this.#later.push({ begin, start: this.pos, end: this.limit, depth: this.#depth });
      this.pos = this.limit;
    }
    this.leave(outer);
  }

  /** Passes over the value of a field; returns where it begins, after the length if there is one. */
  passOver(tag: number): number {
    let start = this.pos;
    if ((tag & 7) === 2) {
      const length = this.#length();
      start = this.pos;
      this.pos += length;
    } else if ((tag & 7) === 3) this.#skipGroup(Math.floor(tag / 8));
    else this.#skipValue(tag & 7, this.pos - 1);
    return start;
  }

  /** After a tag that the message has no use for: skips the field. */
  unknown(tag: number, message: MessageInfo): void {
    const number = Math.floor(tag / 8);
    if (message.fieldByNumber(number) !== undefined) this.#plain = false;
    this.passOver(tag);
  }

  /** `at`: the last byte of the tag. */
  #skipValue(type: number, at: number): void {
    if (type === 0) this.#varint64();
    else if (type === 1) this.#advance(8);
    else if (type === 2) this.#advance(this.#length());
    else if (type === 5) this.#advance(4);
    else this.#malformed(`unexpected wire type ${type}`, at);
  }

  /** Skips to the end of the group `number`, with no stack: groups nest as deep as there are bytes. */
  #skipGroup(number: number): void {
    const open = [number];
    while (open.length > 0) {
      const at = this.pos;
      this.#varint64();
      const type = this.#low & 7;
      const inner = this.#high * (TWO_32 / 8) + (this.#low >>> 3);
      if (this.#strict && (inner < 1 || inner > 0x7fff_ffff)) {
        this.#malformed('bad field number', at);
      }
      if (type === 3) {
        open.push(inner);
        if (this.#strict && open.length > GROUP_NESTING_MAX) {
          this.#malformed('nested too deeply', at);
        }
      } else if (type !== 4) this.#skipValue(type, this.pos - 1);
      else if (open.pop() !== inner && this.#strict) {
        this.#malformed('group ends with another number', at);
      }
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
      if (shift === 31 && byte > (this.#strict ? 1 : 0x7f)) {
        this.#malformed('varint exceeds 64 bits', this.pos);
      }
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
