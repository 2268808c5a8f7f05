import { describe, expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { EtcdError, type EtcdErrorName, etcdserverpb, PutInPlace } from '../../protocol/index.ts';
import { TXN_NESTING_MAX } from '../limits.ts';
import {
  checkDeleteRangeRequest,
  checkPutRequest,
  checkRangeRequest,
  checkTxnRequest,
} from './validate.ts';

const {
  CompareCodec,
  DeleteRangeRequestCodec,
  PutRequestCodec,
  RangeRequestCodec,
  RequestOpCodec,
  TxnRequestCodec,
} = etcdserverpb;

const bytes = bytesFromLatin1;

function errorOf(check: () => void): EtcdErrorName | 'OK' {
  try {
    check();
    return 'OK';
  } catch (error) {
    if (error instanceof EtcdError) return error.code;
    throw error;
  }
}

const put = (key: string, init: etcdserverpb.PutRequestInit = {}) =>
  RequestOpCodec.create({
    request: { case: 'requestPut', value: PutRequestCodec.create({ ...init, key: bytes(key) }) },
  });
const del = (key: string, rangeEnd = '') =>
  RequestOpCodec.create({
    request: {
      case: 'requestDeleteRange',
      value: DeleteRangeRequestCodec.create({ key: bytes(key), rangeEnd: bytes(rangeEnd) }),
    },
  });
const get = (key: string, init: etcdserverpb.RangeRequestInit = {}) =>
  RequestOpCodec.create({
    request: {
      case: 'requestRange',
      value: RangeRequestCodec.create({ ...init, key: bytes(key) }),
    },
  });
const txn = (success: etcdserverpb.RequestOp[], failure: etcdserverpb.RequestOp[] = []) =>
  TxnRequestCodec.create({ success, failure });
const nested = (success: etcdserverpb.RequestOp[], failure: etcdserverpb.RequestOp[] = []) =>
  RequestOpCodec.create({ request: { case: 'requestTxn', value: txn(success, failure) } });

test.each([
  [{ key: bytes('') }, 'EMPTY_KEY'],
  [{ key: bytes(''), sortOrder: 9 }, 'EMPTY_KEY'],
  [{ key: bytes('k'), sortOrder: 3 }, 'INVALID_SORT_OPTION'],
  [{ key: bytes('k'), sortOrder: -1 }, 'INVALID_SORT_OPTION'],
  [{ key: bytes('k'), sortTarget: 5 }, 'INVALID_SORT_OPTION'],
  [{ key: bytes('k'), sortTarget: 4, sortOrder: 2, limit: -1, revision: -5 }, 'OK'],
])('range %j: %s', (init, expected) => {
  expect(errorOf(() => checkRangeRequest(RangeRequestCodec.create(init)))).toBe(expected);
});

test.each([
  [{ key: bytes('') }, 'EMPTY_KEY'],
  [{ key: bytes('k'), value: bytes('v'), ignoreValue: true }, 'VALUE_PROVIDED'],
  [{ key: bytes('k'), lease: 1n, ignoreLease: true }, 'LEASE_PROVIDED'],
  [
    { key: bytes('k'), value: bytes('v'), ignoreValue: true, lease: 1n, ignoreLease: true },
    'VALUE_PROVIDED',
  ],
  [{ key: bytes('k'), ignoreValue: true, ignoreLease: true }, 'OK'],
])('put %#: %s', (init, expected) => {
  expect(
    errorOf(() => checkPutRequest(new PutInPlace().accept(PutRequestCodec.create(init)))),
  ).toBe(expected);
});

test('delete without a key', () => {
  const empty = DeleteRangeRequestCodec.create({ rangeEnd: bytes('z') });
  expect(errorOf(() => checkDeleteRangeRequest(empty))).toBe('EMPTY_KEY');
});

describe('the shape of a transaction', () => {
  const many = (n: number) => Array.from({ length: n }, (_, i) => put(`k${i}`));
  test.each([
    ['as many operations as allowed', txn(many(4), many(4)), 'OK'],
    ['one too many', txn(many(5)), 'TOO_MANY_OPS'],
    ['too many in the branch not taken', txn([], many(5)), 'TOO_MANY_OPS'],
    [
      'too many comparisons',
      TxnRequestCodec.create({ compare: Array(5).fill(CompareCodec.create({ key: bytes('k') })) }),
      'TOO_MANY_OPS',
    ],
    ['a nested one gets what is left', txn([nested(many(3))]), 'OK'],
    ['a nested one with more', txn([nested(many(4))]), 'TOO_MANY_OPS'],
    ['an empty one may nest where nothing is left', txn([...many(3), nested([])]), 'OK'],
    [
      'a comparison without key',
      TxnRequestCodec.create({ compare: [CompareCodec.create({})] }),
      'EMPTY_KEY',
    ],
    ['a put without key', txn([put('')]), 'EMPTY_KEY'],
    ['an operation without content', txn([RequestOpCodec.create({})]), 'KEY_NOT_FOUND'],
    ['a bad range', txn([], [get('k', { sortOrder: 7 })]), 'INVALID_SORT_OPTION'],
    ['a bad put', txn([put('k', { value: bytes('v'), ignoreValue: true })]), 'VALUE_PROVIDED'],
    ['the count comes before the keys', txn([put(''), ...many(4)]), 'TOO_MANY_OPS'],
  ])('%s', (_, request, expected) => {
    expect(errorOf(() => checkTxnRequest(request, 4))).toBe(expected);
  });
});

test('transactions nest to a bound, whatever the number of operations', () => {
  const deep = (levels: number): etcdserverpb.TxnRequest => {
    let request = txn([put('a')]);
    for (let level = 1; level < levels; level++) request = txn([nested(request.success)]);
    return request;
  };
  expect(errorOf(() => checkTxnRequest(deep(TXN_NESTING_MAX), 1_000_000))).toBe('OK');
  expect(errorOf(() => checkTxnRequest(deep(TXN_NESTING_MAX + 1), 1_000_000))).toBe('TOO_MANY_OPS');
});

describe('keys that a transaction may write twice', () => {
  test.each([
    ['put twice', [put('a'), put('a')], 'DUPLICATE_KEY'],
    ['put in nested and outer', [put('a'), nested([put('a')])], 'DUPLICATE_KEY'],
    ['put in two nested ones', [nested([put('a')]), nested([put('a')])], 'DUPLICATE_KEY'],
    ['put in the branches of one nested one', [nested([put('a')], [put('a')])], 'OK'],
    ['put in an else and outside', [nested([], [put('a')]), put('a')], 'DUPLICATE_KEY'],
    ['delete before put', [del('a'), put('a')], 'DUPLICATE_KEY'],
    ['delete after put', [put('a'), del('a')], 'DUPLICATE_KEY'],
    ['delete a range around', [put('b'), del('a', 'c')], 'DUPLICATE_KEY'],
    ['delete a range that ends at it', [put('c'), del('a', 'c')], 'OK'],
    ['delete a range that begins at it', [put('a'), del('a', 'c')], 'DUPLICATE_KEY'],
    ['delete two ranges around', [put('b'), del('a', 'z'), del('aa', 'ab')], 'DUPLICATE_KEY'],
    ['delete all from a key on: etcd lets it pass', [put('b'), del('a', '\0')], 'OK'],
    ['delete a range that is empty', [put('b'), del('c', 'a')], 'OK'],
    ['delete inside, put outside', [nested([del('a', 'c')]), put('b')], 'DUPLICATE_KEY'],
    ['put inside, delete outside', [nested([put('b')]), del('a', 'c')], 'DUPLICATE_KEY'],
    [
      'a nested delete, then a nested put',
      [nested([del('b')]), nested([put('b')])],
      'DUPLICATE_KEY',
    ],
    ['a nested put, then a nested delete: passes', [nested([put('b')]), nested([del('b')])], 'OK'],
    ['delete twice', [del('a'), del('a', 'c')], 'OK'],
    ['read what is written', [get('a'), put('a'), get('a')], 'OK'],
  ])('%s', (_, ops, expected) => {
    expect(errorOf(() => checkTxnRequest(txn(ops), 128))).toBe(expected);
    expect(errorOf(() => checkTxnRequest(txn([], ops), 128))).toBe(expected);
  });
});
