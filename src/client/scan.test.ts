// A scan page by page over a real socket, from a server of a few lines.

import { afterEach, expect, test } from 'vitest';
import { createNodeClock, createNodeTimers } from '../env/index.ts';
import { createServer } from '../grpc/index.ts';
import { listen } from '../net/index.ts';
import { etcdserverpb, mvccpb } from '../protocol/index.ts';
import { Client } from './client.ts';

const REVISION = 41;
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Serves these keys at a revision that grows with each request; remembers what was asked for. */
async function serve(keys: readonly string[]): Promise<{
  readonly client: Client;
  readonly asked: etcdserverpb.RangeRequest[];
}> {
  const asked: etcdserverpb.RangeRequest[] = [];
  const server = createServer({ clock: createNodeClock(), timers: createNodeTimers() });
  const { range } = etcdserverpb.KVService.methods;
  server.unary(range.path, (call, bytes) => {
    const request = range.request.decode(Uint8Array.from(bytes));
    asked.push(request);
    const from = Buffer.from(request.key).toString();
    const rest = keys.filter((key) => key >= from);
    const kvs = rest
      .slice(0, request.limit)
      .map((key) => mvccpb.KeyValueCodec.create({ key: Buffer.from(key) }));
    const header = etcdserverpb.ResponseHeaderCodec.create({
      revision: REVISION + asked.length - 1,
    });
    const more = rest.length > kvs.length;
    call.reply(range.response, range.response.create({ header, kvs, more, count: rest.length }));
  });
  const address = { host: '127.0.0.1', port: 0 };
  const listener = await listen({ address, http2: server });
  const client = new Client({ endpoints: `127.0.0.1:${listener.address.port}` });
  closers.push(
    () => listener.close(),
    () => server.close(),
    () => client.close(),
  );
  return { client, asked };
}

test('tells the revision at which all of it is read', async () => {
  const { client, asked } = await serve(['a', 'b', 'c', 'd', 'e']);
  const scan = client.kv.scan('', { prefix: true, pageKeys: 2 });
  expect(scan.revision).toBeUndefined();
  const found: string[] = [];
  for await (const { keyText } of scan) {
    found.push(keyText);
    expect(scan.revision).toBe(REVISION);
  }
  expect(found).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(scan.revision).toBe(REVISION);
  expect(asked.map(({ revision }) => revision)).toEqual([0, REVISION, REVISION]);
});

test('tells it of an empty range too, and the one that it was given', async () => {
  const { client } = await serve([]);
  const empty = client.kv.scan('x', { prefix: true });
  expect(await empty.next()).toEqual({ done: true, value: undefined });
  expect(empty.revision).toBe(REVISION);
  const given = client.kv.scan('x', { prefix: true, revision: 7 });
  await given.next();
  expect(given.revision).toBe(7);
});

test('can be left early', async () => {
  const { client, asked } = await serve(['a', 'b', 'c']);
  const scan = client.kv.scan('', { prefix: true, pageKeys: 1 });
  for await (const { keyText } of scan) if (keyText === 'b') break;
  expect(asked).toHaveLength(2);
  expect(await scan.next()).toEqual({ done: true, value: undefined });
});
