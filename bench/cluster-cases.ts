// What is measured of a cluster of three. Each case starts three fresh processes, all on the servers'
// core, and fills them through the leader.

import { Cluster } from '../test/cluster/cluster.ts';
import type { ClusterMember, Server } from '../test/cluster/cluster-member.ts';
import { until } from '../test/cluster/until.ts';
import { ApiClient, type Message } from '../test/helpers/api.ts';
import type { Program } from '../test/helpers/member.ts';
import type { Case, Context, Measurement } from './cases.ts';
import { cpuMicroseconds } from './loader/process-stats.ts';
import type { StallOperation } from './loader/stall.ts';
import type { WorkloadName } from './loader/workloads.ts';
import { median } from './report.ts';
import { measureAtRest } from './rest.ts';
import { bindTo, FLAGS, load, SERVER_CORE } from './servers.ts';

const MEMBERS = 3;
/** Followers do less, so their code is warm later. */
const WARM_UP_TIMES = 8;
/** Of a cluster whose processes have just started: more would warm them up. */
const KEYS_FRESH = 1_000;
const CATCH_UP_TIMEOUT_MS = 300_000;

export async function withCluster<T>(
  server: Server,
  flags: readonly string[],
  body: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const cluster = await Cluster.start({
    servers: Array.from({ length: MEMBERS }, () => server),
    flags: [...FLAGS, ...flags],
    prefix: bindTo(SERVER_CORE),
  });
  try {
    return await body(cluster);
  } finally {
    await cluster.dispose();
  }
}

async function fill(cluster: Cluster, keys: number, changes: number): Promise<void> {
  const { endpoint } = await cluster.leader();
  await load({ kind: 'fill', endpoint, keys, changes });
  await cluster.caughtUp(CATCH_UP_TIMEOUT_MS);
}

/** Counts how far the term rises while `body` runs. */
export async function countElections<T>(
  cluster: Cluster,
  body: (leader: ClusterMember) => Promise<T>,
): Promise<{ readonly result: T; readonly elections: number }> {
  const leader = await cluster.leader();
  const { term } = await leader.status();
  const result = await body(leader);
  const after = await (await cluster.leader()).status();
  return { result, elections: after.term - term };
}

interface UnaryShape {
  readonly workload: WorkloadName;
  readonly connections: number;
  readonly calls: number;
  readonly atFollower?: boolean;
  /** The connections are spread over all members. */
  readonly spread?: boolean;
  /** Measured from the first request on, for a quarter of the time. */
  readonly fresh?: boolean;
}

function runUnaryCase(shape: UnaryShape, program: Program, context: Context): Promise<Measurement> {
  const { sizes, round } = context;
  const { warmUpMs, measureMs, back } = sizes;
  const keys = shape.fresh ? Math.min(KEYS_FRESH, sizes.keysFew) : sizes.keysFew;
  return withCluster({ program }, [], async (cluster) => {
    await fill(cluster, keys, 0);
    const { result, elections } = await countElections(cluster, async (leader) => {
      const member = shape.atFollower ? await cluster.follower() : leader;
      return load({
        ...{ kind: 'unary', workload: shape.workload, keys, seed: round, back },
        ...{ requests: Math.min(20_000, 2 * keys), endpoint: member.endpoint },
        pids: cluster.members.map((one) => one.pid),
        ...(shape.spread
          ? { others: cluster.members.filter((one) => one !== member).map((one) => one.endpoint) }
          : {}),
        ...{ connections: shape.connections, callsPerConnection: shape.calls },
        warmUpMs: shape.fresh ? 0 : WARM_UP_TIMES * warmUpMs,
        measureMs: shape.fresh ? measureMs / 4 : measureMs,
      });
    });
    return {
      cpuUsPerRequest: result.serverCpuUs / result.requests,
      loaderUsPerRequest: result.loaderCpuUs / result.requests,
      requestsPerSecond: result.requests / result.seconds,
      p50Ms: result.latency.p50Ms,
      p99Ms: result.latency.p99Ms,
      maxMs: result.latency.maxMs,
      elections,
    };
  });
}

const ATTEMPT_EVERY_MS = 5;

/**
 * From the end of the leader, killed or asked to stop, to the first write that any of the others acknowledges
 * under a later term.
 */
