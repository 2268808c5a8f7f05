import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32c, latin1FromBytes } from '../base/index.ts';
import { raftpb, walpb } from '../protocol/index.ts';
import { FrameBuffer } from './frame-buffer.ts';
import { RECORD_TYPES } from './record-types.ts';

/** The format, spelled out with the general codecs. */
function plainFrame(crcBefore: number, type: number, data: Uint8Array): Uint8Array {
  const crc = crc32c(crcBefore, data);
  const record = walpb.RecordCodec.encode({ type, crc, data });
  const padding = (8 - (record.length % 8)) % 8;
  const frame = new Uint8Array(8 + record.length + padding);
  let word = BigInt(record.length);
  if (padding > 0) word |= BigInt(0x80 | padding) << 56n;
  new DataView(frame.buffer).setBigUint64(0, word, true);
  frame.set(record, 8);
  return frame;
}

const count = fc.oneof(fc.nat(300), fc.maxSafeNat());
const entries = fc.record({
  type: fc.constantFrom(0, 1, 2),
  term: count,
  index: count,
  data: fc.oneof(
    fc.uint8Array({ maxLength: 70 }),
    fc.uint8Array({ minLength: 100, maxLength: 9000 }),
  ),
});
const states = fc.record({ term: count, vote: fc.bigInt(0n, 2n ** 64n - 1n), commit: count });

test('frames are what the general codecs make', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 32 - 1), fc.array(fc.oneof(entries, states)), (seed, messages) => {
      const frames = new FrameBuffer(seed);
      const expected: Uint8Array[] = [];
      let crc = seed;
      for (const message of messages) {
        let data: Uint8Array;
        if ('vote' in message) {
          frames.hardState(message);
          data = raftpb.HardStateCodec.encode(message);
          expected.push(plainFrame(crc, RECORD_TYPES.STATE, data));
        } else {
          frames.entry(message);
          data = raftpb.EntryCodec.encode(message);
          expected.push(plainFrame(crc, RECORD_TYPES.ENTRY, data));
        }
        crc = crc32c(crc, data);
      }
      const all = Buffer.concat(expected);
      expect(Buffer.compare(frames.bytes.subarray(0, frames.length), all)).toBe(0);
      expect(frames.crc).toBe(crc);
    }),
  );
});

test('a large record grows the buffer, and clearing gives it back', () => {
  const frames = new FrameBuffer(0);
  const size = frames.bytes.length;
  frames.record(RECORD_TYPES.METADATA, new Uint8Array(10).fill(7));
  const before = latin1FromBytes(frames.bytes, 0, frames.length);
  frames.entry({ type: 0, term: 1, index: 1, data: new Uint8Array(20_000_000).fill(1) });
  expect(latin1FromBytes(frames.bytes, 0, before.length)).toBe(before);
  expect(frames.length % 8).toBe(0);
  frames.clear();
  expect(frames.bytes.length).toBe(size);
  expect(frames.length).toBe(0);
});
