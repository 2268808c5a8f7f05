// HPACK encoding. Fields that repeat go into the dynamic table once; a caller that sends the same
// list again may send the same bytes again as long as `generation` is unchanged.

import { writeLatin1 } from '../../base/index.ts';
import { DynamicTable } from './dynamic-table.ts';
import { HeaderField } from './field.ts';
import { huffmanEncode, huffmanLength } from './huffman.ts';
import { STATIC_COUNT, STATIC_FIELDS } from './static-table.ts';

/** How a field is to be represented. */
export const INDEXING = {
  /** Insert it: it will come again. */
  YES: 'yes',
  /** Do not insert it: it is different each time. */
  NO: 'no',
  /** As `NO`, and no intermediary may insert it either: it is secret. */
  NEVER: 'never',
} as const;

export type Indexing = (typeof INDEXING)[keyof typeof INDEXING];

/** We never use more of the peer's table than this. */
const ENCODER_TABLE_BYTES_MAX = 4096;

const staticByName = new Map<string, number>();
const staticByField = new Map<string, number>();
STATIC_FIELDS.forEach(([name, value], i) => {
  if (!staticByName.has(name)) staticByName.set(name, i + 1);
  if (value !== '') staticByField.set(fieldKey(name, value), i + 1);
});

function fieldKey(name: string, value: string): string {
  return `${name}\0${value}`;
}

/** Most bytes that a field can take, table size updates of the block included. */
export function encodedFieldMax(name: string, value: string): number {
  return name.length + value.length + 32;
}

export class HpackEncoder {
  readonly #table = new DynamicTable(ENCODER_TABLE_BYTES_MAX);
  /** Serial number of the newest entry with this field, or this name; may be evicted by now. */
  readonly #serialByField = new Map<string, number>();
  readonly #serialByName = new Map<string, number>();
  /** Smallest and last limit set since the last block; -1 if none. To be announced by the next. */
  #pendingSizeMin = -1;
  #pendingSize = -1;
  #generation = 0;

  /** Changes whenever blocks encoded before may no longer be sent again. */
  get generation(): number {
    return this.#generation;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. Takes effect with the next block. */
  setTableSize(advertised: number): void {
    const size = Math.min(advertised, ENCODER_TABLE_BYTES_MAX);
    if (size === this.#table.bytesMax && this.#pendingSize < 0) return;
    this.#pendingSizeMin = this.#pendingSize < 0 ? size : Math.min(this.#pendingSizeMin, size);
    this.#pendingSize = size;
    this.#table.resize(size);
    this.#forgetEvicted();
    this.#generation++;
  }

  /** Begins a block: announces a changed table size. Returns the offset after (at most 12 on). */
  begin(target: Uint8Array, offset: number): number {
    if (this.#pendingSize < 0) return offset;
    let at = offset;
    if (this.#pendingSizeMin < this.#pendingSize) {
      at = writeInteger(target, at, 0x20, 0x1f, this.#pendingSizeMin);
    }
    at = writeInteger(target, at, 0x20, 0x1f, this.#pendingSize);
    this.#pendingSize = -1;
    this.#pendingSizeMin = -1;
    this.#generation++;
    return at;
  }

  /** Writes one field; the caller made room ({@link encodedFieldMax}). Returns the offset after. */
  field(
    name: string,
    value: string,
    indexing: Indexing,
    target: Uint8Array,
    offset: number,
  ): number {
    if (indexing !== INDEXING.NEVER) {
      const index = this.#indexOfField(name, value);
      if (index > 0) return writeInteger(target, offset, 0x80, 0x7f, index);
    }
    const nameIndex = this.#indexOfName(name);
    const inserts = indexing === INDEXING.YES && this.#worthInserting(name, value);
    let at: number;
    if (inserts) at = writeInteger(target, offset, 0x40, 0x3f, nameIndex);
    else {
      const pattern = indexing === INDEXING.NEVER ? 0x10 : 0x00;
      at = writeInteger(target, offset, pattern, 0x0f, nameIndex);
    }
    if (nameIndex === 0) at = writeString(name, target, at);
    at = writeString(value, target, at);
    if (inserts) this.#insert(name, value);
    return at;
  }

  #worthInserting(name: string, value: string): boolean {
    // One large value would evict everything else.
    return name.length + value.length <= this.#table.bytesMax / 4;
  }

  #insert(name: string, value: string): void {
    if (!this.#table.insert(new HeaderField(name, value))) return;
    const serial = this.#table.inserted - 1;
    this.#serialByField.set(fieldKey(name, value), serial);
    this.#serialByName.set(name, serial);
    this.#generation++;
    // The maps keep evicted entries; they are swept before they outnumber the live ones by much.
    if (this.#serialByField.size > 2 * this.#table.count + 16) this.#forgetEvicted();
  }

  #forgetEvicted(): void {
    const oldest = this.#table.inserted - this.#table.count;
    for (const map of [this.#serialByField, this.#serialByName]) {
      for (const [key, serial] of map) if (serial < oldest) map.delete(key);
    }
  }

  #indexOfField(name: string, value: string): number {
    const key = fieldKey(name, value);
    const fixed = staticByField.get(key);
    if (fixed !== undefined) return fixed;
    return this.#indexOfSerial(this.#serialByField.get(key));
  }

  #indexOfName(name: string): number {
    return staticByName.get(name) ?? this.#indexOfSerial(this.#serialByName.get(name));
  }

  #indexOfSerial(serial: number | undefined): number {
    if (serial === undefined) return 0;
    const age = this.#table.inserted - 1 - serial;
    return age < this.#table.count ? STATIC_COUNT + 1 + age : 0;
  }
}

function writeInteger(
  target: Uint8Array,
  offset: number,
  pattern: number,
  mask: number,
  value: number,
): number {
  let at = offset;
  if (value < mask) {
    target[at++] = pattern | value;
    return at;
  }
  target[at++] = pattern | mask;
  let rest = value - mask;
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest = Math.floor(rest / 128);
  }
  target[at++] = rest;
  return at;
}

function writeString(text: string, target: Uint8Array, offset: number): number {
  const coded = huffmanLength(text);
  if (coded < text.length) {
    return huffmanEncode(text, target, writeInteger(target, offset, 0x80, 0x7f, coded));
  }
  return writeLatin1(text, target, writeInteger(target, offset, 0x00, 0x7f, text.length));
}
