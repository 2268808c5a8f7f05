// Each promise about watches has at least one watch here that breaks it.

import { describe, expect, test } from 'vitest';
import { ChangeLog, storedKey } from './change-log.ts';
import {
  change,
  event,
  historyOf,
  moment,
  ok,
  operation,
  put,
  stored,
  type WatchParts,
  watchOf,
} from './history.fixture.ts';
import { checkWatches } from './watch-guarantees.ts';

const A2 = change(2, 'a', 'x');
const B3 = change(3, 'b', 'y');
const C3 = change(3, 'c', 'y');
const A4 = change(4, 'a', 'z', { createRevision: 2, version: 2 });
const B5 = change(5, 'b');
const log = new ChangeLog([A2, B3, C3, A4, B5], 2, 5);
const [a2, b3, c3, a4, b5] = [A2, B3, C3, A4, B5].map((each) => event(each)) as [
  ReturnType<typeof event>,
  ReturnType<typeof event>,
  ReturnType<typeof event>,
  ReturnType<typeof event>,
  ReturnType<typeof event>,
];
const operations = [
  operation([1, 2], put('a', 'x'), ok(2, { kind: 'put' })),
  operation([3, 4], { kind: 'compact', revision: 3 }, ok(3, { kind: 'empty' })),
  operation([5, 6], put('a', 'z'), ok(4, { kind: 'put' })),
];
const rulesOf = (parts: WatchParts): string[] => [
  ...new Set(checkWatches(historyOf(operations, [watchOf(parts)]), log).map((one) => one.rule)),
];

describe('kept', () => {
  test.each<[string, WatchParts]>([
    ['everything', { responses: [[a2], [b3, c3], [a4, b5]] }],
    ['nothing yet', { responses: [] }],
    ['some, then a break', { responses: [[a2], [b3, c3]] }],
    ['progress', { responses: [1, [a2], [b3, c3], 3, 3, [a4], [b5], 5] }],
    ['from now on', { request: { startRevision: 0 }, created: 3, responses: [[a4], [b5]] }],
    ['from the past', { request: { startRevision: 4 }, created: 5, responses: [[a4, b5]] }],
    ['one key', { request: { key: 'a', end: 'b' }, responses: [[a2, a4], 5] }],
    ['filters', { request: { noPut: true }, responses: [[b5], 5] }],
    [
      'fragments',
      {
        ...{ request: { fragment: true }, responses: [[a2], [b3], [c3], [a4]], fragments: [1] },
      },
    ],
    [
      'a break between fragments',
      {
        ...{ request: { fragment: true }, responses: [[a2], [b3]], fragments: [1] },
      },
    ],
    [
      'closed when all had come',
      {
        ...{ responses: [[a2], [b3, c3], [a4, b5]] },
        end: { kind: 'closed', expected: 5, at: moment(200) },
      },
    ],
    [
      'previous values',
      {
        request: { key: 'a', prevKv: true },
        responses: [[event(A2)], [event(A4, storedKey(A2)!)]],
      },
    ],
    // The compaction at 3 has taken revision 2 away, and may have been earlier than the event.
    [
      'a previous value that is compacted',
      {
        ...{ request: { key: 'c', prevKv: true }, responses: [[event(C3)]] },
      },
    ],
    [
      'compacted',
      {
        ...{ responses: [], end: { kind: 'compacted', compactRevision: 3, at: moment(101) } },
      },
    ],
  ])('%s', (_, parts) => {
    expect(rulesOf(parts)).toEqual([]);
  });
});

describe('broken', () => {
  test.each<[string, string, WatchParts]>([
    ['ordered', 'a revision goes back', { responses: [[b3, c3], [a2]] }],
    ['unique', 'an event comes twice', { responses: [[a2], [a2], [b3, c3]] }],
    ['reliable', 'a dropped event', { responses: [[a2], [a4], [b5]] }],
    ['reliable', 'half a revision', { responses: [[a2], [b3], [a4]] }],
    [
      'reliable',
      'the newest is missing when all is quiet',
      {
        ...{ responses: [[a2], [b3, c3], [a4]] },
        end: { kind: 'closed', expected: 5, at: moment(200) },
      },
    ],
    ['reliable', 'an event that never happened', { responses: [[event(change(2, 'q', 'x'))]] }],
    ['reliable', 'another value', { responses: [[event(change(2, 'a', 'q'))]] }],
    ['reliable', 'another version', { responses: [[event({ ...A2, version: 2 })]] }],
    [
      'reliable',
      'a put for a delete',
      {
        responses: [[a2], [b3, c3], [a4], [event(change(5, 'b', 'y'))]],
      },
    ],
    ['reliable', 'an event before it was asked for', { ...{ responses: [[a2]], from: -1 } }],
    ['atomic', 'a revision in two responses', { responses: [[a2], [b3], [c3]] }],
    [
      'atomic',
      'a fragment that nobody asked for',
      {
        ...{ responses: [[a2], [b3], [c3]], fragments: [1] },
      },
    ],
    [
      'resumable',
      'the first event from there is missing',
      {
        ...{ request: { startRevision: 3 }, responses: [[a4], [b5]] },
      },
    ],
    [
      'resumable',
      'an event from before',
      {
        ...{ request: { startRevision: 4 }, responses: [[b3, c3], [a4], [b5]] },
      },
    ],
    ['bookmarkable', 'an event after its progress', { responses: [[a2], 3, [b3, c3], [a4]] }],
    ['bookmarkable', 'progress goes back', { responses: [[a2], 3, 2] }],
    ['bookmarkable', 'progress before the last event', { responses: [[a2], [b3, c3], [a4], 3] }],
    ['reliable', 'progress ahead of events', { responses: [[a2], 5] }],
    ['filter', 'another key', { request: { key: 'a' }, responses: [[a2], [b3], [a4]] }],
    ['filter', 'a put that is filtered', { request: { noPut: true }, responses: [[a2], [b5]] }],
    [
      'previous',
      'another one',
      {
        request: { key: 'a', prevKv: true },
        responses: [[event(A2)], [event(A4, stored('a', 'q'))]],
      },
    ],
    [
      'previous',
      'one that is not there',
      {
        request: { key: 'b', prevKv: true, startRevision: 5 },
        responses: [[event(B5)]],
      },
    ],
    [
      'previous',
      'one that nobody asked for',
      {
        ...{ request: { key: 'a' }, responses: [[a2], [event(A4, storedKey(A2)!)]] },
      },
    ],
    [
      'compacted',
      'nobody compacted that',
      {
        ...{ responses: [], end: { kind: 'compacted', compactRevision: 4, at: moment(101) } },
      },
    ],
    [
      'compacted',
      'it began later',
      {
        request: { startRevision: 4 },
        ...{ responses: [], end: { kind: 'compacted', compactRevision: 3, at: moment(101) } },
      },
    ],
  ])('%s: %s', (rule, _, parts) => {
    expect(rulesOf(parts)).toContain(rule);
  });
});
