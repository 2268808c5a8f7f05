// Requests to a gateway, in the order in which they are sent: what they do is part of the comparison.

import type { FieldInfo, MessageInfo, ServiceDescriptor } from '../../src/protocol/index.ts';
import * as protocol from '../../src/protocol/index.ts';
import type { Ask } from './http-client.ts';

const post = (path: string, body: string, headers?: Record<string, string>): Ask => ({
  ...{ path, body },
  ...(headers && { headers }),
});
const kv = (method: string, body: unknown): Ask => post(`/v3/kv/${method}`, JSON.stringify(body));
const KEY = 'Zm9v';

/** Calls that do something, and what can be seen of it. */
const CALLS: readonly Ask[] = [
  kv('put', { key: KEY, value: 'YmFy' }),
  kv('put', { key: KEY, value: 'YmF6', prev_kv: true }),
  kv('put', { key: 'Zm9vMg==', lease: 77 }),
  kv('put', { key: '', value: KEY }),
  kv('range', { key: KEY, rangeEnd: 'Zm9w', sortOrder: 'DESCEND', sort_target: 2 }),
  kv('range', { key: 'AA==', range_end: 'AA==', limit: '1' }),
  kv('range', { key: 'AA', range_end: 'AA', count_only: true }),
  kv('range', { key: KEY, revision: 99 }),
  kv('range', { key: KEY, revision: '-1' }),
  kv('txn', {
    compare: [{ key: KEY, target: 'VERSION', result: 'EQUAL', version: 2 }],
    success: [{ request_put: { key: 'dHhu' } }, { requestRange: { key: KEY } }, {}],
    failure: [{ requestDeleteRange: { key: KEY } }],
  }),
  kv('txn', { success: [{ request_delete_range: { key: 'dHhu', prev_kv: true } }] }),
  kv('txn', {
    success: [
      { request_put: { key: KEY } },
      { request_txn: { success: [{ request_put: { key: KEY } }] } },
    ],
  }),
  kv('deleterange', { key: 'bm9uZQ==' }),
  kv('compaction', { revision: 3 }),
  kv('compaction', { revision: 3 }),
  kv('range', { key: KEY, revision: 2 }),
  post('/v3/lease/grant', '{"ID":"7","TTL":100}'),
  post('/v3/lease/grant', '{"ID":7,"TTL":100}'),
  post('/v3/lease/grant', '{"TTL":"9000000001"}'),
  kv('put', { key: 'bGVhc2Vk', lease: '7' }),
  post('/v3/lease/timetolive', '{"ID":8,"keys":true}'),
  post('/v3/kv/lease/timetolive', '{"ID":8}'),
  post('/v3/kv/lease/leases', '{}'),
  post('/v3/lease/keepalive', '{"ID":"7"}{"ID":8} {"ID":7}'),
  post('/v3/lease/keepalive', ''),
  post('/v3/kv/lease/revoke', '{"ID":7}'),
  post('/v3/lease/revoke', '{"ID":7}'),
  post('/v3/lease/grant', '{"ID":9,"TTL":100}'),
  post('/v3/lock/lock', '{"name":"bA==","lease":9}'),
  post('/v3/lock/unlock', '{"key":"bC85"}'),
  post('/v3/lock/lock', '{"name":"bA==","lease":10}'),
  post('/v3/election/leader', '{"name":"ZQ=="}'),
  post('/v3/election/campaign', '{"name":"ZQ==","lease":9,"value":"djE="}'),
  post('/v3/election/leader', '{"name":"ZQ=="}'),
  post('/v3/election/proclaim', '{"leader":{"key":"ZS85","rev":1},"value":"djI="}'),
  post('/v3/election/resign', '{"value":1}'),
  post('/v3/cluster/member/list', '{"linearizable":true}'),
  post('/v3/cluster/member/add', '{"peerURLs":["localhost"]}'),
  post('/v3/cluster/member/remove', '{"ID":1}'),
  post('/v3/cluster/member/promote', '{"ID":1}'),
  post('/v3/maintenance/status', ''),
  post('/v3/maintenance/alarm', '{"action":"ACTIVATE","alarm":"NOSPACE"}'),
  kv('put', { key: KEY, value: 'bm8=' }),
  post('/v3/maintenance/alarm', '{"alarm":1,"action":"DEACTIVATE"}'),
  post('/v3/maintenance/hash', '{}'),
  post('/v3/maintenance/hashkv', '{"revision":"2"}'),
  post('/v3/maintenance/transfer-leadership', '{"targetID":5}'),
  post('/v3/maintenance/defragment', '{}'),
  post('/v3beta/kv/range', `{"key":"${KEY}"}`),
];

