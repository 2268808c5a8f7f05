import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mvccpb } from '../../protocol/index.ts';
import { WatchCursor } from './watch-cursor.ts';

function event(modRevision: number, name: number): mvccpb.Event {
  const kv = mvccpb.KeyValueCodec.create({ modRevision, key: Uint8Array.of(name) });
  return { type: mvccpb.EventType.PUT, kv, prevKv: undefined };
}

function named(events: readonly mvccpb.Event[]): string[] {
  return events.map(({ kv }) => `${kv!.modRevision}.${kv!.key[0]}`);
}

test('a start of "now" becomes the revision after the one at which the watch was created', () => {
  const cursor = new WatchCursor(0);
  expect(cursor.begin()).toBe(0);
  cursor.onCreated(7);
  expect(cursor.begin()).toBe(8);
  cursor.onCreated(20);
  expect(cursor.begin()).toBe(8);
});

test('goes on after the last whole revision, or after progress, whichever is later', () => {
  const cursor = new WatchCursor(3);
  expect(cursor.begin()).toBe(3);
  cursor.accept([event(5, 0), event(6, 0)], false);
  expect(cursor.begin()).toBe(7);
  cursor.onProgress(12);
  expect(cursor.begin()).toBe(13);
  cursor.onProgress(9);
  expect(cursor.begin()).toBe(13);
});

test('a revision of which fragments are missing is asked for again and not repeated', () => {
  const cursor = new WatchCursor(1);
  expect(named(cursor.accept([event(4, 0), event(5, 0), event(5, 1)], true))).toEqual([
    '4.0',
    '5.0',
    '5.1',
  ]);
  expect(cursor.begin()).toBe(5);
  // Progress in between does not skip what is missing.
  cursor.onProgress(9);
  expect(cursor.begin()).toBe(5);
  expect(named(cursor.accept([event(5, 0)], true))).toEqual([]);
  // A second break in the middle of the repetition.
  expect(cursor.begin()).toBe(5);
  const again = [event(5, 0), event(5, 1), event(5, 2), event(6, 0)];
  expect(named(cursor.accept(again, false))).toEqual(['5.2', '6.0']);
  expect(cursor.begin()).toBe(7);
});

test('events that a server repeats are dropped', () => {
  const cursor = new WatchCursor(1);
  cursor.accept([event(2, 0), event(3, 0)], false);
  expect(named(cursor.accept([event(2, 0), event(3, 0), event(4, 0)], false))).toEqual(['4.0']);
});

test('any breaks, fragments and repetitions deliver a history once and in order', () => {
  const revisions = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 12 });
  // For each message: how many events it carries, and whether the stream breaks after it.
  const messages = fc.array(
    fc.record({ size: fc.integer({ min: 1, max: 5 }), breaks: fc.boolean() }),
    { minLength: 1, maxLength: 30 },
  );
  fc.assert(
    fc.property(revisions, messages, (sizes, plan) => {
      const history = sizes.flatMap((size, i) =>
        Array.from({ length: size }, (_unused, name) => event(i + 1, name)),
      );
      const cursor = new WatchCursor(1);
      const delivered: mvccpb.Event[] = [];
      const from = (revision: number): mvccpb.Event[] =>
        history.filter(({ kv }) => kv!.modRevision >= revision);
      let waiting = from(cursor.begin());
      for (let step = 0; waiting.length > 0; step++) {
        // The plan repeats; its breaks do not, or nothing might ever get through.
        const { size, breaks } = plan[step % plan.length]!;
        const sent = waiting.slice(0, size);
        const next = waiting[size];
        const fragment =
          next !== undefined && next.kv!.modRevision === sent.at(-1)!.kv!.modRevision;
        delivered.push(...cursor.accept(sent, fragment));
        waiting = breaks && step < plan.length ? from(cursor.begin()) : waiting.slice(size);
      }
      expect(named(delivered)).toEqual(named(history));
    }),
  );
});
