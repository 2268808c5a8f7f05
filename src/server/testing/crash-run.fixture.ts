// A short run of a member on the simulated disk, crashed before each of its effects on the disk.
//
// The run happens once. Before an effect that is to be looked at, outcomes of a crash at this moment
// are taken from the disk while the run continues; afterwards a member is booted on each of them and
// checked against what had been promised by then.

import { type Random, seededRandom } from '../../base/index.ts';
import {
  type CrashFate,
  createSimEnv,
  type DiskOperation,
  type SimDisk,
  SimEnv,
  SimWorld,
} from '../../env/sim/index.ts';
import { formatVersion } from '../../membership/index.ts';
import { dataDirectoryOf } from '../../offline/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { checkWal } from '../../wal/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { type Attempt, Journal, type Write } from './crash-journal.fixture.ts';
import {
  type Answer,
  DATA_DIR,
  RequestFailed,
  SimMember,
  simConfig,
} from './sim-member.fixture.ts';

const { MaintenanceService } = etcdserverpb;

const WRITERS = 4;
const KEYS_PER_WRITER = 4;
const REQUESTS_PER_PHASE = 12;
const VALUE_BYTES_MAX = 700;
const LARGE_VALUE_BYTES_MAX = 40_000;
/** Syncs of one run are no slower than one of these: overlaps differ. */
const SLOW_SYNC_MS = [0, 2, 10, 60] as const;
/** Longer than the interval at which old files are purged. */
const PURGE_WAIT_MS = 31_000;
/** Simulated; a boot that takes longer hangs. */
const BOOT_MS_MAX = 30_000;
const WALL_JUMP_MS = 3_600_000;

/** One member's run: requests of several writers, leases, compactions, hashes, defragmentations. */
export class Workload {
  readonly journal = new Journal();
  readonly #random: Random;
  #sequence = 0;
  /** Acknowledged so far. */
  #newest = 1;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** Ends when all is done, or rejects with what the member said when it stopped. */
  async run(member: SimMember): Promise<void> {
    for (let phase = 0; phase < 2; phase++) {
      const writers = Array.from({ length: WRITERS }, (_, writer) => this.#write(member, writer));
      await Promise.all([...writers, this.#lease(member, phase), this.#maintain(member)]);
      if (phase === 0) await pause(member, PURGE_WAIT_MS);
    }
  }

  async #write(member: SimMember, writer: number): Promise<void> {
    const random = this.#random;
    const key = () => `${writer}/${random.below(KEYS_PER_WRITER)}`;
    for (let i = 0; i < REQUESTS_PER_PHASE; i++) {
      await pause(member, random.below(30) / 10);
      const kind = random.below(6);
      const first = { key: key(), value: this.#value() };
      if (kind === 0) {
        const writes = [{ key: first.key, value: undefined }];
        await this.#ask({ writes }, () => member.delete(first.key));
      } else if (kind === 1) {
        const second = { key: `${writer}/txn`, value: kind < i ? this.#value() : undefined };
        const writes: Write[] = [first, second];
        await this.#ask({ writes }, () => member.txn(writes));
      } else {
        await this.#ask({ writes: [first] }, () => member.put(first.key, first.value));
      }
    }
  }

  async #lease(member: SimMember, phase: number): Promise<void> {
    const ttl = 100_000 + phase;
    const [kept, revoked] = [BigInt(10 + phase), BigInt(20 + phase)];
    for (const id of [kept, revoked]) {
      await this.#ask({ lease: { id, ttl } }, () => member.grant(id, ttl));
      for (let i = 0; i < 2; i++) {
        const write = { key: `leased/${id}/${i}`, value: this.#value(), lease: id };
        await this.#ask({ writes: [write] }, () => member.put(write.key, write.value, id));
      }
    }
    const writes = [0, 1].map((i) => ({ key: `leased/${revoked}/${i}`, value: undefined }));
    const lease = { id: revoked, ttl: undefined };
    await this.#ask({ lease, writes }, () => member.revoke(revoked));
  }

  async #maintain(member: SimMember): Promise<void> {
    let compacted = 0;
    for (let i = 0; i < 3; i++) {
      await pause(member, 3 + this.#random.below(60) / 10);
      const revision = this.#newest;
      const { hash, compactRevision } = await member.hashKv(revision);
      this.journal.noteHash({ revision, hash, compactRevision });
      if (i > 0) await member.call(MaintenanceService.methods.defragment, {});
      const compact = revision - this.#random.below(3);
      if (compact <= compacted || compact < 2 || i === 2) continue;
      compacted = compact;
      await this.#ask({ compact }, () => member.compact(compact)).catch((error: unknown) => {
        // The phase before may have compacted further.
        if (!(error instanceof RequestFailed) || error.code !== 'COMPACTED') throw error;
      });
    }
  }

  async #ask(attempt: Attempt, request: () => Promise<Answer>): Promise<void> {
    this.journal.begin(attempt);
    const { revision } = await request();
    this.journal.acknowledge(attempt, revision);
    this.#newest = Math.max(this.#newest, revision);
  }

  #value(): string {
    const random = this.#random;
    // Now and then one that is larger than a page of the database and a segment of the log.
    const max = random.below(30) === 0 ? LARGE_VALUE_BYTES_MAX : VALUE_BYTES_MAX;
    return `${this.#sequence++}.${'x'.repeat(random.below(max))}`;
  }
}

