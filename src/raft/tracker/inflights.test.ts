import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Inflights } from './inflights.ts';

test('behaves like a list of messages', () => {
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 1, max: 5 }), bytes: fc.nat(50) }),
    fc.record({ free: fc.nat(40) }),
    fc.constant({ reset: true as const }),
  );
  const bytesMax = fc.constantFrom(30, 100, Number.POSITIVE_INFINITY);
  const limits = fc.record({ countMax: fc.integer({ min: 1, max: 20 }), bytesMax });
  fc.assert(
    fc.property(limits, fc.array(step, { maxLength: 80 }), ({ countMax, bytesMax }, steps) => {
      const inflights = new Inflights(countMax, bytesMax);
      let naive: { last: number; bytes: number }[] = [];
      let last = 0;
      for (const one of steps) {
        const total = naive.reduce((sum, { bytes }) => sum + bytes, 0);
        expect(inflights.count).toBe(naive.length);
        expect(inflights.bytes).toBe(total);
        expect(inflights.full()).toBe(naive.length >= countMax || total >= bytesMax);
        if ('add' in one) {
          if (inflights.full()) continue;
          last += one.add;
          inflights.add(last, one.bytes);
          naive.push({ last, bytes: one.bytes });
        } else if ('free' in one) {
          const to = last - one.free;
          inflights.freeTo(to);
          naive = naive.filter((message) => message.last > to);
        } else {
          inflights.reset();
          naive = [];
        }
      }
    }),
    { numRuns: 1_000 },
  );
});

test('one message may cross the bound of bytes, and then the window is full', () => {
  const inflights = new Inflights(10, 100);
  inflights.add(1, 99);
  expect(inflights.full()).toBe(false);
  inflights.add(2, 5_000);
  expect(inflights.full()).toBe(true);
  expect(() => inflights.add(3, 1)).toThrow('full inflight window');
  inflights.freeTo(1);
  expect(inflights.full()).toBe(true);
  inflights.freeTo(2);
  expect(inflights.full()).toBe(false);
});

test('a clone is independent', () => {
  const inflights = new Inflights(3, Number.POSITIVE_INFINITY);
  inflights.add(4, 1);
  inflights.add(6, 1);
  const clone = inflights.clone();
  inflights.freeTo(6);
  expect([inflights.count, clone.count, clone.bytes]).toEqual([0, 2, 2]);
  clone.add(7, 1);
  expect(clone.full()).toBe(true);
  clone.freeTo(4);
  expect([clone.count, inflights.count]).toEqual([2, 0]);
});
