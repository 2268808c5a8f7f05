// RFC 9113 against the server: what must be answered to what, section by section, with the frames
// delivered whole, byte by byte and cut in two at every offset.

import { describe, expect, test } from 'vitest';
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
  type RawServer,
  rawServer,
  request,
  reset,
  SETTINGS,
  settings,
  windowUpdate,
} from '../testing/raw-peer.fixture.ts';
import { addMethods } from '../testing/rig.fixture.ts';

const HELLO = message([104, 105]);
const ANSWER = (id: number) => [
  `HEADERS ${id} :status=200 content-type=application/grpc`,
  `DATA ${id} 7`,
  `HEADERS ${id} grpc-status=0 end`,
];
const CALL = (id: number) => join(headers(id), data(id, HELLO));
const GOAWAY = (code: string) => [`GOAWAY ${code}`];
const RESET = (id: number, code: string) => [`RST_STREAM ${id} ${code}`];
/** HEADERS with fields added after the usual ones. */
const WITH = (...fields: ReadonlyArray<readonly [string, string]>) =>
  headers(1, [...request(), ...fields]);
const bytes = (...parts: ReadonlyArray<Uint8Array | readonly number[]>) => join(...parts);

interface Case {
  readonly name: string;
  readonly send: Uint8Array;
  readonly expect: readonly string[];
}

