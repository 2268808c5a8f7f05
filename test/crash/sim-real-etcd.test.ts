// What a simulated crash leaves of our files is booted by real etcd, with everything acknowledged.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/index.ts';
import type { SimDisk } from '../../src/env/sim/index.ts';
import type { ClusterVersion } from '../../src/membership/index.ts';
import type { Outcome, Workload } from '../../src/server/testing/crash-run.fixture.ts';
import { isSnapshotStep, runAndCrash } from '../../src/server/testing/crash-run.fixture.ts';
import { DATA_DIR, simConfig } from '../../src/server/testing/sim-member.fixture.ts';
import { ApiClient, type Message } from '../helpers/api.ts';
import { Member, realProgram, temporaryDirectory } from '../helpers/member.ts';
import { describeWith, type Found, need, type RealEtcd, realEtcd } from '../helpers/real-etcd.ts';

const SEED = Number(process.env['CRASH_SEED'] ?? 1);
const ALL = { key: '\0', range_end: '\0' } as const;

const directories: string[] = [];
const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
  for (const path of directories.splice(0)) rmSync(path, { recursive: true, force: true });
});

/** Writes a simulated directory into a real one. */
async function materialize(disk: SimDisk, from: string, to: string): Promise<void> {
  mkdirSync(to, { recursive: true, mode: 0o700 });
  for (const name of await disk.list(from)) {
    const [source, target] = [`${from}/${name}`, join(to, name)];
    const stat = await disk.stat(source);
    if (stat?.kind === 'directory') await materialize(disk, source, target);
    else writeFileSync(target, disk.contentOf(source), { mode: 0o600 });
  }
}

/** Some crashes within the steps of a snapshot, and some anywhere once the member is published. */
function choose(outcomes: readonly Outcome[], count: number): Outcome[] {
  const random = seededRandom(SEED);
  const pick = (from: readonly Outcome[]) => from[random.below(from.length)]!;
  const early = 60;
  const steps = outcomes.filter(({ operation }) => operation.includes('/snap/tmp-'));
  const others = outcomes.filter(({ effect }) => effect > early);
  return Array.from({ length: count }, (_, i) => pick(i % 2 === 0 ? steps : others));
}

type Journal = Workload['journal'];

/** What must be there, by the naive journal: newest acknowledged value of every key. */
function checkKeys(
  journal: Journal,
  mark: number,
  revision: number,
  kvs: readonly Message[],
): void {
  const promised = journal.until(mark);
  expect(revision).toBeGreaterThanOrEqual(promised.newestRevision);
  const stored = new Map(kvs.map((pair) => [String(pair['key']), String(pair['value'])]));
  for (const [key, values] of promised.possibleValues()) {
    expect(values, key).toContain(stored.get(key));
    stored.delete(key);
  }
  expect([...stored.keys()]).toEqual([]);
}

function bootsBy(real: Found<RealEtcd>, version: ClusterVersion, count: number): void {
  const name = `${version.major}.${version.minor}`;
  describeWith(`crashes of a member held at ${name}, booted by real etcd ${name}`, [real], () => {
    test('with everything acknowledged', { timeout: 180_000 }, async () => {
      const config = simConfig({ maxClusterVersion: version });
      let sinceStep = 100;
      const { journal, outcomes } = await runAndCrash({
        seed: SEED,
        config,
        outcomes: (operation) => {
          sinceStep = isSnapshotStep(operation) ? 0 : sinceStep + 1;
          return sinceStep < 4 || operation.effect % 5 === 0 ? 1 : 0;
        },
      });
      for (const outcome of choose(outcomes, count)) {
        const directory = join(temporaryDirectory(), 'data');
        directories.push(join(directory, '..'));
        await materialize(outcome.disk, DATA_DIR, directory);
        // Its peer URL is in the files; etcd wants the flags to agree with nothing but the name.
        const member = await Member.start(realProgram(need(real)), { directory, name: 'sim' });
        members.push(member);
        const client = new ApiClient(member.endpoint);
        try {
          const range = await client.must('KV/Range', ALL);
          const revision = Number((range['header'] as Message)['revision']);
          checkKeys(journal, outcome.mark, revision, range['kvs'] as readonly Message[]);
          await client.must('KV/Put', { key: 'after', value: '1' });
        } finally {
          client.close();
        }
        await member.kill();
      }
    });
  });
}

bootsBy(realEtcd('3.5'), { major: 3, minor: 5 }, 6);
bootsBy(realEtcd('3.4'), { major: 3, minor: 4 }, 6);
