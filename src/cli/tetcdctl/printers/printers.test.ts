// Forms and texts as etcdctl 3.7 prints them.

import { describe, expect, test } from 'vitest';
import { authpb, etcdserverpb, KeyValue, mvccpb, Permission } from '../../../client/index.ts';
import { MemoryIo } from '../../shell/memory-io.fixture.ts';
import { makePrinter } from './index.ts';
import type { Printer } from './printer.ts';

const header = etcdserverpb.ResponseHeaderCodec.create({
  clusterId: 6001611773266757492n,
  memberId: 13049071153751544597n,
  revision: 9,
  raftTerm: 2,
});

const status = etcdserverpb.StatusResponseCodec.create({
  header,
  version: '3.7.1',
  storageVersion: '3.7.0',
  dbSize: 20_480,
  dbSizeInUse: 16_384,
  dbSizeQuota: 2_147_483_648,
  leader: header.memberId,
  raftIndex: 8,
  raftTerm: 2,
  raftAppliedIndex: 8,
  downgradeInfo: etcdserverpb.DowngradeInfoCodec.create(),
});

const members = etcdserverpb.MemberListResponseCodec.create({
  header: { ...header, revision: 0 },
  members: [
    etcdserverpb.MemberCodec.create({
      id: header.memberId,
      name: 'default',
      peerURLs: ['http://h:2380'],
      clientURLs: ['http://h:2379'],
    }),
    etcdserverpb.MemberCodec.create({
      id: 1n,
      peerURLs: ['http://a', 'http://b'],
      isLearner: true,
    }),
  ],
});

function printing(form: string, hex = false) {
  const io = new MemoryIo();
  return { io, print: (print: (printer: Printer) => void) => print(makePrinter(io, form, hex)) };
}

function printed(form: string, print: (printer: Printer) => void, hex = false): string {
  const printer = printing(form, hex);
  printer.print(print);
  return printer.io.outText + printer.io.errText;
}

describe('the state of an endpoint', () => {
  const print = (printer: Printer): void =>
    printer.endpointStatus([{ endpoint: '127.0.0.1:2379', status }]);

  test('as a line', () => {
    expect(printed('simple', print)).toBe(
      '127.0.0.1:2379, b5179d13d0285315, 3.7.1, 3.7.0, 20 kB, 16 kB, 20%, 2.1 GB, true, false, 2, 8, 8, , , false\n',
    );
  });

  test('as JSON', () => {
    expect(printed('json', print)).toBe(
      '[{"Endpoint":"127.0.0.1:2379","Status":{"header":{"cluster_id":6001611773266757492,"member_id":13049071153751544597,"revision":9,"raft_term":2},"version":"3.7.1","dbSize":20480,"leader":13049071153751544597,"raftIndex":8,"raftTerm":2,"raftAppliedIndex":8,"dbSizeInUse":16384,"storageVersion":"3.7.0","dbSizeQuota":2147483648,"downgradeInfo":{}}}]\n',
    );
  });

  test('that says nothing has no percentage of nothing', () => {
    const empty = etcdserverpb.StatusResponseCodec.create();
    const text = printed('simple', (printer) =>
      printer.endpointStatus([{ endpoint: 'e', status: empty }]),
    );
    expect(text).toBe('e, 0, , , 0 B, 0 B, 0%, 0 B, true, false, 0, 0, 0, , , false\n');
  });
});

describe('members', () => {
  test('as a table', () => {
    expect(printed('table', (printer) => printer.memberList(members))).toBe(
      `
┌──────────────────┬───────────┬─────────┬───────────────────┬───────────────┬────────────┐
│        ID        │  STATUS   │  NAME   │    PEER ADDRS     │ CLIENT ADDRS  │ IS LEARNER │
├──────────────────┼───────────┼─────────┼───────────────────┼───────────────┼────────────┤
│ b5179d13d0285315 │   started │ default │     http://h:2380 │ http://h:2379 │      false │
│                1 │ unstarted │         │ http://a,http://b │               │       true │
└──────────────────┴───────────┴─────────┴───────────────────┴───────────────┴────────────┘
`.slice(1),
    );
  });

  test('as lines, and as JSON with hexadecimal ids', () => {
    expect(printed('simple', (printer) => printer.memberList(members))).toBe(
      'b5179d13d0285315, started, default, http://h:2380, http://h:2379, false\n' +
        '1, unstarted, , http://a,http://b, , true\n',
    );
    expect(printed('json', (printer) => printer.memberList(members), true)).toBe(
      '{"header":{"cluster_id":"534a021c215e0774","member_id":"b5179d13d0285315","raft_term":2},"members":[{"ID":"b5179d13d0285315","name":"default","peerURLs":["http://h:2380"],"clientURLs":["http://h:2379"]},{"ID":"1","peerURLs":["http://a","http://b"],"isLearner":true}]}\n',
    );
  });

  test('none, as a table', () => {
    expect(printed('table', (printer) => printer.endpointHashKv([]))).toBe(
      '┌──────────┬──────┬───────────────┐\n│ ENDPOINT │ HASH │ HASH REVISION │\n└──────────┴──────┴───────────────┘\n',
    );
  });
});