const CASES: Readonly<Record<string, readonly Case[]>> = {
  '4.1 frame format': [
    {
      name: 'an unknown frame type is ignored',
      send: bytes(frame(0xfe, 0xff, 0, [1]), CALL(1)),
      expect: ANSWER(1),
    },
    {
      name: 'unknown flags are ignored',
      send: bytes(headers(1, undefined, 0xd2 | 4), data(1, HELLO, 0xf7 & ~8)),
      expect: ANSWER(1),
    },
    {
      name: 'the reserved bit of the stream id is ignored',
      send: bytes(headers(0x80000001), data(0x80000001, HELLO)),
      expect: ANSWER(1),
    },
  ],
  '4.2 frame size': [
    {
      name: 'the largest frame is taken',
      send: bytes(headers(1), data(1, message(new Uint8Array(16_379)))),
      expect: [ANSWER(1)[0]!, 'DATA 1 16384', ANSWER(1)[2]!],
    },
    {
      name: 'DATA larger than advertised',
      send: bytes(headers(1), data(1, new Uint8Array(16_385))),
      expect: GOAWAY('FRAME_SIZE_ERROR'),
    },
    {
      name: 'HEADERS larger than advertised',
      send: frame(FRAME.HEADERS, 4, 1, new Uint8Array(16_385)),
      expect: GOAWAY('FRAME_SIZE_ERROR'),
    },
  ],
  '4.3 header compression': [
    {
      name: 'an invalid block',
      send: frame(FRAME.HEADERS, 5, 1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
      expect: GOAWAY('COMPRESSION_ERROR'),
    },
    {
      name: 'PRIORITY between HEADERS and CONTINUATION',
      send: bytes(headers(1, undefined, 0), frame(FRAME.PRIORITY, 0, 1, [0, 0, 0, 0, 0])),
      expect: GOAWAY('PROTOCOL_ERROR'),
    },
    {
      name: 'HEADERS of another stream in between',
      send: bytes(headers(1, undefined, 0), headers(3)),
      expect: GOAWAY('PROTOCOL_ERROR'),
    },
  ],
  '5.1 stream states, idle': [
    { name: 'DATA', send: data(1, HELLO), expect: GOAWAY('PROTOCOL_ERROR') },
    { name: 'RST_STREAM', send: reset(1, 8), expect: GOAWAY('PROTOCOL_ERROR') },
    { name: 'WINDOW_UPDATE', send: windowUpdate(1, 1), expect: GOAWAY('PROTOCOL_ERROR') },
    {
      name: 'CONTINUATION',
      send: frame(FRAME.CONTINUATION, 4, 1),
      expect: GOAWAY('PROTOCOL_ERROR'),
    },
    {
      name: 'PRIORITY is allowed',
      send: bytes(frame(FRAME.PRIORITY, 0, 1, [0, 0, 0, 0, 0]), CALL(1)),
      expect: ANSWER(1),
    },
  ],
  '5.1 stream states, half-closed (remote)': [
    {
      name: 'DATA',
      send: bytes(headers(1, HANG()), data(1, HELLO), data(1, HELLO)),
      expect: RESET(1, 'STREAM_CLOSED'),
    },
    {
      name: 'HEADERS',
      send: bytes(headers(1, HANG()), data(1, HELLO), headers(1, [], FLAGS_ALL)),
      expect: RESET(1, 'STREAM_CLOSED'),
    },
    {
      name: 'WINDOW_UPDATE is allowed',
      send: bytes(headers(1, HANG()), data(1, HELLO), windowUpdate(1, 5)),
      expect: [],
    },
    {
      name: 'RST_STREAM is allowed',
      send: bytes(headers(1, HANG()), data(1, HELLO), reset(1, 8)),
      expect: [],
    },
  ],
  '5.1 stream states, closed': [
    {
      name: 'DATA after the end',
      send: bytes(CALL(1), data(1, HELLO)),
      expect: [...ANSWER(1), ...RESET(1, 'STREAM_CLOSED')],
    },
    {
      name: 'HEADERS after the end',
      send: bytes(CALL(1), headers(1)),
      expect: [...ANSWER(1), ...GOAWAY('STREAM_CLOSED')],
    },
    {
      name: 'WINDOW_UPDATE, RST_STREAM and PRIORITY after the end',
      send: bytes(
        CALL(1),
        windowUpdate(1, 1),
        reset(1, 8),
        frame(FRAME.PRIORITY, 0, 1, [0, 0, 0, 0, 0]),
      ),
      expect: ANSWER(1),
    },
    {
      name: 'what was on its way when we reset',
      send: bytes(headers(1, request([':path', '/no/such'])), data(1, HELLO, 0), data(1, HELLO)),
      expect: [
        'HEADERS 1 :status=200 content-type=application/grpc grpc-status=12 grpc-message=unknown service no end',
        ...RESET(1, 'NO_ERROR'),
      ],
    },
  ],
  '5.1.1 stream identifiers': [
    { name: 'even', send: headers(2), expect: GOAWAY('PROTOCOL_ERROR') },
    {
      name: 'lower than before, never used',
      send: bytes(CALL(5), headers(3)),
      expect: [...ANSWER(5), ...GOAWAY('STREAM_CLOSED')],
    },
    {
      name: 'ids may be skipped',
      send: bytes(CALL(5), CALL(9)),
      expect: [...ANSWER(5), ...ANSWER(9)],
    },
  ],
  '6.1 DATA': [
    { name: 'on stream 0', send: data(0, HELLO), expect: GOAWAY('PROTOCOL_ERROR') },
    {
      name: 'padding',
      send: bytes(headers(1), frame(FRAME.DATA, FLAG.PADDED | 1, 1, bytes([3], HELLO, [0, 0, 0]))),
      expect: ANSWER(1),
    },
    {
      name: 'padding that exceeds the frame',
      send: bytes(headers(1), frame(FRAME.DATA, FLAG.PADDED | 1, 1, [5, 0, 0, 0, 0])),
      expect: GOAWAY('PROTOCOL_ERROR'),
    },
    {
      name: 'padded without the length',
      send: bytes(headers(1), frame(FRAME.DATA, FLAG.PADDED | 1, 1)),
      expect: GOAWAY('FRAME_SIZE_ERROR'),
    },
    {
      name: 'a message in many frames, some empty',
      send: bytes(
        headers(1),
        ...[...HELLO].flatMap((byte) => [data(1, [byte], 0), data(1, [], 0)]),
        data(1, []),
      ),
      expect: ANSWER(1),
    },
  ],
  '6.2 HEADERS': [
    { name: 'on stream 0', send: headers(0), expect: GOAWAY('PROTOCOL_ERROR') },
    {
      name: 'padding and priority',
      send: bytes(
        frame(
          FRAME.HEADERS,
          4 | 8 | 0x20,
          1,
          bytes([2], [0, 0, 0, 0, 9], block(request()), [0, 0]),
        ),
        data(1, HELLO),
      ),
      expect: ANSWER(1),
    },
    {
      name: 'padding that exceeds the frame',
      send: frame(FRAME.HEADERS, 4 | 8, 1, [200, 0x83]),
      expect: GOAWAY('PROTOCOL_ERROR'),
    },
    {
      name: 'padded without the length',
      send: frame(FRAME.HEADERS, 4 | 8, 1),
      expect: GOAWAY('FRAME_SIZE_ERROR'),
    },
    {
      name: 'priority that is cut',
      send: frame(FRAME.HEADERS, 4 | 0x20, 1, [0, 0, 0]),
      expect: GOAWAY('FRAME_SIZE_ERROR'),
    },
  ],
  '6.3 PRIORITY': [
    {
      name: 'on stream 0',
      send: frame(FRAME.PRIORITY, 0, 0, [0, 0, 0, 0, 0]),
      expect: GOAWAY('PROTOCOL_ERROR'),
    },
    {
      name: 'of a wrong size',
      send: bytes(headers(1), frame(FRAME.PRIORITY, 0, 1, [0, 0, 0, 0])),
      expect: RESET(1, 'FRAME_SIZE_ERROR'),
    },
  ],
  '6.4 RST_STREAM': [
    { name: 'on stream 0', send: reset(0, 8), expect: GOAWAY('PROTOCOL_ERROR') },
    {
      name: 'of a wrong size',
      send: bytes(headers(1), frame(FRAME.RST_STREAM, 0, 1, [0, 0, 0])),
      expect: GOAWAY('FRAME_SIZE_ERROR'),
    },
  ],
  '6.5 SETTINGS': [
    { name: 'is acknowledged', send: SETTINGS, expect: ['SETTINGS ack'] },
    { name: 'on a stream', send: frame(FRAME.SETTINGS, 0, 1), expect: GOAWAY('PROTOCOL_ERROR') },
    {
      name: 'of a wrong size',
      send: frame(FRAME.SETTINGS, 0, 0, [0, 3, 0, 0, 0]),
      expect: GOAWAY('FRAME_SIZE_ERROR'),
    },
    {
      name: 'an acknowledgement with content',
      send: frame(FRAME.SETTINGS, FLAG.ACK, 0, [0, 3, 0, 0, 0, 1]),
      expect: GOAWAY('FRAME_SIZE_ERROR'),
    },
    { name: 'unknown settings are ignored', send: settings([0x99, 7]), expect: ['SETTINGS ack'] },
    { name: 'ENABLE_PUSH above 1', send: settings([2, 2]), expect: GOAWAY('PROTOCOL_ERROR') },
    {
      name: 'INITIAL_WINDOW_SIZE above 2^31-1',
      send: settings([4, 0x80000000]),
      expect: GOAWAY('FLOW_CONTROL_ERROR'),
    },
    {
      name: 'MAX_FRAME_SIZE below 2^14',
      send: settings([5, 16_383]),
      expect: GOAWAY('PROTOCOL_ERROR'),
    },
    {
      name: 'MAX_FRAME_SIZE above 2^24-1',
      send: settings([5, 0x1000000]),
      expect: GOAWAY('PROTOCOL_ERROR'),
    },
  ],
  '6.6 PUSH_PROMISE': [
    {
      name: 'from a client',
      send: frame(FRAME.PUSH_PROMISE, 4, 1, [0, 0, 0, 2]),
      expect: GOAWAY('PROTOCOL_ERROR'),
    },
  ],
  '6.7 PING': [
    {
      name: 'is answered',
      send: frame(FRAME.PING, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]),
      expect: ['PING ack'],
    },
    {
      name: 'an answer is not answered',
      send: frame(FRAME.PING, FLAG.ACK, 0, [1, 2, 3, 4, 5, 6, 7, 8]),
      expect: [],
    },
    {
      name: 'on a stream',
      send: frame(FRAME.PING, 0, 1, new Uint8Array(8)),
      expect: GOAWAY('PROTOCOL_ERROR'),
    },
    {
      name: 'of a wrong size',
      send: frame(FRAME.PING, 0, 0, new Uint8Array(7)),
      expect: GOAWAY('FRAME_SIZE_ERROR'),
    },
  ],
  '6.8 GOAWAY': [
    {
      name: 'on a stream',
      send: frame(FRAME.GOAWAY, 0, 1, new Uint8Array(8)),
      expect: GOAWAY('PROTOCOL_ERROR'),
    },
    {
      name: 'of a wrong size',
      send: frame(FRAME.GOAWAY, 0, 0, new Uint8Array(7)),
      expect: GOAWAY('FRAME_SIZE_ERROR'),
    },
    {
      name: 'what runs goes on',
      send: bytes(headers(1), frame(FRAME.GOAWAY, 0, 0, new Uint8Array(8)), data(1, HELLO)),
      expect: ANSWER(1),
    },
  ],
  '6.9 WINDOW_UPDATE': [
    { name: 'of 0 on the connection', send: windowUpdate(0, 0), expect: GOAWAY('PROTOCOL_ERROR') },
    {
      name: 'of 0 on a stream',
      send: bytes(headers(1), windowUpdate(1, 0)),
      expect: RESET(1, 'PROTOCOL_ERROR'),
    },
    {
      name: 'of a wrong size',
      send: frame(FRAME.WINDOW_UPDATE, 0, 0, [0, 0, 1]),
      expect: GOAWAY('FRAME_SIZE_ERROR'),
    },
    {
      name: 'overflow of the connection window',
      send: windowUpdate(0, 0x7fffffff),
      expect: GOAWAY('FLOW_CONTROL_ERROR'),
    },
    {
      name: 'overflow of a stream window',
      send: bytes(headers(1), windowUpdate(1, 0x7fffffff)),
      expect: RESET(1, 'FLOW_CONTROL_ERROR'),
    },
    {
      name: 'overflow by SETTINGS',
      send: bytes(headers(1), windowUpdate(1, 0x7fffffff - 65_535), settings([4, 65_536])),
      expect: GOAWAY('FLOW_CONTROL_ERROR'),
    },
  ],
  '6.10 CONTINUATION': [
    {
      name: 'completes the block',
      send: bytes(
        frame(FRAME.HEADERS, 0, 1, block(request()).slice(0, 20)),
        frame(FRAME.CONTINUATION, 0, 1, block(request()).slice(20, 30)),
        frame(FRAME.CONTINUATION, 4, 1, block(request()).slice(30)),
        data(1, HELLO),
      ),
      expect: ANSWER(1),
    },
    {
      name: 'END_STREAM stands on the HEADERS',
      send: bytes(
        frame(FRAME.HEADERS, 1, 1, block(request()).slice(0, 20)),
        frame(FRAME.CONTINUATION, 4, 1, block(request()).slice(20)),
      ),
      expect: [
        'HEADERS 1 :status=200 content-type=application/grpc grpc-status=2 grpc-message=EOF end',
      ],
    },
    {
      name: 'on another stream',
      send: bytes(headers(1, undefined, 0), frame(FRAME.CONTINUATION, 4, 3)),
      expect: GOAWAY('PROTOCOL_ERROR'),
    },
    {
      name: 'on stream 0',
      send: bytes(headers(1, undefined, 0), frame(FRAME.CONTINUATION, 4, 0)),
      expect: GOAWAY('PROTOCOL_ERROR'),
    },
    {
      name: 'after the end of the block',
      send: bytes(headers(1), frame(FRAME.CONTINUATION, 4, 1)),
      expect: GOAWAY('PROTOCOL_ERROR'),
    },
  ],
  '8.1 trailers': [
    {
      name: 'end a request',
      send: bytes(headers(1), data(1, HELLO, 0), headers(1, [['x-late', 'field']], FLAGS_ALL)),
      expect: ANSWER(1),
    },
    {
      name: 'without END_STREAM',
      send: bytes(headers(1), headers(1, [['x-late', 'field']])),
      expect: RESET(1, 'PROTOCOL_ERROR'),
    },
    {
      name: 'with a pseudo-header field',
      send: bytes(headers(1), headers(1, [[':path', '/x']], FLAGS_ALL)),
      expect: RESET(1, 'PROTOCOL_ERROR'),
    },
    {
      name: 'with a capital letter',
      send: bytes(headers(1), headers(1, [['X-Late', 'field']], FLAGS_ALL)),
      expect: RESET(1, 'PROTOCOL_ERROR'),
    },
  ],
  // More lenient than the RFC, as etcd is.
  '8.1.1 content-length': ['7', '6', '8', 'x'].map((value) => ({
    name: value,
    send: bytes(WITH(['content-length', value]), data(1, HELLO)),
    expect: ANSWER(1),
  })),
  '8.2 header fields': [
    { name: 'a capital letter', send: WITH(['X-Big', 'a']), expect: RESET(1, 'PROTOCOL_ERROR') },
    { name: 'a blank in a name', send: WITH(['x big', 'a']), expect: RESET(1, 'PROTOCOL_ERROR') },
    { name: 'an empty name', send: WITH(['', 'a']), expect: RESET(1, 'PROTOCOL_ERROR') },
    { name: 'a colon in a name', send: WITH(['x:big', 'a']), expect: RESET(1, 'PROTOCOL_ERROR') },
    {
      name: 'a byte above 0x7f in a name',
      send: WITH(['x-\xe9', 'a']),
      expect: RESET(1, 'PROTOCOL_ERROR'),
    },
    { name: 'NUL in a value', send: WITH(['x-a', 'a\0b']), expect: RESET(1, 'PROTOCOL_ERROR') },
    { name: 'CR in a value', send: WITH(['x-a', 'a\rb']), expect: RESET(1, 'PROTOCOL_ERROR') },
    { name: 'LF in a value', send: WITH(['x-a', 'a\nb']), expect: RESET(1, 'PROTOCOL_ERROR') },
    { name: 'a bracket in a name', send: WITH(['x(a)', 'a']), expect: RESET(1, 'PROTOCOL_ERROR') },
    { name: 'DEL in a value', send: WITH(['x-a', 'a\x7f']), expect: RESET(1, 'PROTOCOL_ERROR') },
    {
      name: 'blanks around a value are fine',
      send: bytes(WITH(['x-a', ' a\t']), data(1, HELLO)),
      expect: ANSWER(1),
    },
    {
      name: 'an empty value is fine',
      send: bytes(WITH(['x-a', '']), data(1, HELLO)),
      expect: ANSWER(1),
    },
  ],
  '8.2.2 connection-specific fields': [
    { name: 'connection', send: WITH(['connection', 'x']), expect: RESET(1, 'PROTOCOL_ERROR') },
    // More lenient than the RFC, as etcd is.
    ...['proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'te'].map((name) => ({
      name,
      send: bytes(WITH([name, 'x']), data(1, HELLO)),
      expect: ANSWER(1),
    })),
  ],
  '8.3 pseudo-header fields': [
    {
      name: 'unknown',
      send: headers(1, [[':unknown', 'x'], ...request()]),
      expect: RESET(1, 'PROTOCOL_ERROR'),
    },
    {
      name: 'of a response',
      send: headers(1, [[':status', '200'], ...request()]),
      expect: RESET(1, 'PROTOCOL_ERROR'),
    },
    {
      name: 'after a regular field',
      send: headers(1, [['x-a', 'b'], ...request()]),
      expect: RESET(1, 'PROTOCOL_ERROR'),
    },
    {
      name: ':method missing',
      send: headers(1, request().slice(1), FLAGS_ALL),
      expect: [
        'HEADERS 1 :status=405 content-type=application/grpc grpc-status=13 grpc-message=Received a HEADERS frame with :method "" which should be POST end',
      ],
    },
    {
      name: ':scheme missing',
      send: bytes(headers(1, request().toSpliced(1, 1)), data(1, HELLO)),
      expect: ANSWER(1),
    },
    {
      name: ':path missing',
      send: headers(1, request().toSpliced(2, 1), FLAGS_ALL),
      expect: [
        'HEADERS 1 :status=200 content-type=application/grpc grpc-status=12 grpc-message=malformed method name: "" end',
      ],
    },
    {
      name: ':method twice',
      send: headers(1, [[':method', 'POST'], ...request()]),
      expect: RESET(1, 'PROTOCOL_ERROR'),
    },
    {
      name: ':path twice',
      send: headers(1, [[':path', '/x'], ...request()]),
      expect: RESET(1, 'PROTOCOL_ERROR'),
    },
    {
      name: 'CONNECT',
      send: headers(
        1,
        [
          [':method', 'CONNECT'],
          [':authority', 'x'],
        ],
        FLAGS_ALL,
      ),
      expect: [
        'HEADERS 1 :status=415 content-type=application/grpc grpc-status=3 grpc-message=invalid gRPC request content-type "" end',
      ],
    },
    {
      name: ':authority twice',
      send: headers(1, [[':authority', 'a'], [':authority', 'b'], ...request()], FLAGS_ALL),
      expect: RESET(1, 'PROTOCOL_ERROR'),
    },
    {
      name: 'host twice',
      send: headers(1, [...request(), ['host', 'a'], ['host', 'b']], FLAGS_ALL),
      expect: [
        'HEADERS 1 :status=400 content-type=application/grpc grpc-status=13 grpc-message=num values of :authority: 0, num values of host: 2, both must only have 1 value as per HTTP/2 spec end',
      ],
    },
  ],
};

