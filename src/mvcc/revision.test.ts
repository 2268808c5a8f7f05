import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareBytes } from '../base/index.ts';
import {
  checkRevisionKey,
  compareRevisions,
  isTombstoneKey,
  mainOfKey,
  revisionKey,
  subOfKey,
} from './revision.ts';

test('the example of the format', () => {
  const hex = Buffer.from(revisionKey(5, 1)).toString('hex');
  expect(hex).toBe('00000000000000055f0000000000000001');
  expect(Buffer.from(revisionKey(5, 1, true)).toString('hex')).toBe(`${hex}74`);
});

const main = fc.oneof(
  fc.nat(),
  fc.maxSafeNat().map((value) => Math.floor(value / 2)),
);
const sub = fc.nat();

test('decodes what it encodes, and sorts as revisions do', () => {
  fc.assert(
    fc.property(main, sub, main, sub, (mainA, subA, mainB, subB) => {
      const a = revisionKey(mainA, subA);
      const b = revisionKey(mainB, subB);
      checkRevisionKey(a);
      expect([mainOfKey(a), subOfKey(a)]).toEqual([mainA, subA]);
      expect(isTombstoneKey(a.length)).toBe(false);
      expect(isTombstoneKey(revisionKey(mainA, subA, true).length)).toBe(true);
      expect(Math.sign(compareBytes(a, b))).toBe(
        Math.sign(compareRevisions(mainA, subA, mainB, subB)),
      );
    }),
  );
});

test.each([
  ['', 'CORRUPT'],
  ['00000000000000055f00000000000000', 'CORRUPT'],
  ['00000000000000055e0000000000000001', 'CORRUPT'],
  ['00000000000000055f000000000000000175', 'CORRUPT'],
  ['00000000000000055f00000000000000017474', 'CORRUPT'],
  ['80000000000000055f0000000000000001', 'CORRUPT'],
  ['00000000000000055f8000000000000001', 'CORRUPT'],
  ['00200000000000005f0000000000000001', 'NUMBER_TOO_LARGE'],
  ['00100000000000005f0000000000000001', 'NUMBER_TOO_LARGE'],
  ['00000000000000055f0000000080000000', 'NUMBER_TOO_LARGE'],
  ['00000000000000055f0020000000000000', 'NUMBER_TOO_LARGE'],
])('refuses %s', (hex, code) => {
  const bytes = Uint8Array.from(Buffer.from(hex, 'hex'));
  expect(() => checkRevisionKey(bytes)).toThrowError(expect.objectContaining({ code }));
});
