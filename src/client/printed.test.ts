// Results in JSON and on the console.

import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { etcdserverpb, KeyValue } from './index.ts';
import { printed, printedDeep } from './printed.ts';
import { getResultOf, txnResultOf } from './results.ts';
import { ClientWorld } from './sim-etcd.fixture.ts';

const FIELDS = { createRevision: 2, modRevision: 3, version: 2, lease: 0x694d5765fc71500bn };
const TEXT = new KeyValue({
  key: Buffer.from('grüße'),
  value: Buffer.from('\ufeffa\n'),
  ...FIELDS,
});
const BINARY = new KeyValue({ key: Buffer.from([0xff, 0]), value: new Uint8Array(0), ...FIELDS });

test('bytes are text where they are, ids are hexadecimal', () => {
  expect(JSON.parse(JSON.stringify([TEXT, BINARY]))).toEqual([
    {
      key: 'grüße',
      value: '\ufeffa\n',
      createRevision: 2,
      modRevision: 3,
      version: 2,
      lease: '694d5765fc71500b',
    },
    {
      key: { base64: '/wA=' },
      value: '',
      createRevision: 2,
      modRevision: 3,
      version: 2,
      lease: '694d5765fc71500b',
    },
  ]);
  const shown = inspect(TEXT);
  expect(shown).toContain("key: 'grüße'");
  expect(shown).toContain("lease: '694d5765fc71500b'");
  expect(inspect(BINARY)).toContain("key: { base64: '/wA=' }");
  // The fields themselves are what they were.
  expect(TEXT.key).toEqual(Buffer.from('grüße'));
  expect({ ...TEXT }).toMatchObject({ lease: 0x694d5765fc71500bn });
});

test('what a result holds can be printed by itself too', () => {
  const header = { clusterId: 2n ** 64n - 1n, memberId: 5n, revision: 7, raftTerm: 2 };
  const kvs = [{ key: Buffer.from('a'), value: Buffer.from('b'), ...FIELDS }];
  const range = etcdserverpb.RangeResponseCodec.create({ header, kvs, count: 1 });
  const result = getResultOf(range);
  expect(JSON.parse(JSON.stringify(result))).toMatchObject({
    header: { clusterId: 'ffffffffffffffff', memberId: '5', revision: 7 },
    kv: { key: 'a', value: 'b' },
    kvs: [{ key: 'a' }],
    count: 1,
    more: false,
  });
  expect(JSON.stringify(result.header)).toBe(
    '{"clusterId":"ffffffffffffffff","memberId":"5","revision":7,"raftTerm":2}',
  );
  expect(inspect(result.header)).toContain("clusterId: 'ffffffffffffffff'");
  const txn = txnResultOf(
    etcdserverpb.TxnResponseCodec.create({
      header,
      succeeded: true,
      responses: [{ response: { case: 'responseRange', value: range } }],
    }),
  );
  expect(JSON.parse(JSON.stringify(txn))).toMatchObject({
    succeeded: true,
    responses: [{ type: 'get', kvs: [{ key: 'a' }] }],
  });
  expect(JSON.stringify(txn.responses[0])).toContain('"type":"get"');
});

test('every method’s result', async () => {
  const world = new ClientWorld();
  await world.run(async () => {
    world.etcd.members = [{ id: 0xabcn, name: 'm', peerURLs: ['http://m:1'] }];
    const client = world.client();
    const { lease } = client;
    const { id } = await lease.grant(9);
    const watch = client.watch('k', { startRevision: 1 });
    await client.kv.put('k', 'v');
    const { value: response } = await watch.responses().next();
    const keeper = lease.keepAlive(id);
    const kept = (await keeper.next()).value!;
    const members = await client.cluster.memberList();
    const results = [
      await client.kv.put('k', 'v'),
      await client.kv.get('k'),
      await lease.grant(9),
      kept,
      await lease.revoke(id),
      members,
      members.members[0],
      await client.maintenance.status(),
      await client.call(etcdserverpb.KVService.methods.range, { key: Buffer.from('k') }),
      response,
      response!.events[0],
    ];
    for (const result of results) {
      expect(JSON.parse(JSON.stringify(result))).toEqual(expect.any(Object));
      expect(inspect(result, { depth: 9 })).not.toMatch(/Uint8Array|Buffer|\dn\b/);
    }
    expect(JSON.parse(JSON.stringify(members)).members).toMatchObject([{ id: 'abc', name: 'm' }]);
    expect(inspect(response!.events[0])).toContain("key: 'k'");
  });
});

test('a message in a message', () => {
  const message = printedDeep({ a: [{ id: 16n }], b: { bytes: Uint8Array.of(97) }, c: undefined });
  expect(JSON.stringify(message)).toBe('{"a":[{"id":"10"}],"b":{"bytes":"a"}}');
  expect(JSON.stringify(message.a[0])).toBe('{"id":"10"}');
  expect(JSON.stringify(message.b)).toBe('{"bytes":"a"}');
  expect(JSON.stringify(printed({ negative: -1n }))).toBe('{"negative":"-1"}');
});
