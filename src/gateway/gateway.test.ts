// The gateway over a real node:http server, before services that the tests make up.

import { Agent, createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { bytesFromUtf8 } from '../base/index.ts';
import { createNodeClock, createNodeTimers } from '../env/index.ts';
import { BYTES_ENCODER, GrpcStatusError, STATUS } from '../grpc/index.ts';
import { etcdserverpb, type MethodDescriptor, mvccpb } from '../protocol/index.ts';
import {
  type Call,
  LocalCalls,
  ServiceTable,
  type StreamCall,
  type UnaryCall,
} from '../rpc/index.ts';
import { JsonGateway } from './gateway.ts';

const { KVService, LeaseService, MaintenanceService, WatchService } = etcdserverpb;
const { range, put } = KVService.methods;
const { watch } = WatchService.methods;
const { snapshot } = MaintenanceService.methods;
const { leaseKeepAlive } = LeaseService.methods;

const RECEIVE_BYTES_MAX = 10_000;

const clock = createNodeClock();
const timers = createNodeTimers();
const env = { clock, timers };

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

interface Rig {
  readonly errors: unknown[];
  /** A request with a whole body. */
  ask(path: string, body: string, options?: AskOptions): Promise<Answer>;
  /** A request whose body and answer go on. */
  open(path: string, headers?: Record<string, string>): Opened;
}

interface AskOptions {
  readonly method?: string;
  readonly headers?: Record<string, string>;
}

interface Opened {
  readonly request: ReturnType<typeof request>;
  readonly response: Promise<IncomingMessage>;
}

async function serving(fill: (table: ServiceTable) => void): Promise<Rig> {
  const table = new ServiceTable();
  fill(table);
  const errors: unknown[] = [];
  const onHandlerError = (_: Call, error: unknown) => errors.push(error);
  const calls = new LocalCalls({ table, env, onHandlerError });
  const gateway = new JsonGateway({ table, calls, env, receiveBytesMax: RECEIVE_BYTES_MAX });
  const server = createServer((asked, answer) => gateway.handle(asked, answer, asked.url!));
  const agent = new Agent({ keepAlive: true });
  closers.push(() => {
    agent.destroy();
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const open = (path: string, { method = 'POST', headers = {} }: AskOptions = {}): Opened => {
    const asked = request({ port, method, path, headers, agent });
    const response = new Promise<IncomingMessage>((resolve, reject) => {
      asked.on('response', resolve).on('error', reject);
    });
    response.catch(() => undefined);
    return { request: asked, response };
  };
  return {
    errors,
    open: (path, headers = {}) => open(path, { headers }),
    ask: async (path, body, options) => {
      const opened = open(path, options);
      opened.request.end(body);
      const response = await opened.response;
      return {
        status: response.statusCode,
        headers: response.headers,
        body: await textOf(response),
      };
    },
  };
}

/** A promise and what settles it. */
function deferred<T>() {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text;
}

/** Lines of a response, one at a time. */
async function* linesOf(response: IncomingMessage): AsyncGenerator<string, void> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n')) {
      yield text.slice(0, at);
      text = text.slice(at + 1);
    }
  }
}

const header = etcdserverpb.ResponseHeaderCodec.create({ revision: 7 });

