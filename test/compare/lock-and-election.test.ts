// Lock and Election, asked as raw gRPC: the same script on real etcd 3.7 and on ours, the same outcome.

import { afterEach, expect, test } from 'vitest';
import { ApiClient, type ApiStream, type Message, type Reply, type Value } from '../helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function clientOf(program: Program): Promise<ApiClient> {
  const member = await Member.start(program);
  closing.push(() => member.dispose());
  const client = new ApiClient(member.endpoint);
  closing.push(() => client.close());
  return client;
}

/** A reply without ids that differ between clusters; leases of the server's choice are `LEASE`. */
function plain(reply: Reply | readonly Message[]): unknown {
  const text = JSON.stringify(reply, (name, value: Value) =>
    name === 'cluster_id' || name === 'member_id' ? undefined : value,
  );
  // A key has its lease's id in hexadecimal, without leading zeros.
  const granted = /(?<=\/)[0-9a-f]{10,16}\b|(?<="lease":")\d{13,}/g;
  return JSON.parse(text.replace(granted, 'LEASE'));
}

type Step = readonly [rpc: string, request: Message];

async function replies(client: ApiClient, steps: readonly Step[]): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const [rpc, request] of steps) answers.push(plain(await client.call(rpc, request)));
  return answers;
}

const LEADER = { name: 'e', key: 'e/ff', rev: '1', lease: '255' };

/** What is answered at once. */
const STEPS: readonly Step[] = [
  ['Lease/LeaseGrant', { ID: '255', TTL: '600' }],
  ['Lease/LeaseGrant', { ID: '9223372036854775807', TTL: '600' }],
  ['Lock/Lock', { name: 'a', lease: '99' }],
  ['Lock/Lock', { name: 'a', lease: '-5' }],
  ['Lock/Lock', { name: 'a' }],
  ['Lock/Lock', { name: 'b', lease: '255' }],
  ['Lock/Lock', { name: 'b', lease: '255' }],
  ['Lock/Lock', { name: '', lease: '9223372036854775807' }],
  ['Lock/Lock', { name: '\xff\0/', lease: '255' }],
  ['KV/Range', { key: '\0', range_end: '\0' }],
  ['Lock/Unlock', { key: 'b/ff' }],
  ['Lock/Unlock', { key: 'b/ff' }],
  ['Lock/Unlock', { key: '' }],
  ['Lock/Lock', { name: 'b', lease: '9223372036854775807' }],
  ['Election/Leader', { name: 'e' }],
  ['Election/Campaign', { name: 'e', lease: '77', value: 'v' }],
  ['Election/Campaign', { name: 'e', lease: '255', value: 'one' }],
  ['Election/Campaign', { name: 'e', lease: '255', value: 'one' }],
  ['Election/Campaign', { name: 'e', lease: '255', value: 'two' }],
  ['Election/Leader', { name: 'e' }],
  ['Election/Proclaim', { value: 'x' }],
  ['Election/Proclaim', { leader: {}, value: 'x' }],
  ['Election/Proclaim', { leader: LEADER, value: 'x' }],
  ['Election/Proclaim', { leader: { ...LEADER, rev: '8' }, value: 'x' }],
  ['Election/Proclaim', { leader: { ...LEADER, rev: '8', lease: '76' }, value: 'x' }],
  ['Election/Leader', { name: 'e' }],
  ['Election/Resign', {}],
  ['Election/Resign', { leader: {} }],
  ['Election/Resign', { leader: LEADER }],
  ['Election/Resign', { leader: { ...LEADER, rev: '8' } }],
  ['Election/Leader', { name: 'e' }],
  ['Election/Campaign', { name: 'e', value: 'three' }],
  ['KV/Range', { key: '\0', range_end: '\0' }],
];

async function atOnce(program: Program): Promise<unknown> {
  return replies(await clientOf(program), STEPS);
}

/** How many keys are below a prefix, once there are that many. */
async function untilKeys(client: ApiClient, prefix: string, count: number): Promise<void> {
  const range = { key: `${prefix}/`, range_end: `${prefix}0`, count_only: true };
  for (;;) {
    const { count: found } = await client.must('KV/Range', range);
    if (Number(found) === count) return;
  }
}

