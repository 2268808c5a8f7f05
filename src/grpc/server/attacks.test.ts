// Each known attack meets its limit; each limit leaves honest clients alone.

import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { SERVER_LIMITS } from '../limits.ts';
import { BYTES_ENCODER } from '../message-encoder.ts';
import { STATUS } from '../status.ts';
import {
  block,
  data,
  FLAG,
  FLAGS_ALL,
  FRAME,
  frame,
  headers,
  join,
  message,
  PREFACE_BYTES,
  type RawServer,
  rawServer,
  request,
  reset,
  SETTINGS,
  settings,
  uint32,
  windowUpdate,
} from '../testing/raw-peer.fixture.ts';
import { addMethods } from '../testing/rig.fixture.ts';
import type { Server, UnaryCall } from './server-types.ts';

const HELLO = message([104, 105]);
const CALL = (id: number) => join(headers(id), data(id, HELLO));
const HANG = request([':path', '/test.Echo/Hang']);
const PING = frame(FRAME.PING, 0, 0, new Uint8Array(8));
const CALM = 'GOAWAY ENHANCE_YOUR_CALM';

function start(options: Parameters<typeof rawServer>[1] = {}): RawServer {
  return rawServer(addMethods, options);
}

/** Sends until the server has had enough or `times` are over. Returns how often it was sent. */
function sendUntilGone(peer: RawServer, make: (turn: number) => Uint8Array, times: number): number {
  for (let turn = 0; turn < times; turn++) {
    peer.send(make(turn));
    if (peer.stream.ended) return turn + 1;
  }
  return times;
}

describe('floods of frames that carry nothing', () => {
  const burst = SERVER_LIMITS.controlFramesBurst;
  test.each<[string, Uint8Array]>([
    ['SETTINGS', SETTINGS],
    ['SETTINGS acknowledgements', frame(FRAME.SETTINGS, FLAG.ACK, 0)],
    ['PING answers', frame(FRAME.PING, FLAG.ACK, 0, new Uint8Array(8))],
    ['PRIORITY', frame(FRAME.PRIORITY, 0, 1, [0, 0, 0, 0, 9])],
    ['WINDOW_UPDATE', windowUpdate(0, 1)],
    ['unknown frames', frame(0xaa, 0, 0, [1, 2, 3])],
    ['GOAWAY', frame(FRAME.GOAWAY, 0, 0, new Uint8Array(8))],
  ])('%s', (_name, sent) => {
    const peer = start();
    const batch = join(...new Array<Uint8Array>(100).fill(sent));
    const turns = sendUntilGone(peer, () => batch, 1_000);
    expect(turns).toBeGreaterThanOrEqual(burst / 100 - 1);
    expect(turns).toBeLessThanOrEqual(burst / 100 + 1);
    expect(peer.describe().at(-1)).toBe(CALM);
  });

  test('empty DATA', () => {
    const peer = start();
    peer.send(headers(1));
    const batch = join(...new Array<Uint8Array>(100).fill(data(1, [], 0)));
    expect(sendUntilGone(peer, () => batch, 1_000)).toBeLessThanOrEqual(burst / 100 + 1);
    expect(peer.describe().at(-1)).toBe(CALM);
  });

  test('DATA that is all padding', () => {
    const peer = start();
    peer.send(headers(1));
    const padding = frame(FRAME.DATA, FLAG.PADDED, 1, [1, 0]);
    const batch = join(...new Array<Uint8Array>(100).fill(padding));
    expect(sendUntilGone(peer, () => batch, 1_000)).toBeLessThanOrEqual(burst / 100 + 1);
  });

  test('DATA on a stream that is gone', () => {
    const peer = start();
    peer.send(CALL(1));
    const batch = join(...new Array<Uint8Array>(100).fill(data(1, [1], 0)));
    expect(sendUntilGone(peer, () => batch, 1_000)).toBeLessThanOrEqual(burst / 100 + 1);
  });

  test('windows of many streams moved again and again', () => {
    const peer = start();
    for (let i = 0; i < 2_000; i++) peer.send(headers(2 * i + 1, HANG));
    const both = join(settings([4, 1]), settings([4, 2]));
    // Each of these passes over 2,000 streams, and is charged for it.
    expect(sendUntilGone(peer, () => both, 10_000)).toBeLessThan(600);
  });

  test('a client that reads a long response is left alone', () => {
    const peer = start();
    peer.send(headers(1, request([':path', '/test.Echo/Count'])));
    const count = new TextEncoder().encode('40000 100');
    peer.send(data(1, message(count)));
    let updates = 0;
    while (!peer.describe().some((line) => line.endsWith('end'))) {
      updates++;
      peer.send(windowUpdate(0, 1_000), windowUpdate(1, 1_000));
    }
    expect(updates).toBeGreaterThan(4_000);
    expect(peer.stream.ended).toBe(false);
  });
});