function pause(member: SimMember, durationMs: number): Promise<void> {
  return new Promise((resolve) => member.env.timers.after(durationMs, resolve));
}

/** The disk as a crash before an effect left it. */
export interface Outcome {
  readonly effect: number;
  readonly operation: string;
  readonly number: number;
  readonly disk: SimDisk;
  /** What had been promised. */
  readonly mark: number;
  readonly seed: number;
}

export interface CrashRunOptions {
  /** At most 10,000,000, so that the seeds of outcomes stay apart. */
  readonly seed: number;
  readonly config?: ServerConfig;
  /** How many outcomes to look at before this effect. */
  readonly outcomes: (operation: DiskOperation) => number;
  /** Of those taken, which to check; all by default. */
  readonly isLookedAt?: (outcome: Outcome) => boolean;
  /** Looks no further when it returns true. */
  readonly isOver?: () => boolean;
}

export interface CrashRunReport {
  readonly effects: number;
  readonly acknowledged: number;
  readonly checked: number;
  /** Each with what repeats it. */
  readonly wrong: readonly string[];
}

/** What a run left to look at. */
export interface CrashRun {
  readonly journal: Journal;
  readonly outcomes: readonly Outcome[];
  readonly trace: readonly DiskOperation[];
}

const FATES: readonly CrashFate[] = ['random', 'lost', 'random', 'kept', 'random'];

/** Runs the workload and takes outcomes of crashes. */
export async function runAndCrash(options: CrashRunOptions): Promise<CrashRun> {
  const { seed, config = simConfig() } = options;
  const env = createSimEnv({ seed, autoRun: false });
  const workload = new Workload(seed);
  const { journal } = workload;
  const outcomes: Outcome[] = [];
  const take = ({ kind, path, effect }: DiskOperation, count: number): void => {
    for (let number = 0; number < count; number++) {
      const outcomeSeed = seed * 100_000 + effect * 10 + number;
      const unsynced = FATES[(effect + number) % FATES.length]!;
      const disk = env.disk.outcome({ seed: outcomeSeed, unsynced });
      const { mark } = journal;
      const operation = `${kind} ${path}`;
      outcomes.push({ effect, operation, number, disk, mark, seed: outcomeSeed });
    }
  };
  const random = seededRandom(seed);
  const slowMs = SLOW_SYNC_MS[seed % SLOW_SYNC_MS.length]!;
  env.disk.extraLatencyMs = ({ kind }) => (kind === 'sync' ? random.below(slowMs + 1) : 0);
  env.disk.startTrace();
  env.disk.intercept = (operation) => {
    if (operation.effect > 0) take(operation, options.outcomes(operation));
    return undefined;
  };
  await env.run(async () => {
    const member = await SimMember.start(env, config);
    await workload.run(member);
    await member.stop();
    if (member.fatal.length > 0) throw member.fatal[0];
  });
  const trace = env.disk.trace.filter(({ effect }) => effect > 0);
  return { journal, outcomes, trace };
}

/**
 * Runs, crashes and checks, in random order so that a limit of time leaves out any; ends at the first
 * outcome with something wrong.
 */
export async function crashRun(options: CrashRunOptions): Promise<CrashRunReport> {
  const { seed, config = simConfig() } = options;
  const { journal, outcomes, trace } = await runAndCrash(options);
  const wrong: string[] = [];
  let checked = 0;
  const isLookedAt = options.isLookedAt ?? (() => true);
  for (const outcome of shuffled(outcomes.filter(isLookedAt), seededRandom(seed))) {
    if (options.isOver?.() === true || wrong.length > 0) break;
    const found = await checkOutcome(outcome, journal, config);
    wrong.push(...found.map((text) => `${commandFor(seed, outcome, config)}\n  ${text}`));
    checked++;
  }
  const acknowledged = journal.until(journal.mark).acknowledgedCount;
  return { effects: trace.length, acknowledged, checked, wrong };
}

/** What repeats one outcome. */
function commandFor(seed: number, { effect, number }: Outcome, config: ServerConfig): string {
  const { maxClusterVersion: version } = config;
  const held = version === undefined ? '' : ` --max-cluster-version ${formatVersion(version)}`;
  return `npm run crash -- --sim --seed ${seed} --effect ${effect} --outcome ${number}${held}`;
}

