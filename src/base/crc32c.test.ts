import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { bytesFromUtf8 } from './bytes.ts';
import { crc32c } from './crc32c.ts';
import { FOLDED_BYTES_MIN, foldingChecksum } from './crc32c-fold.ts';
import { InvariantError, verify } from './invariant.ts';
import { seededRandom } from './random.ts';

/** The definition, bit by bit. */
function plainCrc32c(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

test('the check value of the CRC catalogue', () => {
  expect(crc32c(0, bytesFromUtf8('123456789'))).toBe(0xe3069283);
});

test('equals the definition, in one piece and in two', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (bytes, cut) => {
      const at = Math.min(cut, bytes.length);
      const expected = plainCrc32c(bytes);
      expect(crc32c(0, bytes)).toBe(expected);
      expect(crc32c(crc32c(0, bytes, 0, at), bytes, at)).toBe(expected);
    }),
  );
});

describe('long inputs', () => {
  const length = 300_000;
  const random = seededRandom(5);
  const input = Uint8Array.from({ length }, () => random.below(256));

  test('are folded where the platform can, and else not', () => {
    const plain = (seed: number, bytes: Uint8Array, start: number, end: number) =>
      plainCrc32c(bytes.subarray(start, end), seed);
    const folded = foldingChecksum(plain);
    expect(folded?.(7, input, 3, 200_003)).toBe(plain(7, input, 3, 200_003));
    expect(() => foldingChecksum(() => 1)).toThrow(InvariantError);
    vi.stubGlobal('WebAssembly', undefined);
    expect(foldingChecksum(plain)).toBeUndefined();
    vi.unstubAllGlobals();
  });

  test('of any length, at any place, after any other', () => {
    expect(verify.all).toBe(true);
    const lengths = [0, 1, 15, 16, 17, 5_684, 5_685, 5_701].map((more) => FOLDED_BYTES_MIN + more);
    lengths.push(100_000, 131_071, 131_072, 131_073, 131_072 + FOLDED_BYTES_MIN, length - 16);
    for (const count of lengths) {
      for (const start of [0, 1, 7, 16]) {
        const seed = random.below(2 ** 32);
        const expected = plainCrc32c(input.subarray(start, start + count), seed);
        expect(crc32c(seed, input, start, start + count)).toBe(expected);
      }
    }
  });

  test('every byte counts, and every bit of it', () => {
    const bytes = input.slice(0, 40_000);
    const whole = crc32c(0, bytes);
    for (let at = 0; at < bytes.length; at += 97) {
      const bit = 1 << (at % 8);
      bytes[at]! ^= bit;
      expect(crc32c(0, bytes)).not.toBe(whole);
      bytes[at]! ^= bit;
    }
    expect(crc32c(0, bytes)).toBe(whole);
  });
});
