import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesFromLatin1, latin1FromBytes, type Random, seededRandom } from '../../base/index.ts';
import { EtcdError, etcdserverpb, mvccpb } from '../../protocol/index.ts';
import { randomKey, randomRange } from '../index/naive-index.fixture.ts';
import { rangeContains } from './key-range.ts';
import { MemoryStore } from './memory-store.fixture.ts';
import type { RangeResult } from './range-result.ts';
import { isTxnReadonly, isTxnSerializable, type TxnResult, TxnRun } from './txn.ts';

const {
  CompareCodec,
  CompareResult,
  CompareTarget,
  DeleteRangeRequestCodec,
  PutRequestCodec,
  RangeRequestCodec,
  RequestOpCodec,
  TxnRequestCodec,
} = etcdserverpb;

const bytes = bytesFromLatin1;
const text = (value: Uint8Array) => latin1FromBytes(value);

interface Pair {
  readonly create: number;
  readonly mod: number;
  readonly version: number;
  readonly value: string;
  readonly lease: bigint;
}

function pairText(key: string, { create, mod, version, value, lease }: Pair): string {
  return `${key}=${value} c${create} m${mod} v${version} l${lease}`;
}

function decoded(result: RangeResult): string[] {
  return result.buffers.map((buffer, i) => {
    const start = result.offsets[i]!;
    const kv = mvccpb.KeyValueCodec.decode(buffer, start, start + result.lengths[i]!);
    const { createRevision: create, modRevision: mod, version, lease } = kv;
    return pairText(text(kv.key), { create, mod, version, value: text(kv.value), lease });
  });
}

/** A store that is one map per revision, and transactions evaluated the long way. */
class NaiveStore {
  readonly byRev = new Map<number, Map<string, Pair>>([[1, new Map()]]);
  rev = 1;
  compacted = -1;
  readonly leases = new Set<bigint>();

  now(): Map<string, Pair> {
    return this.byRev.get(this.rev)!;
  }

  txn(request: etcdserverpb.TxnRequest): unknown {
    const before = this.now();
    const chosen = this.choose(request, before);
    this.check(chosen, before);
    const pairs = new Map(before);
    const state = { pairs, changed: false };
    const answer = this.execute(chosen, state);
    if (state.changed) this.byRev.set(++this.rev, pairs);
    return { revision: this.rev, ...answer };
  }

  choose(request: etcdserverpb.TxnRequest, pairs: Map<string, Pair>): Chosen {
    const succeeded = request.compare.every((compare) => this.holds(compare, pairs));
    const ops = (succeeded ? request.success : request.failure).map(({ request: op }) =>
      op?.case === 'requestTxn' ? this.choose(op.value, pairs) : op!,
    );
    return { case: 'chosen', succeeded, ops };
  }

  holds(compare: etcdserverpb.Compare, pairs: Map<string, Pair>): boolean {
    const [key, rangeEnd] = [text(compare.key), text(compare.rangeEnd)];
    const found = [...pairs].filter(([k]) => rangeContains(key, rangeEnd, k)).map(([, p]) => p);
    if (found.length === 0 && compare.target === CompareTarget.VALUE) return false;
    const none: Pair = { create: 0, mod: 0, version: 0, value: '', lease: 0n };
    return (found.length === 0 ? [none] : found).every((pair) => {
      const union = compare.targetUnion;
      const names = ['version', 'createRevision', 'modRevision', 'value', 'lease'] as const;
      const given = union?.case === names[compare.target] ? union!.value : undefined;
      const [actual, wanted] = (
        [
          [pair.version, given ?? 0],
          [pair.create, given ?? 0],
          [pair.mod, given ?? 0],
          [pair.value, given instanceof Uint8Array ? text(given) : ''],
          [pair.lease, given ?? 0n],
        ] as [number, number][]
      )[compare.target]!;
      if (compare.result === CompareResult.EQUAL) return actual === wanted;
      if (compare.result === CompareResult.NOT_EQUAL) return actual !== wanted;
      return compare.result === CompareResult.GREATER ? actual > wanted : actual < wanted;
    });
  }

