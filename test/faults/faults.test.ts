// The short form of `npm run faults`.

import { expect, test } from 'vitest';
import { serverUnderTest } from '../helpers/member.ts';
import { describeWith, type Found, realEtcd } from '../helpers/real-etcd.ts';
import { FAULTS, faultsAmong } from './faults.ts';
import { runFaults } from './run.ts';
import { type ServerChoice, serversFor } from './servers.ts';

const SEED = Number(process.env['FAULTS_SEED'] ?? 1);

const ours = serverUnderTest();
const real35 = realEtcd('3.5');

interface Run {
  readonly choice: ServerChoice;
  readonly needs: readonly Found<unknown>[];
  readonly members: number;
  readonly seconds: number;
}

const runs: readonly Run[] = [
  { choice: 'tetcd', needs: [ours], members: 3, seconds: 25 },
  { choice: 'mixed', needs: [ours, real35], members: 3, seconds: 15 },
  // That the run itself is right.
  { choice: '3.5', needs: [real35], members: 3, seconds: 10 },
];

for (const { choice, needs, members, seconds } of runs) {
  describeWith(`${members} members under faults: ${choice}`, needs, () => {
    test('keep every promise', { timeout: 180_000 }, async () => {
      const command = `npm run faults -- --servers ${choice} --seconds ${seconds} --seed ${SEED}`;
      const report = await runFaults({
        ...serversFor(choice, members),
        ...{ seconds, seed: SEED, command },
      });
      if (report.wrong.length > 0) console.error(report.logs);
      expect(report.wrong, command).toEqual([]);
      expect(report.faults).toBeGreaterThan(2);
      expect(report.acknowledged).toBeGreaterThan(20 * seconds);
      expect(report.watchEvents).toBeGreaterThan(report.revisions);
    });
  });
}

test('a single member meets what can happen to it, and no fault that needs another', () => {
  expect(faultsAmong(FAULTS, 1)).toEqual(['kill', 'pause']);
  expect(faultsAmong(FAULTS, 2)).toEqual(FAULTS);
  expect(() => faultsAmong(['split', 'reset'], 1)).toThrow(
    'no fault of split, reset does anything',
  );
});