async function firstWriteAfter(cluster: Cluster, end: 'kill' | 'stop'): Promise<number> {
  const leader = await cluster.leader();
  const { term } = await leader.status();
  const others = cluster.members.filter((one) => one !== leader);
  const clients = others.map((one) => new ApiClient(one.endpoint));
  for (const client of clients) await client.must('KV/Put', { key: 'before' });
  const startedAt = performance.now();
  const ended = leader[end]();
  // New ones again and again: what was sent to the old leader is not answered soon.
  let timer: NodeJS.Timeout | undefined;
  const ms = await new Promise<number>((resolve) => {
    timer = setInterval(() => {
      for (const client of clients) {
        void client.call('KV/Put', { key: 'after' }).then(({ message }) => {
          const header = message?.['header'] as Message | undefined;
          if (Number(header?.['raft_term'] ?? 0) > term) resolve(performance.now() - startedAt);
        });
      }
    }, ATTEMPT_EVERY_MS);
  });
  clearInterval(timer);
  for (const client of clients) client.close();
  await ended;
  await leader.restart();
  await cluster.caughtUp();
  return ms;
}

function runFailover(end: 'kill' | 'stop', program: Program, { sizes }: Context) {
  return withCluster({ program }, [], async (cluster) => {
    await fill(cluster, sizes.keysFew, 0);
    const times: number[] = [];
    while (times.length < sizes.failovers) times.push(await firstWriteAfter(cluster, end));
    const measured: Measurement = { p50Ms: median(times), maxMs: Math.max(...times) };
    return measured;
  });
}

async function snapshotsReceived(member: ClusterMember): Promise<number> {
  const text = await (await fetch(`http://${member.endpoint}/metrics`)).text();
  const counts = text.matchAll(/^etcd_network_snapshot_receive_success\{[^}]*\} (\S+)$/gm);
  return [...counts].reduce((sum, match) => sum + Number(match[1]), 0);
}

/** From 3.6 on the log in memory is cut whether a snapshot is due or not. */
const keepLog = ({ release }: Program): readonly string[] => [
  '--snapshot-count=10000000',
  ...(release === '3.7' ? ['--snapshot-catchup-entries=10000000'] : []),
];
const CUT_LOG = ['--snapshot-count=10000'];
/** In the small form there are fewer entries than a log would be cut after. */
const CUT_LOG_MISSED_MIN = 20_000;

async function catchUp(cluster: Cluster, missed: number, bySnapshot: boolean) {
  const member = await cluster.follower();
  await member.kill();
  await load({
    kind: 'fill',
    endpoint: (await cluster.leader()).endpoint,
    keys: 1,
    changes: missed,
  });
  const revision = await cluster.revision();
  const startedAt = performance.now();
  await member.restart();
  const look = async (): Promise<true | undefined> =>
    (await member.status()).revision >= revision || undefined;
  await until(`${member.name} at ${revision}`, look, CATCH_UP_TIMEOUT_MS);
  const seconds = (performance.now() - startedAt) / 1000;
  if (missed >= CUT_LOG_MISSED_MIN && (await snapshotsReceived(member)) > 0 !== bySnapshot) {
    throw new Error(`${member.name} caught up ${bySnapshot ? 'without' : 'by'} a snapshot`);
  }
  return { seconds, cpuSeconds: cpuMicroseconds(member.pid) / 1e6 };
}

function runCatchUp(bySnapshot: boolean, program: Program, { sizes }: Context) {
  return withCluster({ program }, bySnapshot ? CUT_LOG : keepLog(program), async (cluster) => {
    await fill(cluster, sizes.keysFew, 0);
    return countElections(cluster, () => catchUp(cluster, sizes.missed, bySnapshot)).then(
      ({ result, elections }): Measurement => ({ ...result, elections }),
    );
  });
}

const STALLS = ['hash', 'snapshot', 'compact', 'member', 'delete-all'] as const;
type Stall = (typeof STALLS)[number];

/** Measured one after the other in one cluster, as a history that it might have. */
const stalls = new Map<string, Map<Stall, Measurement>>();