describe('pings', () => {
  test('more often than allowed', () => {
    const peer = start({ keepalive: { minTimeMs: 5_000 } });
    peer.send(headers(1, HANG), PING);
    for (let i = 0; i < 2; i++) {
      peer.time.advance(4_000);
      peer.send(PING);
    }
    expect(peer.describe().filter((line) => line !== 'PING ack')).toEqual([]);
    peer.time.advance(4_000);
    peer.send(PING);
    const [, goaway] = peer.frames();
    expect(goaway!.text).toBe(CALM);
    expect(new TextDecoder().decode(goaway!.payload.slice(8))).toBe('too_many_pings');
    expect(peer.stream.ended).toBe(true);
  });

  test('as often as allowed', () => {
    const peer = start({ keepalive: { minTimeMs: 5_000 } });
    peer.send(headers(1, HANG));
    for (let i = 0; i < 50; i++) {
      peer.time.advance(5_000);
      peer.send(PING);
    }
    expect(peer.stream.ended).toBe(false);
  });

  test('without a call only if permitted', () => {
    for (const permitWithoutStream of [false, true]) {
      const peer = start({ keepalive: { minTimeMs: 5_000, permitWithoutStream } });
      for (let i = 0; i < 6; i++) {
        peer.time.advance(6_000);
        peer.send(PING);
      }
      expect(peer.stream.ended).toBe(!permitWithoutStream);
    }
  });

  test('after each answer: a client may measure the path', () => {
    const peer = start({ keepalive: { minTimeMs: 5_000 } });
    for (let i = 0; i < 50; i++) peer.send(CALL(2 * i + 1), PING);
    expect(peer.stream.ended).toBe(false);
  });
});

describe('header blocks', () => {
  test('CVE-2023-45288: too many CONTINUATION frames', () => {
    const peer = start();
    peer.send(frame(FRAME.HEADERS, 0, 1, block(request())));
    const { controlFramesBurst } = SERVER_LIMITS;
    const turns = sendUntilGone(peer, () => frame(FRAME.CONTINUATION, 0, 1), 20_000);
    expect(turns).toBeLessThanOrEqual(controlFramesBurst);
    expect(peer.describe()).toEqual([CALM]);
  });

  test('too many bytes', () => {
    const peer = start();
    peer.send(frame(FRAME.HEADERS, 0, 1, new Uint8Array(16_384)));
    const turns = sendUntilGone(
      peer,
      () => frame(FRAME.CONTINUATION, 0, 1, new Uint8Array(16_384)),
      1_000,
    );
    expect(turns).toBe(SERVER_LIMITS.headerBlockBytesMax / 16_384);
    expect(peer.describe()).toEqual([CALM]);
  });

  test('an HPACK bomb: one large entry, named again and again', () => {
    const peer = start();
    const value = 'x'.repeat(3_900);
    // A literal with incremental indexing: it becomes index 62.
    const literal = block([['x-large', value]]);
    literal[0] = 0x40;
    const bomb = join(block(request()), literal, new Uint8Array(12_000).fill(0x80 | 62));
    for (let i = 0; i < 20; i++) {
      const bytes = i === 0 ? bomb : join(block(request()), new Uint8Array(16_000).fill(0x80 | 62));
      peer.send(frame(FRAME.HEADERS, FLAGS_ALL, 2 * i + 1, bytes));
      expect(peer.describe()).toEqual([
        `HEADERS ${2 * i + 1} :status=431 content-type=application/grpc grpc-status=8 grpc-message=received header list larger than max (1048576) end`,
      ]);
    }
    // The compression state has followed: the entry can still be named.
    peer.send(frame(FRAME.HEADERS, 4, 101, join(block(request()), [0x80 | 62])), data(101, HELLO));
    expect(peer.describe()).toHaveLength(3);
  });

  test('a list as large as advertised is taken, in as many frames as it likes', () => {
    for (const size of [16_000, 120]) {
      const peer = start();
      const fields = [...request(), ['x-large', 'x'.repeat(1_000_000)] as const];
      const bytes = block(fields);
      const parts = [frame(FRAME.HEADERS, 0, 1, bytes.slice(0, size))];
      for (let at = size; at < bytes.length; at += size) {
        const flags = at + size >= bytes.length ? 4 : 0;
        parts.push(frame(FRAME.CONTINUATION, flags, 1, bytes.slice(at, at + size)));
      }
      peer.send(...parts, data(1, HELLO));
      expect(peer.describe()).toHaveLength(3);
    }
  });

  test('large lists of open calls are held within the bound', () => {
    const peer = start({ limits: { heldBytesMax: 16_000_000 } });
    const large = block([...request([':path', '/test.Echo/Hang']), ['x', 'y'.repeat(900_000)]]);
    const open = (id: number) => {
      const parts = [frame(FRAME.HEADERS, 0, id, large.slice(0, 16_000))];
      for (let at = 16_000; at < large.length; at += 16_000) {
        const flags = at + 16_000 >= large.length ? 4 : 0;
        parts.push(frame(FRAME.CONTINUATION, flags, id, large.slice(at, at + 16_000)));
      }
      peer.send(...parts);
    };
    for (let i = 0; i < 20; i++) open(2 * i + 1);
    const refused = ['RST_STREAM 35 ENHANCE_YOUR_CALM', 'RST_STREAM 37 ENHANCE_YOUR_CALM'];
    expect(peer.describe()).toEqual([...refused, 'RST_STREAM 39 ENHANCE_YOUR_CALM']);
    for (let i = 0; i < 17; i++) peer.send(reset(2 * i + 1, 8));
    open(41);
    expect(peer.describe()).toEqual([]);
  });
});

