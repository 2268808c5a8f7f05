// The promises of raft (paper, figure 3) under random schedules: election safety, log matching,
// leader completeness, state machine safety; besides, that reads are linearizable, that a hard
// state never goes back, and that the group agrees once the faults have ended.
//
// TETCD_SEED=N repeats one schedule, TETCD_SCHEDULES=N runs more of them.

import { expect, test } from 'vitest';
import { Schedule } from './schedule.fixture.ts';

const STEPS = 2_500;
const only = process.env['TETCD_SEED'];
const count = Number(process.env['TETCD_SCHEDULES'] ?? 60);
const seeds = only === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(only)];

test('no random schedule breaks a promise', { timeout: 600_000 }, () => {
  const totals = { committed: 0, leaders: 0, reads: 0, lockedOut: 0 };
  for (const seed of seeds) {
    try {
      const schedule = new Schedule(seed);
      schedule.run(STEPS);
      totals.committed += schedule.committedMax;
      totals.leaders += schedule.termsWithLeader;
      totals.reads += schedule.readsServed;
      if (!schedule.heal()) totals.lockedOut++;
    } catch (error) {
      const again = `TETCD_SEED=${seed} npx vitest run src/raft/safety.test.ts`;
      throw new Error(`${String(error)}\nagain: ${again}`, { cause: error });
    }
  }
  if (process.env['TETCD_SCHEDULES'] !== undefined) console.log(totals, seeds.length);
  if (only !== undefined) return;
  // The schedules would prove nothing if nothing happened in them.
  expect(totals.committed / seeds.length).toBeGreaterThan(10);
  expect(totals.leaders / seeds.length).toBeGreaterThan(2);
  expect(totals.reads / seeds.length).toBeGreaterThan(1);
  expect(totals.lockedOut / seeds.length).toBeLessThanOrEqual(0.02);
});
