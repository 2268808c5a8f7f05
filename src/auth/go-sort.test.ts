import fc from 'fast-check';
import { expect, test } from 'vitest';
import { goSort } from './go-sort.ts';
import { recorded } from './testdata.fixture.ts';

/** Where the elements lay before. */
function placesAfter(keys: readonly number[]): number[] {
  const list = keys.map((key, place) => ({ key, place }));
  goSort(list, (a, b) => a.key < b.key);
  return list.map(({ place }) => place);
}

test('elements that are equal come to lie as in Go', () => {
  const lines = recorded('go-sort.txt');
  expect(lines.length).toBeGreaterThan(60);
  for (const line of lines) {
    const [keys, places] = line.split('|').map((part) => part.split(',').map(Number));
    expect(placesAfter(keys!), line).toEqual(places);
  }
});

test('every list is sorted, and nothing is lost', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(fc.nat(30), { maxLength: 300 }),
        fc.array(fc.nat(3), { maxLength: 300 }),
        fc.array(fc.nat(), { maxLength: 300 }).map((list) => list.sort((a, b) => b - a)),
      ),
      (keys) => {
        const places = placesAfter(keys);
        expect(places.map((place) => keys[place])).toEqual([...keys].sort((a, b) => a - b));
        expect(new Set(places).size).toBe(keys.length);
      },
    ),
  );
});
