import { describe, expect, test } from 'vitest';
import { watchOfArguments } from './watch-arguments.ts';

describe('the words of a watch', () => {
  test('are a key, a range end and a program', () => {
    expect(watchOfArguments(['a'], undefined, {})).toEqual({
      key: 'a',
      rangeEnd: undefined,
      exec: [],
    });
    expect(watchOfArguments(['a', 'b'], undefined, {})).toMatchObject({ key: 'a', rangeEnd: 'b' });
    expect(watchOfArguments(['a', 'b', 'echo', 'a'], 2, {})).toEqual({
      key: 'a',
      rangeEnd: 'b',
      exec: ['echo', 'a'],
    });
    // The program may have the name of the key.
    expect(watchOfArguments(['a', 'a'], 1, {})).toMatchObject({ key: 'a', exec: ['a'] });
  });

  test('may come from the environment', () => {
    const env = { ETCDCTL_WATCH_KEY: 'é', ETCDCTL_WATCH_RANGE_END: 'z' };
    expect(watchOfArguments([], undefined, env)).toMatchObject({ key: '\xc3\xa9', rangeEnd: 'z' });
    expect(watchOfArguments(['echo'], 0, { ETCDCTL_WATCH_KEY: 'k' })).toEqual({
      key: 'k',
      rangeEnd: undefined,
      exec: ['echo'],
    });
  });

  test.each<[readonly string[], number | undefined, Record<string, string>, string]>([
    [[], undefined, {}, 'bad number of arguments'],
    [['a', 'b', 'c'], undefined, {}, 'bad number of arguments'],
    [['a'], 1, {}, 'bad number of arguments (found separator --, but no commands)'],
    [
      ['a'],
      undefined,
      { ETCDCTL_WATCH_KEY: 'k' },
      'bad number of arguments (found conflicting environment key)',
    ],
    [
      ['a', 'echo'],
      1,
      { ETCDCTL_WATCH_KEY: 'k' },
      'bad number of arguments (found conflicting environment key)',
    ],
    [
      ['a'],
      undefined,
      { ETCDCTL_WATCH_RANGE_END: 'z' },
      'ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END="z"',
    ],
  ])('%j %j %j are refused', (words, wordsBeforeDash, env, text) => {
    expect(() => watchOfArguments(words, wordsBeforeDash, env)).toThrow(
      expect.objectContaining({ code: 128, message: text }),
    );
  });
});
