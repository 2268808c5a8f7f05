import { expect, test } from 'vitest';
import { humanBytes } from './human-bytes.ts';

test.each([
  [0, '0 B'],
  [9, '9 B'],
  [999, '999 B'],
  [1_000, '1.0 kB'],
  [20_480, '20 kB'],
  [999_999, '1000 kB'],
  [2_147_483_648, '2.1 GB'],
  [10_500_000, '10 MB'],
])('%i bytes are printed as %s', (count, text) => {
  expect(humanBytes(count)).toBe(text);
});
