// Seeded fuzz of the server: whatever a client sends, it gets a connection error or an answer, and the
// server keeps no trace of it.

import { expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import {
  block,
  data,
  FLAG,
  FRAME,
  frame,
  headers,
  join,
  message,
  rawServer,
  request,
  reset,
  settings,
  windowUpdate,
} from '../testing/raw-peer.fixture.ts';
import { addMethods } from '../testing/rig.fixture.ts';

const seed = Number(process.env['TETCD_SEED'] ?? Date.now() % 1_000_000);
const ROUNDS = 2_000;

/** A conversation with a bit of everything. */
const GOOD: Uint8Array = join(
  headers(1, request([':path', '/test.Echo/Chat'], ['grpc-timeout', '5S'])),
  data(1, message([1, 2, 3]), 0),
  frame(FRAME.HEADERS, 0, 3, block(request()).slice(0, 30)),
  frame(FRAME.CONTINUATION, FLAG.END_HEADERS, 3, block(request()).slice(30)),
  frame(FRAME.DATA, FLAG.PADDED | FLAG.END_STREAM, 3, join([2], message([104, 105]), [0, 0])),
  settings([1, 0], [4, 3], [1, 4096], [4, 70_000]),
  windowUpdate(0, 1000),
  windowUpdate(1, 1000),
  frame(FRAME.PING, 0, 0, new Uint8Array(8)),
  frame(FRAME.PRIORITY, 0, 1, [0, 0, 0, 0, 7]),
  headers(5, request([':path', '/test.Echo/Hang'], ['x-bin', 'AAEC'])),
  data(5, message([])),
  reset(5, 8),
  data(1, message([]), 1),
  headers(7, request([':path', '/test.Echo/Fail'])),
  data(7, message([120])),
  frame(FRAME.GOAWAY, 0, 0, new Uint8Array(8)),
);

test('the conversation is fine as it is', () => {
  const peer = rawServer(addMethods);
  peer.send(GOOD);
  expect(peer.stream.ended).toBe(false);
  expect(peer.describe().filter((line) => line.endsWith('end'))).toHaveLength(3);
});

test(`mutated and cut anywhere (TETCD_SEED=${seed})`, () => {
  const random = seededRandom(seed);
  for (let round = 0; round < ROUNDS; round++) {
    const peer = rawServer(addMethods);
    const bytes = Uint8Array.from(GOOD);
    for (let n = 1 + random.below(5); n > 0; n--)
      bytes[random.below(bytes.length)] = random.below(256);
    const step = 1 + random.below(60);
    for (let at = 0; at < bytes.length; at += step) peer.send(bytes.slice(at, at + step));
    // Every byte that came back is a well-formed frame with a block that decodes.
    const lines = peer.describe();
    expect(peer.stream.ended).toBe(lines.some((line) => line.startsWith('GOAWAY')));
    peer.stream.destroy();
    expect(peer.server.connectionCount).toBe(0);
    for (const { started, ended } of peer.server.methods) {
      expect(ended.reduce((sum, count) => sum + count, 0)).toBe(started);
    }
    peer.time.advance(10_000);
  }
});

test(`random frames (TETCD_SEED=${seed})`, () => {
  const random = seededRandom(seed + 1);
  for (let round = 0; round < ROUNDS; round++) {
    const peer = rawServer(addMethods);
    for (let i = 0; i < 20 && !peer.stream.ended; i++) {
      const payload = Uint8Array.from({ length: random.below(30) }, () => random.below(256));
      peer.send(frame(random.below(11), random.below(64), random.below(6), payload));
    }
    peer.describe();
    peer.stream.destroy();
    expect(peer.server.connectionCount).toBe(0);
  }
});
