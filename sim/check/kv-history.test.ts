// Histories of keys: what etcd could have answered, and what it could not.

import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/index.ts';
import { ChangeLog } from './change-log.ts';
import {
  change,
  get,
  historyOf,
  lost,
  ok,
  operation,
  put,
  rangeResult,
  refused,
  stored,
} from './history.fixture.ts';
import type { Operation, Request, Result } from './history.ts';
import { linearize } from './kv-history.ts';
import { changesOfOrder } from './kv-model.ts';

const PUT: Result = { kind: 'put' };
const EMPTY: Result = { kind: 'empty' };
const leaseOf = (ttl: number): Result => ({ kind: 'lease', ttl });
const deleted = (count: number): Result => ({ kind: 'delete', deleted: count });
const grant: Request = { kind: 'grant', lease: '7', ttl: 5 };
const revoke: Request = { kind: 'revoke', lease: '7' };
const leasePut = (key: string, value: string): Request => ({ kind: 'put', key, value, lease: '7' });
const compact = (revision: number): Request => ({ kind: 'compact', revision });
const past = (key: string, revision: number): Request => ({ kind: 'range', key, revision });

/** `a` is put as x at revision 2. */
const A = operation([1, 2], put('a', 'x'), ok(2, PUT));
const casTo = (value: string, modRevision: number): Request => ({
  kind: 'txn',
  compare: [{ key: 'a', target: 'modRevision', operator: '=', operand: modRevision }],
  success: [{ kind: 'put', key: 'a', value }],
  failure: [{ kind: 'range', key: 'a' }],
});
const casDone: Result = { kind: 'txn', succeeded: true, results: [{ kind: 'put' }] };
const casFailed = (value: string, modRevision: number): Result => ({
  kind: 'txn',
  succeeded: false,
  results: [
    {
      kind: 'range',
      kvs: [stored('a', value, { createRevision: 2, modRevision, version: modRevision - 1 })],
      count: 1,
      more: false,
    },
  ],
});

const verdict = (operations: readonly Operation[], log?: ChangeLog) =>
  linearize(historyOf(operations), log).kind;

describe('possible', () => {
  test.each<[string, Operation[]]>([
    ['a put and its read', [A, operation([3, 4], get('a'), ok(2, rangeResult(stored('a', 'x'))))]],
    [
      'two compare-and-swaps, one of which wins',
      [
        A,
        operation([3, 6], casTo('y', 2), ok(3, casDone)),
        operation([4, 7], casTo('z', 2), ok(3, casFailed('y', 3))),
      ],
    ],
    [
      'a delete of nothing makes no revision',
      [
        A,
        operation([3, 4], { kind: 'delete', key: 'b' }, ok(2, deleted(0))),
        operation([5, 6], put('b', '1'), ok(3, PUT)),
      ],
    ],
    [
      'a lost put fills the gap',
      [A, operation([3, 4], put('b', '1'), lost), operation([5, 6], put('c', '1'), ok(4, PUT))],
    ],
    [
      'a lost put that never happened',
      [A, operation([3, 4], put('b', '1'), lost), operation([5, 6], put('c', '1'), ok(3, PUT))],
    ],
    [
      'a revocation takes the keys along',
      [
        operation([1, 2], grant, ok(1, leaseOf(5))),
        operation([3, 4], leasePut('a', 'x'), ok(2, PUT)),
        operation([5, 6], leasePut('b', 'x'), ok(3, PUT)),
        // Its header may be filled in later than it happened.
        operation([7, 10], revoke, ok(5, EMPTY)),
        operation([8, 9], put('c', 'x'), ok(5, PUT)),
        operation([11, 12], get('a'), ok(5, rangeResult())),
      ],
    ],
    [
      'a lease that ran out, with a key',
      [
        operation([1, 2], grant, ok(1, leaseOf(5))),
        operation([3, 4], leasePut('a', 'x'), ok(2, PUT)),
        operation([5, 6], get('a'), ok(3, rangeResult())),
        operation([7, 8], leasePut('b', 'x'), refused('LEASE_NOT_FOUND')),
      ],
    ],
    [
      'a lease that ran out unseen',
      [
        operation([1, 2], grant, ok(1, leaseOf(5))),
        operation([7, 8], leasePut('b', 'x'), refused('LEASE_NOT_FOUND')),
        operation([9, 10], revoke, refused('LEASE_NOT_FOUND')),
      ],
    ],
    [
      'a grant whose answer was lost',
      [operation([1, 2], grant, lost), operation([3, 4], leasePut('a', 'x'), ok(2, PUT))],
    ],
    [
      'compaction refuses the past, not the compacted revision',
      [
        A,
        operation([3, 4], put('a', 'y'), ok(3, PUT)),
        operation([5, 6], compact(3), ok(3, EMPTY)),
        operation([7, 8], past('a', 2), refused('COMPACTED')),
        operation(
          [9, 10],
          past('a', 3),
          ok(3, rangeResult(stored('a', 'y', { createRevision: 2, modRevision: 3, version: 2 }))),
        ),
        operation([11, 12], compact(3), refused('COMPACTED')),
        operation([13, 14], compact(9), refused('FUTURE_REV')),
      ],
    ],
    [
      'a refusal for another reason says nothing',
      [A, operation([3, 4], put('b', '1'), refused('REQUEST_TOO_MANY_REQUESTS'))],
    ],
  ])('%s', (_, operations) => {
    expect(linearize(historyOf(operations), undefined)).toMatchObject({ kind: 'ok' });
  });
});

