import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesFromLatin1, latin1FromBytes, seededRandom } from '../../base/index.ts';
import { etcdserverpb, isEtcdError, mvccpb } from '../../protocol/index.ts';
import { randomKey, randomRange } from '../index/naive-index.fixture.ts';
import { rangeContains } from './key-range.ts';
import { MemoryStore } from './memory-store.fixture.ts';
import { evaluateRange, RangeRun } from './range.ts';
import { RangeResult } from './range-result.ts';

const { SortOrder, SortTarget, RangeRequestCodec } = etcdserverpb;

function request(init: Omit<etcdserverpb.RangeRequestInit, 'key' | 'rangeEnd'>, range: string[]) {
  const [key = '', rangeEnd = ''] = range;
  return RangeRequestCodec.create({
    ...init,
    key: bytesFromLatin1(key),
    rangeEnd: bytesFromLatin1(rangeEnd),
  });
}

function decode(result: RangeResult): mvccpb.KeyValue[] {
  return result.buffers.map((buffer, i) => {
    const start = result.offsets[i]!;
    return mvccpb.KeyValueCodec.decode(buffer, start, start + result.lengths[i]!);
  });
}

/** The answer by etcd's own steps: fetch, filter, sort, cut. */
function naiveRange(store: MemoryStore, r: etcdserverpb.RangeRequest) {
  const rev = r.revision <= 0 ? store.currentRev : r.revision;
  const newest = new Map<string, mvccpb.KeyValue | undefined>();
  for (const { main, tombstone, bytes } of store.data) {
    const kv = mvccpb.KeyValueCodec.decode(bytes, 1, bytes.length - 1);
    const key = latin1FromBytes(kv.key);
    if (main <= rev && rangeContains(latin1FromBytes(r.key), latin1FromBytes(r.rangeEnd), key)) {
      newest.set(key, tombstone ? undefined : kv);
    }
  }
  const all = [...newest].filter(([, kv]) => kv !== undefined).sort(([a], [b]) => (a < b ? -1 : 1));
  let kvs = all.map(([, kv]) => kv!);
  const count = kvs.length;
  if (r.countOnly) return { count, more: false, kvs: [] };
  const byKey = r.sortTarget === SortTarget.KEY;
  const unsorted = r.sortOrder === SortOrder.NONE || (byKey && r.sortOrder === SortOrder.ASCEND);
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = r;
  const filtered = minModRevision || maxModRevision || minCreateRevision || maxCreateRevision;
  if (unsorted && !filtered && r.limit > 0) kvs = kvs.slice(0, r.limit + 1);
  if (maxModRevision !== 0) kvs = kvs.filter((kv) => kv.modRevision <= maxModRevision);
  if (minModRevision !== 0) kvs = kvs.filter((kv) => kv.modRevision >= minModRevision);
  if (maxCreateRevision !== 0) kvs = kvs.filter((kv) => kv.createRevision <= maxCreateRevision);
  if (minCreateRevision !== 0) kvs = kvs.filter((kv) => kv.createRevision >= minCreateRevision);
  if (!unsorted || !byKey) {
    const sign = r.sortOrder === SortOrder.DESCEND ? -1 : 1;
    kvs.sort((a, b) => {
      if (r.sortTarget === SortTarget.KEY) return sign * Buffer.compare(a.key, b.key);
      if (r.sortTarget === SortTarget.VALUE) return sign * Buffer.compare(a.value, b.value);
      if (r.sortTarget === SortTarget.VERSION) return sign * (a.version - b.version);
      if (r.sortTarget === SortTarget.MOD) return sign * (a.modRevision - b.modRevision);
      return sign * (a.createRevision - b.createRevision);
    });
  }
  const more = r.limit > 0 && kvs.length > r.limit;
  if (more) kvs = kvs.slice(0, r.limit);
  if (r.keysOnly) {
    const dropLease = r.sortTarget !== SortTarget.VALUE;
    kvs = kvs.map((kv) => ({ ...kv, value: new Uint8Array(0), lease: dropLease ? 0n : kv.lease }));
  }
  return { count, more, kvs };
}

/** Plain objects that compare by content. */
function plain(kvs: mvccpb.KeyValue[]) {
  return kvs.map((kv) => ({
    ...kv,
    key: Buffer.from(kv.key).toString('latin1'),
    value: Buffer.from(kv.value).toString('latin1'),
  }));
}

function randomStore(seed: number) {
  const random = seededRandom(seed);
  const store = new MemoryStore();
  store.grant(7n);
  store.grant(-(2n ** 63n));
  for (let i = 0; i < 80; i++) {
    store.write((txn) => {
      for (let n = random.below(3); n >= 0; n--) {
        const key = randomKey(random, 2);
        if (random.below(5) === 0 && store.index.count(key, '', txn.currentRev) === 1) {
          txn.delete(key);
        } else {
          const value = bytesFromLatin1(randomKey(random, random.below(3) === 0 ? 20 : 1));
          txn.put(key, value, 0, value.length, store.leaseIds[random.below(3)]!);
        }
      }
    });
  }
  if (random.below(2) === 0) store.compact(1 + random.below(store.currentRev));
  return { random, store };
}

