import fc from 'fast-check';
import { expect, test } from 'vitest';
import { varintSize, writeVarint } from './varint.ts';

/** The definition, in exact arithmetic. */
function plainVarint(value: bigint): number[] {
  return value < 128n
    ? [Number(value)]
    : [Number(value % 128n) | 128, ...plainVarint(value / 128n)];
}

function check(value: number): void {
  const target = new Uint8Array(12);
  const expected = plainVarint(BigInt(value));
  expect(writeVarint(value, target, 1)).toBe(1 + expected.length);
  expect([...target.subarray(1, 1 + expected.length)]).toEqual(expected);
  expect(varintSize(value)).toBe(expected.length);
}

test('sizes and bytes at every edge', () => {
  for (let bits = 0; bits <= 53; bits++) {
    for (const value of [2 ** bits - 1, 2 ** bits]) if (Number.isSafeInteger(value)) check(value);
  }
});

test('equal the definition', () => {
  fc.assert(fc.property(fc.maxSafeNat(), check), { numRuns: 2000 });
});
