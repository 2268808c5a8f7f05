// Requests at every limit and every validation rule, in an order that leaves some data behind. The
// random requests come after; together they make each known difference show in every run.

import type { Message } from '../helpers/api.ts';
import type { Operation } from './operations.ts';

const call = (rpc: string, request: Message): Operation => ({ kind: 'call', rpc, request });
const put = (key: string, value: string, more: Message = {}): Operation =>
  call('KV/Put', { key, value, ...more });
const range = (key: string, more: Message = {}): Operation => call('KV/Range', { key, ...more });
const txn = (request: Message): Operation => call('KV/Txn', request);
const grant = (TTL: string, ID = '0'): Operation => call('Lease/LeaseGrant', { TTL, ID });
const compact = (revision: string, physical = false): Operation =>
  call('KV/Compact', { revision, physical });
const watch = (request: Message): Operation => ({
  kind: 'watch',
  request: { create_request: request },
});

const INTEGERS = ['9223372036854775807', '-9223372036854775808', '9007199254740993', '-1'];
const ALL = { key: '\0', range_end: '\0' } as const;

const putOp = (key: string, value = 'v', more: Message = {}): Message => ({
  request_put: { key, value, ...more },
});
const deleteOp = (key: string, range_end = ''): Message => ({
  request_delete_range: { key, range_end, prev_kv: true },
});
const rangeOp = (key: string, more: Message = {}): Message => ({
  request_range: { key, ...more },
});
const repeat = (count: number, make: (i: number) => Message): Message[] =>
  Array.from({ length: count }, (_, i) => make(i));

function writes(): Operation[] {
  return [
    put('', 'v'),
    put('a', 'one'),
    put('a', 'two', { prev_kv: true }),
    put('a', '', { ignore_value: true, prev_kv: true }),
    put('a', 'v', { ignore_value: true }),
    put('absent', '', { ignore_value: true }),
    put('absent', 'v', { ignore_lease: true }),
    put('a', 'v', { ignore_lease: true, lease: '77' }),
    put('a', 'v', { lease: '77' }),
    put('a', 'v', { lease: '-9223372036854775808' }),
    put('absent', '', { ignore_value: true, lease: '77' }),
    put('\0', 'zero'),
    put('\xff\xff', 'last'),
    put('b', 'x'.repeat(1_000_000)),
    put('b', 'x'.repeat(1_600_000)),
    put('b', 'short'),
    call('KV/DeleteRange', { key: '' }),
    call('KV/DeleteRange', { key: '', range_end: '\0' }),
    call('KV/DeleteRange', { key: 'nothing' }),
    call('KV/DeleteRange', { key: 'z', range_end: 'a', prev_kv: true }),
    ...['k/1', 'k/2', 'k/3'].map((key) => put(key, key)),
    call('KV/DeleteRange', { key: 'k/', range_end: 'k0', prev_kv: true }),
    put('k/2', 'again'),
  ];
}

function reads(): Operation[] {
  const fields = ['limit', 'revision', 'min_mod_revision', 'max_mod_revision'];
  fields.push('min_create_revision', 'max_create_revision');
  return [
    range(''),
    range('', { range_end: '\0' }),
    range('a'),
    range('a', { range_end: 'a' }),
    range('b', { range_end: 'a' }),
    range('a', { range_end: '\0' }),
    ...[3, -1, 2147483647].map((sort_order) => range('a', { sort_order })),
    ...[0, 1, 2].flatMap((sort_order) =>
      [0, 1, 2, 3, 4].map((sort_target) =>
        call('KV/Range', { ...ALL, sort_order, sort_target, limit: '3' }),
      ),
    ),
    ...fields.flatMap((field) =>
      INTEGERS.map((value) => call('KV/Range', { ...ALL, [field]: value })),
    ),
    ...INTEGERS.map((limit) => call('KV/Range', { ...ALL, limit, count_only: true })),
    call('KV/Range', { ...ALL, keys_only: true, count_only: true, limit: '1' }),
    call('KV/Range', { ...ALL, keys_only: true, min_mod_revision: '4', limit: '1' }),
    call('KV/Range', { ...ALL, revision: '3' }),
    call('KV/Range', { ...ALL, revision: '3', serializable: true, count_only: true }),
  ];
}

