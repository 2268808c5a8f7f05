// The server as other people's clients see it: @grpc/grpc-js and node:http2.

import http2 from 'node:http2';
import { gunzipSync, gzipSync } from 'node:zlib';
import grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Rig, startRig, timers } from '../testing/rig.fixture.ts';

const same = (bytes: Buffer) => bytes;

interface Outcome {
  readonly code: number;
  readonly details: string;
  readonly reply: Buffer | undefined;
  readonly headers: grpc.Metadata | undefined;
  readonly trailers: grpc.Metadata | undefined;
}

function unary(
  client: grpc.Client,
  method: string,
  body: Buffer,
  metadata = new grpc.Metadata(),
  options: grpc.CallOptions = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    let headers: grpc.Metadata | undefined;
    let trailers: grpc.Metadata | undefined;
    let reply: Buffer | undefined;
    const call = client.makeUnaryRequest(
      method,
      same,
      same,
      body,
      metadata,
      options,
      (_error, value) => {
        reply = value;
      },
    );
    call.on('metadata', (value: grpc.Metadata) => {
      headers = value;
    });
    call.on('status', (status: grpc.StatusObject) => {
      trailers = status.metadata;
      setImmediate(() =>
        resolve({ code: status.code, details: status.details, reply, headers, trailers }),
      );
    });
  });
}

