// One member process, real etcd or ours, on free loopback ports and a directory of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Found, REPOSITORY, type RealEtcd, systemProgram } from './real-etcd.ts';

/** A server program: how to start it and which release's rules it follows. */
export interface Program {
  /** For test names and messages, for example `tetcd` or `etcd 3.5.16`. */
  readonly name: string;
  readonly release: '3.4' | '3.5' | '3.7';
  readonly command: readonly string[];
}

export function realProgram(real: RealEtcd): Program {
  return { name: `etcd ${real.version}`, release: real.release, command: [real.etcd] };
}

const TETCD_MAIN = join(REPOSITORY, 'dist', 'cli', 'tetcd.js');

/**
 * Our server as `npm run build` left it. TETCD_TEST_SERVER names another program that follows the
 * same rules, to try the tests themselves.
 */
export function serverUnderTest(): Found<Program> {
  const other = process.env['TETCD_TEST_SERVER'];
  if (other) return { value: { name: other, release: '3.7', command: [other] } };
  if (!existsSync(TETCD_MAIN)) return { missing: 'dist/cli/tetcd.js: run npm run build' };
  return { value: { name: 'tetcd', release: '3.7', command: [process.execPath, TETCD_MAIN] } };
}

export interface MemberOptions {
  /** Data directory to use and to leave in place; default: a fresh one, removed by `dispose`. */
  readonly directory?: string;
  /** Added after the usual flags. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Program and arguments put before the server's own, as `taskset -c 0`. */
  readonly prefix?: readonly string[];
  readonly name?: string;
  readonly startTimeoutMs?: number;
}

interface Ports {
  readonly client: number;
  readonly peer: number;
}

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const LOG_LINES_MAX = 20_000;
// etcd 3.4 logs only the second text.
const READY = /ready to serve client requests|serving client traffic (?:in)?securely/;
const PORT_TAKEN = /address already in use|EADDRINUSE/;
const PORT_ATTEMPTS = 5;

// Below the range from which systems choose by themselves, so that no client connection takes one
// between our look and the server's start.
const PORT_FIRST = 20_000;
const PORT_COUNT = 12_000;

function portIsFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** A loopback port on which nobody listens now. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = PORT_FIRST + Math.floor(Math.random() * PORT_COUNT);
    if (await portIsFree(port)) return port;
  }
  throw new Error('no free loopback port found');
}

// The system ends the servers when the test process dies by a signal; the handler when it exits.
const setpriv = systemProgram('setpriv');
const DIE_WITH_PARENT =
  process.platform === 'linux' && setpriv.missing === undefined
    ? [setpriv.value, '--pdeathsig', 'KILL']
    : [];
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A fresh directory for a test, under the system's temporary one. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'tetcd-test-'));
}

export class Member {
  readonly directory: string;
  readonly name: string;
  #program: Program;
  #options: MemberOptions;
  #ports: Ports;
  #child: ChildProcess | undefined;
  #lines: string[] = [];
  readonly #ownsDirectory: boolean;

  private constructor(program: Program, options: MemberOptions, ports: Ports) {
    this.#program = program;
    this.#options = options;
    this.#ports = ports;
    this.#ownsDirectory = options.directory === undefined;
    this.directory = options.directory ?? join(temporaryDirectory(), 'data');
    this.name = options.name ?? 'm1';
  }

  /** Starts a member; resolves when it has logged that it serves clients. */
  static async start(program: Program, options: MemberOptions = {}): Promise<Member> {
    for (let attempt = 1; ; attempt++) {
      const ports = { client: await freePort(), peer: await freePort() };
      const member = new Member(program, options, ports);
      try {
        await member.#launch();
        return member;
      } catch (error) {
        const retry = attempt < PORT_ATTEMPTS && PORT_TAKEN.test(member.log());
        await member.dispose();
        if (!retry) throw error;
      }
    }
  }

  get program(): Program {
    return this.#program;
  }

  /** `host:port` of the client side. */
  get endpoint(): string {
    return `127.0.0.1:${this.#ports.client}`;
  }

  get port(): number {
    return this.#ports.client;
  }

  get peerUrl(): string {
    return `http://127.0.0.1:${this.#ports.peer}`;
  }

