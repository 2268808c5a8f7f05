// RFC 9113 against the client: a server by hand that answers well, badly, late or not at all.

import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { BYTES_ENCODER } from '../message-encoder.ts';
import {
  block,
  data,
  FakeStream,
  FLAG,
  FRAME,
  frame,
  headers,
  join,
  ManualTime,
  message,
  PREFACE_BYTES,
  RawPeer,
  reset,
  SETTINGS,
  settings,
  uint32,
  windowUpdate,
} from '../testing/raw-peer.fixture.ts';
import { createChannel } from './channel.ts';
import type { CallOptions, CallStatus, Channel, ChannelOptions } from './client-types.ts';

const HEAD: ReadonlyArray<readonly [string, string]> = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
];
const OK = (id: number) => headers(id, [['grpc-status', '0']], FLAG.END_HEADERS | FLAG.END_STREAM);
const ANSWER = (id: number) => join(headers(id, HEAD), data(id, message([7]), 0), OK(id));
const REQUEST = (id: number) => [
  expect.stringMatching(new RegExp(`^HEADERS ${id} :method=POST :scheme=http :path=/a.B/C`)),
  `DATA ${id} 6 end`,
];

interface Rig {
  readonly time: ManualTime;
  readonly channel: Channel;
  /** Servers by order of connection. */
  readonly peers: RawPeer[];
  /** How the next attempts to connect fail; succeeds when empty. */
  readonly failures: string[];
  /** Outcomes of the calls made, in order of their end. */
  readonly ended: string[];
  call(options?: CallOptions): ReturnType<Channel['unary']>;
  /** Lets promises and turns run. */
  settle(): Promise<void>;
  /** A connection with SETTINGS exchanged; what the client said so far is read. */
  connect(): Promise<RawPeer>;
}

function start(options: Partial<ChannelOptions> = {}): Rig {
  const time = new ManualTime();
  const peers: RawPeer[] = [];
  const failures: string[] = [];
  const ended: string[] = [];
  const random = seededRandom(1);
  const channel = createChannel({
    endpoints: [{ host: '192.0.2.1', port: 2379 }],
    connect: async () => {
      const failure = failures.shift();
      if (failure !== undefined) throw new Error(failure);
      const stream = new FakeStream();
      peers.push(new RawPeer(time, stream));
      return stream;
    },
    timers: time,
    clock: time,
    entropy: { bytes: (count) => Uint8Array.from({ length: count }, () => random.below(256)) },
    ...options,
  });
  const settle = async () => {
    for (let i = 0; i < 10; i++) await Promise.resolve();
    time.settle();
  };
  const call = (callOptions: CallOptions = {}) =>
    channel.unary(
      '/a.B/C',
      BYTES_ENCODER,
      Uint8Array.of(1),
      {
        onReply: (reply) => ended.push(`reply ${[...reply]}`),
        onFailure: ({ code, message, unprocessed }: CallStatus) =>
          ended.push(`${code} ${message}${unprocessed ? ' (unprocessed)' : ''}`),
      },
      callOptions,
    );
  const connect = async () => {
    await settle();
    const peer = peers.at(-1)!;
    peer.stream.written.splice(0, 0);
    const preface = join(...peer.stream.written);
    expect(preface.slice(0, 24)).toEqual(PREFACE_BYTES);
    peer.stream.written = [preface.slice(24)];
    peer.send(SETTINGS, frame(FRAME.SETTINGS, FLAG.ACK, 0));
    return peer;
  };
  return { time, channel, peers, failures, ended, call, settle, connect };
}

const CONTROL = /^(SETTINGS|WINDOW_UPDATE 0)/;
const said = (peer: RawPeer) => peer.describe().filter((line) => !CONTROL.test(line));