describe('@grpc/grpc-js against our server', () => {
  let rig: Rig;
  let client: grpc.Client;
  const errors: unknown[] = [];

  beforeAll(async () => {
    rig = await startRig({ server: { onHandlerError: (_call, error) => errors.push(error) } });
    client = new grpc.Client(rig.target, grpc.credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
    });
  });
  afterAll(async () => {
    client.close();
    await rig.close();
  });

  test.each([0, 1, 100, 16_379, 16_380, 70_000, 4_194_304])('echoes %i bytes', async (size) => {
    const body = Buffer.alloc(size, 'x');
    for (const method of ['/test.Echo/Unary', '/test.Echo/Later']) {
      const outcome = await unary(client, method, body);
      expect(outcome.code).toBe(0);
      expect(outcome.reply?.equals(body)).toBe(true);
    }
  });

  test('many calls at once', async () => {
    const bodies = Array.from({ length: 500 }, (_, i) => Buffer.from(`message ${i}`));
    const outcomes = await Promise.all(bodies.map((b) => unary(client, '/test.Echo/Later', b)));
    outcomes.forEach((outcome, i) => {
      expect(outcome.reply?.equals(bodies[i]!)).toBe(true);
    });
  });

  test('a failure carries its text and trailers', async () => {
    const text = 'etcdserver: größer 100%\n, "日本"';
    const outcome = await unary(client, '/test.Echo/Fail', Buffer.from(text));
    expect(outcome.code).toBe(grpc.status.FAILED_PRECONDITION);
    expect(outcome.details).toBe(text);
    expect(outcome.trailers?.get('x-why')).toEqual(['because']);
  });

  test('a handler that throws answers INTERNAL', async () => {
    const outcome = await unary(client, '/test.Echo/Throw', Buffer.alloc(0));
    expect(outcome.code).toBe(grpc.status.INTERNAL);
    expect(errors).toHaveLength(1);
  });

  test('metadata both ways, text and binary', async () => {
    const metadata = new grpc.Metadata();
    metadata.set('x-text', 'some text');
    metadata.set('x-bytes-bin', Buffer.from([0, 255, 128, 10]));
    for (let i = 0; i < 5; i++) metadata.add('x-many', String(i));
    const outcome = await unary(client, '/test.Echo/Metadata', Buffer.alloc(0), metadata);
    expect(outcome.code).toBe(0);
    expect(outcome.reply).toEqual(Buffer.from([0, 255, 128, 10]));
    expect(outcome.headers?.get('x-seen')).toEqual(['some text']);
    expect(outcome.headers?.get('x-bytes-bin')).toEqual([Buffer.from([0, 255, 128, 10])]);
    // grpc-js joins nothing, so that each value arrives by itself.
    expect(outcome.trailers?.get('x-count')).toEqual(['5']);
  });

  test.each([
    ['/test.Echo/Nope', 'unknown method Nope for service test.Echo'],
    ['/test.Ecco/Unary', 'unknown service test.Ecco'],
  ])('%s is unimplemented', async (method, details) => {
    const outcome = await unary(client, method, Buffer.from('x'));
    expect(outcome).toMatchObject({ code: grpc.status.UNIMPLEMENTED, details });
  });

  test('a message over the limit', async () => {
    const outcome = await unary(client, '/test.Echo/Unary', Buffer.alloc(4_194_305));
    expect(outcome).toMatchObject({
      code: grpc.status.RESOURCE_EXHAUSTED,
      details: 'grpc: received message larger than max (4194305 vs. 4194304)',
    });
  });

  test('a deadline reaches the handler', async () => {
    const before = rig.hanging.length;
    const outcome = await unary(client, '/test.Echo/Hang', Buffer.alloc(0), undefined, {
      deadline: Date.now() + 100,
    });
    expect(outcome.code).toBe(grpc.status.DEADLINE_EXCEEDED);
    const state = rig.hanging[before]!;
    expect(state.deadlineMs).toBeLessThan(performance.now() + 100);
    await expect.poll(() => state.cancelled).toBe(true);
  });

  test('a cancelled call reaches the handler', async () => {
    const before = rig.hanging.length;
    const call = client.makeUnaryRequest(
      '/test.Echo/Hang',
      same,
      same,
      Buffer.alloc(0),
      new grpc.Metadata(),
      () => {},
    );
    await expect.poll(() => rig.hanging.length).toBe(before + 1);
    call.cancel();
    await expect.poll(() => rig.hanging[before]!.cancelled).toBe(true);
  });

  test('gzip requests are accepted', async () => {
    const gzip = new grpc.Client(rig.target, grpc.credentials.createInsecure(), {
      'grpc.default_compression_algorithm': 2,
    });
    const body = Buffer.alloc(50_000, 'compress me');
    const outcome = await unary(gzip, '/test.Echo/Unary', body);
    expect(outcome.code).toBe(0);
    expect(outcome.reply?.equals(body)).toBe(true);
    gzip.close();
  });

  test('an encoding that nobody has', async () => {
    const deflate = new grpc.Client(rig.target, grpc.credentials.createInsecure(), {
      'grpc.default_compression_algorithm': 1,
    });
    const outcome = await unary(deflate, '/test.Echo/Unary', Buffer.alloc(5000));
    expect(outcome).toMatchObject({
      code: grpc.status.UNIMPLEMENTED,
      details: 'grpc: Decompressor is not installed for grpc-encoding "deflate"',
    });
    deflate.close();
  });

  test('client streaming', async () => {
    const total = await new Promise((resolve, reject) => {
      const call = client.makeClientStreamRequest(
        '/test.Echo/Collect',
        same,
        same,
        new grpc.Metadata(),
        (error, value) => (error ? reject(error) : resolve(value?.toString())),
      );
      for (let i = 0; i < 100; i++) call.write(Buffer.alloc(i * 100));
      call.end();
    });
    expect(total).toBe(String((100 * 99 * 100) / 2));
  });

  test('server streaming, with a slow reader', async () => {
    const call = client.makeServerStreamRequest(
      '/test.Echo/Count',
      same,
      same,
      Buffer.from('3000 10000'),
    );
    let count = 0;
    for await (const message of call) {
      expect((message as Buffer).length).toBe(10_000);
      count++;
      if (count % 500 === 0) await timers.nextTurn();
    }
    expect(count).toBe(3000);
  });

  test('bidirectional streaming', async () => {
    const call = client.makeBidiStreamRequest('/test.Echo/Chat', same, same);
    const seen: string[] = [];
    const done = new Promise((resolve) => call.on('end', resolve));
    call.on('data', (message: Buffer) => {
      seen.push(message.toString());
      if (seen.length < 50) call.write(Buffer.from(`turn ${seen.length}`));
      else call.end();
    });
    call.write(Buffer.from('turn 0'));
    await done;
    expect(seen).toEqual(Array.from({ length: 50 }, (_, i) => `turn ${i}`));
  });

  test('a drained server finishes what runs and takes nothing new', async () => {
    const other = await startRig();
    const its = new grpc.Client(other.target, grpc.credentials.createInsecure());
    const call = its.makeBidiStreamRequest('/test.Echo/Chat', same, same);
    const seen: string[] = [];
    call.on('data', (message: Buffer) => seen.push(message.toString()));
    const status = new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));
    call.write(Buffer.from('before'));
    await expect.poll(() => seen).toEqual(['before']);
    await other.listener.close();
    const drained = other.server.drain();
    call.write(Buffer.from('after'));
    await expect.poll(() => seen).toEqual(['before', 'after']);
    expect(other.server.connectionCount).toBe(1);
    call.end();
    expect((await status).code).toBe(0);
    await drained;
    expect(other.server.connectionCount).toBe(0);
    its.close();
  });

  test('counters', () => {
    const stats = rig.server.methods.find((method) => method.path === '/test.Echo/Unary')!;
    expect(stats.started).toBeGreaterThan(5);
    expect(stats.ended[0]!).toBeGreaterThan(5);
    expect(stats.messagesSent).toBe(stats.ended[0]);
    expect(stats.bytesSent).toBeGreaterThan(4_194_304);
  });
});

