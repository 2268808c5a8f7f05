import { describe, expect, test } from 'vitest';
import { bytesFromLatin1 } from '../base/index.ts';
import { etcdserverpb } from '../protocol/index.ts';
import { AuthRig, READ, READWRITE, WRITE } from './auth-state.fixture.ts';
import { LeaseAccess, type LeaseKeys } from './lease-access.ts';
import { deleteRefusal, putRefusal, rangeRefusal, txnRefusal } from './request-access.ts';

const {
  CompareCodec,
  DeleteRangeRequestCodec,
  PutRequestCodec,
  RangeRequestCodec,
  RequestOpCodec,
  TxnRequestCodec,
} = etcdserverpb;

type Op = etcdserverpb.RequestOp;

const bytes = bytesFromLatin1;

function put(key: string, more: etcdserverpb.PutRequestInit = {}): etcdserverpb.PutRequest {
  return PutRequestCodec.create({ key: bytes(key), ...more });
}

function deletion(key: string, end = '', prevKv = false): etcdserverpb.DeleteRangeRequest {
  return DeleteRangeRequestCodec.create({ key: bytes(key), rangeEnd: bytes(end), prevKv });
}

function range(key: string, end = ''): etcdserverpb.RangeRequest {
  return RangeRequestCodec.create({ key: bytes(key), rangeEnd: bytes(end) });
}

const op = {
  put: (...args: Parameters<typeof put>): Op =>
    RequestOpCodec.create({ request: { case: 'requestPut', value: put(...args) } }),
  delete: (...args: Parameters<typeof deletion>): Op =>
    RequestOpCodec.create({ request: { case: 'requestDeleteRange', value: deletion(...args) } }),
  range: (...args: Parameters<typeof range>): Op =>
    RequestOpCodec.create({ request: { case: 'requestRange', value: range(...args) } }),
  txn: (value: etcdserverpb.TxnRequest): Op =>
    RequestOpCodec.create({ request: { case: 'requestTxn', value } }),
  none: RequestOpCodec.create(),
};

function compare(key: string, end = ''): etcdserverpb.Compare {
  return CompareCodec.create({ key: bytes(key), rangeEnd: bytes(end) });
}

function txn(
  success: Op[],
  failure: Op[] = [],
  compares: etcdserverpb.Compare[] = [],
): etcdserverpb.TxnRequest {
  return TxnRequestCodec.create({ compare: compares, success, failure });
}

const rig = new AuthRig().secure();
rig.addRole('role');
rig.grant('role', READ, 'r', 'r\xff');
rig.grant('role', WRITE, 'w', 'w\xff');
rig.grant('role', READWRITE, 'b', 'b\xff');
rig.addUser('user');
rig.grantRole('user', 'role');
const access = rig.state.accessOf(rig.as('user'));
const DENIED = 'PERMISSION_DENIED';

test('a put writes its key, and reads it if it asks for the previous value', () => {
  expect(putRefusal(access, put('w'))).toBeUndefined();
  expect(putRefusal(access, put('r'))).toBe(DENIED);
  expect(putRefusal(access, put('w', { prevKv: true }))).toBe(DENIED);
  expect(putRefusal(access, put('b', { prevKv: true }))).toBeUndefined();
});

test('a deletion writes its range, and reads it if it asks for the previous values', () => {
  expect(deleteRefusal(access, deletion('w', 'w\xff'))).toBeUndefined();
  expect(deleteRefusal(access, deletion('w', 'x'))).toBe(DENIED);
  expect(deleteRefusal(access, deletion('w', '\0'))).toBe(DENIED);
  expect(deleteRefusal(access, deletion('w', 'w\xff', true))).toBe(DENIED);
  expect(deleteRefusal(access, deletion('b', 'b\xff', true))).toBeUndefined();
});

test('a range is taken exactly as it was sent', () => {
  expect(rangeRefusal(access, range('r'))).toBeUndefined();
  expect(rangeRefusal(access, range('r', '\0'))).toBe(DENIED);
  expect(rangeRefusal(access, range('r', 'r\xff'))).toBeUndefined();
});

