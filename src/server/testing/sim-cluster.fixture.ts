// Several members on simulated machines, for tests of what they do together.

import { bytesFromUtf8, invariant } from '../../base/index.ts';
import { type SimEnv, SimWorld } from '../../env/sim/index.ts';
import { type PeerResponse, type PeerTransport, requestPeer } from '../../peer/index.ts';
import { startMember, TestHost } from '../../peer/rig.fixture.ts';
import { parseConfig, type ServerConfig } from '../config/index.ts';
import { DATA_DIR, SimMember, simConfig } from './sim-member.fixture.ts';

export const PEER_PORT = 2380;
export const SNAP_DIR: string = `${DATA_DIR}/member/snap`;
export const WAL_DIR: string = `${DATA_DIR}/member/wal`;

const SEED = Number(process.env['CLUSTER_SEED'] ?? 1);

export function peerUrlOf(name: string): string {
  return `http://${name}:${PEER_PORT}`;
}

/** How a member begins when its directory is empty. */
export interface Beginning {
  /** All members of the cluster, this one included. */
  readonly names: readonly string[];
  readonly state?: 'new' | 'existing';
  /** Changes of the settings. */
  readonly settings?: Partial<ServerConfig>;
}

function configOf(name: string, beginning: Beginning): ServerConfig {
  const { names, state = 'new', settings } = beginning;
  const about = { release: '0', apiVersion: '0', commit: '0', platform: 'sim' };
  const flags = [
    `--name=${name}`,
    `--data-dir=${DATA_DIR}`,
    `--listen-peer-urls=http://0.0.0.0:${PEER_PORT}`,
    `--initial-advertise-peer-urls=${peerUrlOf(name)}`,
    `--listen-client-urls=http://0.0.0.0:2379`,
    `--advertise-client-urls=http://${name}:2379`,
    `--initial-cluster=${names.map((each) => `${each}=${peerUrlOf(each)}`).join(',')}`,
    `--initial-cluster-state=${state}`,
  ];
  const parsed = parseConfig(flags, {}, about as never);
  invariant(parsed.kind === 'run', 'the settings parse');
  const small = simConfig();
  return {
    ...parsed.config,
    // Small enough for every mechanism to work in a short run.
    snapshotCount: small.snapshotCount,
    snapshotCatchupEntries: small.snapshotCatchupEntries,
    backendBatchIntervalMs: small.backendBatchIntervalMs,
    backendBatchLimit: small.backendBatchLimit,
    ...settings,
  };
}

/** A machine, and the member on it while it runs. */
export class SimHost {
  readonly name: string;
  readonly log: string[] = [];
  /** What stopped members here by itself. */
  readonly fatal: unknown[] = [];
  /** It was told that it was removed, and has stopped. */
  removed = false;
  env: SimEnv;
  beginning: Beginning;
  running: SimMember | undefined = undefined;

  constructor(world: SimWorld, name: string, beginning: Beginning) {
    this.name = name;
    this.env = world.machine(name);
    this.beginning = beginning;
  }

  /** Resolves when it serves: a member of several needs others for that. */
  start(settings: Partial<ServerConfig> = {}): Promise<SimMember> {
    const started = this.#start(settings);
    // The failure of one that is not awaited is found in `fatal` or in the log.
    started.catch(() => undefined);
    return started;
  }

  async #start(settings: Partial<ServerConfig>): Promise<SimMember> {
    const { env, beginning, log, fatal } = this;
    const config = configOf(this.name, {
      ...beginning,
      settings: { ...beginning.settings, ...settings },
    });
    const member = await SimMember.start(env, config, log, fatal, () => {
      this.removed = true;
    });
    if (env === this.env) this.running = member;
    return member;
  }

  /** The member that runs. */
  get up(): SimMember {
    invariant(this.running !== undefined, 'the member runs');
    return this.running;
  }

  get leads(): boolean {
    const { member } = this.up;
    return member.parts.raft.leader === member.memberId;
  }

  /** Power loss by default. The disk is as it is found then. */
  crash(unsynced: 'random' | 'kept' | 'lost' = 'random'): void {
    this.running = undefined;
    this.env = this.env.crash({ unsynced });
    // A disk that dies under a process may have stopped it already.
    this.fatal.length = 0;
  }

  async stop(): Promise<void> {
    await this.up.stop();
    // A process that has ended holds nothing any more.
    this.crash('kept');
  }

  /** Copies of all files of a directory. */
  async filesOf(directory: string): Promise<Map<string, Uint8Array>> {
    const found = new Map<string, Uint8Array>();
    for (const name of await this.env.disk.list(directory)) {
      found.set(name, this.env.disk.contentOf(`${directory}/${name}`).slice());
    }
    return found;
  }

  /** Makes these all that is in the directory. */
  async replaceFiles(directory: string, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const { disk } = this.env;
    for (const name of await disk.list(directory)) await disk.remove(`${directory}/${name}`);
    for (const [name, bytes] of files) {
      const file = await disk.open(`${directory}/${name}`, 'create');
      await file.write([bytes], 0);
      await file.sync();
      await file.close();
    }
    await disk.syncDirectory(directory);
  }

  logged(text: string): boolean {
    return this.log.some((line) => line.includes(text));
  }
}

