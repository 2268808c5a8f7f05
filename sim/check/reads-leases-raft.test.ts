// Stale reads, leases and raft's promises: for each rule, histories that keep it and that break it.

import { describe, expect, test } from 'vitest';
import { ChangeLog, changeLogOfRows, mergeChangeLogs } from './change-log.ts';
import {
  change,
  get,
  historyOf,
  lost,
  MS_PER_ORDER,
  ok,
  operation,
  put,
  rangeResult,
  refused,
  stored,
  watchOf,
} from './history.fixture.ts';
import { historyFromJson, historyToJson, type Operation, type Request } from './history.ts';
import { checkLeases } from './leases.ts';
import { checkRaftSafety, type RaftObservation } from './raft-safety.ts';
import { checkReads } from './serializable.ts';

describe('stale reads and reads of the past', () => {
  const Y = { createRevision: 2, modRevision: 3, version: 2 };
  const log = new ChangeLog(
    [change(2, 'a', 'x'), change(3, 'a', 'y', Y), change(4, 'b', 'z')],
    2,
    4,
  );
  const stale: Request = { kind: 'range', key: 'a', serializable: true };
  const past = (revision: number): Request => ({ kind: 'range', key: 'a', revision });
  const writes = [operation([1, 2], put('a', 'x'), ok(2, { kind: 'put' }))];
  const later = operation([20, 21], put('b', 'z'), ok(4, { kind: 'put' }));
  const check = (...operations: Operation[]) =>
    checkReads(historyOf([...writes, ...operations]), log);

  test.each<[string, Operation]>([
    ['an old state', operation([9, 10], stale, ok(2, rangeResult(stored('a', 'x'))))],
    ['the empty state', operation([9, 10], stale, ok(1, rangeResult()))],
    ['the past', operation([9, 10], past(2), ok(3, rangeResult(stored('a', 'x'))))],
    [
      'one of several',
      operation(
        [30, 31],
        { kind: 'range', key: 'a', end: 'c', limit: 1, keysOnly: true },
        ok(4, { kind: 'range', kvs: [stored('a', '', Y)], count: 2, more: true }),
      ),
    ],
  ])('right: %s', (_, read) => {
    expect(check(read, later)).toEqual([]);
  });

  test.each<[string, Operation]>([
    ['a state that never was', operation([9, 10], stale, ok(3, rangeResult(stored('a', 'x'))))],
    ['the future', operation([9, 10], stale, ok(4, rangeResult(stored('a', 'y', Y))))],
    [
      'the past as it was not',
      operation([9, 10], past(2), ok(3, rangeResult(stored('a', 'y', Y)))),
    ],
    [
      'a past that the member had not reached',
      operation([9, 10], past(3), ok(2, rangeResult(stored('a', 'y', Y)))),
    ],
    ['compacted by nobody', operation([9, 10], past(2), refused('COMPACTED'))],
  ])('wrong: %s', (_, read) => {
    expect(check(read, later)).toHaveLength(1);
  });
});

describe('leases', () => {
  const grant: Request = { kind: 'grant', lease: '7', ttl: 1 };
  const granted = operation([0, 10], grant, ok(1, { kind: 'lease', ttl: 1 }));
  const on = operation(
    [11, 12],
    { kind: 'put', key: 'a', value: 'x', lease: '7' },
    ok(2, { kind: 'put' }),
  );
  const renewed = operation(
    [50, 52],
    { kind: 'keepAlive', lease: '7' },
    ok(2, { kind: 'lease', ttl: 1 }),
  );
  const second = 1000 / MS_PER_ORDER;
  const asked = (at: number, ttl: number) =>
    operation([at - 1, at], { kind: 'timeToLive', lease: '7' }, ok(2, { kind: 'lease', ttl }));
  const missed = (at: number) =>
    operation([at - 1, at], { kind: 'keepAlive', lease: '7' }, refused('LEASE_NOT_FOUND'));
  const revoke = (span: readonly [number, number], outcome: Operation['outcome']) =>
    operation(span, { kind: 'revoke', lease: '7' }, outcome);
  const log = new ChangeLog([change(2, 'a', 'x', { lease: '7' }), change(3, 'a')], 2, 3);
  const gone = (at: number) => operation([at - 1, at], get('a'), ok(3, rangeResult()));
  const check = (operations: Operation[], drift = 0) =>
    checkLeases(historyOf(operations), log, { drift }).map((each) => each.rule);

  test.each<[string, Operation[]]>([
    ['lives its time', [granted, on, asked(99, 0), missed(second + 1)]],
    ['lives on when renewed', [granted, on, renewed, asked(149, 0), gone(50 + second + 1)]],
    [
      'a renewal that is lost counts for nothing',
      [granted, { ...renewed, outcome: lost }, missed(101)],
    ],
    ['is revoked', [granted, on, revoke([20, 22], ok(3, { kind: 'empty' })), gone(30), missed(31)]],
    ['may be revoked', [granted, on, revoke([20, 22], lost), gone(30), missed(31)]],
    [
      'was revoked by an attempt whose answer was lost',
      [granted, on, revoke([20, 29], refused('LEASE_NOT_FOUND')), gone(30), missed(31)],
    ],
    [
      'a client deletes its key',
      [
        ...[granted, on],
        operation([20, 21], { kind: 'delete', key: 'a' }, ok(3, { kind: 'delete', deleted: 1 })),
        asked(30, 1),
      ],
    ],
  ])('%s', (_, operations) => {
    expect(check(operations)).toEqual([]);
  });

  test.each<[string, Operation[]]>([
    ['is missed too early', [granted, on, missed(second - 1)]],
    ['is missed too early after a renewal', [granted, on, renewed, missed(50 + second - 1)]],
    ['is said to be over too early', [granted, on, asked(second - 1, -1)]],
    [
      'a put misses it too early',
      [
        granted,
        operation(
          [20, 21],
          { kind: 'put', key: 'a', value: 'x', lease: '7' },
          refused('LEASE_NOT_FOUND'),
        ),
      ],
    ],
    ['its key goes too early', [granted, on, gone(second - 1)]],
    ['a revocation comes after that', [granted, on, missed(50), revoke([60, 61], lost)]],
  ])('not: %s', (_, operations) => {
    expect(check(operations)).toEqual(['lease ended early']);
  });

  test('an event shows that its key went too early', () => {
    const event = { type: 'delete', kv: stored('a', '', { modRevision: 3 }) } as const;
    const watch = watchOf({ responses: [[event]], from: 50 });
    const found = checkLeases(historyOf([granted, on], [watch]), log);
    expect(found.map((each) => each.rule)).toEqual(['lease ended early']);
  });

  test('a clock that runs fast is allowed for', () => {
    expect(check([granted, on, missed(second - 5)], 0.1)).toEqual([]);
    expect(check([granted, on, missed(second - 15)], 0.1)).toEqual(['lease ended early']);
  });

  test('not: a key outlives the revocation', () => {
    const revoked = revoke([20, 22], ok(3, { kind: 'empty' }));
    const kept = new ChangeLog([change(2, 'a', 'x', { lease: '7' }), change(3, 'b', 'x')], 2, 3);
    expect(checkLeases(historyOf([granted, on, revoked]), kept)[0]?.rule).toBe('lease keys');
    const late = new ChangeLog([change(3, 'b', 'x'), change(4, 'a', 'x', { lease: '7' })], 2, 4);
    expect(checkLeases(historyOf([granted, on, revoked]), late)[0]?.rule).toBe('lease keys');
  });
});

