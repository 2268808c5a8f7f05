// Calls over WebSocket, before services that the test makes up.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import WebSocket from 'ws';
import { bytesFromUtf8 } from '../base/index.ts';
import { createNodeClock, createNodeTimers } from '../env/index.ts';
import { BYTES_ENCODER, STATUS } from '../grpc/index.ts';
import { etcdserverpb, mvccpb } from '../protocol/index.ts';
import { LocalCalls, ServiceTable, type StreamCall } from '../rpc/index.ts';
import { JsonGateway } from './gateway.ts';

const { range } = etcdserverpb.KVService.methods;
const { watch } = etcdserverpb.WatchService.methods;

const RECEIVE_BYTES_MAX = 10_000;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

interface Client {
  readonly socket: WebSocket;
  readonly received: string[];
  readonly closed: Promise<number>;
}

async function serving(fill: (table: ServiceTable) => void): Promise<(path: string) => Client> {
  const table = new ServiceTable();
  fill(table);
  const env = { clock: createNodeClock(), timers: createNodeTimers() };
  const calls = new LocalCalls({ table, env, onHandlerError: () => undefined });
  const gateway = new JsonGateway({ table, calls, env, receiveBytesMax: RECEIVE_BYTES_MAX });
  const server = createServer();
  server.on('upgrade', (asked, _socket, head) => void gateway.upgrade(asked, head, asked.url!));
  closers.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return (path) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    closers.push(() => socket.terminate());
    const received: string[] = [];
    socket.on('message', (data) => received.push(String(data)));
    socket.on('error', () => undefined);
    const closed = new Promise<number>((resolve) => socket.on('close', resolve));
    return { socket, received, closed };
  };
}

test('a unary call is answered after one message, in one, however large', async () => {
  const value = new Uint8Array(50_000);
  const open = await serving((table) =>
    table.unary(range, (call, { limit }) => {
      const kv = mvccpb.KeyValueCodec.create({ key: bytesFromUtf8('k'), value });
      const kvs = Array.from({ length: limit }, () => kv);
      call.reply(range.response, range.response.create({ kvs, count: limit }));
    }),
  );
  for (const limit of [0, 100]) {
    const { socket, received, closed } = open('/v3/kv/range');
    socket.on('open', () => socket.send(`{"limit":${limit}}`));
    expect(await closed).toBe(1000);
    expect(received).toHaveLength(1);
    const { kvs = [] } = JSON.parse(received[0]!) as { kvs?: unknown[] };
    expect(kvs).toHaveLength(limit);
  }
});

test('what is refused is told, and the connection closed', async () => {
  const open = await serving((table) => {
    table.unary(range, (call) => call.fail(STATUS.UNAVAILABLE, 'no leader'));
    table.stream(watch, (call) => {
      call.end(STATUS.PERMISSION_DENIED, 'a&b');
      return { onMessage() {}, onEnd() {}, onCancel() {}, onDrain() {} };
    });
  });
  for (const [path, sent, message] of [
    ['/v3/nosuch', '{}', '{"code":5,"message":"Not Found"}'],
    ['/v3/kv/range', '{}', '{"code":14,"message":"no leader"}'],
    ['/v3/kv/range', '{"limit":[]}', undefined],
    ['/v3/watch', '{}', '{"error":{"code":7,"message":"a\\u0026b"}}'],
  ] as const) {
    const { socket, received, closed } = open(path);
    socket.on('open', () => socket.send(sent));
    expect(await closed).toBe(1000);
    expect(received).toEqual([message ?? expect.stringContaining('invalid value for int64')]);
  }
  const { socket, closed } = open('/v3/kv/range');
  socket.on('open', () => socket.send('x'.repeat(RECEIVE_BYTES_MAX * 4 + 1)));
  expect(await closed).toBe(1009);
});

test('a stream whose client has gone is cancelled; one that reads nothing has to wait', async () => {
  let call!: StreamCall;
  let cancelled = 0;
  const open = await serving((table) =>
    table.stream(watch, (opened) => {
      call = opened;
      return { onMessage() {}, onEnd() {}, onCancel: () => cancelled++, onDrain() {} };
    }),
  );
  const { socket, received } = open('/v3/watch');
  socket.on('open', () => socket.send('{}'));
  await expect.poll(() => call).toBeDefined();
  const bytes = watch.response.encode(watch.response.create({ cancelReason: 'x'.repeat(50_000) }));
  socket.pause();
  let sent = 0;
  for (let turns = 0; turns < 500; turns++) {
    while (call.hasRoom) {
      call.write(BYTES_ENCODER, bytes);
      sent++;
    }
    await createNodeTimers().nextTurn();
  }
  expect(sent * bytes.length).toBeLessThan(32 * 1024 * 1024);
  socket.resume();
  await expect.poll(() => received.length, { timeout: 20_000 }).toBe(sent);
  expect(new Set(received.map(({ length }) => length))).toEqual(new Set([50_031]));
  expect(cancelled).toBe(0);
  socket.terminate();
  await expect.poll(() => cancelled).toBe(1);
});