function HANG(): ReadonlyArray<readonly [string, string]> {
  return request([':path', '/test.Echo/Hang']);
}

function start(options: Parameters<typeof rawServer>[1] = {}): RawServer {
  return rawServer(addMethods, options);
}

/** Whatever was violated, the connection ends if and only if GOAWAY was said. */
function expectEnd(peer: RawServer, said: readonly string[]): void {
  const gone = said.some((line) => line.startsWith('GOAWAY'));
  expect(peer.stream.ended).toBe(gone);
  if (gone) {
    peer.stream.destroy();
    expect(peer.server.connectionCount).toBe(0);
    expect(peer.errors).toHaveLength(1);
  } else {
    peer.send(CALL(99));
    expect(peer.describe()).toEqual(ANSWER(99));
  }
}

/** Without the word to stop sending, said to a request that is answered before its end has arrived. */
function saidBy(peer: RawServer, expected: readonly string[]): string[] {
  const said = peer.describe();
  return said.filter((line) => !line.endsWith('NO_ERROR') || expected.includes(line));
}

for (const [section, cases] of Object.entries(CASES)) {
  describe(section, () => {
    test.each(cases)('$name', ({ send, expect: expected }) => {
      const whole = start();
      whole.send(send);
      const said = whole.describe();
      expect(said).toEqual(expected);
      expectEnd(whole, said);

      const single = start();
      single.sendByteByByte(send);
      expect(saidBy(single, expected)).toEqual(expected);
      expectEnd(single, expected);

      // Cuts in long payloads are all alike.
      for (let cut = 1; cut < Math.min(send.length, 120); cut++) {
        const halves = start();
        halves.send(send.slice(0, cut));
        halves.send(send.slice(cut));
        expect(saidBy(halves, expected)).toEqual(expected);
      }
    });
  });
}
