// What preflight says of a directory is what real members and ours make of it.

import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import {
  Member,
  type Program,
  realProgram,
  serverUnderTest,
  temporaryDirectory,
} from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { fill } from '../takeover/contents.ts';
import { Side } from './workspace.ts';

const ours = serverUnderTest();
const RELEASES = ['3.7', '3.6', '3.5'] as const;

const places: string[] = [];
afterEach(() => {
  for (const place of places.splice(0)) rmSync(place, { recursive: true, force: true });
});

interface Verdict {
  readonly release: string;
  readonly verdict: string;
  readonly reasons: readonly string[];
}

async function verdictsOn(side: Side): Promise<readonly Verdict[]> {
  const { stdout } = await side.run(['preflight', '--data-dir=data', '-w', 'json']);
  return (JSON.parse(stdout) as { readonly releases: readonly Verdict[] }).releases;
}

/** Whether the program serves with a copy of the directory. */
async function starts(program: Program, from: string): Promise<boolean> {
  const place = temporaryDirectory();
  places.push(place);
  const directory = join(place, 'data');
  cpSync(from, directory, { recursive: true });
  try {
    const member = await Member.start(program, { directory, startTimeoutMs: 20_000 });
    await member.stop();
    return true;
  } catch {
    return false;
  }
}

async function directoryOf(program: Program): Promise<Side> {
  const side = Side.ours();
  places.push(side.directory);
  const member = await Member.start(program, { directory: side.path('data') });
  await fill(member.endpoint, 0);
  await member.stop();
  return side;
}

describeWith('a directory', [ours, ...RELEASES.map(realEtcd)], () => {
  test.each(RELEASES)('of %s starts where preflight says so', async (release) => {
    const side = await directoryOf(realProgram(need(realEtcd(release))));
    const verdicts = await verdictsOn(side);
    expect(verdicts.map((one) => one.release)).toEqual(RELEASES);
    expect(await starts(need(ours), side.path('data'))).toBe(verdicts[0]?.verdict === 'starts');
    for (const { release: name, verdict, reasons } of verdicts) {
      // etcd 3.7 cannot read the requests of the v2 API in a log of 3.5; ours can.
      if (name === '3.7' && release === '3.5') continue;
      const program = realProgram(need(realEtcd(name as (typeof RELEASES)[number])));
      const what = `${name}: ${verdict} ${reasons.join(', ')}`;
      expect(await starts(program, side.path('data')), what).toBe(verdict === 'starts');
    }
  });

  test('that only its database keeps from an older release starts after migrate', async () => {
    const program = realProgram(need(realEtcd('3.6')));
    const side = await directoryOf(program);
    const migrate = (to: string) =>
      side.run(['migrate', '--data-dir=data', `--target-version=${to}`]);
    expect(await migrate('3.7')).toMatchObject({ code: 0 });
    const verdictOf36 = async () => (await verdictsOn(side))[1]?.verdict;
    expect(await verdictOf36()).toBe('afterMigration');
    expect(await migrate('3.6')).toMatchObject({ code: 0 });
    expect(await verdictOf36()).toBe('starts');
    expect(await starts(program, side.path('data'))).toBe(true);
  });
});
