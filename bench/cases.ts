// What is measured. Each case starts a fresh server process over a prepared directory.

import type { Program } from '../test/helpers/member.ts';
import { bareRoundTripMs } from './bare.ts';
import { residentMebibytes } from './loader/process-stats.ts';
import { STALL_OPERATIONS, type StallOperation } from './loader/stall.ts';
import { LARGE_BYTES, type WorkloadName } from './loader/workloads.ts';
import { measureAtRest } from './rest.ts';
import { type Security, targetOf } from './security.ts';
import { load, MeasuredServer, type PreparedDirectories } from './servers.ts';

/** How large and how long; the small form keeps the programs from rotting. */
export interface Sizes {
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** How long the puts to a process are measured that has just started. */
  readonly coldMs: number;
  /** Keys in the directory of most cases. */
  readonly keysFew: number;
  /** Keys in the large directory, and its changes of one revision each. */
  readonly keysMany: number;
  /** Keys of the directory of the short start. */
  readonly keysSome: number;
  readonly changes: number;
  /** How many of the changes `page-past` goes back. */
  readonly back: number;
  /** Keys of the directory of 2 GB, and the bytes of their values. */
  readonly keysLarge: number;
  readonly largeBytes: number;
  readonly watchers: number;
  readonly events: number;
  readonly putsPerSecond: number;
  readonly quietMs: number;
  /** The same beside the file of 2 GB: as long as a defragmentation of it takes to give back its space. */
  readonly quietMsLarge: number;
  /** Entries that a member of a cluster misses and catches up with. */
  readonly missed: number;
  /** Leaders killed one after the other in one run. */
  readonly failovers: number;
  /** Connections that say nothing. */
  readonly idle: number;
  /** How long processes are looked at that have nothing to do. */
  readonly restMs: number;
  /** Requests of a plain case of etcd's load generator. */
  readonly officialRequests: number;
  /** How long a storm lasts, and its logins per second. */
  readonly stormMs: number;
  readonly logins: number;
}

export const CANONICAL: Sizes = {
  ...{ warmUpMs: 1_500, measureMs: 4_000, keysFew: 10_000, keysMany: 1_000_000 },
  ...{ keysSome: 100_000, coldMs: 200 },
  ...{
    changes: 110_000,
    back: 100_000,
    watchers: 1_000,
    events: 1_000,
    putsPerSecond: 1_000,
    quietMs: 1_000,
    quietMsLarge: 6_000,
  },
  ...{ keysLarge: 500_000, largeBytes: 4_000, missed: 100_000, failovers: 5 },
  ...{ idle: 5_000, stormMs: 5_000, logins: 1_000, officialRequests: 200_000 },
  restMs: 20_000,
};

export const SMALL: Sizes = {
  ...{ warmUpMs: 50, measureMs: 200, keysFew: 2_000, keysMany: 3_000, changes: 200, back: 100 },
  ...{ watchers: 20, events: 20, putsPerSecond: 200, quietMs: 50, missed: 300, failovers: 1 },
  ...{ quietMsLarge: 50, keysSome: 1_000, coldMs: 100 },
  ...{ keysLarge: 500, largeBytes: 4_000, idle: 100, stormMs: 300, logins: 50 },
  officialRequests: 400,
  restMs: 200,
};