describe('a connection', () => {
  test('begins with preface and SETTINGS; calls wait for those of the server', async () => {
    const rig = start();
    rig.call();
    await rig.settle();
    const [peer] = rig.peers;
    const bytes = join(...peer!.stream.written);
    peer!.stream.written = [bytes.slice(24)];
    expect(peer!.describe()).toEqual(['SETTINGS', 'WINDOW_UPDATE 0 16711681']);
    expect(rig.channel.states()).toEqual(['connecting']);
    peer!.send(SETTINGS);
    expect(rig.channel.states()).toEqual(['ready']);
    expect(said(peer!)).toEqual(REQUEST(1));
    peer!.send(ANSWER(1));
    expect(rig.ended).toEqual(['reply 7']);
  });

  test('head, message and trailers byte by byte', async () => {
    const rig = start();
    rig.call();
    const peer = await rig.connect();
    peer.sendByteByByte(ANSWER(1));
    expect(rig.ended).toEqual(['reply 7']);
  });

  test('header blocks get shorter as they repeat', async () => {
    const rig = start();
    const sizes: number[] = [];
    let peer: RawPeer | undefined;
    for (let i = 0; i < 4; i++) {
      rig.call();
      peer ??= await rig.connect();
      rig.time.settle();
      const head = peer.frames().find((one) => one.type === FRAME.HEADERS)!;
      expect(head.text).toContain(':path=/a.B/C :authority=192.0.2.1:2379 te=trailers');
      sizes.push(head.payload.length);
      peer.send(ANSWER(2 * i + 1));
    }
    expect(sizes.slice(1)).toEqual([8, 8, 8]);
    expect(rig.ended).toHaveLength(4);
  });

  test.each<[string, Uint8Array, string]>([
    ['PUSH_PROMISE', frame(FRAME.PUSH_PROMISE, 4, 1, [0, 0, 0, 2]), 'PROTOCOL_ERROR'],
    ['a stream of its own', headers(2, HEAD), 'PROTOCOL_ERROR'],
    ['HEADERS on a stream not opened yet', headers(3, HEAD), 'PROTOCOL_ERROR'],
    ['ENABLE_PUSH', settings([2, 1]), 'PROTOCOL_ERROR'],
    ['an invalid block', frame(FRAME.HEADERS, 4, 1, [0x80]), 'COMPRESSION_ERROR'],
    ['a frame too large', frame(FRAME.DATA, 0, 1, new Uint8Array(16_385)), 'FRAME_SIZE_ERROR'],
    ['a window overflow', windowUpdate(0, 0x7fffffff), 'FLOW_CONTROL_ERROR'],
  ])('%s ends it', async (_name, bytes, code) => {
    const rig = start();
    rig.call();
    const peer = await rig.connect();
    said(peer);
    peer.send(bytes);
    expect(said(peer)).toEqual([`GOAWAY ${code}`]);
    expect(peer.stream.ended).toBe(true);
    expect(rig.ended).toHaveLength(1);
    expect(rig.ended[0]).toMatch(/^14 /);
  });

  test('something else than SETTINGS first', async () => {
    const rig = start();
    rig.call();
    await rig.settle();
    rig.peers[0]!.send(frame(FRAME.PING, 0, 0, new Uint8Array(8)));
    rig.peers[0]!.stream.destroy();
    expect(rig.ended[0]).toMatch(/^14 connection error: .*PROTOCOL_ERROR/);
    expect(rig.channel.states()).toEqual(['backoff']);
  });

  test('a server that never says SETTINGS', async () => {
    const rig = start();
    rig.call();
    await rig.settle();
    rig.time.advance(15_000);
    expect(rig.peers[0]!.stream.destroyed).toBe(true);
    expect(rig.ended[0]).toMatch(/^14 connection error: .*no HTTP\/2 preface in time/);
  });
});