function transactions(): Operation[] {
  const nested = (depth: number): Message =>
    depth === 0
      ? putOp('deep')
      : { request_txn: { success: [nested(depth - 1), rangeOp('deep')] } };
  return [
    txn({}),
    txn({ success: [{}] }),
    txn({ success: [putOp('')] }),
    txn({ success: [rangeOp('')] }),
    txn({ failure: [deleteOp('')] }),
    txn({ failure: [rangeOp('a', { sort_order: 9 })] }),
    txn({ compare: [{ key: '' }] }),
    txn({ compare: [{ key: 'a', target: 3, result: 0 }] }),
    txn({ compare: [{ key: 'a', target: 0, result: 0, mod_revision: '1' }] }),
    txn({ compare: [{ key: 'a', target: 9, result: 0, version: '1' }] }),
    txn({ compare: [{ key: 'a', target: 0, result: 9, version: '1' }] }),
    txn({ compare: [{ key: 'nothing', target: 3, result: 0, value: '' }] }),
    txn({
      compare: [{ key: 'nothing', range_end: 'nothinh', target: 0, result: 3, version: '0' }],
    }),
    txn({ compare: [{ key: 'a', range_end: '\0', target: 0, result: 1, version: '0' }] }),
    ...INTEGERS.map((version) => txn({ compare: [{ key: 'a', target: 0, result: 2, version }] })),
    txn({ success: [putOp('a'), putOp('a')] }),
    txn({ success: [putOp('a'), deleteOp('a')] }),
    txn({ success: [deleteOp('a', 'c'), putOp('b')] }),
    txn({ success: [deleteOp('a', '\0'), putOp('b')] }),
    txn({ success: [putOp('a'), { request_txn: { success: [putOp('a')] } }] }),
    txn({ success: [{ request_txn: { success: [putOp('a')], failure: [putOp('a')] } }] }),
    txn({ success: [deleteOp('a', 'b'), { request_txn: { failure: [putOp('a')] } }] }),
    txn({ success: [deleteOp('a'), deleteOp('a')] }),
    txn({
      success: [putOp('a', 'in'), rangeOp('a'), putOp('b'), rangeOp('a', { range_end: '\0' })],
    }),
    txn({
      success: [putOp('a', '', { ignore_value: true }), putOp('b', 'w', { lease: '424242' })],
    }),
    txn({ success: [putOp('missing', '', { ignore_value: true, lease: '77' })] }),
    txn({ success: [putOp('missing', '', { ignore_value: true })] }),
    txn({
      success: [putOp('b', 'w', { lease: '77' }), putOp('missing', '', { ignore_value: true })],
    }),
    txn({
      success: [putOp('missing', '', { ignore_value: true }), putOp('b', 'w', { lease: '77' })],
    }),
    txn({ success: [rangeOp('a', { revision: '9223372036854775807' })] }),
    txn({ success: [putOp('q'), rangeOp('a', { revision: '9999' })] }),
    txn({ success: [rangeOp('a', { revision: '9999' }), putOp('b', 'w', { lease: '77' })] }),
    txn({ success: [putOp('q'), rangeOp('q', { revision: '2' })] }),
    txn({ success: repeat(128, (i) => putOp(`many/${i}`)) }),
    txn({ success: repeat(129, (i) => putOp(`many/${i}`)) }),
    txn({ compare: repeat(129, () => ({ key: 'a', version: '1' })) }),
    txn({ success: [{ request_txn: { success: repeat(128, (i) => putOp(`m/${i}`)) } }] }),
    txn({ success: [{ request_txn: { success: repeat(127, (i) => putOp(`m/${i}`)) } }] }),
    txn({ success: [nested(10)] }),
    txn({ failure: [deleteOp('many/', 'many0')], compare: [{ key: 'none', version: '5' }] }),
    txn({ success: [deleteOp('m/', 'm0'), rangeOp('a', { keys_only: true })] }),
  ];
}

function leases(): Operation[] {
  const ids = ['9223372036854775807', '-9223372036854775808', '-1', '5'];
  return [
    ...['9000000000', '9000000001', '9223372036854775807'].map((ttl) => grant(ttl)),
    ...ids.map((id) => grant('100000', id)),
    grant('100000', '5'),
    ...['0', '-1', '-9223372036854775808'].flatMap((ttl) => [
      grant(ttl, '6'),
      call('Lease/LeaseRevoke', { ID: '6' }),
    ]),
    put('leased', 'v', { lease: '5', prev_kv: true }),
    put('leased/2', 'v', { lease: '-1' }),
    put('leased', '', { ignore_value: true }),
    put('leased', 'w', { lease: '5' }),
    range('leased', { keys_only: true }),
    range('leased', { keys_only: true, sort_target: 4 }),
    put('leased', 'w', { ignore_lease: true, prev_kv: true }),
    ...['5', '-1', '0', '123456'].map((ID) => call('Lease/LeaseTimeToLive', { ID, keys: true })),
    call('Lease/LeaseTimeToLive', { ID: '5' }),
    ...['5', '0', '123456'].map((ID): Operation => ({ kind: 'keepAlive', request: { ID } })),
    call('Lease/LeaseLeases', {}),
    txn({
      compare: [{ key: 'leased', target: 4, result: 0, lease: '5' }],
      success: [rangeOp('leased')],
    }),
    ...['0', '123456', '-1', '5', '5'].map((ID) => call('Lease/LeaseRevoke', { ID })),
    range('leased', { range_end: 'leasee' }),
  ];
}