/** Numbers that one run of a case gave; medians are taken per field. */
export interface Measurement {
  readonly cpuUsPerRequest?: number;
  /** The loader's own; above 8 or so, rates say more about it than about the server. */
  readonly loaderUsPerRequest?: number;
  readonly requestsPerSecond?: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly maxMs?: number;
  /** The median of a program that only reads, writes, syncs and answers, on the same disk. */
  readonly bareP50Ms?: number;
  /** Of one long operation, or of a start. */
  readonly seconds?: number;
  readonly cpuSeconds?: number;
  /** CPU time per time. */
  readonly corePercent?: number;
  readonly wakeUpsPerSecond?: number;
  readonly rssMiB?: number;
  /** Resident memory that a connection adds. */
  readonly kibPerConnection?: number;
  readonly gcMaxMs?: number;
  readonly gcTotalMs?: number;
  readonly turnMaxMs?: number;
  /** The longest wait for a PING beside a long operation, on its connection. */
  readonly pingMaxMs?: number;
  /** Resident memory that a long operation adds at its highest. */
  readonly addedMiB?: number;
  /** Requests that the server gave up on. */
  readonly failed?: number;
  /** By how much the term rose, in a cluster of which no member was harmed. */
  readonly elections?: number;
}

export interface Context {
  readonly directories: PreparedDirectories;
  readonly sizes: Sizes;
  readonly round: number;
}

export interface Case {
  readonly name: string;
  readonly title: string;
  /** What etcd's figure divided by ours should reach, and in which field. */
  readonly goal?: { readonly field: keyof Measurement; readonly ratio: number };
  readonly run: (program: Program, context: Context) => Promise<Measurement>;
}

export interface UnaryShape {
  readonly workload: WorkloadName;
  readonly connections: number;
  readonly calls: number;
  readonly large?: boolean;
  /** Requests change the directory. Small ones are copied anyway. */
  readonly writes?: boolean;
  /** Memory is looked at when nothing has been asked for a while. */
  readonly rests?: boolean;
  /** A directory of so many keys with values of LARGE_BYTES. */
  readonly largeValues?: number;
  readonly requests?: number;
  /** For calls that take long. */
  readonly measureTimes?: number;
  /** Default: plaintext. */
  readonly security?: Security;
}

export async function runUnaryCase(
  shape: UnaryShape,
  program: Program,
  context: Context,
): Promise<Measurement> {
  const { directories, sizes } = context;
  const keys = shape.largeValues ?? (shape.large ? sizes.keysMany : sizes.keysFew);
  const changes = shape.large ? sizes.changes : 0;
  const valueBytes = shape.largeValues === undefined ? undefined : LARGE_BYTES;
  const prepared = await directories.get(program, keys, changes, valueBytes);
  const isCopy = !shape.large || shape.writes === true;
  const directory = isCopy ? directories.copy(prepared) : prepared;
  const server = await MeasuredServer.start(program, directory, { tls: shape.security?.files });
  try {
    const result = await load({
      ...(await targetOf(server.endpoint, shape.security)),
      ...{ kind: 'unary', workload: shape.workload, keys, seed: context.round, back: sizes.back },
      ...{ requests: shape.requests ?? Math.min(20_000, 2 * keys) },
      ...{ pids: [server.pid] },
      ...{ connections: shape.connections, callsPerConnection: shape.calls },
      warmUpMs: sizes.warmUpMs,
      measureMs: sizes.measureMs * (shape.measureTimes ?? 1),
    });
    const seen = await server.observe();
    return {
      cpuUsPerRequest: result.serverCpuUs / result.requests,
      loaderUsPerRequest: result.loaderCpuUs / result.requests,
      requestsPerSecond: result.requests / result.seconds,
      p50Ms: result.latency.p50Ms,
      p99Ms: result.latency.p99Ms,
      maxMs: result.latency.maxMs,
      rssMiB: residentMebibytes(server.pid).now,
      ...(seen === undefined ? {} : { gcMaxMs: seen.gcMaxMs, gcTotalMs: seen.gcTotalMs }),
      ...(shape.rests ? await measureAtRest([server.pid], sizes) : {}),
    };
  } finally {
    await server.stop();
    if (isCopy) directories.remove(directory);
  }
}

function unary(
  name: string,
  title: string,
  shape: UnaryShape,
  goal?: { readonly field: keyof Measurement; readonly ratio: number },
): Case {
  return {
    ...{ name, title, run: (program, context) => runUnaryCase(shape, program, context) },
    ...(goal === undefined ? {} : { goal }),
  };
}

