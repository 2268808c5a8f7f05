// What a request may add to the backend, in bytes: an estimate for the quota.
// Numbers: etcd v3.7.1 `server/storage/quota.go`.

import type { etcdserverpb } from '../protocol/index.ts';
import type { Operation } from './operation.ts';
import { REQUEST_KIND } from './request-envelope.ts';

/** What a put costs beyond key and value. */
const PUT_OVERHEAD_BYTES = 256;
/** What a lease costs. */
export const LEASE_COST_BYTES = 64;

export function costOfPut(request: etcdserverpb.PutRequest): number {
  return PUT_OVERHEAD_BYTES + request.key.length + request.value.length;
}

/** The dearer branch. */
export function costOfTxn(request: etcdserverpb.TxnRequest): number {
  return Math.max(costOfBranch(request.success), costOfBranch(request.failure));
}

function costOfBranch(ops: readonly etcdserverpb.RequestOp[]): number {
  let cost = 0;
  for (const { request } of ops) {
    if (request?.case === 'requestPut') cost += costOfPut(request.value);
    else if (request?.case === 'requestTxn') cost += costOfTxn(request.value);
  }
  return cost;
}

/** 0 for a request that adds nothing. */
export function costOf(operation: Operation): number {
  switch (operation.kind) {
    case REQUEST_KIND.PUT:
      return costOfPut(operation.request);
    case REQUEST_KIND.TXN:
      return costOfTxn(operation.request);
    case REQUEST_KIND.LEASE_GRANT:
      return LEASE_COST_BYTES;
    default:
      return 0;
  }
}
