// One run: a cluster, its clients, faults for a while, then calm; and then everything is checked.

import { type Random, seededRandom } from '../src/base/index.ts';
import type { Client } from '../src/client/index.ts';
import { etcdserverpb } from '../src/protocol/index.ts';
import { OPERATOR, RunUsers } from './auth-traffic.ts';
import type { Canary } from './canaries.ts';
import { checkAuth, countAuth } from './check/auth-guarantees.ts';
import { checkHistory } from './check/check-history.ts';
import { clientTarget } from './check/client-target.ts';
import { ClientWatch } from './check/client-watch.ts';
import { checkDowngrades } from './check/downgrade-guarantees.ts';
import { checkExclusion } from './check/exclusion.ts';
import type { History, Violation } from './check/history.ts';
import { checkLeases } from './check/leases.ts';
import { RawWatch } from './check/raw-watch.ts';
import { runTraffic } from './check/traffic.ts';
import { checkWatches } from './check/watch-guarantees.ts';
import { checkWatchPermissions, countWatches } from './check/watch-permissions.ts';
import { SimCluster } from './cluster.ts';
import { Downgrades } from './downgrades.ts';
import { checkMembers, compareHashes, settle } from './end.ts';
import { DRIFT_PERCENT_MAX, type FaultKind } from './faults.ts';
import { Contention } from './lock-traffic.ts';
import { type Plan, type PlanOptions, planOf } from './plan.ts';

export interface SimOptions extends PlanOptions {
  readonly log?: (line: string) => void;
  /** A bug to run with. */
  readonly canary?: Canary;
  /** The command that repeats the run. */
  readonly command?: string;
}

export interface SimReport {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly history: History;
  /** Two runs with equal traces are the same run. */
  readonly trace: string;
  readonly simulatedMs: number;
  readonly operations: number;
  readonly unknown: number;
  readonly elections: number;
  readonly entries: number;
  readonly faults: number;
  readonly events: ReadonlyMap<string, number>;
}

const START_MS_MAX = 60_000;
const REQUEST_MS = 3_000;
const WATCHES = 5;
const CLIENT_WATCHES = 2;
const QUIET_MS_MAX = 60_000;
/** Heavy traffic makes about 15,000; members that answer each other without end, nearly 300,000. */
const EVENTS_PER_SECOND_MAX = 150_000;
export const BUSY_RULE = 'no busy loops';

export async function runSim(options: SimOptions): Promise<SimReport> {
  const plan = planOf(options);
  const log = options.log ?? (() => {});
  const { seed, size, settings, walSegmentSize } = plan;
  const operator = plan.kind === 'users' ? OPERATOR : undefined;
  const cluster = new SimCluster({
    ...{ seed, size, settings, walSegmentSize, operator, log },
    recordsCompactions: settings.autoCompaction !== undefined,
  });
  const unplant = options.canary?.plant(cluster);
  const run = new Run(cluster, plan);
  const { scheduler } = cluster.world;
  try {
    // What comes after the first violation proves nothing more.
    await scheduler.run(() => Promise.race([run.all(), run.violated()]));
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    cluster.wrong('the run itself', text);
  } finally {
    unplant?.();
  }
  const history = cluster.recorder.history(options.command ?? `npm run sim -- --seed ${seed}`);
  const broken = [...run.checkVersions(), ...run.check(history)];
  return {
    seed,
    violations: [...cluster.violations, ...cluster.safety.violations, ...broken],
    history,
    trace: `${scheduler.fingerprint.toString(16)}-${cluster.recorder.highestRevision}`,
    simulatedMs: scheduler.nowMs,
    operations: history.operations.length,
    unknown: history.operations.filter((each) => each.outcome.kind === 'unknown').length,
    elections: cluster.safety.leadersSeen,
    entries: cluster.safety.entriesSeen,
    faults: run.faults,
    events: cluster.events,
  };
}

class Run {
  readonly #cluster: SimCluster;
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #clients: Client[] = [];
  readonly #watches: RawWatch[] = [];
  readonly #clientWatches: ClientWatch[] = [];
  readonly #users: RunUsers | undefined;
  readonly #downgrades: Downgrades | undefined;
  #contention: Contention | undefined = undefined;
  /** Set when all has come to rest, so that the record can be judged. */
  #isComplete = false;
  faults = 0;

  constructor(cluster: SimCluster, plan: Plan) {
    this.#cluster = cluster;
    this.#plan = plan;
    // Not that of the world, so that faults do not depend on how many numbers the members draw.
    this.#random = seededRandom(plan.seed ^ 0x5eed);
    this.#users = plan.kind === 'users' ? new RunUsers(cluster, plan) : undefined;
    this.#downgrades = plan.kind === 'downgrade' ? new Downgrades(cluster, plan) : undefined;
  }

