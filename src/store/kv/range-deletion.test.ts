// Deletions of many keys whose tombstones come later, beside a store where the same deletions, each in a
// transaction, are whole at once.

import { afterEach, describe, expect, test, vi } from 'vitest';
import { bytesFromLatin1, type Random, seededRandom } from '../../base/index.ts';
import { createSimEnv, type SimDisk, SimEnv, SimWorld } from '../../env/sim/index.ts';
import {
  RANGE_TOMBSTONE_LEASED_MAX,
  RangeResult,
  RangeRun,
  WATCH_NOTIFY_CHANGES_MAX,
  WatchStream,
} from '../../mvcc/index.ts';
import { etcdserverpb, type raftpb } from '../../protocol/index.ts';
import { encodeEnvelope, REQUEST_KIND } from '../apply/request-envelope.ts';
import { Sink, saveCopy } from '../testing/install.fixture.ts';
import { deleteOf, StoreRig } from '../testing/store.fixture.ts';
import { RangeDeletion } from './range-deletion.ts';

const SEED = Number(process.env['STORE_SEED'] ?? 1);

const { DeleteRangeRequestCodec, RequestOpCodec, TxnRequestCodec } = etcdserverpb;

const EVERY_EVENT = { withPrevious: true, noPut: false, noDelete: false };

const KEYS = 2 * WATCH_NOTIFY_CHANGES_MAX;
const keyOf = (i: number): string => `k/${String((i * 7919) % KEYS).padStart(5, '0')}`;

async function on(seed: number, body: (env: SimEnv) => Promise<void>): Promise<void> {
  const env = createSimEnv({ seed, autoRun: false });
  await env.run(() => body(env));
}

const LEASES = [1n, 2n, 3n] as const;

/** Which keys each lease has. */
function keysOfLeases(rig: StoreRig): string[][] {
  const { lessor } = rig.machine.leases;
  return LEASES.map((id) => lessor.lookup(id)!.keys.sorted());
}

const pause = (env: SimEnv, ms: number): Promise<void> =>
  new Promise((resolve) => env.timers.after(ms, resolve));

function fill(rig: StoreRig, suffix = ''): void {
  for (let i = 0; i < KEYS; i += 64) {
    rig.txn(Array.from({ length: 64 }, (_, n) => [keyOf(i + n) + suffix, `${i + n}`] as const));
  }
}

/** Each step takes a turn, and a deletion more of them than what reads its rows. */
function workOffSlowly(env: SimEnv): void {
  const { step } = RangeDeletion.prototype;
  vi.spyOn(RangeDeletion.prototype, 'step').mockImplementation(function (this: RangeDeletion) {
    return step.call(this, 1);
  });
  const { clock } = env;
  const monotonicMs = clock.monotonicMs.bind(clock);
  let spent = 0;
  vi.spyOn(clock, 'monotonicMs').mockImplementation(() => {
    spent += 5;
    return monotonicMs() + spent;
  });
}

/** The deletion within one entry. */
function deleteWhole(rig: StoreRig, key: string, end: string): number {
  const range = DeleteRangeRequestCodec.decode(deleteOf(key, end));
  const success = [
    RequestOpCodec.create({ request: { case: 'requestDeleteRange', value: range } }),
  ];
  const body = TxnRequestCodec.encode(TxnRequestCodec.create({ success }));
  const { result } = rig.apply(REQUEST_KIND.TXN, body);
  const answer = result.kind === 'txn' ? result.txn.responses[0] : undefined;
  return answer?.kind === 'delete' ? answer.delete.deleted : -1;
}

function countAt(rig: StoreRig, key: string, end: string, revision: number): number {
  const request = etcdserverpb.RangeRequestCodec.create({
    ...{ key: bytesFromLatin1(key), rangeEnd: bytesFromLatin1(end), revision, countOnly: true },
  });
  const result = new RangeResult();
  new RangeRun().start(rig.kv, request, result);
  return result.count;
}

class Pair {
  readonly env: SimEnv;
  readonly random: Random;
  /** Where deletions are worked off, and where they are whole. */
  readonly late: StoreRig;
  readonly whole: StoreRig;
  readonly sinks = [new Sink(), new Sink()] as const;
  readonly hashes: Promise<void>[] = [];
  /** Comparisons made while tombstones were missing. */
  comparisons = 0;