/** The steps of a snapshot (its file, and its name), and of the exchange of the database. */
export function isSnapshotStep({ kind, path }: DiskOperation): boolean {
  if (kind === 'rename') return true;
  return /\/snap\/tmp-|\.snap$/.test(path) || (kind === 'syncDirectory' && /\/snap$/.test(path));
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const other = random.below(i + 1);
    [order[i], order[other]] = [order[other]!, order[i]!];
  }
  return order;
}

/** A process on a disk that a crash left. */
export function envOn(disk: SimDisk, seed: number): SimEnv {
  const world = new SimWorld({ seed, autoRun: false });
  const late: { env?: SimEnv } = {};
  const own = disk.outcome({
    seed,
    unsynced: 'kept',
    schedule: (delayMs, callback) => late.env!.timers.after(delayMs, callback),
  });
  const env = new SimEnv(world, 'localhost', undefined, own);
  late.env = env;
  // Restarts take time; request ids begin with the time.
  env.clock.jumpWall(WALL_JUMP_MS);
  return env;
}

/** What is wrong with one outcome, each line with what repeats it. */
export async function checkOutcome(
  outcome: Outcome,
  journal: Journal,
  config: ServerConfig,
): Promise<string[]> {
  const { disk, mark, seed } = outcome;
  const log: string[] = [];
  const where = `crash before effect ${outcome.effect} (${outcome.operation}), outcome ${outcome.number}`;
  try {
    let env = envOn(disk, seed);
    // Now and then the next boot crashes too.
    if (seed % 3 === 0) env = await crashWhileBooting(env, config, seed);
    const wrong = await env.run(() => checkOn(env, journal, mark, config, log));
    return wrong.map((text) => `${where}: ${text}`);
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return [`${where}: ${text}\n${log.slice(-12).join('\n')}`];
  }
}

async function crashWhileBooting(env: SimEnv, config: ServerConfig, seed: number): Promise<SimEnv> {
  const random = seededRandom(seed);
  env.disk.crashAtEffect(1 + random.below(30));
  await env.run(async () => {
    try {
      const member = await within(env, BOOT_MS_MAX, SimMember.start(env, config));
      await member.stop();
    } catch (error) {
      if (!env.disk.dead) throw error;
    }
  });
  const next = envOn(env.disk.crash({ seed }), seed);
  next.clock.jumpWall(WALL_JUMP_MS);
  return next;
}

async function checkOn(
  env: SimEnv,
  journal: Journal,
  mark: number,
  config: ServerConfig,
  log: string[],
): Promise<string[]> {
  const member = await within(env, BOOT_MS_MAX, SimMember.start(env, config, log));
  await within(env, BOOT_MS_MAX, member.linearizable());
  const wrong = await journal.until(mark).check(member);
  // It lives: it writes, compacts, takes a snapshot, and says the same after a proper stop.
  for (let i = 0; i <= config.snapshotCount; i++) await member.put(`after/${i % 3}`, `${i}`);
  await (await member.compact(member.revision - 5)).physical;
  const { revision } = member;
  const hash = await member.hashKv(revision);
  await member.stop();
  if (member.fatal.length > 0) throw member.fatal[0];
  const again = await within(env, BOOT_MS_MAX, SimMember.start(env, config, log));
  const hashAgain = await again.hashKv(revision);
  if (again.revision !== revision) wrong.push(`revision ${revision} became ${again.revision}`);
  if (hashAgain.hash !== hash.hash) {
    wrong.push(`HashKV at ${revision} was ${hash.hash} and is ${hashAgain.hash} after a restart`);
  }
  wrong.push(...(await again.violations()));
  await again.stop();
  wrong.push(...(await checkDirectory(env)));
  return wrong;
}

/** What is wrong with the files that a proper stop leaves. */
async function checkDirectory(env: SimEnv): Promise<string[]> {
  const { wal, snap } = dataDirectoryOf({ dataDir: DATA_DIR, walDir: '' });
  const wrong = await checkWal(env, wal);
  for (const directory of [wal, snap]) {
    for (const name of await env.disk.list(directory)) {
      const isKnown = /^db$|\.(wal|snap)(\.broken)?$/.test(name) && !name.startsWith('tmp');
      if (!isKnown) wrong.push(`left behind: ${directory}/${name}`);
    }
  }
  return wrong;
}

/** Rejects if the promise has not settled in that much simulated time. */
export async function within<T>(env: SimEnv, limitMs: number, work: Promise<T>): Promise<T> {
  let cancel = () => {};
  const late = new Promise<never>((_, reject) => {
    const timer = env.timers.after(limitMs, () =>
      reject(new Error(`nothing after ${limitMs} ms of simulated time`)),
    );
    cancel = () => timer.cancel();
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}
