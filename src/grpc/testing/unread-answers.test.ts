// Answers that clients leave unread: what they may cost, and what they never delay.

import { describe, expect, test } from 'vitest';
import { SERVER_LIMITS } from '../limits.ts';
import { BYTES_ENCODER } from '../message-encoder.ts';
import type { Server, StreamCall, UnaryCall } from '../server/server-types.ts';
import { GrpcStatusError, STATUS } from '../status.ts';
import {
  data,
  FakeStream,
  FLAG,
  FRAME,
  frame,
  headers,
  message,
  PREFACE_BYTES,
  RawPeer,
  type RawServer,
  rawServer,
  request,
  reset,
  SETTINGS,
  settings,
  windowUpdate,
} from './raw-peer.fixture.ts';

const PIECE_BYTES = 64 * 1024;
const LARGE_BYTES = 64 * 1024 * 1024;
const NO_WINDOW = settings([4, 0]);
const PING = frame(FRAME.PING, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]);

const call = (id: number) =>
  new Uint8Array([...headers(id), ...data(id, message(Uint8Array.of(1)))]);

/** An answer of 64 MiB that is made while it is sent. */
class Large {
  made = 0;
  returned = false;

  *pieces(): Generator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        this.made += PIECE_BYTES;
        yield new Uint8Array(PIECE_BYTES);
      }
    } finally {
      this.returned = true;
    }
  }
}

function servingLarge(large: Large, memoryBytes = 0) {
  return (server: Server) =>
    server.unary('/test.Echo/Unary', (unary) => {
      unary.holdMemory(memoryBytes);
      unary.replyInPieces(LARGE_BYTES, large.pieces());
    });
}

/** One more connection, its handshake done. */
function another(peer: RawServer, ...first: Uint8Array[]): RawPeer {
  const stream = new FakeStream();
  peer.server.accept(stream);
  const other = new RawPeer(peer.time, stream);
  other.send(PREFACE_BYTES, SETTINGS, frame(FRAME.SETTINGS, FLAG.ACK, 0), ...first);
  other.frames();
  return other;
}

const dataBytes = (peer: RawPeer) =>
  peer.frames().reduce((sum, one) => sum + (one.type === FRAME.DATA ? one.payload.length : 0), 0);

describe('control frames while DATA is blocked', () => {
  test('by the window', () => {
    const large = new Large();
    const peer = rawServer(servingLarge(large));
    peer.send(call(1));
    expect(dataBytes(peer)).toBe(65_535);
    expect(peer.send(PING).describe()).toEqual(['PING ack']);
    expect(peer.send(settings([4, 65_535])).describe()).toEqual(['SETTINGS ack']);
    expect(large.made).toBeLessThanOrEqual(SERVER_LIMITS.streamHighWaterBytes + 3 * PIECE_BYTES);
  });

  test('by the socket: read, answered, and behind no more than two slabs', () => {
    const large = new Large();
    const peer = rawServer(servingLarge(large), { keepalive: { minTimeMs: 0 } });
    peer.stream.blocked = true;
    peer.send(settings([4, 2 ** 31 - 1]), windowUpdate(0, 2 ** 30), call(1));
    expect(peer.stream.paused).toBe(false);
    expect(peer.stream.bufferedBytes).toBeLessThanOrEqual(peer.stream.highWater + 65_536);
    expect(large.made).toBeLessThanOrEqual(SERVER_LIMITS.streamHighWaterBytes + 3 * PIECE_BYTES);
    peer.frames();
    for (let i = 0; i < 100; i++) expect(peer.send(PING).describe()).toEqual(['PING ack']);
    expect(peer.send(settings([4, 1000])).describe()).toEqual(['SETTINGS ack']);
    expect(peer.send(reset(1, 8)).describe()).toEqual([]);
    expect(large.returned).toBe(true);
  });

  test('a peer that reads nothing and goes on asking is not read from', () => {
    const peer = rawServer(() => undefined);
    peer.stream.blocked = true;
    let sent = 0;
    for (let id = 1; !peer.stream.paused && sent < 20_000; id += 2, sent++) {
      peer.send(headers(id, request(['content-type', 'text/plain']), 5));
    }
    expect(peer.stream.paused).toBe(true);
    expect(peer.stream.bufferedBytes).toBeLessThan(2 * SERVER_LIMITS.socketHighWaterBytes);
    peer.stream.unblock();
    expect(peer.stream.paused).toBe(false);
  });
});

