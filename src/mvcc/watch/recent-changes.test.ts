// Watchers that are little behind.

import { describe, expect, test } from 'vitest';
import type { MemoryStore } from '../eval/memory-store.fixture.ts';
import {
  WATCH_RECENT_BYTES_MAX,
  WATCH_RECENT_CHANGES_MAX,
  WATCH_WINDOW_CHANGES_MAX,
} from '../limits.ts';
import { accepted, openHub } from './watch-hub.fixture.ts';

describe('watchers that are little behind', () => {
  /** Many watchers of different keys and variants on a stream that is full from revision 2 on. */
  function openBehind() {
    const opened = openHub();
    const { hub, put, stream, sink, watch, store } = opened;
    put('a', '0');
    const options = [
      ...['a', 'b', 'c'].map((key) => ({ key })),
      ...[{ rangeEnd: '\0' }, { key: 'b', noPut: true }, { key: 'b', withPrevious: true }],
    ];
    const watchers = options.map((one) => accepted(watch(one)));
    sink.room = 0;
    const passes: number[] = [];
    const { offer } = sink;
    sink.offer = (among, from, to, batch) => {
      const taken = offer.call(sink, among, from, to, batch);
      for (let i = 0; i < taken; i++) passes.push(batch.size);
      return taken;
    };
    const resume = () => {
      sink.room = Number.POSITIVE_INFINITY;
      hub.resume(stream);
    };
    const reads = { rows: 0 };
    const openRows: MemoryStore['openRows'] = (...args) => {
      reads.rows++;
      return store.openRows(...args);
    };
    const catchUp = (budget = 1000) => {
      while (!hub.catchUp(store, { openRows }, budget));
    };
    return { ...opened, watchers, passes, resume, reads, catchUp };
  }

  test('get what they missed together, in one batch each, without the store', () => {
    const { hub, put, sink, watchers, resume, passes, reads, catchUp, store } = openBehind();
    for (let i = 1; i <= 4; i++) for (const key of ['a', 'b']) put(key, String(i));
    expect(hub.unsyncedCount).toBe(4);
    resume();
    const { index } = store;
    const { revisionsOfKey } = index;
    index.revisionsOfKey = () => expect.fail('the index is not read');
    catchUp();
    index.revisionsOfKey = revisionsOfKey;
    expect(reads.rows).toBe(0);
    expect(passes.sort((a, b) => a - b)).toEqual([4, 4, 4, 8]);
    const [a, b, c, all, none, previous] = watchers.map((watcher) => sink.of(watcher));
    expect(a).toEqual(['put a@3=1 v2', 'put a@5=2 v3', 'put a@7=3 v4', 'put a@9=4 v5']);
    expect(b).toEqual(['put b@4=1 v1', 'put b@6=2 v2', 'put b@8=3 v3', 'put b@10=4 v4']);
    expect(all).toHaveLength(8);
    expect([c, none]).toEqual([[], []]);
    expect(previous![1]).toBe('put b@6=2 v2 was b@4=1 v1');
    expect([hub.syncedCount, hub.unsyncedCount]).toEqual([6, 0]);
  });

  test.each([1, 2, 1000])('go on with what comes meanwhile, in slices of %s', (budget) => {
    const { hub, put, sink, watchers, resume, reads, store } = openBehind();
    for (let i = 0; i < 5; i++) put('a', String(i));
    resume();
    const rows = { openRows: () => expect.fail('no row is read') };
    for (let i = 0; !hub.catchUp(store, rows, budget); i++) {
      expect(i).toBeLessThan(1000);
      if (i < 20) put('a', `later ${i}`);
    }
    const seen = sink.of(watchers[0]!);
    expect(sink.of(watchers[3]!)).toEqual(seen);
    expect(seen).toHaveLength(store.currentRev - 2);
    expect(reads.rows).toBe(0);
    expect(hub.check()).toEqual([]);
  });

  test.each([
    ['changes', WATCH_RECENT_CHANGES_MAX + 1, 1],
    ['bytes', 9, WATCH_RECENT_BYTES_MAX / 8],
  ])('read from the store what is beyond the bound of %s', (_what, count, size) => {
    const { put, sink, watchers, resume, reads, catchUp } = openBehind();
    for (let i = 0; i < count; i++) put('a', 'x'.repeat(size));
    resume();
    catchUp();
    expect(sink.of(watchers[0]!)).toHaveLength(count);
    expect(sink.of(watchers[3]!)).toHaveLength(count);
    expect(reads.rows).toBeGreaterThan(0);
  });

  test('get many changes in windows', () => {
    const { hub, put, sink, watchers, resume, reads, catchUp, passes } = openBehind();
    const count = WATCH_WINDOW_CHANGES_MAX * 2 + 1;
    for (let i = 0; i < count; i++) put(i % 2 === 0 ? 'a' : 'b', '');
    resume();
    catchUp(500);
    expect(sink.of(watchers[3]!)).toHaveLength(count);
    expect(Math.max(...passes)).toBe(WATCH_WINDOW_CHANGES_MAX);
    expect(reads.rows).toBe(0);
    expect([hub.unsyncedCount, hub.check()]).toEqual([0, []]);
  });

  test('read from the store after a revision that nobody was notified of', () => {
    const { hub, put, sink, watchers, resume, reads, catchUp, store } = openBehind();
    put('a', '1');
    store.put('a', '2');
    hub.leaveToPasses(store.currentRev);
    put('a', '3');
    resume();
    catchUp();
    expect(sink.of(watchers[3]!)).toHaveLength(3);
    expect(reads.rows).toBeGreaterThan(0);
  });
});