describe('a response', () => {
  test.each<[string, Uint8Array, string, string]>([
    [
      'with a capital letter',
      headers(1, [...HEAD, ['X-A', 'b']]),
      'RST_STREAM 1 PROTOCOL_ERROR',
      '13 malformed header',
    ],
    [
      'HEADERS in the middle',
      join(headers(1, HEAD), headers(1, [['x', 'y']])),
      'RST_STREAM 1 PROTOCOL_ERROR',
      '13 a HEADERS frame cannot appear in the middle of a stream',
    ],
    [
      'a status in the trailers',
      join(headers(1, HEAD), headers(1, HEAD, 5)),
      '',
      '13 malformed trailers',
    ],
    [
      'a window of 0',
      windowUpdate(1, 0),
      'RST_STREAM 1 PROTOCOL_ERROR',
      '13 received invalid frame with error code: PROTOCOL_ERROR',
    ],
    ['reset', reset(1, 8), '', '1 stream terminated by RST_STREAM with error code: CANCEL'],
    [
      'half a message',
      join(headers(1, HEAD), data(1, [0, 0, 0, 0, 9, 1], 0), OK(1)),
      '',
      '13 unexpected EOF',
    ],
    ['a code from the future', headers(1, [...HEAD, ['grpc-status', '99']], 5), '', '2 '],
    [
      'a content-length that lies',
      join(headers(1, [...HEAD, ['content-length', '3']]), data(1, message([7]), 0)),
      'RST_STREAM 1 PROTOCOL_ERROR',
      '13 received invalid frame with error code: PROTOCOL_ERROR',
    ],
    [
      'an encoding that nobody has',
      join(headers(1, [...HEAD, ['grpc-encoding', 'br']]), data(1, [1, 0, 0, 0, 0], 0)),
      'RST_STREAM 1 CANCEL',
      '13 grpc: Decompressor is not installed for grpc-encoding "br"',
    ],
  ])('%s', async (_name, bytes, answer, outcome) => {
    const rig = start();
    rig.call();
    const peer = await rig.connect();
    said(peer);
    peer.send(bytes);
    expect(said(peer).join()).toBe(answer);
    expect(rig.ended).toEqual([outcome]);
    // The connection lives.
    rig.call();
    rig.time.settle();
    peer.send(ANSWER(3));
    expect(rig.ended[1]).toBe('reply 7');
  });

  test('an informational head comes before the real one', async () => {
    const rig = start();
    rig.call();
    const peer = await rig.connect();
    peer.send(headers(1, [[':status', '103']]), ANSWER(1));
    expect(rig.ended).toEqual(['reply 7']);
  });

  test('a header list that is too large', async () => {
    const rig = start({ limits: { headerListBytesMax: 1_000 } });
    rig.call();
    const peer = await rig.connect();
    peer.send(headers(1, [...HEAD, ['x', 'y'.repeat(1_000)]]));
    expect(rig.ended).toEqual(['13 peer header list size exceeded limit']);
  });
});

describe('GOAWAY', () => {
  const goaway = (last: number, code: number, text = '') =>
    frame(FRAME.GOAWAY, 0, 0, [...uint32(last), ...uint32(code), ...Buffer.from(text)]);

  test('what the server has begun ends there; the rest moves to a new connection', async () => {
    const rig = start();
    for (let i = 0; i < 3; i++) rig.call();
    const first = await rig.connect();
    first.send(goaway(3, 0));
    const second = await rig.connect();
    expect(rig.peers).toHaveLength(2);
    expect(said(second)).toEqual(REQUEST(1));
    first.send(ANSWER(1), ANSWER(3));
    expect(first.stream.ended).toBe(true);
    second.send(ANSWER(1));
    expect(rig.ended).toEqual(['reply 7', 'reply 7', 'reply 7']);
  });

  test('in two steps', async () => {
    const rig = start();
    rig.call();
    const first = await rig.connect();
    first.send(goaway(0x7fffffff, 0));
    expect(first.stream.ended).toBe(false);
    rig.call();
    const second = await rig.connect();
    first.send(goaway(1, 0), ANSWER(1));
    expect(first.stream.ended).toBe(true);
    second.send(ANSWER(1));
    expect(rig.ended).toEqual(['reply 7', 'reply 7']);
  });

  test('says why calls were lost', async () => {
    const rig = start();
    rig.call();
    const peer = await rig.connect();
    peer.send(goaway(1, 11, 'too_many_pings'));
    peer.stream.destroy();
    expect(rig.ended).toEqual([
      '14 closing transport due to: received prior goaway: code: ENHANCE_YOUR_CALM, debug data: "too_many_pings"',
    ]);
  });

  test('a server that always says it is left in the end', async () => {
    const rig = start();
    rig.call();
    for (let i = 0; i < 6; i++) (await rig.connect()).send(goaway(0, 0));
    await rig.settle();
    expect(rig.ended).toHaveLength(1);
    expect(rig.ended[0]).toMatch(/^14 .*goaway.*\(unprocessed\)$/);
  });
});

