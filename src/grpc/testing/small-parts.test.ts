// The smallest honest units: timeouts, percent-encoding, metadata, deadlines, response heads.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, hasCode } from '../../base/index.ts';
import { Deadlines, type HasDeadline } from '../deadlines.ts';
import { gunzip, gzip } from '../gzip.ts';
import { TokenBucket } from '../http2/token-bucket.ts';
import { decodeBinaryValue, encodeBinaryValue, PairMetadata, pairsFromInit } from '../metadata.ts';
import { percentDecode, percentEncode } from '../percent-encoding.ts';
import { GrpcStatusError, STATUS, statusName } from '../status.ts';
import { formatTimeout, parseTimeout } from '../timeout.ts';
import { ManualTime } from './raw-peer.fixture.ts';

describe('timeouts', () => {
  test.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3_000],
    ['4m', 4],
    ['5u', 0.005],
    ['6n', 0.000006],
    ['0m', 0],
    ['99999999S', 99_999_999_000],
    ['99999999H', 9_223_372_036_854.775],
  ])('%s', (text, ms) => {
    expect(parseTimeout(text)).toBeCloseTo(ms, 6);
  });

  test.each([
    ['', 'too short'],
    ['S', 'too short'],
    ['123456789S', 'too long'],
    ['5', 'too short'],
    ['5x', 'not recognized'],
    ['-5S', 'not a number'],
    ['5.5S', 'not a number'],
    [' 5S', 'not a number'],
  ])('%j is refused', (text, reason) => {
    expect(() => parseTimeout(text)).toThrow(reason);
  });

  test('what is formatted is never less, and hardly more', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1e12, noNaN: true }), (ms) => {
        const text = formatTimeout(ms);
        expect(text.length).toBeLessThanOrEqual(9);
        const back = parseTimeout(text);
        expect(back).toBeGreaterThanOrEqual(ms * (1 - 1e-12));
        expect(back).toBeLessThanOrEqual(ms * (1 + 1e-4) + 1e-6);
      }),
    );
    expect(formatTimeout(0)).toBe('1n');
    expect(formatTimeout(1e30)).toBe('99999999H');
  });
});

describe('percent-encoding', () => {
  test.each([
    ['plain text', 'plain text'],
    ['100%', '100%25'],
    ['a\nb', 'a%0Ab'],
    ['ü', '%C3%BC'],
    ['日', '%E6%97%A5'],
    ['\x7f~ ', '%7F~ '],
  ])('%j', (text, encoded) => {
    expect(percentEncode(text)).toBe(encoded);
    expect(percentDecode(encoded)).toBe(text);
  });

  test.each(['%', '%4', '%zz', 'a%', '50% off', '%%'])('%j is left as it is', (text) => {
    expect(percentDecode(text)).toBe(text);
  });

  test('decodes what it encodes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const encoded = percentEncode(text);
        expect(encoded).toMatch(/^[\x20-\x7e]*$/);
        expect(percentDecode(encoded)).toBe(text);
      }),
    );
  });
});

describe('metadata', () => {
  test('binary values', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
        const text = encodeBinaryValue(bytes);
        expect(text).not.toContain('=');
        expect(decodeBinaryValue(text)).toEqual(Uint8Array.from(bytes));
        const padded = Buffer.from(bytes).toString('base64');
        expect(decodeBinaryValue(padded)).toEqual(Uint8Array.from(bytes));
      }),
    );
  });

  test.each(['a', 'a=', 'ab!=', 'abcde', 'ab===='])('%j is no base64', (text) => {
    expect(decodeBinaryValue(text)).toBeUndefined();
  });

  test('what may be sent', () => {
    expect(
      pairsFromInit({ 'x-a': ['1', '2'], 'x-bin': [Uint8Array.of(255), 'a'], 'x-e': '' }),
    ).toEqual([
      ['x-a', '1'],
      ['x-a', '2'],
      ['x-bin', '/w'],
      ['x-bin', 'YQ'],
      ['x-e', ''],
    ]);
  });

  test.each([
    [{ 'X-A': 'x' }],
    [{ ':path': 'x' }],
    [{ 'a b': 'x' }],
    [{ 'grpc-timeout': '1S' }],
    [{ te: 'x' }],
    [{ 'x-a': 'ü' }],
    [{ 'x-a': 'a\n' }],
    [{ 'x-a': Uint8Array.of(1) }],
  ])('%j may not be sent', (init) => {
    let error: unknown;
    try {
      pairsFromInit(init as Record<string, string>);
    } catch (caught) {
      error = caught;
    }
    expect(hasCode(error, ERROR_CODES.INVALID_ARGUMENT)).toBe(true);
  });

  test('reading', () => {
    const metadata = new PairMetadata([
      ['a', '1'],
      ['b-bin', 'AQI'],
      ['a', '2'],
      ['c-bin', '!'],
    ]);
    expect(metadata.get('a')).toBe('1');
    expect(metadata.getAll('a')).toEqual(['1', '2']);
    expect(metadata.get('z')).toBeUndefined();
    expect(metadata.getBytes('b-bin')).toEqual(Uint8Array.of(1, 2));
    expect(metadata.getBytes('c-bin')).toBeUndefined();
    expect(metadata.entries()).toHaveLength(4);
  });
});

