// Runs a piece of work again and again, and crashes it at every effect it has on the disk.

import { ERROR_CODES, hasCode } from '../../base/index.ts';
import { SimDisk } from './sim-disk.ts';

/** What is run, crashed at every effect, and checked after it. */
export interface CrashEverywhereOptions<State> {
  readonly seed: number;
  /** Outcomes looked at for each crash point; 3 by default. */
  readonly outcomes?: number;
  /** Crash points are this far apart; 1, every one, by default. */
  readonly stride?: number;
  /** What the work begins with; its effects are not crashed and are synced only by the caller. */
  readonly prepare?: (disk: SimDisk) => Promise<void>;
  /** A fresh record for one run, where the work notes what it was promised. */
  readonly newState: () => State;
  /** May fail in any way once the disk has crashed. */
  readonly work: (disk: SimDisk, state: State) => Promise<void>;
  /** Looks at the disk found after the crash. Must throw if a promise noted in the state is broken. */
  readonly check: (disk: SimDisk, state: State) => Promise<void>;
}

/**
 * Returns the number of crash points tried. A failure names the seed, the effect and the outcome
 * that repeat it. The work must have the same effects in each run until the crash.
 */
export async function crashEverywhere<State>(
  options: CrashEverywhereOptions<State>,
): Promise<number> {
  const stride = options.stride ?? 1;
  const total = await run(options, Number.POSITIVE_INFINITY);
  let points = 0;
  for (let effect = 1; effect <= total; effect += stride) {
    await run(options, effect);
    points++;
  }
  return points;
}

/** Returns the number of effects of the work. */
async function run<State>(
  options: CrashEverywhereOptions<State>,
  crashAt: number,
): Promise<number> {
  const disk = new SimDisk({ seed: options.seed });
  await options.prepare?.(disk);
  const before = disk.effectCount;
  disk.crashAtEffect(before + crashAt);
  const state = options.newState();
  try {
    await options.work(disk, state);
  } catch (error) {
    // Before the crash nothing may fail; after it, only because of it.
    if (!disk.dead) throw error;
    if (!hasCode(error, ERROR_CODES.CLOSED)) throw error;
  }
  const effects = disk.effectCount - before;
  for (let outcome = 0; outcome < (options.outcomes ?? 3); outcome++) {
    const seed = options.seed + crashAt * 1000 + outcome;
    const found = disk.crash({ seed: Number.isFinite(seed) ? seed : options.seed + outcome });
    try {
      await options.check(found, state);
    } catch (error) {
      const where = `seed ${options.seed}, crash at effect ${crashAt}, outcome ${outcome}`;
      throw new Error(`${where}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    }
  }
  return effects;
}