describe('deadlines and cancelling', () => {
  test('the time that is left travels along', async () => {
    const rig = start();
    rig.call({ timeoutMs: 1_500 });
    rig.time.advance(0);
    const peer = await rig.connect();
    const [head] = said(peer);
    expect(head).toMatch(/grpc-timeout=1500000u$/);
    rig.time.advance(1_490);
    expect(rig.ended).toEqual([]);
    rig.time.advance(30);
    expect(rig.ended).toEqual(['4 context deadline exceeded']);
    expect(said(peer)).toEqual(['RST_STREAM 1 CANCEL']);
    // Too late: ignored.
    peer.send(ANSWER(1));
    expect(rig.ended).toHaveLength(1);
  });

  test('while it waits for a connection', async () => {
    const rig = start();
    rig.failures.push('refused');
    const call = rig.call({ waitForReady: true });
    rig.call({ waitForReady: true, timeoutMs: 100 });
    await rig.settle();
    rig.time.advance(120);
    call.cancel();
    expect(rig.ended).toEqual([
      expect.stringMatching(/^4 latest balancer error: .*refused.* \(unprocessed\)$/),
      '1 context canceled (unprocessed)',
    ]);
    rig.time.advance(5_000);
    await rig.settle();
    expect(rig.peers).toEqual([]);
  });
});

describe('connecting', () => {
  test('waits longer after each failure, up to a bound, and begins anew after a success', async () => {
    const waits: number[] = [];
    const rig = start({
      limits: { backoffMsMin: 100, backoffMsMax: 1_000, backoffFactor: 2, backoffJitter: 0.2 },
    });
    rig.failures.push(...new Array<string>(8).fill('refused'));
    rig.call({ waitForReady: true });
    await rig.settle();
    while (rig.failures.length > 0) {
      const before = rig.failures.length;
      const startMs = rig.time.nowMs;
      while (rig.failures.length === before && rig.peers.length === 0) {
        rig.time.advance(5);
        await rig.settle();
      }
      waits.push(rig.time.nowMs - startMs);
    }
    for (const [i, wait] of waits.entries()) {
      const base = Math.min(100 * 2 ** i, 1_000);
      expect(wait).toBeGreaterThanOrEqual(base * 0.8 - 5);
      expect(wait).toBeLessThanOrEqual(base * 1.2 + 5);
    }
    rig.time.advance(1_300);
    const peer = await rig.connect();
    peer.send(ANSWER(1));
    expect(rig.ended).toEqual(['reply 7']);
  });

  test('a call that does not wait fails when every endpoint has refused', async () => {
    const rig = start();
    rig.failures.push('no route');
    rig.call();
    await rig.settle();
    expect(rig.ended).toEqual([
      '14 connection error: desc = "transport: Error while dialing: no route" (unprocessed)',
    ]);
  });

  test('too many calls that wait', async () => {
    const rig = start({ limits: { waitingCallsMax: 2 } });
    for (let i = 0; i < 3; i++) rig.call();
    await rig.settle();
    expect(rig.ended).toEqual(['8 too many calls wait for a connection (unprocessed)']);
  });
});