  constructor(env: SimEnv, seed: number, late: StoreRig, whole: StoreRig) {
    this.env = env;
    this.random = seededRandom(seed);
    this.late = late;
    this.whole = whole;
  }

  static async open(env: SimEnv, seed: number): Promise<Pair> {
    const options = { batchIntervalMs: 3, batchRows: 500 };
    const late = await StoreRig.open(env, { ...options, path: '/late' });
    const whole = await StoreRig.open(env, { ...options, path: '/whole' });
    const pair = new Pair(env, seed, late, whole);
    for (const rig of [late, whole]) {
      fill(rig);
      for (const id of LEASES) rig.grant(id, 600);
    }
    return pair;
  }

  watch(): void {
    const ranges = [
      ['k/', 'k0'],
      ['k/00500', 'k/00900'],
      ['k/00007', ''],
    ] as const;
    for (const [i, rig] of [this.late, this.whole].entries()) {
      const stream = new WatchStream(this.sinks[i]!);
      for (const [key, rangeEnd] of ranges) {
        const options = { key, rangeEnd, startRev: 0, ...EVERY_EVENT };
        expect(rig.machine.watch.hub.watch(stream, 0n, options).ok).toBe(true);
      }
    }
  }

  #both(act: (rig: StoreRig) => unknown): void {
    for (const rig of [this.late, this.whole]) {
      act(rig);
      rig.machine.endTurn();
    }
    expect(this.late.kv.currentRev).toBe(this.whole.kv.currentRev);
  }

  readonly #key = (): string => keyOf(this.random.below(KEYS)) + (this.random.below(4) || '');

  deleteRange(): void {
    const from = this.random.below(3) === 0 ? '\0' : `k/${'00'.slice(this.random.below(3))}`;
    const to = this.random.below(2) === 0 ? '\0' : 'k/01900';
    const deleted = this.late.delete(from, to);
    this.late.machine.endTurn();
    expect(deleted.deleted).toBe(deleteWhole(this.whole, from, to));
    this.whole.machine.endTurn();
  }

  write(): void {
    const key = this.#key();
    const kind = this.random.below(10);
    const lease = LEASES[this.random.below(12)] ?? 0n;
    if (kind < 6) this.#both((rig) => rig.put(key, `${rig.kv.currentRev}`, lease));
    else if (kind < 8) this.#both((rig) => rig.delete(key));
    else if (kind < 9) this.#both((rig) => rig.delete(key, `${key.slice(0, -1)}9`));
    else
      this.#both((rig) =>
        rig.txn([
          [key, 'a'],
          [`${key}x`, 'b'],
        ]),
      );
  }

  /** Revokes a lease, with its keys, and grants it again. */
  revoke(): void {
    const id = LEASES[this.random.below(LEASES.length)]!;
    this.#both((rig) => rig.revoke(id));
    this.#both((rig) => rig.grant(id, 600));
  }

  compact(): void {
    const { compactedRev, currentRev } = this.late.kv;
    const low = Math.max(compactedRev, 1);
    if (low + 1 >= currentRev) return;
    const rev = low + 1 + this.random.below(currentRev - low - 1);
    this.#both((rig) => rig.compact(rev));
  }

  compare(): void {
    if (this.late.kv.deletion.isUnderWay) this.comparisons++;
    const { compactedRev, currentRev } = this.late.kv;
    const low = Math.max(compactedRev, 1);
    const rev = this.random.below(3) === 0 ? 0 : low + this.random.below(currentRev - low + 1);
    const keys = [this.#key(), this.#key()].sort();
    for (const [key, end] of [
      ['\0', '\0'],
      [keys[0]!, keys[1]!],
      [keys[0]!, ''],
    ] as const) {
      expect(countAt(this.late, key, end, rev)).toBe(countAt(this.whole, key, end, rev));
    }
    expect(this.late.pairs(rev)).toEqual(this.whole.pairs(rev));
    const leased = keysOfLeases(this.late);
    expect(leased).toEqual(keysOfLeases(this.whole));
    expect(this.late.kv.index.leasedCount('', '\0')).toBe(leased.flat().length);
    if (this.random.below(6) > 0) return;
    const hashes = [this.late, this.whole].map((rig) => rig.machine.hashKv(rev));
    // Either may be compacted before it is computed.
    const compared = Promise.allSettled(hashes).then(([a, b]) => {
      if (a?.status !== 'fulfilled' || b?.status !== 'fulfilled') return;
      expect(a.value.hash).toBe(b.value.hash);
    });
    this.hashes.push(compared);
  }

  async step(): Promise<void> {
    const kind = this.random.below(40);
    if (kind === 0) this.deleteRange();
    else if (kind === 1) fillAgain(this.random, (puts) => this.#both((rig) => rig.txn(puts)));
    else if (kind === 2) this.compact();
    else if (kind < 6) this.late.kv.deletion.step(1 + this.random.below(400));
    else if (kind < 12) this.compare();
    else if (kind < 13) await pause(this.env, this.random.below(3));
    else if (kind < 14) this.revoke();
    else this.write();
  }

  async finish(): Promise<void> {
    await this.late.kv.deletion.whenDone();
    await pause(this.env, 5_000);
    await Promise.all(this.hashes);
    const { late, whole } = this;
    for (const rig of [late, whole]) await rig.machine.compactor.whenIdle();
    await Promise.all([late.backend.commit(), whole.backend.commit()]);
    expect(late.rowNames()).toEqual(whole.rowNames());
    expect(late.kv.index.describe()).toBe(whole.kv.index.describe());
    expect((await late.machine.hashKv(0)).hash).toBe((await whole.machine.hashKv(0)).hash);
    const seen = this.sinks.map(({ seen: of }) =>
      [...of.values()].map((all) => all.map((e) => e.text)),
    );
    expect(seen[0]).toEqual(seen[1]);
    expect(await late.violations()).toEqual([]);
    expect([...late.failures, ...whole.failures]).toEqual([]);
    await Promise.all([late.close(), whole.close()]);
  }
}

function fillAgain(random: Random, txn: (puts: (readonly [string, string])[]) => void): void {
  for (let i = 0; i < KEYS; i += 64) {
    if (random.below(4) === 0) continue;
    txn(Array.from({ length: 64 }, (_, n) => [keyOf(i + n), `again ${i + n}`] as const));
  }
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a deletion that is worked off later', () => {
  test.each([...Array(6).keys()].map((i) => SEED * 100 + i))(
    'is what it would be at once: seed %i',
    { timeout: 120_000 },
    async (seed) => {
      await on(seed, async (env) => {
        const pair = await Pair.open(env, seed);
        if (seed % 2 === 0) {
          pair.watch();
          workOffSlowly(env);
        }
        pair.deleteRange();
        expect(pair.late.kv.deletion.isUnderWay).toBe(true);
        pair.compare();
        for (let i = 0; i < 250; i++) await pair.step();
        expect(pair.comparisons).toBeGreaterThan(0);
        await pair.finish();
      });
    },
  );

  test('is seen by watchers when all of it is there', async () => {
    await on(SEED, async (env) => {
      const pair = await Pair.open(env, SEED);
      pair.watch();
      workOffSlowly(env);
      pair.deleteRange();
      for (let i = 0; i < 60; i++) {
        pair.write();
        await env.timers.nextTurn();
      }
      await pair.finish();
    });
  });

  test('keeps the file as it was before it, until all its rows are there', async () => {
    await on(SEED, async (env) => {
      const rig = await StoreRig.open(env, { batchIntervalMs: 1, overlayBytesMax: 20_000 });
      fill(rig);
      await rig.backend.commit();
      const index = rig.machine.appliedIndex;
      expect(rig.delete('k', 'l').deleted).toBe(KEYS);
      let durable = -1;
      void rig.backend.commit().then((found) => {
        durable = found.index;
      });
      let puts = 0;
      for (; rig.machine.whenReady() === undefined; puts++) rig.put(keyOf(puts), 'x'.repeat(100));
      expect(puts).toBeGreaterThan(50);
      expect([durable, rig.backend.durable.index]).toEqual([-1, index]);
      while (!rig.kv.deletion.step(100)) expect(rig.backend.durable.index).toBe(index);
      expect(rig.machine.whenReady()).toBeUndefined();
      await rig.backend.commit();
      expect(durable).toBe(index + 1 + puts);
      expect(rig.pairs()).toHaveLength(puts);
      await rig.close();
    });
  });

  test('ends before the store is closed', async () => {
    await on(SEED, async (env) => {
      const rig = await StoreRig.open(env);
      fill(rig);
      rig.delete('\0', '\0');
      rig.put('new', '1');
      await rig.close();
      const again = await StoreRig.open(env);
      expect(again.pairs()).toHaveLength(1);
      expect(again.kv.index.revisionCount).toBe(2 * KEYS + 1);
      await again.close();
    });
  });

  test('is not begun where few are deleted', async () => {
    await on(SEED, async (env) => {
      const rig = await StoreRig.open(env);
      fill(rig);
      rig.delete('k/00000', 'k/00100');
      expect(rig.kv.deletion.isUnderWay).toBe(false);
      await rig.close();
    });
  });

  test('detaches a few keys from their leases at once, those of its range alone', async () => {
    await on(SEED, async (env) => {
      const rig = await StoreRig.open(env);
      fill(rig);
      for (const id of LEASES) rig.grant(id, 60);
      rig.put('k/00200', 'x', 1n);
      rig.put('k/00300', 'x', 1n);
      rig.put('k/00400', 'x', 2n);
      rig.put('a', 'x', 2n);
      rig.put('m', 'x', 2n);
      rig.delete('k', 'l');
      expect(rig.kv.deletion.isUnderWay).toBe(true);
      expect(keysOfLeases(rig)).toEqual([[], ['a', 'm'], []]);
      rig.put('k/00200', 'y', 3n);
      expect(rig.revoke(1n).error).toBeUndefined();
      while (!rig.kv.deletion.step(300));
      expect(rig.pairs().map((pair) => pair.split('@')[0])).toEqual(['a=x', 'k/00200=y', 'm=x']);
      expect(rig.revoke(3n).error).toBeUndefined();
      expect(rig.pairs()).toHaveLength(2);
      expect(await rig.violations()).toEqual([]);
      await rig.close();
    });
  });

  test('is not begun where many keys of the range have leases', async () => {
    await on(SEED, async (env) => {
      const rig = await StoreRig.open(env);
      fill(rig);
      rig.grant(1n, 60);
      for (let i = 0; i < RANGE_TOMBSTONE_LEASED_MAX; i++) rig.put(keyOf(i), 'x', 1n);
      rig.put('m', 'x', 1n);
      rig.delete('k', 'l');
      expect(rig.kv.deletion.isUnderWay).toBe(true);
      while (!rig.kv.deletion.step(300));
      for (let i = 0; i <= RANGE_TOMBSTONE_LEASED_MAX; i++) rig.put(keyOf(i), 'x', 1n);
      rig.delete('k', 'l');
      expect(rig.kv.deletion.isUnderWay).toBe(false);
      expect(rig.pairs()).toHaveLength(1);
      await rig.close();
    });
  });

  test('is left by a store that another one replaces, and watchers miss nothing', async () => {
    await on(SEED, async (env) => {
      const leader = await StoreRig.open(env, { path: '/leader' });
      const follower = await StoreRig.open(env);
      const sink = new Sink();
      const options = { key: 'k', rangeEnd: 'l', startRev: 0 };
      for (const rig of [leader, follower]) fill(rig);
      const all = { ...options, ...EVERY_EVENT };
      follower.machine.watch.hub.watch(new WatchStream(sink), 0n, all);
      leader.delete('k', 'l');
      leader.put('k/last', 'x');
      const copy = await leader.backend.openCopy();
      const { index, term } = copy.durable;
      await saveCopy(env, copy, '/received');
      copy.close();
      let view = follower.kv.pin();
      const begin = async () => {
        view.release();
        follower.delete('k', 'l');
        view = follower.kv.pin();
      };
      const { rig, retired } = await follower.install('/received', { index, term }, {}, begin);
      expect(follower.kv.index.rangeTombstone).toBeDefined();
      expect(follower.pairs(0, view)).toEqual([]);
      view.release();
      await retired;
      await pause(env, 1000);
      expect(rig.pairs()).toHaveLength(1);
      const [events] = [...sink.seen.values()];
      expect(events!.filter(({ text }) => text.includes(' delete ')).length).toBe(KEYS);
      await rig.close();
      await leader.close();
    });
  });
});

