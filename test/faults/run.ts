// One run: a cluster under faults and recorded traffic, then quiet, then every checker.

import { type MergedLogs, mergeChangeLogs } from '../../sim/check/change-log.ts';
import { checkHistory } from '../../sim/check/check-history.ts';
import { clientTarget } from '../../sim/check/client-target.ts';
import type { History } from '../../sim/check/history.ts';
import { RawWatch } from '../../sim/check/raw-watch.ts';
import { Recorder } from '../../sim/check/recorder.ts';
import { runTraffic } from '../../sim/check/traffic.ts';
import { type Random, seededRandom } from '../../src/base/index.ts';
import { Client } from '../../src/client/index.ts';
import { createNodeClock, createNodeEntropy, createNodeTimers } from '../../src/env/index.ts';
import { socketConnect } from '../../src/net/index.ts';
import { Cluster } from '../cluster/cluster.ts';
import type { Server } from '../cluster/cluster-member.ts';
import { pause, until } from '../cluster/until.ts';
import { ChangeCollector } from './change-collector.ts';
import { FAULTS, type Fault, FaultMaker, type FaultName, faultsAmong } from './faults.ts';

export interface FaultRunOptions {
  /** One for each member. */
  readonly servers: readonly Server[];
  /** Programs that may take over a member's directory after a kill; else the member keeps its own. */
  readonly successors?: readonly Server[];
  /** Rules whose breach is reported but does not count. */
  readonly tolerated?: readonly string[];
  readonly seconds: number;
  readonly seed: number;
  readonly command: string;
  /** Only these. */
  readonly faults?: readonly FaultName[];
  readonly log?: (line: string) => void;
}

export interface FaultReport {
  /** Empty when every promise was kept. */
  readonly wrong: readonly string[];
  readonly history: History;
  readonly faults: number;
  readonly operations: number;
  readonly acknowledged: number;
  readonly revisions: number;
  readonly watchEvents: number;
  /** Last lines of the members' logs, if something is wrong. */
  readonly logs: string;
}

// Short elections, for many of them; often a snapshot, so that members that were away need it.
const FLAGS = ['--heartbeat-interval=50', '--election-timeout=500', '--snapshot-count=200'];
const CLIENTS_PER_MEMBER = 2;
const CLIENTS_OF_ALL = 2;
const REQUEST_TIMEOUT_MS = 2_000;
const FAULT_MS_MIN = 200;
const FAULT_MS_MAX = 3_500;
const CALM_MS_MAX = 1_500;
const PROGRESS_MS = 700;
const QUIET_TIMEOUT_MS = 60_000;

const clock = createNodeClock();
const timers = createNodeTimers();
const runtime = { clock, timers, entropy: createNodeEntropy(), connect: socketConnect() };

class FaultRun {
  readonly #options: FaultRunOptions;
  readonly #cluster: Cluster;
  readonly #random: Random;
  readonly #recorder = new Recorder(clock);
  readonly #maker: FaultMaker;
  readonly #collectors: readonly ChangeCollector[];
  readonly #watches: readonly RawWatch[];
  readonly #clients: readonly Client[];
  readonly #wrong: string[] = [];
  readonly #names: readonly FaultName[];
  #faults = 0;