describe('slowness', () => {
  test('a preface that does not come', () => {
    const peer = start({ handshake: false });
    peer.send(PREFACE_BYTES.slice(0, 10));
    peer.time.advance(SERVER_LIMITS.prefaceTimeoutMs - 100);
    expect(peer.stream.destroyed).toBe(false);
    peer.time.advance(2_000);
    expect(peer.stream.destroyed).toBe(true);
    expect(peer.server.connectionCount).toBe(0);
  });

  test('SETTINGS that do not come', () => {
    const peer = start({ handshake: false });
    peer.send(PREFACE_BYTES);
    peer.time.advance(SERVER_LIMITS.prefaceTimeoutMs + 2_000);
    expect(peer.stream.destroyed).toBe(true);
  });

  test('a frame that trickles in', () => {
    const peer = start();
    const bytes = headers(1);
    let at = 0;
    for (; at < bytes.length && !peer.stream.destroyed; at++) {
      peer.send(bytes.slice(at, at + 1));
      peer.time.advance(1_000);
    }
    expect(at).toBeLessThan(SERVER_LIMITS.frameTimeoutMs / 1_000 + 3);
  });

  test('a header block that trickles in', () => {
    const peer = start();
    peer.send(headers(1, request(), 0));
    let seconds = 0;
    for (; seconds < 100 && !peer.stream.destroyed; seconds += 5) {
      peer.send(frame(FRAME.CONTINUATION, 0, 1, block([['x', 'y']])));
      peer.time.advance(5_000);
    }
    expect(seconds).toBeLessThanOrEqual(30);
  });

  test('a busy connection always has a partial frame, and lives', () => {
    const peer = start();
    let left = new Uint8Array(0);
    for (let i = 0; i < 60; i++) {
      const bytes = join(left, CALL(2 * i + 1));
      peer.send(bytes.slice(0, -3));
      left = bytes.slice(-3) as Uint8Array<ArrayBuffer>;
      peer.time.advance(1_000);
    }
    expect(peer.stream.destroyed).toBe(false);
  });

  test('an idle connection lives, and is asked whether it does', () => {
    const peer = start({ keepalive: { intervalMs: 60_000, timeoutMs: 20_000 } });
    for (let i = 0; i < 5; i++) {
      peer.time.advance(62_000);
      const [ping] = peer.frames();
      expect(ping).toMatchObject({ type: FRAME.PING, flags: 0 });
      peer.send(frame(FRAME.PING, FLAG.ACK, 0, ping!.payload));
    }
    expect(peer.stream.destroyed).toBe(false);
    peer.time.advance(62_000 + 22_000);
    expect(peer.stream.destroyed).toBe(true);
  });

  test('output that is never read', () => {
    const peer = start();
    peer.stream.blocked = true;
    peer.send(CALL(1));
    peer.time.advance(SERVER_LIMITS.writeStallTimeoutMs - 1_000);
    expect(peer.stream.destroyed).toBe(false);
    peer.time.advance(4_000);
    expect(peer.stream.destroyed).toBe(true);
  });

  test('output that is read slowly', () => {
    const peer = start();
    peer.stream.blocked = true;
    for (let i = 0; i < 100; i++) {
      peer.send(CALL(2 * i + 1));
      peer.stream.bufferedBytes--;
      peer.time.advance(10_000);
    }
    expect(peer.stream.destroyed).toBe(false);
  });
});