  check(chosen: Chosen, before: Map<string, Pair>): void {
    for (const op of chosen.ops) {
      if (op.case === 'chosen') this.check(op, before);
      else if (op.case === 'requestRange' && op.value.revision !== 0) {
        if (op.value.revision > this.rev) throw new EtcdError('FUTURE_REV');
        if (op.value.revision < this.compacted) throw new EtcdError('COMPACTED');
      } else if (op.case === 'requestPut') {
        const { key, lease, ignoreLease, ignoreValue } = op.value;
        if (lease !== 0n && !this.leases.has(lease)) throw new EtcdError('LEASE_NOT_FOUND');
        if ((ignoreLease || ignoreValue) && !before.has(text(key))) {
          throw new EtcdError('KEY_NOT_FOUND');
        }
      }
    }
  }

  execute(chosen: Chosen, state: { pairs: Map<string, Pair>; changed: boolean }): object {
    const rev = () => (state.changed ? this.rev + 1 : this.rev);
    const responses = chosen.ops.map((op) => {
      switch (op.case) {
        case 'chosen':
          return { txn: { revision: 0, ...this.execute(op, state) } };
        case 'requestRange': {
          const at = op.value.revision > 0 ? op.value.revision : rev();
          const pairs = at === rev() ? state.pairs : this.byRev.get(at)!;
          return { revision: rev(), range: this.inRange(pairs, op.value) };
        }
        case 'requestDeleteRange': {
          const previous = this.inRange(state.pairs, op.value);
          const keys = this.keysIn(state.pairs, op.value);
          for (const key of keys) state.pairs.delete(key);
          state.changed ||= keys.length > 0;
          return {
            revision: rev(),
            deleted: keys.length,
            previous: op.value.prevKv ? previous : [],
          };
        }
        case 'requestPut': {
          const key = text(op.value.key);
          const old = state.pairs.get(key);
          state.changed = true;
          state.pairs.set(key, {
            create: old?.create ?? rev(),
            mod: rev(),
            version: (old?.version ?? 0) + 1,
            value: op.value.ignoreValue ? old!.value : text(op.value.value),
            lease: op.value.ignoreLease ? old!.lease : op.value.lease,
          });
          const previous = op.value.prevKv && old !== undefined ? pairText(key, old) : undefined;
          return { revision: rev(), previous };
        }
        default:
          throw new Error('no such operation');
      }
    });
    return { succeeded: chosen.succeeded, responses };
  }

  keysIn(pairs: Map<string, Pair>, { key, rangeEnd }: { key: Uint8Array; rangeEnd: Uint8Array }) {
    return [...pairs.keys()].filter((k) => rangeContains(text(key), text(rangeEnd), k)).sort();
  }

  inRange(pairs: Map<string, Pair>, range: { key: Uint8Array; rangeEnd: Uint8Array }): string[] {
    return this.keysIn(pairs, range).map((key) => pairText(key, pairs.get(key)!));
  }
}

interface Chosen {
  readonly case: 'chosen';
  readonly succeeded: boolean;
  readonly ops: readonly (Chosen | NonNullable<etcdserverpb.RequestOp['request']>)[];
}

/** The result in the form that the naive store gives. */
function answerOf(result: TxnResult): object {
  return {
    revision: result.revision,
    succeeded: result.succeeded,
    responses: result.responses.map((op) => {
      switch (op.kind) {
        case 'range':
          return { revision: op.range.revision, range: decoded(op.range) };
        case 'put': {
          const { revision, hasPrevious, previous } = op.put;
          const one = hasPrevious ? decodedSlice(previous) : undefined;
          return { revision, previous: one };
        }
        case 'delete':
          return {
            revision: op.delete.revision,
            deleted: op.delete.deleted,
            previous: decoded(op.delete.previous),
          };
        case 'txn':
          return { txn: answerOf(op.txn) };
        case 'none':
          return undefined;
        default:
          throw new Error('no such answer');
      }
    }),
  };
}