describe('a watch', () => {
  const kv = (fields: mvccpb.KeyValueInit): KeyValue =>
    new KeyValue(mvccpb.KeyValueCodec.create({ key: Buffer.from('a'), ...fields }));
  const response = {
    header,
    events: [
      {
        type: 'put' as const,
        kv: kv({ createRevision: 8, modRevision: 9, version: 2, value: Buffer.from('2') }),
        prevKv: kv({ createRevision: 8, modRevision: 8, version: 1, value: Buffer.from('1') }),
      },
      { type: 'delete' as const, kv: kv({ modRevision: 9 }), prevKv: undefined },
    ],
    isProgress: false,
    fragment: false,
  };

  test('as text and as JSON', () => {
    expect(printed('simple', (printer) => printer.watch({ response }))).toBe(
      'PUT\na\n1\na\n2\nDELETE\na\n\n',
    );
    expect(printed('json', (printer) => printer.watch({ response }))).toBe(
      '{"Header":{"cluster_id":6001611773266757492,"member_id":13049071153751544597,"revision":9,"raft_term":2},"Events":[{"kv":{"key":"YQ==","create_revision":8,"mod_revision":9,"version":2,"value":"Mg=="},"prev_kv":{"key":"YQ==","create_revision":8,"mod_revision":8,"version":1,"value":"MQ=="}},{"type":1,"kv":{"key":"YQ==","mod_revision":9}}],"CompactRevision":0,"Canceled":false,"Created":false,"CancelReason":""}\n',
    );
  });

  test('that was cancelled', () => {
    const cancellation = etcdserverpb.WatchResponseCodec.create({
      header: { ...header, revision: 0 },
      canceled: true,
      compactRevision: 3,
    });
    expect(printed('json', (printer) => printer.watch({ cancellation }))).toBe(
      '{"Header":{"cluster_id":6001611773266757492,"member_id":13049071153751544597,"raft_term":2},"Events":null,"CompactRevision":3,"Canceled":true,"Created":false,"CancelReason":""}\n',
    );
  });
});

describe('a change of membership', () => {
  const member = etcdserverpb.MemberCodec.create({
    id: 0xabcn,
    peerURLs: ['http://b:1'],
    isLearner: true,
  });
  const other = etcdserverpb.MemberCodec.create({
    id: 1n,
    name: 'a',
    peerURLs: ['http://a:1'],
    clientURLs: ['http://a:2'],
  });
  const response = etcdserverpb.MemberAddResponseCodec.create({
    header: { ...header, revision: 0 },
    member,
    members: [other, member],
  });

  test('as text, with ids in columns of sixteen', () => {
    const clusterId = header.clusterId.toString(16);
    const cluster = (id: bigint) => ({ header: { ...header, clusterId: id }, members: [] });
    expect(printed('simple', (printer) => printer.memberAdd(response))).toBe(
      `Member              abc added as learner to cluster ${clusterId}\n`,
    );
    expect(printed('simple', (printer) => printer.memberRemove(1n, cluster(0x12n)))).toBe(
      'Member                1 removed from cluster               12\n',
    );
    expect(printed('simple', (printer) => printer.memberUpdate(1n, cluster(2n)))).toBe(
      'Member                1 updated in cluster                2\n',
    );
    expect(printed('simple', (printer) => printer.memberPromote(2n ** 64n - 1n, cluster(2n)))).toBe(
      'Member ffffffffffffffff promoted in cluster                2\n',
    );
  });

  test('as JSON, with ids in hexadecimal if asked for', () => {
    expect(printed('json', (printer) => printer.memberAdd(response))).toBe(
      '{"header":{"cluster_id":6001611773266757492,"member_id":13049071153751544597,"raft_term":2},"member":{"ID":2748,"peerURLs":["http://b:1"],"isLearner":true},"members":[{"ID":1,"name":"a","peerURLs":["http://a:1"],"clientURLs":["http://a:2"]},{"ID":2748,"peerURLs":["http://b:1"],"isLearner":true}]}\n',
    );
    expect(printed('json', (printer) => printer.memberAdd(response), true)).toBe(
      '{"header":{"cluster_id":"534a021c215e0774","member_id":"b5179d13d0285315","raft_term":2},"member":{"ID":"abc","peerURLs":["http://b:1"],"isLearner":true},"members":[{"ID":"1","name":"a","peerURLs":["http://a:1"],"clientURLs":["http://a:2"]},{"ID":"abc","peerURLs":["http://b:1"],"isLearner":true}]}\n',
    );
  });

  test('not as fields or as a table', () => {
    for (const form of ['fields', 'table']) {
      const text = `${form} not supported as output format`;
      const refused = expect.objectContaining({ code: 4, message: text });
      expect(() => printed(form, (printer) => printer.memberAdd(response))).toThrow(refused);
      const moved = etcdserverpb.MoveLeaderResponseCodec.create();
      expect(() => printed(form, (printer) => printer.moveLeader(1n, 2n, moved))).toThrow(refused);
      const downgrade = etcdserverpb.DowngradeResponseCodec.create();
      expect(() => printed(form, (printer) => printer.downgrade('enable', downgrade))).toThrow(
        refused,
      );
    }
  });
});

