// Pieces of a range stream: together the answer of Range, each of a bounded size, none without room.

import { expect, test } from 'vitest';
import { bytesFromLatin1, latin1FromBytes } from '../../base/index.ts';
import { createSimEnv } from '../../env/sim/index.ts';
import { type Encoder, STATUS, type StreamHandler } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { StreamCall } from '../../rpc/index.ts';
import { openerOf, SimMember, simConfig } from '../testing/sim-member.fixture.ts';

const { RangeRequestCodec, RangeStreamResponseCodec } = etcdserverpb;

const RANGE_STREAM = etcdserverpb.KVService.methods.rangeStream.path;

const SMALL = 400;
const LARGE = 120;
const LARGE_BYTES = 20_000;
const REQUEST_BYTES_MAX = 50_000;
/** What a step may read beyond that. */
const STEP_BYTES_MAX: number = 1024 * 1024;

/** Takes one message, then waits to be told that there is room. */
class TestStream {
  readonly metadata = new Map<string, string>();
  readonly messages: Uint8Array[] = [];
  hasRoom = true;
  status: number | undefined;
  handler!: StreamHandler;

  isWanted(): boolean {
    return this.status === undefined;
  }

  write<T>(encoder: Encoder<T>, message: T): boolean {
    expect(this.hasRoom).toBe(true);
    const bytes = new Uint8Array(encoder.size(message));
    encoder.write(message, bytes, 0);
    this.messages.push(bytes);
    this.hasRoom = false;
    return false;
  }

  drain(): void {
    this.hasRoom = true;
    this.handler.onDrain();
  }

  end(status: number = STATUS.OK): void {
    this.status = status;
  }
}

test.each([0, 1, 10, SMALL + 1, SMALL + LARGE, 1000])('with limit %d', async (limit) => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const config = simConfig();
    const grpc = { ...config.grpc, maxRequestBytes: REQUEST_BYTES_MAX };
    const sim = await SimMember.start(env, { ...config, grpc });
    // Small pairs make the stream ask for many keys at once, then large ones follow.
    const writes = Array.from({ length: SMALL }, (_, i) => ({ key: `a${1000 + i}`, value: 'v' }));
    for (let i = 0; i < SMALL; i += 100) await sim.txn(writes.slice(i, i + 100));
    for (let i = 0; i < LARGE; i++) await sim.put(`b${i}`, 'x'.repeat(LARGE_BYTES));

    const stream = new TestStream();
    stream.handler = openerOf(sim.member, RANGE_STREAM)(stream as unknown as StreamCall);
    const request = RangeRequestCodec.create({
      key: bytesFromLatin1('a'),
      rangeEnd: bytesFromLatin1('c'),
      serializable: true,
      limit,
    });
    stream.handler.onMessage(RangeRequestCodec.encode(request));
    for (let turns = 0; stream.status === undefined; turns++) {
      expect(turns).toBeLessThan(1000);
      const before = stream.messages.length;
      await env.timers.nextTurn();
      if (stream.hasRoom) continue;
      // Without room nothing more is made.
      expect(stream.messages.length - before).toBeLessThanOrEqual(1);
      stream.drain();
    }
    expect(stream.status).toBe(STATUS.OK);
    for (const { length } of stream.messages) {
      expect(length).toBeLessThan(REQUEST_BYTES_MAX + STEP_BYTES_MAX + LARGE_BYTES);
    }
    const pieces = stream.messages.map(
      (bytes) => RangeStreamResponseCodec.decode(bytes).rangeResponse!,
    );
    const keys = pieces.flatMap(({ kvs }) => kvs.map(({ key }) => latin1FromBytes(key)));
    const all = sim.pairs().map(({ key }) => key);
    expect(keys).toEqual(limit === 0 ? all : all.slice(0, limit));
    const last = pieces.at(-1)!;
    expect(last.header?.revision).toBe(sim.revision);
    expect(pieces.slice(0, -1).every(({ header }) => header === undefined)).toBe(true);
    expect([last.count, last.more]).toEqual([all.length, limit > 0 && limit < all.length]);
    // As in etcd each piece counts as a range.
    const { counts } = sim.member.parts.metrics.server.rangeSeconds.with('true');
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(pieces.length);
    await sim.stop();
  });
});
