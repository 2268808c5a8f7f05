import { expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { FakeStream } from '../testing/raw-peer.fixture.ts';
import { outputBuffers } from './buffer-pool.ts';
import { Output, SlabPool } from './output.ts';

test.each([1, 2, 3, 4, 5, 6, 7, 8])('copied and passed bytes leave in order, seed %i', (seed) => {
  const random = seededRandom(seed);
  const stream = new FakeStream();
  const output = new Output(stream, new SlabPool());
  const expected: Uint8Array[] = [];
  for (let step = 0; step < 300; step++) {
    const bytes = Buffer.alloc(random.below(20_000), step);
    const start = random.below(bytes.length + 1);
    const end = start + random.below(bytes.length - start + 1);
    const kind = random.below(8);
    if (kind === 0) output.flush();
    else if (kind < 4) output.pass(bytes, start, end);
    else {
      output.reserve(end - start);
      output.copy(bytes, start, end);
    }
    if (kind !== 0) expected.push(bytes.subarray(start, end));
    const handed = stream.written.reduce((sum, piece) => sum + piece.length, 0);
    expect(output.handedBytes).toBe(handed);
    const all = expected.reduce((sum, piece) => sum + piece.length, 0);
    expect(output.pendingBytes).toBe(all - handed);
  }
  output.flush();
  expect(Buffer.concat(stream.written).equals(Buffer.concat(expected))).toBe(true);
  expect(output.pendingBytes).toBe(0);
});

test('memory that the stream has released is used again, and no other', () => {
  const random = seededRandom(1);
  const pool = new SlabPool();
  const buffers = new Set<ArrayBufferLike>();
  const streams = [true, false].map((releases) => {
    const taken: Uint8Array[] = [];
    const stream = new FakeStream();
    stream.write = (piece) => {
      if (releases) buffers.add(piece.buffer);
      taken.push(releases ? Uint8Array.from(piece) : piece);
      return true;
    };
    const released = Object.assign(stream, { hasReleased: releases });
    return { output: new Output(released, pool), taken, expected: [] as Uint8Array[] };
  });
  for (let step = 0; step < 4000; step++) {
    const { output, expected } = streams[random.below(20) === 0 ? 1 : 0]!;
    const bytes = Buffer.alloc(1 + random.below(600), step);
    output.reserve(bytes.length);
    output.copy(bytes, 0, bytes.length);
    expected.push(bytes);
    if (random.below(3) === 0) output.flush();
  }
  for (const { output, taken, expected } of streams) {
    output.flush();
    expect(Buffer.concat(taken).equals(Buffer.concat(expected))).toBe(true);
  }
  expect(buffers.size).toBeLessThan(12);
});

test('what is passed is written from where it is, and a full stream is noticed', () => {
  const stream = new FakeStream();
  const passed: Uint8Array[] = [];
  stream.writeAll = (pieces) => {
    passed.push(...pieces);
    return false;
  };
  const output = new Output(stream, new SlabPool());
  const bytes = Buffer.alloc(100_000, 7);
  output.reserve(1);
  output.copy(bytes, 0, 1);
  output.pass(bytes, 10, 90_000);
  expect(passed.map((piece) => piece.length)).toEqual([1, 89_990]);
  expect(passed[1]!.buffer).toBe(bytes.buffer);
  expect(output.writable).toBe(false);
});

/** Refers to what it is given until {@link drain}. */
class HoldingStream extends FakeStream {
  readonly taken: Uint8Array[] = [];
  readonly expected: Uint8Array[] = [];
  readonly output: Output = new Output(this, new SlabPool());
  #held: Uint8Array[] = [];

  get hasReleased(): boolean {
    return this.#held.length === 0;
  }

  override write(piece: Uint8Array): boolean {
    this.#held.push(piece);
    return true;
  }

  override writeAll(pieces: readonly Uint8Array[]): boolean {
    this.#held.push(...pieces);
    return true;
  }

  drain(): void {
    for (const piece of this.#held) this.taken.push(Uint8Array.from(piece));
    this.#held = [];
    this.output.reclaim();
  }
}

test.each([1, 2, 3])('a pooled buffer is used again once it is released, seed %i', (seed) => {
  const random = seededRandom(seed);
  const streams = [new HoldingStream(), new HoldingStream(), new HoldingStream()];
  const buffers = new Set<ArrayBufferLike>();
  const payloads = 1500;
  for (let step = 0; step < payloads; step++) {
    const at = random.below(streams.length);
    const stream = streams[at]!;
    const { output } = stream;
    const bytes = outputBuffers.take(4096 + random.below(30_000)).subarray(0, 4096);
    buffers.add(bytes.buffer);
    bytes.fill(1 + random.below(255));
    stream.expected.push(Uint8Array.from(bytes));
    const cut = random.below(bytes.length);
    output.pass(bytes, 0, cut);
    if (random.below(3) === 0) output.flush();
    if (random.below(4) === 0) stream.drain();
    if (random.below(2) === 0) output.pass(bytes, cut, bytes.length);
    else {
      output.reserve(bytes.length - cut);
      output.copy(bytes, cut, bytes.length);
    }
    output.lend(bytes);
    if (random.below(3) === 0) output.flush();
    // The last stream is slow.
    if (random.below(at === 2 ? 100 : 4) === 0) stream.drain();
  }
  for (const stream of streams) {
    stream.output.flush();
    stream.drain();
    expect(Buffer.concat(stream.taken).equals(Buffer.concat(stream.expected))).toBe(true);
  }
  expect(buffers.size).toBeLessThan(payloads / 3);
});

test('what is written in a turn is one write, whatever slabs others have given back', () => {
  const pool = new SlabPool();
  const connection = () => {
    const stream = Object.assign(new FakeStream(), { hasReleased: true });
    return { stream, output: new Output(stream, pool) };
  };
  const little = Array.from({ length: 20 }, connection);
  const much = Array.from({ length: 5 }, connection);
  const write = ({ output }: ReturnType<typeof connection>, count: number, coming: number) => {
    for (let left = count; left > 0; left -= 350) {
      output.reserve(350, coming);
      output.at += 350;
    }
  };
  for (let turn = 0; turn < 10; turn++) {
    for (const one of little) write(one, 1, 350);
    // The first time it is not known how much will come, unless it is said.
    for (const one of much) write(one, 35_000, turn === 0 ? 35_000 : 350);
    for (const { output } of [...little, ...much]) output.flush();
    for (const { stream } of [...little, ...much]) expect(stream.writes).toBe(turn + 1);
  }
});

test('the little that a slab holds when it is left is written with what follows', () => {
  const stream = new FakeStream();
  const writes: number[][] = [];
  stream.write = (piece) => {
    writes.push([piece.length]);
    return true;
  };
  stream.writeAll = (pieces) => {
    writes.push(pieces.map(({ length }) => length));
    return true;
  };
  const output = new Output(stream, new SlabPool());
  const bytes = Buffer.alloc(60_000, 7);
  for (const length of [11, 60_000, 5_000, 9_000]) {
    output.reserve(length);
    output.copy(bytes, 0, length);
  }
  output.flush();
  // What follows 60,000 bytes does not wait for more.
  expect(writes).toEqual([[11, 65_000], [9_000]]);
});