describe('a unary call', () => {
  const echo = (table: ServiceTable) =>
    table.unary(range, (call, { key, limit }) => {
      if (limit < 0) call.fail(STATUS.OUT_OF_RANGE, 'a <limit>');
      else call.reply(range.response, range.response.create({ header, count: key.length }));
    });

  test('is answered in JSON, on a connection that stays', async () => {
    const { ask } = await serving(echo);
    const headers = {
      'content-type': 'application/json',
      'grpc-metadata-content-type': 'application/grpc',
    };
    for (let i = 0; i < 3; i++) {
      expect(await ask('/v3/kv/range', '{"key":"Zm9v"} and whatever follows')).toMatchObject({
        status: 200,
        headers: { ...headers, connection: 'keep-alive', 'content-length': '39' },
        body: '{"header":{"revision":"7"},"count":"3"}',
      });
    }
    expect((await ask('/v3/kv/range', '')).body).toBe('{"header":{"revision":"7"}}');
    const trailers = await ask('/v3/kv/range', ' \n', { headers: { te: 'Trailers' } });
    expect(trailers.headers['transfer-encoding']).toBe('chunked');
  });

  test.each([
    ['/v3/kv/range', 'GET', 501, '{"code":12,"message":"Method Not Allowed"}'],
    ['/v3/kv/range', 'PUT', 501, '{"code":12,"message":"Method Not Allowed"}'],
    ['/v3/kv/range/', 'POST', 404, '{"code":5,"message":"Not Found"}'],
    ['/v3/', 'GET', 404, '{"code":5,"message":"Not Found"}'],
    ['/v3/kv/put', 'POST', 404, '{"code":5,"message":"Not Found"}'],
  ])('%s by %s is answered %i', async (path, method, status, body) => {
    const { ask } = await serving(echo);
    const answer = await ask(path, '', { method });
    expect(answer).toMatchObject({ status, body, headers: { 'content-type': 'application/json' } });
    expect(answer.headers).not.toHaveProperty('grpc-metadata-content-type');
  });

  test.each([
    ['{"key":5}', 400, 'proto: (line 1:8): invalid value for bytes field key: 5', 3],
    ['{"key":"Zm9v"', 400, 'unexpected EOF', 3],
    ['x', 400, "invalid character 'x' looking for beginning of value", 3],
    ['{"limit":-1}', 400, 'a <limit>', 11],
    [
      `{"key":"${'A'.repeat(16_000)}"}`,
      429,
      `grpc: received message larger than max (12003 vs. ${RECEIVE_BYTES_MAX})`,
      8,
    ],
    [`{"key":"${'A'.repeat(300_000)}`, 429, 'a JSON value of more than 40000 bytes', 8],
  ])('%.20s is refused', async (body, status, message, code) => {
    const { ask } = await serving(echo);
    const answer = await ask('/v3/kv/range', body);
    expect([answer.status, JSON.parse(answer.body)]).toEqual([status, { code, message }]);
  });

  test('a form may name another method', async () => {
    const { ask } = await serving(echo);
    const headers = {
      'x-http-method-override': 'get',
      'content-type': 'application/x-www-form-urlencoded',
    };
    expect((await ask('/v3/kv/range', '', { headers })).status).toBe(501);
    expect(
      (await ask('/v3/kv/range', '', { headers: { ...headers, 'content-type': 'text/plain' } }))
        .status,
    ).toBe(200);
  });

  test('comes with the metadata and the deadline of its headers, and with no certificate', async () => {
    const seen: UnaryCall[] = [];
    const { ask } = await serving((table) =>
      table.unary(put, (call) => {
        seen.push(call);
        if (call.metadata.get('wait') === undefined)
          call.reply(put.response, put.response.create());
      }),
    );
    await ask('/v3/kv/put', '{}', {
      headers: {
        ...{ Authorization: 'Bearer token', Accept: '*/*', 'Grpc-Metadata-HasLeader': 'true' },
        ...{ 'Grpc-Metadata-X-Bin': 'AAE=', 'Grpc-Metadata-Content-Type': 'no', 'X-Other': 'no' },
        ...{ 'X-Forwarded-For': '10.0.0.1', 'Grpc-Timeout': '1H' },
      },
    });
    const [{ metadata, peer, deadlineMs, caller }] = seen as [UnaryCall];
    const nowMs = clock.monotonicMs();
    expect(Object.fromEntries(metadata.entries())).toMatchObject({
      authorization: 'Bearer token',
      'grpcgateway-authorization': 'Bearer token',
      'grpcgateway-accept': '*/*',
      hasleader: 'true',
      'x-bin': 'AAE',
      'x-forwarded-for': '10.0.0.1, 127.0.0.1',
    });
    expect(metadata.get('content-type') ?? metadata.get('x-other')).toBeUndefined();
    expect([peer.certificate, peer.encrypted, caller]).toEqual([undefined, false, undefined]);
    expect(deadlineMs - nowMs).toBeGreaterThan(3_000_000);
    expect(deadlineMs - nowMs).toBeLessThanOrEqual(3_600_000);

    const late = { 'Grpc-Metadata-Wait': '1', 'Grpc-Timeout': '20m' };
    expect(await ask('/v3/kv/put', '{}', { headers: late })).toMatchObject({
      status: 504,
      body: '{"code":4,"message":"context deadline exceeded"}',
    });
    expect(seen[1]!.ended).toBe(true);
    for (const [timeout, status] of [
      ...([
        ['-1S', 504],
        ['0S', 200],
        ['5', 400],
        ['xS', 400],
        ['1s', 400],
      ] as const),
      ...([['9223372036854775808n', 400]] as const),
    ]) {
      const answer = await ask('/v3/kv/put', '{}', { headers: { 'Grpc-Timeout': timeout } });
      expect([timeout, answer.status]).toEqual([timeout, status]);
    }
    const headers = { 'Grpc-Metadata-X-Bin': 'A*' };
    expect((await ask('/v3/kv/put', '{}', { headers })).body).toBe(
      '{"code":3,"message":"invalid binary header Grpc-Metadata-X-Bin: illegal base64 data at input byte 1"}',
    );
  });

  test('whose client has gone is cancelled', async () => {
    const begun = deferred<UnaryCall>();
    const cancelled = deferred<void>();
    const { open } = await serving((table) =>
      table.unary(put, (call) => {
        call.onCancel = () => cancelled.resolve();
        begun.resolve(call);
      }),
    );
    const { request: asked } = open('/v3/kv/put');
    asked.on('error', () => undefined).end('{}');
    const call = await begun.promise;
    asked.destroy();
    await cancelled.promise;
    expect(call.ended).toBe(true);
    call.reply(put.response, put.response.create());
  });

  test('whose handler throws is answered as such', async () => {
    const { ask, errors } = await serving((table) =>
      table.unary(put, () => {
        throw new Error('a mistake');
      }),
    );
    expect(await ask('/v3/kv/put', '{}')).toMatchObject({
      status: 500,
      body: '{"code":13,"message":"internal error"}',
    });
    expect(errors).toEqual([new Error('a mistake')]);
  });
});

