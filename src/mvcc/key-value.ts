// The stored form of a key at a revision, `mvccpb.KeyValue`, as this folder needs it on hot paths:
// written into place from its parts, and looked into without building an object.
//
//   0a key   10 create_revision   18 mod_revision   20 version   2a value   30 lease
//
// Example: key "k", created at 2, changed at 3, version 2, value "v", no lease:
//   0a 01 6b 10 02 18 03 20 02 2a 01 76
// A tombstone's row holds the key alone: 0a 01 6b. Fields that are zero or empty are left out.

import {
  COUNT_MAX,
  copyBytes,
  ERROR_CODES,
  latin1FromBytes,
  type Revision,
  TetcdError,
  writeLatin1,
  writeVarint,
} from '../base/index.ts';
import { sizeOfBig, sizeOfUint } from '../protocol/index.ts';
import type { ByteSlice } from './types.ts';

/** Of the field of a RangeResponse that holds a KeyValue. */
export const TAG_RANGE_KVS = 0x12;

const TAG_KEY = 0x0a;
const TAG_CREATE = 0x10;
const TAG_MOD = 0x18;
const TAG_VERSION = 0x20;
const TAG_VALUE = 0x2a;
const TAG_LEASE = 0x30;

const TWO_POW_32 = 2 ** 32;

/** Bytes of the key's field; keys are never empty. */
export function sizeOfKeyField(key: string): number {
  return 1 + sizeOfUint(key.length) + key.length;
}

/** Writes the key's field; returns the offset after. */
export function writeKeyField(key: string, target: Uint8Array, offset: number): number {
  target[offset] = TAG_KEY;
  return writeLatin1(key, target, writeVarint(key.length, target, offset + 1));
}

/** Bytes of the three revision fields, none of which is zero. */
function sizeOfNumbers(createMain: Revision, modMain: Revision, version: number): number {
  return 3 + sizeOfUint(createMain) + sizeOfUint(modMain) + sizeOfUint(version);
}

function writeNumbers(
  createMain: Revision,
  modMain: Revision,
  version: number,
  target: Uint8Array,
  offset: number,
): number {
  let at = offset;
  target[at] = TAG_CREATE;
  at = writeVarint(createMain, target, at + 1);
  target[at] = TAG_MOD;
  at = writeVarint(modMain, target, at + 1);
  target[at] = TAG_VERSION;
  return writeVarint(version, target, at + 1);
}

/** Exact number of bytes that {@link writeKeyValue} produces. */
export function sizeOfKeyValue(
  key: string,
  createMain: Revision,
  modMain: Revision,
  version: number,
  valueLength: number,
  lease: bigint,
): number {
  return (
    sizeOfKeyField(key) +
    sizeOfNumbers(createMain, modMain, version) +
    (valueLength === 0 ? 0 : 1 + sizeOfUint(valueLength) + valueLength) +
    (lease === 0n ? 0 : 1 + sizeOfBig(lease))
  );
}

/**
 * Writes a KeyValue at `offset`, with `value[valueOffset, valueOffset + valueLength)`. The caller
 * made room. Returns the offset after.
 */
export function writeKeyValue(
  key: string,
  createMain: Revision,
  modMain: Revision,
  version: number,
  value: Uint8Array,
  valueOffset: number,
  valueLength: number,
  lease: bigint,
  target: Uint8Array,
  offset: number,
): number {
  let at = writeNumbers(createMain, modMain, version, target, writeKeyField(key, target, offset));
  if (valueLength > 0) {
    at = writeValueHead(valueLength, target, at);
    copyBytes(value, valueOffset, valueLength, target, at);
    at += valueLength;
  }
  return writeLease(lease, target, at);
}

/** Writes what stands before a value that is not empty; returns the offset after. */
export function writeValueHead(valueLength: number, target: Uint8Array, offset: number): number {
  target[offset] = TAG_VALUE;
  return writeVarint(valueLength, target, offset + 1);
}

/** Writes the field of the lease, unless it is 0; returns the offset after. */
export function writeLease(lease: bigint, target: Uint8Array, offset: number): number {
  if (lease === 0n) return offset;
  target[offset] = TAG_LEASE;
  return writeBigVarint(lease, target, offset + 1);
}

/** Exact number of bytes that {@link writeKeyOnly} produces. */
export function sizeOfKeyOnly(
  key: string,
  createMain: Revision,
  modMain: Revision,
  version: number,
): number {
  return sizeOfKeyField(key) + sizeOfNumbers(createMain, modMain, version);
}

/** Writes a KeyValue without value and lease, what `keys_only` answers. */
export function writeKeyOnly(
  key: string,
  createMain: Revision,
  modMain: Revision,
  version: number,
  target: Uint8Array,
  offset: number,
): number {
  return writeNumbers(createMain, modMain, version, target, writeKeyField(key, target, offset));
}

