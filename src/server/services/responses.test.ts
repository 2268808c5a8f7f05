// The hand-written encoders write what the codecs of the same messages write.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Random, seededRandom, varintSize, writeVarint } from '../../base/index.ts';
import type { Encoder } from '../../grpc/index.ts';
import {
  DeleteResult,
  type OpResult,
  PutResult,
  RangeResult,
  TxnResult,
} from '../../mvcc/index.ts';
import { etcdserverpb, mvccpb, watchIdField } from '../../protocol/index.ts';
import { bodyOf, deleteAnswer, type LongAnswer, rangeAnswer, txnAnswer } from './long-answer.ts';
import { ResponseHeaders } from './response-header.ts';
import { kvEncoders } from './responses.ts';
import { WatchResponse, watchEncoder } from './watch-response.ts';

const {
  RangeResponseCodec,
  PutResponseCodec,
  DeleteRangeResponseCodec,
  TxnResponseCodec,
  ResponseOpCodec,
  WatchResponseCodec,
} = etcdserverpb;

const CLUSTER = 0xcdf818194e3a8c32n;
const MEMBER = 0x8e9e05c52164694dn;
const TERM = 300;
const header = new ResponseHeaders(CLUSTER, MEMBER, { term: TERM });
const encoders = kvEncoders(header);

function encode<T>(encoder: Encoder<T>, message: T): Uint8Array {
  const size = encoder.size(message);
  const bytes = new Uint8Array(size + 7).fill(0xee);
  expect(encoder.write(message, bytes, 3)).toBe(size + 3);
  expect([...bytes.subarray(0, 3), ...bytes.subarray(size + 3)]).toEqual(new Array(7).fill(0xee));
  return bytes.subarray(3, size + 3);
}

/** What a large answer sends. */
function joined({ size, pieces }: LongAnswer): Uint8Array {
  const all: Uint8Array[] = [];
  for (let next = pieces.next(); next.done !== true; next = pieces.next()) all.push(next.value);
  expect(all.filter((piece) => piece.length === 0)).toEqual([]);
  const bytes = Uint8Array.from(Buffer.concat(all));
  expect(bytes).toHaveLength(size);
  return bytes;
}

const fullHeader = (revision: number) => ({
  clusterId: CLUSTER,
  memberId: MEMBER,
  revision,
  raftTerm: TERM,
});