/** Puts of one client, and in the same run what disk and network alone take for them. */
async function runSerialPuts(program: Program, context: Context): Promise<Measurement> {
  const shape = { workload: 'put', connections: 1, calls: 1 } as const;
  const measured = await runUnaryCase(shape, program, context);
  const bareP50Ms = await bareRoundTripMs(context.directories.newPath(), context.sizes);
  return { ...measured, bareP50Ms };
}

/** The first puts to a process, by a loader that has practised on another one. */
async function runColdPuts(
  program: Program,
  { directories, sizes, round }: Context,
): Promise<Measurement> {
  const prepared = await directories.get(program, sizes.keysFew, 0);
  const copies = [directories.copy(prepared), directories.copy(prepared)] as const;
  const practised = await MeasuredServer.start(program, copies[0], { observed: false });
  const server = await MeasuredServer.start(program, copies[1], { observed: false });
  try {
    const result = await load({
      ...{ kind: 'unary', workload: 'put', keys: sizes.keysFew, seed: round, back: 0 },
      ...{ requests: 2 * sizes.keysFew, connections: 10, callsPerConnection: 10 },
      ...{ endpoint: server.endpoint, pids: [server.pid] },
      ...{ warmUpMs: 0, measureMs: sizes.coldMs },
      practice: { endpoint: practised.endpoint, measureMs: sizes.warmUpMs },
    });
    return {
      cpuUsPerRequest: result.serverCpuUs / result.requests,
      loaderUsPerRequest: result.loaderCpuUs / result.requests,
      requestsPerSecond: result.requests / result.seconds,
      ...{ p50Ms: result.latency.p50Ms, p99Ms: result.latency.p99Ms },
      maxMs: result.latency.maxMs,
    };
  } finally {
    await Promise.all([practised.stop(), server.stop()]);
    for (const copy of copies) directories.remove(copy);
  }
}

const WATCH_CONNECTIONS = 10;

interface WatchShape {
  readonly paced: boolean;
  readonly security?: Security;
}

export async function runWatchCase(
  { paced, security }: WatchShape,
  program: Program,
  context: Context,
): Promise<Measurement> {
  const { directories, sizes } = context;
  const directory = directories.copy(await directories.get(program, sizes.keysFew, 0));
  const server = await MeasuredServer.start(program, directory, { tls: security?.files });
  try {
    const result = await load({
      ...(await targetOf(server.endpoint, security)),
      ...{ kind: 'watch', events: sizes.events, paced, pids: [server.pid] },
      connections: WATCH_CONNECTIONS,
      watchersPerConnection: sizes.watchers / WATCH_CONNECTIONS,
    });
    const seen = await server.observe();
    return {
      cpuUsPerRequest: result.serverCpuUs / result.delivered,
      loaderUsPerRequest: result.loaderCpuUs / result.delivered,
      requestsPerSecond: result.delivered / result.seconds,
      rssMiB: residentMebibytes(server.pid).now,
      ...(seen === undefined ? {} : { gcMaxMs: seen.gcMaxMs, gcTotalMs: seen.gcTotalMs }),
    };
  } finally {
    await server.stop();
    directories.remove(directory);
  }
}

function watch(name: string, title: string, paced: boolean): Case {
  const run: Case['run'] = (program, context) => runWatchCase({ paced }, program, context);
  return { name, title, goal: { field: 'cpuUsPerRequest', ratio: 4 }, run };
}

/** The operations come one after the other in one process: the earlier ones are its history. */
const stalls = new Map<string, Map<StallOperation, Measurement>>();

