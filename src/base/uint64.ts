// Unsigned 64-bit numbers, big endian, for keys and frames written by hand.

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
