// Keys owned by leasing: proxies of ours and of real etcd beside each other, before one member.

import { afterEach, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/index.ts';
import { until } from '../cluster/until.ts';
import { ApiClient, type Message } from '../helpers/api.ts';
import { Member, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { Proxies, type StartedProxy } from './proxies.ts';
import { misfits, type RegisterStates, Registers, statesOf } from './registers.ts';

const SEED = Number(process.env['LEASING_SEED'] ?? 1);
const REQUESTS = Number(process.env['LEASING_REQUESTS'] ?? 120);
const PREFIX = 'leasing/';

const ours = serverUnderTest();
const real = realEtcd('3.7');

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function client(endpoint: string): ApiClient {
  const made = new ApiClient(endpoint);
  closing.push(() => made.close());
  return made;
}

async function startMember(): Promise<Member> {
  const member = await Member.start(realProgram(need(real)));
  closing.push(() => member.dispose());
  return member;
}

async function startProxy(
  { endpoint }: Member,
  program: 'ours' | 'real',
  flags: readonly string[] = [],
): Promise<StartedProxy> {
  const proxies = new Proxies();
  closing.push(() => proxies.dispose());
  const all = [`--experimental-leasing-prefix=${PREFIX}`, '--advertise-client-url=', ...flags];
  const etcd = program === 'real' ? need(real) : undefined;
  const proxy = await proxies.start('grpc-proxy', [endpoint], all, etcd);
  if (program === 'ours') await proxy.process.line(/leasing session with lease/, 10_000);
  return proxy;
}

/** Keys that are owned, by their leases. */
async function owners(direct: ApiClient, prefix = PREFIX): Promise<Map<string, string>> {
  const range = { key: prefix, range_end: `${prefix}~` };
  const { kvs } = await direct.must('KV/Range', range);
  const found = (kvs as readonly Message[]).map(
    ({ key, lease }) => [String(key).slice(prefix.length), String(lease)] as const,
  );
  return new Map(found);
}

const valueIn = ({ kvs }: Message): string | undefined => {
  const [kv] = kvs as readonly Message[];
  return kv === undefined ? undefined : String(kv['value']);
};

async function get(through: ApiClient, key: string): Promise<string | undefined> {
  return valueIn(await through.must('KV/Range', { key }));
}

function isOld(states: readonly RegisterStates[], at: number, value: string | undefined): boolean {
  return value !== undefined && states.at(-1)![at] !== value;
}

describeWith('leasing', [ours, real], () => {
  test.each([
    ['ours', 'real'],
    ['ours', 'ours'],
  ] as const)('%s beside %s: what clients see is linearizable', async (...programs) => {
    const member = await startMember();
    const registers = new Registers(seededRandom(SEED));
    const working: Promise<void>[] = [];
    for (const program of programs) {
      const { endpoint } = await startProxy(member, program);
      for (let at = 0; at < 3; at++) {
        // etcd's proxy may answer from what it knows of a key while another one has written it.
        const worker = { name: `${program} ${at}`, writes: true, isChecked: program === 'ours' };
        working.push(registers.work(client(endpoint), REQUESTS, worker));
      }
    }
    const direct = client(member.endpoint);
    const reader = { name: 'direct', writes: false, isChecked: true };
    working.push(registers.work(direct, REQUESTS * 3, reader));
    await Promise.all(working);
    const states = await statesOf(direct);
    const { history, failures } = registers;
    expect(failures).toBe(0);
    expect(history.length).toBeGreaterThan(REQUESTS * 6);
    expect(misfits(history, states), `LEASING_SEED=${SEED} repeats this`).toEqual([]);
    // The check can fail: a value that has been replaced is seen once more.
    const old = history.find(({ seen }) =>
      [...seen].some(([at, value]) => isOld(states, at, value)),
    );
    const late = { ...old!, call: Number.MAX_SAFE_INTEGER - 1, return: Number.MAX_SAFE_INTEGER };
    expect(misfits([...history, late], states)).toHaveLength(1);
  });

  test('a member that is killed under load and comes back: the same holds', async () => {
    const member = await startMember();
    const registers = new Registers(seededRandom(SEED));
    const working: Promise<void>[] = [];
    for (const name of ['one', 'other']) {
      const { endpoint } = await startProxy(member, 'ours');
      for (let at = 0; at < 3; at++) {
        const worker = { name: `${name} ${at}`, writes: true, isChecked: true };
        working.push(registers.work(client(endpoint), REQUESTS * 2, worker));
      }
    }
    const { history } = registers;
    for (const answers of [REQUESTS, REQUESTS * 3]) {
      await until('answers', () => (history.length > answers ? true : undefined));
      await member.kill();
      await member.restart();
    }
    await Promise.all(working);
    expect(registers.failures).toBeGreaterThan(0);
    const states = await statesOf(client(member.endpoint));
    expect(misfits(history, states), `LEASING_SEED=${SEED} repeats this`).toEqual([]);
  });

  test('an owned key is answered without the cluster, and written through it', async () => {
    const member = await startMember();
    const proxy = await startProxy(member, 'ours', ['--namespace=ns/']);
    const [direct, through] = [client(member.endpoint), client(proxy.endpoint)];
    await through.must('KV/Put', { key: 'k', value: '1' });
    const first = await through.must('KV/Range', { key: 'k' });
    expect([...(await owners(direct, `ns/${PREFIX}`)).keys()]).toEqual(['k']);
    expect(await get(through, 'missing')).toBe(undefined);
    await through.must('KV/Put', { key: 'k', value: '2' });
    await through.must('KV/Txn', { success: [{ request_put: { key: 'k', value: '3' } }] });
    const requests: [string, Message][] = [
      ['KV/Range', { key: 'k' }],
      ['KV/Range', { key: 'k', keys_only: true }],
      ['KV/Range', { key: 'k', count_only: true }],
      ['KV/Range', { key: 'k', min_mod_revision: '99' }],
      ['KV/Range', { key: 'k', max_create_revision: '1' }],
      ['KV/Range', { key: 'missing' }],
      ...[0, 1, 2, 3, 4].flatMap((target) =>
        [0, 1, 2, 3].flatMap((result) =>
          ['k', 'missing'].map((key): [string, Message] => [
            'KV/Txn',
            {
              compare: [{ key, target, result, ...comparedWith[target] }],
              success: [{ request_range: { key: 'k' } }],
              failure: [{ request_range: { key: 'missing' } }],
            },
          ]),
        ),
      ),
    ];
    const below = (request: Message) =>
      JSON.parse(JSON.stringify(request).replaceAll('"key":"', '"key":"ns/')) as Message;
    const expected: string[] = [];
    for (const [rpc, request] of requests) {
      expected.push(comparable(await direct.must(rpc, below(request))).replaceAll('ns/', ''));
    }
    process.kill(member.pid, 'SIGSTOP');
    const found: string[] = [];
    for (const [rpc, request] of requests) {
      found.push(comparable(await through.must(rpc, request, { timeoutMs: 2000 })));
    }
    const refused = await through.call('KV/Put', { key: 'k', value: 'x' }, { timeoutMs: 500 });
    process.kill(member.pid, 'SIGCONT');
    expect(found).toEqual(expected);
    expect(found[0]).toContain('"value":"3"');
    expect(comparable(first)).toContain('"value":"1"');
    expect(refused.code).toBe(4);
    // What has become of that nobody knows: the key is not ours any more, and read anew.
    const value = await until('a value', async () => await get(through, 'k'));
    expect(value).toBe(await get(direct, 'ns/k'));
  });

  test.each(['ours', 'real'] as const)('ownership goes to and fro beside %s', async (program) => {
    const member = await startMember();
    const one = client((await startProxy(member, 'ours')).endpoint);
    const other = client((await startProxy(member, program)).endpoint);
    const direct = client(member.endpoint);
    expect(await get(one, 'k')).toBe(undefined);
    const [mine] = (await owners(direct)).values();
    await other.must('KV/Put', { key: 'k', value: '1' });
    expect((await owners(direct)).size).toBe(0);
    expect(await get(other, 'k')).toBe('1');
    const [theirs] = (await owners(direct)).values();
    expect(theirs).not.toBe(mine);
    expect(await get(one, 'k')).toBe('1');
    expect([...(await owners(direct)).values()]).toEqual([theirs]);
    await one.must('KV/Put', { key: 'k', value: '2' });
    expect((await owners(direct)).size).toBe(0);
    const regained = await until('the key again', async () => {
      expect(await get(one, 'k')).toBe('2');
      return (await owners(direct)).get('k');
    });
    expect(regained).toBe(mine);
  });

  test.each(['ours', 'real'] as const)(
    'a range is deleted past the owners, %s',
    async (program) => {
      const member = await startMember();
      const one = client((await startProxy(member, 'ours')).endpoint);
      const other = client((await startProxy(member, program)).endpoint);
      const direct = client(member.endpoint);
      const keys = Array.from({ length: 150 }, (_, at) => `k${at}`);
      for (const key of keys) await direct.must('KV/Put', { key, value: 'v' });
      for (const key of keys) await get(other, key);
      for (const key of ['k5', 'k7', 'm']) await get(one, key);
      expect((await owners(direct)).size).toBe(151);
      const all = { key: 'k', range_end: 'l' };
      expect(await one.must('KV/DeleteRange', { ...all, prev_kv: true })).toMatchObject({
        deleted: '150',
      });
      expect([...(await owners(direct)).keys()]).toEqual(['m']);
      for (const through of [one, other]) {
        for (const key of keys) expect(await get(through, key)).toBe(undefined);
      }
      // In a transaction, beyond all keys: what proxies know of each other goes too.
      await one.must('KV/Put', { key: 'k1', value: 'v' });
      expect(await get(one, 'm')).toBe(undefined);
      await one.must('KV/Txn', {
        success: [{ request_delete_range: { key: 'a', range_end: '\0' } }],
      });
      await direct.must('KV/Put', { key: 'm', value: 'direct' });
      expect(await get(one, 'm')).toBe('direct');
      expect(await get(one, 'k1')).toBe(undefined);
    },
  );

  test('a session that is lost is not answered from, and another one begins', async () => {
    const member = await startMember();
    const proxy = await startProxy(member, 'ours');
    const [direct, through] = [client(member.endpoint), client(proxy.endpoint)];
    await through.must('KV/Put', { key: 'k', value: '1' });
    expect(await get(through, 'k')).toBe('1');
    const [lease] = (await owners(direct)).values();
    await direct.must('Lease/LeaseRevoke', { ID: lease! });
    await direct.must('KV/Put', { key: 'k', value: '2' });
    await until('the new value', async () =>
      (await get(through, 'k')) === '2' ? true : undefined,
    );
    const next = await until('another owner', async () => {
      await get(through, 'k');
      return (await owners(direct)).get('k');
    });
    expect(next).not.toBe(lease);
  });

  test('an owner that is gone is waited for, one that ends is not', async () => {
    const member = await startMember();
    const [ending, staying] = [await startProxy(member, 'ours'), await startProxy(member, 'ours')];
    const direct = client(member.endpoint);
    await get(client(ending.endpoint), 'k');
    expect((await owners(direct)).size).toBe(1);
    ending.process.signal('SIGSTOP');
    const through = client(staying.endpoint);
    const put = { key: 'k', value: '1' };
    const late = await through.call('KV/Put', put, { timeoutMs: 1000 });
    expect(late.code).toBe(4);
    ending.process.signal('SIGCONT');
    await through.must('KV/Put', put);
    await get(client(ending.endpoint), 'other');
    ending.process.signal('SIGTERM');
    await ending.process.ended(10_000);
    expect((await owners(direct)).size).toBe(0);
  });

  test('a key with a lease is owned by nobody: its end is seen', async () => {
    const member = await startMember();
    const through = client((await startProxy(member, 'ours')).endpoint);
    const direct = client(member.endpoint);
    await get(through, 'k');
    expect((await owners(direct)).size).toBe(1);
    await through.must('Lease/LeaseGrant', { ID: '9', TTL: '60' });
    await through.must('KV/Put', { key: 'k', value: '1', lease: '9' });
    expect(await get(through, 'k')).toBe('1');
    await through.must('Lease/LeaseRevoke', { ID: '9' });
    expect(await get(through, 'k')).toBe(undefined);
  });

  test('what the cluster refuses is refused in its words', async () => {
    const member = await startMember();
    const { endpoint } = await startProxy(member, 'ours');
    const [direct, through] = [client(member.endpoint), client(endpoint)];
    const put = { key: 'k', value: 'v', lease: '12345' };
    for (const [rpc, request] of [
      ['KV/Put', put],
      ['KV/Txn', { success: [{ request_put: put }] }],
      ['KV/Txn', { success: [{ request_put: { key: 'k' } }, { request_put: { key: 'k' } }] }],
    ] as const) {
      const { code, details } = await direct.call(rpc, request);
      expect(code).not.toBe(0);
      expect(await through.call(rpc, request)).toEqual({ code, details });
    }
  });
});

const comparedWith: Record<number, Message> = {
  0: { version: '3' },
  1: { create_revision: '2' },
  2: { mod_revision: '4' },
  3: { value: '3' },
  4: { lease: '0' },
};

/** Without what differs from revision to revision: of the header only that it is there. */
function comparable(message: Message): string {
  return JSON.stringify(message, (key, value: unknown) => (key === 'header' ? 'header' : value));
}