describe('keepalive', () => {
  const keepalive = { intervalMs: 10_000, timeoutMs: 3_000 };

  test('a silent server is asked, and left when it does not answer', async () => {
    const rig = start({ keepalive });
    rig.call();
    const peer = await rig.connect();
    said(peer);
    rig.time.advance(12_000);
    const ping = peer.frames().find((one) => one.type === FRAME.PING)!;
    peer.send(frame(FRAME.PING, FLAG.ACK, 0, ping.payload));
    rig.time.advance(8_000);
    expect(peer.stream.destroyed).toBe(false);
    rig.time.advance(10_000);
    expect(peer.stream.destroyed).toBe(true);
    expect(rig.ended).toEqual(['14 keepalive ping failed to receive ACK within timeout']);
  });

  test('an idle connection is left alone, unless told otherwise', async () => {
    for (const permitWithoutStream of [false, true]) {
      const rig = start({ keepalive: { ...keepalive, permitWithoutStream } });
      rig.call();
      const peer = await rig.connect();
      peer.send(ANSWER(1));
      said(peer);
      rig.time.advance(12_000);
      expect(said(peer)).toEqual(permitWithoutStream ? ['PING'] : []);
    }
  });
});

describe('flow control', () => {
  test('a request waits for the window', async () => {
    const rig = start();
    const peer = await (async () => {
      rig.channel.unary('/a.B/C', BYTES_ENCODER, new Uint8Array(100), {
        onReply: (reply) => rig.ended.push(`reply ${[...reply]}`),
        onFailure: () => {},
      });
      await rig.settle();
      const first = rig.peers[0]!;
      first.stream.written = [join(...first.stream.written).slice(24)];
      return first.send(settings([4, 40]));
    })();
    expect(said(peer).slice(1)).toEqual(['DATA 1 40']);
    peer.send(windowUpdate(1, 100));
    expect(said(peer)).toEqual(['DATA 1 65 end']);
    peer.send(ANSWER(1));
    expect(rig.ended).toEqual(['reply 7']);
  });

  test('a paused reader closes the window; a resumed one opens it', async () => {
    const rig = start({ limits: { streamWindowBytes: 30_000 } });
    const seen: number[] = [];
    const call = rig.channel.stream('/a.B/C', {
      onMessage: (bytes) => seen.push(bytes.length),
      onStatus: (status) => seen.push(-status.code),
      onDrain: () => {},
    });
    call.pause();
    call.end();
    const peer = await rig.connect();
    said(peer);
    peer.send(headers(1, HEAD), data(1, message(new Uint8Array(9_995)), 0));
    peer.send(data(1, message(new Uint8Array(9_995)), 0));
    expect(seen).toEqual([]);
    expect(said(peer)).toEqual([]);
    call.resume();
    rig.time.settle();
    expect(seen).toEqual([9_995, 9_995]);
    expect(said(peer)).toEqual(['WINDOW_UPDATE 1 20000']);
    call.pause();
    peer.send(data(1, message([1]), 0), OK(1));
    expect(seen).toHaveLength(2);
    call.resume();
    expect(seen).toEqual([9_995, 9_995, 1, -0]);
  });
});

test('seeded fuzz: a broken server never breaks the client', async () => {
  const seed = Number(process.env['TETCD_SEED'] ?? Date.now() % 1_000_000);
  const random = seededRandom(seed);
  const good = join(
    headers(1, HEAD),
    data(1, message([7]), 0),
    windowUpdate(1, 5),
    settings([1, 100], [3, 5], [4, 70_000]),
    frame(FRAME.PING, 0, 0, new Uint8Array(8)),
    frame(FRAME.CONTINUATION, 4, 3, block(HEAD)),
    OK(1),
    ANSWER(3),
  );
  for (let round = 0; round < 1_500; round++) {
    const rig = start();
    rig.call();
    rig.call();
    const peer = await rig.connect();
    const bytes = Uint8Array.from(good);
    for (let n = 1 + random.below(4); n > 0; n--)
      bytes[random.below(bytes.length)] = random.below(256);
    for (let at = 0; at < bytes.length; ) {
      const next = at + 1 + random.below(40);
      try {
        peer.send(bytes.slice(at, next));
      } catch (error) {
        throw new Error(`TETCD_SEED=${seed} round ${round}`, { cause: error });
      }
      at = next;
    }
    // A byte may have made a GOAWAY, and then a call that was not begun is on its way to another
    // connection. Every connection dies, whenever it was made.
    for (const { stream } of rig.peers) {
      stream.destroy();
      await rig.settle();
    }
    expect(rig.ended.length, `TETCD_SEED=${seed} round ${round}`).toBe(2);
  }
});
