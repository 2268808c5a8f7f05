// Streams that are reset again and again, and requests that are refused again and again: attackers meet
// their limit, and honest clients and neighbours do not feel it.

import { describe, expect, test } from 'vitest';
import { SERVER_LIMITS } from '../limits.ts';
import {
  data,
  FLAGS_ALL,
  headers,
  join,
  message,
  type RawServer,
  rawServer,
  request,
  reset,
  windowUpdate,
} from './raw-peer.fixture.ts';
import { addMethods } from './rig.fixture.ts';

const HELLO = message([104, 105]);
const CALL = (id: number) => join(headers(id), data(id, HELLO));
const HANG = request([':path', '/test.Echo/Hang']);
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

describe('rapid reset', () => {
  test('CVE-2023-44487: calls that are reset before they are answered', () => {
    const peer = start();
    const turns = sendUntilGone(
      peer,
      (i) => join(headers(2 * i + 1, HANG), data(2 * i + 1, HELLO), reset(2 * i + 1, 8)),
      5_000,
    );
    expect(turns).toBe(SERVER_LIMITS.resetsBurst + 1);
    expect(peer.describe()).toEqual([CALM]);
  });

  test('CVE-2025-8671: calls that the client makes us reset', () => {
    const peer = start();
    const turns = sendUntilGone(
      peer,
      (i) => join(headers(2 * i + 1, HANG), windowUpdate(2 * i + 1, 0)),
      5_000,
    );
    expect(turns).toBe(SERVER_LIMITS.resetsBurst + 1);
    expect(peer.describe().at(-1)).toBe(CALM);
  });

  test('malformed requests', () => {
    const peer = start();
    const bad = request(['X-Capital', 'x']);
    const turns = sendUntilGone(peer, (i) => headers(2 * i + 1, bad, FLAGS_ALL), 5_000);
    expect(turns).toBe(SERVER_LIMITS.resetsBurst + 1);
  });

  test('calls whose answer is half read', () => {
    const peer = start();
    const count = new TextEncoder().encode('1000 1000');
    const ask = request([':path', '/test.Echo/Count']);
    const turns = sendUntilGone(
      peer,
      (i) => {
        const id = 2 * i + 1;
        // Half a million bytes and more wait in the queue when it is reset.
        if (i > 0) peer.send(windowUpdate(0, 65_535), reset(id - 2, 8));
        return join(headers(id, ask), data(id, message(count)));
      },
      5_000,
    );
    expect(turns).toBeLessThanOrEqual(SERVER_LIMITS.resetsBurst + 2);
    expect(peer.describe().at(-1)).toBe(CALM);
  });

  test('calls with short deadlines, reset at once', () => {
    const peer = start();
    const timed = request([':path', '/test.Echo/Hang'], ['grpc-timeout', '50m']);
    const turns = sendUntilGone(
      peer,
      (i) => join(headers(2 * i + 1, timed), data(2 * i + 1, HELLO), reset(2 * i + 1, 8)),
      50_000,
    );
    expect(turns).toBe(SERVER_LIMITS.resetsBurst * 20 + 1);
  });

  test('a client is not charged for what piled up while the process was late', () => {
    const peer = start();
    for (let i = 0; i < 2_500; i++) peer.send(headers(2 * i + 1, HANG), data(2 * i + 1, HELLO));
    // Stopped, and then input is read before any timer is run.
    peer.time.nowMs += 600;
    const more = Array.from({ length: 2_500 }, (_, i) => {
      const id = 2 * i + 5_001;
      return join(headers(id, HANG), data(id, HELLO), reset(2 * i + 1, 8), reset(id, 8));
    });
    peer.send(join(...more));
    peer.time.advance(0);
    expect(peer.stream.ended).toBe(false);
    peer.send(CALL(10_001));
    expect(peer.describe()).toHaveLength(3);
    // Not for ever: two seconds later the same is an attack.
    peer.time.advance(2_000);
    const id = (i: number) => 2 * i + 10_003;
    const turns = sendUntilGone(peer, (i) => join(headers(id(i), HANG), reset(id(i), 8)), 5_000);
    expect(turns).toBeLessThan(1_300);
  });

  test('many callers with short deadlines are left alone', () => {
    const peer = start();
    const timed = request([':path', '/test.Echo/Hang'], ['grpc-timeout', '5m']);
    let id = 1;
    for (let round = 0; round < 200; round++) {
      const first = id;
      for (let i = 0; i < 200; i++, id += 2) peer.send(headers(id, timed), data(id, HELLO));
      // Their clock is a little ahead of ours; one of fifty is answered.
      peer.time.advance(4);
      for (let late = first; late < id; late += 2) peer.send(reset(late, 8));
      for (let i = 0; i < 4; i++, id += 2) peer.send(CALL(id));
      peer.time.advance(1);
    }
    expect(peer.stream.ended).toBe(false);
  });

  test('watches that end together are left alone', () => {
    const peer = start();
    const chat = request([':path', '/test.Echo/Chat']);
    for (let i = 0; i < 5_000; i++) peer.send(headers(2 * i + 1, chat));
    peer.time.advance(1_000);
    peer.send(join(...Array.from({ length: 5_000 }, (_, i) => reset(2 * i + 1, 8))));
    peer.time.settle();
    expect(peer.stream.ended).toBe(false);
  });

  test('a client that cancels two of three calls is left alone', () => {
    const peer = start();
    for (let i = 0; i < 5_000; i++) {
      const id = 6 * i + 1;
      peer.send(headers(id, HANG), reset(id, 8), headers(id + 2, HANG), reset(id + 2, 8));
      peer.send(CALL(id + 4));
    }
    expect(peer.stream.ended).toBe(false);
  });

  test('a client that cancels every second call is left alone', () => {
    const peer = start();
    for (let i = 0; i < 5_000; i++) {
      const id = 4 * i + 1;
      peer.send(headers(id, HANG), data(id, HELLO), reset(id, 8), CALL(id + 2));
    }
    expect(peer.stream.ended).toBe(false);
  });

  test('a client that cancels seldom is left alone', () => {
    const peer = start();
    for (let second = 0; second < 60; second++) {
      for (let i = 0; i < 90; i++) {
        const id = 2 * (second * 100 + i) + 1;
        peer.send(headers(id, HANG), reset(id, 8));
      }
      peer.time.advance(1_000);
    }
    expect(peer.stream.ended).toBe(false);
  });
});

