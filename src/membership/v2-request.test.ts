import { expect, test } from 'vitest';
import { hasCode } from '../base/index.ts';
import { etcdserverpb } from '../protocol/index.ts';
import {
  checkMaxClusterVersion,
  describeProposal,
  proposeAttributes,
  proposeVersion,
  targetVersion,
  writtenForms,
} from './dialect.ts';
import { encodeV2Put, meaningOfV2Request, v2RequestIn } from './v2-request.ts';
import type { ClusterVersion } from './version.ts';

const { RequestCodec, InternalRaftRequestCodec } = etcdserverpb;
const request = (part: etcdserverpb.RequestInit) => RequestCodec.create(part);
const V34: ClusterVersion = { major: 3, minor: 4 };
const V35: ClusterVersion = { major: 3, minor: 5 };
const V37: ClusterVersion = { major: 3, minor: 7 };
const attributes = { name: 'n1', clientURLs: ['http://127.0.0.1:2379'] };

test('the two kinds of PUT that releases log', () => {
  const val = '{"name":"n1","clientURLs":["http://127.0.0.1:2379"]}';
  const path = '/0/members/8e9e05c52164694d/attributes';
  expect(meaningOfV2Request(request({ method: 'PUT', path, val }))).toEqual({
    kind: 'attributes',
    id: 0x8e9e05c52164694dn,
    attributes,
  });
  const version = request({ method: 'PUT', path: '/0/version', val: '3.4.0' });
  expect(meaningOfV2Request(version)).toEqual({ kind: 'version', version: V34 });
});

test('what reads, or clears what cannot be there, does nothing', () => {
  for (const method of ['QGET', 'SYNC']) {
    expect(meaningOfV2Request(request({ method }))).toEqual({ kind: 'nothing' });
  }
});

test.each([
  [{ method: 'PUT', path: '/1/foo', val: 'bar' }],
  [{ method: 'POST', path: '/1/queue', val: 'x' }],
  [{ method: 'DELETE', path: '/0/members/1' }],
  [{ method: 'PUT', path: '/0/members/1/raftAttributes', val: '{}' }],
  [{ method: 'PUT', path: '/0/members/1/attributes/x', val: '{}' }],
  [{ method: 'PUT', path: '/0/version', val: '3.4.0', prevExist: false }],
  [{ method: 'PUT', path: '/0/version', val: '3.4.0', prevValue: '3.3.0' }],
  [{ method: 'PUT', path: '/0/version', val: '3.4.0', prevIndex: 7 }],
  [{ method: 'PUT', path: '/0/version', dir: true }],
  [{ method: '' }],
])('%j is refused by method and path', (part) => {
  const { method = '', path = '' } = part as etcdserverpb.RequestInit;
  expect(() => meaningOfV2Request(request(part))).toThrow(`v2 request (${method} ${path})`);
});

test('a value that does not fit its path is refused', () => {
  const put = (path: string, val: string) => () =>
    meaningOfV2Request(request({ method: 'PUT', path, val }));
  expect(put('/0/version', '3')).toThrow('v2 PUT of /0/version: "3" is no MAJOR.MINOR.PATCH');
  expect(put('/0/members/1/attributes', '{')).toThrow('v2 PUT of /0/members/1/attributes: JSON');
});

