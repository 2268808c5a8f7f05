import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EMPTY_BYTES } from '../../base/index.ts';
import { LOG_LEVELS, SILENT_LOGGER } from '../logger.ts';
import { type Entry, newEntry } from '../raftpb.ts';
import { entriesSize, LOG_GAPS, MemoryStorage, RaftLog } from './index.ts';
import { emptyConfState } from './snapshot.ts';

const INFINITY = Number.POSITIVE_INFINITY;

const entries = (terms: readonly number[], first = 1): Entry[] =>
  terms.map((term, i) => newEntry(0, term, first + i, EMPTY_BYTES));

/** The first `stable` entries are in the storage, the others unstable. */
function logOf(terms: readonly number[], stable = terms.length): RaftLog {
  const storage = new MemoryStorage();
  storage.append(entries(terms.slice(0, stable)));
  const log = new RaftLog(storage, SILENT_LOGGER, INFINITY);
  for (const entry of entries(terms.slice(stable), stable + 1)) log.push(entry);
  return log;
}

function termsOf(log: RaftLog): number[] {
  const all = log.slice(log.firstIndex(), log.lastIndex() + 1, INFINITY);
  return (all as Entry[]).map(({ term }) => term);
}

describe('across storage and unstable part', () => {
  const size = entriesSize(entries([1]));

  test.each([0, 2, 5])('a slice is the same wherever the border is: %i stable', (stable) => {
    const terms = [1, 1, 2, 2, 3];
    const log = logOf(terms, stable);
    for (let from = 1; from <= 6; from++) {
      for (let to = from; to <= 6; to++) {
        for (const count of [0, 1, 2, 3, INFINITY]) {
          const run = log.slice(from, to, count * size) as Entry[];
          const expected = Math.min(to - from, Math.max(count, 1));
          expect(run.map(({ index }) => index)).toEqual(
            Array.from({ length: expected }, (_, i) => from + i),
          );
        }
      }
    }
  });

  test('what is compacted is a gap, what is not there yet a mistake', () => {
    const storage = new MemoryStorage();
    storage.append(entries([1, 1, 1, 1]));
    storage.compact(2);
    const log = new RaftLog(storage, SILENT_LOGGER, INFINITY);
    log.push(newEntry(0, 1, 5, EMPTY_BYTES));
    expect(log.slice(2, 4, INFINITY)).toBe(LOG_GAPS.COMPACTED);
    expect(log.entriesFrom(6, INFINITY)).toEqual([]);
    expect(() => log.slice(3, 7, INFINITY)).toThrow('out of bound');
    expect([1, 2, 3, 5, 6].map((index) => log.term(index))).toEqual([
      LOG_GAPS.COMPACTED,
      1,
      1,
      1,
      LOG_GAPS.UNAVAILABLE,
    ]);
    expect([1, 6, 5].map((index) => log.termOrZero(index))).toEqual([0, 0, 1]);
  });
});

describe('two logs', () => {
  test.each([
    [[1, 1], 0],
    [[], 0],
    [[1, 1, 2], 0],
    [[1, 1, 2, 3], 4],
    [[1, 2], 2],
    [[3], 1],
  ])('with (1 1 2), %j differs first at %i', (terms, expected) => {
    expect(logOf([1, 1, 2], 2).findConflict(entries(terms))).toBe(expected);
  });

  test.each([
    // our terms, (index, term) of the other one, guess
    [[2, 2, 5, 5, 5], 4, 5, [4, 5]],
    [[2, 2, 5, 5, 5], 5, 4, [2, 2]],
    [[2, 2, 5, 5, 5], 5, 1, [0, 0]],
    [[1, 3, 3, 3, 5, 5, 5, 5, 5], 6, 2, [1, 1]],
    [[1, 2, 2], 9, 2, [9, 0]],
  ])('may agree up to a guess: %j against (%i, term %i)', (terms, index, term, [at, known]) => {
    expect(logOf(terms).findConflictByTerm(index, term)).toEqual({ index: at, term: known });
  });

  test.each([
    [3, 3, true],
    [3, 1, true],
    [2, 3, true],
    [2, 2, true],
    [2, 1, false],
    [1, 9, false],
  ])('one that ends at (term %i, index %i) is up to date against (1 2): %s', (...row) => {
    const [term, index, expected] = row;
    expect(logOf([1, 2]).isUpToDate({ term, index })).toBe(expected);
  });
});

test('committed entries are never replaced, and never beyond the end', () => {
  const log = logOf([1, 1, 1]);
  log.commitTo(2);
  log.commitTo(1);
  expect(log.committed).toBe(2);
  const prev = { term: 1, index: 1 };
  expect(() => log.maybeAppend({ prev, entries: entries([2], 2) }, 0)).toThrow('conflict');
  expect(() => log.commitTo(4)).toThrow('Was the raft log corrupted, truncated, or lost?');
  expect(() => log.push(newEntry(0, 1, 2, EMPTY_BYTES))).toThrow();
  expect(() => log.appliedTo(3, 0)).toThrow('out of range');
});