/** A process on a disk that a crash left. */
function envOn(disk: SimDisk, seed: number): SimEnv {
  const late: { env?: SimEnv } = {};
  const schedule = (delayMs: number, callback: () => void) =>
    void late.env!.timers.after(delayMs, callback);
  const own = disk.outcome({ seed, unsynced: 'kept', schedule });
  late.env = new SimEnv(new SimWorld({ seed, autoRun: false }), 'localhost', undefined, own);
  return late.env;
}

test('a crash at any effect leaves all of a deletion or nothing', {
  timeout: 120_000,
}, async () => {
  const outcomes: SimDisk[] = [];
  const log: raftpb.Entry[] = [];
  /** By applied index. */
  const expected = new Map<number, number>();
  let hash = 0;
  let leased: string[] = [];
  await on(SEED, async (env) => {
    const rig = await StoreRig.open(env, { batchIntervalMs: 1 });
    const apply = (data: Uint8Array): void => {
      const entry = rig.entry(data);
      log.push(entry);
      rig.applyEntry(entry);
      expected.set(entry.index, rig.pairs().length);
    };
    const put = (key: string, lease = 0n): void => {
      const codec = etcdserverpb.PutRequestCodec;
      const body = codec.encode(codec.create({ key: bytesFromLatin1(key), lease }));
      apply(encodeEnvelope(REQUEST_KIND.PUT, 1, 7, body, 0, body.length));
    };
    expected.set(0, 0);
    fill(rig);
    rig.grant(1n, 600);
    await rig.backend.commit();
    expected.set(rig.machine.appliedIndex, KEYS);
    const first = rig.machine.appliedIndex;
    env.disk.intercept = ({ effect }) => {
      for (let i = 0; i < 2; i++) outcomes.push(env.disk.outcome({ seed: SEED + effect * 2 + i }));
      return undefined;
    };
    const body = deleteOf('k', 'l');
    put('a');
    await pause(env, 3);
    for (let round = 0; round < 2; round++) {
      apply(encodeEnvelope(REQUEST_KIND.DELETE_RANGE, 1, 7, body, 0, body.length));
      for (let i = 0; i < 20; i++) {
        put(`b${i}`);
        put(keyOf(i), i % 3 === 0 ? 1n : 0n);
        rig.kv.deletion.step(60);
        if (i % 5 === 0) await pause(env, 1);
      }
      await rig.kv.deletion.whenDone();
      await pause(env, 3);
    }
    await rig.backend.commit();
    env.disk.intercept = undefined;
    hash = (await rig.machine.hashKv(0)).hash;
    leased = rig.machine.leases.lessor.lookup(1n)!.keys.sorted();
    expect(leased.length).toBeGreaterThan(3);
    expect(log[0]!.index).toBe(first + 1);
    await rig.close();
  });
  expect(outcomes.length).toBeGreaterThan(20);
  const found = new Set<number>();
  for (const [i, disk] of outcomes.entries()) {
    const env = envOn(disk, i);
    await env.run(async () => {
      const rig = await StoreRig.open(env);
      const { appliedIndex } = rig.machine;
      found.add(appliedIndex);
      expect(rig.pairs(), `outcome ${i}`).toHaveLength(expected.get(appliedIndex)!);
      for (const entry of log) if (entry.index > appliedIndex) rig.applyEntry(entry);
      expect((await rig.machine.hashKv(0)).hash, `outcome ${i}`).toBe(hash);
      expect(rig.machine.leases.lessor.lookup(1n)!.keys.sorted()).toEqual(leased);
      expect(await rig.violations()).toEqual([]);
      await rig.close();
    });
  }
  expect(found.size).toBeGreaterThan(2);
});
