// Runs of messages that differ in one field, and messages that share a body: on the wire they are what
// single messages are.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { writeFrameRun } from '../http2/frame-run.ts';
import { BYTES_ENCODER } from '../message-encoder.ts';
import type { StreamCall } from '../server/server-types.ts';
import {
  data,
  FRAME,
  headers,
  join,
  message,
  type RawServer,
  rawServer,
  request,
  settings,
  windowUpdate,
} from './raw-peer.fixture.ts';

/** Messages of `size` bytes: a field of `width` bytes at `fieldAt`, different in each of `count`. */
interface Run {
  readonly size: number;
  readonly width: number;
  readonly fieldAt: number;
  readonly count: number;
}

interface Scene {
  readonly runs: readonly Run[];
  readonly streamWindow: number;
  readonly connectionWindow: number;
  /** Bytes after which the socket is full; 0 for never. */
  readonly socketBytes: number;
}

function fieldsOf({ width, count }: Run): Uint8Array[] {
  return Array.from({ length: count }, (_, i) =>
    Uint8Array.from({ length: width }, (_, j) => (i >>> (8 * j)) & 255),
  );
}

function messageOf({ size, fieldAt }: Run, field: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from({ length: size }, (_, i) => i & 255);
  bytes.set(field, fieldAt);
  return bytes;
}

/** Writes a run as one, as far as that goes, or one by one. Returns how many went as one. */
function send(call: StreamCall, run: Run, asOne: boolean): number {
  const fields = fieldsOf(run);
  const first = messageOf(run, fields[0]!);
  const sent = asOne ? call.writeRun(BYTES_ENCODER, first, run.fieldAt, fields) : 0;
  for (const field of fields.slice(sent)) call.writeBytes(messageOf(run, field));
  return sent;
}

/** A call of a peer with such windows. */
function openCall(scene: Omit<Scene, 'runs'>, ...changes: [string, string][]) {
  let call!: StreamCall;
  const peer: RawServer = rawServer((server) =>
    server.stream('/test.Echo/Unary', (opened) => {
      call = opened;
      return { onMessage: () => {}, onEnd: () => {}, onCancel: () => {}, onDrain: () => {} };
    }),
  );
  peer.send(settings([4, scene.streamWindow]), windowUpdate(0, scene.connectionWindow));
  peer.send(headers(1, request(...changes)), data(1, message([1]), 0));
  if (scene.socketBytes > 0) {
    peer.stream.blocked = true;
    peer.stream.highWater = scene.socketBytes;
  }
  return { call, peer };
}

/** What a peer with such windows gets, and how many messages went in runs. */
function play(scene: Scene, asOne: boolean, ...changes: [string, string][]) {
  const { call, peer } = openCall(scene, ...changes);
  let inRuns = 0;
  for (const run of scene.runs) inRuns += send(call, run, asOne);
  peer.time.settle();
  peer.stream.unblock();
  peer.time.settle();
  const before = peer.frames().filter(({ type }) => type === FRAME.DATA);
  const sent = call.method.messagesSent;
  const { bytesSent } = call.method;
  // The rest, if windows held it back.
  peer.send(windowUpdate(1, 1 << 28), windowUpdate(0, 1 << 28));
  for (let i = 0; i < 100; i++) peer.time.settle();
  const after = peer.frames().filter(({ type }) => type === FRAME.DATA);
  return { inRuns, before, after, sent, bytesSent };
}

const RUN = fc
  .record({
    size: fc.oneof(fc.integer({ min: 12, max: 400 }), fc.integer({ min: 12, max: 20_000 })),
    width: fc.integer({ min: 1, max: 11 }),
    place: fc.integer({ min: 0, max: 1000 }),
    count: fc.integer({ min: 1, max: 300 }),
  })
  .map(({ size, width, place, count }) => ({
    ...{ size, width, count: Math.min(count, 256 ** width, Math.ceil(3e5 / size)) },
    fieldAt: place % (size - width + 1),
  }));

const GZIP: [string, string] = ['grpc-encoding', 'gzip'];

const payloads = (frames: readonly { payload: Uint8Array }[]) =>
  Buffer.from(join(...frames.map(({ payload }) => payload)));

