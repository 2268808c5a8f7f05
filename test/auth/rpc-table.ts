// Every method of every service, asked by nobody, by a user without a role, by a user with one, and by root:
// what real etcd answers to each.

import type { ApiClient, Message, Reply } from '../helpers/api.ts';
import { CALLERS, type Caller } from './users.ts';

/** The answers to nobody, nora, uma and root. */
export type Answers = readonly [nobody: string, nora: string, uma: string, root: string];

export interface Row {
  /** `Service/Method`. */
  readonly rpc: string;
  /** What is asked for, where a method stands in several rows. */
  readonly what?: string;
  readonly request: Message;
  readonly answers: Answers;
}

const OK = 'OK';
const EMPTY = '3 etcdserver: user name is empty';
const DENIED = '7 etcdserver: permission denied';
/** Everybody is served. */
const ALL: Answers = [OK, OK, OK, OK];
/** Everybody with a name is served. */
const NAMED: Answers = [EMPTY, OK, OK, OK];
/** Who has the permission, and root. */
const PERMITTED: Answers = [EMPTY, DENIED, OK, OK];
/** Root gets an answer, which may be that something is wrong with the request. */
const rootGets = (answer: string): Answers => [EMPTY, DENIED, DENIED, answer];
const ROOT = rootGets(OK);
/** What Lock and Election ask for in the caller's name: etcd hands on the text alone. */
const EMPTY_INSIDE = '2 etcdserver: user name is empty';
const DENIED_INSIDE = '2 etcdserver: permission denied';
const PERMITTED_INSIDE: Answers = [EMPTY_INSIDE, DENIED_INSIDE, OK, OK];

const K = { key: 'k' };
const A = { key: 'a' };
const range = (request: Message) => ({ request_range: request });
const put = (request: Message) => ({ request_put: request });
const remove = (request: Message) => ({ request_delete_range: request });
const nested = (request: Message) => ({ request_txn: request });
const NO_USER = '9 etcdserver: user name not found';
const NO_ROLE = '9 etcdserver: role name not found';

/** A lease with the key `k`, and one with the key `a` besides; granted before. */
export const LEASE_OF_K = '7001';
export const LEASE_OF_A = '7002';

