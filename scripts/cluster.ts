// `npm run cluster`: members of one cluster on this machine, with their output under each other's
// names, until ctrl-C.
//
//   npm run cluster -- --count 5 --data-dir /tmp/try -- --log-level warn
//
// Ports are those of etcd's own example: 2379 and 2380, 22379 and 22380, 32379 and 32380, and so on.
// What is in the data directory is taken up again.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const REPOSITORY = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const SERVER = join(REPOSITORY, 'dist', 'bin', 'tetcd.js');
const TOOL = join(REPOSITORY, 'dist', 'bin', 'tetcdctl.js');

const COUNT_MAX = 6;
const PORTS_APART = 10_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const READY = 'ready to serve client requests';
/** A member that has not ended this long after it was asked to is killed. */
const STOP_MS_MAX = 20_000;
/** npm passes on a ctrl-C that the terminal has already sent: one after the other is the same. */
const SAME_SIGNAL_MS = 500;

const USAGE = `usage: npm run cluster -- [--count 3] [--data-dir cluster.etcd] [--first-port n]
                          [--server program] [-- flag ...]

  --count n          members, 1 to ${COUNT_MAX}
  --data-dir path    where they keep their data, each in a directory of its own name
  --first-port n     loopback ports from n on, instead of 2379, 2380, 22379, 22380, ...
  --server program   another server than this repository's, such as etcd
  -- flag ...        for every member, after those that it gets anyway
`;

interface Settings {
  readonly count: number;
  readonly dataDir: string;
  readonly firstPort: number | undefined;
  readonly command: readonly string[];
  readonly flags: readonly string[];
}

interface Place {
  readonly name: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
}

function refuse(text: string): never {
  process.stderr.write(`${text}\n\n${USAGE}`);
  process.exit(2);
}

/** A whole number from 1 to `max`; refused with the flag's name otherwise. */
function wholeNumber(flag: string, text: string, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max) {
    refuse(`${flag} is not a number from 1 to ${max}: ${text}`);
  }
  return value;
}

function parse(argv: readonly string[]): Settings {
  const end = argv.indexOf('--');
  const own = end < 0 ? argv : argv.slice(0, end);
  let values: Partial<Record<'count' | 'data-dir' | 'first-port' | 'server', string>>;
  try {
    const string = { type: 'string' } as const;
    const options = { count: string, 'data-dir': string, 'first-port': string, server: string };
    ({ values } = parseArgs({ args: [...own], options }));
  } catch (error) {
    refuse((error as Error).message);
  }
  const { server } = values;
  const count = wholeNumber('--count', values.count ?? '3', COUNT_MAX);
  const first = values['first-port'];
  const firstMax = 65_535 - 2 * count + 1;
  if (server === undefined && !existsSync(SERVER)) refuse(`${SERVER} is missing: npm run build`);
  return {
    count,
    dataDir: resolve(values['data-dir'] ?? 'cluster.etcd'),
    firstPort: first === undefined ? undefined : wholeNumber('--first-port', first, firstMax),
    command: server === undefined ? [process.execPath, SERVER] : [server],
    flags: end < 0 ? [] : argv.slice(end + 1),
  };
}

function placeOf(index: number, firstPort: number | undefined): Place {
  const apart = index === 0 ? 0 : (index + 1) * PORTS_APART;
  const port = firstPort === undefined ? 2_379 + apart : firstPort + 2 * index;
  return {
    name: `infra${index + 1}`,
    clientUrl: `http://127.0.0.1:${port}`,
    peerUrl: `http://127.0.0.1:${port + 1}`,
  };
}

function flagsOf(place: Place, places: readonly Place[], dataDir: string): string[] {
  const list = places.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',');
  return [
    `--name=${place.name}`,
    `--data-dir=${join(dataDir, place.name)}`,
    `--listen-client-urls=${place.clientUrl}`,
    `--advertise-client-urls=${place.clientUrl}`,
    `--listen-peer-urls=${place.peerUrl}`,
    `--initial-advertise-peer-urls=${place.peerUrl}`,
    '--initial-cluster-token=tetcd-cluster',
    `--initial-cluster=${list}`,
    '--initial-cluster-state=new',
  ];
}

/** The processes, and what is said about them. */
class Cluster {
  readonly #settings: Settings;
  readonly #places: readonly Place[];
  readonly #running = new Map<string, ChildProcess>();
  readonly #ready = new Set<string>();
  #stopSinceMs: number | undefined = undefined;
  #hasFailed = false;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#places = Array.from({ length: settings.count }, (_unused, index) =>
      placeOf(index, settings.firstPort),
    );
  }

  start(): void {
    const { command, dataDir, flags } = this.#settings;
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    for (const place of this.#places) {
      const args = [...command.slice(1), ...flagsOf(place, this.#places, dataDir), ...flags];
      // In a group of its own: a ctrl-C of the terminal is for us, who stop one after the other.
      const child = spawn(command[0]!, args, {
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      });
      this.#running.set(place.name, child);
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => this.#onLine(place.name, line));
      }
      child.once('error', (error) => this.#say(place.name, error.message));
      child.once('close', (code, signal) => this.#onEnd(place.name, code, signal));
    }
    for (const signal of SIGNALS) process.on(signal, () => this.stop());
    process.on('exit', () => this.#killAll());
  }

  #say(name: string, line: string): void {
    process.stdout.write(`${name.padEnd(`infra${COUNT_MAX}`.length)} | ${line}\n`);
  }

  #onLine(name: string, line: string): void {
    this.#say(name, line);
    if (!line.includes(READY) || this.#ready.has(name)) return;
    this.#ready.add(name);
    if (this.#ready.size === this.#places.length) this.#sayHowToUse();
  }

  #sayHowToUse(): void {
    const endpoints = this.#places.map(({ clientUrl }) => clientUrl.replace('http://', ''));
    const pids = [...this.#running].map(([name, { pid }]) => `${name} ${pid}`);
    const lines = [
      `${this.#places.length} members serve; ctrl-C stops them. Data: ${this.#settings.dataDir}`,
      `processes: ${pids.join(', ')}`,
      `etcdctl --endpoints=${endpoints.join(',')} member list`,
      `node ${TOOL} --endpoints=${endpoints.join(',')} endpoint status -w table`,
    ];
    for (const line of lines) this.#say('', line);
  }

  #onEnd(name: string, code: number | null, signal: NodeJS.Signals | null): void {
    this.#running.delete(name);
    this.#say(name, `ended with ${code ?? signal}`);
    // Servers end by the signal that they were stopped with.
    const isOrderly = code === 0 || signal === 'SIGTERM';
    if (this.#stopSinceMs === undefined || !isOrderly) this.#hasFailed = true;
    if (this.#running.size === 0) process.exit(this.#hasFailed ? 1 : 0);
    if (this.#stopSinceMs !== undefined) this.#stopNext();
  }

  /** Asks all to end; asked again, it does not ask. */
  stop(): void {
    const nowMs = performance.now();
    if (this.#stopSinceMs === undefined) {
      this.#stopSinceMs = nowMs;
      this.#say('', 'stopping');
      this.#stopNext();
    } else if (nowMs - this.#stopSinceMs > SAME_SIGNAL_MS) this.#killAll();
  }

  /** One after the other: a leader that stops hands over to another, who must still be there. */
  #stopNext(): void {
    const [child] = this.#running.values();
    if (child === undefined) return;
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX).unref();
  }

  #killAll(): void {
    for (const child of this.#running.values()) child.kill('SIGKILL');
  }
}

new Cluster(parse(process.argv.slice(2))).start();
// The runner ends with the module: the processes go on.
await new Promise(() => {});
