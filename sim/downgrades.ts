// The operator who downgrades a cluster while faults happen: begins it, gives it up, restarts members held
// at the older release, as if with its program, and takes them up again.

import { type Random, Slices, seededRandom } from '../src/base/index.ts';
import { EtcdError } from '../src/client/index.ts';
import {
  type ClusterVersion,
  compareVersions,
  downgradeTargetOf,
  formatStoredVersion,
  targetVersion,
} from '../src/membership/index.ts';
import { checkDirectory } from '../src/offline/index.ts';
import { minimalVersionOf } from '../src/store/index.ts';
import type { DowngradeCall, DowngradeEvidence } from './check/downgrade-guarantees.ts';
import type { Moment } from './check/history.ts';
import type { SimCluster } from './cluster.ts';
import { DATA_DIR, type SimNode } from './node.ts';
import type { Plan } from './plan.ts';

const PAUSE_MS = 4_000;
const REQUEST_MS = 3_000;
/** Without faults, until versions have followed. */
const FOLLOW_MS_MAX = 30_000;
const START_MS_MAX = 20_000;
/** Of a leader that has asked for members' releases before one of them was held. */
const ASKED_MS_MAX = 10_000;
const REFUSALS: ReadonlySet<string> = new Set([
  'DOWNGRADE_IN_PROCESS',
  'INVALID_DOWNGRADE_TARGET_VERSION',
]);

const UNANSWERED = {
  returned: { order: Number.POSITIVE_INFINITY, atMs: Number.POSITIVE_INFINITY },
  outcome: 'unknown',
} as const;

export class Downgrades implements DowngradeEvidence {
  readonly calls: DowngradeCall[] = [];
  readonly completed: Moment[] = [];
  readonly #cluster: SimCluster;
  readonly #random: Random;
  readonly #newest: ClusterVersion;
  readonly #target: ClusterVersion;
  /** No member may be held before: a cancellation may still be on its way, and the version rise. */
  #holdFromMs = 0;
  /** Nor a downgrade cancelled before: a leader may not know yet that a member is held. */
  #cancelFromMs = 0;
  /** There are no faults any more. */
  #isCalm = false;

  constructor(cluster: SimCluster, { seed, settings }: Pick<Plan, 'seed' | 'settings'>) {
    this.#cluster = cluster;
    this.#random = seededRandom(seed ^ 0xd0e4);
    this.#newest = targetVersion(settings.maxClusterVersion);
    this.#target = downgradeTargetOf(this.#newest);
  }

