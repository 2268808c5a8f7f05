// What a transaction does, whichever of its branches is taken.

import type { etcdserverpb } from '../../protocol/index.ts';

/** Whether any branch, at any depth, may change a key. */
export function hasWrites(txn: etcdserverpb.TxnRequest): boolean {
  return [...txn.success, ...txn.failure].some(({ request }) => {
    if (request === undefined || request.case === 'requestRange') return false;
    return request.case === 'requestTxn' ? hasWrites(request.value) : true;
  });
}