test('replacing entries that are being written is logged', () => {
  const lines: string[] = [];
  const logger = { enabled: () => true, log: (_: number, text: string) => lines.push(text) };
  const log = new RaftLog(new MemoryStorage(), logger, INFINITY);
  for (const entry of entries([1, 1, 1])) log.push(entry);
  log.unstable.acceptInProgress();
  log.maybeAppend({ prev: { term: 1, index: 1 }, entries: entries([2], 2) }, 0);
  expect(log.unstable.nextToWrite).toBe(2);
  log.maybeAppend({ prev: { term: 0, index: 0 }, entries: entries([3]) }, 0);
  expect([log.unstable.offset, log.unstable.nextToWrite]).toEqual([1, 1]);
  log.unstable.stableTo(5, 1);
  log.unstable.stableTo(1, 1);
  expect(lines).toEqual([
    'found conflict at index 2 [existing term: 1, conflicting term: 2]',
    'truncate the unstable entries before index 2',
    'found conflict at index 1 [existing term: 1, conflicting term: 3]',
    'replace the unstable entries from index 1',
    'entry at index 5 missing from unstable log; ignoring',
    'entry at (index,term)=(1,1) mismatched with entry at (1,3) in unstable log; ignoring',
  ]);
  expect(LOG_LEVELS.INFO).toBe(1);
});

test('a snapshot replaces everything and holds back what would be applied', () => {
  const log = logOf([1, 1, 1], 2);
  log.commitTo(2);
  expect(log.hasEntriesToApply(true)).toBe(true);
  const metadata = { confState: emptyConfState(), index: 9, term: 4 };
  log.restore({ data: EMPTY_BYTES, metadata });
  expect([log.firstIndex(), log.lastIndex(), log.committed]).toEqual([10, 9, 9]);
  expect([log.term(9), log.term(8), log.term(10)]).toEqual([
    4,
    LOG_GAPS.COMPACTED,
    LOG_GAPS.UNAVAILABLE,
  ]);
  expect(log.hasEntriesToApply(true)).toBe(false);
  expect(log.unstable.snapshotToWrite()?.metadata).toBe(metadata);
  log.unstable.acceptInProgress();
  expect(log.unstable.snapshotToWrite()).toBeUndefined();
  log.unstable.stableTo(9, 4);
  expect(log.hasPendingSnapshot()).toBe(true);
  log.unstable.stableSnapshotTo(8);
  expect(log.hasPendingSnapshot()).toBe(true);
  log.unstable.stableSnapshotTo(9);
  expect(log.hasPendingSnapshot()).toBe(false);
});

describe('against an array', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('push' as const), count: fc.nat(4) }),
    fc.record({ kind: fc.constant('replace' as const), back: fc.nat(6), count: fc.nat(5) }),
    fc.constant({ kind: 'write' as const }),
    fc.constant({ kind: 'written' as const }),
    fc.record({ kind: fc.constant('commit' as const), part: fc.nat(100) }),
    fc.record({ kind: fc.constant('compact' as const), part: fc.nat(100) }),
  );

  test('any history of appends, writes, commits and compactions reads the same', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const storage = new MemoryStorage();
        const log = new RaftLog(storage, SILENT_LOGGER, INFINITY);
        const terms: number[] = [];
        let term = 1;
        for (const one of steps) {
          switch (one.kind) {
            case 'push':
              for (let i = 0; i < one.count; i++) {
                terms.push(term);
                log.push(newEntry(0, term, terms.length, EMPTY_BYTES));
              }
              break;
            case 'replace': {
              const prev = Math.max(terms.length - one.back, log.committed, log.firstIndex() - 1);
              term++;
              const fresh = entries(new Array<number>(one.count).fill(term), prev + 1);
              const prevTerm = log.term(prev);
              log.maybeAppend({ prev: { index: prev, term: prevTerm }, entries: fresh }, 0);
              if (one.count > 0) terms.length = prev;
              for (let i = 0; i < one.count; i++) terms.push(term);
              break;
            }
            case 'write':
              storage.append(log.unstable.entriesToWrite());
              log.unstable.acceptInProgress();
              break;
            case 'written': {
              const last = log.unstable.nextToWrite - 1;
              if (last >= log.unstable.offset) log.unstable.stableTo(last, log.term(last));
              break;
            }
            case 'commit':
              log.commitTo(Math.floor((terms.length * one.part) / 100));
              log.appliedTo(Math.min(log.committed, log.unstable.offset - 1, log.committed), 0);
              break;
            case 'compact': {
              const to = Math.floor((log.applied * one.part) / 100);
              if (to >= storage.firstIndex() && to <= storage.lastIndex()) storage.compact(to);
              break;
            }
          }
          expect(log.lastIndex()).toBe(terms.length);
          expect(termsOf(log)).toEqual(terms.slice(log.firstIndex() - 1));
        }
      }),
      { numRuns: 500 },
    );
  });
});