describe('deadlines', () => {
  class Entry implements HasDeadline {
    deadlineMs: number;
    deadlineNext: HasDeadline | undefined = undefined;
    deadlinePrevious: HasDeadline | undefined = undefined;
    deadlineSlot = -1;
    readonly due: (entry: Entry) => void;

    constructor(deadlineMs: number, due: (entry: Entry) => void) {
      this.deadlineMs = deadlineMs;
      this.due = due;
    }

    onDeadline(): void {
      this.due(this);
    }
  }

  test('each is told once, in time, unless removed', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            startMs: fc.nat(5_000),
            timeoutMs: fc.oneof(fc.nat(200), fc.nat(30_000)),
            removeAfterMs: fc.option(fc.nat(30_000)),
          }),
          { maxLength: 40 },
        ),
        (plans) => {
          const time = new ManualTime();
          const deadlines = new Deadlines(time, time);
          const told = new Map<number, number>();
          plans.forEach((plan, i) => {
            time.after(plan.startMs, () => {
              const entry = new Entry(time.nowMs + plan.timeoutMs, () => {
                expect(told.has(i)).toBe(false);
                told.set(i, time.nowMs);
              });
              deadlines.add(entry);
              if (plan.removeAfterMs !== null) {
                time.after(plan.removeAfterMs, () => deadlines.remove(entry));
              }
            });
          });
          const startMs = time.nowMs;
          time.advance(70_000);
          plans.forEach((plan, i) => {
            const dueMs = startMs + plan.startMs + plan.timeoutMs;
            const removed = plan.removeAfterMs !== null && plan.removeAfterMs < plan.timeoutMs;
            const unclear =
              plan.removeAfterMs !== null && Math.abs(plan.removeAfterMs - plan.timeoutMs) <= 20;
            if (unclear) return;
            if (removed) expect(told.has(i)).toBe(false);
            else {
              expect(told.get(i)).toBeGreaterThanOrEqual(dueMs);
              expect(told.get(i)).toBeLessThanOrEqual(dueMs + 17);
            }
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  test('one deadline may remove another of the same moment', () => {
    const time = new ManualTime();
    const deadlines = new Deadlines(time, time);
    const told: string[] = [];
    const ended = new Set<string>();
    const entry = (name: string): Entry =>
      new Entry(time.nowMs + 100, () => {
        if (ended.has(name)) return;
        told.push(name);
        for (const other of ['a', 'b']) ended.add(other);
        for (const one of entries) deadlines.remove(one);
      });
    const entries = [entry('a'), entry('b')];
    for (const one of entries) deadlines.add(one);
    time.advance(200);
    expect(told).toHaveLength(1);
  });
});

test('a token bucket', () => {
  const bucket = new TokenBucket(3);
  bucket.give(100);
  expect([bucket.take(1), bucket.take(2), bucket.take(1)]).toEqual([true, true, false]);
  bucket.give(2);
  expect([bucket.take(1), bucket.take(1)]).toEqual([true, false]);
});

test('gzip', () => {
  const bytes = new Uint8Array(1000).fill(5);
  expect(Uint8Array.from(gunzip(gzip(bytes), 1000))).toEqual(bytes);
  expect(() => gunzip(gzip(bytes), 999)).toThrow('too large');
  expect(() => gunzip(Uint8Array.of(1, 2), 999)).toThrow('gzip:');
});

test('status names', () => {
  expect(statusName(STATUS.FAILED_PRECONDITION)).toBe('FailedPrecondition');
  expect(statusName(99)).toBe('Code(99)');
  expect(new GrpcStatusError(5, 'gone').message).toBe('NotFound: gone');
});