function compactions(): Operation[] {
  return [
    { kind: 'hash', revision: '0' },
    // Not 0 on a store never compacted: it succeeds, and newer releases then keep its hash as the
    // answer to every later HashKV of "the current revision".
    ...INTEGERS.map((revision) => compact(revision)),
    compact('4', true),
    compact('4'),
    compact('0'),
    compact('3'),
    { kind: 'hash', revision: '0' },
    ...['1', '3', '4', '5', ...INTEGERS].map((revision): Operation => ({ kind: 'hash', revision })),
    range('a', { revision: '3' }),
    range('a', { revision: '4' }),
    range('a', { revision: '5' }),
    txn({ success: [putOp('q'), rangeOp('a', { revision: '2' })] }),
    compact('12', false),
  ];
}

function watches(): Operation[] {
  return [
    watch({ key: 'a', start_revision: '0' }),
    watch({ key: '' }),
    watch({ key: '', range_end: '\0', watch_id: '50' }),
    watch({ ...ALL, watch_id: '51', prev_kv: true }),
    watch({ ...ALL, watch_id: '51' }),
    watch({ ...ALL, watch_id: '-1' }),
    watch({ key: 'b', range_end: 'a', watch_id: '52' }),
    watch({ key: 'b', range_end: 'b' }),
    // With an id of its own: older releases accept it, and a chosen id would shift all later ones.
    watch({ ...ALL, start_revision: '-1', watch_id: '900060' }),
    watch({ ...ALL, start_revision: '-9223372036854775808', watch_id: '900061' }),
    watch({ ...ALL, start_revision: '9223372036854775807', watch_id: '53' }),
    watch({ ...ALL, start_revision: '1', watch_id: '54' }),
    // After the revision of the compaction (see `watchesFromCompacted`).
    watch({ ...ALL, start_revision: '13', watch_id: '55', prev_kv: true }),
    watch({ ...ALL, start_revision: '14', watch_id: '56', filters: [0], fragment: true }),
    watch({ ...ALL, filters: [1], watch_id: '57' }),
    watch({ ...ALL, filters: [0, 1], watch_id: '58' }),
    watch({ ...ALL, filters: [9], watch_id: '59' }),
    put('a', 'seen', { prev_kv: true }),
    txn({ success: [putOp('a', '1'), putOp('b', '2'), deleteOp('k/', 'k0')] }),
    call('KV/DeleteRange', { key: 'a', range_end: 'c' }),
    ...['50', '50', '424242', '-1', '9223372036854775807'].map(
      (watch_id): Operation => ({ kind: 'watch', request: { cancel_request: { watch_id } } }),
    ),
    { kind: 'watch', request: {} },
    put('a', 'after'),
  ];
}

function others(): Operation[] {
  const raw = (rpc: string, bytes: string): Operation => ({ kind: 'raw', rpc, bytes });
  return [
    raw('KV/Put', '\xff'),
    raw('KV/Put', '\x0a\x05ab'),
    raw('KV/Put', '\x0a\x01a\x12\x01b\xf8\x7f\x01'),
    raw('KV/Range', '\x08\x01'),
    raw('KV/Range', '\x0a\x01a\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01'),
    raw('KV/Txn', '\x12\x03\x12\x01\x0a'),
    call('Cluster/MemberList', {}),
    call('Maintenance/Status', {}),
    call('Maintenance/Alarm', { action: 0 }),
  ];
}

/** What is refused while a CORRUPT alarm stands, and what is served all the same. */
function corruption(): Operation[] {
  const alarm = (action: number): Operation =>
    call('Maintenance/Alarm', { action, alarm: 2, memberID: '7' });
  return [
    grant('600', '701'),
    put('corrupt', 'before'),
    alarm(1),
    alarm(1),
    call('Maintenance/Alarm', { action: 0 }),
    put('corrupt', 'during'),
    range('corrupt'),
    range('corrupt', { serializable: true }),
    call('KV/DeleteRange', { key: 'corrupt' }),
    txn({ success: [putOp('corrupt')] }),
    txn({ success: [rangeOp('corrupt')] }),
    compact('2'),
    grant('600', '702'),
    call('Lease/LeaseRevoke', { ID: '701' }),
    call('Lease/LeaseTimeToLive', { ID: '701' }),
    call('Auth/RoleAdd', { name: 'corrupt' }),
    call('Auth/RoleDelete', { role: 'corrupt' }),
    call('Maintenance/Alarm', { action: 2, alarm: 2, memberID: '8' }),
    alarm(2),
    alarm(2),
    put('corrupt', 'after'),
    call('Lease/LeaseRevoke', { ID: '701' }),
  ];
}

/** Requests that end the process of older releases, with the answer that 3.7.1 gives. */
export function deadlyCases(): { operation: Operation; code: number; details: string }[] {
  const refused = { code: 3, details: 'etcdserver: invalid sort option' };
  return [
    { operation: range('a', { sort_target: 5 }), ...refused },
    { operation: range('a', { sort_target: -1 }), ...refused },
    { operation: txn({ success: [rangeOp('a', { sort_target: 5 })] }), ...refused },
  ];
}

export function edgeCases(): Operation[] {
  return [
    ...writes(),
    ...reads(),
    ...transactions(),
    ...leases(),
    ...compactions(),
    ...watches(),
    ...others(),
    ...corruption(),
  ];
}
