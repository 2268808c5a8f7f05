import { expect, test } from 'vitest';
import { etcdserverpb } from '../../protocol/index.ts';
import { costOfTxn } from './request-cost.ts';

const { PutRequestCodec, RequestOpCodec, TxnRequestCodec } = etcdserverpb;

/** Costs 256 + 1 + `valueBytes`. */
function put(valueBytes: number): etcdserverpb.RequestOp {
  const value = PutRequestCodec.create({
    key: Uint8Array.of(1),
    value: new Uint8Array(valueBytes),
  });
  return RequestOpCodec.create({ request: { case: 'requestPut', value } });
}

function nested(value: etcdserverpb.TxnRequest): etcdserverpb.RequestOp {
  return RequestOpCodec.create({ request: { case: 'requestTxn', value } });
}

function txn(
  success: etcdserverpb.RequestOp[],
  failure: etcdserverpb.RequestOp[] = [],
): etcdserverpb.TxnRequest {
  return TxnRequestCodec.create({ success, failure });
}

test.each([
  ['nothing', txn([]), 0],
  ['the dearer branch', txn([put(1), put(2)], [put(300)]), 557],
  ['two puts beside one', txn([put(1), put(2)], [put(3)]), 517],
  ['a nested one beside a put', txn([put(1), nested(txn([put(2)], [put(5)]))]), 258 + 262],
  [
    'a nested one in the other branch',
    txn([put(1)], [nested(txn([], [put(2)])), put(3)]),
    259 + 260,
  ],
  ['nested twice', txn([nested(txn([nested(txn([put(4)])), nested(txn([put(5)]))]))]), 261 + 262],
])('5cdad102e: the cost of %s', (_, request, cost) => {
  expect(costOfTxn(request)).toBe(cost);
});

test('a transaction that nests as deep as a log entry may', () => {
  let request = txn([put(0)]);
  for (let level = 1; level < 4_999; level++) request = txn([nested(request)], [put(1)]);
  expect(costOfTxn(request)).toBe(258);
});
