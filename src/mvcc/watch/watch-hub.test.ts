import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesFromLatin1, type Random, seededRandom } from '../../base/index.ts';
import { rangeContains } from '../eval/key-range.ts';
import { MemoryStore } from '../eval/memory-store.fixture.ts';
import { randomKey, randomRange } from '../index/naive-index.fixture.ts';
import { WATCH_WINDOW_BYTES_MAX } from '../limits.ts';
import { accepted, openHub, PLAIN, RecordingSink } from './watch-hub.fixture.ts';
import { WatchHub } from './watch-hub.ts';
import {
  WATCHER_STATE,
  type Watcher,
  type WatchOptions,
  type WatchSink,
  WatchStream,
} from './watcher.ts';

/** What happened in a store, to be compared with what watchers saw. */
interface Happened {
  readonly key: string;
  readonly main: number;
  readonly deletion: boolean;
  readonly plain: string;
  readonly withPrevious: string;
}

/** A hub over a store, and the naive twin: a list of everything that ever happened. */
class World {
  readonly store = new MemoryStore();
  readonly hub = new WatchHub(1);
  readonly happened: Happened[] = [];
  readonly streams: WatchStream[] = [];
  readonly watchers: Watcher[] = [];
  readonly random: Random;
  /** The pairs as of the last revision. */
  readonly pairs = new Map<string, string>();

  constructor(seed: number) {
    this.random = seededRandom(seed);
    for (let i = 0; i < 3; i++) this.streams.push(new WatchStream(new RecordingSink()));
  }

  write(changes: number): void {
    const { store } = this;
    const main = store.currentRev + 1;
    const before = new Map(this.pairs);
    // No key twice: of two changes of a key in one revision, compaction at it keeps the second only.
    const keys = new Set<string>();
    while (keys.size < changes) keys.add(randomKey(this.random, 2));
    store.write((txn) => {
      for (const key of keys) {
        const exists = txn.index.get(key, main, { ...state });
        if (exists && this.random.below(3) === 0) {
          txn.delete(key);
          this.note(key, main, true, `delete ${key}@${main}`, before);
          this.pairs.delete(key);
        } else {
          const value = bytesFromLatin1(`x${main}`);
          txn.put(key, value, 0, value.length, 0n);
          txn.index.get(key, main, state);
          const pair = `${key}@${main}=x${main} v${state.version}`;
          const creation = state.createMain === main;
          this.note(key, main, false, `put ${pair}`, creation ? new Map() : before);
          this.pairs.set(key, pair);
        }
      }
    });
    this.hub.notify(store, main, store.txn.changes);
  }

  note(key: string, main: number, deletion: boolean, plain: string, before: Map<string, string>) {
    const was = before.get(key);
    const withPrevious = was === undefined ? plain : `${plain} was ${was}`;
    this.happened.push({ key, main, deletion, plain, withPrevious });
  }

  watch(): void {
    const [key, rangeEnd] = randomRange(this.random, 2);
    const stream = this.streams[this.random.below(this.streams.length)]!;
    if (stream.closed) return;
    const options: WatchOptions = {
      key,
      rangeEnd,
      startRev: this.random.below(3) === 0 ? 0 : this.random.below(this.store.currentRev + 4),
      noPut: this.random.below(5) === 0,
      noDelete: this.random.below(5) === 0,
      withPrevious: this.random.below(3) === 0,
    };
    const answer = this.hub.watch(stream, 0n, options);
    if (!answer.ok) {
      expect(rangeEnd <= key).toBe(true);
      return;
    }
    this.watchers.push(answer.watcher);
    if (options.startRev === 0) this.sawFrom.set(answer.watcher, this.store.currentRev + 1);
    else this.sawFrom.set(answer.watcher, options.startRev);
  }

  readonly sawFrom = new Map<Watcher, number>();