const RANGE = `{"key":"${KEY}"}`;
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

/** How requests are made, and what is none. */
const FORMS: readonly Ask[] = [
  ...['GET', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'LOCK'].flatMap((method) => [
    { method, path: '/v3/kv/range', body: method === 'HEAD' ? '' : RANGE },
    { method, path: '/v3/nosuch' },
  ]),
  ...['/v3', '/v3/', '/v3?a=b', '/v3beta', '/v3beta/', '/v3alpha/kv/range', '/v2/keys'].flatMap(
    (path) => [post(path, RANGE), { path, method: 'GET' }],
  ),
  ...[
    ...['/v3/kv/range/', '/v3//kv/range', '/v3/./kv/range', '/v3/kv/../kv/range', '//v3/kv/range'],
    ...['/v3/kv%2Frange', '/v3%2Fkv/range', '/%763/kv/range', '/v3/kv/r%61nge', '/v3/kv/range%20'],
    ...['/v3/kv/range%2F', '/v3/kv/range?key=x', '/v3/kv/range?', '/v3/kv/range#x', '/V3/kv/range'],
    ...['/v3/kv/range:get', '/v3/kv/range;x', '/v3/kv', '/v3/kv/', '/v3/KV/range', '/v3/kv/%zz'],
    ...['/v3/kv/range%00', '/v3/kv/%ff', '/v3/kv/range/extra', '/v3/kv/compact', '/v3/..'],
  ].map((path) => post(path, RANGE)),
  post('/v3/kv/range', RANGE, { 'content-type': 'text/plain' }),
  post('/v3/kv/range', RANGE, { 'content-type': 'application/json; charset=latin1' }),
  post('/v3/kv/range', RANGE, { 'content-type': 'nonsense;;' }),
  post('/v3/kv/range', RANGE, { accept: 'text/html' }),
  post('/v3/kv/range', RANGE, { origin: 'http://elsewhere.example' }),
  post('/v3/kv/range', RANGE, { te: 'trailers' }),
  post('/v3/kv/range', RANGE, { 'accept-encoding': 'gzip' }),
  post('/v3/kv/range', RANGE, { ...FORM, 'x-http-method-override': 'GET' }),
  post('/v3/kv/range', RANGE, { 'x-http-method-override': 'GET' }),
  post('/v3/kv/range', RANGE, FORM),
  post('/v3/kv/range', RANGE, { authorization: 'Bearer nothing' }),
  post('/v3/kv/range', RANGE, { 'transfer-encoding': 'chunked' }),
  ...['5S', '1H', '0S', '-1S', '+1S', '1n', '5', 'S', '', ' ', '1s', '99999999999999999999S'].map(
    (timeout) => post('/v3/kv/range', RANGE, { 'grpc-timeout': timeout }),
  ),
  ...['AAE=', 'AAE', 'A', 'A*', '====', ''].map((value) =>
    post('/v3/kv/range', RANGE, { 'grpc-metadata-some-bin': value }),
  ),
  post('/v3/kv/range', RANGE, { 'grpc-metadata-hasleader': 'true' }),
  post('/v3/kv/range', RANGE, { 'grpc-metadata-content-type': 'x', 'grpc-metadata-a~b': 'x' }),
];

