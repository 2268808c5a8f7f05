// What a stream does when its client has ended its half: the cases of `half-close.json`, against real
// etcd 3.7.1 and ours. What each streaming method does beyond them is in `raw-requests.txt`.

import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { ApiClient, type ApiStream, type Message } from '../helpers/api.ts';
import { Member, type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd, sharedData } from '../helpers/real-etcd.ts';

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

type Check = (client: ApiClient) => Promise<void>;

function streamOf(client: ApiClient, rpc: string): ApiStream {
  const stream = client.stream(rpc);
  closing.push(() => stream.cancel());
  return stream;
}

const CREATE: Message = { create_request: { key: 'a' } };

/** By method and what came before the end; each must be in the shared file, and the other way round. */
const CHECKS: Readonly<Record<string, Check>> = {
  '/etcdserverpb.Watch/Watch after a create request': async (client) => {
    const stream = streamOf(client, 'Watch/Watch');
    stream.send(CREATE);
    stream.end();
    expect(await stream.until(() => stream.received.length === 1)).toBe(true);
    for (const value of ['1', '2', '3']) await client.must('KV/Put', { key: 'a', value });
    const values = () =>
      stream.received.flatMap(({ events }) =>
        (events as readonly Message[]).map(({ kv }) => (kv as Message)['value']),
      );
    expect(await stream.until(() => values().length === 3)).toBe(true);
    expect(values()).toEqual(['1', '2', '3']);
    expect(stream.ended).toBeUndefined();
    stream.cancel();
    expect(await stream.until(() => stream.ended !== undefined)).toBe(true);
    expect(stream.ended).toMatchObject({ code: 1 });
  },
  '/etcdserverpb.Watch/Watch after no request at all': async (client) => {
    const stream = streamOf(client, 'Watch/Watch');
    stream.end();
    // Time for the server to end it: another stream's life from beginning to end, on the same connection.
    const other = streamOf(client, 'Watch/Watch');
    other.send(CREATE);
    other.end();
    expect(await other.until(() => other.received.length === 1)).toBe(true);
    await client.must('KV/Put', { key: 'a', value: 'b' });
    expect(await other.until(() => other.received.length === 2)).toBe(true);
    expect([stream.received, stream.ended]).toEqual([[], undefined]);
  },
  '/etcdserverpb.Lease/LeaseKeepAlive after one request': async (client) => {
    await client.must('Lease/LeaseGrant', { ID: '7', TTL: '60' });
    const stream = streamOf(client, 'Lease/LeaseKeepAlive');
    stream.send({ ID: '7' });
    stream.end();
    expect(await stream.until(() => stream.ended !== undefined)).toBe(true);
    expect(stream.ended).toMatchObject({ code: 0 });
    expect(stream.received).toMatchObject([{ ID: '7', TTL: '60' }]);
  },
};

const cases = sharedData('cases/half-close.json');
const ours = serverUnderTest();
const real = realEtcd('3.7');

describeWith('the cases of half-close.json', [cases], () => {
  test('are all checked here', () => {
    const file = JSON.parse(readFileSync(need(cases), 'utf8')) as {
      readonly cases: readonly { readonly method: string; readonly after: string }[];
    };
    const names = file.cases.map(({ method, after }) => `${method} after ${after}`);
    expect(Object.keys(CHECKS).sort()).toEqual(names.sort());
  });
});

function checkAll(program: () => Program): void {
  test.each(Object.entries(CHECKS))('%s', async (_name, check) => {
    const member = await Member.start(program());
    closing.push(() => member.dispose());
    const client = new ApiClient(member.endpoint);
    closing.push(() => client.close());
    await check(client);
  });
}

describeWith('our streams whose client has ended its half', [ours], () => {
  checkAll(() => need(ours));
});

describeWith('streams of etcd 3.7 whose client has ended its half', [real], () => {
  checkAll(() => realProgram(need(real)));
});