  step(): void {
    const kind = this.random.below(20);
    const stream = this.streams[this.random.below(this.streams.length)]!;
    const sink = stream.sink as RecordingSink;
    if (kind < 9) this.write(1 + this.random.below(4));
    else if (kind < 12) this.watch();
    else if (kind < 16) this.hub.catchUp(this.store, this.store, 1 + this.random.below(20));
    else if (kind === 16) sink.room = this.random.below(6);
    else if (kind === 17) {
      sink.room = 1 + this.random.below(10);
      this.hub.resume(stream);
    } else if (kind === 18 && this.random.below(4) === 0) {
      const from = Math.max(this.store.compactedRev, 1);
      this.store.compact(from + this.random.below(this.store.currentRev - from + 1));
    } else if (kind === 19) {
      const watcher = this.watchers[this.random.below(this.watchers.length || 1)];
      if (watcher !== undefined && this.random.below(4) === 0) {
        this.hub.cancel(watcher.stream, watcher.id);
      }
    }
    expect(this.hub.check()).toEqual([]);
  }

  finish(): void {
    for (const stream of this.streams) {
      (stream.sink as RecordingSink).room = Number.POSITIVE_INFINITY;
      this.hub.resume(stream);
    }
    for (let i = 0; !this.hub.catchUp(this.store, this.store, 7); i++)
      expect(i).toBeLessThan(10_000);
    for (const watcher of this.watchers) this.compare(watcher);
  }

  compare(watcher: Watcher): void {
    const sink = watcher.stream.sink as RecordingSink;
    const from = this.sawFrom.get(watcher)!;
    const wanted = this.happened.filter(
      ({ key, main, deletion }) =>
        main >= from &&
        rangeContains(watcher.key, watcher.rangeEnd, key) &&
        !((watcher.variant & 1) !== 0 && !deletion) &&
        !((watcher.variant & 2) !== 0 && deletion),
    );
    const seen = sink.of(watcher);
    // A previous pair may be compacted when the event is sent; the event itself may not.
    const strip = (line: string) => line.replace(/ was .*/s, '');
    const expected = wanted.map((w) => w.plain);
    if (watcher.state === WATCHER_STATE.SYNCED) {
      expect(seen.map(strip)).toEqual(expected);
    } else {
      expect(seen.map(strip)).toEqual(expected.slice(0, seen.length));
      if (watcher.state === WATCHER_STATE.COMPACTED) {
        expect(sink.compactedAt.get(watcher)).toBeGreaterThan(watcher.minRev);
      } else {
        expect(watcher.state).toBe(WATCHER_STATE.CANCELED);
      }
    }
    for (const [i, line] of seen.entries()) {
      if ((watcher.variant & 4) === 0) expect(line).toBe(wanted[i]!.plain);
      else if (line !== wanted[i]!.plain || this.store.compactedRev < 0) {
        expect(line).toBe(wanted[i]!.withPrevious);
      }
    }
  }
}

const state = { modMain: 0, modSub: 0, createMain: 0, version: 0, leaseSlot: 0 };

test('every watcher sees what happened, in order, once, and nothing else', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const world = new World(seed);
      for (let i = 0; i < 150; i++) world.step();
      world.finish();
    }),
    { numRuns: 60 },
  );
});

describe('ids', () => {
  test('0 lets the hub choose, from 0 on, around ids that are in use', () => {
    const { watch } = openHub();
    expect(accepted(watch({})).id).toBe(0n);
    expect(accepted(watch({}, 2n)).id).toBe(2n);
    expect(accepted(watch({})).id).toBe(1n);
    expect(accepted(watch({})).id).toBe(3n);
    expect(watch({}, 2n)).toEqual({ ok: false, reason: 'duplicate id' });
    expect(accepted(watch({}, -5n)).id).toBe(-5n);
  });

  test('an id is free again once its watcher is canceled', () => {
    const { hub, stream, watch } = openHub();
    watch({}, 7n);
    expect(hub.cancel(stream, 7n)).toBe(true);
    expect(hub.cancel(stream, 7n)).toBe(false);
    expect(accepted(watch({}, 7n)).id).toBe(7n);
  });
});

test('a range whose end is not above its key is refused', () => {
  const { watch } = openHub();
  expect(watch({ key: 'b', rangeEnd: 'b' })).toEqual({ ok: false, reason: 'empty range' });
  expect(watch({ key: 'b', rangeEnd: 'a' })).toEqual({ ok: false, reason: 'empty range' });
  expect(watch({ key: 'b', rangeEnd: '\0' }).ok).toBe(true);
});

