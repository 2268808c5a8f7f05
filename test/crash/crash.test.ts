// The short form of `npm run crash`.

import { expect, test } from 'vitest';
import { realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { runCrashes } from './crash.ts';

const SEED = Number(process.env['CRASH_SEED'] ?? 1);

const ours = serverUnderTest();
const real35 = realEtcd('3.5');

describeWith('kill -9 under load, again and again', [ours], () => {
  test('loses nothing that was acknowledged', { timeout: 180_000 }, async () => {
    const report = await runCrashes({
      ...{ servers: [{ program: need(ours) }], seed: SEED, rounds: 8, seconds: 90 },
    });
    expect(report.wrong, `npm run crash -- --seed ${SEED}`).toEqual([]);
    expect(report.rounds).toBeGreaterThan(2);
  });
});

describeWith('the crash run itself, on real etcd', [real35], () => {
  test('finds nothing wrong', { timeout: 60_000 }, async () => {
    const report = await runCrashes({
      ...{ servers: [{ program: realProgram(need(real35)) }], seed: SEED, rounds: 2, seconds: 40 },
    });
    expect(report.wrong).toEqual([]);
  });
});

describeWith('kill -9, and now ours, now real etcd takes over', [ours, real35], () => {
  test('loses nothing that was acknowledged', { timeout: 180_000 }, async () => {
    const report = await runCrashes({
      servers: [
        { program: need(ours), flags: ['--max-cluster-version=3.5'] },
        { program: realProgram(need(real35)) },
      ],
      ...{ seed: SEED, rounds: 5, seconds: 90 },
    });
    expect(report.wrong, `CRASH_SEED=${SEED}`).toEqual([]);
  });
});
