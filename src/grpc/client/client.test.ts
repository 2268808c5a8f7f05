// The client against other people's servers, and against ours.

import { mkdtempSync, rmSync } from 'node:fs';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import grpc from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { listen, socketConnect } from '../../net/index.ts';
import { SERVER_LIMITS } from '../limits.ts';
import { BYTES_ENCODER } from '../message-encoder.ts';
import { GrpcStatusError, STATUS } from '../status.ts';
import { clock, entropy, type Rig, startRig, timers } from '../testing/rig.fixture.ts';
import { createChannel } from './channel.ts';
import type { CallStatus, Channel, ChannelOptions, ClientStreamHandler } from './client-types.ts';

const same = (bytes: Buffer) => bytes;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (value: string) => new TextEncoder().encode(value);

function channelTo(ports: readonly number[], options: Partial<ChannelOptions> = {}): Channel {
  return createChannel({
    endpoints: ports.map((port) => ({ host: '127.0.0.1', port })),
    connect: socketConnect(),
    timers,
    clock,
    entropy,
    ...options,
  });
}

/** Collects what a stream delivers; `status` resolves at its end. */
function collector(onMessage: (message: string) => void = () => {}) {
  const messages: string[] = [];
  let resolveStatus: (status: CallStatus) => void;
  const status = new Promise<CallStatus>((resolve) => {
    resolveStatus = resolve;
  });
  let drains = 0;
  const handler: ClientStreamHandler = {
    onMessage: (message) => {
      messages.push(text(message));
      onMessage(text(message));
    },
    onStatus: (value) => resolveStatus(value),
    onDrain: () => {
      drains++;
    },
  };
  return { messages, status, handler, drains: () => drains };
}

async function failureOf(promise: Promise<unknown>): Promise<GrpcStatusError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof GrpcStatusError) return error;
    throw error;
  }
  throw new Error('the call succeeded');
}

/** A grpc-js server with the methods of the rig, as far as both sides need them. */
async function startJsServer(): Promise<{ server: grpc.Server; port: number }> {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 });
  const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  });
  server.addService(
    {
      unary: method('Unary', false, false),
      fail: method('Fail', false, false),
      metadata: method('Metadata', false, false),
      hang: method('Hang', false, false),
      chat: method('Chat', true, true),
      collect: method('Collect', true, false),
      count: method('Count', false, true),
    },
    {
      unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) =>
        done(null, call.request),
      fail: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
        const trailers = new grpc.Metadata();
        trailers.set('x-why', 'because');
        done({ code: 9, details: call.request.toString(), metadata: trailers });
      },
      metadata: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) =>
        done(null, call.metadata.get('x-bytes-bin')[0] as Buffer),
      hang: () => {},
      chat: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.on('data', (message: Buffer) => call.write(message));
        call.on('end', () => call.end());
      },
      collect: (
        call: grpc.ServerReadableStream<Buffer, Buffer>,
        done: grpc.sendUnaryData<Buffer>,
      ) => {
        let total = 0;
        call.on('data', (message: Buffer) => {
          total += message.length;
        });
        call.on('end', () => done(null, Buffer.from(String(total))));
      },
      count: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
        const [count, size] = call.request.toString().split(' ').map(Number);
        for (let i = 0; i < count!; i++) call.write(Buffer.alloc(size!, 7));
        call.end();
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, value) =>
      error ? reject(error) : resolve(value),
    ),
  );
  return { server, port };
}