test('progress is named only when every watcher is synced and its start has come', () => {
  const { hub, put, watch, settle } = openHub();
  put('a');
  const now = accepted(watch({}));
  expect(hub.progressRev([now])).toBe(2);
  const past = accepted(watch({ startRev: 2 }));
  expect(hub.progressRev([now, past])).toBeUndefined();
  settle();
  expect(hub.progressRev([now, past])).toBe(2);
  const future = accepted(watch({ startRev: 4 }));
  expect(hub.progressRev([future])).toBeUndefined();
  put('a');
  expect(hub.progressRev([future])).toBeUndefined();
  put('a');
  expect(hub.progressRev([now, past, future])).toBe(4);
});

test('a watcher of a future revision sees nothing before it', () => {
  const { sink, put, watch } = openHub();
  const watcher = accepted(watch({ startRev: 4 }));
  for (let i = 0; i < 4; i++) put('a', String(i));
  expect(sink.of(watcher)).toEqual(['put a@4=2 v3', 'put a@5=3 v4']);
});

test('a full stream costs no memory and goes on where it was', () => {
  const { hub, stream, sink, put, watch, settle } = openHub();
  const watcher = accepted(watch({ rangeEnd: '\0' }));
  sink.room = 1;
  for (let i = 0; i < 5; i++) put('a', String(i));
  expect(watcher.state).toBe(WATCHER_STATE.BLOCKED);
  expect(watcher.minRev).toBe(3);
  settle();
  expect(hub.unsyncedCount).toBe(1);
  expect(sink.of(watcher).length).toBe(1);
  sink.room = 10;
  hub.resume(stream);
  settle();
  expect(sink.of(watcher).length).toBe(5);
  expect(watcher.state).toBe(WATCHER_STATE.SYNCED);
  expect(hub.unsyncedCount).toBe(0);
});

test.each(['', '\0'])('large revisions come a few at a time (range end %j)', (rangeEnd) => {
  const { sink, put, watch, settle } = openHub();
  const value = 'x'.repeat(WATCH_WINDOW_BYTES_MAX / 4);
  for (let i = 0; i < 10; i++) put('a', value);
  const sizes: number[] = [];
  const { offer } = sink;
  sink.offer = (watchers, from, to, batch) => {
    sizes.push(batch.size);
    return offer.call(sink, watchers, from, to, batch);
  };
  const watcher = accepted(watch({ rangeEnd, startRev: 1 }));
  settle();
  expect(sink.of(watcher)).toHaveLength(10);
  expect(sizes).toEqual([4, 4, 2]);
});

test('a watcher that starts below the compacted revision is canceled with it', () => {
  const { store, sink, put, watch, settle, stream, hub } = openHub();
  for (let i = 0; i < 5; i++) put('a', String(i));
  store.compact(4);
  const below = accepted(watch({ startRev: 3 }));
  const at = accepted(watch({ startRev: 4 }));
  settle();
  expect(sink.compactedAt.get(below)).toBe(4);
  expect(sink.of(below)).toEqual([]);
  expect(sink.of(at)).toEqual(['put a@4=2 v3', 'put a@5=3 v4', 'put a@6=4 v5']);
  // Its id stays taken, and no progress is named, until the client cancels it.
  expect(hub.progressRev(stream.watchers.values())).toBeUndefined();
  expect(hub.cancel(stream, below.id)).toBe(true);
  expect(hub.progressRev(stream.watchers.values())).toBe(6);
});

test('a blocked watcher whose revisions are compacted is told so, and sees nothing later', () => {
  const { store, hub, stream, sink, put, watch, settle } = openHub();
  const watchers = [watch({}), watch({ rangeEnd: 'b' }), watch({ key: 'z' })].map(accepted);
  sink.room = 0;
  for (let i = 0; i < 5; i++) put('a', String(i));
  store.compact(4);
  for (let i = 0; i < 3; i++) {
    settle();
    put('a', 'while it is full');
  }
  sink.room = 10;
  hub.resume(stream);
  settle();
  put('a', 'later');
  settle();
  expect(watchers.map((each) => sink.compactedAt.get(each))).toEqual([4, 4, undefined]);
  expect(watchers.flatMap((each) => sink.of(each))).toEqual([]);
});