/** Bodies that are not what they should be, for a method with fields of many kinds. */
const BODIES: readonly string[] = [
  ...['', ' ', '\n', 'null', 'true', '[]', '""', '0', '-', '01', '1.', '1e', 'nul', '{', '}', '['],
  ...['{}', '{}{}', '{} x', '{},', '{"key"}', '{"key":}', '{"key":"Zm9v",}', '{key:"Zm9v"}'],
  ...["{'key':'Zm9v'}", '{"key":"Zm9v"', '{"key":"Zm9', '{"key":"Zm9v"}}', '\ufeff{}', '<xml/>'],
  ...[
    '{"key":"a\\qb"}',
    '{"key":"a\nb"}',
    '{"key":"\\u12"}',
    '{"key":"\\ud800"}',
    '{"k\\u0065y":""}',
  ],
  ...['{"key":"Zm9v","key":"Zm9v"}', '{"range_end":"","rangeEnd":""}', '{"key":null,"key":null}'],
  ...['{"unknown":{"a":[1,{"b":null}]},"key":"Zm9v"}', '{"@type":"x","[a.b]":1,"key":"Zm9v"}'],
  ...['{"key":["Zm9v"]}', '{"key":"Zm9v=="}', '{"key":"Z"}', '{"key":"Zm9v*"}', '{"key":"_-8"}'],
  ...['{"key":"Zm9v","limit":9223372036854775808}', '{"key":"Zm9v","limit":1e3}'],
  ...['{"key":"Zm9v","limit":"1.0"}', '{"key":"Zm9v","limit":1.5}', '{"limit":" 1"}'],
  ...['{"key":"Zm9v","revision":1e400}', `{"key":"Zm9v","limit":${'9'.repeat(400)}}`],
  ...['{"key":"Zm9v","serializable":"true"}', '{"key":"Zm9v","serializable":1}'],
  ...['{"key":"Zm9v","sort_order":"NOPE"}', '{"key":"Zm9v","sort_order":7}'],
  ...['{"key":"Zm9v","sort_order":[]}', '{"key":"Zm9v","sort_order":2147483648}'],
  `${'{"a":'.repeat(9_998)}1${'}'.repeat(9_998)}`,
  `${'['.repeat(20_000)}`,
];

/** The same for transactions, whose messages nest. */
const TXN_BODIES: readonly string[] = [
  ...[
    '{"compare":{}}',
    '{"compare":[null]}',
    '{"compare":[[]]}',
    '{"success":[{"request_put":[]}]}',
  ],
  ...[
    '{"success":[{"request_put":{},"request_range":{}}]}',
    '{"compare":[{"version":1,"value":""}]}',
  ],
  ...['{"success":[{"requestPut":null,"requestRange":{"key":"Zm9v"}}]}', '{"success":null}'],
  ...[
    '{"compare":[{"key":"Zm9v","target":"LEASE","lease":"x"}]}',
    '{"compare":[{"result":"NOPE"}]}',
  ],
  ...['{"compare":[{"key":"Zm9v","result":9}]}', '{"compare":[{"target":9,"key":"Zm9v"}]}'],
];

const BAD_TOKEN = { authorization: 'nothing.1' };

/** Users; authentication is off again at the end. */
export const AUTH_REQUESTS: readonly Ask[] = [
  post('/v3/auth/status', ''),
  post('/v3/auth/authenticate', '{"name":"root","password":"a"}'),
  post('/v3/auth/enable', '{}'),
  post('/v3/auth/role/add', '{"name":"root"}'),
  post('/v3/auth/user/add', '{"name":"root","password":"a"}'),
  post('/v3/auth/user/add', '{"name":"root","password":"a"}'),
  post('/v3/auth/user/add', '{"name":"ann","options":{"no_password":true}}'),
  post('/v3/auth/user/grant', '{"user":"root","role":"root"}'),
  post('/v3/auth/role/add', '{"name":"r"}'),
  post('/v3/auth/role/grant', '{"name":"r","perm":{"permType":"READWRITE","key":"YQ=="}}'),
  post('/v3/auth/role/get', '{"role":"r"}'),
  post('/v3/auth/user/list', '{}'),
  post('/v3/auth/user/get', '{"name":"<none>"}'),
  post('/v3/auth/enable', '{}'),
  kv('put', { key: KEY }),
  kv('range', { key: KEY }),
  post('/v3/kv/range', `{"key":"${KEY}"}`, BAD_TOKEN),
  post('/v3/auth/authenticate', '{"name":"root","password":"b"}'),
  post('/v3/lock/lock', '{"name":"bA=="}'),
  post('/v3/election/leader', '{"name":"ZQ=="}', BAD_TOKEN),
  post('/v3/maintenance/status', '{}'),
  post('/v3/maintenance/snapshot', '{}'),
  post('/v3/auth/user/list', '{}', BAD_TOKEN),
];

