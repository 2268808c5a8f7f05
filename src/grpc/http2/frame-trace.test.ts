import { expect, test } from 'vitest';
import type { ByteStream } from '../../env/index.ts';
import { tracedStream } from './frame-trace.ts';
import { PREFACE } from './protocol.ts';

function rig(level: 1 | 2) {
  const lines: string[] = [];
  const written: Uint8Array[] = [];
  const received: Uint8Array[] = [];
  const stream: ByteStream = {
    handler: undefined as never,
    remoteAddress: 'a:1',
    bufferedBytes: 0,
    write: (bytes) => written.push(bytes) > 0,
    writeAll: (parts) => written.push(...parts) > 0,
    pause: () => {},
    resume: () => {},
    end: () => {},
    destroy: () => {},
  };
  const traced = tracedStream(stream, { level, print: (line) => lines.push(line) });
  traced.handler = {
    onData: (bytes) => void received.push(Uint8Array.from(bytes)),
    onDrain: () => {},
    onEnd: () => {},
    onClose: () => {},
  };
  /** Without the name of the connection. */
  const shown = () => lines.splice(0).map((line) => line.replace(/0xc[0-9a-f]{9}/, '0x'));
  return { stream, traced, shown, written, received };
}

function frame(type: number, flags: number, id: number, payload: Uint8Array | string): Buffer {
  const bytes = Buffer.from(payload as Uint8Array);
  const head = Buffer.alloc(9);
  head.writeUIntBE(bytes.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, bytes]);
}

// :method POST, :path from the static table's name, a field that goes to the dynamic table, and again.
const BLOCK = Buffer.concat([
  Buffer.from([0x83, 0x44, 0x02]),
  Buffer.from('/a'),
  Buffer.from([0x40, 0x01]),
  Buffer.from('x'),
  Buffer.from([0x01]),
  Buffer.from('y'),
]);
const INPUT = [
  frame(4, 0, 0, Buffer.from('000400010000000200000000', 'hex')),
  frame(1, 0x24, 1, Buffer.concat([Buffer.alloc(5), BLOCK])),
  frame(1, 0x1, 3, Buffer.from([0x83])),
  frame(9, 0x4, 3, Buffer.from([0xbe])),
  frame(0, 0x9, 1, Buffer.from([2, 0x68, 0x69, 0, 0])),
  frame(8, 0, 0, Buffer.from([0, 0, 0, 15])),
  frame(8, 0, 1, Buffer.from([0, 0, 1, 0])),
  frame(6, 1, 0, Buffer.from('02041010090e0707', 'hex')),
  frame(3, 0, 3, Buffer.from([0, 0, 0, 8])),
  frame(7, 0, 0, Buffer.concat([Buffer.from([0, 0, 0, 3, 0, 0, 0, 11]), Buffer.from('too')])),
  frame(0xbe, 0x81, 0, ''),
];
const FRAMES = [
  'SETTINGS len=12, settings: INITIAL_WINDOW_SIZE=65536, ENABLE_PUSH=0',
  'HEADERS flags=END_HEADERS|PRIORITY stream=1 len=15',
  'HEADERS flags=END_STREAM stream=3 len=1',
  'CONTINUATION flags=END_HEADERS stream=3 len=1',
  'DATA flags=END_STREAM|PADDED stream=1 len=5',
  'WINDOW_UPDATE len=4 (conn) incr=15',
  'WINDOW_UPDATE stream=1 len=4 incr=256',
  'PING flags=ACK len=8 ping="\\x02\\x04\\x10\\x10\\t\\x0e\\a\\a"',
  'RST_STREAM stream=3 len=4 ErrCode=CANCEL',
  'GOAWAY len=11 LastStreamID=3 ErrCode=ENHANCE_YOUR_CALM Debug="too"',
  'UNKNOWN_FRAME_TYPE_190 flags=0x1|0x80 len=0',
];

test('frames that arrive, in any pieces; the bytes pass unchanged', () => {
  const input = Buffer.concat([Buffer.from(PREFACE), ...INPUT]);
  for (const size of [1, 7, 100, input.length]) {
    const { stream, shown, received } = rig(1);
    for (let at = 0; at < input.length; at += size) {
      stream.handler.onData(input.subarray(at, at + size));
    }
    expect(shown()).toEqual(FRAMES.map((text) => `http2: Framer 0x: read ${text}`));
    expect(Buffer.concat(received)).toEqual(input);
  }
});

test('the content of DATA and the header fields, with those of the dynamic table', () => {
  const { stream, shown } = rig(2);
  stream.handler.onData(Buffer.concat([Buffer.from(PREFACE), ...INPUT.slice(0, 5)]));
  const field = (text: string): string => `http2: decoded hpack field header field ${text}`;
  expect(shown()).toEqual([
    `http2: Framer 0x: read ${FRAMES[0]}`,
    `http2: Framer 0x: read ${FRAMES[1]}`,
    ...[field('":method" = "POST"'), field('":path" = "/a"'), field('"x" = "y"')],
    `http2: Framer 0x: read ${FRAMES[2]}`,
    `http2: Framer 0x: read ${FRAMES[3]}`,
    ...[field('":method" = "POST"'), field('"x" = "y"')],
    `http2: Framer 0x: read ${FRAMES[4]} data="hi"`,
  ]);
});

test('frames that are written, without their header fields; long DATA in part', () => {
  const { traced, shown, written } = rig(2);
  traced.write(Buffer.concat([INPUT[1]!, frame(0, 0, 1, Buffer.alloc(300, 'a'))]));
  expect(shown()).toEqual([
    `http2: Framer 0x: wrote ${FRAMES[1]}`,
    `http2: Framer 0x: wrote DATA stream=1 len=300 data="${'a'.repeat(256)}" (44 bytes omitted)`,
  ]);
  traced.writeAll([INPUT[5]!.subarray(0, 10), INPUT[5]!.subarray(10)]);
  expect(shown()).toEqual([`http2: Framer 0x: wrote ${FRAMES[5]}`]);
  expect(written).toHaveLength(3);
});

test('what cannot be read ends the trace of that direction, and passes on', () => {
  const { stream, traced, shown, received } = rig(2);
  stream.handler.onData(Buffer.concat([Buffer.from(PREFACE), frame(1, 4, 1, Buffer.from([0xff]))]));
  stream.handler.onData(INPUT[0]!);
  traced.write(INPUT[0]!);
  const lines = shown();
  expect(lines).toHaveLength(3);
  expect(lines[1]).toMatch(/^http2: Framer 0x: read: /);
  expect(lines[2]).toBe(`http2: Framer 0x: wrote ${FRAMES[0]}`);
  expect(received).toHaveLength(2);
});
