// The checker must find what it is there for.

import { describe, expect, test } from 'vitest';
import { Model, type StoredEvent, type StoredKey } from './model.ts';

const stored = (key: string, value: string, modRevision: number): StoredKey => ({
  ...{ key, value, modRevision },
});
const event = (revision: number, key: string, value?: string): StoredEvent => ({
  ...{ revision, key, value },
});

/** Writer 1 has put a (revision 2) and b and c together (3); writer 2's put of d is under way. */
function afterSomeWrites(): Model {
  const model = new Model();
  model.begin(1, [{ key: 'a', value: 'x' }]);
  model.acknowledge(1, 2);
  model.begin(1, [
    { key: 'b', value: 'y' },
    { key: 'c', value: 'y' },
  ]);
  model.acknowledge(1, 3);
  model.begin(2, [
    { key: 'd', value: 'z' },
    { key: 'e', value: 'z' },
  ]);
  return model;
}

const KEYS = [stored('a', 'x', 2), stored('b', 'y', 3), stored('c', 'y', 3)];
const EVENTS = [event(2, 'a', 'x'), event(3, 'b', 'y'), event(3, 'c', 'y')];

describe('the crash checker', () => {
  test('accepts exactly what was acknowledged', () => {
    expect(afterSomeWrites().check(3, KEYS, EVENTS)).toEqual([]);
  });

  test('accepts that the request under way happened', () => {
    const keys = [...KEYS, stored('d', 'z', 4), stored('e', 'z', 4)];
    const events = [...EVENTS, event(4, 'd', 'z'), event(4, 'e', 'z')];
    expect(afterSomeWrites().check(4, keys, events)).toEqual([]);
  });

  test.each<[string, number, StoredKey[], StoredEvent[], RegExp]>([
    ['a lost write', 3, KEYS.slice(1), EVENTS, /a: x acknowledged at 2, found nothing/],
    ['another revision', 3, [stored('a', 'x', 9), ...KEYS.slice(1)], EVENTS, /found x at 9/],
    ['a revision that went back', 2, KEYS, EVENTS, /went back from 3 to 2/],
    ['a lost event', 3, KEYS, EVENTS.slice(0, 2), /no event: 3 c = y/],
    ['a gap in the events', 5, KEYS, [...EVENTS, event(5, 'd', 'z')], /revision 5 after one of 3/],
    ['an event from nowhere', 4, KEYS, [...EVENTS, event(4, 'a', 'q')], /no client wrote 4 a = q/],
    [
      'half a transaction',
      4,
      [...KEYS, stored('d', 'z', 4)],
      [...EVENTS, event(4, 'd', 'z')],
      /torn transaction/,
    ],
  ])('finds %s', (_name, revision, keys, events, pattern) => {
    expect(afterSomeWrites().check(revision, keys, events).join('\n')).toMatch(pattern);
  });
});
