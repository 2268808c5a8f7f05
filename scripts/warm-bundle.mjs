// Runs the bundled commands and keeps the code that V8 has made of them by then, with the functions that
// were compiled on the way; see src/cli/shell/bundle-loader.ts. Each run begins with the code of the one
// before, and adds to it.
//
// A run is this file again, in a process of its own: `node warm-bundle.mjs <directory> <part> <arguments>`.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const THIS_FILE = fileURLToPath(import.meta.url);
const RUN_LIMIT_MS = 60_000;
const READY = /ready to serve client requests|started gRPC proxy/;

/** What `tetcdctl` is warmed by; the most frequent ones last. */
const CONTROLS = [
  ['member', 'list'],
  ['endpoint', 'health'],
  ['del', 'key'],
  ['get', 'key'],
  ['put', 'key', 'value'],
];

/** What `tetcdutl` is warmed by, on the member's directory; the most frequent ones last. */
const OFFLINE = [
  ['check', '--data-dir'],
  ['snapshot', 'status'],
];

/** A run; its code is kept when it ends by itself. Rejects if it does not end well. */
function start(directory, part, args) {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(?:ETCD|NODE_|TETCD)/.test(name)),
  );
  const child = fork(THIS_FILE, [directory, part, ...args], {
    ...{ env, execArgv: [], silent: true, timeout: RUN_LIMIT_MS, killSignal: 'SIGKILL' },
  });
  const lines = [];
  const ended = once(child, 'close').then(([code, signal]) => {
    if (code === 0) return;
    throw new Error(`${part} ${args.join(' ')}: ${signal ?? code}\n${lines.join('\n')}`);
  });
  const ready = new Promise((resolve) => {
    createInterface(child.stderr).on('line', (line) => {
      lines.push(line);
      if (READY.test(line)) resolve();
    });
  });
  child.stdout.resume();
  return { child, ended, ready };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function runMember(directory, dataDirectory, used) {
  const [client, peer] = [await freePort(), await freePort()].map(
    (port) => `http://127.0.0.1:${port}`,
  );
  const { child, ended, ready } = start(directory, './serve.js', [
    `--data-dir=${dataDirectory}`,
    ...[`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`],
    ...[`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`],
    `--initial-cluster=default=${peer}`,
  ]);
  await Promise.race([ready, ended]);
  try {
    await used(`--endpoints=${client}`);
  } finally {
    child.send('end');
  }
  await ended;
}

/** A proxy before the member, and requests through it. */
async function runProxy(directory, endpoints) {
  const address = `127.0.0.1:${await freePort()}`;
  const args = ['grpc-proxy', 'start', endpoints, `--listen-addr=${address}`];
  const { child, ended, ready } = start(directory, './run-proxy.js', args);
  await Promise.race([ready, ended]);
  try {
    for (const words of CONTROLS) {
      await start(directory, './main.js', [`--endpoints=http://${address}`, ...words]).ended;
    }
  } finally {
    child.send('end');
  }
  await ended;
}

/** Keeps code for every part in `directory`. */
export async function warmBundle(directory) {
  const temporary = mkdtempSync(join(tmpdir(), 'tetcd-warm-'));
  const dataDirectory = join(temporary, 'data');
  try {
    await runMember(directory, dataDirectory, async (endpoints) => {
      for (const args of CONTROLS) {
        await start(directory, './main.js', [endpoints, ...args]).ended;
      }
      await runProxy(directory, endpoints);
    });
    await runMember(directory, dataDirectory, () => Promise.resolve());
    const database = join(dataDirectory, 'member', 'snap', 'db');
    for (const [command, word] of OFFLINE) {
      const path = word === '--data-dir' ? dataDirectory : database;
      await start(directory, './run-tetcdutl.js', [command, word, path]).ended;
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

async function run(directory, part, args) {
  const require = createRequire(join(directory, 'x'));
  const { BundleLoader } = require('./bundle-loader.js');
  const loader = new BundleLoader(directory, require, { keeps: true });
  process.on('exit', () => loader.keepCode());
  const { main, run: runTool } = loader.load(part);
  process.argv.splice(1, 3, join(directory, part));
  // Servers end by signals: here at the parent's word.
  const receiveStopSignals = () => process.once('message', () => process.exit());
  if (part === './main.js') await main(args);
  else if (part === './run-tetcdutl.js') await runTool(args);
  else if (part === './run-proxy.js') await main(args, receiveStopSignals);
  else await main(receiveStopSignals);
}

if (process.argv[1] === THIS_FILE) {
  const [directory, part, ...args] = process.argv.slice(2);
  await run(directory, part, args);
}
