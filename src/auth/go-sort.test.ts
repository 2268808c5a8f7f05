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

test('a list on which every pivot is bad is sorted all the same', () => {
  // Gives the answers that make the quicksort slow, and so writes the list down while it is sorted.
  const size = 3000;
  const keys: (number | undefined)[] = new Array(size).fill(undefined);
  // Next to where the first pivot is looked for: the list must not seem to be in order.
  keys[749] = size + 1;
  const order = Array.from({ length: size }, (_, i) => i);
  let next = 0;
  let candidate = 0;
  let comparisons = 0;
  goSort(order, (a, b) => {
    comparisons++;
    if (keys[a] === undefined && keys[b] === undefined) {
      if (a === candidate) keys[a] = next++;
      else keys[b] = next++;
    }
    if (keys[a] === undefined) candidate = a;
    else if (keys[b] === undefined) candidate = b;
    return (keys[a] ?? size) < (keys[b] ?? size);
  });
  expect(comparisons).toBeLessThan(size * 60);
  expect(order.map((i) => keys[i] ?? size)).toEqual(
    keys.map((key) => key ?? size).sort((a, b) => a - b),
  );
});