describe('raft', () => {
  const committed = (
    member: string,
    index: number,
    term: number,
    hash = index,
  ): RaftObservation => ({
    ...{ kind: 'committed', member, index, term, hash },
  });
  const leader = (member: string, term: number): RaftObservation => ({
    kind: 'leader',
    member,
    term,
  });
  const state = (member: string, index: number, hash: number): RaftObservation => ({
    ...{ kind: 'state', member, index, hash },
  });
  const rules = (...observations: RaftObservation[]) =>
    checkRaftSafety(observations).map((each) => each.rule);

  test('promises that are kept', () => {
    const started: RaftObservation = { kind: 'started', member: 'a' };
    const once = [committed('a', 1, 1), committed('a', 2, 1), committed('b', 1, 1)];
    expect(
      rules(
        leader('a', 1),
        leader('a', 1),
        leader('b', 2),
        ...once,
        started,
        committed('a', 1, 1),
        state('a', 2, 5),
        state('b', 2, 5),
        state('b', 3, 6),
      ),
    ).toEqual([]);
  });

  test.each<[string, RaftObservation[]]>([
    ['election safety', [leader('a', 3), leader('b', 3)]],
    ['state machine safety', [committed('a', 1, 1), committed('b', 1, 2)]],
    ['state machine safety', [committed('a', 1, 1, 5), committed('b', 1, 1, 6)]],
    ['log matching', [committed('a', 1, 1), committed('a', 3, 1)]],
    ['log matching', [committed('a', 1, 2), committed('a', 2, 1)]],
    ['same state', [state('a', 1, 5), state('b', 1, 6)]],
  ])('%s', (rule, observations) => {
    expect(rules(...observations)).toEqual([rule]);
  });
});

describe('change logs', () => {
  const rows = [change(2, 'a', 'x'), change(3, 'b', 'y'), change(4, 'a'), change(5, 'c', 'z')];
  const whole = changeLogOfRows(rows, { compacted: 0, current: 5 });
  // Compacted at 4: of what is older, only b is left.
  const late = changeLogOfRows([rows[1]!, rows[3]!], { compacted: 4, current: 6 });

  test('a compacted one knows the state that it began with', () => {
    expect([late.first, late.last]).toEqual([5, 6]);
    expect(late.stateAt(4)).toEqual(whole.stateAt(4));
    expect(late.stateAt(5).map((each) => each.key)).toEqual(['b', 'c']);
    expect([late.knowsState(3), late.knowsState(4)]).toEqual([false, true]);
  });

  test('are merged', () => {
    const early = changeLogOfRows(rows.slice(0, 3), { compacted: 0, current: 4 });
    const { log, conflicts } = mergeChangeLogs([late, early]);
    expect(conflicts).toEqual([]);
    expect([log.first, log.last]).toEqual([2, 6]);
    expect(log.changes()).toEqual(rows);
  });

  test('that contradict each other are found', () => {
    const other = changeLogOfRows([rows[0]!, change(3, 'b', 'q')], { compacted: 0, current: 3 });
    expect(mergeChangeLogs([whole, other]).conflicts).toHaveLength(1);
    const shorter = changeLogOfRows([rows[0]!], { compacted: 0, current: 3 });
    expect(mergeChangeLogs([whole, shorter]).conflicts).toHaveLength(1);
  });

  test('a gap between them is found', () => {
    const early = changeLogOfRows(rows.slice(0, 1), { compacted: 0, current: 2 });
    expect(mergeChangeLogs([early, late]).conflicts).toEqual(['unknown revisions from 3 to 4']);
  });
});

test('a history is saved and loaded', () => {
  const history = historyOf(
    [operation([1, 2], put('a', 'x\xff'), lost)],
    [watchOf({ responses: [3] })],
  );
  expect(historyFromJson(historyToJson(history))).toEqual(JSON.parse(JSON.stringify(history)));
  expect(() => historyFromJson('{}')).toThrow('not a recorded history');
});
