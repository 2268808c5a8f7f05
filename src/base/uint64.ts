// Unsigned 64-bit numbers: big endian, for keys and frames written by hand, and as identities.

import { ERROR_CODES, TetcdError } from './errors.ts';
import { COUNT_MAX } from './units.ts';

const TWO_POW_32 = 0x1_0000_0000;

/** Writes `value` (0 to 2^53-1) into 8 bytes; returns the offset after. */
export function writeUint64(value: number, target: Uint8Array, offset: number): number {
  const high = Math.floor(value / TWO_POW_32);
  const low = value >>> 0;
  target[offset] = high >>> 24;
  target[offset + 1] = high >>> 16;
  target[offset + 2] = high >>> 8;
  target[offset + 3] = high;
  target[offset + 4] = low >>> 24;
  target[offset + 5] = low >>> 16;
  target[offset + 6] = low >>> 8;
  target[offset + 7] = low;
  return offset + 8;
}

/** Reads 8 bytes as a number of 0 to 2^53-1, rounded above: for bytes that were checked before. */
export function uint64At(bytes: Uint8Array, offset: number): number {
  return uint32At(bytes, offset) * TWO_POW_32 + uint32At(bytes, offset + 4);
}

/** Reads a number at `offset`; NUMBER_TOO_LARGE, naming `what`, above 2^53-1. */
export function readUint64(bytes: Uint8Array, offset: number, what: string): number {
  const value = uint64At(bytes, offset);
  if (value > COUNT_MAX) {
    throw new TetcdError(ERROR_CODES.NUMBER_TOO_LARGE, `${what}: above 2^53-1`);
  }
  return value;
}

/** Negative, zero or positive as `a` is below, equal to or above `b`: an order of ids. */
export function compareUint64(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function uint32At(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset]! << 24) |
      (bytes[offset + 1]! << 16) |
      (bytes[offset + 2]! << 8) |
      bytes[offset + 3]!) >>>
    0
  );
}
