// Traces of a running member, at a collector: the same spans as etcd's, and no harm from a bad collector.

import { Metadata } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import { ApiClient } from '../helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { freePort } from '../helpers/server-process.ts';
import { OtlpReceiver, type ReceivedSpan } from './otlp-receiver.ts';

const ours = serverUnderTest();
const real = realEtcd('3.7');
const TIMEOUT_MS = 60_000;

const members: Member[] = [];
const receivers: OtlpReceiver[] = [];
const clients: ApiClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const member of members.splice(0)) await member.dispose();
  for (const receiver of receivers.splice(0)) await receiver.close();
});

async function receiver(behaviour?: OtlpReceiver['behaviour']): Promise<OtlpReceiver> {
  const started = await OtlpReceiver.start(behaviour);
  receivers.push(started);
  return started;
}

async function start(
  address: string,
  flags: readonly string[] = ['--distributed-tracing-sampling-rate=1000000'],
  program: Program = need(ours),
): Promise<{ member: Member; client: ApiClient }> {
  const member = await Member.start(program, {
    flags: [
      '--enable-distributed-tracing',
      `--distributed-tracing-address=${address}`,
      '--distributed-tracing-service-name=svc',
      '--distributed-tracing-instance-id=i1',
      ...flags,
    ],
  });
  members.push(member);
  const client = new ApiClient(member.endpoint);
  clients.push(client);
  return { member, client };
}

const named = (spans: readonly ReceivedSpan[], name: string): ReceivedSpan | undefined =>
  spans.find((span) => span.name === name);

const UNSET = { code: 0, message: '' };
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

function traced(flags: string): Metadata {
  const metadata = new Metadata();
  metadata.set('traceparent', `00-${TRACE}-${PARENT}-${flags}`);
  metadata.set('tracestate', 'vendor=1');
  return metadata;
}