describe('a run of messages', () => {
  test('is the frames of single ones, whatever the windows', () => {
    const scene = fc.record({
      runs: fc.array(RUN, { minLength: 1, maxLength: 4 }),
      streamWindow: fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.constant(1 << 28)),
      connectionWindow: fc.oneof(fc.integer({ min: 1, max: 100_000 }), fc.constant(1 << 28)),
      socketBytes: fc.constant(0),
    });
    fc.assert(
      fc.property(scene, (one) => {
        const { inRuns, ...seen } = play(one, true);
        const { inRuns: none, ...plain } = play(one, false);
        expect(none).toBe(0);
        expect(seen.sent).toBe(plain.sent);
        expect(seen.bytesSent).toBe(plain.bytesSent);
        for (const part of ['before', 'after'] as const) {
          expect(seen[part].map(({ text }) => text)).toEqual(plain[part].map(({ text }) => text));
          expect(payloads(seen[part]).equals(payloads(plain[part]))).toBe(true);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('is the same bytes when the socket is full', () => {
    const scene = fc.record({
      runs: fc.array(RUN, { minLength: 1, maxLength: 4 }),
      streamWindow: fc.constant(1 << 28),
      connectionWindow: fc.constant(1 << 28),
      socketBytes: fc.integer({ min: 1, max: 300_000 }),
    });
    fc.assert(
      fc.property(scene, (one) => {
        const seen = play(one, true);
        const plain = play(one, false);
        const all = (of: typeof seen) => payloads([...of.before, ...of.after]);
        expect(all(seen).equals(all(plain))).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  const small: Run = { size: 100, width: 2, fieldAt: 40, count: 250 };
  const wide = { streamWindow: 1 << 28, connectionWindow: 1 << 28, socketBytes: 0 };

  test('goes as one where there is room', () => {
    const { inRuns, before } = play({ ...wide, runs: [small] }, true);
    expect(inRuns).toBe(250);
    expect(before).toHaveLength(250);
  });

  test('stops where a window ends', () => {
    const { inRuns } = play({ ...wide, streamWindow: 10 * 105 + 104, runs: [small] }, true);
    expect(inRuns).toBe(10);
    const narrow = { ...wide, connectionWindow: 1, runs: [{ ...small, size: 400 }] };
    expect(play(narrow, true).inRuns).toBe(Math.floor(65_536 / 405));
  });

  test('does not go beyond a socket that is full', () => {
    const { inRuns } = play({ ...wide, socketBytes: 1, runs: [{ ...small, size: 1000 }] }, true);
    expect(inRuns).toBeLessThan(70);
  });

  test('of compressed or too large messages does not go as one', () => {
    const large = { ...small, size: 16_380, count: 3 };
    expect(play({ ...wide, runs: [large] }, true).inRuns).toBe(0);
    const runs = { ...wide, runs: [small] };
    expect(play(runs, true, GZIP).inRuns).toBe(0);
  });
});

describe('messages in parts', () => {
  const scene = fc.record({
    sizes: fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 6 }),
    head: fc.integer({ min: 1, max: 100 }),
    streamWindow: fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.constant(1 << 28)),
    connectionWindow: fc.oneof(fc.integer({ min: 1, max: 100_000 }), fc.constant(1 << 28)),
    socketBytes: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 300_000 })),
    gzip: fc.boolean(),
  });

  test('are those in one piece, whatever windows and socket', () => {
    fc.assert(
      fc.property(scene, ({ sizes, head, gzip, ...one }) => {
        const [parts, whole] = [true, false].map((inParts) => {
          const { call, peer } = openCall(one, ...(gzip ? [GZIP] : []));
          for (const size of sizes) {
            const bytes = Uint8Array.from({ length: head + size }, (_, i) => i % 251);
            if (inParts) call.writeParts(bytes.subarray(0, head), bytes.subarray(head));
            else call.writeBytes(bytes);
          }
          peer.time.settle();
          peer.stream.unblock();
          peer.send(windowUpdate(1, 1 << 28), windowUpdate(0, 1 << 28));
          for (let i = 0; i < 20; i++) peer.time.settle();
          const frames = peer.frames().filter(({ type }) => type === FRAME.DATA);
          return { bytes: payloads(frames), sent: call.method.bytesSent, left: call.bufferedBytes };
        });
        expect(parts!.bytes.equals(whole!.bytes)).toBe(true);
        expect([parts!.sent, parts!.left]).toEqual([whole!.sent, 0]);
      }),
      { numRuns: 60 },
    );
  });

  test('that are large share their body with others', () => {
    const { call, peer } = openCall({
      streamWindow: 1 << 28,
      connectionWindow: 1 << 28,
      socketBytes: 0,
    });
    const body = new Uint8Array(50_000).fill(7);
    const buffers: ArrayBufferLike[] = [];
    peer.stream.writeAll = (pieces) => {
      buffers.push(...pieces.filter(({ length }) => length > 8192).map(({ buffer }) => buffer));
      return true;
    };
    for (let i = 0; i < 3; i++) call.writeParts(Uint8Array.of(i), body);
    peer.time.settle();
    expect(buffers.length).toBeGreaterThanOrEqual(9);
    expect(new Set(buffers)).toEqual(new Set([body.buffer]));
  });
});

test('the last frame of a run ends where the room does', () => {
  const frame = 7;
  const fields = [1, 2, 3, 4, 5].map((n) => Uint8Array.of(n, n));
  const bytes = new Uint8Array(4 * frame + 3).fill(9);
  bytes.set([8, 8, 1, 2, 2, 8, 8], 1);
  expect(writeFrameRun(bytes, 1, frame, 3, fields, 1, 4)).toBe(1 + 4 * frame);
  const frames = [2, 3, 4, 5].flatMap((n) => [8, 8, 1, n, n, 8, 8]);
  expect([...bytes]).toEqual([9, ...frames, 9, 9]);
});
