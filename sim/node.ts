// One machine of the simulated cluster and the member that runs on it, as its operator sees them:
// started, killed, paused, replaced.

import type { SimEnv, SimWorld } from '../src/env/sim/index.ts';
import type { ClusterVersion } from '../src/membership/index.ts';
import { IMMEDIATE_PASSWORDS } from '../src/server/auth/password-threads.ts';
import { parseConfig, type ServerConfig } from '../src/server/config/index.ts';
import { Member } from '../src/server/member.ts';
import { createLogger } from '../src/server/telemetry/log.ts';
import { IMMEDIATE_SIGNATURES, JWT_OPTION, writeJwtKey } from './jwt.ts';

export const CLIENT_PORT = 2379;
const PEER_PORT = 2380;
export const DATA_DIR = '/srv/data';
export const WAL_DIR: string = `${DATA_DIR}/member/wal`;
export const SNAP_DIR: string = `${DATA_DIR}/member/snap`;
const LOG_LINES_MAX = 4000;

export type NodeStatus =
  /** No process, and nothing that would start one. */
  | 'down'
  | 'starting'
  | 'running'
  /** It ended by itself: see {@link Death}. */
  | 'dead'
  /** It was removed from the cluster and has stopped. */
  | 'removed';

/** How a process ended by itself. */
export interface Death {
  readonly atMs: number;
  readonly error: unknown;
}

export interface NodeOptions {
  readonly name: string;
  readonly world: SimWorld;
  /** Changes of the settings, the same on all nodes. */
  readonly settings: Partial<ServerConfig>;
  readonly walSegmentSize: number;
  /** Each line that a member logs. */
  readonly onLog: (node: SimNode, line: string) => void;
  /** A process begins. */
  readonly onStarting: (node: SimNode) => void;
  /** It has begun to serve. */
  readonly onStarted: (node: SimNode) => void;
  readonly onDeath: (node: SimNode, death: Death) => void;
}

/** How a member finds its cluster when its data directory is empty. */
export interface Joining {
  readonly state: 'new' | 'existing';
  /** Names of all members, this one included. */
  readonly names: readonly string[];
}

export function peerUrlOf(name: string): string {
  return `http://${name}:${PEER_PORT}`;
}

export class SimNode {
  readonly name: string;
  readonly log: string[] = [];
  /** What its disk holds cannot be started from any more. */
  damaged = false;
  /** From its next start on the member runs as if it were of this release. */
  held: ClusterVersion | undefined = undefined;
  readonly #options: NodeOptions;
  #env: SimEnv;
  #member: Member | undefined = undefined;
  #status: NodeStatus = 'down';
  #paused = false;
  #joining: Joining;
  /** Counts processes: what an old one still reports is ignored. */
  #generation = 0;

  constructor(options: NodeOptions, joining: Joining) {
    this.name = options.name;
    this.#options = options;
    this.#joining = joining;
    this.#env = options.world.machine(options.name);
  }

  get env(): SimEnv {
    return this.#env;
  }

  get status(): NodeStatus {
    return this.#status;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** The member, from when it has started until it begins to stop. */
  get member(): Member | undefined {
    const isUp = this.#status === 'running' && this.#member?.isStopping === false;
    return isUp ? this.#member : undefined;
  }

  get leads(): boolean {
    const { member } = this;
    return member !== undefined && member.parts.raft.leader === member.memberId;
  }

  /** Begins to start; a member may need others to be done with it. */
  start(): void {
    if (this.#status !== 'down' && this.#status !== 'dead') return;
    this.#status = 'starting';
    this.#options.onStarting(this);
    const generation = ++this.#generation;
    const env = this.#env;
    const isCurrent = (): boolean => generation === this.#generation;
    this.#begin(env, isCurrent).then(
      (member) => {
        if (!isCurrent() || this.#status !== 'starting') return;
        this.#member = member;
        this.#status = 'running';
        this.#options.onStarted(this);
      },
      (error: unknown) => {
        if (isCurrent()) this.#die(error);
      },
    );
  }

  async #begin(env: SimEnv, isCurrent: () => boolean): Promise<Member> {
    const sink = {
      write: (line: string): void => {
        if (isCurrent()) this.#note(line.trimEnd());
      },
    };
    const config = this.#config();
    if (config.auth.token === JWT_OPTION) await writeJwtKey(env.disk);
    const member = await Member.start({
      config,
      env,
      log: createLogger({ level: 'info', format: 'console' }, sink, env.clock, this.name),
      onFatal: (error) => {
        if (isCurrent()) this.#die(error);
      },
      onRemoved: () => {
        if (isCurrent()) this.#end('removed');
      },
      heapUse: () => ({ usedBytes: 0, limitBytes: 1 }),
      passwordRunner: IMMEDIATE_PASSWORDS,
      jwtSignatures: IMMEDIATE_SIGNATURES,
      listen: false,
      walSegmentSize: this.#options.walSegmentSize,
    });
    await env.network.listen({ host: '', port: CLIENT_PORT }, (stream) =>
      member.grpc.accept(stream),
    );
    return member;
  }

  #note(line: string): void {
    if (this.log.length >= LOG_LINES_MAX) this.log.splice(0, LOG_LINES_MAX / 2);
    this.log.push(line);
    this.#options.onLog(this, line);
  }

