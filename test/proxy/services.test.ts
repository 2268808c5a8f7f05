// What the gRPC proxy does beside passing calls on: cache, namespace, leases, tokens, registration, TLS.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { until } from '../cluster/until.ts';
import { ApiClient, type ApiStream, type Message } from '../helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';
import { Proxies, type StartedProxy } from './proxies.ts';

const ours = serverUnderTest();
const real = realEtcd('3.7');

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function memberOf(program: Program, flags: readonly string[] = []): Promise<Member> {
  const member = await Member.start(program, { flags });
  closing.push(() => member.dispose());
  return member;
}

function proxies(): Proxies {
  const made = new Proxies();
  closing.push(() => made.dispose());
  return made;
}

function client(endpoint: string): ApiClient {
  const made = new ApiClient(endpoint);
  closing.push(() => made.close());
  return made;
}

async function metric({ endpoint }: StartedProxy, name: string): Promise<number> {
  const page = await (await fetch(`http://${endpoint}/proxy/metrics`)).text();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(page)![1]);
}

const firstValue = (message: Message): string =>
  String((message['kvs'] as readonly Message[])[0]?.['value']);

describeWith('the gRPC proxy', [ours, real], () => {
  test('serializable reads come from the cache, as long as nothing is written through it', async () => {
    const { endpoint } = await memberOf(need(ours));
    const proxy = await proxies().start('grpc-proxy', [endpoint]);
    const [direct, through] = [client(endpoint), client(proxy.endpoint)];
    const read = async (request: Message) =>
      firstValue(await through.must('KV/Range', { serializable: true, ...request }));
    await direct.must('KV/Put', { key: 'k', value: '1' });
    expect(firstValue(await through.must('KV/Range', { key: 'k' }))).toBe('1');
    await direct.must('KV/Put', { key: 'k', value: '2' });
    expect(await read({ key: 'k' })).toBe('1');
    expect(await read({ key: 'a', range_end: 'z' })).toBe('2');
    const hits = await metric(proxy, 'etcd_grpc_proxy_cache_hits_total');
    expect([hits, await metric(proxy, 'etcd_grpc_proxy_cache_misses_total')]).toEqual([1, 1]);
    expect(await metric(proxy, 'etcd_grpc_proxy_cache_keys_total')).toBe(2);
    const changes: [string, Message][] = [
      ['KV/Put', { key: 'k', value: 'new' }],
      [
        'KV/Txn',
        { failure: [{ request_put: { key: 'k', value: 'new' } }], compare: [{ key: 'k' }] },
      ],
      [
        'KV/Txn',
        { success: [{ request_txn: { success: [{ request_put: { key: 'k', value: 'new' } }] } }] },
      ],
      ['KV/DeleteRange', { key: 'b', range_end: '\0' }],
    ];
    for (const [rpc, request] of changes) {
      await direct.must('KV/Put', { key: 'k', value: 'old' });
      for (const range of [{ key: 'k' }, { key: 'a', range_end: 'z' }]) {
        await through.must('KV/Range', range);
      }
      await through.must(rpc, request);
      const wanted = rpc === 'KV/DeleteRange' ? 'undefined' : 'new';
      expect(await read({ key: 'k' }), rpc).toBe(wanted);
      expect(await read({ key: 'a', range_end: 'z' }), rpc).toBe(wanted);
    }
    await through.must('KV/Compact', { revision: '5' });
    const { code, details } = await through.call('KV/Range', {
      key: 'k',
      serializable: true,
      revision: '4',
    });
    expect([code, details]).toEqual([11, 'etcdserver: mvcc: required revision has been compacted']);
  });

  test('tokens are those of the clients, and their reads are not shared', async () => {
    const { endpoint } = await memberOf(need(ours));
    const proxy = await proxies().start('grpc-proxy', [endpoint]);
    const through = client(proxy.endpoint);
    await through.must('KV/Put', { key: 'secret', value: 's' });
    await through.must('Auth/UserAdd', { name: 'root', password: 'r' });
    await through.must('Auth/UserGrantRole', { user: 'root', role: 'root' });
    await through.must('Auth/UserAdd', { name: 'some', password: 's' });
    await through.must('Auth/AuthEnable', {});
    const [root, some] = [client(proxy.endpoint), client(proxy.endpoint)];
    root.logInAs({ name: 'root', password: 'r' });
    some.logInAs({ name: 'some', password: 's' });
    const request = { key: 'secret', serializable: true };
    for (let i = 0; i < 2; i++) {
      expect(firstValue(await root.must('KV/Range', request))).toBe('s');
      expect(await some.call('KV/Range', request)).toMatchObject({
        code: 7,
        details: 'etcdserver: permission denied',
      });
      expect(await through.call('KV/Range', request)).toMatchObject({ code: 3 });
    }
    const answers: (readonly Message[])[] = [];
    for (const each of [root, some]) {
      const stream = each.stream('Watch/Watch', await each.token());
      closing.push(() => stream.cancel());
      stream.send({ create_request: { key: 'secret' } });
      await stream.until(() => stream.received.length > 0);
      answers.push(stream.received);
    }
    expect(answers.map(([first]) => first!['canceled'])).toEqual([false, true]);
  });

  test('leases: renewals of one lease are shared, and each client gets its answers', async () => {
    const { endpoint } = await memberOf(need(ours));
    const proxy = await proxies().start('grpc-proxy', [endpoint]);
    const through = client(proxy.endpoint);
    await through.must('Lease/LeaseGrant', { ID: '7', TTL: '60' });
    const streams = [0, 1, 2].map((): ApiStream => through.stream('Lease/LeaseKeepAlive'));
    for (const stream of streams) {
      closing.push(() => stream.cancel());
      for (const ID of ['7', '7', '8', '7']) stream.send({ ID });
    }
    for (const stream of streams) {
      await stream.until(() => stream.received.length === 4);
      const answers = stream.received.map((each) => `${each['ID']} ${each['TTL']}`).sort();
      expect(answers).toEqual(['7 60', '7 60', '7 60', '8 0']);
    }
  });

  test('a namespace is all that its clients see', async () => {
    const { endpoint } = await memberOf(realProgram(need(real)));
    const proxy = await proxies().start('grpc-proxy', [endpoint], ['--namespace=ns/']);
    const [direct, through] = [client(endpoint), client(proxy.endpoint)];
    await direct.must('KV/Put', { key: 'outside', value: 'o' });
    await direct.must('KV/Put', { key: 'nsx', value: 'o' });
    const stream = through.stream('Watch/Watch');
    closing.push(() => stream.cancel());
    stream.send({
      create_request: { key: '\0', range_end: '\0', start_revision: '1', prev_kv: true },
    });
    await through.must('Lease/LeaseGrant', { ID: '5', TTL: '60' });
    await through.must('KV/Put', { key: 'a', value: '1', lease: '5' });
    const put = await through.must('KV/Put', { key: 'a', value: '2', prev_kv: true, lease: '5' });
    expect((put['prev_kv'] as Message)['key']).toBe('a');
    const keysOf = (message: Message, field = 'kvs') =>
      (message[field] as readonly Message[]).map(({ key }) => key);
    const all = { key: '\0', range_end: '\0' };
    expect(keysOf(await through.must('KV/Range', all))).toEqual(['a']);
    const streamed = await through.collect('KV/RangeStream', all);
    expect(streamed.flatMap((each) => keysOf(each['range_response'] as Message))).toEqual(['a']);
    expect(keysOf(await direct.must('KV/Range', all))).toEqual(['ns/a', 'nsx', 'outside']);
    const txn = await through.must('KV/Txn', {
      compare: [{ key: 'a', target: 3, value: '2' }],
      success: [{ request_range: { key: 'a' } }, { request_put: { key: 'b', value: 'x' } }],
    });
    expect(txn['succeeded']).toBe(true);
    const [first] = txn['responses'] as readonly Message[];
    expect(keysOf(first!['response_range'] as Message)).toEqual(['a']);
    await direct.must('KV/Put', { key: 'outside', value: 'x', lease: '5' });
    const alive = await through.must('Lease/LeaseTimeToLive', { ID: '5', keys: true });
    expect(alive['keys']).toEqual(['a']);
    expect(
      keysOf(await through.must('KV/DeleteRange', { ...all, prev_kv: true }), 'prev_kvs'),
    ).toEqual(['a', 'b']);
    expect(keysOf(await direct.must('KV/Range', all))).toEqual(['nsx', 'outside']);
    const events = () => stream.received.flatMap((each) => each['events'] as readonly Message[]);
    await stream.until(() => events().length === 5);
    const shown = events().map(({ type, kv }) => `${type} ${(kv as Message)['key']}`);
    expect(shown).toEqual(['0 a', '0 a', '0 b', '1 a', '1 b']);
    expect((events()[1]!['prev_kv'] as Message)['key']).toBe('a');
    await expect(through.collect('KV/RangeStream', { key: '' })).rejects.toThrow(
      'key is not provided',
    );
    expect(await through.call('KV/Put', { key: '', value: 'x' })).toMatchObject({
      code: 3,
      details: 'etcdserver: key is not provided',
    });
  });

  test('proxies that are registered list each other, those of real etcd too', async () => {
    const { endpoint } = await memberOf(realProgram(need(real)));
    const started = proxies();
    const flags = (name: string) => [
      '--resolver-prefix=/proxies',
      '--resolver-ttl=60',
      `--advertise-client-url=${name}`,
    ];
    const first = await started.start('grpc-proxy', [endpoint], flags('first:1'));
    await started.start('grpc-proxy', [endpoint], flags('second:2'));
    await started.start('grpc-proxy', [endpoint], flags('third:3'), need(real));
    const through = client(first.endpoint);
    const listed = async () => {
      const { members } = await through.must('Cluster/MemberList', {});
      return (members as readonly Message[])
        .map((each) => `${each['name']} ${each['clientURLs']}`)
        .sort();
    };
    const wanted = ['first:1', 'second:2', 'third:3'].map((url) => `${hostname()} ${url}`);
    await until('three proxies', async () => {
      const found = await listed();
      return found.length === 3 ? found : undefined;
    }).then((found) => expect(found).toEqual(wanted));
    first.process.signal('SIGTERM');
    await first.process.ended(10_000);
    const keys = await run([
      need(real).etcdctl,
      `--endpoints=${endpoint}`,
      'get',
      '/proxies/',
      '--prefix',
      '--keys-only',
    ]);
    expect(keys.stdout.split('\n').filter((line) => line !== '')).toEqual([
      '/proxies/second:2',
      '/proxies/third:3',
    ]);
  });

  test('with a certificate made for it, clients are served over TLS', async () => {
    const { endpoint } = await memberOf(need(ours));
    const directory = mkdtempSync(join(tmpdir(), 'tetcd-proxy-'));
    const proxy = await proxies().start(
      'grpc-proxy',
      [endpoint],
      ['--auto-tls', `--data-dir=${directory}`],
    );
    const etcdctl = [need(real).etcdctl, `--endpoints=https://${proxy.endpoint}`];
    const authority = join(directory, 'fixtures', 'proxy', 'cert.pem');
    const put = await run([...etcdctl, `--cacert=${authority}`, 'put', 'k', 'v']);
    expect(put).toMatchObject({ code: 0, stdout: 'OK\n' });
    const plain = await run([
      need(real).etcdctl,
      `--endpoints=http://${proxy.endpoint}`,
      '--command-timeout=2s',
      'get',
      'k',
    ]);
    expect(plain.code).not.toBe(0);
    writeFileSync(authority, 'damaged');
    expect(await run([...etcdctl, '--insecure-skip-tls-verify', 'get', 'k'])).toMatchObject({
      stdout: 'k\nv\n',
    });
  });
});
