// Frames come out the same however the bytes come in.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { ConnectionError } from './protocol.ts';

function collect(): FrameSink & { readonly seen: string[] } {
  const seen: string[] = [];
  return {
    seen,
    closed: false,
    hasEnough: false,
    onFrame: (type, flags, id, bytes, start, end) => {
      seen.push(`${type} ${flags} ${id} ${Buffer.from(bytes.slice(start, end)).toString('hex')}`);
    },
  };
}

const frame = fc
  .tuple(fc.nat(255), fc.nat(255), fc.nat(2 ** 31 - 1), fc.uint8Array({ maxLength: 40 }))
  .map(([type, flags, id, payload]) => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(id, 5);
    return Buffer.concat([head, payload]);
  });

test('whole, byte by byte and cut anywhere', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 20 }),
      fc.array(fc.nat(60), { minLength: 1, maxLength: 30 }),
      (frames, cuts) => {
        const bytes = Buffer.concat(frames);
        const whole = collect();
        new FrameReader().push(bytes, 0, whole);
        expect(whole.seen).toHaveLength(frames.length);
        const cut = collect();
        const reader = new FrameReader();
        let at = 0;
        for (let i = 0; at < bytes.length; i++) {
          const next = Math.min(bytes.length, at + 1 + cuts[i % cuts.length]!);
          // A chunk that is overwritten afterwards, as a socket's may be.
          const chunk = Buffer.from(bytes.subarray(at, next));
          reader.push(chunk, 0, cut);
          chunk.fill(0xee);
          at = next;
        }
        expect(cut.seen).toEqual(whole.seen);
        expect(reader.partial).toBe(false);
      },
    ),
  );
});

test('in turns, whatever a sink takes of them and whatever comes meanwhile', () => {
  const pieces = fc.array(fc.tuple(fc.nat(60), fc.nat(3)), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 20 }), pieces, (frames, cuts) => {
      const bytes = Buffer.concat(frames);
      const whole = collect();
      new FrameReader().push(bytes, 0, whole);
      const all = collect();
      let left = 0;
      const sink: FrameSink = {
        closed: false,
        get hasEnough() {
          return left === 0;
        },
        onFrame: (...one) => {
          left--;
          all.onFrame(...one);
        },
      };
      const reader = new FrameReader();
      let at = 0;
      for (let i = 0; at < bytes.length; i++) {
        const [size, turn] = cuts[i % cuts.length]!;
        const chunk = Buffer.from(bytes.subarray(at, at + 1 + size));
        left = turn;
        if (reader.hasRest) reader.resume(sink, chunk);
        else reader.push(chunk, 0, sink);
        chunk.fill(0xee);
        at += 1 + size;
      }
      while (reader.hasRest) {
        left = 1;
        reader.resume(sink);
      }
      expect(all.seen).toEqual(whole.seen);
      expect(reader.partial).toBe(false);
    }),
  );
});

test('a frame that is too large is refused as soon as its length is known', () => {
  const head = Uint8Array.of(0, 0x40, 1);
  const reader = new FrameReader();
  reader.push(head, 0, collect());
  expect(() => reader.push(Uint8Array.of(0, 0, 0, 0, 0, 1), 0, collect())).toThrow(ConnectionError);
});

test('nothing is delivered to a sink that has closed', () => {
  let count = 0;
  const sink = {
    closed: false,
    hasEnough: false,
    onFrame: () => {
      count++;
      sink.closed = true;
    },
  };
  new FrameReader().push(new Uint8Array(9 * 5), 0, sink);
  expect(count).toBe(1);
});
