// Sizes of the protobuf wire format, and its writing from back to front: when the length of a message
// is due, its end and its beginning are both known, so nothing is measured twice however deep messages
// nest. `putX(value, target, end)` writes bytes that end at `end` and returns where they begin.

import { COUNT_MAX, fail } from '../../base/index.ts';
import { highHalf, splitBig } from './int64-halves.ts';
import { sizeOfText, writeText } from './utf8.ts';

const TWO_32 = 0x1_0000_0000;
/** Up to this many bytes a loop beats `set`. */
const COPY_LOOP_MAX = 24;

/** Bytes of the varint of an unsigned 32-bit number. */
function sizeOfLow(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

/** Bytes of the varint whose halves these are. */
function sizeOfHalves(low: number, high: number): number {
  if (high === 0) return sizeOfLow(low);
  if (high < 8) return 5;
  if (high < 0x400) return 6;
  if (high < 0x2_0000) return 7;
  if (high < 0x100_0000) return 8;
  return high < 0x8000_0000 ? 9 : 10;
}

/** Bytes of a length-delimited value of `length` bytes, its length included. */
export function sizeOfDelimited(length: number): number {
  return sizeOfLow(length) + length;
}

/** Bytes of a string, its length included. */
export function sizeOfString(text: string): number {
  return sizeOfDelimited(sizeOfText(text));
}

/** Bytes of an unsigned integer up to 2^53. */
export function sizeOfUint(value: number): number {
  return value < TWO_32 ? sizeOfLow(value) : sizeOfHalves(value >>> 0, Math.floor(value / TWO_32));
}

/** Bytes of an integer from -2^53 to 2^53, or of an enum. */
export function sizeOfInt(value: number): number {
  return value < 0 ? 10 : sizeOfUint(value);
}

export function sizeOfBig(value: bigint): number {
  const low = splitBig(value);
  return sizeOfHalves(low, highHalf());
}

/** Any integer from -2^53 to 2^53. */
export function putInt(value: number, target: Uint8Array, end: number): number {
  if ((value & 0x7f) === value) {
    target[end - 1] = value;
    return end - 1;
  }
  if (value >>> 0 === value) return putHalves(value, 0, target, end);
  if (!Number.isInteger(value) || value > COUNT_MAX + 1 || value < -COUNT_MAX - 1) {
    fail(`${value} is no integer up to 2^53`);
  }
  return putHalves(value >>> 0, Math.floor(value / TWO_32) >>> 0, target, end);
}

/** Any 64-bit integer, signed or not. */
export function putBig(value: bigint, target: Uint8Array, end: number): number {
  const low = splitBig(value);
  return putHalves(low, highHalf(), target, end);
}

export function putBytes(bytes: Uint8Array, target: Uint8Array, end: number): number {
  const length = bytes.length;
  const start = end - length;
  if (length > COPY_LOOP_MAX) target.set(bytes, start);
  else for (let i = 0; i < length; i++) target[start + i] = bytes[i]!;
  return putInt(length, target, start);
}

export function putString(text: string, target: Uint8Array, end: number): number {
  const size = sizeOfText(text);
  writeText(text, size, target, end - size);
  return putInt(size, target, end - size);
}

function putHalves(low: number, high: number, target: Uint8Array, end: number): number {
  const start = end - sizeOfHalves(low, high);
  let pos = start;
  let rest = low;
  let restHigh = high;
  while (restHigh !== 0) {
    target[pos++] = (rest & 0x7f) | 0x80;
    rest = ((rest >>> 7) | (restHigh << 25)) >>> 0;
    restHigh >>>= 7;
  }
  while (rest >= 0x80) {
    target[pos++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[pos] = rest;
  return start;
}