describe('node:http2 against our server', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig();
  });
  afterAll(() => rig.close());

  interface Answer {
    readonly headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;
    readonly trailers: http2.IncomingHttpHeaders;
    readonly body: Buffer;
  }

  function ask(headers: http2.OutgoingHttpHeaders, body?: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const session = http2.connect(`http://${rig.target}`);
      session.on('error', reject);
      const request = session.request(headers, { endStream: body === undefined });
      let head: Answer['headers'] = {};
      let trailers: http2.IncomingHttpHeaders = {};
      const chunks: Buffer[] = [];
      request.on('response', (value) => {
        head = value;
      });
      request.on('trailers', (value) => {
        trailers = value;
      });
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('error', reject);
      request.on('end', () => {
        session.close();
        resolve({ headers: head, trailers, body: Buffer.concat(chunks) });
      });
      if (body !== undefined) request.end(body);
    });
  }

  const grpcHeaders = {
    ':method': 'POST',
    ':path': '/test.Echo/Unary',
    'content-type': 'application/grpc',
    te: 'trailers',
  };

  test('a unary call by hand', async () => {
    const body = Buffer.from([0, 0, 0, 0, 2, 104, 105]);
    const answer = await ask(grpcHeaders, body);
    expect(answer.headers[':status']).toBe(200);
    expect(answer.headers['content-type']).toBe('application/grpc');
    expect(answer.body).toEqual(body);
    expect(answer.trailers['grpc-status']).toBe('0');
  });

  test.each([
    [
      'not gRPC',
      { 'content-type': 'application/json' },
      415,
      '3',
      'invalid gRPC request content-type "application/json"',
    ],
    [
      'no content-type',
      { 'content-type': undefined },
      415,
      '3',
      'invalid gRPC request content-type ""',
    ],
    [
      'GET',
      { ':method': 'GET' },
      405,
      '13',
      'Received a HEADERS frame with :method "GET" which should be POST',
    ],
    [
      'a bad timeout',
      { 'grpc-timeout': '12x' },
      400,
      '13',
      'malformed grpc-timeout: transport: timeout unit is not recognized: "12x"',
    ],
    [
      'bad binary metadata',
      { 'x-bin': 'a!' },
      400,
      '13',
      'malformed binary metadata "a!" in header "x-bin": illegal base64 data at input byte 1',
    ],
    [
      'a path without a method',
      { ':path': '/nothing' },
      200,
      '12',
      'malformed method name: "/nothing"',
    ],
  ])('%s', async (_name, change, httpStatus, status, message) => {
    const answer = await ask({ ...grpcHeaders, ...change } as http2.OutgoingHttpHeaders);
    expect(answer.headers[':status']).toBe(httpStatus);
    expect(answer.headers['grpc-status']).toBe(status);
    expect(answer.headers['grpc-message']).toBe(message);
  });

  test.each([
    ['no message', Buffer.alloc(0), '2', /^EOF$/],
    ['half a prefix', Buffer.from([0, 0]), '2', /^EOF$/],
    ['half a message', Buffer.from([0, 0, 0, 0, 9, 1]), '2', /^unexpected EOF$/],
    [
      'a compressed message without encoding',
      Buffer.from([1, 0, 0, 0, 0]),
      '13',
      /compressed flag/,
    ],
    ['an unknown flag', Buffer.from([2, 0, 0, 0, 0]), '13', /unexpected payload format 2/],
  ])('%s', async (_name, body, status, message) => {
    const answer = await ask(grpcHeaders, body);
    expect(answer.headers['grpc-status']).toBe(status);
    expect(answer.headers['grpc-message']).toMatch(message);
  });

  test.each([
    ['two messages', Buffer.alloc(10)],
    ['a message and half of another', Buffer.alloc(7)],
  ])('%s: the first is the request', async (_name, body) => {
    const answer = await ask(grpcHeaders, body);
    expect(answer.trailers['grpc-status']).toBe('0');
    expect(answer.body).toEqual(Buffer.alloc(5));
  });

  test('gzip is mirrored', async () => {
    const packed = gzipSync(Buffer.from('x'.repeat(1000)));
    const body = Buffer.concat([Buffer.from([1, 0, 0, 0, packed.length]), packed]);
    const answer = await ask({ ...grpcHeaders, 'grpc-encoding': 'gzip' }, body);
    expect(answer.headers['grpc-encoding']).toBe('gzip');
    expect(answer.body[0]).toBe(1);
    expect(gunzipSync(answer.body.subarray(5)).toString()).toBe('x'.repeat(1000));
    expect(answer.trailers['grpc-status']).toBe('0');
  });

  test.each([
    [
      'a bomb',
      gzipSync(Buffer.alloc(5_000_000)),
      '8',
      /after decompression larger than max 4194304/,
    ],
    ['no gzip at all', Buffer.from('nonsense'), '13', /failed to decompress the message/],
  ])('%s', async (_name, packed, status, message) => {
    const prefix = Buffer.from([1, 0, 0, packed.length >> 8, packed.length & 255]);
    const body = Buffer.concat([prefix, packed]);
    const answer = await ask({ ...grpcHeaders, 'grpc-encoding': 'gzip' }, body);
    expect(answer.headers['grpc-status']).toBe(status);
    expect(answer.headers['grpc-message']).toMatch(message);
  });
});
