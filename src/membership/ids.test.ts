import { expect, test } from 'vitest';
import { compareUint64 } from '../base/index.ts';
import { bootstrapClusterId, bootstrapMembers } from './bootstrap.ts';
import { clusterIdFor, memberIdFor, parseId, sortedUrls } from './ids.ts';
import { formatId } from './member.ts';

test.each([
  ['http://127.0.0.1:12380', '8211f1d0f64f3269'],
  ['http://127.0.0.1:22380', '91bc3c398fb3c146'],
  ['http://127.0.0.1:32380', 'fd422379fda50e48'],
])('the id of %s in etcd-cluster-1', (url, hex) => {
  expect(formatId(memberIdFor({ peerURLs: [url], token: 'etcd-cluster-1' }))).toBe(hex);
});

test('the id of a cluster of one', () => {
  const member = memberIdFor({ peerURLs: ['https://localhost:20001'], token: 'new' });
  expect(clusterIdFor([member])).toBe(3801629817145504659n);
});

test('URLs and members count in sorted order only', () => {
  const urls = ['http://b:1', 'http://a:1', 'http://é:1', 'http://z:1'];
  expect(sortedUrls(urls)).toEqual(['http://a:1', 'http://b:1', 'http://z:1', 'http://é:1']);
  const id = (peerURLs: string[]) => memberIdFor({ peerURLs, token: 't' });
  expect(id(urls)).toBe(id([...urls].reverse()));
  expect(clusterIdFor([2n ** 63n, 1n])).toBe(clusterIdFor([1n, 2n ** 63n]));
  expect([3n, 2n ** 64n - 1n, 0n].sort(compareUint64)).toEqual([0n, 3n, 2n ** 64n - 1n]);
});

test('a member added at run time has its time in its id', () => {
  const input = { peerURLs: ['http://127.0.0.1:9'], token: '' };
  const at = (addedAtSeconds: number) => memberIdFor({ ...input, addedAtSeconds });
  expect(at(1)).not.toBe(at(2));
  expect(at(1)).not.toBe(memberIdFor(input));
});

test('a hexadecimal id is read whole or refused', () => {
  expect(parseId('ffffffffffffffff', 'x')).toBe(2n ** 64n - 1n);
  expect(parseId('0', 'x')).toBe(0n);
  for (const bad of ['', 'g', '0x1', '10000000000000000', '-1', ' 1']) {
    expect(() => parseId(bad, 'row')).toThrow(/row: .* is no member id/);
  }
});

test('the members of a new cluster', () => {
  const members = bootstrapMembers(
    [
      { name: 'infra1', peerURLs: ['http://127.0.0.1:12380'] },
      { name: 'infra3', peerURLs: ['http://127.0.0.1:32380'] },
      { name: 'infra2', peerURLs: ['http://127.0.0.1:22380'] },
    ],
    'etcd-cluster-1',
  );
  expect(members.map(({ name, id }) => `${name} ${formatId(id)}`)).toEqual([
    'infra1 8211f1d0f64f3269',
    'infra2 91bc3c398fb3c146',
    'infra3 fd422379fda50e48',
  ]);
  expect(bootstrapClusterId(members)).toBe(clusterIdFor(members.map(({ id }) => id)));
  expect(() =>
    bootstrapMembers(
      [
        { name: 'a', peerURLs: ['http://h:1'] },
        { name: 'b', peerURLs: ['http://h:1'] },
      ],
      't',
    ),
  ).toThrow('same id');
});
