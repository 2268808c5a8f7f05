// The short form of `npm run sim`: seeds for a fixed time; that a seed is one run and no other; that
// planted bugs are found.
//
// SIM_SEED is the first seed, SIM_SECONDS the time for seeds.

import { describe, expect, test } from 'vitest';
import { CANARIES } from './canaries.ts';
import { historyToJson } from './check/history.ts';
import { FAULTS } from './faults.ts';
import { planOf } from './plan.ts';
import { BUSY_RULE, runSim } from './run.ts';

const SEED = Number(process.env['SIM_SEED'] ?? 1);
const SECONDS = Number(process.env['SIM_SECONDS'] ?? 45);
const DURATION_MS = 15_000;

test('clusters keep their promises under faults', {
  timeout: 60_000 + SECONDS * 2000,
}, async () => {
  const deadline = performance.now() + SECONDS * 1000;
  let operations = 0;
  let faults = 0;
  for (let seed = SEED; seed < SEED + 2 || performance.now() < deadline; seed++) {
    const report = await runSim({ seed, durationMs: DURATION_MS });
    expect(report.violations, report.history.command).toEqual([]);
    operations += report.operations;
    faults += report.faults;
  }
  expect(operations).toBeGreaterThan(500);
  expect(faults).toBeGreaterThan(3);
});

test('a seed is one run', { timeout: 120_000 }, async () => {
  const run = () => runSim({ seed: SEED + 1, durationMs: 5000 });
  const [first, second] = [await run(), await run()];
  expect(second.trace).toBe(first.trace);
  expect(historyToJson(second.history)).toBe(historyToJson(first.history));
  const other = await runSim({ seed: SEED + 2, durationMs: 5000 });
  expect(other.trace).not.toBe(first.trace);
});

test('a cluster is downgraded under faults, and taken up again', { timeout: 60_000 }, async () => {
  const report = await runSim({ seed: SEED, durationMs: DURATION_MS, kind: 'downgrade' });
  expect(report.violations, report.history.command).toEqual([]);
  expect(report.events.get('[held]')).toBeGreaterThanOrEqual(3);
});

test('every kind of fault is in some plan', () => {
  const names = new Set<string>();
  for (let seed = SEED; seed < SEED + 50; seed++) {
    for (const { name } of planOf({ seed }).faults) names.add(name);
  }
  expect([...names].sort()).toEqual(FAULTS.map(({ name }) => name).sort());
});

describe('the checkers find', () => {
  test.each(CANARIES)('$name within $seeds seeds', { timeout: 180_000 }, async (canary) => {
    for (let seed = SEED; seed < SEED + canary.seeds; seed++) {
      const { faults, kind, tokens, durationMs = DURATION_MS } = canary;
      const report = await runSim({ seed, durationMs, canary, faults, kind, tokens });
      // That it is found by what it breaks, not by the noise that it makes.
      if (report.violations.some(({ rule }) => rule !== BUSY_RULE)) return;
    }
    throw new Error('the canary was not found');
  });
});
