// Unary echo over loopback: our server beside @grpc/grpc-js, in one run, alternating rounds, each server
// in a process of its own, loaded by our client from this one. What counts is the server's CPU time per
// request (all its threads); requests per second say little while both share two cores.
//
//     node run.mjs [--small] [--json FILE]

import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { load } from './loader.mjs';

const small = process.argv.includes('--small');
const jsonAt = process.argv.indexOf('--json');

const CASES = [
  { name: '10 connections x 10 calls, 16 B', connections: 10, concurrent: 10, bytes: 16 },
  { name: '1 connection x 100 calls, 16 B', connections: 1, concurrent: 100, bytes: 16 },
  { name: '100 connections x 1 call, 256 B', connections: 100, concurrent: 1, bytes: 256 },
  { name: '1 serial client, 16 B', connections: 1, concurrent: 1, bytes: 16, share: 0.1 },
  {
    name: '10 x 10, 16 B, with deadlines',
    connections: 10,
    concurrent: 10,
    bytes: 16,
    timeoutMs: 5000,
  },
];
const CALLS = small ? 4_000 : 100_000;
const ROUNDS = small ? 1 : 3;

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function measure(kind, one) {
  const server = fork(fileURLToPath(new URL('./server.mjs', import.meta.url)), [kind]);
  const ask = (message) =>
    new Promise((resolve) => {
      server.once('message', resolve);
      if (message !== undefined) server.send(message);
    });
  try {
    const { port } = await ask();
    const calls = Math.floor(CALLS * (one.share ?? 1));
    await load({ ...one, port, calls: Math.ceil(calls / 4) });
    const before = await ask('usage');
    const result = await load({ ...one, port, calls });
    const after = await ask('usage');
    return { ...result, cpuUs: (after.cpuUs - before.cpuUs) / calls, rssBytes: after.rssBytes };
  } finally {
    server.kill('SIGKILL');
  }
}

const results = [];
for (const one of CASES) {
  const rounds = { ours: [], 'grpc-js': [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const kind of Object.keys(rounds)) rounds[kind].push(await measure(kind, one));
  }
  const row = { name: one.name };
  for (const [kind, values] of Object.entries(rounds)) {
    const middle = (field) => median(values.map((value) => value[field]));
    row[kind] = {
      cpuUs: middle('cpuUs'),
      requestsPerSecond: middle('requestsPerSecond'),
      p50Ms: middle('p50Ms'),
      p99Ms: middle('p99Ms'),
      checksum: values[0].checksum,
    };
  }
  row.ratio = row['grpc-js'].cpuUs / row.ours.cpuUs;
  results.push(row);
  for (const kind of Object.keys(rounds)) {
    const { cpuUs, requestsPerSecond, p50Ms, p99Ms } = row[kind];
    console.log(
      `${one.name.padEnd(34)} ${kind.padEnd(8)} ${cpuUs.toFixed(2).padStart(7)} us CPU/request` +
        ` ${requestsPerSecond.toFixed(0).padStart(7)} requests/s` +
        ` p50 ${p50Ms.toFixed(3)} ms p99 ${p99Ms.toFixed(3)} ms`,
    );
  }
  console.log(`${one.name.padEnd(34)} ratio    ${row.ratio.toFixed(1).padStart(7)}`);
}
if (jsonAt > 0) writeFileSync(process.argv[jsonAt + 1], `${JSON.stringify(results, null, 2)}\n`);
