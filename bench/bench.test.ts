// The small form of `npm run bench`: every case runs and its numbers are numbers.

import { rmSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import {
  type Program,
  realProgram,
  serverUnderTest,
  temporaryDirectory,
} from '../test/helpers/member.ts';
import { describeWith, need, officialLoader, realEtcd } from '../test/helpers/real-etcd.ts';
import { runBench } from './bench.ts';
import { CASES, type Case, SMALL } from './cases.ts';
import { CLUSTER_CASES } from './cluster-cases.ts';
import { OFFICIAL_CASES } from './official-cases.ts';
import { median, reportCase, table } from './report.ts';
import { PreparedDirectories } from './servers.ts';
import { TLS_CASES } from './tls-cases.ts';

const root = temporaryDirectory();
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Puts go through, and the leader stays. */
const CALM = { failed: 0, elections: 0 };

async function tryOut(program: Program, cases: readonly Case[]): Promise<void> {
  const report = await runBench({
    ...{ programs: [program], cases, rounds: 1, sizes: SMALL, log: () => {} },
    directories: new PreparedDirectories(root),
  });
  for (const one of report.cases) {
    const measured = Object.values(one.servers[program.name]!);
    expect(measured.length, one.name).toBeGreaterThan(1);
    for (const value of measured) expect(value, one.name).toBeGreaterThanOrEqual(0);
    const { failed = 0, elections = 0 } = one.servers[program.name]!;
    if (cases === OFFICIAL_CASES) expect(failed, one.name).toBe(0);
    if (one.name.startsWith('storm-')) expect({ failed, elections }).toEqual(CALM);
  }
  expect(table(report.cases).split('\n')).toHaveLength(cases.length + 2);
}

const ours = serverUnderTest();
const real35 = realEtcd('3.5');

describeWith('the bench, in small', [ours], () => {
  for (const one of CASES) {
    test(one.title, { timeout: 120_000 }, () => tryOut(need(ours), [one]));
  }
});

describeWith('the bench on real etcd', [real35], () => {
  const few = CASES.filter((one) => ['put', 'watch'].includes(one.name));
  test('a few cases', { timeout: 120_000 }, () => tryOut(realProgram(need(real35)), few));
});

const OF_CLUSTERS = [
  ...['put-1', 'put-1-fresh', 'put-100', 'put-spread', 'read-follower', 'failover', 'hand-over'],
  ...['catch-up-log', 'catch-up-snapshot', 'stall-hash', 'idle'],
];
const clusterCases = CLUSTER_CASES.filter((one) => OF_CLUSTERS.includes(one.name));

describeWith('the bench of clusters, in small', [ours], () => {
  for (const one of clusterCases) {
    test(one.title, { timeout: 120_000 }, () => tryOut(need(ours), [one]));
  }
});

describeWith('the bench of clusters on real etcd', [real35], () => {
  const few = clusterCases.filter((one) => one.name === 'catch-up-snapshot');
  test('a case', { timeout: 120_000 }, () => tryOut(realProgram(need(real35)), few));
});

const OVER_TLS = ['put-users', 'idle', 'storm-logins', 'storm-handshakes'];

describeWith('the bench over TLS, in small', [ours], () => {
  for (const one of TLS_CASES.filter((one) => OVER_TLS.includes(one.name))) {
    test(one.title, { timeout: 120_000 }, () => tryOut(need(ours), [one]));
  }
});

const [loader, real37] = [officialLoader(), realEtcd('3.7')];

describeWith("the bench by etcd's load generator, in small", [ours, loader], () => {
  test('all cases', { timeout: 240_000 }, () => tryOut(need(ours), OFFICIAL_CASES));
});

describeWith("the bench by etcd's load generator on real etcd", [real37, loader], () => {
  const few = OFFICIAL_CASES.filter((one) =>
    ['put', 'txn-mixed', 'watch-latency'].includes(one.name),
  );
  test('a few cases', { timeout: 120_000 }, () => tryOut(realProgram(need(real37)), few));
});

describe('the report', () => {
  test('medians', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });

  test('compares with the better of the others, rates the other way round', () => {
    const one: Case = { ...CASES[0]!, goal: { field: 'cpuUsPerRequest', ratio: 2.5 } };
    const runs = new Map([
      ['ours', [{ cpuUsPerRequest: 10, requestsPerSecond: 100 }]],
      ['a', [{ cpuUsPerRequest: 30, requestsPerSecond: 40 }]],
      ['b', [{ cpuUsPerRequest: 20, requestsPerSecond: 50 }]],
    ]);
    const report = reportCase(one, 'ours', runs);
    expect(report.ratios).toEqual({ cpuUsPerRequest: 2, requestsPerSecond: 2 });
    expect(report.goal?.reached).toBe(false);
  });
});
