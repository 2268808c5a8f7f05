import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeySorter, SORTED_KEYS_MAX } from './key-sorter.ts';

/** The plain twin: a stable sort by comparison. */
function expected(keys: readonly string[]): number[] {
  const order = keys.map((_, i) => i);
  return order.sort((a, b) => (keys[a]! < keys[b]! ? -1 : keys[a]! > keys[b]! ? 1 : 0));
}

function sorted(keys: readonly string[]): number[] {
  const sorter = new KeySorter(Math.max(keys.length, 1));
  sorter.sort(keys);
  return [...sorter.order.subarray(0, keys.length)];
}

const char = fc.constantFrom('\0', '\x01', 'a', 'b', '/', '\x7f', '\x80', '\xff');
const part = fc.string({ unit: char, maxLength: 9 });
const key = fc.oneof(
  part,
  fc
    .tuple(fc.constantFrom('/registry/pods/', '/registry/p', 'aaaaaaaaaaaa'), part)
    .map((p) => p.join('')),
  fc.nat(40).map((length) => 'a'.repeat(length)),
  fc.nat(40).map((length) => `a${'\0'.repeat(length)}`),
);

test('sorts as a stable sort by comparison does', () => {
  fc.assert(
    fc.property(fc.array(key, { maxLength: 400, size: 'max' }), (keys) => {
      expect(sorted(keys)).toEqual(expected(keys));
    }),
    { numRuns: 300 },
  );
});

test.each<readonly [string, (i: number) => string]>([
  ['equal keys', () => '/one/and/the/same/key'],
  ['keys that are prefixes of each other', (i) => 'p'.repeat((i * 7919) % 3000)],
  ['zero chars at the end', (i) => `k${'\0'.repeat((i * 7) % 50)}`],
  ['all kinds of first chars', (i) => String.fromCharCode((i * 97) % 256) + String(i % 31)],
])('%s', (_, keyOf) => {
  const keys = Array.from({ length: 3000 }, (__, i) => keyOf(i));
  expect(sorted(keys)).toEqual(expected(keys));
});

test('as many as it can take', () => {
  const keys = Array.from({ length: SORTED_KEYS_MAX }, (_, i) => `/k/${(i * 48_271) % 65_537}`);
  expect(sorted(keys)).toEqual(expected(keys));
  expect(() => new KeySorter(SORTED_KEYS_MAX + 1)).toThrow(/16 bits/);
});
