// HPACK decoding: header blocks to fields, following the dynamic table of the sender.
//
// Hot: runs per request whose block is not in the block cache. Fields in a table are objects that were
// made and checked once, so that a block of indexes costs a few array reads.

import { ERROR_CODES, latin1FromBytes, TetcdError } from '../../base/index.ts';
import { DynamicTable } from './dynamic-table.ts';
import { HeaderField } from './field.ts';
import { huffmanDecode, huffmanDecodedMax } from './huffman.ts';
import { STATIC_COUNT, STATIC_FIELDS } from './static-table.ts';

const staticFields: readonly HeaderField[] = STATIC_FIELDS.map(
  ([name, value]) => new HeaderField(name, value),
);

/** Integers above this are refused; no length or index comes near. */
const INTEGER_MAX = 2 ** 28;

let scratch = new Uint8Array(4096);

export class HpackDecoder {
  /** Fields of the last block, in order; reused by the next. */
  readonly fields: HeaderField[] = [];
  /** Whether the last block's list was larger than the limit; `fields` then lacks the rest. */
  tooLarge = false;
  readonly #table: DynamicTable;
  readonly #tableBytesMax: number;
  readonly #listBytesMax: number;
  #generation = 0;
  /** Read position and end of the block being decoded. */
  #bytes: Uint8Array;
  #at = 0;
  #end = 0;

  /** `tableBytesMax` is what we advertised (SETTINGS_HEADER_TABLE_SIZE). */
  constructor(tableBytesMax: number, listBytesMax: number) {
    this.#table = new DynamicTable(tableBytesMax);
    this.#tableBytesMax = tableBytesMax;
    this.#listBytesMax = listBytesMax;
    this.#bytes = scratch;
  }

  /**
   * Changes with every change of the dynamic table. Two equal blocks decoded at the same
   * generation have equal fields, and the second one changes nothing if the first did not.
   */
  get generation(): number {
    return this.#generation;
  }

  /**
   * Decodes one whole block into {@link fields}. Throws MALFORMED, after which the connection's
   * compression state is lost and it must end with COMPRESSION_ERROR.
   */
  decode(bytes: Uint8Array, start: number, end: number): void {
    const fields = this.fields;
    fields.length = 0;
    this.tooLarge = false;
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    let listBytes = 0;
    let sizeUpdateAllowed = true;
    while (this.#at < end) {
      const first = bytes[this.#at]!;
      if ((first & 0xe0) === 0x20) {
        if (!sizeUpdateAllowed) throw malformed('table size update after a field');
        this.#updateTableSize();
        continue;
      }
      sizeUpdateAllowed = false;
      const field = first & 0x80 ? this.#indexed(this.#integer(0x7f)) : this.#literal(first);
      listBytes += field.size;
      if (listBytes <= this.#listBytesMax) fields.push(field);
      else this.tooLarge = true;
    }
    this.#bytes = scratch;
  }

  #updateTableSize(): void {
    const size = this.#integer(0x1f);
    if (size > this.#tableBytesMax) throw malformed('table size update above the advertised size');
    this.#table.resize(size);
    this.#generation++;
  }

  #indexed(index: number): HeaderField {
    const field =
      index <= STATIC_COUNT ? staticFields[index - 1] : this.#table.at(index - STATIC_COUNT - 1);
    if (field === undefined) throw malformed(`index ${index} beyond the table`);
    return field;
  }

  #literal(first: number): HeaderField {
    const inserts = (first & 0x40) !== 0;
    const nameIndex = this.#integer(inserts ? 0x3f : 0x0f);
    const name = nameIndex === 0 ? this.#string() : this.#indexed(nameIndex).name;
    const field = new HeaderField(name, this.#string());
    if (inserts) {
      this.#table.insert(field);
      this.#generation++;
    }
    return field;
  }

  /** An integer whose prefix is the masked bits of the next byte. */
  #integer(mask: number): number {
    if (this.#at >= this.#end) throw malformed('truncated integer');
    let value = this.#bytes[this.#at++]! & mask;
    if (value < mask) return value;
    for (let unit = 1; ; unit *= 128) {
      if (this.#at >= this.#end) throw malformed('truncated integer');
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) * unit;
      // The unit is checked too, or endless zero groups would be a free loop.
      if (value > INTEGER_MAX || unit > INTEGER_MAX) throw malformed('integer too large');
      if (byte < 0x80) return value;
    }
  }

  #string(): string {
    if (this.#at >= this.#end) throw malformed('truncated string');
    const huffman = (this.#bytes[this.#at]! & 0x80) !== 0;
    const length = this.#integer(0x7f);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw malformed('truncated string');
    this.#at = end;
    if (!huffman) return latin1FromBytes(this.#bytes, start, end);
    const room = huffmanDecodedMax(length);
    if (scratch.length < room) scratch = new Uint8Array(room * 2);
    return latin1FromBytes(scratch, 0, huffmanDecode(this.#bytes, start, end, scratch));
  }
}

function malformed(text: string): TetcdError {
  return new TetcdError(ERROR_CODES.MALFORMED, `hpack: ${text}`);
}