describe('impossible', () => {
  test.each<[string, Operation[]]>([
    ['a lost write', [A, operation([3, 4], get('a'), ok(1, rangeResult()))]],
    [
      'a stale read at its own revision',
      [
        A,
        operation([3, 4], put('a', 'y'), ok(3, PUT)),
        operation([5, 6], get('a'), ok(2, rangeResult(stored('a', 'x')))),
      ],
    ],
    [
      'a read that mixes revisions',
      [
        A,
        operation([3, 4], put('a', 'y'), ok(3, PUT)),
        operation([5, 6], get('a'), ok(3, rangeResult(stored('a', 'x')))),
      ],
    ],
    ['two writes with one revision', [A, operation([3, 4], put('b', 'x'), ok(2, PUT))]],
    ['a revision that nobody made', [A, operation([3, 4], put('b', 'x'), ok(4, PUT))]],
    [
      'two compare-and-swaps that both win',
      [
        A,
        operation([3, 6], casTo('y', 2), ok(3, casDone)),
        operation([4, 7], casTo('z', 2), ok(4, casDone)),
      ],
    ],
    [
      'a wrong version',
      [A, operation([3, 4], get('a'), ok(2, rangeResult(stored('a', 'x', { version: 2 }))))],
    ],
    [
      'a wrong count',
      [A, operation([3, 4], get('a'), ok(2, { kind: 'range', kvs: [], count: 0, more: false }))],
    ],
    [
      'a wrong previous value',
      [
        A,
        operation(
          [3, 4],
          { kind: 'put', key: 'a', value: 'y', prevKv: true },
          ok(3, { kind: 'put', prevKv: stored('a', 'z') }),
        ),
      ],
    ],
    [
      'a key that outlives the revocation of its lease',
      [
        operation([1, 2], grant, ok(1, leaseOf(5))),
        operation([3, 4], leasePut('a', 'x'), ok(2, PUT)),
        operation([5, 6], revoke, ok(3, EMPTY)),
        operation([7, 8], get('a'), ok(2, rangeResult(stored('a', 'x', { lease: '7' })))),
      ],
    ],
    [
      'an end of a lease that takes half of its keys',
      [
        operation([1, 2], grant, ok(1, leaseOf(5))),
        operation([3, 4], leasePut('a', 'x'), ok(2, PUT)),
        operation([5, 6], leasePut('b', 'x'), ok(3, PUT)),
        operation([7, 8], get('a'), ok(4, rangeResult())),
        operation(
          [9, 10],
          get('b'),
          ok(4, rangeResult(stored('b', 'x', { modRevision: 3, lease: '7' }))),
        ),
      ],
    ],
    [
      'a put on a lease that was never granted',
      [operation([1, 2], leasePut('a', 'x'), ok(2, PUT))],
    ],
    [
      'a missing lease that was granted and has keys',
      [
        operation([1, 2], grant, ok(1, leaseOf(5))),
        operation([3, 4], leasePut('a', 'x'), ok(2, PUT)),
        operation([5, 6], leasePut('b', 'x'), refused('LEASE_NOT_FOUND')),
        operation([7, 8], get('a'), ok(2, rangeResult(stored('a', 'x', { lease: '7' })))),
      ],
    ],
    [
      'the past readable after its compaction',
      [
        A,
        operation([3, 4], put('a', 'y'), ok(3, PUT)),
        operation([5, 6], compact(3), ok(3, EMPTY)),
        operation([7, 8], past('a', 2), ok(3, rangeResult(stored('a', 'x')))),
      ],
    ],
    ['compacted, though nobody did', [A, operation([3, 4], past('a', 1), refused('COMPACTED'))]],
    [
      'compacted back',
      [A, operation([3, 4], compact(2), ok(2, EMPTY)), operation([5, 6], compact(1), ok(2, EMPTY))],
    ],
  ])('%s', (_, operations) => {
    expect(verdict(operations)).toBe('illegal');
  });
});