describe('floods that are refused', () => {
  const plain = request(['content-type', 'text/plain']);
  const { inputWorkPerTurn } = SERVER_LIMITS;
  const refusals = (peer: RawServer) =>
    peer.describe().filter((line) => line.includes(':status=415')).length;

  test('a turn takes its share; the rest waits and the connection is not read from', () => {
    const peer = start();
    const count = 2 * inputWorkPerTurn + 100;
    const flood = Array.from({ length: count }, (_, i) => headers(2 * i + 1, plain, FLAGS_ALL));
    peer.stream.handler.onData(join(...flood));
    const first = refusals(peer);
    expect(first).toBeLessThanOrEqual(inputWorkPerTurn);
    expect(first).toBeGreaterThan(100);
    expect(peer.stream.paused).toBe(true);
    peer.time.settle();
    expect(first + refusals(peer)).toBe(count);
    expect(peer.stream.paused).toBe(false);
  });

  test('a message in a frame is work as well', () => {
    const peer = start();
    const messages = join(...new Array<Uint8Array>(3_000).fill(message([])));
    peer.stream.handler.onData(
      join(
        headers(1, request([':path', '/test.Echo/Chat'])),
        data(1, messages.subarray(0, 15_000), 0),
        CALL(3),
      ),
    );
    expect(peer.describe().filter((line) => line.includes('HEADERS 3'))).toEqual([]);
    peer.time.settle();
    expect(peer.describe().filter((line) => line.includes('HEADERS 3'))).toHaveLength(2);
  });

  test('what arrives although it was paused is read in order, and the end is not lost', () => {
    const peer = start();
    const ids = Array.from({ length: inputWorkPerTurn }, (_, i) => 2 * i + 1);
    const all = join(...ids.map((id) => CALL(id)));
    for (let at = 0; at < all.length; at += 10_000) {
      peer.stream.handler.onData(all.slice(at, at + 10_000));
    }
    peer.time.settle();
    const ends = peer.describe().filter((line) => line.endsWith('grpc-status=0 end'));
    expect(ends).toEqual(ids.map((id) => `HEADERS ${id} grpc-status=0 end`));
  });

  test('a connection that closes while its input waits is forgotten', () => {
    const peer = start();
    const flood = Array.from({ length: 5_000 }, (_, i) => headers(2 * i + 1, plain, FLAGS_ALL));
    peer.stream.handler.onData(join(...flood));
    peer.stream.destroy();
    peer.time.settle();
    expect(peer.server.connectionCount).toBe(0);
  });

  test('a client that floods one that does not read stops it no more than itself', () => {
    const peer = start();
    peer.stream.blocked = true;
    const flood = Array.from({ length: 5_000 }, (_, i) => headers(2 * i + 1, plain, FLAGS_ALL));
    peer.stream.handler.onData(join(...flood));
    peer.time.settle();
    expect(peer.stream.paused).toBe(true);
    peer.stream.unblock();
    peer.time.settle();
    expect(peer.stream.paused).toBe(false);
    expect(refusals(peer)).toBe(5_000);
  });
});
