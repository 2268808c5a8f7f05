// The crash run on a simulated disk: every effect of a short run, seed after seed.

import { verify } from '../../src/base/index.ts';
import { parseVersion } from '../../src/membership/index.ts';
import { type CrashRunReport, crashRun } from '../../src/server/testing/crash-run.fixture.ts';
import { simConfig } from '../../src/server/testing/sim-member.fixture.ts';

export interface SimCrashOptions {
  readonly seed: number;
  readonly seconds: number;
  /** Only before this effect. */
  readonly effect?: number;
  /** Only this outcome of it. */
  readonly outcome?: number;
  /** As the flag `--max-cluster-version` says it. */
  readonly maxClusterVersion?: string;
  readonly log: (line: string) => void;
}

const OUTCOMES = 3;

/** Ends at the deadline, at the first thing that is wrong, or after the one effect asked for. */
export async function runSimCrashes(options: SimCrashOptions): Promise<readonly string[]> {
  verify.all = true;
  const { effect, outcome, maxClusterVersion, log } = options;
  const version = maxClusterVersion === undefined ? undefined : parseVersion(maxClusterVersion);
  const config = simConfig({ maxClusterVersion: version });
  const deadline = performance.now() + options.seconds * 1000;
  const isOver = () => performance.now() > deadline;
  for (let seed = options.seed; ; seed++) {
    const report: CrashRunReport = await crashRun({
      seed,
      config,
      outcomes: (operation) =>
        effect === undefined || operation.effect === effect ? (outcome ?? OUTCOMES - 1) + 1 : 0,
      isLookedAt: ({ number }) => outcome === undefined || number === outcome,
      isOver,
    });
    const { effects, acknowledged, checked, wrong } = report;
    log(
      `seed ${seed}: ${effects} effects, ${acknowledged} requests acknowledged, ` +
        `${checked} crashes checked, ${wrong.length} wrong`,
    );
    if (wrong.length > 0 || effect !== undefined || isOver()) return wrong;
  }
}
