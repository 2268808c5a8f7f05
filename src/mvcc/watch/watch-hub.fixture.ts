// A hub over a store in memory, and a stream that keeps what it is offered.

import { expect } from 'vitest';
import { mvccpb } from '../../protocol/index.ts';
import { MemoryStore } from '../eval/memory-store.fixture.ts';
import type { EventBatch } from './event-batch.ts';
import { WatchHub } from './watch-hub.ts';
import { type Watcher, type WatchOptions, type WatchSink, WatchStream } from './watcher.ts';

/** Decodes the events of a batch, as a client would. */
function decode(batch: EventBatch): mvccpb.Event[] {
  const bytes = new Uint8Array(batch.byteCount());
  expect(batch.write(bytes, 0)).toBe(bytes.length);
  // The same in pieces, as for fragments.
  const pieces = new Uint8Array(bytes.length);
  let end = 0;
  for (let i = 0; i < batch.size; i++) {
    end = batch.write(pieces, end, i, i + 1);
    expect(end).toBe(batch.byteCount(0, i + 1));
  }
  expect(Buffer.from(pieces).equals(bytes)).toBe(true);
  const events: mvccpb.Event[] = [];
  for (let at = 0; at < bytes.length; ) {
    expect(bytes[at++]).toBe(0x5a);
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    events.push(mvccpb.EventCodec.decode(bytes, at, at + length));
    at += length;
  }
  return events;
}

/** One line per event: what happened, and before it. */
function describeEvent({ type, kv, prevKv }: mvccpb.Event): string {
  const pair = (p: mvccpb.KeyValue) =>
    `${Buffer.from(p.key).toString('latin1')}@${p.modRevision}` +
    (p.version === 0 ? '' : `=${Buffer.from(p.value).toString('latin1')} v${p.version}`);
  const previous = prevKv === undefined ? '' : ` was ${pair(prevKv)}`;
  return `${type === 1 ? 'delete' : 'put'} ${pair(kv!)}${previous}`;
}

/** Keeps what it takes, as text, and checks its order. */
export class RecordingSink implements WatchSink {
  /** Batches that it still takes before it is full. */
  room = Number.POSITIVE_INFINITY;
  readonly seen = new Map<Watcher, string[]>();
  readonly compactedAt = new Map<Watcher, number>();
  /** Revision of the last event, and of the last header, by watcher. */
  readonly last = new Map<Watcher, number>();

  offer(watchers: readonly Watcher[], from: number, to: number, batch: EventBatch): number {
    const end = Math.min(to, from + this.room);
    this.room -= end - from;
    for (let i = from; i < end; i++) this.#take(watchers[i]!, batch);
    for (let i = from; i < to; i++) expect(watchers[i]!.stream).toBe(watchers[from]!.stream);
    return end - from;
  }

  #take(watcher: Watcher, batch: EventBatch): void {
    const events = decode(batch);
    expect(events.length).toBe(batch.size);
    const last = this.last.get(watcher) ?? 0;
    expect(events[0]!.kv!.modRevision).toBeGreaterThan(last);
    expect(events[0]!.kv!.modRevision).toBeGreaterThanOrEqual(watcher.minRev);
    expect(batch.revision).toBeGreaterThanOrEqual(events.at(-1)!.kv!.modRevision);
    this.last.set(watcher, events.at(-1)!.kv!.modRevision);
    this.of(watcher).push(...events.map(describeEvent));
  }

  compacted(watcher: Watcher, compactedRev: number): void {
    this.compactedAt.set(watcher, compactedRev);
  }

  of(watcher: Watcher): string[] {
    let seen = this.seen.get(watcher);
    if (seen === undefined) {
      seen = [];
      this.seen.set(watcher, seen);
    }
    return seen;
  }
}

/** A watcher that wants all, without what was before. */
export const PLAIN = { noPut: false, noDelete: false, withPrevious: false };

/** A hub over a store, with one stream. */
export function openHub() {
  const store = new MemoryStore();
  const hub = new WatchHub(store.currentRev);
  const sink = new RecordingSink();
  const stream = new WatchStream(sink);
  const put = (key: string, value = 'v') => {
    store.put(key, value);
    hub.notify(store, store.currentRev, store.txn.changes);
  };
  const watch = (options: Partial<WatchOptions>, id = 0n) =>
    hub.watch(stream, id, { key: 'a', rangeEnd: '', startRev: 0, ...PLAIN, ...options });
  const settle = () => {
    while (!hub.catchUp(store, store, 100));
  };
  return { store, hub, sink, stream, put, watch, settle };
}

/** The watcher of an answer that is one. */
export function accepted(answer: ReturnType<WatchHub['watch']>): Watcher {
  expect(answer.ok).toBe(true);
  return (answer as { watcher: Watcher }).watcher;
}
