import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  clampToNumber,
  INT64,
  parseBool,
  parseDurationMs,
  parseInteger,
  UINT32,
  UINT64,
} from './values.ts';

test('twelve words are truth values', () => {
  for (const word of ['1', 't', 'T', 'TRUE', 'true', 'True']) expect(parseBool(word)).toBe(true);
  for (const word of ['0', 'f', 'F', 'FALSE', 'false', 'False']) {
    expect(parseBool(word)).toBe(false);
  }
  for (const word of ['', 'yes', 'tRUE', ' true', '2']) expect(parseBool(word)).toBeUndefined();
});

test.each([
  ['0', 0n],
  ['00', 0n],
  ['017', 15n],
  ['0x1F', 31n],
  ['0XfF', 255n],
  ['0b101', 5n],
  ['0o17', 15n],
  ['1_000', 1000n],
  ['0x_f', 15n],
  ['18446744073709551615', 2n ** 64n - 1n],
])('%s as an unsigned integer', (text, value) => {
  expect(parseInteger(text, UINT64)).toEqual({ value });
});

test.each(['', ' 1', '1 ', '-1', '+1', '1.0', '1e3', '0x', '08', '1__0', '_1', '1_', 'x', '0b2'])(
  '%j is no unsigned integer',
  (text) => {
    expect(parseInteger(text, UINT64)).toEqual({ reason: 'parse error' });
  },
);

test('ranges', () => {
  expect(parseInteger('18446744073709551616', UINT64)).toEqual({ reason: 'value out of range' });
  expect(parseInteger('4294967296', UINT32)).toEqual({ reason: 'value out of range' });
  expect(parseInteger('-9223372036854775808', INT64)).toEqual({ value: -(2n ** 63n) });
  expect(parseInteger('-9223372036854775809', INT64)).toEqual({ reason: 'value out of range' });
  expect(parseInteger('+5', INT64)).toEqual({ value: 5n });
  expect(clampToNumber(2n ** 64n - 1n)).toBe(Number.MAX_SAFE_INTEGER);
  expect(clampToNumber(-(2n ** 63n))).toBe(-Number.MAX_SAFE_INTEGER);
});

test('every integer is read back from its decimal form', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: INT64.min, max: INT64.max }), (value) => {
      expect(parseInteger(String(value), INT64)).toEqual({ value });
    }),
  );
});

test.each([
  ['0', 0],
  ['0s', 0],
  ['5s', 5_000],
  ['-5s', -5_000],
  ['+5s', 5_000],
  ['100ms', 100],
  ['1.5s', 1_500],
  ['.5s', 500],
  ['5.s', 5_000],
  ['1h15m30.918s', 4_530_918],
  ['2h0m0s', 7_200_000],
  ['250us', 0.25],
  ['250µs', 0.25],
  ['250μs', 0.25],
  ['1ns', 0.000001],
  ['2540400h', 9_145_440_000_000],
])('%s as a duration', (text, value) => {
  expect(parseDurationMs(text)).toEqual({ value });
});

test.each(['', '5', '-', '.', 's', '5 s', '1d', '1h2', 'one', '.s', '9999999h', '1e3s', '--5s'])(
  '%j is no duration',
  (text) => {
    expect(parseDurationMs(text)).toEqual({ reason: 'parse error' });
  },
);
