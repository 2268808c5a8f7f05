// Runs cases against servers in alternating rounds.

import { cpus } from 'node:os';
import type { Program } from '../test/helpers/member.ts';
import type { Case, Measurement, Sizes } from './cases.ts';
import { type CaseReport, reportCase } from './report.ts';
import type { PreparedDirectories } from './servers.ts';

export interface BenchOptions {
  /** Ours first, then those to compare with. */
  readonly programs: readonly Program[];
  readonly cases: readonly Case[];
  readonly rounds: number;
  readonly sizes: Sizes;
  readonly directories: PreparedDirectories;
  readonly log: (line: string) => void;
}

export interface BenchReport {
  readonly machine: string;
  readonly node: string;
  readonly rounds: number;
  readonly cases: readonly CaseReport[];
}

export async function runBench(options: BenchOptions): Promise<BenchReport> {
  const { programs, cases, rounds, sizes, directories } = options;
  const runs = new Map(
    cases.map((one) => [
      one.name,
      new Map(programs.map((program) => [program.name, [] as Measurement[]])),
    ]),
  );
  for (let round = 1; round <= rounds; round++) {
    for (const one of cases) {
      for (const program of programs) {
        const measured = await one.run(program, { directories, sizes, round });
        runs.get(one.name)!.get(program.name)!.push(measured);
        options.log(`${round} ${one.name}, ${program.name}: ${describe(measured)}`);
      }
    }
  }
  const ours = programs[0]!.name;
  return {
    machine: `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores`,
    node: process.version,
    rounds,
    cases: cases.map((one) => reportCase(one, ours, runs.get(one.name)!)),
  };
}

function describe(measured: Measurement): string {
  return Object.entries(measured)
    .map(([field, value]) => `${field} ${value < 100 ? value.toFixed(2) : value.toFixed(0)}`)
    .join(', ');
}
