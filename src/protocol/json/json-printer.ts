// An encoded message as JSON, piece by piece, for answers that are never whole in memory. It takes
// what our encoders write: fields in the order of their numbers, no scalar twice.

import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import type { FieldInfo, MessageInfo } from '../descriptor.ts';
import { jsonFromWire } from './json.ts';

/** A longer nested message is printed piece by piece; a shorter one once it is complete. */
const WHOLE_BYTES_MAX = 16 * 1024;

/** A message that has begun. */
interface Frame {
  readonly message: MessageInfo;
  /** Bytes that it still has. */
  left: number;
  isEmpty: boolean;
  /** The list that is open, or the field of the map entries that are kept. */
  open: FieldInfo | undefined;
  entries: Uint8Array[];
}

export class JsonPrinter {
  readonly #stack: Frame[];
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #text = '{';

  constructor(message: MessageInfo) {
    this.#stack = [frameOf(message, Number.POSITIVE_INFINITY)];
  }

  /** The text that follows from these bytes, which are copied if they are needed longer. */
  push(bytes: Uint8Array): string {
    this.#bytes = this.#at === this.#bytes.length ? bytes : joined(this.#rest(), bytes);
    this.#at = 0;
    while (this.#step());
    this.#bytes = this.#rest().slice();
    this.#at = 0;
    return this.#take();
  }

  /** The last text. MALFORMED if the bytes end within a field. */
  end(): string {
    if (this.#stack.length > 1 || this.#bytes.length > 0) throw malformed('it ends within a field');
    this.#endMessage();
    return this.#take();
  }

  #take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }

  #rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }

  /** Takes a field, its beginning, or the end of a message; false if more bytes are needed for that. */
  #step(): boolean {
    const frame = this.#stack.at(-1)!;
    if (frame.left === 0) {
      this.#endMessage();
      this.#stack.pop();
      return true;
    }
    const tag = this.#varint(this.#at);
    if (tag === undefined) return false;
    const field = frame.message.fieldByNumber(Math.floor(tag.value / 8));
    const type = tag.value & 7;
    if (type === 0) {
      const value = this.#varint(tag.end);
      return value !== undefined && this.#takeField(frame, field, value.end);
    }
    if (type !== 2) throw malformed(`wire type ${type}`);
    const length = this.#varint(tag.end);
    if (length === undefined) return false;
    const end = length.end + length.value;
    const inner = field?.message;
    if (inner !== undefined && !inner.isMapEntry && length.value > WHOLE_BYTES_MAX) {
      this.#begin(frame, field!);
      frame.left -= end - this.#at;
      this.#at = length.end;
      this.#text += '{';
      this.#stack.push(frameOf(inner, length.value));
      return true;
    }
    return end <= this.#bytes.length && this.#takeField(frame, field, end);
  }

  #takeField(frame: Frame, field: FieldInfo | undefined, end: number): boolean {
    const bytes = this.#bytes.subarray(this.#at, end);
    frame.left -= bytes.length;
    this.#at = end;
    if (field === undefined) return true;
    if (field.message?.isMapEntry === true) {
      if (frame.open !== field) this.#close(frame);
      frame.open = field;
      frame.entries.push(bytes.slice());
      return true;
    }
    // A message with this field alone: what is between its braces is the text.
    const alone = jsonFromWire(frame.message, bytes);
    if (alone === '{}') return true;
    this.#begin(frame, field);
    const bracket = field.repeated === true ? 1 : 0;
    this.#text += alone.slice(`{"${field.name}":`.length + bracket, -1 - bracket);
    return true;
  }

  /** Everything before a value of the field. */
  #begin(frame: Frame, field: FieldInfo): void {
    if (field.repeated === true && frame.open === field) {
      this.#text += ',';
      return;
    }
    this.#close(frame);
    this.#text += `${frame.isEmpty ? '' : ','}"${field.name}":`;
    frame.isEmpty = false;
    if (field.repeated !== true) return;
    this.#text += '[';
    frame.open = field;
  }

  /** Ends the list that is open, or prints the map whose entries are kept. */
  #close(frame: Frame): void {
    const { open, entries } = frame;
    frame.open = undefined;
    if (open === undefined) return;
    if (entries.length === 0) {
      this.#text += ']';
      return;
    }
    const map = jsonFromWire(frame.message, entries.reduce(joined));
    this.#text += `${frame.isEmpty ? '' : ','}${map.slice(1, -1)}`;
    frame.isEmpty = false;
    frame.entries = [];
  }

  #endMessage(): void {
    this.#close(this.#stack.at(-1)!);
    this.#text += '}';
  }

  /** Undefined if it is not complete. */
  #varint(from: number): { readonly value: number; readonly end: number } | undefined {
    let value = 0;
    for (let at = from, factor = 1; at < this.#bytes.length; at++, factor *= 128) {
      const byte = this.#bytes[at]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return { value, end: at + 1 };
    }
    return undefined;
  }
}

function frameOf(message: MessageInfo, left: number): Frame {
  return { message, left, isEmpty: true, open: undefined, entries: [] };
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function malformed(problem: string): TetcdError {
  return new TetcdError(ERROR_CODES.MALFORMED, `a message cannot be printed: ${problem}`);
}
