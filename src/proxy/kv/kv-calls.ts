// How requests about keys get their answers from the cluster: passed on, or by leasing. Keys are those of
// clients on this side.

import type { etcdserverpb } from '../../protocol/index.ts';
import type { UnaryCall } from '../../rpc/index.ts';
import type { UnaryHooks } from '../calls/passed-unary.ts';

/** `bytes` are the encoded request, valid during the call. Hooks see each answer as the client gets it. */
type KvCall<Request> = (
  call: UnaryCall,
  request: Request,
  bytes: Uint8Array,
  hooks: UnaryHooks | undefined,
) => void;

export interface KvCalls {
  readonly range: KvCall<etcdserverpb.RangeRequest>;
  readonly put: KvCall<etcdserverpb.PutRequest>;
  readonly deleteRange: KvCall<etcdserverpb.DeleteRangeRequest>;
  readonly txn: KvCall<etcdserverpb.TxnRequest>;
}