function writeBigVarint(value: bigint, target: Uint8Array, offset: number): number {
  let at = offset;
  let rest = BigInt.asUintN(64, value);
  while (rest >= 0x80n) {
    target[at++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  target[at++] = Number(rest);
  return at;
}

/**
 * Looks into stored KeyValues. One scanner is used again and again; its fields are those of the last
 * `scan`, and positions are in that call's buffer.
 */
export class KeyValueScanner {
  keyOffset = 0;
  keyLength = 0;
  createRevision: Revision = 0;
  modRevision: Revision = 0;
  version = 0;
  valueOffset = 0;
  valueLength = 0;
  /** Where the whole field of the value begins; it ends with the value. */
  valueFieldOffset = 0;

  #buffer: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  /** Halves of the varint read last, and of the lease. */
  #low = 0;
  #high = 0;
  #leaseLow = 0;
  #leaseHigh = 0;

  /** Reads `buffer[offset, offset + length)`; CORRUPT if that is not a KeyValue. */
  scan(buffer: Uint8Array, offset: number, length: number): void {
    this.#buffer = buffer;
    this.#at = offset;
    this.#end = offset + length;
    this.keyLength = 0;
    this.createRevision = 0;
    this.modRevision = 0;
    this.version = 0;
    this.valueLength = 0;
    this.#leaseLow = 0;
    this.#leaseHigh = 0;
    while (this.#at < this.#end) this.#field();
  }

  /** {@link scan} of a row that was just read. */
  scanSlice(slice: ByteSlice): void {
    this.scan(slice.buffer, slice.offset, slice.length);
  }

  /** The key as a latin1 string. */
  key(): string {
    return latin1FromBytes(this.#buffer, this.keyOffset, this.keyOffset + this.keyLength);
  }

  /** The lease, 0 for none. */
  lease(): bigint {
    if (this.#leaseHigh === 0) return BigInt(this.#leaseLow);
    return BigInt.asIntN(64, (BigInt(this.#leaseHigh) << 32n) | BigInt(this.#leaseLow));
  }

  hasLease(): boolean {
    return this.#leaseLow !== 0 || this.#leaseHigh !== 0;
  }

  #field(): void {
    const tag = this.#buffer[this.#at]!;
    switch (tag) {
      case TAG_KEY:
        this.#at++;
        this.keyLength = this.#length();
        this.keyOffset = this.#at;
        this.#at += this.keyLength;
        return;
      case TAG_CREATE:
        this.#at++;
        this.createRevision = this.#count();
        return;
      case TAG_MOD:
        this.#at++;
        this.modRevision = this.#count();
        return;
      case TAG_VERSION:
        this.#at++;
        this.version = this.#count();
        return;
      case TAG_VALUE:
        this.valueFieldOffset = this.#at++;
        this.valueLength = this.#length();
        this.valueOffset = this.#at;
        this.#at += this.valueLength;
        return;
      case TAG_LEASE:
        this.#at++;
        this.#varint();
        this.#leaseLow = this.#low;
        this.#leaseHigh = this.#high;
        return;
      default:
        this.#unknown();
    }
  }

  /** Steps over a field that this release does not know, or knows otherwise; groups nest freely. */
  #unknown(): void {
    let open = 0;
    do {
      this.#varint();
      const type = this.#low & 7;
      if (open === 0 && this.#low >>> 3 === 0) this.#corrupt();
      let skipped = 0;
      if (type === 0) this.#varint();
      else if (type === 1) skipped = 8;
      else if (type === 2) skipped = this.#length();
      else if (type === 3) open++;
      else if (type === 4 && open > 0) open--;
      else if (type === 5) skipped = 4;
      else this.#corrupt();
      this.#at += skipped;
      if (this.#at > this.#end) this.#corrupt();
    } while (open > 0);
  }

  #length(): number {
    const length = this.#count();
    if (length > this.#end - this.#at) this.#corrupt();
    return length;
  }

  #count(): number {
    this.#varint();
    const count = this.#high * TWO_POW_32 + this.#low;
    if (count > COUNT_MAX) this.#corrupt();
    return count;
  }

  #varint(): void {
    const buffer = this.#buffer;
    let at = this.#at;
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      if (at >= this.#end || shift > 63) this.#corrupt();
      const byte = buffer[at++]!;
      const bits = byte & 0x7f;
      if (shift < 28) {
        low |= bits << shift;
      } else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else {
        high |= bits << (shift - 32);
      }
      if (byte < 0x80) break;
    }
    this.#at = at;
    this.#low = low >>> 0;
    this.#high = high >>> 0;
  }

  #corrupt(): never {
    throw new TetcdError(
      ERROR_CODES.CORRUPT,
      `key bucket: a value of ${this.#end} bytes is no KeyValue`,
    );
  }
}