describe('readers who do not read', () => {
  test('large answers into a tiny window: calls are held, then refused, then go on', () => {
    const limits = { connectionHighWaterBytes: 100_000, heldCallsMax: 3 };
    const calls: UnaryCall[] = [];
    const add = (server: Server) =>
      server.unary('/test.Echo/Unary', (call) => {
        calls.push(call);
        call.reply(BYTES_ENCODER, new Uint8Array(60_000));
      });
    const peer = rawServer(add, { limits });
    peer.send(settings([4, 0]));
    peer.frames();
    for (let i = 0; i < 6; i++) peer.send(CALL(2 * i + 1));
    expect(calls).toHaveLength(2);
    expect(peer.describe().filter((line) => line.startsWith('RST'))).toEqual([
      'RST_STREAM 11 REFUSED_STREAM',
    ]);
    peer.send(settings([4, 1_000_000]), windowUpdate(0, 1_000_000));
    expect(calls).toHaveLength(5);
    const ends = peer.describe().filter((line) => line.endsWith('grpc-status=0 end'));
    expect(ends).toHaveLength(5);
  });

  test('a held call that is cancelled is not run', () => {
    const calls: UnaryCall[] = [];
    const add = (server: Server) =>
      server.unary('/test.Echo/Unary', (call) => {
        calls.push(call);
        call.reply(BYTES_ENCODER, new Uint8Array(60_000));
      });
    const peer = rawServer(add, { limits: { connectionHighWaterBytes: 50_000 } });
    peer.send(settings([4, 0]), CALL(1), CALL(3), CALL(5), reset(3, 8));
    peer.send(settings([4, 1_000_000]), windowUpdate(0, 1_000_000));
    expect(calls.map((call) => call.ended)).toEqual([true, true]);
  });

  test('a producer is told to wait, and told when to go on', () => {
    const peer = start({ limits: { streamHighWaterBytes: 50_000 } });
    peer.send(headers(1, request([':path', '/test.Echo/Count'])));
    peer.send(data(1, message(new TextEncoder().encode('1000 1000'))));
    const sent = () =>
      peer
        .describe()
        .filter((line) => line.startsWith('DATA'))
        .reduce((sum, line) => sum + Number(line.split(' ')[2]), 0);
    let total = sent();
    expect(total).toBe(65_535);
    let ended = false;
    for (let i = 0; i < 1_000 && !ended; i++) {
      peer.send(windowUpdate(0, 10_000), windowUpdate(1, 10_000));
      const lines = peer.describe();
      for (const line of lines) {
        if (line.startsWith('DATA')) total += Number(line.split(' ')[2]);
        ended ||= line.endsWith('end');
      }
    }
    expect(total).toBe(1000 * 1005);
  });

  test('messages that are never finished', () => {
    const limits = { heldBytesMax: 4_000_000, receiveBytesMax: 1_000_000 };
    const peer = start({ limits });
    const piece = new Uint8Array(16_000);
    const open = (id: number) => {
      peer.send(headers(id), data(id, join([0], uint32(1_000_000)), 0));
      for (let i = 0; i < 60; i++) peer.send(data(id, piece, 0));
    };
    for (let id = 1; id < 20; id += 2) open(id);
    const said = peer.describe().filter((line) => !line.startsWith('WINDOW'));
    expect(said.length).toBeGreaterThan(4);
    expect(said.every((line) => line.endsWith('ENHANCE_YOUR_CALM'))).toBe(true);
    expect(peer.stream.ended).toBe(false);
  });

  test('a promised size takes no memory', () => {
    const peer = start({ limits: { receiveBytesMax: 2 ** 31 } });
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 1_000; i++) {
      const id = 2 * i + 1;
      peer.send(headers(id), data(id, join([0], uint32(1_000_000_000), [1]), 0));
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50_000_000);
  });

  test('a gzip bomb', () => {
    const peer = start();
    const packed = gzipSync(new Uint8Array(3_000_000));
    const fields = request(['grpc-encoding', 'gzip']);
    peer.send(headers(1, fields), data(1, join([1], uint32(packed.length), packed)));
    peer.frames();
    const bomb = gzipSync(new Uint8Array(8_000_000));
    peer.send(headers(3, fields), data(3, join([1], uint32(bomb.length), bomb)));
    expect(peer.describe().join()).toContain('grpc-status=8');
  });
});