/** Results, and the messages they stand for; inner ones have only a revision in their header. */
class Maker {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  #header(revision: number, isInner: boolean) {
    if (!isInner) return fullHeader(revision);
    return { clusterId: 0n, memberId: 0n, revision, raftTerm: 0 };
  }

  #revision(): number {
    return [0, 1, 127, 128, 2 ** 28, 2 ** 35 + 1, 2 ** 53 - 1][this.#random.below(7)]!;
  }

  #pair(): { message: mvccpb.KeyValue; buffer: Uint8Array; offset: number; length: number } {
    const random = this.#random;
    const bytes = (max: number) =>
      Uint8Array.from({ length: random.below(max) }, () => random.below(256));
    const message = mvccpb.KeyValueCodec.create({
      key: bytes(40),
      value: bytes(random.below(2) === 0 ? 60 : 400),
      createRevision: this.#revision(),
      modRevision: this.#revision(),
      version: random.below(3),
      lease: random.below(2) === 0 ? 0n : -5n,
    });
    const encoded = mvccpb.KeyValueCodec.encode(message);
    const offset = random.below(5);
    const buffer = new Uint8Array(offset + encoded.length + 5).fill(0xdd);
    buffer.set(encoded, offset);
    return { message, buffer, offset, length: encoded.length };
  }

  #fill(result: RangeResult): mvccpb.KeyValue[] {
    return Array.from({ length: this.#random.below(4) }, () => {
      const { message, buffer, offset, length } = this.#pair();
      result.push(buffer, offset, length);
      return message;
    });
  }

  range(isInner = false): { result: RangeResult; message: etcdserverpb.RangeResponse } {
    const result = new RangeResult();
    result.revision = this.#revision();
    result.more = this.#random.below(2) === 0;
    result.count = this.#revision();
    const kvs = this.#fill(result);
    const { revision, more, count } = result;
    const message = RangeResponseCodec.create({
      header: this.#header(revision, isInner),
      kvs,
      more,
      count,
    });
    return { result, message };
  }

  put(isInner = false): { result: PutResult; message: etcdserverpb.PutResponse } {
    const result = new PutResult();
    result.revision = this.#revision();
    const message = { header: this.#header(result.revision, isInner) };
    if (this.#random.below(2) === 0) return { result, message: PutResponseCodec.create(message) };
    const { message: prevKv, buffer, offset, length } = this.#pair();
    result.hasPrevious = true;
    Object.assign(result.previous, { buffer, offset, length });
    return { result, message: PutResponseCodec.create({ ...message, prevKv }) };
  }

  delete(isInner = false): { result: DeleteResult; message: etcdserverpb.DeleteRangeResponse } {
    const result = new DeleteResult();
    result.revision = this.#revision();
    result.deleted = this.#revision();
    const prevKvs = this.#fill(result.previous);
    const { deleted } = result;
    const made = { header: this.#header(result.revision, isInner), deleted, prevKvs };
    return { result, message: DeleteRangeResponseCodec.create(made) };
  }

  txn(depth = 0): { result: TxnResult; message: etcdserverpb.TxnResponse } {
    const succeeded = this.#random.below(2) === 0;
    const result = new TxnResult(succeeded);
    // The header of a nested transaction is empty.
    if (depth === 0) result.revision = this.#revision();
    const responses: etcdserverpb.ResponseOp[] = [];
    for (let i = this.#random.below(5); i > 0; i--) {
      const { op, response } = this.#op(depth);
      result.responses.push(op);
      responses.push(ResponseOpCodec.create({ response }));
    }
    const made = { header: this.#header(result.revision, depth > 0), succeeded, responses };
    return { result, message: TxnResponseCodec.create(made) };
  }

  #op(depth: number): { op: OpResult; response: etcdserverpb.ResponseOp['response'] } {
    const kind = this.#random.below(depth < 3 ? 5 : 4);
    if (kind === 0) {
      const { result, message } = this.range(true);
      const op: OpResult = { kind: 'range', range: result };
      return { op, response: { case: 'responseRange', value: message } };
    }
    if (kind === 1) {
      const { result, message } = this.put(true);
      return {
        op: { kind: 'put', put: result },
        response: { case: 'responsePut', value: message },
      };
    }
    if (kind === 2) {
      const { result, message } = this.delete(true);
      const op: OpResult = { kind: 'delete', delete: result };
      return { op, response: { case: 'responseDeleteRange', value: message } };
    }
    if (kind === 3) return { op: { kind: 'none' }, response: undefined };
    const { result, message } = this.txn(depth + 1);
    return { op: { kind: 'txn', txn: result }, response: { case: 'responseTxn', value: message } };
  }
}

const seed = fc.nat();

describe('answers are what the codecs write', () => {
  test('ranges', () => {
    fc.assert(
      fc.property(seed, (from) => {
        const { result, message } = new Maker(from).range();
        expect(encode(encoders.range, result)).toEqual(RangeResponseCodec.encode(message));
        const long = joined(rangeAnswer(header, bodyOf(result)));
        expect(long).toEqual(RangeResponseCodec.encode(message));
      }),
    );
  });

  test('puts', () => {
    fc.assert(
      fc.property(seed, (from) => {
        const { result, message } = new Maker(from).put();
        expect(encode(encoders.put, result)).toEqual(PutResponseCodec.encode(message));
      }),
    );
  });

  test('deletions', () => {
    fc.assert(
      fc.property(seed, (from) => {
        const { result, message } = new Maker(from).delete();
        const bytes = encode(encoders.deleteRange, result);
        expect(bytes).toEqual(DeleteRangeResponseCodec.encode(message));
        expect(joined(deleteAnswer(header, result))).toEqual(bytes);
      }),
    );
  });

  test('transactions, nested too', () => {
    fc.assert(
      fc.property(seed, (from) => {
        const { result, message } = new Maker(from).txn();
        const bytes = TxnResponseCodec.encode(message);
        expect(encode(encoders.txn, result)).toEqual(bytes);
        expect(joined(txnAnswer(header, result, result.responses))).toEqual(bytes);
      }),
      { numRuns: 300 },
    );
  });

  test('watch responses without events', () => {
    const encoder = watchEncoder(header);
    const id = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    const fields = fc.record({
      created: fc.boolean(),
      canceled: fc.boolean(),
      fragment: fc.boolean(),
      compactRevision: fc.maxSafeNat(),
      cancelReason: fc.string({ unit: 'binary' }),
    });
    fc.assert(
      fc.property(id, fc.maxSafeNat(), fields, (watchId, revision, made) => {
        const response = new WatchResponse().reset(revision, watchIdField(watchId));
        Object.assign(response, made);
        const message = WatchResponseCodec.create({
          header: fullHeader(revision),
          watchId,
          ...made,
        });
        expect(encode(encoder, response)).toEqual(WatchResponseCodec.encode(message));
      }),
    );
  });
});

test('lengths of numbers', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      const bytes = new Uint8Array(10);
      const size = writeVarint(value, bytes, 0);
      expect(varintSize(value)).toBe(size);
      let read = 0n;
      for (let i = size - 1; i >= 0; i--) read = (read << 7n) | BigInt(bytes[i]! & 127);
      expect(read).toBe(BigInt(value));
    }),
    { examples: [0, 1, 49, 53].map((bits) => [2 ** bits - 1] as [number]) },
  );
});

test('a header of zeros is there all the same', () => {
  const empty = new ResponseHeaders(0n, 0n, { term: 0 });
  expect(empty.size(0)).toBe(2);
  expect([...encode({ size: () => 2, write: (_, to, at) => empty.write(0, to, at) }, 0)]).toEqual([
    0x0a, 0,
  ]);
});
