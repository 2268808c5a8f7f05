import { expect, test } from 'vitest';
import { goDuration } from './go-duration.ts';

test.each([
  [0, '0s'],
  [999, '999ns'],
  [1_500, '1.5µs'],
  [2_372_447, '2.372447ms'],
  [1_000_645_441, '1.000645441s'],
  [60e9, '1m0s'],
  [5_000e9 + 5e8, '1h23m20.5s'],
])('%i ns is printed as %s', (ns, text) => {
  expect(goDuration(ns)).toBe(text);
});
