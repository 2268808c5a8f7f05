// `tetcdctl check perf`: whether a cluster sustains a rate of puts, each of them quick.

import type { Command } from 'commander';
import type { Client } from '../../../client/index.ts';
import { errorText } from '../../shell/error-text.ts';
import { EXIT, SilentExit } from '../../shell/exit.ts';
import type { Io } from '../../shell/io.ts';
import { Progress } from '../../shell/progress.ts';
import type { CommandTree } from '../command.ts';
import type { Session } from '../session.ts';
import { errorLines, load, type Stats } from './load.ts';
import {
  type CheckOptions,
  checkFlags,
  openClients,
  refuseKeys,
  tidyUp,
  workloadOf,
} from './workloads.ts';

interface Workload {
  /** Puts per second, of all clients. */
  readonly rate: number;
  readonly clients: number;
  readonly seconds: number;
}

const WORKLOADS = {
  s: { rate: 150, clients: 50, seconds: 60 },
  m: { rate: 1_000, clients: 200, seconds: 60 },
  l: { rate: 8_000, clients: 500, seconds: 60 },
  xl: { rate: 15_000, clients: 1_000, seconds: 60 },
} as const;

const KEY_BYTES = 256;
const VALUE_BYTES = 1_024;
const CLEANUP_TIMEOUT_MS = 30_000;
/** A rate that was missed is made up for no longer than this: what a timer is late. */
const CATCH_UP_NS = 10e6;

const RATE_PART_MIN = 0.9;
const SLOWEST_SECONDS_MAX = 0.5;
const DEVIATION_SECONDS_MAX = 0.1;

export function addCheckPerf(parent: Command, tree: CommandTree): void {
  tree.add<CheckOptions>(parent, {
    name: 'perf',
    usage: '[options]',
    summary: 'check whether a cluster sustains a rate of writes',
    description: `Writes keys of 1 KiB for a minute, at a rate that the workload says, and deletes
them. Passes if at least nine tenths of the rate are reached, no write took longer than half a
second, and the standard deviation is at most a tenth.`,
    flags: checkFlags('/etcdctl-check-perf/'),
    run: async ({ options, sessionOfEndpoints: open }) => {
      const workload = workloadOf<Workload>(options.load, WORKLOADS);
      await checkPerf(await open(), workload, options);
    },
  });
}

/** Prints the verdict. SilentExit if it is not passed. */
async function checkPerf(
  session: Session,
  workload: Workload,
  options: CheckOptions,
): Promise<void> {
  const { io } = session;
  const clients = await openClients(session, workload.clients);
  const [client] = clients as [Client];
  const stop = io.stopSignal();
  await refuseKeys(session, client, options.prefix, "'");
  const stats = await putAtRate(io, clients, workload, options.prefix, stop);
  const revision = await cleanUp(io, client, options.prefix);
  await tidyUp(session, client, options, revision);
  const { text, passed } = verdict(stats, workload.rate);
  io.out(text);
  if (!passed) throw new SilentExit(EXIT.ERROR);
}

async function putAtRate(
  io: Io,
  clients: readonly Client[],
  workload: Workload,
  prefix: string,
  stop: AbortSignal,
): Promise<Stats> {
  const total = workload.rate * workload.seconds;
  const progress = new Progress(io, { label: 'Writing', show: String, total });
  try {
    return await load(io, clients, {
      prefix,
      keyBytes: KEY_BYTES,
      valueBytes: VALUE_BYTES,
      next: pace(io, workload, stop),
      onPut: () => {
        progress.done++;
      },
    });
  } finally {
    progress.end();
  }
}

/** Says what to do next, so that the rate is kept, until the time is over or the signal aborted. */
export function pace(
  io: Io,
  { rate, seconds }: Pick<Workload, 'rate' | 'seconds'>,
  stop: AbortSignal,
): () => 'put' | 'wait' | 'end' {
  const startNs = io.monotonicNs();
  const endNs = startNs + seconds * 1e9;
  let dueNs = startNs;
  return () => {
    const nowNs = io.monotonicNs();
    if (nowNs >= endNs || stop.aborted) return 'end';
    if (dueNs > nowNs) return 'wait';
    dueNs = Math.max(dueNs, nowNs - CATCH_UP_NS) + 1e9 / rate;
    return 'put';
  };
}

/** Resolves with the revision of the deletion; undefined, after a line about it, if that failed. */
async function cleanUp(io: Io, client: Client, prefix: string): Promise<number | undefined> {
  try {
    const limits = { prefix: true, timeoutMs: CLEANUP_TIMEOUT_MS };
    const { header } = await client.kv.delete(prefix, limits);
    return header.revision;
  } catch (error) {
    io.out(`FAIL: Cleanup failed during key deletion: ERROR(${errorText(error)})\n`);
    return undefined;
  }
}

export function verdict(
  stats: Stats,
  rate: number,
): { readonly text: string; readonly passed: boolean } {
  const { perSecond, slowest, deviation } = stats;
  const writes = `${Math.trunc(perSecond) + 1} writes/s`;
  const checks = [
    perSecond / rate <= RATE_PART_MIN
      ? [`FAIL: Throughput too low: ${writes}`]
      : [`PASS: Throughput is ${writes}`, 'passed'],
    slowest > SLOWEST_SECONDS_MAX
      ? [`Slowest request took too long: ${slowest.toFixed(6)}s`]
      : [`PASS: Slowest request took ${slowest.toFixed(6)}s`, 'passed'],
    deviation > DEVIATION_SECONDS_MAX
      ? [`Stddev too high: ${deviation.toFixed(6)}s`]
      : [`PASS: Stddev is ${deviation.toFixed(6)}s`, 'passed'],
  ];
  const passed = stats.errors.size === 0 && checks.every(([, isPassed]) => isPassed);
  const lines = [...checks.map(([line]) => line), passed ? 'PASS' : 'FAIL'];
  return { text: `${errorLines(stats)}${lines.join('\n')}\n`, passed };
}