function decodedSlice({
  buffer,
  offset,
  length,
}: {
  buffer: Uint8Array;
  offset: number;
  length: number;
}) {
  return decoded({
    buffers: [buffer],
    offsets: [offset],
    lengths: [length],
  } as unknown as RangeResult)[0];
}

const LEASES = [7n, -3n, 2n ** 62n];

/** Random requests, keys few enough that they meet. */
class Requests {
  readonly random: Random;
  readonly store: MemoryStore;

  constructor(random: Random, store: MemoryStore) {
    this.random = random;
    this.store = store;
  }

  pick<T>(...values: T[]): T {
    return values[this.random.below(values.length)]!;
  }

  range() {
    const [key, rangeEnd] = randomRange(this.random, 1);
    return { key: bytes(key), rangeEnd: bytes(rangeEnd) };
  }

  rev(): number {
    const { currentRev, compactedRev } = this.store;
    return (
      Math.max(compactedRev, 1) + this.random.below(currentRev - Math.max(compactedRev, 1) + 1)
    );
  }

  compare(): etcdserverpb.Compare {
    const number = this.pick(0, 1, this.rev(), 2 ** 53);
    return CompareCodec.create({
      ...this.range(),
      ...(this.random.below(2) === 0 ? { rangeEnd: bytes('') } : {}),
      result: this.random.below(4),
      target: this.random.below(5),
      targetUnion: this.pick(
        { case: 'version' as const, value: number },
        { case: 'createRevision' as const, value: number },
        { case: 'modRevision' as const, value: number },
        { case: 'value' as const, value: bytes(`v${this.rev()}`) },
        { case: 'lease' as const, value: this.pick(0n, ...LEASES) },
        undefined,
      ),
    });
  }

  /** Puts take their keys out of `keys`, so that none is put twice; deletions come before them. */
  op(keys: string[], depth: number): etcdserverpb.RequestOp {
    const kind = this.random.below(depth > 0 ? 10 : 8);
    if (kind < 2) {
      const revision =
        this.random.below(3) === 0 ? this.pick(this.rev(), this.rev(), 0, 9999, 1) : 0;
      const value = RangeRequestCodec.create({ ...this.range(), revision });
      return RequestOpCodec.create({ request: { case: 'requestRange', value } });
    }
    if (kind < 4) {
      const value = DeleteRangeRequestCodec.create({
        ...this.range(),
        prevKv: this.pick(true, false),
      });
      return RequestOpCodec.create({ request: { case: 'requestDeleteRange', value } });
    }
    if (kind < 8) {
      const key = keys.pop() ?? randomKey(this.random, 2);
      const ignore = this.random.below(12);
      const value = PutRequestCodec.create({
        key: bytes(key),
        value: bytes(ignore === 0 ? '' : `v${this.store.currentRev}`),
        lease: this.random.below(30) === 0 ? 99n : this.pick(0n, ...LEASES),
        prevKv: this.pick(true, false),
        ignoreValue: ignore === 0,
        ...(ignore === 1 ? { ignoreLease: true, lease: 0n } : {}),
      });
      return RequestOpCodec.create({ request: { case: 'requestPut', value } });
    }
    return RequestOpCodec.create({
      request: { case: 'requestTxn', value: this.txn(keys, depth - 1) },
    });
  }

  txn(keys: string[], depth: number): etcdserverpb.TxnRequest {
    const ops = () => Array.from({ length: this.random.below(5) }, () => this.op(keys, depth));
    return TxnRequestCodec.create({
      compare: Array.from({ length: this.random.below(3) }, () => this.compare()),
      success: ops(),
      failure: ops(),
    });
  }
}

/** Whether an `ignore` put comes after something that may delete its key: etcd refuses those. */
function ignoresAfterDelete(request: etcdserverpb.TxnRequest): boolean {
  const ops = [...request.success, ...request.failure].flatMap(function flat({
    request: op,
  }): NonNullable<etcdserverpb.RequestOp['request']>[] {
    if (op?.case !== 'requestTxn') return [op!];
    return [...op.value.success, ...op.value.failure].flatMap(flat);
  });
  return (
    ops.some((op) => op.case === 'requestDeleteRange') &&
    ops.some((op) => op.case === 'requestPut' && (op.value.ignoreValue || op.value.ignoreLease))
  );
}