  async all(): Promise<void> {
    const cluster = this.#cluster;
    for (const node of cluster.nodes) node.start();
    const isUp = (): boolean => cluster.nodes.every((node) => node.status === 'running');
    if (!(await cluster.until(isUp, START_MS_MAX))) {
      const states = cluster.nodes.map((node) => `${node.name} ${node.status}`).join(', ');
      cluster.wrong('starts', `the cluster has not begun to serve: ${states}`);
      return;
    }
    if ((await this.#users?.begin()) === false) {
      cluster.wrong('starts', 'authentication has not been turned on');
      return;
    }
    this.#openWatches();
    const endMs = cluster.clock.monotonicMs() + this.#plan.durationMs;
    await Promise.all([
      ...[this.#traffic(endMs), this.#nemesis(endMs)],
      ...[this.#users?.administer(endMs), this.#users?.watch(endMs)],
      this.#downgrades?.operate(endMs),
    ]);
    cluster.log('calm');
    await cluster.sleep(this.#plan.idleMs);
    const clientsEnd = async () => {
      await this.#contention?.end();
      await this.#downgrades?.end();
    };
    if (!(await settle(cluster, this.#random, clientsEnd))) return;
    await this.#closeWatches();
    for (const client of this.#clients) client.close();
    this.#users?.close();
    await checkMembers(cluster);
    this.#isComplete = true;
  }

  /** Resolves when something is wrong. */
  async violated(): Promise<void> {
    const cluster = this.#cluster;
    const { scheduler } = cluster.world;
    const { violations } = cluster.safety;
    let before = 0;
    while (violations.length + cluster.violations.length === 0) {
      await cluster.sleep(1000);
      const count = scheduler.eventCount - before;
      if (count > EVENTS_PER_SECOND_MAX) cluster.wrong(BUSY_RULE, `${count} events in a second`);
      before = scheduler.eventCount;
    }
  }

  checkVersions(): Violation[] {
    const evidence = this.#downgrades ?? { calls: [], completed: [] };
    return checkDowngrades(this.#cluster.versions, evidence);
  }

  check(history: History): Violation[] {
    if (!this.#isComplete) return [];
    const cluster = this.#cluster;
    const log = cluster.changeLog();
    const drift = DRIFT_PERCENT_MAX / 100 + 0.001;
    if (this.#contention !== undefined) {
      // What locks do to keys no client has asked for: there is no order of requests to look for.
      const { holds } = this.#contention;
      return [
        ...checkExclusion(holds, history, log, { drift }),
        ...checkWatches(history, log),
        ...checkLeases(history, undefined, { drift }),
      ];
    }
    const violations = checkHistory(history, { log, drift });
    if (this.#users === undefined) return violations;
    const { evidence, watchEvidence } = this.#users;
    const counts = [...countAuth(history, evidence), ...countWatches(history, watchEvidence)];
    for (const [what, count] of counts) cluster.count(`[${what}]`, count);
    return [
      ...violations,
      ...checkAuth(history, evidence),
      ...checkWatchPermissions(history, watchEvidence),
    ];
  }

  // --- Clients -----------------------------------------------------------------------------------

  async #traffic(endMs: number): Promise<void> {
    const cluster = this.#cluster;
    const { clients, mix, keys, pauseMs, seed } = this.#plan;
    if (this.#plan.kind === 'locks') {
      this.#contention = new Contention({ cluster, seed, clients, pauseMs });
      this.#contention.begin(endMs);
      return;
    }
    const targets = Array.from({ length: clients }, (_, i) => {
      // Some know all members, others one each.
      const nodes = i % 2 === 0 ? cluster.nodes : [cluster.nodes[(i >> 1) % cluster.nodes.length]!];
      if (this.#users !== undefined) return this.#users.targetOf(`c${i}`, nodes);
      const client = cluster.client(nodes);
      this.#clients.push(client);
      return clientTarget(client, { timeoutMs: REQUEST_MS });
    });
    await runTraffic({
      ...{ recorder: cluster.recorder, clock: cluster.clock, timers: cluster.timers },
      ...{ seed, targets, endMs, mix, keys, pauseMs },
      beforeCompaction: async (revision) => cluster.saveBeforeCompaction(revision),
      defragment: async (chosen) => {
        const { running } = cluster;
        const node = running[chosen % Math.max(1, running.length)];
        if (node === undefined) return;
        await cluster.call('defragment', ({ maintenance }) => maintenance.defragment(), [node]);
      },
    });
  }

  #openWatches(): void {
    const cluster = this.#cluster;
    const { recorder, runtime } = cluster;
    const random = this.#random;
    for (let i = 0; i < WATCHES; i++) {
      const keys = i < 2 ? { key: 'k', end: 'l' } : { key: `k${random.below(3)}`, end: 'k9' };
      const request = {
        ...keys,
        startRevision: random.below(2) === 0 ? 0 : 2,
        prevKv: random.below(2) === 0,
        fragment: random.below(2) === 0,
        noPut: random.below(8) === 0,
        noDelete: random.below(8) === 0,
      };
      const nodes = i % 2 === 0 ? cluster.nodes : [cluster.nodes[i % cluster.nodes.length]!];
      const endpoints = cluster.endpoints(nodes);
      const token = this.#plan.kind === 'users' ? this.#operatorToken : undefined;
      const options = { recorder, runtime, endpoints, client: `w${i}`, request };
      this.#watches.push(new RawWatch(token === undefined ? options : { ...options, token }));
    }
    for (let i = 0; i < CLIENT_WATCHES; i++) {
      const client = cluster.client();
      this.#clients.push(client);
      const request = { key: 'k', end: 'm', startRevision: 2, prevKv: i > 0 };
      const { timers } = cluster;
      this.#clientWatches.push(
        new ClientWatch({ recorder, client, timers, name: `v${i}`, request }),
      );
    }
  }

  readonly #operatorToken = async (): Promise<string | undefined> => {
    const { authenticate } = etcdserverpb.AuthService.methods;
    const { user: name, password } = OPERATOR;
    const answer = await this.#cluster.call('log in', (client) =>
      client.call(authenticate, { name, password }),
    );
    return answer?.token;
  };

  /** Everything must arrive now: watches of a member that is gone move elsewhere. */
  async #closeWatches(): Promise<void> {
    const cluster = this.#cluster;
    const last = Math.max(
      ...cluster.running.map(({ member }) => member!.parts.store.machine.kv.currentRev),
    );
    const endpoints = cluster.endpoints(cluster.running);
    // Those of users arrive where they are permitted.
    const ofUsers = this.#users?.watches.lasting ?? [];
    const watches = [...this.#watches, ...ofUsers];
    for (const watch of watches) watch.moveTo(endpoints);
    const endMs = cluster.nowMs + QUIET_MS_MAX;
    const isBehind = (watch: RawWatch): boolean =>
      watch.nextRevision <= last && (watch.isServed || !ofUsers.includes(watch));
    while (watches.some(isBehind) && cluster.nowMs < endMs) {
      for (const watch of watches) if (isBehind(watch)) watch.requestProgress();
      await cluster.sleep(500);
    }
    for (const watch of this.#clientWatches) {
      // It watches the key that was written last of all.
      await cluster.until(() => watch.nextRevision > last, QUIET_MS_MAX);
      if (watch.nextRevision <= last) {
        const text = `a client's watch has come to ${watch.nextRevision - 1}, the store is at ${last}`;
        cluster.wrong('watches arrive', text);
      }
      watch.close(last);
    }
    for (const [i, watch] of watches.entries()) {
      if (isBehind(watch)) {
        const text = `watch ${i} has come to ${watch.nextRevision - 1}, the store is at ${last}`;
        cluster.wrong('watches arrive', text);
      }
      watch.close(watch.isServed || !ofUsers.includes(watch) ? last : 0);
    }
  }

  // --- Faults ------------------------------------------------------------------------------------

  async #nemesis(endMs: number): Promise<void> {
    const cluster = this.#cluster;
    const random = this.#random;
    const busy = new Set<FaultKind>();
    const running: Promise<void>[] = [];
    await cluster.sleep(random.below(this.#plan.calmMs));
    while (cluster.clock.monotonicMs() < endMs) {
      const fault = this.#plan.faults[random.below(this.#plan.faults.length)]!;
      if (!busy.has(fault.kind)) {
        busy.add(fault.kind);
        this.faults++;
        cluster.count(fault.name);
        const done = fault.run({ cluster, random }).finally(() => busy.delete(fault.kind));
        running.push(done);
        // Sometimes another one begins while this one lasts.
        if (random.below(3) > 0) await done;
      }
      for (const watch of [...this.#watches, ...(this.#users?.watches.lasting ?? [])]) {
        if (random.below(4) === 0) watch.requestProgress();
        if (random.below(10) === 0) watch.break();
      }
      await cluster.sleep(20 + random.below(this.#plan.calmMs));
      // A paused member answers when it resumes.
      if (random.below(4) === 0) void compareHashes(cluster);
    }
    await Promise.all(running);
  }
}
