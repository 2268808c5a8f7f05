// `bench/history/releases.jsonl`: what each release measured, one line each.

import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../test/helpers/real-etcd.ts';
import { run } from '../test/helpers/run.ts';
import type { BenchReport } from './bench.ts';

const FILE = join(REPOSITORY, 'bench', 'history', 'releases.jsonl');

/** Appends the medians of a report under a release's name, with the commit and the machine. */
export async function record(release: string, date: string, report: BenchReport): Promise<void> {
  const { stdout } = await run(['git', 'rev-parse', '--short', 'HEAD'], { cwd: REPOSITORY });
  const { machine, node, rounds } = report;
  const cases = Object.fromEntries(report.cases.map(({ name, servers }) => [name, servers]));
  const line = { release, date, commit: stdout.trim(), machine, node, rounds, cases };
  appendFileSync(FILE, `${JSON.stringify(line)}\n`);
}