async function runStalls(
  program: Program,
  context: Context,
  prepared: string,
  operations: readonly StallOperation[],
  quietMs = context.sizes.quietMs,
) {
  const { directories, sizes } = context;
  const directory = directories.copy(prepared);
  const server = await MeasuredServer.start(program, directory, { turns: true });
  const results = new Map<StallOperation, Measurement>();
  try {
    await server.observe();
    for (const operation of operations) {
      const result = await load({
        ...{ kind: 'stall', operation, keys: sizes.keysMany, quietMs },
        ...{ endpoint: server.endpoint, putsPerSecond: sizes.putsPerSecond, pid: server.pid },
      });
      const seen = await server.observe();
      results.set(operation, {
        ...{ seconds: result.operationSeconds, rssMiB: residentMebibytes(server.pid).now },
        ...{ pingMaxMs: result.pingMaxMs, addedMiB: Math.max(0, result.memoryMiB) },
        ...{ p50Ms: result.latency.p50Ms, p99Ms: result.latency.p99Ms },
        maxMs: result.latency.maxMs,
        failed: result.failedPuts + (result.operationError === '' ? 0 : 1),
        ...(seen === undefined ? {} : { gcMaxMs: seen.gcMaxMs, gcTotalMs: seen.gcTotalMs }),
        ...(seen?.turnMaxMs == null ? {} : { turnMaxMs: seen.turnMaxMs }),
      });
    }
  } finally {
    await server.stop();
    directories.remove(directory);
  }
  return results;
}

const OPERATIONS_LARGE = ['none', 'range-all', 'defragment'] as const;

/** A process with a file of 2 GB: first nothing but puts, then long operations beside them. */
function large(operation: (typeof OPERATIONS_LARGE)[number], name: string, title: string): Case {
  const run: Case['run'] = async (program, context) => {
    const key = `large ${program.name} ${context.round}`;
    let results = stalls.get(key);
    if (results === undefined) {
      const { keysLarge, largeBytes, quietMsLarge } = context.sizes;
      const prepared = await context.directories.get(program, keysLarge, 0, largeBytes);
      results = await runStalls(program, context, prepared, OPERATIONS_LARGE, quietMsLarge);
      stalls.set(key, results);
    }
    return results.get(operation)!;
  };
  return { name, title, run };
}

function stall(operation: StallOperation, title: string): Case {
  return {
    name: `stall-${operation}`,
    title,
    run: async (program, context) => {
      const key = `${program.name} ${context.round}`;
      let results = stalls.get(key);
      if (results === undefined) {
        const { keysMany, changes } = context.sizes;
        const prepared = await context.directories.get(program, keysMany, changes);
        results = await runStalls(program, context, prepared, STALL_OPERATIONS);
        stalls.set(key, results);
      }
      return results.get(operation)!;
    },
  };
}

async function runBoot(
  program: Program,
  { directories }: Context,
  keys: number,
  changes: number,
): Promise<Measurement> {
  const directory = await directories.get(program, keys, changes);
  const server = await MeasuredServer.start(program, directory, { observed: false });
  try {
    return {
      ...{ seconds: server.startedInSeconds, cpuSeconds: server.cpuSeconds() },
      rssMiB: residentMebibytes(server.pid).now,
    };
  } finally {
    await server.stop();
  }
}

/** A process that has started and is asked nothing. */
async function runIdle(program: Program, { directories, sizes }: Context): Promise<Measurement> {
  const directory = directories.copy(await directories.get(program, sizes.keysFew, 0));
  const server = await MeasuredServer.start(program, directory);
  try {
    return await measureAtRest([server.pid], sizes);
  } finally {
    await server.stop();
    directories.remove(directory);
  }
}

const cpu = (ratio: number) => ({ field: 'cpuUsPerRequest', ratio }) as const;