function runStalls(program: Program, { sizes }: Context): Promise<Map<Stall, Measurement>> {
  const { keysMany: keys, putsPerSecond, quietMs, missed } = sizes;
  return withCluster({ program }, CUT_LOG, async (cluster) => {
    await fill(cluster, keys, 0);
    const results = new Map<Stall, Measurement>();
    const puts = (endpoint: string, operation: StallOperation, quiet = quietMs) =>
      load({ kind: 'stall', operation, keys, quietMs: quiet, endpoint, putsPerSecond });
    for (const stall of STALLS) {
      const { result, elections } = await countElections(cluster, async (leader) => {
        if (stall !== 'member') return puts(leader.endpoint, stall);
        // A member comes back that needs the whole database.
        const member = await cluster.follower();
        await member.kill();
        await load({ kind: 'fill', endpoint: leader.endpoint, keys: 1, changes: missed / 4 });
        const under = puts(leader.endpoint, 'none', 10 * quietMs);
        await member.restart();
        const done = await under;
        await cluster.caughtUp(CATCH_UP_TIMEOUT_MS);
        return done;
      });
      results.set(stall, {
        ...{ seconds: result.operationSeconds, elections },
        ...{ p50Ms: result.latency.p50Ms, p99Ms: result.latency.p99Ms },
        maxMs: result.latency.maxMs,
        failed: result.failedPuts + (result.operationError === '' ? 0 : 1),
      });
    }
    return results;
  });
}

function stall(name: Stall, title: string): Case {
  return {
    name: `stall-${name}`,
    title,
    run: async (program, context) => {
      const key = `${program.name} ${context.round}`;
      let results = stalls.get(key);
      if (results === undefined) {
        results = await runStalls(program, context);
        stalls.set(key, results);
      }
      return results.get(name)!;
    },
  };
}

function unary(name: string, title: string, shape: UnaryShape, goal: Case['goal']): Case {
  return {
    ...{ name, title, run: (program, context) => runUnaryCase(shape, program, context) },
    ...(goal === undefined ? {} : { goal }),
  };
}

const cpu = (ratio: number) => ({ field: 'cpuUsPerRequest', ratio }) as const;

export const CLUSTER_CASES: readonly Case[] = [
  unary(
    'put-1',
    'Put 256 B, one client',
    { workload: 'put', connections: 1, calls: 1 },
    { field: 'p50Ms', ratio: 1.2 },
  ),
  unary(
    'put-1-fresh',
    'Put 256 B, one client, processes just started',
    { workload: 'put', connections: 1, calls: 1, fresh: true },
    { field: 'p50Ms', ratio: 1.3 },
  ),
  unary(
    'put-100',
    'Put 256 B, 100 clients',
    { workload: 'put', connections: 10, calls: 10 },
    cpu(2),
  ),
  unary(
    'put-1000',
    'Put 256 B, 1,000 clients',
    { workload: 'put', connections: 100, calls: 10 },
    cpu(2),
  ),
  unary(
    'put-spread',
    'Put 256 B, 100 clients, at all members',
    { workload: 'put', connections: 10, calls: 10, spread: true },
    cpu(2),
  ),
  unary(
    'read-leader',
    'Linearizable Range of one key, at the leader',
    { workload: 'range-one', connections: 10, calls: 10 },
    cpu(2.5),
  ),
  unary(
    'read-follower',
    'Linearizable Range of one key, at a follower',
    { workload: 'range-one', connections: 10, calls: 10, atFollower: true },
    cpu(2.5),
  ),
  {
    name: 'failover',
    title: 'Leader killed, to the first write',
    goal: { field: 'p50Ms', ratio: 1 },
    run: (program, context) => runFailover('kill', program, context),
  },
  {
    name: 'hand-over',
    title: 'Leader asked to stop, to the first write',
    goal: { field: 'p50Ms', ratio: 1 },
    run: (program, context) => runFailover('stop', program, context),
  },
  {
    name: 'catch-up-log',
    title: 'A member catches up by log',
    run: (program, context) => runCatchUp(false, program, context),
  },
  {
    name: 'catch-up-snapshot',
    title: 'A member catches up by snapshot',
    run: (program, context) => runCatchUp(true, program, context),
  },
  {
    name: 'idle',
    title: 'Nothing to do, of one member',
    goal: { field: 'corePercent', ratio: 1 },
    run: (program, { sizes }) =>
      withCluster({ program }, [], async ({ members }) =>
        measureAtRest(
          members.map(({ pid }) => pid),
          sizes,
        ),
      ),
  },
  stall('hash', 'HashKV under puts'),
  stall('snapshot', 'Maintenance.Snapshot under puts'),
  stall('compact', 'Compaction under puts'),
  stall('member', 'A member receives everything under puts'),
  stall('delete-all', 'Delete of everything under puts'),
];