test('a revision of many changes comes in slices, whole, to all of its watchers', () => {
  const { store, hub, sink, watch, settle, put } = openHub();
  for (let i = 0; i < 3000; i++) put(`k${String(i).padStart(4, '0')}`);
  const all = accepted(watch({ key: 'k', rangeEnd: 'l', withPrevious: true }));
  const one = accepted(watch({ key: 'k0042' }));
  const other = accepted(watch({ key: 'z' }));
  store.write((txn) => {
    for (let i = 0; i < 3000; i++) txn.delete(`k${String(i).padStart(4, '0')}`);
  });
  hub.notify(store, store.currentRev, store.txn.changes);
  expect(sink.of(all)).toEqual([]);
  expect(hub.progressRev([other])).toBeUndefined();
  put('k0042');
  settle();
  expect(sink.of(all).length).toBe(3001);
  expect(sink.of(all)[7]).toBe('delete k0007@3002 was k0007@9=v v1');
  expect(sink.of(one)).toEqual(['delete k0042@3002', 'put k0042@3003=v v1']);
  expect(hub.progressRev([all, one, other])).toBe(3003);
});

test('a replaced store: synced watchers go on from what they saw', () => {
  const { store, hub, sink, watch, put, settle } = openHub();
  put('a', '0');
  const watcher = accepted(watch({}));
  const future = accepted(watch({ startRev: 100 }));
  put('a', '1');
  // The snapshot holds three more revisions.
  for (let i = 2; i < 5; i++) store.put('a', String(i));
  hub.restore(store.currentRev);
  settle();
  expect(sink.of(watcher)).toEqual([
    'put a@3=1 v2',
    'put a@4=2 v3',
    'put a@5=3 v4',
    'put a@6=4 v5',
  ]);
  expect(future.state).toBe(WATCHER_STATE.SYNCED);
  expect(future.minRev).toBe(100);
});

test('closing a stream in the middle of a pass leaves nothing behind', () => {
  const { hub, store, stream, watch, put } = openHub();
  for (let i = 0; i < 500; i++) put('a', String(i));
  for (let i = 0; i < 10; i++) watch({ startRev: 2, rangeEnd: i % 2 === 0 ? '' : 'b' });
  hub.catchUp(store, store, 300);
  hub.catchUp(store, store, 300);
  hub.close(stream);
  while (!hub.catchUp(store, store, 300));
  expect(hub.unsyncedCount).toBe(0);
  expect(hub.syncedCount).toBe(0);
  expect(hub.check()).toEqual([]);
});

test('many watchers of many single keys and ranges all get there', () => {
  const { hub, sink, watch, put, settle } = openHub();
  for (let i = 0; i < 40; i++) put(`k${i}`);
  const watchers = Array.from({ length: 3000 }, (_, i) =>
    accepted(watch({ key: `k${i % 40}`, rangeEnd: i % 3 === 0 ? 'l' : '', startRev: 2 })),
  );
  settle();
  expect(hub.unsyncedCount).toBe(0);
  for (const [i, watcher] of watchers.entries()) {
    expect(sink.of(watcher).length).toBe(
      i % 3 === 0 ? [...Array(40).keys()].filter((n) => `k${n}` >= `k${i % 40}`).length : 1,
    );
  }
});

test.each([0, 1, 3])('a stream that breaks in the middle of a batch (taken by %s)', (taken) => {
  const { hub, store, put, sink, watch, settle } = openHub();
  const breaking: WatchSink = {
    offer: (watchers, from, to) => {
      hub.close(watchers[from]!.stream);
      return Math.min(taken, to - from);
    },
    compacted: () => {},
  };
  const open = (startRev: number) => {
    const stream = new WatchStream(breaking);
    for (let i = 0; i < 3; i++) {
      hub.watch(stream, 0n, { key: 'a', rangeEnd: 'b', startRev, ...PLAIN });
    }
  };
  put('a', '0');
  const other = accepted(watch({ rangeEnd: 'b', startRev: 2 }));
  open(0);
  open(2);
  settle();
  put('a', '1');
  open(2);
  for (let i = 0; !hub.catchUp(store, store, 1); i++) expect(i).toBeLessThan(1000);
  expect(sink.of(other)).toEqual(['put a@2=0 v1', 'put a@3=1 v2']);
  expect([hub.syncedCount, hub.unsyncedCount]).toEqual([1, 0]);
  expect(hub.check()).toEqual([]);
});