export const ROWS: readonly Row[] = [
  { rpc: 'KV/Range', request: K, answers: PERMITTED },
  {
    rpc: 'KV/Range',
    what: 'serializable',
    request: { ...K, serializable: true },
    answers: PERMITTED,
  },
  { rpc: 'KV/Range', what: 'another key', request: A, answers: ROOT },
  { rpc: 'KV/Range', what: 'beyond', request: { key: 'k', range_end: 'm' }, answers: ROOT },
  { rpc: 'KV/Range', what: 'from a key on', request: { key: 'k', range_end: '\0' }, answers: ROOT },
  {
    rpc: 'KV/Range',
    what: 'no key',
    request: {},
    answers: [
      '3 etcdserver: key is not provided',
      '3 etcdserver: key is not provided',
      '3 etcdserver: key is not provided',
      '3 etcdserver: key is not provided',
    ],
  },
  { rpc: 'KV/RangeStream', request: K, answers: PERMITTED },
  { rpc: 'KV/RangeStream', what: 'another key', request: A, answers: ROOT },
  { rpc: 'KV/Put', request: { ...K, value: '1' }, answers: PERMITTED },
  { rpc: 'KV/Put', what: 'another key', request: { ...A, value: '1' }, answers: ROOT },
  {
    rpc: 'KV/Put',
    what: 'on a lease with another key',
    request: { ...K, lease: LEASE_OF_A },
    answers: ROOT,
  },
  { rpc: 'KV/DeleteRange', request: { key: 'kx' }, answers: PERMITTED },
  { rpc: 'KV/DeleteRange', what: 'another key', request: { key: 'ax' }, answers: ROOT },
  { rpc: 'KV/Txn', request: { success: [put({ key: 'k2' })] }, answers: PERMITTED },
  { rpc: 'KV/Txn', what: 'reading', request: { success: [range(K)] }, answers: PERMITTED },
  { rpc: 'KV/Txn', what: 'empty', request: {}, answers: ALL },
  { rpc: 'KV/Txn', what: 'comparing another key', request: { compare: [A] }, answers: ROOT },
  {
    rpc: 'KV/Txn',
    what: 'reading another key in the branch not taken',
    request: { failure: [range(A)] },
    answers: ROOT,
  },
  {
    rpc: 'KV/Txn',
    what: 'writing another key, nested',
    request: { success: [nested({ success: [nested({ failure: [put(A)] })] })] },
    answers: ROOT,
  },
  {
    rpc: 'KV/Txn',
    what: 'comparing another key, nested',
    request: { success: [put({ key: 'k3' }), nested({ compare: [A] })] },
    answers: ROOT,
  },
  {
    rpc: 'KV/Txn',
    what: 'deleting another key',
    request: { success: [remove({ key: 'ax' })] },
    answers: ROOT,
  },
  {
    rpc: 'KV/Txn',
    what: 'on a lease with another key',
    request: { success: [put({ key: 'k4', lease: LEASE_OF_A })] },
    answers: ROOT,
  },
  {
    rpc: 'KV/Compact',
    request: { revision: '1' },
    answers: ROOT,
  },
  {
    rpc: 'Watch/Watch',
    request: { create_request: K },
    answers: [
      `canceled: rpc error: code = InvalidArgument desc = etcdserver: user name is empty`,
      `canceled: rpc error: code = PermissionDenied desc = etcdserver: permission denied`,
      OK,
      OK,
    ],
  },
  ...[
    A,
    { key: 'k', range_end: '\0' },
    { key: '\0', range_end: '\0' },
    { key: 'k', range_end: 'm' },
    {},
  ].map(
    (asked): Row => ({
      rpc: 'Watch/Watch',
      what: JSON.stringify(asked),
      request: { create_request: asked },
      answers: [
        `canceled: rpc error: code = InvalidArgument desc = etcdserver: user name is empty`,
        `canceled: rpc error: code = PermissionDenied desc = etcdserver: permission denied`,
        `canceled: rpc error: code = PermissionDenied desc = etcdserver: permission denied`,
        OK,
      ],
    }),
  ),
  { rpc: 'Lease/LeaseGrant', request: { TTL: '600' }, answers: NAMED },
  {
    rpc: 'Lease/LeaseRevoke',
    request: { ID: '99' },
    answers: [
      EMPTY,
      '5 etcdserver: requested lease not found',
      '5 etcdserver: requested lease not found',
      '5 etcdserver: requested lease not found',
    ],
  },
  {
    rpc: 'Lease/LeaseRevoke',
    what: 'of another key',
    request: { ID: LEASE_OF_A },
    answers: [EMPTY, DENIED, DENIED, OK],
  },
  { rpc: 'Lease/LeaseTimeToLive', request: { ID: LEASE_OF_K }, answers: NAMED },
  {
    rpc: 'Lease/LeaseTimeToLive',
    what: 'with keys',
    request: { ID: LEASE_OF_K, keys: true },
    answers: PERMITTED,
  },
  {
    rpc: 'Lease/LeaseTimeToLive',
    what: 'unknown, with keys',
    request: { ID: '99', keys: true },
    answers: NAMED,
  },
  { rpc: 'Lease/LeaseLeases', request: {}, answers: PERMITTED },
  { rpc: 'Lease/LeaseKeepAlive', request: { ID: LEASE_OF_K }, answers: PERMITTED },
  { rpc: 'Lease/LeaseKeepAlive', what: 'unknown', request: { ID: '99' }, answers: NAMED },
  { rpc: 'Cluster/MemberList', request: {}, answers: NAMED },
  {
    rpc: 'Cluster/MemberList',
    what: 'linearizable',
    request: { linearizable: true },
    answers: NAMED,
  },
  {
    rpc: 'Cluster/MemberAdd',
    request: { peerURLs: ['http://127.0.0.1:2'], isLearner: true },
    answers: ROOT,
  },
  {
    rpc: 'Cluster/MemberAdd',
    what: 'without URLs',
    request: {},
    answers: [
      '3 etcdserver: given member URLs are invalid',
      '3 etcdserver: given member URLs are invalid',
      '3 etcdserver: given member URLs are invalid',
      '3 etcdserver: given member URLs are invalid',
    ],
  },
  {
    rpc: 'Cluster/MemberRemove',
    request: { ID: '99' },
    answers: rootGets('5 etcdserver: member not found'),
  },
  {
    rpc: 'Cluster/MemberUpdate',
    request: { ID: '99', peerURLs: ['http://127.0.0.1:3'] },
    answers: rootGets('5 etcdserver: member not found'),
  },
  {
    rpc: 'Cluster/MemberPromote',
    request: { ID: '99' },
    answers: rootGets('5 etcdserver: member not found'),
  },
  { rpc: 'Maintenance/Alarm', request: {}, answers: NAMED },
  { rpc: 'Maintenance/Alarm', what: 'deactivate', request: { action: 2, alarm: 1 }, answers: ROOT },
  { rpc: 'Maintenance/Status', request: {}, answers: NAMED },
  { rpc: 'Maintenance/Hash', request: {}, answers: ROOT },
  { rpc: 'Maintenance/HashKV', request: {}, answers: ROOT },
  { rpc: 'Maintenance/Snapshot', request: {}, answers: ROOT },
  {
    rpc: 'Maintenance/MoveLeader',
    request: { targetID: '99' },
    answers: rootGets('9 etcdserver: bad leader transferee'),
  },
  { rpc: 'Maintenance/Defragment', request: {}, answers: ROOT },
  { rpc: 'Maintenance/Downgrade', request: { action: 0, version: '3.6.0' }, answers: ROOT },
  { rpc: 'Auth/AuthStatus', request: {}, answers: ALL },
  { rpc: 'Auth/AuthEnable', request: {}, answers: ROOT },
  {
    rpc: 'Auth/Authenticate',
    request: { name: 'root', password: 'wrong' },
    answers: [
      '3 etcdserver: authentication failed, invalid user ID or password',
      '3 etcdserver: authentication failed, invalid user ID or password',
      '3 etcdserver: authentication failed, invalid user ID or password',
      '3 etcdserver: authentication failed, invalid user ID or password',
    ],
  },
  {
    rpc: 'Auth/UserAdd',
    request: { name: 'nora', password: 'x' },
    answers: rootGets('9 etcdserver: user name already exists'),
  },
  { rpc: 'Auth/UserGet', request: { name: 'nora' }, answers: [EMPTY, OK, DENIED, OK] },
  {
    rpc: 'Auth/UserGet',
    what: 'unknown',
    request: { name: '__proto__' },
    answers: rootGets(NO_USER),
  },
  { rpc: 'Auth/UserList', request: {}, answers: ROOT },
  { rpc: 'Auth/UserDelete', request: { name: 'toString' }, answers: rootGets(NO_USER) },
  {
    rpc: 'Auth/UserChangePassword',
    request: { name: 'x', password: 'x' },
    answers: rootGets(NO_USER),
  },
  { rpc: 'Auth/UserGrantRole', request: { user: 'x', role: 'root' }, answers: rootGets(NO_USER) },
  { rpc: 'Auth/UserRevokeRole', request: { name: 'x', role: 'root' }, answers: rootGets(NO_USER) },
  {
    rpc: 'Auth/RoleAdd',
    request: { name: 'k' },
    answers: rootGets('9 etcdserver: role name already exists'),
  },
  { rpc: 'Auth/RoleGet', request: { role: 'k' }, answers: PERMITTED },
  { rpc: 'Auth/RoleGet', what: 'unknown', request: { role: 'x' }, answers: rootGets(NO_ROLE) },
  { rpc: 'Auth/RoleList', request: {}, answers: ROOT },
  { rpc: 'Auth/RoleDelete', request: { role: 'x' }, answers: rootGets(NO_ROLE) },
  { rpc: 'Auth/RoleGrantPermission', request: { name: 'x', perm: K }, answers: rootGets(NO_ROLE) },
  {
    rpc: 'Auth/RoleRevokePermission',
    request: { role: 'x', key: 'k' },
    answers: rootGets(NO_ROLE),
  },
  { rpc: 'Lock/Lock', request: { name: 'k-lock', lease: LEASE_OF_K }, answers: PERMITTED_INSIDE },
  {
    rpc: 'Lock/Lock',
    what: 'another key',
    request: { name: 'a', lease: LEASE_OF_A },
    answers: [
      EMPTY_INSIDE,
      DENIED_INSIDE,
      DENIED_INSIDE,
      '2 etcdserver: requested lease not found',
    ],
  },
  { rpc: 'Lock/Unlock', request: { key: 'kx' }, answers: PERMITTED_INSIDE },
  {
    rpc: 'Election/Campaign',
    request: { name: 'k-elect', lease: LEASE_OF_K, value: 'v' },
    answers: PERMITTED_INSIDE,
  },
  { rpc: 'Election/Leader', request: { name: 'k-elect' }, answers: PERMITTED_INSIDE },
  // A stream that sees nothing ends without an error.
  { rpc: 'Election/Observe', request: { name: 'k-elect' }, answers: ALL },
  {
    rpc: 'Election/Proclaim',
    request: { leader: { name: 'k-elect', key: 'kx', rev: '1', lease: LEASE_OF_K }, value: 'w' },
    answers: [EMPTY_INSIDE, DENIED_INSIDE, '2 election: not leader', '2 election: not leader'],
  },
  {
    rpc: 'Election/Resign',
    request: { leader: { name: 'k-elect', key: 'kx', rev: '1', lease: LEASE_OF_K } },
    answers: PERMITTED_INSIDE,
  },
  // The last one: then nobody is asked any more.
  { rpc: 'Auth/AuthDisable', request: {}, answers: ROOT },
];