describe('too many', () => {
  test('connections', () => {
    const peer = start({ limits: { connectionsMax: 1 } });
    const second = rawServer(() => {}).stream;
    let closed = false;
    peer.server.accept({
      ...second,
      handler: second.handler,
      bufferedBytes: 0,
      remoteAddress: 'x',
      write: () => true,
      writeAll: () => true,
      pause: () => {},
      resume: () => {},
      end: () => {},
      destroy: () => {
        closed = true;
      },
    });
    expect(closed).toBe(true);
  });
});

describe('deadlines', () => {
  test('the transport answers and the handler is told', () => {
    const ended: string[] = [];
    let cancelled = 0;
    const peer = rawServer(
      (server) => {
        server.unary('/test.Echo/Unary', (call) => {
          call.onCancel = () => {
            cancelled++;
            call.reply(BYTES_ENCODER, new Uint8Array(3));
          };
        });
      },
      {
        onCallEnd: (call, status, ms) =>
          ended.push(`${call.path} ${status} ${Math.round(ms / 10)}`),
      },
    );
    const timed = request(['grpc-timeout', '500m']);
    peer.send(headers(1, timed), data(1, HELLO));
    peer.time.advance(480);
    expect(peer.describe()).toEqual([]);
    peer.time.advance(40);
    expect(peer.describe()).toEqual([
      'HEADERS 1 :status=200 content-type=application/grpc grpc-status=4 grpc-message=context deadline exceeded end',
    ]);
    expect(cancelled).toBe(1);
    expect(ended).toEqual([`/test.Echo/Unary ${STATUS.DEADLINE_EXCEEDED} 50`]);
    // The wheel is empty: nothing wakes up for it any more.
    peer.send(headers(3, timed), data(3, HELLO), reset(3, 8));
    peer.time.advance(1_000);
    expect(ended).toHaveLength(2);
  });

  test.each(['0m', '1n', '999n'])('of %s: the call is not begun', (timeout) => {
    let calls = 0;
    const peer = rawServer((server) => {
      server.unary('/test.Echo/Unary', () => void calls++);
      server.stream('/test.Echo/Chat', () => {
        throw new Error(`opened ${calls++}`);
      });
    });
    peer.send(headers(1, request(['grpc-timeout', timeout])), data(1, HELLO));
    const chat = request([':path', '/test.Echo/Chat'], ['grpc-timeout', timeout]);
    peer.send(headers(3, chat, FLAGS_ALL));
    const answer =
      ':status=200 content-type=application/grpc grpc-status=4 grpc-message=context deadline exceeded end';
    const stop = 'RST_STREAM 1 NO_ERROR';
    expect(peer.describe()).toEqual([`HEADERS 1 ${answer}`, stop, `HEADERS 3 ${answer}`]);
    expect([calls, peer.server.methods.map(({ started }) => started)]).toEqual([0, [0, 0]]);
  });

  test('one that passes while the call is held back', () => {
    const calls: UnaryCall[] = [];
    const add = (server: Server) =>
      server.unary('/test.Echo/Unary', (call) => {
        calls.push(call);
        call.reply(BYTES_ENCODER, new Uint8Array(60_000));
      });
    const peer = rawServer(add, { limits: { connectionHighWaterBytes: 50_000 } });
    const timed = join(headers(3, request(['grpc-timeout', '50m'])), data(3, HELLO));
    peer.send(settings([4, 0]), CALL(1), timed, CALL(5));
    // The process was busy: the timers are late.
    peer.time.nowMs += 60;
    peer.send(settings([4, 1_000_000]), windowUpdate(0, 1_000_000));
    expect(calls).toHaveLength(2);
    expect(peer.describe().filter((line) => line.includes('grpc-status=4'))).toHaveLength(1);
  });

  test('one that passes while the answer is waited for is noticed when asked', () => {
    const calls: UnaryCall[] = [];
    const peer = rawServer((server) => {
      server.unary('/test.Echo/Unary', (call) => void calls.push(call));
    });
    peer.send(headers(1, request(['grpc-timeout', '50m'])), data(1, HELLO), CALL(3));
    peer.time.nowMs += 49;
    expect(calls.map((call) => call.isWanted())).toEqual([true, true]);
    peer.time.nowMs += 1;
    expect(calls.map((call) => call.isWanted())).toEqual([false, true]);
    peer.time.settle();
    expect(peer.describe().join()).toContain('grpc-status=4');
  });
});