describe('a large answer', () => {
  const kv = mvccpb.KeyValueCodec.create({
    key: bytesFromUtf8('k'),
    value: new Uint8Array(60_000),
  });
  const field = range.response.encode(range.response.create({ kvs: [kv] }));

  test('is printed while the client takes it, and no faster', async () => {
    let made = 0;
    let returned = 0;
    const COUNT = 1000;
    const { open } = await serving((table) =>
      table.unary(range, (call) => {
        function* pieces() {
          try {
            for (; made < COUNT; made++) yield field;
          } finally {
            returned++;
          }
        }
        call.replyInPieces(COUNT * field.length, pieces());
      }),
    );
    const { request: asked, response } = open('/v3/kv/range');
    asked.end('{}');
    const answer = await response;
    answer.pause();
    await untilQuiet(() => made);
    expect(made).toBeLessThan(COUNT / 2);
    const { kvs } = JSON.parse(await textOf(answer)) as { kvs: { value: string }[] };
    expect([kvs.length, kvs.at(-1)!.value.length, returned]).toEqual([COUNT, 80_000, 1]);

    made = 0;
    const second = open('/v3/kv/range');
    second.request.on('error', () => undefined).end('{}');
    const gone = await second.response;
    gone.on('error', () => undefined).destroy();
    await untilQuiet(() => returned);
    expect(returned).toBe(2);
  });

  test('that fails breaks off, or is refused if nothing was sent', async () => {
    let good = 0;
    const { ask, open } = await serving((table) =>
      table.unary(range, (call) => {
        function* pieces() {
          for (let i = 0; i < good; i++) yield field;
          throw new GrpcStatusError(STATUS.OUT_OF_RANGE, 'compacted');
        }
        call.replyInPieces(10 * field.length, pieces());
      }),
    );
    expect(await ask('/v3/kv/range', '{}')).toMatchObject({
      status: 400,
      body: '{"code":11,"message":"compacted"}',
    });
    good = 2;
    const { request: asked, response } = open('/v3/kv/range');
    asked.end('{}');
    await expect(textOf(await response)).rejects.toThrow('aborted');
  });

  test('of one piece is printed as a small one is', async () => {
    const kvs = Array.from({ length: 10 }, () => kv);
    const whole = range.response.create({ header, kvs, count: 10 });
    const { ask } = await serving((table) =>
      table.unary(range, (call) => call.reply(range.response, whole)),
    );
    const { body } = await ask('/v3/kv/range', '{}');
    expect(JSON.parse(body)).toMatchObject({ header: { revision: '7' }, count: '10' });
  });
});