test('downgrades', () => {
  const response = etcdserverpb.DowngradeResponseCodec.create({ header, version: '3.7' });
  expect(printed('simple', (printer) => printer.downgrade('cancel', response))).toBe(
    'Downgrade cancel success, cluster version 3.7\n',
  );
  expect(printed('json', (printer) => printer.downgrade('enable', response))).toMatch(
    /^\{"header":\{.*\},"version":"3\.7"\}\n$/,
  );
});

test('alarms', () => {
  const response = etcdserverpb.AlarmResponseCodec.create({
    header,
    alarms: [{ memberID: header.memberId, alarm: etcdserverpb.AlarmType.NOSPACE }],
  });
  expect(printed('simple', (printer) => printer.alarm(response))).toBe(
    'memberID:13049071153751544597 alarm:NOSPACE\n',
  );
  expect(printed('fields', (printer) => printer.alarm(response))).toContain(
    '"MemberID" : 13049071153751544597\n"AlarmType" : NOSPACE\n\n',
  );
});

test('a form that cannot print something says so', () => {
  const text = 'protobuf not supported as output format';
  expect(() => printed('protobuf', (printer) => printer.endpointHealth([]))).toThrow(
    expect.objectContaining({ code: 4, message: text }),
  );
});

describe('a role', () => {
  const permission = (permType: number, key: string, rangeEnd = ''): Permission =>
    new Permission({ permType, key: Buffer.from(key), rangeEnd: Buffer.from(rangeEnd) });
  const result = {
    header,
    permissions: [
      permission(authpb.Type.READ, 'a'),
      permission(authpb.Type.READWRITE, 'b/', 'b0'),
      permission(authpb.Type.WRITE, 'c', 'x'),
      permission(authpb.Type.READ, '\0', '\0'),
    ],
  };

  test('as text and as fields', () => {
    expect(printed('simple', (printer) => printer.roleGet('r', result))).toBe(
      'Role r\nKV Read:\n\ta\n\t[b/, b0) (prefix b/)\n\t[\0, <open ended>\nKV Write:\n\t[b/, b0) (prefix b/)\n\t[c, x)\n',
    );
    expect(printed('fields', (printer) => printer.roleGet('r', result))).toContain(
      '"PermType" :  READWRITE\n"Key" : "b/"\n"RangeEnd" : "b0"\n',
    );
  });

  test('that may do everything', () => {
    const nothing = { header, permissions: [] };
    expect(printed('simple', (printer) => printer.roleGet('root', nothing))).toBe(
      'Role root\nKV Read:\n\t[, <open ended>\nKV Write:\n\t[, <open ended>\n',
    );
    expect(printed('simple', (printer) => printer.roleGet('r', nothing))).toBe(
      'Role r\nKV Read:\nKV Write:\n',
    );
  });

  test('with a name of any bytes', () => {
    const { io, print } = printing('simple');
    print((printer) => printer.authChange('Role \xff created', header));
    expect(io.outBytes).toEqual(Buffer.from('Role \xff created\n', 'latin1'));
  });

  test('is no table, and a user no fields', () => {
    const refuse = (form: string, print: (printer: Printer) => void): void =>
      expect(() => printed(form, print)).toThrow(`${form} not supported as output format`);
    refuse('table', (printer) => printer.roleGet('r', result));
    refuse('table', (printer) => printer.authChange('', header));
    refuse('fields', (printer) => printer.userGet('u', { header, roles: [] }));
    refuse('fields', (printer) => printer.userList({ header, users: [] }));
    refuse('fields', (printer) => printer.authStatus({ header, enabled: false, authRevision: 1 }));
  });
});
