// Estimated bytes that a request adds to the backend, for the quota.
// Numbers: etcd v3.7.1 `server/storage/quota.go`.

import type { etcdserverpb } from '../../protocol/index.ts';
import type { Operation } from './operation.ts';
import { REQUEST_KIND } from './request-envelope.ts';

/** Bytes of a put beyond key and value. */
const PUT_OVERHEAD_BYTES = 256;
/** Bytes of a lease. */
export const LEASE_COST_BYTES = 64;

/** Of a put with a key and a value of so many bytes. */
export function costOfPut(keyLength: number, valueLength: number): number {
  return PUT_OVERHEAD_BYTES + keyLength + valueLength;
}

function costOfNestedPut({ key, value }: etcdserverpb.PutRequest): number {
  return costOfPut(key.length, value.length);
}

/** Cost of the more expensive branch. */
export function costOfTxn(request: etcdserverpb.TxnRequest): number {
  const then = costOfPuts(request.success);
  const otherwise = costOfPuts(request.failure);
  return then < 0 || otherwise < 0 ? costOfNested(request) : Math.max(then, otherwise);
}

/** -1 if there is a transaction among the operations. */
function costOfPuts(ops: readonly etcdserverpb.RequestOp[]): number {
  let cost = 0;
  for (const { request } of ops) {
    if (request?.case === 'requestPut') cost += costOfNestedPut(request.value);
    else if (request?.case === 'requestTxn') return -1;
  }
  return cost;
}

/** A transaction whose branches are summed up, first the one, then the other. */
class CostFrame {
  readonly request: etcdserverpb.TxnRequest;
  ops: readonly etcdserverpb.RequestOp[];
  next = 0;
  cost = 0;
  /** Of the first branch, once the second is summed up. */
  firstCost: number | undefined;

  constructor(request: etcdserverpb.TxnRequest) {
    this.request = request;
    this.ops = request.success;
  }
}

/** Without recursion: a log entry may nest deeper than the call stack allows. */
function costOfNested(root: etcdserverpb.TxnRequest): number {
  const frames = [new CostFrame(root)];
  for (;;) {
    const frame = frames.at(-1)!;
    const op = frame.ops[frame.next++];
    if (op !== undefined) {
      const { request } = op;
      if (request?.case === 'requestPut') frame.cost += costOfNestedPut(request.value);
      else if (request?.case === 'requestTxn') frames.push(new CostFrame(request.value));
    } else if (frame.firstCost === undefined) {
      frame.firstCost = frame.cost;
      frame.ops = frame.request.failure;
      frame.next = 0;
      frame.cost = 0;
    } else {
      const cost = Math.max(frame.firstCost, frame.cost);
      frames.pop();
      const outer = frames.at(-1);
      if (outer === undefined) return cost;
      outer.cost += cost;
    }
  }
}

/** 0 for a request that adds nothing. */
export function costOf(operation: Operation): number {
  switch (operation.kind) {
    case REQUEST_KIND.PUT:
      return costOfPut(operation.request.keyLength, operation.request.valueLength);
    case REQUEST_KIND.TXN:
      return costOfTxn(operation.request);
    case REQUEST_KIND.LEASE_GRANT:
      return LEASE_COST_BYTES;
    default:
      return 0;
  }
}
