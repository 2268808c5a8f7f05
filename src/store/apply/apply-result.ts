// The result of applying an entry. To be used in the turn in which it is made: results of hot
// operations are objects that the next entry overwrites.

import type { Revision } from '../../base/index.ts';
import type { DeleteResult, PutResult, RangeResult, TxnResult } from '../../mvcc/index.ts';
import type { authpb, EtcdErrorName, etcdserverpb } from '../../protocol/index.ts';

export type ApplyResult =
  | { readonly kind: 'error'; readonly error: EtcdErrorName }
  | { readonly kind: 'put'; readonly put: PutResult }
  | { readonly kind: 'range'; readonly range: RangeResult }
  | { readonly kind: 'deleteRange'; readonly delete: DeleteResult }
  | { readonly kind: 'txn'; readonly txn: TxnResult }
  | {
      readonly kind: 'compaction';
      readonly revision: Revision;
      /** Resolves when the rows are gone; rejects if the member stops before. */
      readonly physical: Promise<void>;
    }
  | { readonly kind: 'leaseGrant'; readonly id: bigint; readonly ttlSec: number }
  | { readonly kind: 'leaseRevoke' }
  | { readonly kind: 'leaseCheckpoint' }
  | { readonly kind: 'alarm'; readonly alarms: readonly etcdserverpb.AlarmMember[] }
  | { readonly kind: 'authenticate'; readonly token: string }
  | { readonly kind: 'authStatus'; readonly enabled: boolean; readonly authRevision: number }
  | { readonly kind: 'authUserGet'; readonly roles: string[] }
  | { readonly kind: 'authUserList'; readonly users: string[] }
  | { readonly kind: 'authRoleGet'; readonly permissions: authpb.Permission[] }
  | { readonly kind: 'authRoleList'; readonly roles: string[] }
  /** An entry whose answer is only that it was applied: of membership, or that changes users or roles. */
  | { readonly kind: 'applied' };

export const APPLIED: ApplyResult = { kind: 'applied' };