test('a request is found bare and wrapped, and nowhere else', () => {
  const bare = encodeV2Put({ method: 'PUT', path: '/0/version', val: '3.4.0' }, 2n ** 63n + 5n);
  expect(v2RequestIn(bare)).toMatchObject({ id: 2n ** 63n + 5n, method: 'PUT', val: '3.4.0' });
  const empty = encodeV2Put({ method: 'PUT', path: '', val: '' }, 0n);
  expect(v2RequestIn(empty)).toMatchObject({ id: 0n, method: 'PUT' });
  const long = request({ method: 'PUT', path: '/1/x', val: 'v'.repeat(20_000) });
  for (const header of [undefined, { id: 77n }]) {
    const wrapped = InternalRaftRequestCodec.create({
      v2: long,
      ...(header && { header: etcdserverpb.RequestHeaderCodec.create(header) }),
    });
    expect(v2RequestIn(InternalRaftRequestCodec.encode(wrapped))?.val).toHaveLength(20_000);
    const withId = InternalRaftRequestCodec.encode({ ...wrapped, id: 9n });
    expect(v2RequestIn(withId)?.path).toBe('/1/x');
  }
  const put = etcdserverpb.PutRequestCodec.create({ key: new Uint8Array([1]) });
  const v3 = InternalRaftRequestCodec.create({ id: 3n, put });
  expect(v2RequestIn(InternalRaftRequestCodec.encode(v3))).toBeUndefined();
  expect(v2RequestIn(InternalRaftRequestCodec.encode({ ...v3, id: 0n }))).toBeUndefined();
  expect(v2RequestIn(new Uint8Array(0))).toBeUndefined();
  // Field 2 beside a put: etcd 3.7 knows the put alone.
  expect(v2RequestIn(Uint8Array.of(0x12, 0, 0x22, 3, 0x0a, 1, 0x6b))).toBeUndefined();
});

test('a cut payload gives a request cut between fields, or MALFORMED', () => {
  const bare = encodeV2Put({ method: 'PUT', path: '/0/version', val: '3.4.0' }, 300n);
  for (let length = 1; length < bare.length; length++) {
    try {
      v2RequestIn(bare.slice(0, length));
    } catch (error) {
      expect(hasCode(error, 'MALFORMED')).toBe(true);
    }
  }
});

test('bytes are those that etcd 3.4 logs', () => {
  const bytes = encodeV2Put({ method: 'PUT', path: '/0/version', val: '3.4.0' }, 1n);
  expect(Buffer.from(bytes).toString('hex')).toBe(
    '0801' +
      '1203505554' +
      '1a0a2f302f76657273696f6e' +
      '2205332e342e30' +
      '28003200' +
      '3800' +
      '480050005800600068007000' +
      '78008001' +
      '00',
  );
});

test('the form follows the version of the cluster', () => {
  expect(writtenForms(V34)).toEqual({
    requestsFrom1300: false,
    metaTermAndConfState: false,
    authRequestsFrom35: false,
  });
  expect(writtenForms(V35)).toMatchObject({ requestsFrom1300: true });
  expect(writtenForms(V35)).toMatchObject({ authRequestsFrom35: true });
  expect(writtenForms(V37)).toMatchObject({ metaTermAndConfState: true });
  expect(proposeAttributes(V34, 10n, attributes)).toEqual({
    form: 'v2',
    request: {
      method: 'PUT',
      path: '/0/members/a/attributes',
      val: '{"name":"n1","clientURLs":["http://127.0.0.1:2379"]}',
    },
  });
  expect(proposeAttributes(V35, 10n, attributes)).toEqual({
    form: 'clusterMemberAttrSet',
    memberID: 10n,
    ...attributes,
  });
  // Raising the version is still said in the old form.
  expect(describeProposal(proposeVersion(V34, V37))).toBe('PUT /0/version');
  expect(proposeVersion(V35, V37)).toEqual({ form: 'clusterVersionSet', ver: '3.7.0' });
  expect(describeProposal(proposeVersion(V35, V37))).toBe('cluster version 3.7.0');
  expect(describeProposal(proposeAttributes(V37, 10n, attributes))).toBe('attributes of a');
});

test('a directory already past the held version is refused, naming both', () => {
  expect(targetVersion(undefined)).toEqual(V37);
  expect(targetVersion(V34)).toEqual(V34);
  for (const [present, max] of [
    [undefined, V34],
    [V37, undefined],
    [V34, V34],
    [V34, V35],
  ] as const) {
    checkMaxClusterVersion(present, max);
  }
  expect(() => checkMaxClusterVersion(V37, V34)).toThrow(
    '--max-cluster-version 3.4 cannot hold this data directory: its cluster version is already 3.7',
  );
});