  #die(error: unknown): void {
    this.#end('dead');
    this.#options.onDeath(this, { atMs: this.#options.world.scheduler.nowMs, error });
  }

  /** What it still held (streams, timers) goes with the process; its disk keeps what was written. */
  #end(status: NodeStatus): void {
    this.#status = status;
    this.#member = undefined;
    this.#generation++;
    this.#env = this.#env.crash({ unsynced: 'kept' });
  }

  #config(): ServerConfig {
    const { names, state } = this.#joining;
    const about = { release: '0', apiVersion: '0', commit: '0', platform: 'sim' };
    const flags = [
      `--name=${this.name}`,
      `--data-dir=${DATA_DIR}`,
      `--listen-peer-urls=http://0.0.0.0:${PEER_PORT}`,
      `--initial-advertise-peer-urls=${peerUrlOf(this.name)}`,
      `--listen-client-urls=http://0.0.0.0:${CLIENT_PORT}`,
      `--advertise-client-urls=http://${this.name}:${CLIENT_PORT}`,
      `--initial-cluster=${names.map((each) => `${each}=${peerUrlOf(each)}`).join(',')}`,
      `--initial-cluster-state=${state}`,
    ];
    const parsed = parseConfig(flags, {}, about as never);
    if (parsed.kind !== 'run') throw new Error(`the settings do not parse: ${flags.join(' ')}`);
    const held = this.held === undefined ? {} : { maxClusterVersion: this.held };
    return { ...parsed.config, ...this.#options.settings, ...held };
  }

  // --- What is done to it ------------------------------------------------------------------------

  /** Power loss, or with `kept` a kill -9. The machine has no process afterwards. */
  crash(options: { readonly seed: number; readonly unsynced: 'random' | 'kept' | 'lost' }): void {
    this.#generation++;
    this.#member = undefined;
    if (this.#status !== 'removed') this.#status = 'down';
    this.#paused = false;
    this.#env = this.#env.crash(options);
  }

  /** Ends the process in order: leadership is handed over, everything written. */
  async stop(): Promise<void> {
    const member = this.#member;
    if (this.#status !== 'running' || member === undefined) return;
    const generation = this.#generation;
    try {
      await member.stop();
    } catch (error) {
      // A disk that fails now is as bad as one that fails earlier, and as expected.
      if (generation === this.#generation) this.#die(error);
      return;
    }
    if (generation === this.#generation) this.#end('down');
  }

  /** It is no member any more, and does not start until it is wiped. */
  retire(): void {
    this.#status = 'removed';
  }

  pause(): void {
    this.#paused = true;
    this.#env.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#env.resume();
  }

  async hasData(): Promise<boolean> {
    return (await this.#env.disk.stat(WAL_DIR)) !== undefined;
  }

  /** Nothing is left on its disk; the next start joins as told. Only without a process. */
  async wipe(joining: Joining): Promise<void> {
    if (this.#status === 'starting' || this.#status === 'running') {
      throw new Error(`${this.name} runs`);
    }
    this.#joining = joining;
    await this.#env.disk.removeTree(DATA_DIR);
    this.#status = 'down';
    this.damaged = false;
  }
}