/** How a caller's request was answered. */
export async function ask(
  api: ApiClient,
  { rpc, request }: Row,
  token: string | undefined,
): Promise<string> {
  if (rpc === 'Watch/Watch' || rpc === 'Lease/LeaseKeepAlive') {
    return askStream(api, rpc, request, token);
  }
  if (rpc === 'Election/Observe') {
    const stream = api.serverStream(rpc, request, token);
    await stream.until(() => stream.received.length > 0);
    stream.cancel();
    if (stream.received.length > 0) return OK;
    return stream.ended === undefined ? 'no answer' : shown(stream.ended);
  }
  if (rpc === 'Maintenance/Snapshot' || rpc === 'KV/RangeStream') {
    return api.collect(rpc, request, token).then(
      () => OK,
      (error: { readonly code: number; readonly details: string }) =>
        `${error.code} ${error.details}`,
    );
  }
  return shown(await api.call(rpc, request, { token, undecoded: true }));
}

function shown({ code, details }: Pick<Reply, 'code' | 'details'>): string {
  return code === 0 ? OK : `${code} ${details}`;
}

async function askStream(
  api: ApiClient,
  rpc: string,
  request: Message,
  token: string | undefined,
): Promise<string> {
  const stream = api.stream(rpc, token);
  stream.send(request);
  await stream.until(() => stream.received.length > 0);
  stream.cancel();
  const [first] = stream.received;
  if (first === undefined) return stream.ended === undefined ? 'no answer' : shown(stream.ended);
  return first['canceled'] === true ? `canceled: ${first['cancel_reason']}` : OK;
}

/** The answers to every row, in order. */
export async function askAll(
  api: ApiClient,
  rows: readonly Row[],
  tokens: Readonly<Record<Caller, string | undefined>>,
): Promise<string[][]> {
  const answers: string[][] = [];
  for (const row of rows) {
    const own: string[] = [];
    for (const caller of CALLERS) own.push(await ask(api, row, tokens[caller]));
    answers.push(own);
  }
  return answers;
}
