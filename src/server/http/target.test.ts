import { expect, test } from 'vitest';
import { cleanPath, parseTarget } from './target.ts';

test.each([
  ['/health', '/health', ''],
  ['/%68ealth?a=b&c', '/health', '?a=b&c'],
  ['http://host:1/livez?verbose', '/livez', '?verbose'],
  ['//health', '//health', ''],
  ['/%ff', '/%ff', ''],
  ['*', '*', ''],
])('%s', (target, path, search) => {
  expect(parseTarget(target)).toMatchObject({ path, search });
});

test('an escape that stands for nothing', () => {
  expect(parseTarget('/%zz')).toBeUndefined();
  expect(parseTarget('/%4')).toBeUndefined();
  expect(parseTarget('/a?b=%zz')?.query.get('b')).toBe('%zz');
});

test.each([
  ['/health', undefined],
  ['/', undefined],
  ['/livez/', undefined],
  ['//health', '/health'],
  ['/a/.././livez/', '/livez/'],
  ['/health/.', '/health'],
  ['/..', '/'],
  ['', '/'],
])('%s is redirected to %s', (path, clean) => {
  expect(cleanPath(path)).toBe(clean);
});