describe('an answer of 64 MiB', () => {
  test('is made as it drains, with what is pending bounded', () => {
    const large = new Large();
    const peer = rawServer(servingLarge(large, 1_000_000));
    peer.send(call(1));
    let sent = dataBytes(peer);
    let pendingMost = 0;
    while (sent < LARGE_BYTES + 5) {
      pendingMost = Math.max(pendingMost, peer.server.pendingBytes);
      expect(large.made - sent).toBeLessThanOrEqual(SERVER_LIMITS.streamHighWaterBytes + 65_536);
      peer.send(windowUpdate(0, 300_000), windowUpdate(1, 300_000));
      sent += dataBytes(peer);
    }
    expect(sent).toBe(LARGE_BYTES + 5);
    expect(pendingMost).toBeGreaterThan(1_000_000);
    expect(pendingMost).toBeLessThanOrEqual(
      1_000_000 + SERVER_LIMITS.streamHighWaterBytes + 65_536,
    );
    expect(peer.server.pendingBytes).toBe(0);
    expect(large.returned).toBe(true);
  });

  test.each([
    ['reset', (peer: RawServer) => peer.send(reset(1, 8))],
    ['lost with its connection', (peer: RawServer) => peer.stream.destroy()],
  ])('is let go when it is %s', (_how, end) => {
    const large = new Large();
    const peer = rawServer(servingLarge(large, 1_000_000));
    peer.send(call(1));
    expect(peer.server.pendingBytes).toBeGreaterThan(1_000_000);
    end(peer);
    expect(peer.server.pendingBytes).toBe(0);
    expect(large.returned).toBe(true);
  });

  const still = { wallMs: () => 0, monotonicMs: () => 1_000_000 };
  test.each([
    ['a clock', {}],
    ['another clock that stands still within a turn', { turnClock: still }],
  ])('whose pieces take long to make gets one in a turn: %s', (_, options) => {
    const turns: number[] = [];
    let made = 0;
    const pieces = function* (): Generator<Uint8Array, void, undefined> {
      for (;;) {
        if (made++ === 0) {
          peer.time.atEndOfTurn(() => {
            turns.push(made);
            made = 0;
          });
        }
        peer.time.nowMs += 2;
        yield new Uint8Array(PIECE_BYTES);
      }
    };
    const peer = rawServer(
      (server) =>
        server.unary('/test.Echo/Unary', (call) => call.replyInPieces(20 * PIECE_BYTES, pieces())),
      options,
    );
    peer.send(settings([4, 2 ** 31 - 1]), windowUpdate(0, 2 ** 30), call(1));
    expect(dataBytes(peer)).toBe(5 + 20 * PIECE_BYTES);
    // Two in the first turn: one with the input that asks for the answer, one at its end.
    expect(turns).toEqual([2, ...new Array(18).fill(1)]);
  });

  test('is gone on with at the end of a turn alone, whatever else arrives in it', () => {
    const large = new Large();
    const peer = rawServer(servingLarge(large));
    peer.send(settings([4, 2 ** 31 - 1]), windowUpdate(0, 2 ** 30));
    peer.stream.handler.onData(call(1));
    const { made } = large;
    expect(made).toBeGreaterThan(0);
    for (let i = 0; i < 10; i++) peer.stream.handler.onData(windowUpdate(0, 1));
    expect(large.made).toBe(made);
    peer.time.settle();
    expect(dataBytes(peer)).toBe(5 + LARGE_BYTES);
    expect(large.returned).toBe(true);
  });

  test('that cannot be made to its end fails, without the rest of what is queued', () => {
    const pieces = function* (): Generator<Uint8Array, void, undefined> {
      for (let i = 0; i < 10; i++) yield new Uint8Array(PIECE_BYTES);
      throw new GrpcStatusError(STATUS.UNAVAILABLE, 'the view has expired');
    };
    const peer = rawServer((server) =>
      server.unary('/test.Echo/Unary', (unary) => unary.replyInPieces(LARGE_BYTES, pieces())),
    );
    peer.send(call(1));
    peer.send(windowUpdate(0, 500_000), windowUpdate(1, 500_000));
    const last = peer.describe().at(-1);
    expect(last).toBe('HEADERS 1 grpc-status=14 grpc-message=the view has expired end');
    expect(peer.server.pendingBytes).toBe(0);
  });
});