  constructor(options: FaultRunOptions, cluster: Cluster) {
    this.#options = options;
    this.#cluster = cluster;
    this.#names = faultsAmong(options.faults ?? FAULTS, options.servers.length);
    this.#random = seededRandom(options.seed);
    this.#maker = new FaultMaker(cluster, this.#random, options.successors);
    const endpoints = cluster.members.map((one) => one.endpoint);
    this.#collectors = cluster.members.map((one) => new ChangeCollector(one.name, one.endpoint));
    this.#watches = this.#openWatches(endpoints);
    this.#clients = [
      ...endpoints.flatMap((one) => Array.from({ length: CLIENTS_PER_MEMBER }, () => [one])),
      ...Array.from({ length: CLIENTS_OF_ALL }, () => endpoints),
    ].map((some) => new Client({ endpoints: some }));
  }

  async run(): Promise<FaultReport> {
    const { seed, seconds, command } = this.#options;
    const endMs = clock.monotonicMs() + seconds * 1000;
    const traffic = runTraffic({
      ...{ recorder: this.#recorder, clock, timers, seed, endMs },
      targets: this.#clients.map((one) => clientTarget(one, { timeoutMs: REQUEST_TIMEOUT_MS })),
      // What is compacted must be in a log: it can no longer be asked for.
      beforeCompaction: async (revision) =>
        this.#collectors.some((one) => one.logs().length === 1 && one.last >= revision),
      mix: { defragment: 1 },
      defragment: (chosen) => this.#defragment(chosen),
    });
    const progress = setInterval(() => {
      for (const watch of this.#watches) watch.requestProgress();
    }, PROGRESS_MS);
    try {
      while (clock.monotonicMs() < endMs) await this.#round();
      await this.#maker.mend();
      await traffic;
      const merged = await this.#settle();
      for (const watch of this.#watches) watch.close(merged.log.last);
      const history = this.#recorder.history(command);
      this.#wrong.push(...this.#maker.wrong, ...merged.conflicts);
      this.#wrong.push(...this.#collectors.flatMap((one) => one.wrong));
      this.#options.log?.(`checking ${history.operations.length} operations`);
      for (const { rule, text } of checkHistory(history, { log: merged.log })) {
        if (!this.#options.tolerated?.includes(rule)) this.#wrong.push(`${rule}: ${text}`);
        else this.#options.log?.(`known of these servers: ${rule}: ${text}`);
      }
      return this.#report(history, merged);
    } finally {
      clearInterval(progress);
      for (const watch of this.#watches) watch.close(0);
      for (const client of this.#clients) client.close();
      await Promise.all(this.#collectors.map((one) => one.stop()));
    }
  }

  /** One of the members, which may be down. */
  async #defragment(chosen: number): Promise<void> {
    const client = this.#clients[chosen % this.#clients.length]!;
    await client.maintenance.defragment({ timeoutMs: REQUEST_TIMEOUT_MS }).catch(() => undefined);
  }

  /** One or two faults at a time, then a pause. */
  async #round(): Promise<void> {
    const names = this.#names;
    const begun: Fault[] = [];
    for (let i = 1 + this.#random.below(2); i > 0; i--) {
      begun.push(await this.#maker.begin(names[this.#random.below(names.length)]!));
      this.#faults++;
    }
    const ms = FAULT_MS_MIN + this.#random.below(FAULT_MS_MAX - FAULT_MS_MIN);
    const texts = begun.map(({ name, what }) => `${name} (${what})`);
    const { length } = this.#recorder.operations;
    this.#options.log?.(`${texts.join(' and ')} for ${ms} ms; ${length} operations so far`);
    await pause(ms);
    for (const fault of begun) fault.end();
    await pause(this.#random.below(CALM_MS_MAX));
  }

  /** Waits until all members and watches have everything; the changes of all members, merged. */
  async #settle(): Promise<MergedLogs> {
    const isAt = (what: string, now: () => number, revision: number): Promise<unknown> =>
      until(what, () => (now() >= revision ? true : undefined), QUIET_TIMEOUT_MS).catch(
        (error: Error) => this.#wrong.push(`${error.message}: it is at ${now()}`),
      );
    await this.#cluster.leader(QUIET_TIMEOUT_MS);
    // Leases that run out would still change something.
    const revision = await this.#quietRevision();
    await this.#cluster.expectEqualHashes().catch((error: Error) => {
      this.#wrong.push(error.message);
    });
    for (const [i, one] of this.#collectors.entries()) {
      await isAt(`collector ${i} at ${revision}`, () => one.last, revision);
    }
    for (const [i, one] of this.#watches.entries()) {
      await isAt(`watch ${i} past ${revision}`, () => one.nextRevision, revision + 1);
    }
    return mergeChangeLogs(this.#collectors.flatMap((one) => one.logs()));
  }

  /** A revision at which no lease is left. */
  async #quietRevision(): Promise<number> {
    await until(
      'no lease left',
      async () => {
        const { client } = await this.#cluster.leader(QUIET_TIMEOUT_MS);
        const reply = await client.call('Lease/LeaseLeases', {});
        return (reply.message?.['leases'] as unknown[] | undefined)?.length === 0 || undefined;
      },
      QUIET_TIMEOUT_MS,
    ).catch((error: Error) => this.#wrong.push(error.message));
    return this.#cluster.revision();
  }

  #openWatches(endpoints: readonly string[]): RawWatch[] {
    const all = endpoints.map((one) => {
      const [host, port] = one.split(':') as [string, string];
      return { host, port: Number(port) };
    });
    const requests = [
      ...all.map((one) => ({ at: [one], key: 'k', end: 'l', startRevision: 0, prevKv: true })),
      { at: all, key: 'k03', end: 'k07', startRevision: 2, noDelete: true },
      { at: all, key: 'k05', startRevision: 2, fragment: true },
      { at: all, key: '\0', end: '\0', startRevision: 2, progressNotify: true },
    ];
    return requests.map(
      ({ at, ...request }, i) =>
        new RawWatch({
          ...{ recorder: this.#recorder, runtime, endpoints: at, client: `w${i}`, request },
        }),
    );
  }

  #report(history: History, merged: MergedLogs): FaultReport {
    const { operations, watches } = history;
    const events = watches.flatMap((one) => one.responses.map(({ events: some }) => some.length));
    return {
      wrong: this.#wrong,
      history,
      faults: this.#faults,
      operations: operations.length,
      acknowledged: operations.filter((one) => one.outcome.kind === 'ok').length,
      revisions: merged.log.last,
      watchEvents: events.reduce((sum, count) => sum + count, 0),
      logs: this.#wrong.length === 0 ? '' : this.#cluster.logs(),
    };
  }
}

/** Runs to the end, whatever it finds. */
export async function runFaults(options: FaultRunOptions): Promise<FaultReport> {
  const cluster = await Cluster.start({ servers: options.servers, flags: FLAGS, linked: true });
  try {
    return await new FaultRun(options, cluster).run();
  } finally {
    await cluster.dispose();
  }
}
