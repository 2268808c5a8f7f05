// Field-by-field difference of two replies, and the list of those that are expected.
//
// A line of known-differences.txt is `pair | rpc | field | ours | theirs | reason`. The pair is
// `3.7~3.5`: the release whose rules the first server follows, then the second's. `*` in a pair, field
// or value stands for anything; list indexes in a field are written `[]`. Values are JSON. A
// difference that no line allows fails the test, and so does a line that nothing needed.

import { readFileSync } from 'node:fs';
import type { Value } from '../helpers/api.ts';

export interface Difference {
  readonly rpc: string;
  /** As `message.kvs[].value`, with `[]` for any index. */
  readonly field: string;
  readonly left: string;
  readonly right: string;
  /** For the reader: which operation, with indexes and all. */
  readonly where: string;
}

export interface KnownDifference {
  readonly line: number;
  readonly pair: string;
  readonly rpc: string;
  readonly field: string;
  readonly left: string;
  readonly right: string;
  readonly reason: string;
}

const VALUE_CHARS_MAX = 200;

function show(value: Value): string {
  const text = value === undefined ? 'undefined' : JSON.stringify(value);
  return text.length <= VALUE_CHARS_MAX ? text : `${text.slice(0, VALUE_CHARS_MAX)}…`;
}

export type Leaf = { readonly field: string; readonly left: string; readonly right: string };

/** Every leaf in which the two differ; `same` may call two unequal leaves equal. */
export function differences(
  left: Value,
  right: Value,
  same: (field: string, left: Value, right: Value) => boolean = () => false,
  field = '',
): Leaf[] {
  if (Object.is(left, right)) return [];
  if (Array.isArray(left) && Array.isArray(right)) {
    const length = Math.max(left.length, right.length);
    const indexes = Array.from({ length }, (_, i) => i);
    return indexes.flatMap((i) => differences(left[i], right[i], same, `${field}[]`));
  }
  if (isMessage(left) && isMessage(right)) {
    // One succeeded and the other did not: that says it all.
    if (left['outcome'] !== right['outcome'])
      return differences(left['outcome'], right['outcome'], same, 'outcome');
    const names = new Set([...Object.keys(left), ...Object.keys(right)]);
    return [...names].flatMap((name) =>
      differences(left[name], right[name], same, field === '' ? name : `${field}.${name}`),
    );
  }
  return same(field, left, right) ? [] : [{ field, left: show(left), right: show(right) }];
}

function isMessage(value: Value): value is { readonly [field: string]: Value } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function parseKnownDifferences(text: string): KnownDifference[] {
  const known: KnownDifference[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [pair, rpc, field, left, right, ...reason] = line.split('|').map((part) => part.trim());
    if (!pair || !rpc || !field || !left || !right || reason.join('|') === '') {
      throw new Error(`known differences, line ${index + 1}: six parts expected: ${line}`);
    }
    known.push({ line: index + 1, pair, rpc, field, left, right, reason: reason.join('|') });
  }
  return known;
}

export function readKnownDifferences(): KnownDifference[] {
  return parseKnownDifferences(
    readFileSync(new URL('known-differences.txt', import.meta.url), 'utf8'),
  );
}

/** `*` stands for anything, everything else for itself. */
function matches(pattern: string, text: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(text);
}

/** Which of the found differences nothing allows, and which lines for `pair` were not needed. */
export function judge(
  pair: string,
  found: readonly Difference[],
  known: readonly KnownDifference[],
): { unknown: Difference[]; unneeded: KnownDifference[] } {
  const ours = known.filter((entry) => matches(entry.pair, pair));
  const needed = new Set<KnownDifference>();
  const unknown = found.filter((difference) => {
    const entries = ours.filter(
      (entry) =>
        matches(entry.rpc, difference.rpc) &&
        matches(entry.field, difference.field) &&
        matches(entry.left, difference.left) &&
        matches(entry.right, difference.right),
    );
    for (const entry of entries) needed.add(entry);
    return entries.length === 0;
  });
  return { unknown, unneeded: ours.filter((entry) => !needed.has(entry)) };
}
