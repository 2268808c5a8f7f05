import { expect, test } from 'vitest';
import { readReports } from './official-report.ts';

const body = (seconds: string, rate: string, percentiles: string): string => `
Summary:
  Total:	${seconds} secs.
  Slowest:	0.0659 secs.
  Average:	0.0065 secs.
  Requests/sec:	${rate}

Response time histogram:
  0.0003 [1]	|
  0.0069 [87]	|∎∎∎∎

Latency distribution:
  10% in 0.0004 secs.
${percentiles}`;

test('one report without a heading', () => {
  const text = body('0.5', '400.0', '  50% in 0.0015 secs.\n  99% in 0.0625 secs.\n\n');
  expect(readReports(text)).toEqual([
    { heading: '', requests: 200, requestsPerSecond: 400, p50Ms: 1.5, p99Ms: 62.5, failed: 0 },
  ]);
});

test('several, each under its heading; few requests have no 99 %', () => {
  const reads = body('0.5', '1e+03', '  50% in 0.001 secs.\n  95% in 0.02 secs.\n');
  const writes = body('2', '50', '  50% in 0.004 secs.\n  99% in 0.008 secs.\n');
  const text = `bench with linearizable range\nTotal Read Ops: 500\nDetails:${reads}\nTotal Write Ops: 100\nDetails:${writes}`;
  expect(readReports(text)).toMatchObject([
    { heading: 'Total Read Ops: 500', requests: 500, p99Ms: undefined },
    { heading: 'Total Write Ops: 100', requests: 100, p50Ms: 4, p99Ms: 8 },
  ]);
  const second = readReports(
    `Watch creation summary:\n${reads}Watch events received summary:\n${writes}`,
  );
  expect(second.map(({ heading }) => heading)).toEqual([
    'Watch creation summary:',
    'Watch events received summary:',
  ]);
});

test('a median of 0 is left out by the generator', () => {
  const text = body('1', '100', '  75% in 0.001 secs.\n  99% in 0.002 secs.\n').replace(
    /^ {2}10%.*\n/m,
    '',
  );
  expect(readReports(text)).toMatchObject([{ p50Ms: 0, p99Ms: 2 }]);
});

test('errors are counted', () => {
  const errors =
    '\nError distribution:\n  [3]\tetcdserver: too many requests\n  [40]\tcontext canceled\n';
  const text = body('1', '100', `  50% in 0.001 secs.\n${errors}`);
  expect(readReports(text)).toMatchObject([{ requests: 100, failed: 43 }]);
  expect(readReports(text + body('1', '7', '  50% in 0.001 secs.\n'))).toMatchObject([
    { failed: 43 },
    { heading: '', failed: 0 },
  ]);
});

test('no report, or one without numbers, is an error', () => {
  expect(() => readReports('panic: no endpoints')).toThrow(
    'printed no report: panic: no endpoints',
  );
  expect(() => readReports('\nError distribution:\n  [3]\tx\n')).toThrow('printed no report');
  expect(() => readReports(body('1', 'x', ''))).toThrow('without its numbers');
});