test('answers and leaves behind what the naive store does, in slices of any size', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const random = seededRandom(seed);
      const store = new MemoryStore();
      const naive = new NaiveStore();
      for (const id of LEASES) {
        store.grant(id);
        naive.leases.add(id);
      }
      const requests = new Requests(random, store);
      const run = new TxnRun();
      for (let i = 0; i < 60; i++) {
        const request = requests.txn([], 2);
        if (ignoresAfterDelete(request)) continue;
        expect(evaluate(store, run, request, () => 1 + random.below(5))).toEqual(
          attempt(() => naive.txn(request)),
        );
        expect(store.currentRev).toBe(naive.rev);
        if (random.below(15) === 0) {
          naive.compacted = requests.rev();
          if (naive.compacted > store.compactedRev) store.compact(naive.compacted);
          else naive.compacted = store.compactedRev;
        }
        expect(store.index.check()).toEqual([]);
        for (const [slot, id] of store.leaseIds.entries()) {
          const attached = [...naive.now()].filter(([, pair]) => slot > 0 && pair.lease === id);
          expect([...store.attached[slot]!].sort()).toEqual(attached.map(([key]) => key).sort());
        }
      }
    }),
    { numRuns: 40 },
  );
});

function attempt(body: () => unknown): unknown {
  try {
    return body();
  } catch (error) {
    if (error instanceof EtcdError) return error.code;
    throw error;
  }
}

function evaluate(
  store: MemoryStore,
  run: TxnRun,
  request: etcdserverpb.TxnRequest,
  budget: () => number,
): unknown {
  store.txn.begin(store.currentRev, store.compactedRev);
  const rows = store.data.length;
  const answer = attempt(() => {
    run.start(store.txn, request, false);
    while (!run.step(budget()));
    return answerOf(run.result);
  });
  if (typeof answer === 'string') expect(store.data.length).toBe(rows);
  store.currentRev = store.txn.end();
  return answer;
}

test('a transaction that nests as deep as a log entry may', () => {
  const store = new MemoryStore();
  let request = TxnRequestCodec.create({ success: [putOf('a')] });
  for (let level = 1; level < 4_999; level++) {
    const op = RequestOpCodec.create({ request: { case: 'requestTxn', value: request } });
    request = TxnRequestCodec.create({ success: [op] });
  }
  const run = new TxnRun();
  store.txn.begin(store.currentRev, store.compactedRev);
  run.start(store.txn, request, true);
  while (!run.step(1_000));
  expect(store.txn.end()).toBe(store.currentRev + 1);
});

function putOf(key: string): etcdserverpb.RequestOp {
  const value = PutRequestCodec.create({ key: bytes(key) });
  return RequestOpCodec.create({ request: { case: 'requestPut', value } });
}