describe.each(['@grpc/grpc-js', 'ours'])('our client against the server of %s', (whose) => {
  let rig: Rig | undefined;
  let js: grpc.Server | undefined;
  let channel: Channel;

  beforeAll(async () => {
    let port: number;
    if (whose === 'ours') {
      rig = await startRig();
      port = rig.port;
    } else {
      const started = await startJsServer();
      js = started.server;
      port = started.port;
    }
    channel = channelTo([port]);
  });
  afterAll(async () => {
    channel.close();
    js?.forceShutdown();
    await rig?.close();
  });

  test.each([0, 1, 16_379, 16_380, 70_000, 3_000_000])('echoes %i bytes', async (size) => {
    const body = new Uint8Array(size).fill(120);
    const reply = await channel.request('/test.Echo/Unary', BYTES_ENCODER, body);
    expect(Buffer.compare(reply, body)).toBe(0);
  });

  test('many calls at once', async () => {
    const all = Array.from({ length: 500 }, (_, i) => `message ${i}`);
    const replies = await Promise.all(
      all.map((one) => channel.request('/test.Echo/Unary', BYTES_ENCODER, bytes(one))),
    );
    expect(replies.map(text)).toEqual(all);
  });

  test('a failure carries its text and trailers', async () => {
    const message = 'größer 100%\n"日本"';
    const status = await new Promise<CallStatus>((resolve, reject) => {
      channel.unary('/test.Echo/Fail', BYTES_ENCODER, bytes(message), {
        onReply: () => reject(new Error('a reply')),
        onFailure: resolve,
      });
    });
    expect(status).toMatchObject({ code: 9, message, unprocessed: false });
    expect(status.trailers.get('x-why')).toBe('because');
  });

  test('binary metadata', async () => {
    const value = Uint8Array.of(0, 255, 128, 10);
    for (let i = 0; i < 3; i++) {
      const reply = await channel.request('/test.Echo/Metadata', BYTES_ENCODER, bytes(''), {
        metadata: { 'x-bytes-bin': value, 'x-text': 'again and again' },
      });
      expect(Buffer.compare(reply, value)).toBe(0);
    }
  });

  test('unknown methods', async () => {
    const error = await failureOf(channel.request('/test.Echo/Nope', BYTES_ENCODER, bytes('')));
    expect(error.code).toBe(STATUS.UNIMPLEMENTED);
  });

  test('a deadline', async () => {
    const error = await failureOf(
      channel.request('/test.Echo/Hang', BYTES_ENCODER, bytes(''), { timeoutMs: 60 }),
    );
    expect(error.code).toBe(STATUS.DEADLINE_EXCEEDED);
    // Either side may be the first to notice.
    expect(error.details).toMatch(/deadline exceeded/i);
  });

  test('cancelling', async () => {
    const status = await new Promise<CallStatus>((resolve) => {
      const call = channel.unary('/test.Echo/Hang', BYTES_ENCODER, bytes(''), {
        onReply: () => {},
        onFailure: resolve,
      });
      setImmediate(() => call.cancel());
    });
    expect(status.code).toBe(STATUS.CANCELED);
  });

  test('a reply over the limit', async () => {
    const error = await failureOf(
      channel.request('/test.Echo/Unary', BYTES_ENCODER, new Uint8Array(2000), {
        receiveBytesMax: 1999,
      }),
    );
    expect(error.code).toBe(STATUS.RESOURCE_EXHAUSTED);
    expect(error.details).toBe('grpc: received message larger than max (2000 vs. 1999)');
  });

  test('client streaming', async () => {
    const seen = collector();
    const call = channel.stream('/test.Echo/Collect', seen.handler);
    for (let i = 0; i < 100; i++) call.write(BYTES_ENCODER, new Uint8Array(i * 100));
    call.end();
    expect((await seen.status).code).toBe(0);
    expect(seen.messages).toEqual([String((100 * 99 * 100) / 2)]);
  });

  test('client streaming is told to wait', async () => {
    const seen = collector();
    const call = channel.stream('/test.Echo/Collect', seen.handler);
    const piece = new Uint8Array(50_000);
    let sent = 0;
    while (sent < 200) {
      sent++;
      if (!call.writeBytes(piece)) {
        const before = seen.drains();
        await expect.poll(() => seen.drains(), { interval: 1 }).toBeGreaterThan(before);
      }
    }
    call.end();
    expect((await seen.status).code).toBe(0);
    expect(seen.messages).toEqual([String(200 * 50_000)]);
    expect(seen.drains()).toBeGreaterThan(0);
  });

  test('server streaming, pausing', async () => {
    let count = 0;
    const seen = collector(() => {
      count++;
      if (count % 300 === 0) {
        call.pause();
        setImmediate(() => setImmediate(() => call.resume()));
      }
    });
    const call = channel.stream('/test.Echo/Count', seen.handler);
    call.writeBytes(bytes('1500 20000'));
    call.end();
    expect((await seen.status).code).toBe(0);
    expect(count).toBe(1500);
  });

  test('bidirectional streaming', async () => {
    const seen = collector(() => {
      if (seen.messages.length < 50) call.writeBytes(bytes(`turn ${seen.messages.length}`));
      else call.end();
    });
    const call = channel.stream('/test.Echo/Chat', seen.handler);
    call.writeBytes(bytes('turn 0'));
    expect((await seen.status).code).toBe(0);
    expect(seen.messages).toEqual(Array.from({ length: 50 }, (_, i) => `turn ${i}`));
  });
});

