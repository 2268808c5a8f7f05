// Watchers of one stream that get the same: responses made as copies of one are those made one by one.

import { expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { createSimEnv } from '../../env/sim/index.ts';
import type { Encoder, StreamHandler } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { StreamCall } from '../../rpc/index.ts';
import type { Member } from '../member.ts';
import { openerOf, SimMember } from '../testing/sim-member.fixture.ts';

const WATCH = etcdserverpb.WatchService.methods.watch.path;
const { WatchRequestCodec, WatchCreateRequestCodec, WatchResponseCodec } = etcdserverpb;

/** Ids of every length that they have on the wire, and neighbours of where it changes. */
const IDS = [
  ...[1n, 2n, 126n, 127n, 128n, 129n, 16_383n, 16_384n, 16_385n],
  ...[21n, 28n, 35n, 42n, 49n, 56n].flatMap((bits) => [
    2n ** bits - 1n,
    2n ** bits,
    2n ** bits + 1n,
  ]),
  ...[2n ** 63n - 2n, 2n ** 63n - 1n, -1n, -2n, -(2n ** 63n)],
];

class Opened {
  readonly handler: StreamHandler;
  readonly written: Uint8Array[] = [];
  /** Messages that went in runs. */
  inRuns = 0;
  /** Messages that went in parts. */
  inParts = 0;
  /** Messages that are taken before the stream is full. */
  room = Number.POSITIVE_INFINITY;

  /** At most so many messages of a run go as one. */
  constructor(member: Member, runMax: number) {
    const call = {
      metadata: new Map(),
      hasRoom: true,
      write: <T>(encoder: Encoder<T>, message: T) => {
        this.written.push(encoded(encoder, message));
        return --this.room > 0;
      },
      writeRun: <T>(encoder: Encoder<T>, message: T, at: number, fields: readonly Uint8Array[]) => {
        expect(new Set(fields.map(({ length }) => length)).size).toBe(1);
        const sent = Math.min(fields.length, runMax, this.room - 1);
        const first = encoded(encoder, message);
        expect(first.subarray(at, at + fields[0]!.length)).toEqual(fields[0]);
        for (const field of fields.slice(0, sent)) {
          const bytes = Uint8Array.from(first);
          bytes.set(field, at);
          this.written.push(bytes);
        }
        this.room -= sent;
        this.inRuns += sent;
        return sent;
      },
      writeParts: (head: Uint8Array, body: Uint8Array) => {
        this.written.push(Buffer.concat([head, body]));
        this.inParts++;
        return --this.room > 0;
      },
      pause: () => {},
      resume: () => {},
    };
    this.handler = openerOf(member, WATCH)(call as unknown as StreamCall);
  }

  create(watchId: bigint, changes: Partial<etcdserverpb.WatchCreateRequest> = {}): void {
    const key = bytesFromLatin1('a');
    const rangeEnd = bytesFromLatin1('b');
    const value = WatchCreateRequestCodec.create({ key, rangeEnd, watchId, ...changes });
    this.handler.onMessage(
      WatchRequestCodec.encode({ requestUnion: { case: 'createRequest', value } }),
    );
  }

  /** What was written since the last time, responses without events aside. */
  take(): Uint8Array[] {
    const taken = this.written.splice(0);
    return taken.filter((bytes) => WatchResponseCodec.decode(bytes).events.length > 0);
  }
}

function encoded<T>(encoder: Encoder<T>, message: T): Uint8Array {
  const bytes = new Uint8Array(encoder.size(message));
  expect(encoder.write(message, bytes, 0)).toBe(bytes.length);
  return bytes;
}

async function withMember(body: (sim: SimMember) => Promise<void>): Promise<void> {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const sim = await SimMember.start(env);
    await body(sim);
    await sim.stop();
  });
}

test.each([Number.POSITIVE_INFINITY, 1, 2])('ids of every length, %s of a run at once', (runMax) =>
  withMember(async (sim) => {
    const plain = new Opened(sim.member, 0);
    const inRuns = new Opened(sim.member, runMax);
    // One after the other, so that the streams' watchers stand mixed in their group.
    for (const [i, id] of [0n, ...IDS, 0n, 0n].entries()) {
      const changes = { prevKv: i % 5 === 0, fragment: i % 3 === 0 };
      for (const stream of [plain, inRuns]) stream.create(id, changes);
    }
    const ids = new Set([0n, ...IDS, 3n, 4n]);
    await sim.put('a1', 'x');
    await sim.txn([
      { key: 'a1', value: undefined },
      { key: 'a2', value: 'y'.repeat(300) },
      { key: 'c', value: '' },
    ]);
    await sim.put('a3', 'z'.repeat(5000));
    const sent = plain.take();
    expect(inRuns.take().map((bytes) => Buffer.from(bytes))).toEqual(
      sent.map((bytes) => Buffer.from(bytes)),
    );
    const responses = sent.map((bytes) => WatchResponseCodec.decode(bytes));
    expect(responses).toHaveLength(3 * ids.size);
    expect(plain.inParts).toBe(ids.size);
    expect(new Set(responses.map(({ watchId }) => watchId)).size).toBe(ids.size);
    expect(plain.inRuns).toBe(0);
    expect(inRuns.inRuns).toBeGreaterThan(runMax === 1 ? 10 : 20);
    const { mvcc } = sim.member.parts.metrics;
    expect(mvcc.events.value).toBe(4 * 2 * ids.size);
  }),
);

test('a stream that becomes full within a run gets the rest later, in order and once', () =>
  withMember(async (sim) => {
    const stream = new Opened(sim.member, 7);
    for (let i = 0; i < 40; i++) stream.create(0n);
    stream.written.length = 0;
    const seen = new Map<bigint, string[]>();
    const note = () => {
      for (const bytes of stream.take()) {
        const { watchId, events } = WatchResponseCodec.decode(bytes);
        const values = events.map(({ kv }) => Buffer.from(kv!.value).toString());
        seen.set(watchId, [...(seen.get(watchId) ?? []), ...values]);
      }
    };
    for (let i = 0; i < 10; i++) {
      stream.room = 1 + ((i * 13) % 60);
      stream.handler.onDrain();
      await sim.put('a', String(i));
      note();
    }
    stream.room = Number.POSITIVE_INFINITY;
    stream.handler.onDrain();
    const { watch } = sim.member.parts.store.machine;
    while (watch.hub.unsyncedCount > 0) await sim.env.timers.nextTurn();
    note();
    const all = Array.from({ length: 10 }, (_, i) => String(i));
    expect([...seen.keys()].sort((a, b) => Number(a - b))).toEqual(
      Array.from({ length: 40 }, (_, i) => BigInt(i)),
    );
    for (const values of seen.values()) expect(values).toEqual(all);
    expect(stream.inRuns).toBeGreaterThan(0);
  }));