export class SimCluster {
  readonly world: SimWorld;
  /** A machine without a member: the asking side. */
  readonly client: SimEnv;
  readonly hosts = new Map<string, SimHost>();

  private constructor(seed: number) {
    this.world = new SimWorld({ seed, autoRun: false });
    this.client = this.world.machine('client');
  }

  /** Runs the body in simulated time. Its failure names the seed, which CLUSTER_SEED repeats. */
  static async run(body: (cluster: SimCluster) => Promise<void>, seed = SEED): Promise<void> {
    const cluster = new SimCluster(seed);
    try {
      await cluster.world.scheduler.run(() => body(cluster));
    } catch (error) {
      const logs = [...cluster.hosts.values()].flatMap(({ name, log }) =>
        log.slice(-8).map((line) => `${name}: ${line}`),
      );
      const text = error instanceof Error ? error.message : String(error);
      throw new Error(`CLUSTER_SEED=${seed}: ${text}\n${logs.join('\n')}`, { cause: error });
    } finally {
      cluster.world.scheduler.stop();
    }
  }

  get nowMs(): number {
    return this.world.scheduler.nowMs;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.client.timers.after(ms, resolve));
  }

  async until(what: string, holds: () => boolean, timeoutMs = 60_000): Promise<void> {
    const endMs = this.nowMs + timeoutMs;
    while (!holds()) {
      for (const { name, fatal } of this.hosts.values()) {
        if (fatal.length > 0) throw new Error(`${what}: ${name} died: ${fatal[0]}`);
      }
      if (this.nowMs > endMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
      await this.sleep(10);
    }
  }

  host(name: string): SimHost {
    const host = this.hosts.get(name);
    invariant(host !== undefined, 'the machine is there');
    return host;
  }

  add(name: string, beginning: Beginning): SimHost {
    const host = new SimHost(this.world, name, beginning);
    this.hosts.set(name, host);
    return host;
  }

  /** Members that found a cluster together, serving. */
  async found(names: readonly string[], settings: Partial<ServerConfig> = {}): Promise<SimHost[]> {
    const hosts = names.map((name) => this.add(name, { names, settings }));
    await Promise.all(hosts.map((host) => host.start()));
    await this.until('a leader', () => this.leaderAmong(hosts) !== undefined);
    return hosts;
  }

  leaderAmong(hosts: readonly SimHost[]): SimHost | undefined {
    const leader = hosts.find((host) => host.running !== undefined && host.leads);
    const id = leader?.up.member.memberId;
    const up = hosts.filter((host) => host.running !== undefined);
    return up.every((host) => host.up.member.parts.raft.leader === id) ? leader : undefined;
  }

  async leaderOf(hosts: readonly SimHost[]): Promise<{ leader: SimHost; followers: SimHost[] }> {
    await this.until('a leader', () => this.leaderAmong(hosts) !== undefined);
    const leader = this.leaderAmong(hosts)!;
    return { leader, followers: hosts.filter((host) => host !== leader) };
  }

  /** All have applied the same. */
  async even(hosts: readonly SimHost[]): Promise<void> {
    await this.until('the same index everywhere', () => {
      const applied = hosts.map(({ up }) => up.member.parts.store.machine.appliedIndex);
      return applied.every((index) => index === applied[0]);
    });
  }

  /** Nothing gets to or from the machine; by default of all that are there. */
  cutOff(name: string, ...from: readonly string[]): void {
    const others = [...this.hosts.keys()].filter((other) => other !== name);
    this.world.network.partition([name], from.length > 0 ? from : [...others, 'client']);
  }

  ask(
    name: string,
    method: 'GET' | 'POST',
    path: string,
    body: Uint8Array | string = '',
  ): Promise<PeerResponse> {
    return requestPeer(this.client, {
      url: peerUrlOf(name),
      method,
      path,
      timeoutMs: 20_000,
      bodyBytesMax: 1_000_000,
      ...(method === 'POST' ? { body: typeof body === 'string' ? bytesFromUtf8(body) : body } : {}),
    });
  }

  /** A machine that answers requests of members as told (by path), and takes part in nothing. */
  async fake(
    name: string,
    answer: (path: string) => Partial<PeerResponse> | undefined,
    ids: { readonly clusterId: bigint; readonly id: bigint } = { clusterId: 0n, id: 1n },
  ): Promise<FakeMember> {
    const host = new TestHost();
    const asked: string[] = [];
    host.handle = async ({ path }) => {
      asked.push(path);
      const given = answer(path) ?? { status: 404 };
      return { status: 200, headers: {}, body: new Uint8Array(0), ...given };
    };
    const env = this.world.machine(name);
    const { transport } = await startMember(env, { ...ids, host: name, testHost: host });
    return { env, asked, transport };
  }
}

export interface FakeMember {
  readonly env: SimEnv;
  /** Paths of the requests. */
  readonly asked: string[];
  readonly transport: PeerTransport;
}

export function jsonAnswer(value: unknown, clusterId = '0'): PeerResponse {
  return {
    status: 200,
    headers: { 'X-Etcd-Cluster-ID': clusterId },
    body: bytesFromUtf8(JSON.stringify(value)),
  };
}