async function leases(client: ApiClient, ...ids: readonly string[]): Promise<void> {
  for (const ID of ids) await client.must('Lease/LeaseGrant', { ID, TTL: '600' });
}

/** Three wait for a lock in their order; it changes hands by unlock, by a lease that ends, and at last. */
async function handedOn(program: Program): Promise<unknown> {
  const client = await clientOf(program);
  await leases(client, '1', '2', '3', '4');
  const answers: unknown[] = [plain(await client.call('Lock/Lock', { name: 'l', lease: '1' }))];
  const waiting: Promise<Reply>[] = [];
  for (const lease of ['2', '3', '4']) {
    waiting.push(client.call('Lock/Lock', { name: 'l', lease }));
    await untilKeys(client, 'l', waiting.length + 1);
  }
  const ends: readonly Step[] = [
    ['Lock/Unlock', { key: 'l/1' }],
    ['Lease/LeaseRevoke', { ID: '2' }],
    ['KV/DeleteRange', { key: 'l/3' }],
  ];
  for (const [i, step] of ends.entries()) {
    await client.must(...step);
    answers.push(plain(await waiting[i]!));
  }
  return answers;
}

/** A waiter that gives up leaves no key; one whose lease has ended does not get the lock. */
async function givenUp(program: Program): Promise<unknown> {
  const client = await clientOf(program);
  await leases(client, '1', '2', '3');
  await client.must('Lock/Lock', { name: 'l', lease: '1' });
  const abort = new AbortController();
  const left = client.call('Lock/Lock', { name: 'l', lease: '2' }, { signal: abort.signal });
  await untilKeys(client, 'l', 2);
  abort.abort();
  await left;
  await untilKeys(client, 'l', 1);
  const late = await client.call('Lock/Lock', { name: 'l', lease: '2' }, { timeoutMs: 300 });
  await untilKeys(client, 'l', 1);
  const lost = client.call('Lock/Lock', { name: 'l', lease: '3' });
  await untilKeys(client, 'l', 2);
  await client.must('Lease/LeaseRevoke', { ID: '3' });
  await client.must('Lock/Unlock', { key: 'l/1' });
  // Deadline exceeded if the client's clock is first, cancelled if the server's answer is.
  expect([1, 4]).toContain(late.code);
  return plain(await lost);
}

/** An election is won, its value changes, it is lost and won by another; two observers see it. */
async function observed(program: Program): Promise<unknown> {
  const client = await clientOf(program);
  await leases(client, '1', '2');
  const observe = (): ApiStream => {
    const stream = client.serverStream('Election/Observe', { name: 'e' });
    closing.push(() => stream.cancel());
    return stream;
  };
  const values = (stream: ApiStream): unknown[] =>
    stream.received.map((one) => (one['kv'] as Message)['value']);
  const early = observe();
  const campaign = (lease: string, value: string) =>
    client.call('Election/Campaign', { name: 'e', lease, value });
  const won = [await campaign('1', 'one')];
  await early.until(() => values(early).length === 1);
  const late = observe();
  await late.until(() => values(late).length === 1);
  const leader = won[0]!.message!['leader']!;
  await client.must('Election/Proclaim', { leader, value: 'two' });
  const next = campaign('2', 'three');
  await untilKeys(client, 'e', 2);
  await client.must('Election/Proclaim', { leader, value: 'four' });
  for (const stream of [early, late]) await stream.until(() => values(stream).length === 3);
  await client.must('Election/Resign', { leader });
  won.push(await next);
  for (const stream of [early, late]) await stream.until(() => values(stream).length === 4);
  return { won: won.map(plain), early: plain(early.received), late: plain(late.received) };
}

const ours = serverUnderTest();
const real37 = realEtcd('3.7');

describeWith('locks and elections as in etcd 3.7', [ours, real37], () => {
  test.each([
    ['what is answered at once', atOnce],
    ['a lock that changes hands', handedOn],
    ['waiters that do not get it', givenUp],
    ['an election that is observed', observed],
  ] as const)('%s', async (_name, script) => {
    const [mine, theirs] = await Promise.all([
      script(need(ours)),
      script(realProgram(need(real37))),
    ]);
    expect(mine).toEqual(theirs);
  });
});
