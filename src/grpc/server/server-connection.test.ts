// RFC 9113 against the server, where order and time matter: preface, windows, draining, writes.

import { describe, expect, test } from 'vitest';
import { BYTES_ENCODER } from '../message-encoder.ts';
import {
  data,
  FakeStream,
  FLAG,
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
import type { Server } from './server-types.ts';

const HELLO = message([104, 105]);
const ANSWER = (id: number) => [
  `HEADERS ${id} :status=200 content-type=application/grpc`,
  `DATA ${id} 7`,
  `HEADERS ${id} grpc-status=0 end`,
];
const CALL = (id: number) => join(headers(id), data(id, HELLO));
const RESET = (id: number, code: string) => [`RST_STREAM ${id} ${code}`];
const HANG = () => request([':path', '/test.Echo/Hang']);

function start(options: Parameters<typeof rawServer>[1] = {}): RawServer {
  return rawServer(addMethods, options);
}

describe('3.4 connection preface', () => {
  const first = (...parts: Uint8Array[]) => {
    const peer = start({ handshake: false });
    peer.send(...parts);
    return peer;
  };

  test('our SETTINGS come first, and theirs are acknowledged', () => {
    const peer = first(PREFACE_BYTES, SETTINGS);
    expect(peer.describe()).toEqual(['SETTINGS', 'WINDOW_UPDATE 0 4128769', 'SETTINGS ack']);
  });

  test('byte by byte', () => {
    const peer = start({ handshake: false });
    peer.sendByteByByte(join(PREFACE_BYTES, SETTINGS, CALL(1)));
    expect(peer.describe().slice(3)).toEqual(ANSWER(1));
  });

  test.each([
    ['not the preface', Uint8Array.from('GET / HTTP/1.1\r\n', (c) => c.charCodeAt(0))],
    [
      'something else than SETTINGS first',
      join(PREFACE_BYTES, frame(FRAME.PING, 0, 0, new Uint8Array(8))),
    ],
    ['an acknowledgement first', join(PREFACE_BYTES, frame(FRAME.SETTINGS, FLAG.ACK, 0))],
  ])('%s', (_name, sent) => {
    const peer = first(sent);
    expect(peer.describe().at(-1)).toBe('GOAWAY PROTOCOL_ERROR');
    expect(peer.stream.ended).toBe(true);
  });
});

describe('5.1.2 stream concurrency', () => {
  test('one stream too many is refused', () => {
    const peer = start({ limits: { maxConcurrentStreams: 2 } });
    peer.send(headers(1, HANG()), headers(3, HANG()), CALL(5));
    expect(peer.describe()).toEqual(RESET(5, 'REFUSED_STREAM'));
    peer.send(reset(1, 8), CALL(7));
    expect(peer.describe()).toEqual(ANSWER(7));
  });
});

describe('5.2 flow control', () => {
  const PAUSED = request([':path', '/test.Echo/Paused']);
  const addPaused = (server: Server) =>
    server.stream('/test.Echo/Paused', (call) => {
      call.pause();
      return { onMessage: () => {}, onEnd: () => {}, onCancel: () => {}, onDrain: () => {} };
    });

  test('more than the stream window', () => {
    const peer = rawServer(addPaused, { limits: { streamWindowBytes: 20_000 } });
    peer.send(headers(1, PAUSED), data(1, new Uint8Array(15_000), 0));
    expect(peer.describe()).toEqual([]);
    peer.send(data(1, new Uint8Array(5_000), 0));
    expect(peer.describe()).toEqual([]);
    peer.send(data(1, [0], 0));
    expect(peer.describe()).toEqual(RESET(1, 'FLOW_CONTROL_ERROR'));
  });

  test('padding counts', () => {
    const peer = rawServer(addPaused, { limits: { streamWindowBytes: 1_000 } });
    const padded = frame(FRAME.DATA, FLAG.PADDED, 1, join([255], new Uint8Array(500 + 255)));
    peer.send(headers(1, PAUSED), padded);
    // The padding is credited at once: nobody will ever read it. What is held is not.
    expect(peer.describe()).toEqual([]);
    peer.send(padded);
    expect(peer.describe()).toEqual(RESET(1, 'FLOW_CONTROL_ERROR'));
  });

  test('more than the connection window', () => {
    // Below half a window nothing is credited, so that one frame can exceed what is left.
    const limits = { connectionWindowBytes: 70_000, streamWindowBytes: 100_000 };
    const peer = rawServer(addPaused, { limits });
    peer.send(headers(1, PAUSED));
    const piece = data(1, new Uint8Array(16_000), 0);
    peer.send(piece, piece);
    expect(peer.describe()).toEqual([]);
    peer.send(piece);
    expect(peer.describe()).toEqual(['WINDOW_UPDATE 0 48000']);
  });

  test('a response waits for the windows of stream and connection', () => {
    const peer = start();
    peer.send(settings([4, 10]));
    peer.frames();
    peer.send(headers(1), data(1, message(new Uint8Array(95))));
    expect(peer.describe()).toEqual([ANSWER(1)[0], 'DATA 1 10']);
    peer.send(windowUpdate(1, 50));
    expect(peer.describe()).toEqual(['DATA 1 50']);
    // A smaller initial window makes this one negative.
    peer.send(settings([4, 0]), windowUpdate(1, 5));
    expect(peer.describe()).toEqual(['SETTINGS ack']);
    peer.send(windowUpdate(1, 15));
    expect(peer.describe()).toEqual(['DATA 1 10']);
    peer.send(settings([4, 100]));
    expect(peer.describe()).toEqual(['SETTINGS ack', 'DATA 1 30', ANSWER(1)[2]]);
  });

  test('streams that wait take turns', () => {
    const peer = start();
    const large = message(new Uint8Array(40_000));
    const call = (id: number) =>
      join(
        headers(id),
        data(id, large.slice(0, 16_000), 0),
        data(id, large.slice(16_000, 32_000), 0),
        data(id, large.slice(32_000)),
      );
    peer.send(call(1), call(3));
    const sent = peer.describe().filter((line) => line.startsWith('DATA'));
    expect(sent).toEqual(['DATA 1 16384', 'DATA 3 16384', 'DATA 1 16384', 'DATA 3 16383']);
    peer.send(windowUpdate(0, 100_000));
    expect(peer.describe().filter((line) => line.startsWith('DATA'))).toEqual([
      'DATA 1 7237',
      'DATA 3 7238',
    ]);
  });
});

describe('6.8 GOAWAY', () => {
  test('a drain in two steps', async () => {
    const peer = start();
    peer.send(headers(1, HANG()));
    const drained = peer.server.drain();
    peer.time.settle();
    const [goaway, ping] = peer.frames();
    expect(goaway).toMatchObject({ type: FRAME.GOAWAY, id: 0 });
    expect([...goaway!.payload.slice(0, 8)]).toEqual([...uint32(0x7fffffff), 0, 0, 0, 0]);
    expect(ping).toMatchObject({ type: FRAME.PING, flags: 0 });
    // What was on its way is served.
    peer.send(CALL(3));
    expect(peer.describe()).toEqual(ANSWER(3));
    peer.send(frame(FRAME.PING, FLAG.ACK, 0, ping!.payload));
    const [last] = peer.frames();
    expect([...last!.payload.slice(0, 8)]).toEqual([...uint32(3), 0, 0, 0, 0]);
    // What comes after is not.
    peer.send(CALL(5));
    expect(peer.describe().filter((line) => line.startsWith('HEADERS'))).toEqual([]);
    expect(peer.stream.ended).toBe(false);
    peer.send(reset(1, 8));
    expect(peer.stream.ended).toBe(true);
    peer.stream.destroy();
    await drained;
  });

  test('a client that does not answer the ping', async () => {
    const peer = start();
    const drained = peer.server.drain();
    peer.time.advance(7_000);
    expect(peer.describe()).toEqual(['GOAWAY NO_ERROR', 'PING', 'GOAWAY NO_ERROR']);
    expect(peer.stream.ended).toBe(true);
    // It does not close either.
    peer.time.advance(5_000);
    expect(peer.stream.destroyed).toBe(true);
    await drained;
  });

  test('a closed server says so and cancels what runs', () => {
    const peer = start();
    peer.send(headers(1, HANG()));
    peer.server.close();
    peer.time.settle();
    expect(peer.stream.ended).toBe(true);
  });
});

describe('one write per turn', () => {
  test('the frames of all calls of a turn leave together', () => {
    const peer = start();
    const before = peer.stream.writes;
    peer.send(...Array.from({ length: 50 }, (_, i) => CALL(2 * i + 1)));
    expect(peer.stream.writes).toBe(before + 1);
    expect(peer.describe()).toHaveLength(150);
  });

  test('what a stream says of a request is written before the answer, in either order', () => {
    for (const isAnsweredFirst of [true, false]) {
      const steps: (() => void)[] = [];
      const writer = rawServer((server) => {
        server.unary('/test.Echo/Unary', (call) =>
          steps.push(() => call.reply(BYTES_ENCODER, HELLO)),
        );
        server.stream('/test.Echo/Chat', (call) => {
          call.sendsNews = true;
          steps.push(() => call.writeBytes(HELLO));
          return { onMessage() {}, onEnd() {}, onCancel() {}, onDrain() {} };
        });
      });
      const written: string[] = [];
      const watching = new FakeStream();
      writer.server.accept(watching);
      watching.handler.onData(
        join(PREFACE_BYTES, SETTINGS, headers(1, request([':path', '/test.Echo/Chat']))),
      );
      writer.send(CALL(1));
      writer.time.settle();
      const note = (stream: FakeStream, name: string): void => {
        stream.write = () => written.push(name) > 0;
      };
      note(watching, 'watcher');
      note(writer.stream, 'writer');
      expect(steps).toHaveLength(2);
      const [says, answers] = steps;
      for (const step of isAnsweredFirst ? [answers, says] : [says, answers]) step!();
      writer.time.settle();
      expect(written).toEqual(['watcher', 'writer']);
    }
  });
});
