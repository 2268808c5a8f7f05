import { expect, test } from 'vitest';
import { PairMetadata } from '../../grpc/index.ts';
import { callerKey, callerMetadata, passedMetadata } from './passed-metadata.ts';

test('all that is not of the connection is passed on, in order, bytes as bytes', () => {
  const metadata = new PairMetadata([
    [':authority', 'proxy:1'],
    ['user-agent', 'somebody'],
    ['content-type', 'application/grpc'],
    ['grpc-accept-encoding', 'gzip'],
    ['token', 't'],
    ['x', '1'],
    ['x', '2'],
    ['y-bin', 'AP8'],
    ['y-bin', 'AQ=='],
    ['z-bin', '!'],
  ]);
  expect(passedMetadata(metadata)).toEqual({
    token: 't',
    x: ['1', '2'],
    'y-bin': [Uint8Array.of(0, 255), Uint8Array.of(1)],
  });
  expect(passedMetadata(new PairMetadata([['user-agent', 'somebody']]))).toBeUndefined();
});

test('who may share a stream is said by token and demand for a leader, and by nothing else', () => {
  const of = (...pairs: [string, string][]) => callerKey(new PairMetadata(pairs));
  expect(of(['token', 'a'], ['x', '1'])).toBe(of(['x', '2'], ['token', 'a']));
  const keys = [of(), of(['token', 'a']), of(['authorization', 'a']), of(['hasleader', 'true'])];
  expect(new Set(keys).size).toBe(4);
  expect(
    callerMetadata(
      new PairMetadata([
        ['token', 'a'],
        ['x', '1'],
      ]),
    ),
  ).toEqual({ token: 'a' });
  expect(() => callerMetadata(new PairMetadata([['token', '\xff']]))).toThrow('token');
});
