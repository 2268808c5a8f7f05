import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesFromUtf8 } from './bytes.ts';
import { crc32c } from './crc32c.ts';

/** The definition, bit by bit. */
function plainCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
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
