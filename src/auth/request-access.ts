// What whole requests need: every key that they read, write or compare, at every depth. Keys that are
// attached to a lease are another matter, see `lease-access.ts`.
//
// An `Access` refuses with one and the same error whatever the key, so the order of looking is free.

import { latin1FromBytes } from '../base/index.ts';
import type { EtcdErrorName, etcdserverpb } from '../protocol/index.ts';
import type { Access } from './access.ts';

type Refusal = EtcdErrorName | undefined;

/** A range as a request or a comparison has it, exactly as it was sent. */
type RequestedRange = Pick<etcdserverpb.RangeRequest, 'key' | 'rangeEnd'>;

/** Why a range, a watch or a comparison is not permitted. */
export function rangeRefusal(access: Access, { key, rangeEnd }: RequestedRange): Refusal {
  if (access.isUnlimited) return undefined;
  return access.readRefusal(latin1FromBytes(key), latin1FromBytes(rangeEnd));
}

/** Why a put is not permitted, but for its lease. The previous value is a read. */
export function putRefusal(access: Access, request: etcdserverpb.PutRequest): Refusal {
  if (access.isUnlimited) return undefined;
  const key = latin1FromBytes(request.key);
  const refusal = access.writeRefusal(key, '');
  return refusal ?? (request.prevKv ? access.readRefusal(key, '') : undefined);
}

/** Why a deletion is not permitted. The previous values are a read. */
export function deleteRefusal(access: Access, request: etcdserverpb.DeleteRangeRequest): Refusal {
  if (access.isUnlimited) return undefined;
  const key = latin1FromBytes(request.key);
  const rangeEnd = latin1FromBytes(request.rangeEnd);
  const refusal = access.writeRefusal(key, rangeEnd);
  return refusal ?? (request.prevKv ? access.readRefusal(key, rangeEnd) : undefined);
}

/**
 * Why a transaction is not permitted, but for its leases, whose ids are added to `leases`: both
 * branches, nested ones and comparisons, whether they will be chosen or not.
 */
export function txnRefusal(
  access: Access,
  request: etcdserverpb.TxnRequest,
  leases: bigint[],
): Refusal {
  if (access.isUnlimited) return undefined;
  // Without the stack: a log entry nests deeper than that holds.
  const waiting = [request];
  for (let txn = waiting.pop(); txn !== undefined; txn = waiting.pop()) {
    for (const compare of txn.compare) {
      const refusal = rangeRefusal(access, compare);
      if (refusal !== undefined) return refusal;
    }
    for (const op of txn.success) {
      const refusal = opRefusal(access, op, waiting, leases);
      if (refusal !== undefined) return refusal;
    }
    for (const op of txn.failure) {
      const refusal = opRefusal(access, op, waiting, leases);
      if (refusal !== undefined) return refusal;
    }
  }
  return undefined;
}

function opRefusal(
  access: Access,
  { request }: etcdserverpb.RequestOp,
  nested: etcdserverpb.TxnRequest[],
  leases: bigint[],
): Refusal {
  switch (request?.case) {
    case 'requestRange':
      return rangeRefusal(access, request.value);
    case 'requestPut':
      if (request.value.lease !== 0n) leases.push(request.value.lease);
      return putRefusal(access, request.value);
    case 'requestDeleteRange':
      return deleteRefusal(access, request.value);
    case 'requestTxn':
      nested.push(request.value);
      return undefined;
    case undefined:
      return undefined;
  }
}