export const REQUESTS: readonly Ask[] = [
  ...CALLS,
  ...FORMS,
  ...BODIES.map((body) => post('/v3/kv/range', body)),
  post('/v3/kv/range', 'latin1 \u00e9'),
  { path: '/v3/kv/range', body: Uint8Array.from(Buffer.from('{"key":"\xff"}', 'latin1')) },
  ...TXN_BODIES.map((body) => post('/v3/kv/txn', body)),
  kv('put', { key: KEY, value: Buffer.alloc(1_600_000).toString('base64') }),
  kv('put', { key: KEY, value: Buffer.alloc(2_200_000).toString('base64') }),
];

/** Streams: how many lines of the answer are compared. */
export const STREAMS: readonly (readonly [Ask, lines: number])[] = [
  [post('/v3/watch', `{"create_request":{"key":"${KEY}","start_revision":4}}`), 1],
  [post('/v3/watch', `{"create_request":{"key":"${KEY}","start_revision":1}}`), 2],
  [post('/v3/watch', '{"create_request":{"key":"Yg==","range_end":"YQ=="}}'), 1],
  [post('/v3/watch', '{"create_request":{"key":"Yg=="}} {"create_request":{"watch_id":"5"}}'), 2],
  [post('/v3/watch', '{"create_request":{"key":"Yg=="}}{"cancel_request":{"watch_id":0}}'), 2],
  [post('/v3/election/observe', '{"name":"ZQ=="}'), 1],
];

// --- From the schemas ------------------------------------------------------------------------------

/** A method that the gateway serves. */
export interface Route {
  readonly path: string;
  readonly rpc: string;
  readonly streams: boolean;
  readonly request: MessageInfo;
}

export const ROUTES: readonly Route[] = Object.values(protocol)
  .filter((one) => typeof one === 'object' && one !== null)
  .flatMap((namespace) => Object.values(namespace))
  .filter(
    (one): one is ServiceDescriptor => typeof one === 'object' && one !== null && 'methods' in one,
  )
  .flatMap(({ methods }) => Object.values(methods))
  .flatMap(({ path: rpc, httpPosts, request, clientStreaming, serverStreaming }) => {
    const streams = clientStreaming || serverStreaming;
    return httpPosts.map((path) => ({ path, rpc, streams, request: request.descriptor }));
  });

const WRONG = ['{}', '[]', '[[]]', 'true', '1.5', '1e30', '-1e30', '"*"', '"\u00e9"', '"\\ud800"'];

/** Methods that take a lock or lead an election when they are asked for nothing. */
export const WAITING: ReadonlySet<string> = new Set(['/v3/lock/lock', '/v3/election/campaign']);

/** What each field of a request is given that it does not take. */
export function wrongBodies({ request }: Route): string[] {
  return request.fields.flatMap((field) => [
    ...WRONG.filter((value) => !takes(field, value)).map((value) => `{"${field.name}":${value}}`),
    `{"${field.name}":null,"${field.name}":null}`,
  ]);
}

/** Those that could do something: they are left to the requests above. */
function takes(field: FieldInfo, value: string): boolean {
  if (value === '[]') return field.repeated === true;
  if (value === '{}') return field.type === 'message' && field.repeated !== true;
  if (value === 'true') return field.type === 'bool';
  if (field.type === 'string') return value.startsWith('"') && value !== '"\\ud800"';
  return field.type === 'enum' && value === '"*"';
}
