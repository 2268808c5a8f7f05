// Unsigned 64-bit numbers, big endian.

import { COUNT_MAX, ERROR_CODES, TetcdError } from '../../base/index.ts';

const TWO_POW_32 = 0x1_0000_0000;

/** Reads a number at `offset`; NUMBER_TOO_LARGE, naming `what`, above 2^53-1. */
export function readWord(bytes: Uint8Array, offset: number, what: string): number {
  let high = 0;
  let low = 0;
  for (let i = 0; i < 4; i++) {
    high = high * 256 + bytes[offset + i]!;
    low = low * 256 + bytes[offset + 4 + i]!;
  }
  const value = high * TWO_POW_32 + low;
  if (value > COUNT_MAX) {
    throw new TetcdError(ERROR_CODES.NUMBER_TOO_LARGE, `${what}: above 2^53-1`);
  }
  return value;
}