describeWith('a collector', [ours], () => {
  test('gets the trace of a put and of a range', async () => {
    const collector = await receiver();
    const { member, client } = await start(collector.address);
    await client.must('KV/Put', { key: 'key', value: 'not to be seen' });
    await client.must('KV/Range', { key: 'key' });
    const spans = await collector.find((all) => (named(all, 'range') ? all : undefined));
    const rpc = named(spans, 'etcdserverpb.KV/Put')!;
    const put = named(spans, 'put')!;
    const ofPut = (name: string) =>
      spans.find((span) => span.name === name && span.traceId === put.traceId)!;
    const [propose, sync, apply] = ['propose', 'wal_sync', 'apply'].map(ofPut);
    expect(rpc).toMatchObject({ parentId: '', kind: 2, flags: 0x301, status: UNSET });
    expect(rpc.resource).toEqual({ 'service.name': 'svc', 'service.instance.id': 'i1' });
    expect(rpc.attributes).toEqual({
      'rpc.method': 'etcdserverpb.KV/Put',
      'rpc.system.name': 'grpc',
      'rpc.response.status_code': 'OK',
      'server.address': '127.0.0.1',
      'server.port': String(member.port),
    });
    expect(put).toMatchObject({ parentId: rpc.spanId, traceId: rpc.traceId, kind: 1 });
    expect(put.attributes).toEqual({ key: 'key' });
    expect(put.events.map(({ name }) => name)).toEqual([
      'Send raft proposal',
      'Receive raft result',
    ]);
    expect(propose).toMatchObject({ parentId: put.spanId });
    expect([sync, apply].map((span) => span!.parentId)).toEqual(Array(2).fill(propose!.spanId));
    // In the order in which they happen, one within the other.
    const within = (outer: ReceivedSpan, inner: ReceivedSpan) =>
      outer.startNs <= inner.startNs && inner.startNs <= inner.endNs && inner.endNs <= outer.endNs;
    expect([within(rpc, put), within(put, propose!), within(propose!, sync!)]).toEqual(
      Array(3).fill(true),
    );
    expect(sync!.endNs).toBeLessThanOrEqual(apply!.endNs);
    const range = named(spans, 'range')!;
    expect(range.parentId).toBe(named(spans, 'etcdserverpb.KV/Range')!.spanId);
    expect(range.traceId).not.toBe(put.traceId);
    const seen = JSON.stringify(spans, (_key, value) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    expect(seen).not.toContain('not to be seen');
  });

  test('gets no password and no token', async () => {
    const collector = await receiver();
    const { member, client } = await start(collector.address, [
      ...['--distributed-tracing-sampling-rate=1000000', '--bcrypt-cost=4'],
    ]);
    const [right, wrong] = ['of root', 'a wrong one'];
    await client.must('Auth/UserAdd', { name: 'root', password: right });
    await client.must('Auth/RoleAdd', { name: 'root' });
    await client.must('Auth/UserGrantRole', { user: 'root', role: 'root' });
    await client.must('Auth/AuthEnable', {});
    await client.call('Auth/Authenticate', { name: 'root', password: wrong });
    const login = await client.must('Auth/Authenticate', { name: 'root', password: right });
    const token = login['token'] as string;
    await client.must('KV/Put', { key: 'key' }, { token });
    await client.call('KV/Put', { key: 'key' }, { token: 'forged.7' });
    await client.must('Auth/UserChangePassword', { name: 'root', password: wrong }, { token });
    await member.stop();
    const names = collector.spans.map(({ name }) => name);
    expect(names).toContain('etcdserverpb.Auth/Authenticate');
    expect(names).toContain('etcdserverpb.Auth/UserChangePassword');
    const seen = JSON.stringify(collector.spans, (_key, value) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    for (const secret of [right, wrong, token, 'forged.7', '$2a$']) {
      expect([secret, seen.includes(secret)]).toEqual([secret, false]);
    }
  });

  test('gets what its clients trace, and nothing else, at a rate of 0', async () => {
    const collector = await receiver();
    const { member, client } = await start(collector.address, []);
    await client.must('KV/Put', { key: 'untraced' });
    await client.must('KV/Put', { key: 'unsampled' }, { metadata: traced('00') });
    await client.must('KV/Put', { key: 'traced' }, { metadata: traced('01') });
    await client.call('Lease/LeaseRevoke', { ID: '77' }, { metadata: traced('01') });
    // What waits is sent when the member stops.
    await member.stop();
    const rpcs = collector.spans.filter(({ kind }) => kind === 2);
    expect(rpcs.map(({ name }) => name)).toEqual([
      'etcdserverpb.KV/Put',
      'etcdserverpb.Lease/LeaseRevoke',
    ]);
    for (const span of rpcs) {
      expect(span).toMatchObject({ traceId: TRACE, parentId: PARENT, traceState: 'vendor=1' });
      expect(span.flags).toBe(0x301);
    }
    expect(named(collector.spans, 'put')!.attributes).toEqual({ key: 'traced' });
    expect(rpcs[1]).toMatchObject({
      attributes: { 'rpc.response.status_code': 'NOT_FOUND' },
      status: UNSET,
    });
  });

  test.each(['stalls', 'refuses', 'is away'] as const)('that %s costs nobody', async (how) => {
    const collector = how === 'is away' ? undefined : await receiver(how);
    const address = collector?.address ?? `127.0.0.1:${await freePort()}`;
    const { member, client } = await start(address);
    for (let round = 0; round < 8; round++) {
      const puts = Array.from({ length: 200 }, () => client.must('KV/Put', { key: 'k' }));
      await Promise.all(puts);
    }
    await member.line(/failed to export spans/, TIMEOUT_MS);
    const begun = performance.now();
    await member.stop();
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(collector?.spans ?? []).toEqual([]);
  });

  test('that comes back gets spans again, and the log says how many are lost', async () => {
    const collector = await receiver('refuses');
    const { member, client } = await start(collector.address);
    const put = async (): Promise<void> => {
      await Promise.all(Array.from({ length: 120 }, () => client.must('KV/Put', { key: 'k' })));
    };
    await put();
    await member.line(/failed to export spans/, TIMEOUT_MS);
    collector.behaviour = 'takes';
    await put();
    await collector.find((spans) => named(spans, 'put'));
    expect(await member.line(/spans are exported again/)).toMatch(/"dropped":[1-9]/);
  });
});

describeWith('settings of tracing', [ours], () => {
  test.each([
    ['--distributed-tracing-sampling-rate=-1', 'tracing sampling rate must be positive'],
    ['--distributed-tracing-sampling-rate=1000001', 'must be less than 1000000'],
  ])('%s is refused', async (flag, problem) => {
    const failed = Member.start(need(ours), { flags: ['--enable-distributed-tracing', flag] });
    await expect(failed).rejects.toThrow(problem);
  });
});

/** Calls that have a span of their own behind the RPC's. */
async function callAll(client: ApiClient): Promise<void> {
  await client.must('KV/Put', { key: 'kk', value: 'v' });
  await client.must('KV/Range', { key: 'k', range_end: 'l', limit: '7', count_only: true });
  await client.must('KV/Range', { key: 'k', serializable: true, keys_only: true, revision: '1' });
  await client.must('KV/DeleteRange', { key: 'k', range_end: 'l' });
  await client.must('Lease/LeaseGrant', { TTL: '1000', ID: '5' });
  await client.must('KV/Txn', {
    compare: [{ key: 'a', target: 0, version: '0' }],
    success: [
      { request_put: { key: 'x', value: 'v', lease: '5' } },
      { request_range: { key: 'y' } },
    ],
    failure: [{ request_delete_range: { key: 'z' } }],
  });
  await client.must('KV/Txn', { success: [{ request_range: { key: 'y' } }] });
  await client.must('KV/Txn', {});
  await client.collect('KV/RangeStream', { key: 'x', limit: '3' });
  await client.must('KV/Compact', { revision: '2', physical: true });
  await client.call('KV/Compact', { revision: '2' });
  await client.call('KV/Range', {});
  await client.call('KV/Put', { key: 'k', lease: '99' });
  const renewals = client.stream('Lease/LeaseKeepAlive');
  for (const ID of ['5', '6']) {
    renewals.send({ ID });
    expect(await renewals.until(() => renewals.received.length === Number(ID) - 4)).toBe(true);
  }
  renewals.end();
  await renewals.until(() => renewals.ended !== undefined);
  await client.must('Lease/LeaseRevoke', { ID: '5' });
  await client.call('Lease/LeaseRevoke', { ID: '5' });
  const watches = client.stream('Watch/Watch');
  watches.send({ create_request: { key: 'w', start_revision: '3', prev_kv: true } });
  watches.send({ create_request: { key: 'w', range_end: '\0', progress_notify: true } });
  watches.send({ create_request: { key: 'w', range_end: 'a' } });
  expect(await watches.until(() => watches.received.length === 3)).toBe(true);
  watches.send({ cancel_request: { watch_id: '1' } });
  expect(await watches.until(() => watches.received.length === 4)).toBe(true);
  watches.cancel();
  await watches.until(() => watches.ended !== undefined);
  await client.must('Maintenance/Status', {});
  await client.must('Cluster/MemberList', {});
}

/** Spans that etcd does not make. */
const OUR_OWN = new Set(['propose', 'wal_sync', 'apply']);
const ADDRESS = ['server.address', 'server.port'];

/** What is the same at every run, by the name of the parent and the order of the start. */
function outlineOf(spans: readonly ReceivedSpan[]): string[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  return spans
    .filter(({ name }) => !OUR_OWN.has(name))
    .map((span) => {
      const attributes = Object.entries(span.attributes)
        .filter(([name]) => !ADDRESS.includes(name))
        .sort();
      const parent = byId.get(span.parentId)?.name ?? '-';
      const events = span.events.map(({ name }) => name).filter((name) => name !== 'exception');
      const { name, kind, flags, status, scope } = span;
      return JSON.stringify([parent, name, kind, flags, status, scope, attributes, events]);
    })
    .sort();
}

describeWith('spans are those of etcd', [ours, real], () => {
  test('by name, parent, kind, status, attributes and events', async () => {
    const outlines: string[][] = [];
    for (const program of [realProgram(need(real)), need(ours)]) {
      const collector = await receiver();
      const { member, client } = await start(collector.address, undefined, program);
      await callAll(client);
      await collector.find((spans) => {
        console.error(spans.length, spans.map((s) => s.name).join(' '));
        return named(spans, 'etcdserverpb.Cluster/MemberList');
      });
      await member.stop();
      outlines.push(outlineOf(collector.spans));
    }
    expect(outlines[1]).toEqual(outlines[0]);
  });
});
