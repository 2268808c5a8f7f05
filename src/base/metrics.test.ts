import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  Counter,
  exponentialBounds,
  FAMILY_CHILDREN_MAX,
  Histogram,
  MetricFamily,
} from './metrics.ts';

test('a value is counted in the first range whose bound it does not exceed', () => {
  const value = fc.oneof(fc.double({ noNaN: true }), fc.constantFrom(1, 2, 4, 8, 16));
  fc.assert(
    fc.property(fc.array(value), (values) => {
      const bounds = exponentialBounds(1, 2, 5);
      const histogram = new Histogram(bounds);
      const plain = new Array(6).fill(0);
      for (const each of values) {
        histogram.observe(each);
        const found = bounds.findIndex((bound) => each <= bound);
        plain[found < 0 ? 5 : found]++;
      }
      expect([...histogram.counts]).toEqual(plain);
    }),
  );
});

test('bounds must ascend', () => {
  expect(() => new Histogram([1, 1])).toThrow('ascend');
});

test('one record per combination of labels, however they join', () => {
  const family = new MetricFamily(2, () => new Counter());
  family.with('a', 'bc').value++;
  family.with('ab', 'c').value += 2;
  family.with('a', 'bc').value++;
  expect([...family.children()].map(({ labels, metric }) => [...labels, metric.value])).toEqual([
    ['a', 'bc', 2],
    ['ab', 'c', 2],
  ]);
  expect(() => family.with('a')).toThrow('a label value for every label name');
});

test('combinations beyond the limit share one record', () => {
  const family = new MetricFamily(1, () => new Counter());
  for (let i = 0; i < FAMILY_CHILDREN_MAX + 50; i++) family.with(`v${i}`).value++;
  expect([...family.children()]).toHaveLength(FAMILY_CHILDREN_MAX + 1);
  expect(family.with('other').value).toBe(50);
  expect(family.with('v0').value).toBe(1);
});
