// The span of a request behind its RPC: its name and what it says of the request, as in etcd. Keys are in
// it, values never.

import { isTxnReadonly } from '../../mvcc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { Attributes, AttributeValue } from './span.ts';

interface RequestSpan {
  readonly name: string;
  readonly attributes: Attributes;
}

type Describe<Request> = (request: Request) => RequestSpan;

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

const range =
  (name: string, more: (request: etcdserverpb.RangeRequest) => Attributes) =>
  (request: etcdserverpb.RangeRequest): RequestSpan => ({
    name,
    attributes: {
      range_begin: text(request.key),
      range_end: text(request.rangeEnd),
      rev: request.revision,
      limit: request.limit,
      count_only: request.countOnly,
      ...more(request),
    },
  });

const describeRange = range('range', ({ keysOnly }) => ({ keys_only: keysOnly }));
/** Of the one request of RangeStream. */
export const describeRangeStream: Describe<etcdserverpb.RangeRequest> = range(
  'range_streaming',
  () => ({}),
);

const describePut: Describe<etcdserverpb.PutRequest> = ({ key }) => ({
  name: 'put',
  attributes: { key: text(key) },
});

const describeDelete: Describe<etcdserverpb.DeleteRangeRequest> = ({ key, rangeEnd }) => ({
  name: 'delete_range',
  attributes: { range_begin: text(key), range_end: text(rangeEnd) },
});

const describeTxn: Describe<etcdserverpb.TxnRequest> = (request) => ({
  name: 'txn',
  attributes: attributesOfTxn(request),
});

function attributesOfTxn(request: etcdserverpb.TxnRequest): Attributes {
  const { compare, success, failure } = request;
  return {
    compare_first_key: text(compare.find(({ key }) => key.length > 0)?.key ?? new Uint8Array(0)),
    success_first_key: firstKey(success),
    success_first_type: firstType(success),
    success_first_lease: firstLease(success),
    compare_len: compare.length,
    success_len: success.length,
    failure_len: failure.length,
    read_only: isTxnReadonly(request),
  };
}

const describeCompact: Describe<etcdserverpb.CompactionRequest> = ({ physical, revision }) => ({
  name: 'compact',
  attributes: { is_physical: physical, rev: revision },
});

const describeGrant: Describe<etcdserverpb.LeaseGrantRequest> = ({ id, ttl }) => ({
  name: 'lease_grant',
  attributes: { id, ttl },
});

const describeRevoke: Describe<etcdserverpb.LeaseRevokeRequest> = ({ id }) => ({
  name: 'lease_revoke',
  attributes: { id },
});

const { KVService, LeaseService } = etcdserverpb;

/** By path: those of unary methods. */
const DESCRIPTIONS: ReadonlyMap<string, Describe<never>> = new Map<string, Describe<never>>([
  [KVService.methods.range.path, describeRange],
  [KVService.methods.put.path, describePut],
  [KVService.methods.deleteRange.path, describeDelete],
  [KVService.methods.txn.path, describeTxn],
  [KVService.methods.compact.path, describeCompact],
  [LeaseService.methods.leaseGrant.path, describeGrant],
  [LeaseService.methods.leaseRevoke.path, describeRevoke],
]);

/** Undefined for methods whose requests have no span of their own. */
export function descriptionOf(path: string): Describe<unknown> | undefined {
  // The table decodes a request by the codec of its path.
  return DESCRIPTIONS.get(path) as Describe<unknown> | undefined;
}

type Operations = etcdserverpb.TxnRequest['success'];

function firstKey(operations: Operations): string {
  for (const { request } of operations) {
    if (request === undefined || request.case === 'requestTxn') continue;
    if (request.value.key.length > 0) return text(request.value.key);
  }
  return '';
}

const TYPES: Readonly<Record<string, string>> = {
  requestPut: 'put',
  requestRange: 'range',
  requestDeleteRange: 'delete_range',
  requestTxn: 'txn',
};

function firstType(operations: Operations): string {
  return TYPES[operations.find(({ request }) => request !== undefined)?.request?.case ?? ''] ?? '';
}

/** -1 where nothing is put. */
function firstLease(operations: Operations): AttributeValue {
  for (const { request } of operations) {
    if (request?.case === 'requestPut') return request.value.lease;
  }
  return -1;
}