describe('GHSA-rfx7-8w68-q57q, CVE-2026-33343: a transaction', () => {
  const allowed = [op.put('w'), op.delete('w', 'w5'), op.range('r', 'r5'), op.none];
  const refused: [string, Op][] = [
    ['a put', op.put('r')],
    ['a put that reads', op.put('w', { prevKv: true })],
    ['a deletion', op.delete('r')],
    ['a deletion that reads', op.delete('w', '', true)],
    ['a range', op.range('w')],
  ];

  test('is permitted if all of it is', () => {
    const inner = txn(allowed, allowed, [compare('r'), compare('b', 'b5')]);
    const all = [...allowed, op.txn(inner)];
    expect(txnRefusal(access, txn(all, all, [compare('r', 'r5')]), [])).toBeUndefined();
  });

  test.each(refused)('is not permitted with %s, wherever it stands', (_, wrong) => {
    const forms = [
      txn([...allowed, wrong]),
      txn(allowed, [...allowed, wrong]),
      txn([op.txn(txn([wrong]))]),
      txn([], [op.txn(txn([], [wrong]))]),
      txn([op.txn(txn([op.txn(txn([], [op.txn(txn([wrong]))]))]))]),
    ];
    for (const form of forms) expect(txnRefusal(access, form, [])).toBe(DENIED);
  });

  test('is not permitted with a comparison that may not read, wherever it stands', () => {
    for (const wrong of [compare('w'), compare('r', 's'), compare('r', '\0'), compare('')]) {
      expect(txnRefusal(access, txn([], [], [compare('r'), wrong]), [])).toBe(DENIED);
      expect(txnRefusal(access, txn([op.txn(txn([], [], [wrong]))]), [])).toBe(DENIED);
    }
  });

  test('GHSA-x35m-3gp4-4fh5, CVE-2026-44283: names the leases of its puts, at every depth', () => {
    const leases: bigint[] = [];
    const inner = txn([op.put('w', { lease: 3n })], [op.put('b', { lease: -1n })]);
    txnRefusal(access, txn([op.put('w', { lease: 2n }), op.put('w')], [op.txn(inner)]), leases);
    expect(leases.sort()).toEqual([-1n, 2n, 3n]);
  });

  test('of any depth needs no stack', () => {
    let nested = txn([op.put('r')]);
    for (let depth = 0; depth < 100_000; depth++) nested = txn([op.txn(nested)]);
    expect(txnRefusal(access, nested, [])).toBe(DENIED);
  });

  test('of root, or while authentication is off, is not looked at', () => {
    const leases: bigint[] = [];
    const request = txn([op.put('r', { lease: 1n })]);
    expect(txnRefusal(rig.state.accessOf(rig.as('root')), request, leases)).toBeUndefined();
    expect(leases).toEqual([]);
  });
});

describe('the keys of a lease', () => {
  const piecesOf = (...pieces: string[][]): LeaseKeys => ({
    pieces: () => pieces.map((keys) => new Set(keys)).values(),
  });

  function check(username: string, to: 'read' | 'write', ...leases: LeaseKeys[]): string {
    const lease = new LeaseAccess(rig.state, rig.as(username), to, leases);
    while (!lease.step(2));
    return lease.refusal ?? 'permitted';
  }

  test('must all be permitted, unless an administrator asks', () => {
    expect(check('user', 'write')).toBe('permitted');
    expect(check('user', 'write', piecesOf())).toBe('permitted');
    expect(check('user', 'write', piecesOf(['w', 'w1'], [], ['b']))).toBe('permitted');
    expect(check('user', 'write', piecesOf(['w'], ['r']))).toBe(DENIED);
    expect(check('user', 'write', piecesOf(['w']), piecesOf(['b'], ['r']))).toBe(DENIED);
    expect(check('user', 'read', piecesOf(['r', 'b']))).toBe('permitted');
    expect(check('user', 'read', piecesOf(['r', 'w']))).toBe(DENIED);
    expect(check('root', 'write', piecesOf(['x']))).toBe('permitted');
  });

  test('may be what an administrator of an older revision asks for, and nobody else', () => {
    const keys = [piecesOf(['w'])];
    const old = (username: string) => {
      const info = { username, authRevision: rig.state.revision - 1 };
      const lease = new LeaseAccess(rig.state, info, 'write', keys);
      while (!lease.step(2));
      return lease.refusal;
    };
    expect(old('root')).toBeUndefined();
    expect(old('user')).toBe('AUTH_OLD_REVISION');
    const nobody = new LeaseAccess(rig.state, undefined, 'write', keys);
    while (!nobody.step(2));
    expect(nobody.refusal).toBe('USER_EMPTY');
  });

  test('are looked at in slices', () => {
    const pieces = Array.from({ length: 100 }, (_, i) => [`w${i}`, `b${i}`, `w${i}x`]);
    const lease = new LeaseAccess(rig.state, rig.as('user'), 'write', [piecesOf(...pieces)]);
    let steps = 1;
    while (!lease.step(10)) steps++;
    expect(steps).toBeGreaterThan(20);
    expect(lease.refusal).toBeUndefined();
  });
});
