// Requests as the log has them, decoded: the kinds that change what clients see.

import { etcdserverpb, PutInPlace, readLoggedPut } from '../../protocol/index.ts';
import { type AuthOperation, decodeAuthOperation, isAuthKind } from './auth-operation.ts';
import { REQUEST_KIND, type RequestKind } from './request-envelope.ts';

export type Operation =
  | { readonly kind: typeof REQUEST_KIND.RANGE; readonly request: etcdserverpb.RangeRequest }
  | { readonly kind: typeof REQUEST_KIND.PUT; readonly request: PutInPlace }
  | {
      readonly kind: typeof REQUEST_KIND.DELETE_RANGE;
      readonly request: etcdserverpb.DeleteRangeRequest;
    }
  | { readonly kind: typeof REQUEST_KIND.TXN; readonly request: etcdserverpb.TxnRequest }
  | {
      readonly kind: typeof REQUEST_KIND.COMPACTION;
      readonly request: etcdserverpb.CompactionRequest;
    }
  | {
      readonly kind: typeof REQUEST_KIND.LEASE_GRANT;
      readonly request: etcdserverpb.LeaseGrantRequest;
    }
  | {
      readonly kind: typeof REQUEST_KIND.LEASE_REVOKE;
      readonly request: etcdserverpb.LeaseRevokeRequest;
    }
  | {
      readonly kind: typeof REQUEST_KIND.LEASE_CHECKPOINT;
      readonly request: etcdserverpb.LeaseCheckpointRequest;
    }
  | { readonly kind: typeof REQUEST_KIND.ALARM; readonly request: etcdserverpb.AlarmRequest }
  | AuthOperation;

export type LeaseOperation = Extract<
  Operation,
  {
    readonly kind:
      | typeof REQUEST_KIND.LEASE_GRANT
      | typeof REQUEST_KIND.LEASE_REVOKE
      | typeof REQUEST_KIND.LEASE_CHECKPOINT;
  }
>;
export type AlarmOperation = Extract<Operation, { readonly kind: typeof REQUEST_KIND.ALARM }>;
export type KvOperation = Exclude<Operation, LeaseOperation | AlarmOperation | AuthOperation>;

/** One for all puts: one operation is applied at a time. */
const PUT = { kind: REQUEST_KIND.PUT, request: new PutInPlace() } as const;

/**
 * The operation in `payload[start, end)`; undefined if the kind is not one of them. A put is valid until
 * the next one is decoded.
 */
export function decodeOperation(
  kind: RequestKind,
  payload: Uint8Array,
  start: number,
  end: number,
): Operation | undefined {
  switch (kind) {
    case REQUEST_KIND.PUT:
      readLoggedPut(payload, start, end, PUT.request);
      return PUT;
    case REQUEST_KIND.TXN:
      return { kind, request: etcdserverpb.TxnRequestCodec.decode(payload, start, end) };
    case REQUEST_KIND.DELETE_RANGE:
      return { kind, request: etcdserverpb.DeleteRangeRequestCodec.decode(payload, start, end) };
    case REQUEST_KIND.RANGE:
      return { kind, request: etcdserverpb.RangeRequestCodec.decode(payload, start, end) };
    case REQUEST_KIND.COMPACTION:
      return { kind, request: etcdserverpb.CompactionRequestCodec.decode(payload, start, end) };
    case REQUEST_KIND.LEASE_GRANT:
      return { kind, request: etcdserverpb.LeaseGrantRequestCodec.decode(payload, start, end) };
    case REQUEST_KIND.LEASE_REVOKE:
      return { kind, request: etcdserverpb.LeaseRevokeRequestCodec.decode(payload, start, end) };
    case REQUEST_KIND.LEASE_CHECKPOINT:
      return {
        kind,
        request: etcdserverpb.LeaseCheckpointRequestCodec.decode(payload, start, end),
      };
    case REQUEST_KIND.ALARM:
      return { kind, request: etcdserverpb.AlarmRequestCodec.decode(payload, start, end) };
    default:
      return isAuthKind(kind) ? decodeAuthOperation(kind, payload, start, end) : undefined;
  }
}
