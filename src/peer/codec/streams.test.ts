import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TetcdError } from '../../base/index.ts';
import { raftpb } from '../../protocol/index.ts';
import { FRAME_BYTES_MAX } from '../limits.ts';
import { AppendStreamDecoder, AppendStreamEncoder } from './append-stream.ts';
import { checkMessage } from './check-message.ts';
import type { FrameDecoder, FrameEncoder, OnMessage } from './frame-codec.ts';
import { MessageStreamDecoder, MessageStreamEncoder } from './message-stream.ts';

const { MessageType } = raftpb;
const END = 2 ** 52;
const ENDS = { local: 2n, remote: 1n };

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

function encoded(encoder: FrameEncoder, messages: readonly raftpb.Message[]): Uint8Array {
  const frames = messages.map((message) => {
    const bytes = new Uint8Array(encoder.size(message));
    expect(encoder.write(message, bytes, 0)).toBe(bytes.length);
    return bytes;
  });
  const heartbeat = new Uint8Array(encoder.heartbeatSize);
  encoder.writeHeartbeat(heartbeat, 0);
  return Buffer.concat([...frames, heartbeat]);
}

const appendDecoder = (onMessage: OnMessage): FrameDecoder =>
  new AppendStreamDecoder(ENDS, onMessage);
const messageDecoder = (onMessage: OnMessage): FrameDecoder => new MessageStreamDecoder(onMessage);

function decoded(
  newDecoder: (onMessage: OnMessage) => FrameDecoder,
  pieces: Iterable<Uint8Array>,
): raftpb.Message[] {
  const messages: raftpb.Message[] = [];
  const decoder = newDecoder((message) => messages.push(message));
  for (const piece of pieces) decoder.feed(new Uint8Array(piece));
  return messages;
}

function* cut(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

function append(index: number, term: number, logTerm: number, sizes: readonly number[]) {
  return raftpb.MessageCodec.create({
    type: MessageType.MsgApp,
    from: 1n,
    to: 2n,
    term,
    logTerm,
    index,
    commit: index,
    entries: sizes.map((size, i) =>
      raftpb.EntryCodec.create({ term, index: index + 1 + i, data: new Uint8Array(size).fill(i) }),
    ),
  });
}

/** A whole append first, then short ones, an empty one, a change of term, and a step back. */
const APPENDS = [
  append(5, 1, 1, [1]),
  append(6, 1, 1, [10, 0, 300]),
  append(9, 1, 1, []),
  append(9, 2, 1, [4]),
  append(10, 2, 2, [2, 2]),
  append(7, 2, 1, [1]),
];

const MESSAGES = [
  raftpb.MessageCodec.create({ type: MessageType.MsgHeartbeat, from: 1n, to: 2n, term: 3 }),
  raftpb.MessageCodec.create({
    type: MessageType.MsgProp,
    from: 1n,
    to: 2n,
    entries: [raftpb.EntryCodec.create({ data: new Uint8Array(700).fill(7) })],
  }),
  raftpb.MessageCodec.create({ type: MessageType.MsgAppResp, from: 1n, to: 2n, index: 9 }),
];

describe('worked examples', () => {
  test('of the message stream', () => {
    const message = raftpb.MessageCodec.create({
      type: MessageType.MsgHeartbeatResp,
      from: 2n,
      to: 1n,
      term: 3,
    });
    const bytes = hex('00 00 00 00 00 00 00 08  08 09 10 01 18 02 20 03');
    const beat = hex('00 00 00 00 00 00 00 02  08 08');
    expect(encoded(new MessageStreamEncoder(), [message])).toEqual(Buffer.concat([bytes, beat]));
    expect(decoded(messageDecoder, [bytes, beat])).toEqual([message]);
  });

  test('of the append stream', () => {
    const entry = raftpb.EntryCodec.create({ term: 1, index: 6, data: hex('61') });
    const message = { ...append(5, 1, 1, []), entries: [entry] };
    const encoder = new AppendStreamEncoder();
    encoder.write(append(4, 1, 1, [1]), new Uint8Array(100), 0);
    const bytes = new Uint8Array(encoder.size(message));
    encoder.write(message, bytes, 0);
    expect(bytes).toEqual(
      hex(
        '01 00 00 00 00 00 00 00 01  00 00 00 00 00 00 00 07' +
          '10 01 18 06 22 01 61  00 00 00 00 00 00 00 05',
      ),
    );
  });

  test('a link heartbeat of an older member has zero fields', () => {
    const older = hex('08 08 10 00 18 00 20 00 28 00 30 00 40 00 4a 04 0a 00 12 00 50 00 58 00');
    const length = new Uint8Array(8);
    length[7] = older.length;
    expect(decoded(messageDecoder, [length, older])).toEqual([]);
  });
});

for (const [name, newEncoder, newDecoder, messages] of [
  ['append', () => new AppendStreamEncoder(), appendDecoder, APPENDS],
  ['message', () => new MessageStreamEncoder(), messageDecoder, MESSAGES],
] as const) {
  describe(`the ${name} stream`, () => {
    const bytes = encoded(newEncoder(), messages);

    test('is read whole, byte by byte, and in any pieces', () => {
      expect(decoded(newDecoder, [bytes])).toEqual(messages);
      expect(decoded(newDecoder, cut(bytes, [1]))).toEqual(messages);
      fc.assert(
        fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sizes) => {
          expect(decoded(newDecoder, cut(bytes, sizes))).toEqual(messages);
        }),
      );
    });

    test('cut anywhere yields the messages before the cut', () => {
      let complete = 0;
      for (let end = 0; end <= bytes.length; end++) {
        const before = decoded(newDecoder, [bytes.subarray(0, end)]);
        expect(before).toEqual(messages.slice(0, before.length));
        expect(before.length).toBeGreaterThanOrEqual(complete);
        complete = before.length;
      }
      expect(complete).toBe(messages.length);
    });

    test('with any byte changed is refused or read, never worse', () => {
      for (let at = 0; at < bytes.length; at++) {
        for (const mask of [0x01, 0x80, 0xff]) {
          const wrong = Uint8Array.from(bytes);
          wrong[at]! ^= mask;
          try {
            decoded(newDecoder, [wrong]);
          } catch (error) {
            expect(error).toBeInstanceOf(TetcdError);
          }
        }
      }
    });

    test('random bytes are refused or wait for more', () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
          try {
            decoded(newDecoder, [noise]);
          } catch (error) {
            expect(error).toBeInstanceOf(TetcdError);
          }
        }),
      );
    });
  });
}

