import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InvariantError } from '../../base/index.ts';
import { isUtf8, sizeOfText, writeText } from './utf8.ts';
import { putBig, putInt, sizeOfBig, sizeOfInt } from './writer.ts';

/** The definition: seven bits at a time of the two's complement. */
function plainVarint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) + 128);
  return [...bytes, Number(rest)];
}

const boundaries = Array.from({ length: 64 }, (_, bit) => 2n ** BigInt(bit));

test('varints equal their definition around every power of two', () => {
  const target = new Uint8Array(16);
  for (const power of boundaries) {
    for (const value of [power - 1n, power, power + 1n, -power, -power - 1n, 1n - power]) {
      const expected = plainVarint(value);
      expect(sizeOfBig(value)).toBe(expected.length);
      expect([...target.subarray(putBig(value, target, 13), 13)]).toEqual(expected);
      if (value > 2n ** 53n || value < -(2n ** 53n)) continue;
      expect(sizeOfInt(Number(value))).toBe(expected.length);
      expect([...target.subarray(putInt(Number(value), target, 13), 13)]).toEqual(expected);
    }
  }
});

test('what is no integer up to 2^53 is our own mistake', () => {
  const target = new Uint8Array(16);
  for (const value of [
    0.5,
    1.5,
    200.5,
    2 ** 40 + 0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 54,
  ]) {
    expect(() => putInt(value, target, 16)).toThrow(InvariantError);
    expect(() => putInt(-value, target, 16)).toThrow(InvariantError);
  }
});

test('text is written as the runtime writes it, lone surrogates included', () => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme-ascii', maxLength: 100 }),
    fc
      .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 60 })
      .map((units) => String.fromCharCode(...units)),
  );
  fc.assert(
    fc.property(text, (value) => {
      const expected = Uint8Array.from(Buffer.from(value, 'utf8'));
      const target = new Uint8Array(expected.length + 2);
      expect(sizeOfText(value)).toBe(expected.length);
      writeText(value, expected.length, target, 1);
      expect(target.subarray(1, -1)).toEqual(expected);
      expect([target[0], target.at(-1)]).toEqual([0, 0]);
    }),
  );
});

test('UTF-8 is recognised as the runtime recognises it', () => {
  const strict = new TextDecoder('utf-8', { fatal: true });
  const isDecoded = (bytes: Uint8Array): boolean => {
    try {
      strict.decode(bytes);
      return true;
    } catch {
      return false;
    }
  };
  const byte = fc.constantFrom(
    ...[0x00, 0x61, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1],
    ...[0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff],
  );
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 6 }), (bytes) => {
      const input = Uint8Array.from(bytes);
      expect(isUtf8(input, 0, input.length)).toBe(isDecoded(input));
    }),
    { numRuns: 5000 },
  );
});
