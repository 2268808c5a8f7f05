import { describe, expect, test } from 'vitest';
import { PROGRESS_STATES, Progress } from './progress.ts';

const { PROBE, REPLICATE, SNAPSHOT } = PROGRESS_STATES;

function progress(match: number, next: number): Progress {
  return new Progress({
    match,
    next,
    isLearner: false,
    recentActive: true,
    inflightCountMax: 2,
    inflightBytesMax: Number.POSITIVE_INFINITY,
  });
}

test('prints what is remarkable only', () => {
  const p = progress(3, 4);
  expect(p.describe()).toBe('StateProbe match=3 next=4');
  p.becomeReplicate();
  p.sentEntries(1, 10);
  expect(p.describe()).toBe('StateReplicate match=3 next=5 inflight=1');
  p.sentEntries(1, 10);
  expect(p.describe()).toBe('StateReplicate match=3 next=6 paused inflight=2[full]');
  p.becomeSnapshot(9);
  p.isLearner = true;
  p.recentActive = false;
  expect(p.describe()).toBe('StateSnapshot match=3 next=10 learner paused pendingSnap=9 inactive');
});

test('match stays below next', () => {
  expect(() => progress(3, 3)).toThrow('match must be below next');
});

describe('probe', () => {
  test('begins one after what matches', () => {
    const p = progress(1, 5);
    p.becomeReplicate();
    p.next = 9;
    p.becomeProbe();
    expect([p.state, p.next]).toEqual([PROBE, 2]);
  });

  test('begins after a pending snapshot, unless that failed', () => {
    const p = progress(1, 5);
    p.becomeSnapshot(10);
    p.becomeProbe();
    expect([p.next, p.pendingSnapshot]).toEqual([11, 0]);
    p.becomeSnapshot(20);
    p.pendingSnapshot = 0;
    p.becomeProbe();
    expect(p.next).toBe(2);
  });

  test('pauses after one append with entries', () => {
    const p = progress(1, 2);
    p.sentEntries(0, 0);
    expect(p.isPaused()).toBe(false);
    p.sentEntries(2, 10);
    expect([p.isPaused(), p.next]).toEqual([true, 2]);
  });
});

test('waiting for a snapshot nothing may be sent', () => {
  const p = progress(1, 2);
  p.becomeSnapshot(7);
  expect([p.state, p.isPaused(), p.next]).toEqual([SNAPSHOT, true, 8]);
  expect(() => p.sentEntries(1, 1)).toThrow('waits for a snapshot');
});

test('an acknowledgement moves match, and next if it must', () => {
  const p = progress(3, 5);
  p.appendsPaused = true;
  expect([p.maybeUpdate(2), p.maybeUpdate(3), p.match, p.next]).toEqual([false, false, 3, 5]);
  expect(p.appendsPaused).toBe(true);
  expect([p.maybeUpdate(4), p.match, p.next, p.appendsPaused]).toEqual([true, 4, 5, false]);
  expect([p.maybeUpdate(8), p.match, p.next]).toEqual([true, 8, 9]);
});

test.each([
  // state, match, next, rejected, hint -> counts, next
  [REPLICATE, 5, 10, 5, 5, false, 10],
  [REPLICATE, 5, 10, 4, 4, false, 10],
  [REPLICATE, 5, 10, 9, 9, true, 6],
  [PROBE, 0, 10, 5, 3, false, 10],
  [PROBE, 0, 10, 9, 9, true, 9],
  [PROBE, 0, 10, 9, 2, true, 3],
  [PROBE, 0, 10, 9, 0, true, 1],
  [PROBE, 5, 10, 9, 2, true, 6],
])('a rejection in %s: match %i next %i, rejected %i hint %i', (...row) => {
  const [state, match, next, rejected, hint, counts, expected] = row;
  const p = progress(match, match + 1);
  if (state === REPLICATE) p.becomeReplicate();
  p.next = next;
  expect([p.maybeDecreaseTo(rejected, hint), p.next]).toEqual([counts, expected]);
});

test('a commit index is worth sending if it is news that the follower can use', () => {
  const p = progress(5, 6);
  p.becomeReplicate();
  expect(p.canBumpCommit(0)).toBe(false);
  expect(p.canBumpCommit(3)).toBe(true);
  p.sentCommit(3);
  expect(p.canBumpCommit(3)).toBe(false);
  expect(p.canBumpCommit(4)).toBe(true);
  // 5 takes the follower as far as it can go.
  p.sentCommit(5);
  expect(p.canBumpCommit(9)).toBe(false);
  p.sentEntries(1, 1);
  expect(p.canBumpCommit(9)).toBe(true);
  // A rejection: what carried the commit index is lost.
  p.sentCommit(9);
  p.maybeDecreaseTo(6, 5);
  expect(p.canBumpCommit(9)).toBe(false);
  p.becomeProbe();
  p.becomeReplicate();
  p.sentEntries(1, 1);
  expect(p.canBumpCommit(9)).toBe(true);
});

test('a clone is independent', () => {
  const p = progress(1, 2);
  p.becomeReplicate();
  p.sentEntries(1, 1);
  const clone = p.clone();
  p.becomeSnapshot(9);
  expect(clone.describe()).toBe('StateReplicate match=1 next=3 inflight=1');
});
