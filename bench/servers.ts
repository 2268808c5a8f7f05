// The servers that are measured, the directories they start from, and the loader's process.

import {
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Member, type PortFiles, type Program } from '../test/helpers/member.ts';
import { REPOSITORY, systemProgram } from '../test/helpers/real-etcd.ts';
import { run } from '../test/helpers/run.ts';
import type { Job, JobResult } from './loader/main.ts';
import { cpuMicroseconds } from './loader/process-stats.ts';
import { VALUE_BYTES } from './loader/workloads.ts';

/** The server has one core, the loader another; not bound where that cannot be. */
const canBind = systemProgram('taskset').missing === undefined && availableParallelism() > 1;
let binds = canBind;
export const bindTo = (core: number): string[] => (binds ? ['taskset', '-c', String(core)] : []);
/** From now on every process may use all cores. */
export function leaveUnbound(): void {
  binds = false;
}
export const SERVER_CORE = 0;
const LOADER_CORE = 1;

/** A million keys and their changes must fit. Snapshots as by default. */
export const FLAGS: readonly string[] = ['--quota-backend-bytes=8589934592'];
const LOADER_TIMEOUT_MS = 600_000;

export interface Observation {
  readonly gcCount: number;
  readonly gcTotalMs: number;
  readonly gcMaxMs: number;
  readonly turnMaxMs: number | null;
}

/** One server process, bound to its core, with what its own runtime can tell about it. */
export class MeasuredServer {
  readonly member: Member;
  readonly startedInSeconds: number;
  readonly #observations: string | undefined;
  #seen = 0;

  private constructor(member: Member, startedInSeconds: number, observations?: string) {
    this.member = member;
    this.startedInSeconds = startedInSeconds;
    this.#observations = observations;
  }

  /**
   * `observed: false`: {@link observe} is not called. Then a process of Node.js starts as any other: what
   * observes it takes 5 ms of a start.
   */
  static async start(
    program: Program,
    directory: string,
    options: {
      readonly turns?: boolean;
      readonly tls?: PortFiles | undefined;
      readonly observed?: boolean;
    } = {},
  ): Promise<MeasuredServer> {
    const isNode = program.command[0] === process.execPath;
    const isObserved = isNode && options.observed !== false;
    const observations = isObserved ? `${directory}.observed` : undefined;
    if (observations !== undefined) rmSync(observations, { force: true });
    const command = isObserved
      ? [
          process.execPath,
          `--import=${join(REPOSITORY, 'bench', 'observe.mjs')}`,
          ...program.command.slice(1),
        ]
      : program.command;
    const startedAt = performance.now();
    const member = await Member.start(
      { ...program, command },
      {
        directory,
        flags: FLAGS,
        tls: options.tls,
        prefix: bindTo(SERVER_CORE),
        startTimeoutMs: 300_000,
        env: {
          ...(observations === undefined ? {} : { BENCH_OBSERVE_FILE: observations }),
          ...(options.turns ? { BENCH_OBSERVE_TURNS: '1' } : {}),
        },
      },
    );
    const seconds = (performance.now() - startedAt) / 1000;
    return new MeasuredServer(member, seconds, observations);
  }

  get pid(): number {
    return this.member.pid;
  }

  get endpoint(): string {
    return this.member.endpoint;
  }

  /** CPU time used so far. */
  cpuSeconds(): number {
    return cpuMicroseconds(this.pid) / 1e6;
  }

  /** What the process noticed since the last call; undefined for other runtimes. */
  async observe(): Promise<Observation | undefined> {
    const file = this.#observations;
    if (file === undefined) return undefined;
    process.kill(this.pid, 'SIGUSR2');
    this.#seen++;
    for (let attempt = 0; attempt < 1000; attempt++) {
      if (existsSync(file)) {
        const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
        if (lines.length >= this.#seen) return JSON.parse(lines.at(-1)!) as Observation;
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return undefined;
  }

  async stop(): Promise<void> {
    await this.member.stop().catch(() => {});
    await this.member.dispose();
  }
}

/** Runs one job in a process of its own, bound to the other core. */
export async function load<K extends Job['kind']>(
  job: Extract<Job, { kind: K }>,
): Promise<Extract<JobResult, { kind: K }>> {
  const command = [
    ...bindTo(LOADER_CORE),
    process.execPath,
    join(REPOSITORY, 'scripts', 'run-ts.mjs'),
    join(REPOSITORY, 'bench', 'loader', 'main.ts'),
    JSON.stringify(job),
  ];
  const { code, stdout, stderr } = await run(command, {
    timeoutMs: LOADER_TIMEOUT_MS,
    cwd: REPOSITORY,
  });
  if (code !== 0) throw new Error(`the loader failed (${job.kind}): ${stderr.slice(-2000)}`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Extract<JobResult, { kind: K }>;
}

/** Runs etcd's load generator, bound to the same core, and returns what it prints. */
export async function runLoader(command: readonly string[]): Promise<string> {
  const bound = [...bindTo(LOADER_CORE), ...command];
  const { code, stdout, stderr } = await run(bound, { timeoutMs: LOADER_TIMEOUT_MS });
  if (code !== 0) throw new Error(`${command.join(' ')} failed: ${stderr.slice(-2000)}`);
  return stdout;
}

/** Data directories per server and size, filled once and copied for each use that writes. */
export class PreparedDirectories {
  readonly #root: string;
  #copies = 0;

  constructor(root: string) {
    this.#root = root;
    mkdirSync(root, { recursive: true });
  }

  /** A directory of `program`'s making with so many keys, changed so often; values of 256 B by default. */
  async get(
    program: Program,
    keys: number,
    changes: number,
    valueBytes = VALUE_BYTES,
  ): Promise<string> {
    const size = valueBytes === VALUE_BYTES ? '' : `-${valueBytes}`;
    const name = `${program.name}-${keys}-${changes}${size}`.replace(/[^\w.-]+/g, '-');
    const directory = join(this.#root, name);
    const mark = `${directory}.ready`;
    if (existsSync(mark)) return directory;
    rmSync(directory, { recursive: true, force: true });
    const server = await MeasuredServer.start(program, directory);
    try {
      await load({ kind: 'fill', endpoint: server.endpoint, keys, changes, valueBytes });
    } finally {
      await server.stop();
    }
    writeFileSync(mark, '');
    return directory;
  }

  /** A copy that the caller may change and removes with `remove`. */
  copy(directory: string): string {
    const target = this.newPath();
    cpSync(directory, target, { recursive: true, mode: constants.COPYFILE_FICLONE });
    return target;
  }

  /** A path where nothing is, for the caller to use and to remove. */
  newPath(): string {
    const path = join(this.#root, `copy-${this.#copies++}`);
    rmSync(path, { recursive: true, force: true });
    return path;
  }

  remove(directory: string): void {
    rmSync(directory, { recursive: true, force: true });
    rmSync(`${directory}.observed`, { force: true });
  }
}