describe('a stream', () => {
  /** Opens a stream and hands its call out. */
  const handed = <A, B, C, D>(method: MethodDescriptor<A, B, C, D>) => {
    const call = deferred<StreamCall>();
    const heard: string[] = [];
    const fill = (table: ServiceTable) =>
      table.stream(method, (opened) => {
        call.resolve(opened);
        return {
          onMessage: (bytes) => heard.push(`message of ${bytes.length}`),
          onEnd: () => heard.push('end'),
          onCancel: () => heard.push('cancel'),
          onDrain: () => heard.push('drain'),
        };
      });
    return { call: call.promise, heard, fill };
  };

  test('takes messages as they come and sends results as lines', async () => {
    const { call, heard, fill } = handed(watch);
    const { open } = await serving(fill);
    const { request: asked, response } = open('/v3/watch');
    asked.write('{"create_request":{"key":"Zm9v"}}{"cancel_re');
    const stream = await call;
    stream.write(watch.response, watch.response.create({ header, cancelReason: '<&>' }));
    const answer = await response;
    expect(answer.headers).toMatchObject({
      ...{ 'content-type': 'application/json', 'transfer-encoding': 'chunked' },
      'grpc-metadata-content-type': 'application/grpc',
    });
    const lines = linesOf(answer);
    expect((await lines.next()).value).toBe(
      '{"result":{"header":{"revision":"7"},"cancel_reason":"\\u003c\\u0026\\u003e"}}',
    );
    asked.write('quest":{"watch_id":"1"}}\n');
    asked.end('{}');
    await untilQuiet(() => heard.length);
    expect(heard).toEqual(['message of 7', 'message of 4', 'message of 0', 'end']);
    stream.end(STATUS.UNAVAILABLE, 'no leader');
    expect((await lines.next()).value).toBe('{"error":{"code":14,"message":"no leader"}}');
    expect((await lines.next()).done).toBe(true);
  });

  test.each([
    ['without results', STATUS.OK, '', 200, ''],
    [
      'with an error',
      STATUS.UNAVAILABLE,
      'a&b',
      503,
      '{"error":{"code":14,"message":"a\\u0026b"}}\n',
    ],
  ] as const)('that ends %s', async (_, status, message, http, body) => {
    const { call, fill } = handed(leaseKeepAlive);
    const { open } = await serving(fill);
    const { request: asked, response } = open('/v3/lease/keepalive');
    asked.end('{"ID":1}');
    (await call).end(status, message);
    const answer = await response;
    expect([answer.statusCode, await textOf(answer)]).toEqual([http, body]);
  });

  test('whose body is none is refused, before results and after', async () => {
    for (const results of [0, 1]) {
      const { call, heard, fill } = handed(watch);
      const { open } = await serving(fill);
      const { request: asked, response } = open('/v3/watch');
      asked.write('{}');
      const stream = await call;
      if (results === 1) {
        stream.write(watch.response, watch.response.create({ header }));
        await response;
      }
      asked.write('{"nope":x}');
      const answer = await response;
      expect(answer.statusCode).toBe(results === 1 ? 200 : 400);
      const lines = (await textOf(answer)).trimEnd().split('\n');
      expect(lines).toHaveLength(1 + results);
      const message = "invalid character 'x' looking for beginning of value";
      expect(JSON.parse(lines.at(-1)!)).toEqual({ error: { code: 3, message } });
      expect(heard).toEqual(['message of 0', 'cancel']);
      expect(stream.ended).toBe(true);
    }
  });

  test('whose client has gone is cancelled', async () => {
    const { call, heard, fill } = handed(watch);
    const { open } = await serving(fill);
    const { request: asked } = open('/v3/watch');
    asked.on('error', () => undefined).write('{}');
    const stream = await call;
    await untilQuiet(() => heard.length);
    asked.destroy();
    await untilQuiet(() => heard.length);
    expect([heard, stream.ended]).toEqual([['message of 0', 'cancel'], true]);
  });

  test('whose client reads nothing is asked to wait, and its memory is bounded', async () => {
    const { call, heard, fill } = handed(watch);
    const { open } = await serving(fill);
    const { request: asked, response } = open('/v3/watch');
    asked.write('{}');
    const stream = await call;
    const message = watch.response.encode(
      watch.response.create({ cancelReason: 'x'.repeat(50_000) }),
    );
    stream.write(BYTES_ENCODER, message);
    const answer = await response;
    answer.pause();
    let sent = 1;
    await untilQuiet(() => {
      while (stream.hasRoom) {
        stream.write(BYTES_ENCODER, message);
        sent++;
      }
      return sent;
    });
    expect(sent * message.length).toBeLessThan(32 * 1024 * 1024);
    const lines = linesOf(answer);
    for (let i = 0; i < sent; i++) expect((await lines.next()).value).toHaveLength(50_031);
    await untilQuiet(() => heard.length);
    expect(heard.at(-1)).toBe('drain');
  });

  test('of one request gets it when the body ends', async () => {
    const heard: number[] = [];
    const { ask } = await serving((table) =>
      table.stream(snapshot, (call) => ({
        onMessage: (bytes) => heard.push(bytes.length),
        onEnd: () => {
          call.write(snapshot.response, snapshot.response.create({ blob: Uint8Array.of(1) }));
          call.end();
        },
        onCancel: () => undefined,
        onDrain: () => undefined,
      })),
    );
    expect((await ask('/v3/maintenance/snapshot', '{} {}')).body).toBe(
      '{"result":{"blob":"AQ=="}}\n',
    );
    expect((await ask('/v3/maintenance/snapshot', '')).status).toBe(200);
    expect(await ask('/v3/maintenance/snapshot', '[')).toMatchObject({
      status: 400,
      body: '{"code":3,"message":"unexpected EOF"}',
    });
    expect(heard).toEqual([0, 0]);
  });
});

/** Resolves when a number stays the same for many turns of the event loop, I/O of this process included. */
async function untilQuiet(number: () => number): Promise<void> {
  let last = Number.NaN;
  for (let quiet = 0; quiet < 300; ) {
    await timers.nextTurn();
    const now = number();
    quiet = now === last ? quiet + 1 : 0;
    last = now;
  }
}
