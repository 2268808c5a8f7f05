import { expect, test } from 'vitest';
import { Histogram } from '../../base/index.ts';
import { OperationTimes } from './operation-times.ts';
import { REQUEST_KIND } from './request-envelope.ts';

test('one histogram per operation and outcome, made at the first use', () => {
  const made: string[] = [];
  const histograms: Histogram[] = [];
  const times = new OperationTimes((operation, success) => {
    made.push(`${operation} ${success}`);
    histograms.push(new Histogram([0.001]));
    return histograms.at(-1)!;
  });
  times.observe(REQUEST_KIND.PUT, true, 1);
  times.observe(REQUEST_KIND.PUT, true, 3);
  times.observe(REQUEST_KIND.CLUSTER_MEMBER_ATTR_SET, false, 0);
  times.of(REQUEST_KIND.DELETE_RANGE);
  expect(made).toEqual(['Put true', 'ClusterMemberAttrSet false']);
  expect([...histograms[0]!.counts]).toEqual([1, 1]);
  expect(histograms[0]!.sum).toBeCloseTo(0.004);
});
