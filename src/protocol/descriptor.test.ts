import { expect, test } from 'vitest';
import { etcdserverpb, type ServiceDescriptor, v3electionpb, v3lockpb } from './index.ts';
import { testWithReference } from './reference.fixture.ts';

interface Storage {
  readonly raft_messages: {
    readonly entry_payload: {
      readonly fields: readonly { field: string; number: number; min_version: string }[];
    };
  };
}

interface Http {
  readonly client_port: {
    readonly gateway: {
      readonly paths: readonly { path: string; rpc: string; request: string; response: string }[];
    };
  };
}

testWithReference<Storage>('what an entry can carry, and since when', 'storage.json', (storage) => {
  const { descriptor } = etcdserverpb.InternalRaftRequestCodec;
  const { fields } = storage.raft_messages.entry_payload;
  for (const { field, number, min_version: since } of fields) {
    const own = descriptor.fieldByNumber(number);
    expect([own?.name, own?.since ?? descriptor.since]).toEqual([field, since]);
  }
  const numbers = new Set(fields.map(({ number }) => number));
  expect(
    descriptor.fields.filter(({ number }) => !numbers.has(number)).map(({ name }) => name),
  ).toEqual(['v2']);
});

const services: readonly ServiceDescriptor[] = [
  etcdserverpb.AuthService,
  etcdserverpb.ClusterService,
  etcdserverpb.KVService,
  etcdserverpb.LeaseService,
  etcdserverpb.MaintenanceService,
  etcdserverpb.WatchService,
  v3electionpb.ElectionService,
  v3lockpb.LockService,
];

testWithReference<Http>('the paths of the gateway', 'http.json', (http) => {
  const own = services.flatMap(({ methods }) =>
    Object.values(methods).flatMap((method) =>
      method.httpPosts.map((path) => [
        path,
        method.path,
        method.request.name,
        method.response.name,
      ]),
    ),
  );
  const theirs = http.client_port.gateway.paths.map((row) => [
    row.path,
    row.rpc,
    row.request,
    row.response,
  ]);
  expect(own.sort()).toEqual(theirs.sort());
});

test('descriptors tell which release first understood an enum or one of its values', () => {
  const target = etcdserverpb.CompareCodec.descriptor.fieldByNumber(2)?.enum;
  expect(target?.since).toBe('3.0');
  expect(target?.sinceOf(etcdserverpb.CompareTarget.LEASE)).toBe('3.3');
  expect(target?.sinceOf(etcdserverpb.CompareTarget.MOD)).toBeUndefined();
  expect(target?.nameOf(4)).toBe('LEASE');
  expect(target?.numberOf('LEASE')).toBe(4);
});
