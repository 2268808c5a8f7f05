// One member process, real etcd or ours, on free loopback ports and a directory of its own.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Found, REPOSITORY, type RealEtcd, type Release } from './real-etcd.ts';
import { freePort, ServerProcess } from './server-process.ts';

/** A server program: how to start it and which release's rules it follows. */
export interface Program {
  /** For test names and messages, for example `tetcd` or `etcd 3.5.16`. */
  readonly name: string;
  readonly release: Release;
  readonly command: readonly string[];
}

export function realProgram(real: RealEtcd): Program {
  return { name: `etcd ${real.version}`, release: real.release, command: [real.etcd] };
}

const TETCD_MAIN = join(REPOSITORY, 'dist', 'bin', 'tetcd.js');

/**
 * Our server as `npm run build` left it. TETCD_TEST_SERVER names another program that follows the
 * same rules, to try the tests themselves.
 */
export function serverUnderTest(): Found<Program> {
  const other = process.env['TETCD_TEST_SERVER'];
  if (other) return { value: { name: other, release: '3.7', command: [other] } };
  if (!existsSync(TETCD_MAIN)) return { missing: 'dist/bin/tetcd.js: run npm run build' };
  return { value: { name: 'tetcd', release: '3.7', command: [process.execPath, TETCD_MAIN] } };
}

/** Paths of the files with which a port is served over TLS. */
export interface PortFiles {
  readonly cert: string;
  readonly key: string;
  /** With it, who connects must show a certificate of this authority. */
  readonly clientAuthority?: string;
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
  /** Clients are served over TLS. */
  readonly tls?: PortFiles | undefined;
}

interface Ports {
  readonly client: number;
  readonly peer: number;
}

const START_TIMEOUT_MS = 60_000;
/** A member that has logged it serves clients; etcd 3.4 logs only the second text. */
export const READY: RegExp =
  /ready to serve client requests|serving client traffic (?:in)?securely/;
export const PORT_TAKEN: RegExp = /address already in use|EADDRINUSE/;
const PORT_ATTEMPTS = 5;

/** A fresh directory for a test, under the system's temporary one. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'tetcd-test-'));
}

/** Of the port for clients, or with `peer-` for members. Without files none: plaintext. */
export function tlsFlags(tls: PortFiles | undefined, prefix: '' | 'peer-' = ''): string[] {
  if (tls === undefined) return [];
  const { cert, key, clientAuthority: authority } = tls;
  const own = [`--${prefix}cert-file=${cert}`, `--${prefix}key-file=${key}`];
  if (authority === undefined) return own;
  return [...own, `--${prefix}trusted-ca-file=${authority}`, `--${prefix}client-cert-auth`];
}

export class Member {
  readonly directory: string;
  readonly name: string;
  #program: Program;
  #options: MemberOptions;
  #ports: Ports;
  /** Of the last start. */
  #process: ServerProcess | undefined;
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
    const pid = this.#process?.pid;
    if (pid === undefined || !this.#isRunning) throw this.#notRunning();
    return pid;
  }

  /** Everything logged since the last start (the newest lines, if very many). */
  log(): string {
    return this.#process?.log() ?? '';
  }

  /** The first line since the last start with `pattern`, past or to come. */
  line(pattern: RegExp, timeoutMs: number = START_TIMEOUT_MS): Promise<string> {
    if (this.#process === undefined) throw this.#notRunning();
    return this.#process.line(pattern, timeoutMs);
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
    if (this.#isRunning) throw new Error('restart of a running member');
    if (change.program !== undefined) this.#program = change.program;
    if (change.flags !== undefined) this.#options = { ...this.#options, flags: change.flags };
    await this.#launch();
  }

  /** Starts again and kills it at the given line of its log, or when it is ready if that is before. */
  async restartAndKillAtLine(line: number): Promise<void> {
    if (this.#isRunning) throw new Error('restart of a running member');
    await this.#launch(line).catch(() => {});
    if (this.#isRunning) await this.kill();
  }

  /** Ends the process and removes the directory, unless it was given. Safe to call twice. */
  async dispose(): Promise<void> {
    if (this.#isRunning) await this.#end('SIGKILL');
    if (this.#ownsDirectory) {
      rmSync(join(this.directory, '..'), { recursive: true, force: true, maxRetries: 3 });
    }
  }

  /** URL of the client side. */
  get clientUrl(): string {
    return `${this.#options.tls === undefined ? 'http' : 'https'}://${this.endpoint}`;
  }

  #arguments(): string[] {
    const client = this.clientUrl;
    return [
      `--name=${this.name}`,
      `--data-dir=${this.directory}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${this.peerUrl}`,
      `--initial-advertise-peer-urls=${this.peerUrl}`,
      `--initial-cluster=${this.name}=${this.peerUrl}`,
      ...(this.#program.release === '3.4' ? ['--logger=zap'] : []),
      ...tlsFlags(this.#options.tls),
      ...(this.#options.flags ?? []),
    ];
  }

  get #isRunning(): boolean {
    return this.#process?.isRunning === true;
  }

  #notRunning(): Error {
    return new Error(`${this.#program.name} is not running`);
  }

  async #launch(killAtLine = 0): Promise<void> {
    const command = [
      ...(this.#options.prefix ?? []),
      ...this.#program.command,
      ...this.#arguments(),
    ];
    const started = new ServerProcess(this.#program.name, command, {
      env: this.#options.env,
      onLine: (_line, count) => {
        if (count === killAtLine) started.signal('SIGKILL');
      },
    });
    this.#process = started;
    await started.line(READY, this.#options.startTimeoutMs ?? START_TIMEOUT_MS);
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    if (this.#process === undefined || !this.#isRunning) throw this.#notRunning();
    return this.#process.end(signal);
  }
}
