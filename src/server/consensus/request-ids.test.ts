import { expect, test } from 'vitest';
import { RequestIds } from './request-ids.ts';

const START_MS = 1_700_000_000_123;

test('ids are those of the member, of its start, and count up', () => {
  const ids = new RequestIds(0x8e9e05c52164694dn, START_MS);
  expect(ids.high).toBe(0x694d);
  const first = ids.next();
  expect(first).toBe((START_MS % 2 ** 40) * 256 + 1);
  expect([ids.next(), ids.next()]).toEqual([first + 1, first + 2]);
  expect(ids.whole(first)).toBe((0x694dn << 48n) | BigInt(first));
  expect(ids.nextWhole()).toBe(ids.whole(first + 3));
});

test('a later start gives ids that were not given out before, up to 256 per millisecond', () => {
  const before = new RequestIds(1n, START_MS);
  let last = 0;
  for (let i = 0; i < 255; i++) last = before.next();
  expect(new RequestIds(1n, START_MS + 1).next()).toBeGreaterThan(last);
});

test('no id is 0, and all have 64 bits, however long it runs', () => {
  const ids = new RequestIds(2n ** 64n - 1n, 2 ** 40 - 1);
  const seen = Array.from({ length: 400 }, () => ids.next());
  expect(new Set(seen).size).toBe(400);
  expect(Math.min(...seen)).toBe(1);
  expect(Math.max(...seen)).toBe(2 ** 48 - 1);
  expect(ids.whole(2 ** 48 - 1)).toBe(2n ** 64n - 1n);
});
