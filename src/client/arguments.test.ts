// What a caller without a type checker gets wrong is refused by name, before anything is sent.

import { expect, test } from 'vitest';
import { CA_CERT, CLIENT_CERT, SERVER_KEY } from '../net/testing/certificates.fixture.ts';
import {
  type Client,
  compare,
  etcdserverpb,
  op,
  parseEndpoint,
  prefixEnd,
  Client as RealClient,
} from './index.ts';
import { ClientWorld } from './sim-etcd.fixture.ts';

/** A value of any type. */
// biome-ignore lint/suspicious/noExplicitAny: what is tested is what types would refuse
type Anything = any;

const WRONG: readonly (readonly [
  string,
  (client: Client, wrong: (value: unknown) => Anything) => unknown,
  string,
])[] = [
  [
    'put without a value',
    (c, w) => c.kv.put('k', w(undefined)),
    'value must be a string or a Uint8Array, not undefined',
  ],
  [
    'put of a number',
    (c, w) => c.kv.put('k', w(5)),
    'value must be a string or a Uint8Array, not 5',
  ],
  [
    'put of an object',
    (c, w) => c.kv.put('k', w({})),
    'value must be a string or a Uint8Array, not an object',
  ],
  [
    'put of null',
    (c, w) => c.kv.put('k', w(null)),
    'value must be a string or a Uint8Array, not null',
  ],
  [
    'put under a number',
    (c, w) => c.kv.put(w(5), 'v'),
    'key must be a string or a Uint8Array, not 5',
  ],
  [
    'put with a lease that is a number',
    (c, w) => c.kv.put('k', 'v', { lease: w(5) }),
    'lease must be a bigint, not 5',
  ],
  [
    'put with a lease of 65 bits',
    (c) => c.kv.put('k', 'v', { lease: 2n ** 64n }),
    'lease has over 64 bits',
  ],
  [
    'put with prevKv that is a string',
    (c, w) => c.kv.put('k', 'v', { prevKv: w('yes') }),
    'prevKv must be a boolean, not "yes"',
  ],
  [
    'put with options that are none',
    (c, w) => c.kv.put('k', 'v', w(null)),
    'options must be an object, not null',
  ],
  [
    'a time limit that is a string',
    (c, w) => c.kv.put('k', 'v', { timeoutMs: w('5s') }),
    'timeoutMs must be a number, not "5s"',
  ],
  [
    'a time limit of NaN',
    (c) => c.kv.put('k', 'v', { timeoutMs: Number.NaN }),
    'timeoutMs is not a number: NaN',
  ],
  [
    'a signal that is none',
    (c, w) => c.kv.get('k', { signal: w({}) }),
    'signal must be an AbortSignal, not an object',
  ],
  [
    'requireLeader that is a number',
    (c, w) => c.kv.get('k', { requireLeader: w(1) }),
    'requireLeader must be a boolean, not 1',
  ],
  [
    'get of nothing',
    (c, w) => c.kv.get(w(undefined)),
    'key must be a string or a Uint8Array, not undefined',
  ],
  [
    'get with a prefix that is a string',
    (c, w) => c.kv.get('k', { prefix: w('a') }),
    'prefix must be a boolean, not "a"',
  ],
  [
    'get up to a number',
    (c, w) => c.kv.get('k', { rangeEnd: w(5) }),
    'rangeEnd must be a string or a Uint8Array, not 5',
  ],
  [
    'get with a limit that is a string',
    (c, w) => c.kv.get('k', { limit: w('5') }),
    'limit must be a number, not "5"',
  ],
  [
    'get with a limit of a half',
    (c) => c.kv.get('k', { limit: 0.5 }),
    'limit is not an integer within 2^53: 0.5',
  ],
  [
    'get sorted by a misspelt field',
    (c, w) => c.kv.get('k', { sortBy: w('modRev') }),
    `sortBy must be one of 'key', 'version', 'createRevision', 'modRevision', 'value', not "modRev"`,
  ],
  [
    'get in a misspelt order',
    (c, w) => c.kv.get('k', { order: w('DESC') }),
    `order must be one of 'ascend', 'descend', not "DESC"`,
  ],
  ['a stream of a number', (c, w) => c.kv.getStream(w(5)).next(), 'key must be'],
  [
    'scan in pages of none',
    (c) => c.kv.scan('k', { pageKeys: 0 }).next(),
    'pageKeys is not a positive integer: 0',
  ],
  [
    'scan in pages of a string',
    (c, w) => c.kv.scan('k', { pageKeys: w('9') }).next(),
    'pageKeys must be a number, not "9"',
  ],
  ['delete of nothing', (c, w) => c.kv.delete(w(undefined)), 'key must be'],
  [
    'delete with a misspelt kind',
    (c, w) => c.kv.delete('k', { fromKey: w(1) }),
    'fromKey must be a boolean, not 1',
  ],
  [
    'compact without a revision',
    (c, w) => c.kv.compact(w(undefined)),
    'revision must be a number, not undefined',
  ],
  [
    'compact with physical that is a string',
    (c, w) => c.kv.compact(5, { physical: w('no') }),
    'physical must be a boolean, not "no"',
  ],
  [
    'a comparison of a misspelt target',
    (_c, w) => compare('k', w('mod_revision'), '=', 5),
    `the target of a comparison must be one of 'version', 'createRevision', 'modRevision', 'value', 'lease', not "mod_revision"`,
  ],
  [
    'a comparison of what every object has',
    (_c, w) => compare('k', w('toString'), '=', 5),
    'the target of a comparison must be one of',
  ],
  [
    'a comparison by a misspelt operator',
    (_c, w) => compare('k', 'version', w('=='), 5),
    `the operator of a comparison must be one of '=', '!=', '>', '<', not "=="`,
  ],
  [
    'a comparison by what every object has',
    (_c, w) => compare('k', 'version', w('toString'), 5),
    'the operator of a comparison must be one of',
  ],
  [
    'a comparison with undefined',
    (_c, w) => compare('k', 'value', '=', w(undefined)),
    'value is compared with a bytes, not a undefined',
  ],
  [
    'a comparison with a lease of 65 bits',
    () => compare('k', 'lease', '=', 2n ** 64n),
    'lease has over 64 bits',
  ],
  ['an operation without a value', (_c, w) => op.put('k', w(undefined)), 'value must be'],
  [
    'a transaction of a string',
    (c, w) => c.kv.txn().then(w('get')),
    'an operation is made by op.get(), op.put(), op.delete() or op.txn()',
  ],
  [
    'a transaction of undefined',
    (c, w) => c.kv.txn().else(w(undefined)),
    'an operation is made by',
  ],
  [
    'a transaction under true',
    (c, w) => c.kv.txn().if(w(true)),
    'a comparison is made by compare()',
  ],
  [
    'a nested transaction of numbers',
    (_c, w) => op.txn({ success: [w(5)] }),
    'an operation is made by',
  ],
  ['a grant of a string', (c, w) => c.lease.grant(w('10')), 'ttl must be a number, not "10"'],
  ['a grant of a half', (c) => c.lease.grant(0.5), 'ttl is not an integer within 2^53: 0.5'],
  [
    'a grant with an id that is a number',
    (c, w) => c.lease.grant(5, { id: w(7) }),
    'id must be a bigint, not 7',
  ],
  ['revoking a number', (c, w) => c.lease.revoke(w(5)), 'id must be a bigint, not 5'],
  [
    'keeping nothing alive',
    (c, w) => c.lease.keepAlive(w(undefined)),
    'id must be a bigint, not undefined',
  ],
  [
    'keeping with a signal that is none',
    (c, w) => c.lease.keepAlive(5n, { signal: w(1) }),
    'signal must be an AbortSignal',
  ],
  [
    'keeping a string alive once',
    (c, w) => c.lease.keepAliveOnce(w('5')),
    'id must be a bigint, not "5"',
  ],
  ['the time of a number', (c, w) => c.lease.timeToLive(w(5)), 'id must be a bigint, not 5'],
  [
    'the keys of a lease, asked for by a string',
    (c, w) => c.lease.timeToLive(5n, { keys: w('y') }),
    'keys must be a boolean',
  ],
  [
    'a list with options that are none',
    (c, w) => c.lease.list(w(5)),
    'options must be an object, not 5',
  ],
  ['a watch of a number', (c, w) => c.watch(w(5)), 'key must be'],
  [
    'a watch from a string',
    (c, w) => c.watch('k', { startRevision: w('5') }),
    'startRevision must be a number, not "5"',
  ],
  [
    'a watch with a misspelt filter',
    (c, w) => c.watch('k', { filters: [w('noput')] }),
    `each of filters must be one of 'noPut', 'noDelete', not "noput"`,
  ],
  [
    'a watch with a filter that is no list',
    (c, w) => c.watch('k', { filters: w('noPut') }),
    'filters must be an array',
  ],
  [
    'a watch with prevKv that is a number',
    (c, w) => c.watch('k', { prevKv: w(1) }),
    'prevKv must be a boolean',
  ],
  [
    'the status of a number',
    (c, w) => c.maintenance.status({ endpoint: w(5) }),
    'endpoint must be a string, not 5',
  ],
  [
    'a hash up to a string',
    (c, w) => c.maintenance.hashKv({ revision: w('5') }),
    'revision must be a number',
  ],
  [
    'ending alarms of a number',
    (c, w) => c.maintenance.disarm({ memberId: w(5) }),
    'memberId must be a bigint, not 5',
  ],
  [
    'ending alarms named by a string',
    (c, w) => c.maintenance.disarm({ alarm: w('NOSPACE') }),
    'alarm must be a number, not "NOSPACE"',
  ],
  [
    'a leader that is a number',
    (c, w) => c.maintenance.moveLeader(w(5)),
    'targetId must be a bigint, not 5',
  ],
  [
    'an unknown action',
    (c, w) => c.maintenance.downgrade(w('ENABLE'), '3.6'),
    'action must be validate, enable or cancel, not ENABLE',
  ],
  [
    'a downgrade to a number',
    (c, w) => c.maintenance.downgrade('enable', w(3.6)),
    'version must be a string, not 3.6',
  ],
  [
    'a snapshot with options that are none',
    (c, w) => c.maintenance.snapshot(w(5)).next(),
    'options must be an object',
  ],
  [
    'members, asked for by a string',
    (c, w) => c.cluster.memberList({ linearizable: w('l') }),
    'linearizable must be a boolean',
  ],
  [
    'a member at a string',
    (c, w) => c.cluster.memberAdd(w('http://a:1')),
    'peerUrls must be an array of strings, not "http://a:1"',
  ],
  [
    'a member at a number',
    (c, w) => c.cluster.memberAdd([w(5)]),
    'each of peerUrls must be a string, not 5',
  ],
  ['removing a number', (c, w) => c.cluster.memberRemove(w(5)), 'id must be a bigint, not 5'],
  [
    'updating a string',
    (c, w) => c.cluster.memberUpdate(w('5'), ['http://a:1']),
    'id must be a bigint, not "5"',
  ],
  ['promoting nothing', (c, w) => c.cluster.memberPromote(w(undefined)), 'id must be a bigint'],
  [
    'endpoints that are a number',
    (c, w) => c.setEndpoints(w(5)),
    'endpoints must be an array of strings, not 5',
  ],
  [
    'a call without a request',
    (c, w) => c.call(etcdserverpb.KVService.methods.range, w(undefined)),
    'request must be an object, not undefined',
  ],
  [
    'a stream without a request',
    (c, w) => c.callStream(etcdserverpb.KVService.methods.rangeStream, w(5)),
    'request must be an object',
  ],
  [
    'a call with a value of undefined',
    (c, w) =>
      c.call(etcdserverpb.KVService.methods.put, { key: Buffer.from('k'), value: w(undefined) }),
    'request.value must be a Uint8Array, not undefined',
  ],
  [
    'a call with a key that is text',
    (c, w) => c.call(etcdserverpb.KVService.methods.range, { key: w('k') }),
    'request.key must be a Uint8Array, not "k"',
  ],
  [
    'a call with a lease that is a number',
    (c, w) => c.call(etcdserverpb.LeaseService.methods.leaseRevoke, { id: w(5) }),
    'request.id must be a bigint, not 5',
  ],
  [
    'a call with operations that are none',
    (c, w) => c.call(etcdserverpb.KVService.methods.txn, { success: w('x') }),
    'request.success must be an array, not "x"',
  ],
  [
    'a call with a misspelt field',
    (c, w) => c.call(etcdserverpb.KVService.methods.range, w({ kye: Buffer.from('k') })),
    'request has no field kye',
  ],
  ['an endpoint that is none', (_c, w) => parseEndpoint(w(5)), 'endpoint must be a string, not 5'],
  ['the end of a prefix that is text', (_c, w) => prefixEnd(w('a')), 'prefix must be a Uint8Array'],
  [
    'a client of nothing',
    (_c, w) => new RealClient(w(undefined)),
    'options must be an object, not undefined',
  ],
  [
    'a client of no endpoints',
    (_c, w) => new RealClient(w({})),
    'endpoints must be an array of strings, not undefined',
  ],
  [
    'a client with a time limit that is a string',
    (_c, w) => new RealClient({ endpoints: 'a', timeoutMs: w('5') }),
    'timeoutMs must be a number',
  ],
  [
    'a client with half a keepalive',
    (_c, w) => new RealClient({ endpoints: 'a', keepalive: w({ intervalMs: 5 }) }),
    'keepalive.timeoutMs must be a number, not undefined',
  ],
  [
    'a client with half a user',
    (_c, w) => new RealClient({ endpoints: 'a', auth: w({ user: 'a' }) }),
    'auth.password must be a string, not undefined',
  ],
  [
    'a client with a password that is a number, which is not shown',
    (_c, w) => new RealClient({ endpoints: 'a', auth: { user: 'a', password: w(1234) } }),
    'auth.password must be a string, not number',
  ],
  [
    'a client with a user and a token',
    (_c, w) => new RealClient({ endpoints: 'a', auth: w({ user: 'a', token: 't' }) }),
    'auth has a token and a user',
  ],
  [
    'a client with an empty token',
    () => new RealClient({ endpoints: 'a', auth: { token: '' } }),
    'auth.token is empty',
  ],
  [
    'a user without a password',
    (c, w) => c.auth.userAdd('u', w(undefined)),
    'password must be a string, not undefined',
  ],
  [
    'a user with a password that is a number, which is not shown',
    (c, w) => c.auth.userChangePassword('u', w(1234)),
    'password must be a string, not number',
  ],
  ['a role that is a number', (c, w) => c.auth.roleAdd(w(5)), 'name must be a string, not 5'],
  [
    'a permission to do something else',
    (c, w) => c.auth.roleGrantPermission('r', w('execute'), 'k'),
    `type must be one of 'read', 'write', 'readwrite', not "execute"`,
  ],
  [
    'a permission for a prefix and to the end',
    (c) => c.auth.roleRevokePermission('r', 'k', { prefix: true, fromKey: true }),
    'prefix, fromKey and rangeEnd exclude each other',
  ],
  [
    'a client with TLS that is text',
    (_c, w) => new RealClient({ endpoints: 'https://a', tls: w('yes') }),
    'tls must be an object, not "yes"',
  ],
  [
    'a client with an authority that is a number',
    (_c, w) => new RealClient({ endpoints: 'https://a', tls: { ca: ['', w(5)] } }),
    'tls.ca must be a string or a Uint8Array, not 5',
  ],
  [
    'a client with an authority that is empty',
    () => new RealClient({ endpoints: 'https://a', tls: { ca: '' } }),
    'ca holds no certificate in PEM',
  ],
  [
    'a client with a damaged authority',
    () => new RealClient({ endpoints: 'https://a', tls: { ca: CA_CERT.replace('MII', 'MAI') } }),
    'ca holds a damaged certificate',
  ],
  [
    'a client with a certificate without key',
    () => new RealClient({ endpoints: 'https://a', tls: { cert: CLIENT_CERT } }),
    'cert without key',
  ],
  [
    'a client with a key that is none',
    () => new RealClient({ endpoints: 'a', tls: { cert: CLIENT_CERT, key: CLIENT_CERT } }),
    'key holds no private key in PEM',
  ],
  [
    'a client with the key of another certificate',
    () => new RealClient({ endpoints: 'a', tls: { cert: CLIENT_CERT, key: SERVER_KEY } }),
    'key is not that of the certificate in cert',
  ],
  [
    'a client with TLS for nothing',
    () => new RealClient({ endpoints: ['http://a', 'http://b'], tls: { ca: CA_CERT } }),
    'tls is given, and no endpoint is encrypted: http://a, http://b',
  ],
];