describe('over all connections', () => {
  const limits = { pendingBytesMax: 1_000_000, pendingBytesFloor: 10_000 };

  const start = () => {
    const calls: UnaryCall[] = [];
    const peer = rawServer(
      (server) =>
        server.unary('/test.Echo/Unary', (unary) => {
          calls.push(unary);
          unary.reply(BYTES_ENCODER, new Uint8Array(100_000));
        }),
      { limits },
    );
    return { peer, calls };
  };

  test('past the bound each connection gets one answer more', () => {
    const { peer, calls } = start();
    const others = Array.from({ length: 20 }, () => another(peer, NO_WINDOW));
    for (const other of others) other.send(call(1), call(3), call(5));
    // Ten answers reach the bound: three connections with three, and all others with one.
    expect(calls).toHaveLength(3 * 3 + 17);
    expect(peer.server.pendingBytes).toBe(calls.length * 100_005);
    // One that reads is served whatever the others do.
    peer.send(settings([4, 1_000_000]), windowUpdate(0, 1_000_000));
    for (let id = 1; id < 20; id += 2) peer.send(call(id), windowUpdate(0, 100_005));
    const ends = peer.describe().filter((line) => line.endsWith('grpc-status=0 end'));
    expect(ends).toHaveLength(10);
  });

  test('past the bound who takes nothing is closed, who takes something is not', () => {
    const { peer } = start();
    const others = Array.from({ length: 12 }, () => another(peer, NO_WINDOW));
    const slow = others[0]!;
    for (const other of others) other.send(call(1), call(3), call(5));
    for (let second = 0; second < 20; second++) {
      peer.time.advance(1_000);
      slow.send(windowUpdate(1, 2_000), windowUpdate(3, 2_000));
    }
    expect(slow.stream.destroyed).toBe(false);
    expect(others.filter(({ stream }) => stream.destroyed).length).toBeGreaterThanOrEqual(4);
    expect(peer.server.pendingBytes).toBeLessThanOrEqual(1_000_000);
    for (const { stream } of others) stream.destroy();
    expect(peer.server.pendingBytes).toBe(0);
  });

  test('within the bound nobody is closed for being slow', () => {
    const { peer } = start();
    const other = another(peer, NO_WINDOW);
    other.send(call(1), call(3));
    peer.time.advance(60_000);
    expect(other.stream.destroyed).toBe(false);
  });
});

describe('answers that are made later', () => {
  test('a handler asks for room, and is called back in turn', () => {
    const calls: UnaryCall[] = [];
    const peer = rawServer(
      (server) => server.unary('/test.Echo/Unary', (unary) => void calls.push(unary)),
      { limits: { connectionHighWaterBytes: 100_000 } },
    );
    peer.send(NO_WINDOW, call(1), call(3), call(5), call(7));
    const made: number[] = [];
    const serve = (at: number): void => {
      const unary = calls[at]!;
      if (unary.isBehind) {
        unary.whenRoom({ onRoom: () => serve(at) });
        return;
      }
      made.push(at);
      unary.reply(BYTES_ENCODER, new Uint8Array(60_000));
    };
    for (const at of [0, 1, 2, 3]) serve(at);
    expect(made).toEqual([0, 1]);
    peer.send(reset(5, 8));
    peer.send(settings([4, 1_000_000]), windowUpdate(0, 1_000_000));
    expect(made).toEqual([0, 1, 3]);
  });

  test('a stream on a connection that is behind has no room, and hears of it', () => {
    const streams: StreamCall[] = [];
    let drains = 0;
    const peer = rawServer(
      (server) =>
        server.stream('/test.Echo/Chat', (stream) => {
          streams.push(stream);
          return {
            onMessage: () => undefined,
            onEnd: () => undefined,
            onCancel: () => undefined,
            onDrain: () => void drains++,
          };
        }),
      { limits: { connectionHighWaterBytes: 100_000 } },
    );
    const chat = request([':path', '/test.Echo/Chat']);
    peer.send(NO_WINDOW, headers(1, chat), headers(3, chat));
    const [first, second] = streams;
    expect(second!.hasRoom).toBe(true);
    expect(first!.writeBytes(new Uint8Array(200_000))).toBe(false);
    expect(second!.hasRoom).toBe(false);
    expect(second!.hasRoom).toBe(false);
    peer.send(windowUpdate(1, 1_000_000), windowUpdate(0, 1_000_000));
    expect(drains).toBe(2);
    expect(second!.hasRoom).toBe(true);
  });
});

describe('requests that do not become whole', () => {
  test('over all connections: the one that keeps most loses its own', () => {
    const limits = { receiveBytesMax: 100_000, heldBytesMax: 500_000, heldBytesTotalMax: 500_000 };
    const peer = rawServer((server) => server.unary('/test.Echo/Unary', () => undefined), {
      limits,
    });
    const half = (id: number) =>
      new Uint8Array([
        ...headers(id),
        ...data(id, message(new Uint8Array(16_000)).subarray(0, 15_000), 0),
      ]);
    const flooder = another(peer);
    for (let id = 1; id < 47; id += 2) flooder.send(half(id));
    const held = peer.server.heldBytes;
    expect(held).toBeGreaterThan(300_000);
    for (let id = 1; peer.server.heldBytes >= held && id < 47; id += 2) peer.send(half(id));
    const codes = flooder.describe().filter((line) => line.startsWith('RST'));
    expect(codes).toHaveLength(23);
    expect(new Set(codes.map((line) => line.split(' ')[2]))).toEqual(
      new Set(['ENHANCE_YOUR_CALM']),
    );
    expect(peer.describe().filter((line) => line.startsWith('RST'))).toEqual([]);
    expect(peer.server.heldBytes).toBeGreaterThan(0);
    peer.stream.destroy();
    expect(peer.server.heldBytes).toBe(0);
  });
});