test('answers as etcd does, step by step, in slices of any size', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const { random, store } = randomStore(seed);
      const run = new RangeRun();
      const result = new RangeResult();
      const maybe = (value: () => number) => (random.below(4) === 0 ? value() : 0);
      const anyRev = () => random.below(store.currentRev + 3) - 1;
      for (let i = 0; i < 60; i++) {
        const [key, rangeEnd] = randomRange(random, 2);
        const wanted = request(
          {
            limit: [0, 0, 1, 2, 5, -1, 2 ** 53][random.below(7)]!,
            revision: maybe(() => Math.max(store.compactedRev, 1) + random.below(20)),
            sortOrder: random.below(3),
            sortTarget: random.below(5),
            keysOnly: random.below(3) === 0,
            countOnly: random.below(6) === 0,
            minModRevision: maybe(anyRev),
            maxModRevision: maybe(anyRev),
            minCreateRevision: maybe(anyRev),
            maxCreateRevision: maybe(anyRev),
          },
          random.below(3) === 0 ? ['\0', '\0'] : [key, rangeEnd],
        );
        if (wanted.revision > store.currentRev) continue;
        run.start(store, wanted, result);
        while (!run.step(1 + random.below(10)));
        const expected = naiveRange(store, wanted);
        expect(result.revision).toBe(store.currentRev);
        expect(result.count).toBe(expected.count);
        expect(result.more).toBe(expected.more);
        expect(plain(decode(result))).toEqual(plain(expected.kvs));
      }
    }),
    { numRuns: 25 },
  );
});

describe('revisions', () => {
  const store = new MemoryStore();
  for (let i = 0; i < 5; i++) store.put('k', String(i));
  store.compact(4);
  const range = (revision: number) => {
    const result = new RangeResult();
    evaluateRange(new RangeRun(), store, request({ revision }, ['k']), result);
    return decode(result).map((kv) => kv.modRevision);
  };
  test.each([
    [0, 6],
    [-1, 6],
    [-(2 ** 53), 6],
    [6, 6],
    [4, 4],
  ])('%i reads the pair of %i', (revision, mod) => {
    expect(range(revision)).toEqual([mod]);
  });
  test.each([
    [7, 'FUTURE_REV'],
    [2 ** 53, 'FUTURE_REV'],
    [3, 'COMPACTED'],
    [1, 'COMPACTED'],
  ] as const)('%i is refused: %s', (revision, code) => {
    try {
      range(revision);
      expect.unreachable();
    } catch (error) {
      expect(isEtcdError(error, code)).toBe(true);
    }
  });
});

test('a target without an order sorts only the first limit + 1 keys, as etcd does', () => {
  const store = new MemoryStore();
  // The smallest version is the third key's.
  for (const [key, puts] of [
    ['a', 3],
    ['b', 2],
    ['c', 1],
    ['d', 1],
  ] as const) {
    for (let i = 0; i < puts; i++) store.put(key, '');
  }
  const result = new RangeResult();
  const wanted = request({ limit: 1, sortTarget: SortTarget.VERSION }, ['a', 'z']);
  evaluateRange(new RangeRun(), store, wanted, result);
  expect(plain(decode(result)).map((kv) => kv.key)).toEqual(['b']);
  expect([result.count, result.more]).toEqual([4, true]);
});

test('keys_only leaves the lease out, unless values sort', () => {
  const store = new MemoryStore();
  store.grant(7n);
  store.put('k', 'v', 7n);
  const leases = (init: etcdserverpb.RangeRequestInit) => {
    const result = new RangeResult();
    evaluateRange(new RangeRun(), store, request({ keysOnly: true, ...init }, ['k']), result);
    return decode(result).map(({ lease, value, version }) => [lease, value.length, version]);
  };
  expect(leases({})).toEqual([[0n, 0, 1]]);
  expect(leases({ sortTarget: SortTarget.VALUE })).toEqual([[7n, 0, 1]]);
});

test('writes between two slices are not seen', () => {
  const store = new MemoryStore();
  for (let i = 0; i < 300; i++) store.put(`k${i}`, 'old');
  const run = new RangeRun();
  const result = new RangeResult();
  run.start(store, request({}, ['k', 'l']), result);
  for (let i = 0; !run.step(7); i++) {
    store.put(`k${299 - i}`, 'new');
    store.put(`k${i}x`, 'new');
    store.delete(`k${100 + i}`);
  }
  expect(result.count).toBe(300);
  expect(new Set(decode(result).map((kv) => latin1FromBytes(kv.value)))).toEqual(new Set(['old']));
  expect(result.size).toBe(300);
});

test('many keys that do not exist end a slice, not the range', () => {
  const store = new MemoryStore();
  const total = 12_000;
  store.write((txn) => {
    for (let i = 0; i < total; i++) txn.put(`k${100_000 + i}`, bytesFromLatin1(''), 0, 0, 0n);
  });
  store.put('z');
  store.write((txn) => {
    for (let i = 0; i < total; i++) txn.delete(`k${100_000 + i}`);
  });
  store.put('y');
  const run = new RangeRun();
  const result = new RangeResult();
  const slices = (init: etcdserverpb.RangeRequestInit) => {
    run.start(store, request(init, ['k', '\0']), result);
    let count = 1;
    while (!run.step(1_000_000)) count++;
    return count;
  };
  // Now: leaves without live keys are skipped.
  expect(slices({ limit: 1 })).toBe(1);
  expect([result.count, result.more, result.size]).toEqual([2, true, 1]);
  // In the past, when they were alive, and before they were: these keys have to be looked at.
  expect(slices({ revision: 2, limit: 3 })).toBe(1);
  expect([result.count, result.more, result.size]).toEqual([total, true, 3]);
  expect(slices({ revision: 1 })).toBeGreaterThan(1);
  expect([result.count, result.more, result.size]).toEqual([0, false, 0]);
  // Keys come and go where the cursor pauses.
  run.start(store, request({ revision: 1 }, ['k', '\0']), result);
  for (let i = 0; !run.step(1_000_000); i++) {
    store.put(`k10${i}`);
  }
  expect(result.size).toBe(0);
});