describe('one at a time', () => {
  const open = () => {
    const store = new MemoryStore();
    store.put('a', '1');
    store.put('b', '2');
    return store;
  };
  const op = (request: NonNullable<etcdserverpb.RequestOp['request']>) =>
    RequestOpCodec.create({ request });
  const put = (key: string, init: etcdserverpb.PutRequestInit = {}) =>
    op({ case: 'requestPut', value: PutRequestCodec.create({ ...init, key: bytes(key) }) });
  const get = (key: string, init: etcdserverpb.RangeRequestInit = {}) =>
    op({ case: 'requestRange', value: RangeRequestCodec.create({ ...init, key: bytes(key) }) });
  const del = (key: string) =>
    op({ case: 'requestDeleteRange', value: DeleteRangeRequestCodec.create({ key: bytes(key) }) });
  const run = (store: MemoryStore, init: etcdserverpb.TxnRequestInit) =>
    evaluate(store, new TxnRun(), TxnRequestCodec.create(init), () => 1000);

  test('reads see what operations before them wrote, at the new revision', () => {
    const store = open();
    expect(run(store, { success: [get('a'), put('a', { value: bytes('x') }), get('a')] })).toEqual({
      revision: 4,
      succeeded: true,
      responses: [
        { revision: 3, range: ['a=1 c2 m2 v1 l0'] },
        { revision: 4, previous: undefined },
        { revision: 4, range: ['a=x c2 m4 v2 l0'] },
      ],
    });
  });

  test('comparisons of nested transactions see the store as it was', () => {
    const store = open();
    const unchanged = CompareCodec.create({
      key: bytes('a'),
      target: CompareTarget.VERSION,
      result: CompareResult.EQUAL,
      targetUnion: { case: 'version', value: 1 },
    });
    const nested = TxnRequestCodec.create({
      compare: [unchanged],
      success: [get('a')],
      failure: [],
    });
    expect(
      run(store, { success: [put('a'), op({ case: 'requestTxn', value: nested })] }),
    ).toMatchObject({
      responses: [{}, { txn: { succeeded: true, responses: [{ range: ['a= c2 m4 v2 l0'] }] } }],
    });
  });

  test('nothing changed, no revision', () => {
    const store = open();
    expect(run(store, { success: [del('z'), get('a')] })).toMatchObject({ revision: 3 });
    expect(store.currentRev).toBe(3);
  });

  test.each([
    ['a range in the future', get('a', { revision: 4 }), 'FUTURE_REV'],
    ['a range that is compacted', get('a', { revision: 1 }), 'COMPACTED'],
    ['a range at a negative revision', get('a', { revision: -1 }), 'COMPACTED'],
    ['an unknown lease', put('a', { lease: 5n }), 'LEASE_NOT_FOUND'],
    ['a value to keep where none is', put('z', { ignoreValue: true }), 'KEY_NOT_FOUND'],
    ['a lease to keep where none is', put('z', { ignoreLease: true }), 'KEY_NOT_FOUND'],
  ])('%s fails the whole, without a trace', (_, bad, code) => {
    const store = open();
    store.compact(2);
    expect(run(store, { success: [put('b'), bad, put('c')] })).toBe(code);
    expect(store.currentRev).toBe(3);
    expect(store.data.length).toBe(2);
    // In the branch that is not taken it does no harm.
    expect(run(store, { success: [get('b')], failure: [bad] })).toMatchObject({ revision: 3 });
  });

  test('the first operation that fails names the error', () => {
    const store = open();
    const bad = [put('z', { ignoreValue: true }), get('a', { revision: 99 })];
    expect(run(store, { success: bad })).toBe('KEY_NOT_FOUND');
    expect(run(store, { success: [...bad].reverse() })).toBe('FUTURE_REV');
  });

  test('ranges are skipped where nobody waits for the answer', () => {
    const store = open();
    const txnRun = new TxnRun();
    store.txn.begin(store.currentRev, -1);
    txnRun.start(store.txn, TxnRequestCodec.create({ success: [put('c'), get('a')] }), true);
    expect(txnRun.step(100)).toBe(true);
    store.currentRev = store.txn.end();
    expect(answerOf(txnRun.result)).toMatchObject({ responses: [{}, { revision: 4, range: [] }] });
  });

  test('which transactions only read', () => {
    const serializable = get('a', { serializable: true });
    const empty = op({ case: 'requestTxn', value: TxnRequestCodec.create({}) });
    const txn = (...ops: etcdserverpb.RequestOp[]) => TxnRequestCodec.create({ success: ops });
    expect([txn(), txn(get('a')), txn(get('a'), put('b')), txn(empty)].map(isTxnReadonly)).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect([txn(), txn(serializable), txn(get('a'), serializable)].map(isTxnSerializable)).toEqual([
      true,
      true,
      false,
    ]);
    const store = open();
    const readonly = new TxnRun();
    readonly.startReadonly(store, txn(get('a'), get('b')));
    expect(readonly.step(100)).toBe(true);
    expect(answerOf(readonly.result)).toMatchObject({ revision: 3, succeeded: true });
  });
});