  /** Process id while it runs. */
  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.#program.name} is not running`);
    return pid;
  }

  /** Everything logged since the last start (the newest lines, if very many). */
  log(): string {
    return this.#lines.join('\n');
  }

  /** SIGTERM; resolves with the exit code. A member that hangs is killed and the call rejects. */
  async stop(): Promise<number> {
    return this.#end('SIGTERM');
  }

  /** kill -9; resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Starts again on the same directory and ports, after `stop` or `kill`. */
  async restart(
    change: { readonly program?: Program; readonly flags?: readonly string[] } = {},
  ): Promise<void> {
    if (this.#child !== undefined) throw new Error('restart of a running member');
    if (change.program !== undefined) this.#program = change.program;
    if (change.flags !== undefined) this.#options = { ...this.#options, flags: change.flags };
    await this.#launch();
  }

  /** Starts again and kills it at the given line of its log, or when it is ready if that is before. */
  async restartAndKillAtLine(line: number): Promise<void> {
    if (this.#child !== undefined) throw new Error('restart of a running member');
    await this.#launch(line).catch(() => {});
    if (this.#child !== undefined) await this.kill();
  }

  /** Ends the process and removes the directory, unless it was given. Safe to call twice. */
  async dispose(): Promise<void> {
    if (this.#child !== undefined) await this.#end('SIGKILL');
    if (this.#ownsDirectory) {
      rmSync(join(this.directory, '..'), { recursive: true, force: true, maxRetries: 3 });
    }
  }

  #arguments(): string[] {
    const client = `http://${this.endpoint}`;
    return [
      `--name=${this.name}`,
      `--data-dir=${this.directory}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${this.peerUrl}`,
      `--initial-advertise-peer-urls=${this.peerUrl}`,
      `--initial-cluster=${this.name}=${this.peerUrl}`,
      ...(this.#program.release === '3.4' ? ['--logger=zap'] : []),
      ...(this.#options.flags ?? []),
    ];
  }

  async #launch(killAtLine = 0): Promise<void> {
    const command = [
      ...DIE_WITH_PARENT,
      ...(this.#options.prefix ?? []),
      ...this.#program.command,
      ...this.#arguments(),
    ];
    this.#lines = [];
    const child = spawn(command[0]!, command.slice(1), {
      env: { ...process.env, ...this.#options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    const timeoutMs = this.#options.startTimeoutMs ?? START_TIMEOUT_MS;
    await new Promise<void>((resolve, reject) => {
      const refuse = (why: string): void => {
        clearTimeout(timer);
        reject(new Error(`${this.#program.name} ${why}:\n${this.#lines.slice(-20).join('\n')}`));
      };
      const timer = setTimeout(() => refuse(`is not ready after ${timeoutMs} ms`), timeoutMs);
      child.once('error', (error) => refuse(`does not start (${error.message})`));
      child.once('close', (code, signal) => {
        if (this.#child === child) this.#child = undefined;
        refuse(`ended with ${code ?? signal}`);
      });
      const noteLine = (line: string): void => {
        this.#lines.push(line);
        if (this.#lines.length > LOG_LINES_MAX) this.#lines.splice(0, LOG_LINES_MAX / 2);
        if (this.#lines.length === killAtLine) child.kill('SIGKILL');
        if (READY.test(line)) {
          clearTimeout(timer);
          resolve();
        }
      };
      eachLine(child.stdout, noteLine);
      eachLine(child.stderr, noteLine);
    });
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    const child = this.#child;
    if (child === undefined) throw new Error(`${this.#program.name} is not running`);
    const closed = once(child, 'close');
    child.kill(signal);
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      child.kill('SIGKILL');
    }, STOP_TIMEOUT_MS);
    await closed;
    clearTimeout(timer);
    this.#child = undefined;
    if (hung) throw new Error(`${this.#program.name} did not stop within ${STOP_TIMEOUT_MS} ms`);
    return child.exitCode ?? -1;
  }
}

function eachLine(stream: NodeJS.ReadableStream | null, note: (line: string) => void): void {
  if (stream === null) return;
  stream.setEncoding('utf8');
  let rest = '';
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) note(line);
  });
  stream.on('end', () => {
    if (rest !== '') note(rest);
  });
}