describe('with the change log', () => {
  const log = new ChangeLog([change(2, 'a', 'x'), change(3, 'b', '1'), change(4, 'a')], 2, 4);
  const read = operation(
    [9, 10],
    get('b'),
    ok(4, rangeResult(stored('b', '1', { modRevision: 3 }))),
  );

  test('lost writes are what the log says', () => {
    const operations = [
      A,
      operation([3, 4], put('b', '1'), lost),
      operation([5, 6], put('b', '2'), lost),
      operation([7, 8], { kind: 'delete', key: 'a' }, lost),
      read,
    ];
    expect(verdict(operations, log)).toBe('ok');
  });

  test.each<[string, Operation[]]>([
    [
      'an acknowledged write is not in it',
      [
        A,
        operation([3, 4], put('b', '3'), ok(3, PUT)),
        operation([5, 6], { kind: 'delete', key: 'a' }, ok(4, deleted(1))),
      ],
    ],
    ['it has a write that nobody made', [A, operation([3, 4], put('b', '1'), ok(3, PUT))]],
    [
      'a lost write happened before it was asked for',
      [
        A,
        operation([3, 4], { kind: 'delete', key: 'a' }, ok(4, deleted(1))),
        operation([5, 6], put('b', '1'), lost),
      ],
    ],
  ])('not: %s', (_, operations) => {
    expect(verdict(operations, log)).toBe('illegal');
  });
});

test('a long history with many lost writes takes no time', () => {
  const random = seededRandom(5);
  const operations: Operation[] = [];
  const changes = [];
  let revision = 1;
  let order = 1;
  const versions = new Map<string, { created: number; version: number }>();
  for (let i = 0; i < 5000; i++) {
    const key = `k${random.below(20)}`;
    const isLost = random.below(10) === 0;
    const happens = !isLost || random.below(2) === 0;
    if (happens) {
      revision++;
      const before = versions.get(key);
      const [created, version] = [before?.created ?? revision, (before?.version ?? 0) + 1];
      versions.set(key, { created, version });
      changes.push(change(revision, key, `${i}`, { createRevision: created, version }));
    }
    // Ten at a time.
    const span = [order, order + 10 + random.below(10)] as const;
    order++;
    operations.push(operation(span, put(key, `${i}`), isLost ? lost : ok(revision, PUT)));
  }
  for (const log of [undefined, new ChangeLog(changes, 2, revision)]) {
    const result = linearize(historyOf(operations), log, { stepsMax: 2_000_000 });
    if (result.kind !== 'ok') throw new Error(result.kind);
    const found = changesOfOrder(result.order);
    expect(found.length).toBe(result.final.revision - 1);
    if (log !== undefined) expect(found).toEqual(changes);
  }
});