describe('what a response that is not gRPC amounts to', () => {
  let server: http2.Http2Server;
  let channel: Channel;
  let answer: (stream: http2.ServerHttp2Stream) => void;

  beforeAll(async () => {
    server = http2.createServer();
    server.on('stream', (stream) => {
      // Resetting a stream is an error of the stream to Node.
      stream.on('error', () => {});
      answer(stream);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    channel = channelTo([(server.address() as AddressInfo).port]);
  });
  afterAll(() => {
    channel.close();
    server.close();
  });

  const cases: ReadonlyArray<
    readonly [string, (stream: http2.ServerHttp2Stream) => void, number, RegExp]
  > = [
    [
      'a web page',
      (s) => s.respond({ ':status': 404, 'content-type': 'text/html' }, { endStream: true }),
      12,
      /unexpected HTTP status code.*: 404; .*unexpected content-type "text\/html"/,
    ],
    [
      'no status',
      (s) => s.respond({ 'content-type': 'application/grpc' }, { endStream: true }),
      2,
      /^$/,
    ],
    [
      'no trailers',
      (s) => {
        s.respond({ 'content-type': 'application/grpc' });
        s.end();
      },
      13,
      /server closed the stream without sending trailers/,
    ],
    [
      'no message',
      (s) =>
        s.respond({ 'content-type': 'application/grpc', 'grpc-status': 0 }, { endStream: true }),
      13,
      /received no response message/,
    ],
    [
      'a status that is no number',
      (s) =>
        s.respond({ 'content-type': 'application/grpc', 'grpc-status': 'x' }, { endStream: true }),
      2,
      /malformed grpc-status/,
    ],
    ['a reset', (s) => s.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM), 8, /ENHANCE_YOUR_CALM/],
    [
      'refused again and again',
      (s) => s.close(http2.constants.NGHTTP2_REFUSED_STREAM),
      14,
      /refused/,
    ],
    ['a lost connection', (s) => s.session?.destroy(), 14, /error reading from server|goaway/],
  ];

  test.each(cases)('%s', async (_name, how, code, details) => {
    answer = how;
    const error = await failureOf(channel.request('/a.B/C', BYTES_ENCODER, bytes('x')));
    expect(error.code).toBe(code);
    expect(error.details).toMatch(details);
  });

  test('one refusal is retried without a word', async () => {
    let asked = 0;
    answer = (stream) => {
      asked++;
      if (asked === 1) stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      else
        stream.respond(
          { 'content-type': 'application/grpc', 'grpc-status': 5 },
          { endStream: true },
        );
    };
    const error = await failureOf(channel.request('/a.B/C', BYTES_ENCODER, bytes('x')));
    expect(error.code).toBe(5);
    expect(asked).toBe(2);
  });
});

describe('several endpoints', () => {
  const rigs: Rig[] = [];
  let channel: Channel | undefined;
  afterEach(async () => {
    channel?.close();
    for (const rig of rigs.splice(0)) await rig.close();
  });

  async function startMany(count: number): Promise<Rig[]> {
    for (let i = 0; i < count; i++) rigs.push(await startRig());
    return rigs;
  }
  const served = (rig: Rig) => rig.server.methods[0]!.started;
  const call = (to: Channel, options = {}) =>
    to.request('/test.Echo/Unary', BYTES_ENCODER, bytes('x'), options);

  test('calls are spread in turn', async () => {
    const [a, b, c] = await startMany(3);
    channel = channelTo([a!.port, b!.port, c!.port]);
    await call(channel);
    await expect.poll(() => channel!.states()).toEqual(['ready', 'ready', 'ready']);
    for (let i = 0; i < 30; i++) await call(channel);
    for (const rig of [a!, b!, c!]) expect(served(rig)).toBeGreaterThanOrEqual(10);
  });

  test('one is kept, until it fails', async () => {
    const [a, b] = await startMany(2);
    channel = channelTo([a!.port, b!.port], { balance: 'first' });
    for (let i = 0; i < 10; i++) await call(channel);
    expect([served(a!), served(b!)]).toEqual([10, 0]);
    await a!.close();
    await expect.poll(() => channel!.states()[0]).not.toBe('ready');
    for (let i = 0; i < 10; i++) await call(channel, { waitForReady: true });
    expect(served(b!)).toBe(10);
  });

  test('nobody there', async () => {
    const [a] = await startMany(1);
    await a!.close();
    channel = channelTo([a!.port]);
    const error = await failureOf(call(channel));
    expect(error.code).toBe(STATUS.UNAVAILABLE);
    expect(error.details).toMatch(
      /^connection error: desc = "transport: Error while dialing: .*ECONNREFUSED/,
    );
    expect(channel.states()).toEqual(['backoff']);
    const late = await failureOf(call(channel, { waitForReady: true, timeoutMs: 50 }));
    expect(late.code).toBe(STATUS.DEADLINE_EXCEEDED);
    expect(late.details).toMatch(/^latest balancer error: connection error: .*ECONNREFUSED/);
  });

  test('a server that comes back is found again', async () => {
    const [a] = await startMany(1);
    channel = channelTo([a!.port], { limits: { backoffMsMin: 20, backoffMsMax: 20 } });
    await call(channel);
    const { port } = a!;
    await a!.close();
    await expect.poll(() => channel!.states()[0]).not.toBe('ready');
    const waiting = call(channel, { waitForReady: true, timeoutMs: 10_000 });
    await expect.poll(() => channel!.states()).toEqual(['backoff']);
    const again = await startRig({ port });
    rigs.push(again);
    expect(text(await waiting)).toBe('x');
  });

  test('a drained server loses no call', async () => {
    const [a, b] = await startMany(2);
    channel = channelTo([a!.port, b!.port]);
    await call(channel);
    await expect.poll(() => channel!.states()).toEqual(['ready', 'ready']);
    let failures = 0;
    let stop = false;
    const load = Promise.all(
      Array.from({ length: 20 }, async () => {
        while (!stop) await call(channel!).catch(() => failures++);
      }),
    );
    await expect.poll(() => served(a!)).toBeGreaterThan(20);
    await a!.listener.close();
    await a!.server.drain();
    const before = served(b!);
    await expect.poll(() => served(b!)).toBeGreaterThan(before + 20);
    stop = true;
    await load;
    expect(failures).toBe(0);
  });

  test('endpoints can be replaced', async () => {
    const [a, b] = await startMany(2);
    channel = channelTo([a!.port]);
    await call(channel);
    channel.setEndpoints([{ host: '127.0.0.1', port: b!.port }]);
    for (let i = 0; i < 3; i++) await call(channel);
    expect([served(a!), served(b!)]).toEqual([1, 3]);
    await expect.poll(() => a!.server.connectionCount).toBe(0);
  });

  test('more calls than the server takes at once', async () => {
    const rig = await startRig({ server: { limits: { maxConcurrentStreams: 7 } } });
    rigs.push(rig);
    channel = channelTo([rig.port]);
    const replies = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        channel!.request('/test.Echo/Later', BYTES_ENCODER, bytes(String(i))),
      ),
    );
    expect(replies.map(text)).toEqual(Array.from({ length: 100 }, (_, i) => String(i)));
  });

  test('messages of tens of megabytes, both ways', async () => {
    const rig = await startRig({ server: { limits: { receiveBytesMax: 100_000_000 } } });
    rigs.push(rig);
    channel = channelTo([rig.port]);
    const body = new Uint8Array(50_000_000);
    for (let i = 0; i < body.length; i += 997) body[i] = i;
    const reply = await channel.request('/test.Echo/Unary', BYTES_ENCODER, body);
    expect(Buffer.compare(reply, body)).toBe(0);
  });

  test('an answer made while it is sent: bounded in the queue, whole at the client', async () => {
    const rig = await startRig();
    rigs.push(rig);
    const piece = 40_000;
    const count = 500;
    let made = 0;
    let queuedMost = 0;
    rig.server.unary('/test.Pieces/Get', (call) => {
      const pieces = function* () {
        for (;;) {
          const { queuedBytes } = call as unknown as { readonly queuedBytes: number };
          queuedMost = Math.max(queuedMost, queuedBytes);
          yield new Uint8Array(piece).fill(made++ % 251);
        }
      };
      call.replyInPieces(piece * count, pieces());
    });
    channel = channelTo([rig.port], { limits: { receiveBytesMax: 100_000_000 } });
    const reply = await channel.request('/test.Pieces/Get', BYTES_ENCODER, bytes(''));
    expect(reply.length).toBe(piece * count);
    expect(reply.every((byte, at) => byte === Math.floor(at / piece) % 251)).toBe(true);
    expect(queuedMost).toBeLessThanOrEqual(SERVER_LIMITS.streamHighWaterBytes + piece);
  });

  test('over a Unix socket', async () => {
    const rig = await startRig();
    rigs.push(rig);
    const directory = mkdtempSync(join(tmpdir(), 'grpc-'));
    const path = join(directory, 'socket');
    const listener = await listen({ address: { host: '', port: 0, path }, http2: rig.server });
    channel = channelTo([], { endpoints: [{ host: '', port: 0, path }] });
    expect(text(await call(channel))).toBe('x');
    await listener.close();
    rmSync(directory, { recursive: true });
  });

  test('closing cancels what runs', async () => {
    const [a] = await startMany(1);
    channel = channelTo([a!.port]);
    const hanging = failureOf(channel.request('/test.Echo/Hang', BYTES_ENCODER, bytes('')));
    await expect.poll(() => a!.hanging.length).toBe(1);
    channel.close();
    expect((await hanging).code).toBe(STATUS.CANCELED);
    expect((await failureOf(call(channel))).code).toBe(STATUS.CANCELED);
    await expect.poll(() => a!.hanging[0]!.cancelled).toBe(true);
  });
});