  async operate(endMs: number): Promise<void> {
    const cluster = this.#cluster;
    while (cluster.clock.monotonicMs() < endMs) {
      await cluster.sleep(this.#random.below(PAUSE_MS));
      const choice = this.#random.below(10);
      if (choice < 1) await this.#ask('validate');
      else if (choice < 4) await this.#ask('enable');
      else if (choice < 5) await this.#cancel();
      else await this.#change();
    }
  }

  /** All works again: up, the whole way down, and up. What does not follow in time is a violation. */
  async end(): Promise<void> {
    this.#isCalm = true;
    await this.#goUp();
    if (this.#isWrong) return;
    await this.#goDown();
    if (this.#isWrong) return;
    for (const node of this.#cluster.running) {
      if (!(await this.#restart(node, this.#target))) return;
    }
    const { versions } = this.#cluster;
    if (!(await this.#cluster.until(() => versions.newest.target === '', FOLLOW_MS_MAX))) {
      this.#cluster.wrong('a downgrade ends', 'every member is at the target, and it goes on');
      return;
    }
    await this.#follow(this.#target);
    if (!this.#isWrong) await this.#goUp();
  }

  get #isWrong(): boolean {
    return this.#cluster.violations.length > 0;
  }

  async #goUp(): Promise<void> {
    for (const node of this.#cluster.running) {
      if (node.held !== undefined && !(await this.#restart(node, undefined))) return;
    }
    if (!(await this.#repeat('cancel', () => this.#cluster.versions.newest.target === ''))) return;
    await this.#follow(this.#newest);
  }

  async #goDown(): Promise<void> {
    const target = formatStoredVersion(this.#target);
    if (await this.#repeat('enable', () => this.#cluster.versions.newest.target === target)) {
      await this.#follow(this.#target);
    }
  }

  async #repeat(action: DowngradeCall['action'], isDone: () => boolean): Promise<boolean> {
    const endMs = this.#cluster.nowMs + FOLLOW_MS_MAX;
    while (this.#cluster.nowMs < endMs) {
      await this.#ask(action);
      if (isDone()) return true;
      await this.#cluster.sleep(500);
    }
    this.#cluster.wrong('downgrades are answered', `${action} has not succeeded`);
    return false;
  }

  /** Cluster version and storage version of every member. */
  async #follow(version: ClusterVersion): Promise<void> {
    const cluster = this.#cluster;
    if (await cluster.until(() => cluster.running.every((n) => isAt(n, version)), FOLLOW_MS_MAX)) {
      cluster.count(`[all at ${formatStoredVersion(version)}]`);
      return;
    }
    const states = cluster.running.map(({ name, member }) => {
      const { machine, storageVersion } = member!.parts.store;
      return `${name} ${JSON.stringify([machine.cluster.version, storageVersion])}`;
    });
    const text = `not all have come to ${formatStoredVersion(version)}: ${states.join(', ')}`;
    cluster.wrong('versions follow', text);
  }

  // --- Requests ----------------------------------------------------------------------------------

  async #ask(action: DowngradeCall['action']): Promise<void> {
    const cluster = this.#cluster;
    const { recorder } = cluster;
    const target = action === 'cancel' ? '' : formatStoredVersion(this.#target);
    const client = cluster.client();
    const called = recorder.moment();
    const number = this.calls.push({ ...{ action, target, called }, ...UNANSWERED }) - 1;
    let outcome: DowngradeCall['outcome'] = 'ok';
    try {
      await client.maintenance.downgrade(action, target, { timeoutMs: REQUEST_MS });
    } catch (error) {
      const isRefusal = error instanceof EtcdError && REFUSALS.has(error.code);
      outcome = isRefusal ? { refused: error.code } : 'unknown';
    }
    client.close();
    this.calls[number] = { action, target, called, returned: recorder.moment(), outcome };
    if (action === 'cancel') this.#holdFromMs = cluster.nowMs + ASKED_MS_MAX;
    cluster.count(`[${action} ${typeof outcome === 'object' ? outcome.refused : outcome}]`);
    cluster.log(`downgrade ${action} ${target}: ${JSON.stringify(outcome)}`);
  }

  async #cancel(): Promise<void> {
    if (this.#cluster.nowMs >= this.#cancelFromMs) await this.#ask('cancel');
  }

  // --- Members -----------------------------------------------------------------------------------

  /** Replaces the program of a member, if it is ready for the other one. */
  async #change(): Promise<void> {
    const { running, nowMs } = this.#cluster;
    const node = running[this.#random.below(Math.max(1, running.length))];
    if (node === undefined) return;
    if (node.held !== undefined) await this.#restart(node, undefined);
    else if (nowMs >= this.#holdFromMs && this.#isReady(node)) {
      await this.#restart(node, this.#target);
    }
  }

  /** What its disk has is of the target, whatever is lost with the machine. */
  #isReady(node: SimNode): boolean {
    const { newest } = this.#cluster.versions;
    const target = formatStoredVersion(this.#target);
    if (newest.version !== target || newest.target !== target) return false;
    const { backend } = node.member!.parts.store.machine;
    return isAt(node, this.#target) && backend.durable.index >= newest.index;
  }

  /** False if it does not serve in time. */
  async #restart(node: SimNode, held: ClusterVersion | undefined): Promise<boolean> {
    const cluster = this.#cluster;
    cluster.log(`${node.name} is replaced by ${held ? formatStoredVersion(held) : 'the newest'}`);
    node.held = held;
    if (held !== undefined) {
      this.#cancelFromMs = cluster.nowMs + ASKED_MS_MAX;
      cluster.count('[held]');
    }
    await node.stop();
    if (this.#isCalm && held !== undefined) await this.#checkDirectory(node, held);
    // Before the last one starts: the cluster may end the downgrade before that has begun to serve clients.
    if (cluster.nodes.every((other) => other.held !== undefined)) {
      this.completed.push(cluster.recorder.moment());
    }
    node.start();
    const hasStarted = await cluster.until(() => node.member !== undefined, START_MS_MAX);
    if (this.#isCalm && !hasStarted) cluster.wrong('starts', `${node.name} has not begun to serve`);
    return hasStarted;
  }

  /** As the older release would find it. */
  async #checkDirectory(node: SimNode, release: ClusterVersion): Promise<void> {
    const { problems, database, log } = await checkDirectory(node.env, { dataDir: DATA_DIR });
    const wrong = (text: string) => {
      const older = formatStoredVersion(release);
      this.#cluster.wrong('the older release reads it', `${node.name}, for ${older}: ${text}`);
    };
    for (const { text } of problems) wrong(text);
    const found = { storage: database?.storageVersion, cluster: database?.clusterVersion };
    const needed = { log: await minimalVersionOf(log?.entries ?? [], new Slices(node.env)) };
    for (const [what, version] of Object.entries({ ...found, ...needed })) {
      if (version === undefined || compareVersions(version, release) <= 0) continue;
      wrong(`${what} of ${formatStoredVersion(version)}`);
    }
  }
}

/** Whether the member takes the cluster to be at this version, and its database is. */
function isAt({ member }: SimNode, version: ClusterVersion): boolean {
  const { machine, storageVersion } = member!.parts.store;
  const present = machine.cluster.version;
  const stored = storageVersion ?? UNNAMED;
  return (
    present !== undefined &&
    compareVersions(present, version) === 0 &&
    compareVersions(stored, version) === 0
  );
}

/** Databases of 3.5 do not say so. */
const UNNAMED: ClusterVersion = { major: 3, minor: 5 };