test.each(WRONG)('%s', async (_what, call, text) => {
  const world = new ClientWorld();
  await world.run(async () => {
    const client = world.client();
    const outcome = await (async () => call(client, (value) => value))().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(outcome).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(text),
    });
    expect(world.etcd.counts).toEqual(new Map());
    expect(world.etcd.watchStreams).toBe(0);
  });
});

test('options that are undefined are as if left out', async () => {
  const world = new ClientWorld();
  await world.run(async () => {
    const nothing = { timeoutMs: undefined, signal: undefined, requireLeader: undefined };
    const client = world.client({ timeoutMs: undefined, tls: undefined, auth: undefined });
    await client.kv.put('k', 'v', { ...nothing, lease: undefined, prevKv: undefined });
    await client.kv.get('k', {
      ...nothing,
      prefix: undefined,
      rangeEnd: undefined,
      limit: undefined,
    });
    for await (const _ of client.kv.scan('k', {
      ...nothing,
      pageKeys: undefined,
      rangeEnd: undefined,
    }));
    await client.lease.grant(5, { ...nothing, id: undefined });
    await client.cluster.memberList({ ...nothing, linearizable: undefined });
    await client.maintenance.status({ ...nothing, endpoint: undefined });
    const watch = client.watch('k', {
      signal: undefined,
      startRevision: undefined,
      filters: undefined,
    });
    await watch.created;
    const keeper = client.lease.keepAlive(1n, { signal: undefined, requireLeader: undefined });
    expect((await keeper.next()).value).toMatchObject({ id: 1n });
  });
});
