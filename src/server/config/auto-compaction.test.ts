import { expect, test } from 'vitest';
import { parseAutoCompaction } from './auto-compaction.ts';

test.each([
  ['periodic', '', 0],
  ['periodic', '0', 0],
  ['periodic', '-0', 0],
  ['periodic', '1', 3_600_000],
  ['periodic', '+2', 7_200_000],
  ['periodic', '30m', 1_800_000],
  ['periodic', '10h', 36_000_000],
  ['periodic', '1h30m5s', 5_405_000],
  ['periodic', '0.5s', 500],
  ['revision', '0', 0],
  ['revision', '1000', 1000],
  ['revision', '5us', 5000],
] as const)('%s %j', (mode, text, retention) => {
  expect(parseAutoCompaction(mode, text)).toEqual({ mode, retention });
});

test.each([
  ['', '1', 'undefined auto-compaction-mode'],
  ['hourly', '1', 'unknown auto-compaction-mode "hourly"'],
  ['periodic', 'x', 'error parsing CompactionRetention: time: invalid duration "x"'],
  ['revision', '-5', 'error parsing CompactionRetention: time: missing unit in duration "-5"'],
  ['periodic', '-5m', '--auto-compaction-retention must not be negative'],
])('%j %j is refused', (mode, text, reason) => {
  expect(parseAutoCompaction(mode, text)).toBe(reason);
});
