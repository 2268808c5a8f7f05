import fc from 'fast-check';
import { expect, test } from 'vitest';
import { intervalOf } from './permission.ts';
import { PermissionTree } from './permission-tree.ts';
import { recorded } from './testdata.fixture.ts';

type Range = readonly [key: string, rangeEnd: string];

function treeOf(permissions: readonly Range[]): PermissionTree {
  const tree = new PermissionTree();
  for (const range of permissions) tree.add(...intervalOf(...range));
  expect(tree.check()).toEqual([]);
  return tree;
}

function permits(tree: PermissionTree, [key, rangeEnd]: Range): boolean {
  const interval = intervalOf(key, rangeEnd);
  return rangeEnd === '' ? tree.intersects(...interval) : tree.covers(...interval);
}

function rangeFrom(text: string): Range {
  const [key = '', rangeEnd = ''] = text
    .split('-')
    .map((part) => Buffer.from(part, 'hex').toString('latin1'));
  return [key, rangeEnd];
}

test('answers as etcd does, ranges that end before they begin included', () => {
  const lines = recorded('etcd-intervals.txt');
  expect(lines.length).toBeGreaterThan(150);
  for (const line of lines) {
    const [permissions = '', requests = ''] = line.split(' ');
    const tree = treeOf(permissions === '' ? [] : permissions.split(',').map(rangeFrom));
    const answers = requests.split(',').map((request) => {
      const range = request.replace('+', '');
      return permits(tree, rangeFrom(range)) ? `${range}+` : range;
    });
    expect(answers.join(',')).toBe(requests);
  }
});

const ALPHABET = ['\0', 'a', 'b', '\xff'] as const;

/** Every string of up to three chars: a gap between ranges of shorter keys holds one of them. */
const KEYS: readonly string[] = (() => {
  const keys: string[] = [];
  let longest = [''];
  for (let length = 1; length <= 3; length++) {
    longest = longest.flatMap((prefix) => ALPHABET.map((char) => prefix + char));
    keys.push(...longest);
  }
  return keys;
})();

function contains([key, rangeEnd]: Range, candidate: string): boolean {
  if (rangeEnd === '') return candidate === key;
  return candidate >= key && (rangeEnd === '\0' || candidate < rangeEnd);
}

test('65eeb7ff1: a range is permitted if each of its keys is', () => {
  const key = fc
    .array(fc.constantFrom(...ALPHABET), { minLength: 1, maxLength: 2 })
    .map((chars) => chars.join(''));
  const range: fc.Arbitrary<Range> = fc.tuple(
    key,
    fc.oneof(fc.constant(''), fc.constant('\0'), key),
  );
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), fc.array(range), (permissions, requests) => {
      const tree = treeOf(permissions);
      for (const request of requests) {
        const wanted = KEYS.filter((candidate) => contains(request, candidate));
        if (wanted.length === 0) continue;
        const expected = wanted.every((candidate) =>
          permissions.some((permission) => contains(permission, candidate)),
        );
        expect(permits(tree, request), JSON.stringify({ permissions, request })).toBe(expected);
      }
    }),
    { numRuns: 2000 },
  );
});

test('stays balanced', () => {
  const tree = new PermissionTree();
  for (let i = 0; i < 20_000; i++) {
    const key = String(i).padStart(6, '0');
    tree.add(key, `${key}\0`);
  }
  expect(tree.check()).toEqual([]);
  // Far below what a list would need for its stack.
  expect(tree.covers('000000', '019999')).toBe(false);
  expect(tree.intersects('012345', '012345\0')).toBe(true);
});
