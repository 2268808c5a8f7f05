// The cases of `--official`: etcd's own load generator, one sub-command each, against every server.

import type { Program } from '../test/helpers/member.ts';
import { need, officialLoader } from '../test/helpers/real-etcd.ts';
import type { Case, Context, Measurement } from './cases.ts';
import { residentMebibytes } from './loader/process-stats.ts';
import { keyOf } from './loader/workloads.ts';
import { type OfficialReport, readReports } from './official-report.ts';
import { MeasuredServer, runLoader } from './servers.ts';

/** Requests of the run before the one that counts: this part of its number. */
const WARM_UP = 1 / 10;
const REQUESTS_MIN = 20;

interface Shape {
  readonly name: string;
  readonly title: string;
  /** The sub-command with its flags, for so many requests. */
  readonly command: (requests: number) => readonly string[];
  /** Requests of this case for one of the plain ones; default 1. */
  readonly share?: number;
  readonly connections?: number;
  readonly clients?: number;
  /** Texts above the reports whose requests are counted; default: that of all. */
  readonly counted?: string;
  /** Text above the report whose latencies are shown; null: they mean nothing. */
  readonly timed?: string | null;
  /** What CPU time is divided by, if not by the requests that are counted. */
  readonly units?: (requests: number) => number;
  /** The loader sets the pace: no rate is shown. */
  readonly paced?: boolean;
}

const KEY_SPACE = '--key-space-size=100000';
/** Watchers of the case `watch`, and the keys that they share. */
const [STREAMS, PER_STREAM, WATCHED_KEYS] = [10, 100, 10];
const EVENTS_PER_WATCHER = 8;

const SHAPES: readonly Shape[] = [
  {
    name: 'put',
    title: 'put, 256 B, 1,000 clients',
    clients: 1000,
    command: (n) => ['put', `--total=${n}`, '--val-size=256', KEY_SPACE],
  },
  {
    name: 'put-one',
    title: 'put, 256 B, one client',
    share: 1 / 20,
    ...{ connections: 1, clients: 1 },
    command: (n) => ['put', `--total=${n}`, '--val-size=256', KEY_SPACE],
  },
  {
    name: 'range',
    title: 'range of one key, linearizable, 1,000 clients',
    clients: 1000,
    command: (n) => ['range', keyOf(0), `--total=${n}`],
  },
  {
    name: 'range-serializable',
    title: 'range of one key, serializable, 1,000 clients',
    clients: 1000,
    command: (n) => ['range', keyOf(0), `--total=${n}`, '--consistency=s'],
  },
  {
    name: 'txn-put',
    title: 'txn-put, 1,000 clients',
    clients: 1000,
    command: (n) => ['txn-put', `--total=${n}`, '--val-size=256', KEY_SPACE],
  },
  {
    name: 'txn-mixed',
    title: 'txn-mixed, ranges of 1,000 keys, times of the writes',
    share: 1 / 20,
    timed: 'Write Ops',
    command: (n) => ['txn-mixed', keyOf(0), `--total=${n}`, '--val-size=256', KEY_SPACE],
  },
  {
    name: 'stm',
    title: 'stm, 1,000 keys',
    share: 1 / 4,
    command: (n) => ['stm', `--total=${n}`, '--keys=1000'],
  },
  {
    name: 'watch',
    title: 'watch, 1,000 watchers of 10 keys, per event',
    share: 1 / 50,
    ...{ counted: 'Watch events', timed: null },
    command: (n) => [
      ...['watch', `--streams=${STREAMS}`, `--watch-per-stream=${PER_STREAM}`],
      ...[`--watched-key-total=${WATCHED_KEYS}`, `--put-total=${n}`],
    ],
  },
  {
    name: 'watch-latency',
    title: 'watch-latency, 100 watchers, 200 puts/s, per event',
    share: 1 / 200,
    ...{ counted: 'Watch events', timed: 'Watch events', paced: true },
    command: (n) => [
      ...['watch-latency', '--streams=10', '--watchers-per-stream=10'],
      ...['--put-rate=200', `--put-total=${n}`],
    ],
  },
  {
    name: 'watch-get',
    title: 'watch-get, watchers that catch up: gets meanwhile; CPU per event',
    share: 1 / 20,
    units: (n) => n * EVENTS_PER_WATCHER,
    command: (n) => ['watch-get', `--watchers=${n}`, `--events=${EVENTS_PER_WATCHER}`],
  },
  {
    name: 'lease-keepalive',
    title: 'lease-keepalive',
    command: (n) => ['lease-keepalive', `--total=${n}`],
  },
];

async function runShape(
  shape: Shape,
  program: Program,
  { directories, sizes }: Context,
): Promise<Measurement> {
  const { connections = 100, clients = 100, share = 1 } = shape;
  const directory = directories.copy(await directories.get(program, sizes.keysFew, 0));
  const server = await MeasuredServer.start(program, directory);
  const loader = need(officialLoader());
  const flags = [`--conns=${connections}`, `--clients=${clients}`, '--precise'];
  const run = async (requests: number): Promise<readonly OfficialReport[]> => {
    const command = [
      loader,
      `--endpoints=${server.endpoint}`,
      ...flags,
      ...shape.command(requests),
    ];
    return readReports(await runLoader(command));
  };
  const requests = Math.max(REQUESTS_MIN, Math.round(sizes.officialRequests * share));
  try {
    await run(Math.max(REQUESTS_MIN, Math.round(requests * WARM_UP)));
    const before = server.cpuSeconds();
    const reports = await run(requests);
    const cpuSeconds = server.cpuSeconds() - before;
    return measurementOf(shape, reports, {
      cpuSeconds,
      units: shape.units?.(requests),
      rssMiB: residentMebibytes(server.pid).now,
    });
  } finally {
    await server.stop();
    directories.remove(directory);
  }
}

interface Server {
  readonly cpuSeconds: number;
  readonly units: number | undefined;
  readonly rssMiB: number;
}

function measurementOf(
  { name, counted = '', timed = '', paced = false }: Shape,
  reports: readonly OfficialReport[],
  { cpuSeconds, units, rssMiB }: Server,
): Measurement {
  const those = reports.filter(({ heading }) => heading.includes(counted));
  const sum = (field: 'requests' | 'requestsPerSecond' | 'failed'): number =>
    those.reduce((total, report) => total + report[field], 0);
  const times = timed === null ? undefined : those.find(({ heading }) => heading.includes(timed));
  if (those.length === 0 || (timed !== null && times === undefined)) {
    const headings = reports.map(({ heading }) => heading).join(', ');
    throw new Error(`${name}: etcd's load generator reports nothing that is counted: ${headings}`);
  }
  return {
    cpuUsPerRequest: (cpuSeconds * 1e6) / (units ?? sum('requests')),
    ...(paced ? {} : { requestsPerSecond: sum('requestsPerSecond') }),
    ...(times === undefined ? {} : { p50Ms: times.p50Ms }),
    ...(times?.p99Ms === undefined ? {} : { p99Ms: times.p99Ms }),
    rssMiB,
    failed: reports.reduce((total, report) => total + report.failed, 0),
  };
}

export const OFFICIAL_CASES: readonly Case[] = SHAPES.map((shape) => ({
  name: shape.name,
  title: shape.title,
  run: (program, context) => runShape(shape, program, context),
}));
