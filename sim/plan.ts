// What a seed stands for: how large the cluster is, how it is set, what its clients do and what
// happens to it. Each run has some kinds of faults only: with all of them always, some combinations
// would never get the time to matter.

import { type Random, seededRandom } from '../src/base/index.ts';
import type { ServerConfig } from '../src/server/config/index.ts';
import { REVISION_COMPACTION_INTERVAL_MS } from '../src/server/limits.ts';
import type { TrafficMix } from './check/traffic.ts';
import { FAULTS, type Fault } from './faults.ts';
import { JWT_OPTION } from './jwt.ts';

export const PLAN_KINDS = ['keys', 'users', 'locks', 'downgrade'] as const;
/**
 * With `users`, authentication is on, and an administrator changes what clients may do; with `locks`,
 * clients contend for locks and elections, and do nothing else; with `downgrade`, an operator downgrades
 * the cluster and gives it up again.
 */
export type PlanKind = (typeof PLAN_KINDS)[number];

export const TOKEN_KINDS = ['simple', 'jwt'] as const;
export type TokenKind = (typeof TOKEN_KINDS)[number];

export interface Plan {
  readonly seed: number;
  readonly kind: PlanKind;
  /** Where there are users. */
  readonly tokens: TokenKind;
  readonly size: number;
  readonly durationMs: number;
  /** How long nothing happens after traffic and faults. */
  readonly idleMs: number;
  readonly settings: Partial<ServerConfig>;
  readonly walSegmentSize: number;
  readonly faults: readonly Fault[];
  /** Longest pause between two faults. */
  readonly calmMs: number;
  readonly clients: number;
  readonly pauseMs: number;
  readonly keys: number;
  readonly mix: Partial<TrafficMix>;
}

export interface PlanOptions {
  readonly seed: number;
  readonly durationMs?: number;
  /** Names of the faults; by default chosen by the seed. */
  readonly faults?: readonly string[];
  /** By default chosen by the seed. */
  readonly kind?: PlanKind | undefined;
  /** Of users; by default chosen by the seed. */
  readonly tokens?: TokenKind | undefined;
}

const DURATION_MS = 30_000;
const KIB = 1024;
/** Automatic compaction keeps the history of so long, or so many revisions. */
const PERIOD_MS = 3_000;
const REVISIONS_KEPT = 20;

export function planOf(options: PlanOptions): Plan {
  const random = seededRandom(options.seed);
  const pick = <T>(...items: readonly T[]): T => items[random.below(items.length)]!;
  const plan = keysPlan(options, random);
  const kind = options.kind ?? pick('keys', 'keys', 'downgrade', 'users', 'users', 'locks');
  if (kind === 'locks') return { ...plan, kind };
  if (kind === 'downgrade') return downgradePlan(plan);
  const withUsers = kind === 'keys' ? plan : usersPlan(plan, options, random);
  const compaction = pick('none', 'none', 'none', 'periodic', 'periodic', 'revision');
  return compaction === 'none' ? withUsers : compactedPlan(withUsers, compaction);
}

/** The cluster compacts itself, and no client does. */
function compactedPlan(plan: Plan, mode: 'periodic' | 'revision'): Plan {
  const autoCompaction = { mode, retention: mode === 'periodic' ? PERIOD_MS : REVISIONS_KEPT };
  return {
    ...plan,
    settings: { ...plan.settings, autoCompaction },
    mix: { ...plan.mix, compact: 0 },
    // By revision, a member looks every five minutes.
    idleMs: mode === 'revision' ? REVISION_COMPACTION_INTERVAL_MS : 0,
  };
}

/** Who changes the membership would have to know which program a new member needs. */
function downgradePlan(plan: Plan): Plan {
  const isPossible = ({ kind }: Fault): boolean => kind !== 'membership';
  const faults = plan.faults.filter(isPossible);
  // Releases up to 3.4 know no downgrade.
  const minor = Math.max(6, plan.settings.maxClusterVersion?.minor ?? 6);
  return {
    ...plan,
    kind: 'downgrade',
    settings: {
      ...plan.settings,
      maxClusterVersion: { major: 3, minor },
      downgradeCheckTimeMs: 1000,
    },
    faults: faults.length === 0 ? FAULTS.filter(isPossible) : faults,
  };
}

function usersPlan(plan: Plan, options: PlanOptions, random: Random): Plan {
  const { maxClusterVersion } = plan.settings;
  // What releases up to 3.4 would not apply alike is refused.
  const minor = Math.max(5, maxClusterVersion?.minor ?? 5);
  const simpleTokenTtlMs = random.below(2) === 0 ? 300_000 : 2_000;
  const chosen = random.below(3) === 0 ? 'jwt' : 'simple';
  const tokens = options.tokens ?? chosen;
  const token = tokens === 'jwt' ? JWT_OPTION : 'simple';
  const auth = { token, simpleTokenTtlMs, bcryptCost: 4 };
  return {
    ...plan,
    kind: 'users',
    tokens,
    settings: { ...plan.settings, maxClusterVersion: { major: 3, minor }, auth },
  };
}

function keysPlan(options: PlanOptions, random: Random): Plan {
  const pick = <T>(...items: readonly T[]): T => items[random.below(items.length)]!;
  const plan: Plan = {
    seed: options.seed,
    kind: 'keys',
    tokens: 'simple',
    size: pick(3, 3, 3, 5),
    durationMs: options.durationMs ?? DURATION_MS,
    idleMs: 0,
    settings: {
      // The forms of older releases in log and database, too.
      maxClusterVersion: { major: 3, minor: pick(7, 7, 7, 6, 5, 4) },
      snapshotCount: pick(10, 30, 100, 1000),
      snapshotCatchupEntries: pick(1, 5, 50),
      maxSnapshots: pick(1, 3),
      maxWals: pick(1, 3),
      backendBatchIntervalMs: pick(10, 100),
      backendBatchLimit: pick(4, 50, 1000),
      compactionBatchLimit: pick(4, 100),
      compactionSleepIntervalMs: 1,
    },
    walSegmentSize: pick(8 * KIB, 32 * KIB, 256 * KIB),
    faults: faultsOf(options, random),
    calmMs: pick(100, 500, 2000),
    clients: pick(3, 6, 9),
    pauseMs: pick(50, 100, 200),
    keys: pick(4, 12, 40),
    mix: {
      compact: pick(0, 1, 4),
      leasePut: pick(0, 6, 12),
      lease: pick(0, 6),
      deleteRange: pick(0, 1, 3),
      txn: pick(5, 14, 30),
      staleRange: pick(2, 10),
      defragment: pick(0, 1, 3),
    },
  };
  // A handful of entries, or no bound at all.
  const logBytesMax = pick(KIB, 4 * KIB, Number.POSITIVE_INFINITY);
  return { ...plan, settings: { ...plan.settings, logBytesMax } };
}

function faultsOf({ faults }: PlanOptions, random: Random): readonly Fault[] {
  if (faults !== undefined) {
    return faults.map((name) => {
      const fault = FAULTS.find((each) => each.name === name);
      if (fault === undefined) throw new Error(`no such fault: ${name}`);
      return fault;
    });
  }
  const share = 1 + random.below(4);
  const chosen = FAULTS.filter(() => random.below(5) < share);
  return chosen.length === 0 ? FAULTS : chosen;
}
