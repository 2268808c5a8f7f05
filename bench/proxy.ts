// node scripts/run-ts.mjs bench/proxy.ts [--watchers 10000] [--events 40] [--connections 100]
//     [--measure-ms 2000] [--rounds 3] [--proxies tetcd,3.7] [--cases put,watch]
//
// gRPC proxies before one member (of etcd 3.7, the same for all): what an event costs them for each of many
// watchers of one prefix, and how a put through them compares with a put at the member. The proxy has one
// core, member and loader have the other.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Member, realProgram, serverUnderTest } from '../test/helpers/member.ts';
import { need, realEtcd } from '../test/helpers/real-etcd.ts';
import { freePort, ServerProcess } from '../test/helpers/server-process.ts';
import { residentMebibytes } from './loader/process-stats.ts';
import { median } from './report.ts';
import { bindTo, load, SERVER_CORE } from './servers.ts';

const { values } = parseArgs({
  options: {
    watchers: { type: 'string', default: '10000' },
    events: { type: 'string', default: '40' },
    connections: { type: 'string', default: '100' },
    'measure-ms': { type: 'string', default: '2000' },
    rounds: { type: 'string', default: '3' },
    proxies: { type: 'string', default: 'tetcd,3.7' },
    cases: { type: 'string', default: 'put,watch' },
  },
});

const START_TIMEOUT_MS = 30_000;
/** Time for a single client to make the thousands of calls after which V8 compiles what is hot. */
const WARM_UP_CALLS_MS = 5_000;
const REAL = need(realEtcd('3.7'));
const OTHER_CORE = 1 - SERVER_CORE;

interface Started {
  readonly endpoint: string;
  readonly pid: number;
  readonly stop: () => Promise<unknown>;
}

async function startProxy(name: string, member: string): Promise<Started> {
  const command = name === 'tetcd' ? need(serverUnderTest()).command : [REAL.etcd];
  const endpoint = `127.0.0.1:${await freePort()}`;
  const process = new ServerProcess(name, [
    ...bindTo(SERVER_CORE),
    ...command,
    ...['grpc-proxy', 'start', `--endpoints=${member}`, `--listen-addr=${endpoint}`],
  ]);
  await process.line(/started gRPC proxy/, START_TIMEOUT_MS);
  return { endpoint, pid: process.pid!, stop: () => process.end('SIGKILL') };
}

type Row = Readonly<Record<string, number>>;

async function putsAt(endpoint: string, pid: number, clients: number): Promise<Row> {
  const { requests, seconds, serverCpuUs, latency } = await load({
    ...{ kind: 'unary', workload: 'put', keys: 1000, requests: 60_000, seed: 1, back: 0 },
    ...{ endpoint, pids: [pid], connections: clients, callsPerConnection: 1 },
    ...{
      warmUpMs: Math.max(WARM_UP_CALLS_MS / clients, 1000),
      measureMs: Number(values['measure-ms']),
    },
  });
  return {
    'puts/s': requests / seconds,
    'p50 ms': latency.p50Ms,
    'CPU us/put': serverCpuUs / requests,
  };
}

async function eventsAt({ endpoint, pid }: Started): Promise<Row> {
  const watchers = Number(values.watchers);
  const connections = Number(values.connections);
  const before = residentMebibytes(pid).now;
  const { delivered, seconds, serverCpuUs } = await load({
    ...{ kind: 'watch', endpoint, pids: [pid], paced: true, events: Number(values.events) },
    ...{ connections, watchersPerConnection: watchers / connections },
  });
  const { peak } = residentMebibytes(pid);
  return {
    'events/s': delivered / seconds,
    'CPU us/event': serverCpuUs / delivered,
    'MiB before': before,
    'MiB peak': peak,
    'own MiB': ownMebibytes(pid),
    'KiB/watcher': ((peak - before) * 1024) / watchers,
  };
}

/** What belongs to the process alone: without the pages of its program and libraries. */
function ownMebibytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)![1]) / 1024;
}

/** Measurements by name, in the order in which they were made first. */
const measured = new Map<string, Row[]>();

function note(name: string, row: Row): void {
  measured.set(name, [...(measured.get(name) ?? []), row]);
}

function mediansOfRows(rows: readonly Row[]): Row {
  const fields = Object.keys(rows[0]!);
  return Object.fromEntries(
    fields.map((field) => [field, Number(median(rows.map((row) => row[field]!)).toFixed(2))]),
  );
}

async function round(member: Member): Promise<void> {
  const cases = values.cases.split(',');
  if (cases.includes('put')) await putRound(member);
  if (cases.includes('watch')) await watchRound(member);
}

async function putRound(member: Member): Promise<void> {
  for (const clients of [1, 50]) {
    note(`put, ${clients} clients, direct`, await putsAt(member.endpoint, member.pid, clients));
    for (const name of values.proxies.split(',')) {
      const proxy = await startProxy(name, member.endpoint);
      note(`put, ${clients} clients, ${name}`, await putsAt(proxy.endpoint, proxy.pid, clients));
      await proxy.stop();
    }
  }
}

async function watchRound(member: Member): Promise<void> {
  for (const name of values.proxies.split(',')) {
    const proxy = await startProxy(name, member.endpoint);
    note(`${values.watchers} watchers, ${name}`, await eventsAt(proxy));
    await proxy.stop();
  }
}

const member = await Member.start(realProgram(REAL), { prefix: bindTo(OTHER_CORE) });
try {
  for (let i = 0; i < Number(values.rounds); i++) await round(member);
  const rows = [...measured].map(([name, each]) => [name, mediansOfRows(each)]);
  console.table(Object.fromEntries(rows));
} finally {
  await member.dispose();
}
