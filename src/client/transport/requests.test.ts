import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareBytes } from '../../base/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { prefixEnd, rangeOf } from '../key-range.ts';
import { ClientWorld } from '../sim-etcd.fixture.ts';
import { parseEndpoint, parseEndpoints } from './endpoint.ts';
import { compare, op, rangeRequest } from './requests.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

describe('a range', () => {
  test('of a prefix holds what begins with it and nothing else', () => {
    const bytes = fc.uint8Array({ maxLength: 4, max: 255 });
    fc.assert(
      fc.property(bytes, bytes, (prefix, key) => {
        const { key: from, rangeEnd } = rangeOf(prefix, { prefix: true });
        const isOpen = rangeEnd.length === 1 && rangeEnd[0] === 0;
        const isIn = compareBytes(key, from) >= 0 && (isOpen || compareBytes(key, rangeEnd) < 0);
        const begins = compareBytes(key.subarray(0, prefix.length), prefix) === 0;
        // The empty key is no key.
        if (key.length > 0) expect(isIn).toBe(begins);
      }),
    );
    expect(text(prefixEnd(Uint8Array.of(0x61, 0xff, 0xff)))).toBe('b');
  });

  test('leaves the key of a prefix as it is, also where it is a Buffer', () => {
    const key = Buffer.from('a/');
    const range = rangeOf(key, { prefix: true });
    expect([text(range.key), text(range.rangeEnd), text(key)]).toEqual(['a/', 'a0', 'a/']);
  });

  test('is one key, all from one on, or up to an end; not two of them', () => {
    expect(text(rangeOf('a', {}).rangeEnd)).toBe('');
    expect(text(rangeOf('a', { fromKey: true }).rangeEnd)).toBe('\0');
    expect(text(rangeOf('a', { rangeEnd: 'c' }).rangeEnd)).toBe('c');
    expect(() => rangeOf('a', { fromKey: true, prefix: true })).toThrow('exclude each other');
  });
});

describe('a request', () => {
  test('has the order that was asked for', () => {
    const { NONE, ASCEND, DESCEND } = etcdserverpb.SortOrder;
    expect(rangeRequest('a', {}).sortOrder).toBe(NONE);
    expect(rangeRequest('a', { order: 'ascend' }).sortOrder).toBe(NONE);
    expect(rangeRequest('a', { order: 'descend' }).sortOrder).toBe(DESCEND);
    expect(rangeRequest('a', { sortBy: 'value' })).toMatchObject({
      sortOrder: ASCEND,
      sortTarget: etcdserverpb.SortTarget.VALUE,
    });
  });

  test('refuses numbers that are no revisions', () => {
    for (const revision of [1.5, Number.NaN, 2 ** 54]) {
      expect(() => rangeRequest('a', { revision })).toThrow('revision is not an integer');
    }
    expect(rangeRequest('a', { revision: 2 ** 53 }).revision).toBe(2 ** 53);
  });

  test('compares each target with a value of its type', () => {
    expect(compare('k', 'version', '=', 0).targetUnion).toEqual({ case: 'version', value: 0 });
    expect(compare('k', 'lease', '!=', 5n).targetUnion).toEqual({ case: 'lease', value: 5n });
    expect(text(compare('k', 'value', '<', 'v', { prefix: true }).rangeEnd)).toBe('l');
    expect(() => compare('k', 'version', '=', 'x' as unknown as number)).toThrow(
      'version is compared with a number, not a bytes',
    );
    expect(() => compare('k', 'version', '==' as '=', 1)).toThrow('operator of a comparison');
  });

  test('nests transactions', () => {
    const inner = op.txn({
      compare: [compare('a', 'version', '>', 0)],
      success: [op.delete('a')],
    });
    expect(inner.request).toMatchObject({
      case: 'requestTxn',
      value: { compare: [{}], success: [{}], failure: [] },
    });
  });
});

test('a transaction that is awaited without commit says so and sends nothing', async () => {
  const world = new ClientWorld();
  await world.run(async () => {
    const txn = world
      .client()
      .kv.txn()
      .if(compare('a', 'version', '=', 0));
    await expect(txn as unknown as Promise<void>).rejects.toThrow('sent by commit()');
  });
});

describe('an endpoint', () => {
  test.each([
    ['127.0.0.1:2379', '127.0.0.1:2379', undefined],
    ['localhost', 'localhost:2379', undefined],
    ['http://a.example:80', 'a.example:80', false],
    ['https://a.example:443/path', 'a.example:443', true],
    [' http://a.example ', 'a.example:2379', false],
    ['[::1]:2380', '[::1]:2380', undefined],
    ['https://[fe80::1%eth0]', '[fe80::1%eth0]:2379', true],
  ])('%s', (given, authority, secure) => {
    expect(parseEndpoint(given)).toMatchObject({ endpoint: { authority }, secure });
  });

  test('may be a Unix socket', () => {
    expect(parseEndpoint('unix:///run/etcd.sock').endpoint.path).toBe('/run/etcd.sock');
    expect(parseEndpoint('unix:etcd.sock').endpoint.path).toBe('etcd.sock');
    expect(parseEndpoint('unixs:///run/etcd.sock').secure).toBe(true);
  });

  test.each(['', 'a:b', 'a:0', 'a:70000', '::1:2379', 'a b:1', 'http://', 'unix://', 'ftp://a'])(
    'is not %j',
    (given) => {
      expect(() => parseEndpoint(given)).toThrow(JSON.stringify(given));
    },
  );

  test('may be a Unix socket, whose file names the server', () => {
    expect(parseEndpoint('unixs:///run/localhost:0').endpoint.host).toBe('localhost');
    expect(parseEndpoint('unixs:127.0.0.1').endpoint.host).toBe('127.0.0.1');
  });

  test.each(['https://root:secret@a:1', 'root:secret@a:1', 'http://root:secret@'])(
    'with a password in it is not shown: %s',
    (given) => {
      expect(() => parseEndpoint(given)).toThrow(/^endpoint ".*\*\*\*@/);
      expect(() => parseEndpoint(given)).not.toThrow('secret');
    },
  );

  test('is encrypted as it says, else like the others', () => {
    const schemes = (texts: string[], encrypts = false) =>
      parseEndpoints(texts, encrypts).map(({ scheme }) => scheme);
    expect(schemes(['a', 'unix:b'])).toEqual(['http', 'http']);
    expect(schemes(['a', 'unix:b'], true)).toEqual(['https', 'https']);
    expect(schemes(['https://a', 'b', 'http://c'])).toEqual(['https', 'https', 'http']);
    expect(schemes(['unixs:a', 'http://b'], true)).toEqual(['https', 'http']);
    expect(() => parseEndpoints([], false)).toThrow('no endpoints');
  });
});
