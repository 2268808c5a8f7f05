// Comparison of bytes where they lie, without views.

import type { ByteSlice } from '../types.ts';

/** Negative, zero or positive as the bytes of `a` sort before, equal or sort after those of `b`. */
export function compareRanges(a: ByteSlice, b: ByteSlice): number {
  const shared = Math.min(a.length, b.length);
  const { buffer: bufferA, offset: offsetA } = a;
  const { buffer: bufferB, offset: offsetB } = b;
  for (let i = 0; i < shared; i++) {
    const difference = bufferA[offsetA + i]! - bufferB[offsetB + i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