export const CASES: readonly Case[] = [
  unary('put', 'Put 256 B, 100 clients', { workload: 'put', connections: 10, calls: 10 }, cpu(2.5)),
  {
    name: 'put-cold',
    title: 'Put 256 B, 100 clients, a process that has just started',
    goal: cpu(1),
    run: runColdPuts,
  },
  {
    name: 'put-serial',
    title: 'Put 256 B, one client, one at a time',
    goal: { field: 'p50Ms', ratio: 1 },
    run: runSerialPuts,
  },
  unary(
    'range-one',
    'Range of one key, linearizable',
    { workload: 'range-one', connections: 10, calls: 10 },
    cpu(2.5),
  ),
  unary(
    'range-one-serializable',
    'Range of one key, serializable',
    { workload: 'range-one-serializable', connections: 10, calls: 10 },
    cpu(2.5),
  ),
  unary(
    'range-1000',
    'Range of 1,000 keys',
    { workload: 'range-1000', connections: 4, calls: 1 },
    cpu(2.5),
  ),
  unary(
    'range-10000',
    'Range of 10,000 keys',
    { workload: 'range-all', connections: 4, calls: 1 },
    cpu(5),
  ),
  unary('put-large', 'Put 100 KB', { workload: 'put-large', connections: 4, calls: 1 }, cpu(1.2)),
  unary(
    'page-large',
    'A page of 200 values of 100 KB',
    { workload: 'page-large', connections: 2, calls: 1, largeValues: 200 },
    cpu(1.5),
  ),
  unary('txn-mix', 'Mixed transactions', { workload: 'txn-mix', connections: 10, calls: 10 }),
  watch('watch', 'Watch fan-out, per event', true),
  watch('watch-burst', 'Watch fan-out in a burst, per event', false),
  unary(
    'page-now',
    'A page of 1,000 keys out of a million',
    { workload: 'page-now', connections: 2, calls: 1, large: true, measureTimes: 2 },
    { field: 'requestsPerSecond', ratio: 100 },
  ),
  unary(
    'page-past',
    'A page, 100,000 changes back',
    { workload: 'page-past', connections: 2, calls: 1, large: true, measureTimes: 2 },
    { field: 'requestsPerSecond', ratio: 100 },
  ),
  {
    name: 'boot',
    title: 'Start with a million keys',
    goal: { field: 'seconds', ratio: 1 / 0.4 },
    run: (program, context) =>
      runBoot(program, context, context.sizes.keysMany, context.sizes.changes),
  },
  {
    name: 'boot-100k',
    title: 'Start with a hundred thousand keys',
    goal: { field: 'seconds', ratio: 1 },
    run: (program, context) => runBoot(program, context, context.sizes.keysSome, 0),
  },
  {
    name: 'idle',
    title: 'Nothing to do',
    goal: { field: 'corePercent', ratio: 1 },
    run: runIdle,
  },
  unary('rest-put', 'At rest after puts of 256 B', {
    workload: 'put',
    connections: 10,
    calls: 10,
    rests: true,
  }),
  unary('rest-put-large', 'At rest after puts of 100 KB', {
    workload: 'put-large',
    connections: 4,
    calls: 1,
    rests: true,
  }),
  unary('rest-range-10000', 'At rest after ranges of 10,000 keys', {
    workload: 'range-all',
    connections: 4,
    calls: 1,
    rests: true,
  }),
  unary(
    'put-million',
    'Put 256 B, 100 clients, a million keys',
    { workload: 'put', connections: 10, calls: 10, large: true, writes: true },
    { field: 'rssMiB', ratio: 2 },
  ),
  stall('none', 'Steady puts alone'),
  stall('hash', 'HashKV under puts'),
  stall('range-all', 'Range of everything under puts'),
  stall('snapshot', 'Maintenance.Snapshot under puts'),
  stall('defragment', 'Defragment under puts'),
  stall('delete-all', 'Delete of everything under puts'),
  stall('compact', 'Compaction under puts'),
  large('none', 'defragment-none', '2 GB: puts alone'),
  large('range-all', 'range-2gb', '2 GB: puts beside a range of everything'),
  large('defragment', 'defragment', '2 GB: puts beside a defragmentation'),
];
