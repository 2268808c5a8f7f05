// Answers of many rows: the same bytes whether their rows are held or read while they are sent.

import { beforeEach, describe, expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import {
  type Encoder,
  GrpcStatusError,
  type Pieces,
  type RoomWaiter,
  STATUS,
} from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { UnaryCall } from '../../rpc/index.ts';
import { RANGE_WINDOW_BYTES } from '../limits.ts';
import { SimMember, servingOf } from '../testing/sim-member.fixture.ts';

const { KVService, RangeRequestCodec, RangeResponseCodec, TxnRequestCodec, TxnResponseCodec } =
  etcdserverpb;
const { SortOrder, SortTarget } = etcdserverpb;

const ROW_BYTES = 80_000;
const ROWS = 60;
const MINUTE_MS = 60_000;

/** A call whose client is not there: what it would be sent is looked at piece by piece. */
class TestCall {
  readonly metadata = new Map<string, string>();
  ended = false;
  isBehind = false;
  waiter: RoomWaiter | undefined;
  /** Memory that may be held, is held, and was held at most. */
  readonly memoryMax: number;
  memoryBytes = 0;
  memoryMost = 0;
  size = -1;
  pieces: Pieces | undefined;
  whole: Uint8Array | undefined;
  failure: { readonly status: number; readonly message: string } | undefined;

  constructor(memoryMax: number) {
    this.memoryMax = memoryMax;
  }

  isWanted(): boolean {
    return !this.ended;
  }

  mayHold(bytes: number): boolean {
    return this.memoryBytes + bytes <= this.memoryMax;
  }

  holdMemory(bytes: number): void {
    this.memoryBytes += bytes;
    this.memoryMost = Math.max(this.memoryMost, this.memoryBytes);
  }

  whenRoom(waiter: RoomWaiter): void {
    this.waiter = waiter;
  }

  reply<T>(encoder: Encoder<T>, message: T): void {
    this.whole = new Uint8Array(encoder.size(message));
    encoder.write(message, this.whole, 0);
    this.ended = true;
  }

  replyInPieces(size: number, pieces: Pieces): void {
    this.size = size;
    this.pieces = pieces;
  }

  fail(status: number, message: string): void {
    this.failure = { status, message };
    this.ended = true;
  }

  get isAnswered(): boolean {
    return this.ended || this.pieces !== undefined;
  }

  /** All that is sent; each piece is about a window, or one row. */
  take(): Uint8Array {
    if (this.whole !== undefined) return this.whole;
    const all: Uint8Array[] = [];
    let bytes = 0;
    while (bytes < this.size) {
      const { value } = this.pieces!.next();
      expect(value!.length).toBeLessThanOrEqual(RANGE_WINDOW_BYTES + ROW_BYTES + 1000);
      all.push(value!);
      bytes += value!.length;
    }
    this.pieces!.return!();
    expect(bytes).toBe(this.size);
    return Uint8Array.from(Buffer.concat(all));
  }
}

let env: SimEnv;
let sim: SimMember;

beforeEach(() => {
  env = createSimEnv({ seed: 1, autoRun: false });
});

/** Rows of all sizes, in an order of revisions that is not that of the keys. */
async function start(): Promise<void> {
  sim = await SimMember.start(env);
  for (let i = 0; i < ROWS; i++) {
    const number = (i * 37) % ROWS;
    const value = String(number).repeat(ROW_BYTES / 2);
    await sim.put(`k${String(number).padStart(3, '0')}`, value.slice(0, (ROW_BYTES * (i % 5)) / 4));
  }
}

function begin(path: string, request: Uint8Array, memoryMax: number): TestCall {
  const call = new TestCall(memoryMax);
  servingOf(sim.member, path)(call as unknown as UnaryCall, request);
  return call;
}

async function ask(path: string, request: Uint8Array, memoryMax: number): Promise<TestCall> {
  const call = begin(path, request, memoryMax);
  for (let turns = 0; !call.isAnswered; turns++) {
    expect(turns).toBeLessThan(10_000);
    await env.timers.nextTurn();
  }
  return call;
}

const range = (changes: Partial<etcdserverpb.RangeRequest> = {}) =>
  RangeRequestCodec.create({
    key: bytesFromLatin1('k'),
    rangeEnd: bytesFromLatin1('l'),
    serializable: true,
    ...changes,
  });

const RANGE = KVService.methods.range.path;
const TXN = KVService.methods.txn.path;

const ranges: ReadonlyArray<readonly [string, Partial<etcdserverpb.RangeRequest>]> = [
  ['in key order', {}],
  ['up to a limit', { limit: 50 }],
  ['at a revision', { revision: 40 }],
  ['by revision, descending', { sortTarget: SortTarget.MOD, sortOrder: SortOrder.DESCEND }],
  ['by value', { sortTarget: SortTarget.VALUE, sortOrder: SortOrder.ASCEND }],
];

describe('a range', () => {
  test.each(ranges)('%s', async (_, changes) => {
    await env.run(async () => {
      await start();
      const request = RangeRequestCodec.encode(range(changes));
      const held = await ask(RANGE, request, Number.POSITIVE_INFINITY);
      const pulled = await ask(RANGE, request, 0);
      expect(held.memoryMost).toBeGreaterThan(1_000_000);
      if (changes.sortTarget !== SortTarget.VALUE) expect(pulled.memoryMost).toBe(0);
      const bytes = held.take();
      // The header is that of the moment; everything else is compared as bytes.
      expect(Buffer.compare(pulled.take(), bytes)).toBe(0);
      const { kvs, more, count } = RangeResponseCodec.decode(bytes);
      expect(kvs).toHaveLength(changes.limit ?? (changes.revision === 40 ? 39 : ROWS));
      expect([more, count]).toEqual([
        changes.limit !== undefined,
        changes.revision === 40 ? 39 : ROWS,
      ]);
      await sim.stop();
    });
  });

  test('stays as it was while it is sent, whatever is written and compacted', async () => {
    await env.run(async () => {
      await start();
      const request = RangeRequestCodec.encode(range());
      const expected = (await ask(RANGE, request, Number.POSITIVE_INFINITY)).take();
      const call = await ask(RANGE, request, 0);
      const first = call.pieces!.next().value!;
      for (let i = 0; i < ROWS; i += 2) await sim.put(`k${String(i).padStart(3, '0')}`, 'new');
      await sim.delete('k', 'l');
      const { physical } = await sim.compact(sim.revision);
      await env.timers.nextTurn();
      call.size -= first.length;
      const rest = call.take();
      expect(Buffer.compare(Buffer.concat([first, rest]), expected)).toBe(0);
      // Nothing holds back the compaction any more.
      await physical;
      await sim.stop();
    });
  });

  test('fails when its view has been held for too long', async () => {
    await env.run(async () => {
      await start();
      const call = await ask(RANGE, RangeRequestCodec.encode(range()), 0);
      call.pieces!.next();
      await new Promise<void>((resolve) => env.timers.after(11 * MINUTE_MS, resolve));
      let thrown: unknown;
      try {
        // A piece that was read before may still come.
        for (let i = 0; i < 2; i++) call.pieces!.next();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(GrpcStatusError);
      expect((thrown as GrpcStatusError).code).toBe(STATUS.UNAVAILABLE);
      expect((thrown as GrpcStatusError).details).toBe('etcdserver: request timed out');
      await sim.stop();
    });
  });

  test('of a client that is behind is read only when there is room', async () => {
    await env.run(async () => {
      await start();
      const request = RangeRequestCodec.encode(range({ serializable: false }));
      const call = new TestCall(0);
      call.isBehind = true;
      servingOf(sim.member, RANGE)(call as unknown as UnaryCall, request);
      while (call.waiter === undefined) await env.timers.nextTurn();
      await sim.put('k000', 'written meanwhile');
      expect(call.isAnswered).toBe(false);
      call.waiter.onRoom();
      while (!call.isAnswered) await env.timers.nextTurn();
      const { kvs } = RangeResponseCodec.decode(call.take());
      expect(kvs[0]!.value).toEqual(bytesFromLatin1('written meanwhile'));
      await sim.stop();
    });
  });
});

describe('a transaction', () => {
  const txn = (serializable: boolean) => {
    const op = (changes: Partial<etcdserverpb.RangeRequest>) => ({
      request: { case: 'requestRange' as const, value: range({ serializable, ...changes }) },
    });
    const success = ranges.map(([, changes]) => op(changes));
    return TxnRequestCodec.encode(TxnRequestCodec.create({ success }));
  };

  test('that only reads', async () => {
    await env.run(async () => {
      await start();
      const held = await ask(TXN, txn(true), Number.POSITIVE_INFINITY);
      const pulled = await ask(TXN, txn(true), 0);
      const bytes = held.take();
      expect(Buffer.compare(pulled.take(), bytes)).toBe(0);
      const { succeeded, responses } = TxnResponseCodec.decode(bytes);
      expect(succeeded).toBe(true);
      expect(responses).toHaveLength(ranges.length);
      await sim.stop();
    });
  });

  test('that writes, too, is answered in pieces', async () => {
    await env.run(async () => {
      await start();
      const put = { key: bytesFromLatin1('z'), value: bytesFromLatin1('z') };
      const success = [
        { request: { case: 'requestRange' as const, value: range() } },
        {
          request: {
            case: 'requestPut' as const,
            value: etcdserverpb.PutRequestCodec.create(put),
          },
        },
      ];
      const request = TxnRequestCodec.encode(TxnRequestCodec.create({ success }));
      const call = await ask(TXN, request, 0);
      const { responses } = TxnResponseCodec.decode(call.take());
      expect(responses.map(({ response }) => response?.case)).toEqual([
        'responseRange',
        'responsePut',
      ]);
      await sim.stop();
    });
  });
});
