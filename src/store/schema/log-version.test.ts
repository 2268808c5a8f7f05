import { expect, test } from 'vitest';
import { bytesFromUtf8, Slices } from '../../base/index.ts';
import { createSimEnv } from '../../env/sim/index.ts';
import { formatVersion } from '../../membership/index.ts';
import { etcdserverpb, type raftpb } from '../../protocol/index.ts';
import { minimalVersionOf } from './log-version.ts';

const { InternalRaftRequestCodec, RequestCodec } = etcdserverpb;
type Init = Parameters<typeof InternalRaftRequestCodec.create>[0];

function entry(data: Uint8Array, type = 0): raftpb.Entry {
  return { index: 1, term: 1, type, data };
}

function request(init: Init): raftpb.Entry {
  return entry(InternalRaftRequestCodec.encode(InternalRaftRequestCodec.create(init)));
}

async function versionOf(...entries: raftpb.Entry[]): Promise<string | undefined> {
  const env = createSimEnv({ seed: 1, autoRun: false });
  let version: string | undefined;
  await env.run(async () => {
    const found = await minimalVersionOf(entries, new Slices(env));
    version = found && formatVersion(found);
  });
  return version;
}

const key = bytesFromUtf8('k');
const header = etcdserverpb.RequestHeaderCodec.create({ id: 1n });
const put = (init: Parameters<typeof etcdserverpb.PutRequestCodec.create>[0]) =>
  request({ header, put: etcdserverpb.PutRequestCodec.create({ key, ...init }) });
const compare = (target: etcdserverpb.Compare['target'], rangeEnd: Uint8Array) =>
  request({
    header,
    txn: etcdserverpb.TxnRequestCodec.create({
      compare: [etcdserverpb.CompareCodec.create({ key, target, rangeEnd })],
    }),
  });
const range = (init: Parameters<typeof etcdserverpb.RangeRequestCodec.create>[0]) =>
  request({ header, range: etcdserverpb.RangeRequestCodec.create({ key, ...init }) });

test.each([
  ['nothing', [], undefined],
  ["a leader's first entry", [entry(new Uint8Array(0))], '3.0'],
  ['a put', [put({})], '3.0'],
  ['a put that gives the value before', [put({ prevKv: true })], '3.1'],
  ['a put that ignores the value', [put({ ignoreValue: true })], '3.2'],
  ['a range by revision', [range({ minModRevision: 1 })], '3.1'],
  ['a compare in a list', [compare(4, key)], '3.0'],
  ['a membership change', [entry(new Uint8Array(0), 1)], '3.0'],
  ['one of the second kind', [entry(new Uint8Array(0), 2)], '3.4'],
  [
    'a v2 request',
    [
      entry(
        RequestCodec.encode(
          RequestCodec.create({ method: 'PUT', path: '/0/version', val: '3.4.0' }),
        ),
      ),
    ],
    '3.0',
  ],
  ['a cluster version', [request({ header, clusterVersionSet: { ver: '3.6.0' } })], '3.5'],
  ['a downgrade', [request({ header, downgradeInfoSet: { enabled: true, ver: '3.6.0' } })], '3.5'],
  ['a version of a test', [request({ header, downgradeVersionTest: { ver: '3.9.0' } })], '3.9'],
  [
    'an older version of a test',
    [request({ header, downgradeVersionTest: { ver: '3.1' } })],
    '3.6',
  ],
  ['the newest of several', [put({}), put({ ignoreValue: true }), put({ prevKv: true })], '3.2'],
])('%s', async (_what, entries, version) => {
  expect(await versionOf(...entries)).toBe(version);
});

test('an entry that names no version is refused by its index', async () => {
  const odd = { ...request({ header, downgradeVersionTest: { ver: 'soon' } }), index: 77 };
  await expect(versionOf(odd)).rejects.toThrow('log entry 77 names the version "soon"');
});