describe('hostile frames', () => {
  test('an enormous length is refused before any memory is taken', () => {
    const tooLong = (FRAME_BYTES_MAX + 1).toString(16).padStart(16, '0');
    expect(() => decoded(messageDecoder, [hex(tooLong)])).toThrow(/exceed the limit/);
    expect(() => decoded(messageDecoder, [hex('ff'.repeat(8))])).toThrow(/above 2\^53-1/);
    expect(() => decoded(appendDecoder, [hex(`02${tooLong}`)])).toThrow(/exceed the limit/);
    expect(() => decoded(appendDecoder, [hex(`01${'0'.repeat(15)}1${tooLong}`)])).toThrow(
      /exceed the limit/,
    );
    expect(() => decoded(appendDecoder, [hex(`01${tooLong}`)])).toThrow(/exceeds the limit/);
  });

  test('a long frame takes memory as it arrives', () => {
    const decoder = messageDecoder(() => {});
    const before = process.memoryUsage().arrayBuffers;
    decoder.feed(hex(FRAME_BYTES_MAX.toString(16).padStart(16, '0')));
    decoder.feed(new Uint8Array(10));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 << 20);
  });

  test('appends with gaps and messages that stay at home are refused', () => {
    const gap = append(5, 1, 1, [1, 1]);
    gap.entries[1]!.index = 9;
    const frame = (message: raftpb.Message): Uint8Array => {
      const encoder = new MessageStreamEncoder();
      const bytes = new Uint8Array(encoder.size(message));
      encoder.write(message, bytes, 0);
      return bytes;
    };
    expect(() => decoded(messageDecoder, [frame(gap)])).toThrow(/gaps/);
    const hup = raftpb.MessageCodec.create({ type: MessageType.MsgHup, from: 1n, to: 2n });
    expect(() => decoded(messageDecoder, [frame(hup)])).toThrow(/never sent/);
    expect(() => decoded(appendDecoder, [hex('03')])).toThrow(/unknown kind 3/);
  });

  test.each([
    ['term', { term: END }],
    ['log term', { logTerm: END }],
    ['index', { index: END }],
    ['commit', { commit: Number.MAX_SAFE_INTEGER }],
    ['reject hint', { rejectHint: END }],
    ['term of an entry', { entries: [raftpb.EntryCodec.create({ term: END, index: 1 })] }],
    ['index of an entry', { entries: [raftpb.EntryCodec.create({ term: 1, index: END })] }],
    ['term of a snapshot', { snapshot: snapshotAt({ term: END, index: 1 }) }],
    ['index of a snapshot', { snapshot: snapshotAt({ term: 1, index: END }) }],
  ])('a %s that leaves no room for what follows it is refused', (what, fields) => {
    const type = 'entries' in fields ? MessageType.MsgProp : MessageType.MsgHeartbeat;
    const message = raftpb.MessageCodec.create({ type, from: 1n, to: 2n, ...fields });
    expect(() => checkMessage(message)).toThrow(`the ${what} is`);
  });

  test('the largest numbers below the bound pass', () => {
    const most = END - 1;
    const message = raftpb.MessageCodec.create({
      type: MessageType.MsgHeartbeat,
      term: most,
      logTerm: most,
      commit: most,
    });
    expect(() => checkMessage({ ...message, index: most, rejectHint: most })).not.toThrow();
  });

  test('an append stream whose index has grown beyond the bound is refused', () => {
    const encoder = new AppendStreamEncoder();
    const near = [
      append(END - 3, 1, 1, [1]),
      append(END - 2, 1, 1, [1]),
      append(END - 1, 1, 1, [1]),
    ];
    const messages: raftpb.Message[] = [];
    const decoder = new AppendStreamDecoder(ENDS, (message) => messages.push(message));
    expect(() => decoder.feed(new Uint8Array(encoded(encoder, near)))).toThrow('not below 2^52');
    expect(messages.map(({ index }) => index)).toEqual([END - 3, END - 2]);
  });
});

function snapshotAt({ index, term }: { readonly index: number; readonly term: number }) {
  return raftpb.SnapshotCodec.create({
    metadata: raftpb.SnapshotMetadataCodec.create({ index, term }),
  });
}
