// The simulated cluster: machines, their members, the clients' machine, and what is observed of all
// of them while it runs.

import { hasCode, InvariantError } from '../src/base/index.ts';
import { Client, EtcdError } from '../src/client/index.ts';
import { type SimEnv, SimWorld } from '../src/env/sim/index.ts';
import { formatStoredVersion } from '../src/membership/index.ts';
import type { raftpb } from '../src/protocol/index.ts';
import type { ServerConfig } from '../src/server/config/index.ts';
import type { StateMachine } from '../src/store/index.ts';
import { AuthStates, requestIn } from './check/auth-states.ts';
import { type ChangeLog, type MergedLogs, mergeChangeLogs } from './check/change-log.ts';
import type { Violation } from './check/history.ts';
import { changeLogOfMember } from './check/member-rows.ts';
import { RaftSafety } from './check/raft-safety.ts';
import { Recorder } from './check/recorder.ts';
import { type VersionState, VersionStates } from './check/version-states.ts';
import { CLIENT_PORT, type Death, peerUrlOf, SimNode } from './node.ts';
import { observeWorld } from './observe.ts';

export interface ClusterOptions {
  readonly seed: number;
  readonly size: number;
  readonly settings: Partial<ServerConfig>;
  readonly walSegmentSize: number;
  /** The operator makes its calls as this user. */
  readonly operator?: { readonly user: string; readonly password: string } | undefined;
  /** Compactions are the cluster's own, and become part of the history. */
  readonly recordsCompactions?: boolean;
  /** What happens, as lines with the time. */
  readonly log: (line: string) => void;
}

const EXPECTED_DEATHS = ['DISK_FAILED', 'DISK_FULL', 'CORRUPT'] as const;
type ExpectedDeath = (typeof EXPECTED_DEATHS)[number];
/** A failing disk is noticed at the next write. */
const EXPECTED_MS = 30_000;
const CALL_TIMEOUT_MS = 5_000;
const MERGE_AT = 8;
/** Of what members log, what shows that a run has reached what it is for. */
const COUNTED: readonly string[] = [
  'applied snapshot',
  'became leader',
  'failed to defragment',
  'finished defragmenting directory',
  'finished scheduled compaction',
  'repaired a torn log',
  'saved snapshot to disk',
  'set a broken snapshot file aside',
];

export class SimCluster {
  readonly world: SimWorld;
  readonly recorder: Recorder;
  readonly safety: RaftSafety = new RaftSafety();
  /** Users and roles, as they follow from the log. */
  readonly authStates: AuthStates = new AuthStates();
  /** The cluster version and the downgrade, as they follow from the log. */
  readonly versions: VersionStates = new VersionStates();
  readonly violations: Violation[] = [];
  /** How often what has happened: faults, and what members log of it. */
  readonly events = new Map<string, number>();
  /** Machines that are, or were, part of the cluster. */
  readonly nodes: SimNode[] = [];
  readonly #options: ClusterOptions;
  readonly #clientEnv: SimEnv;
  readonly #expected: { node: SimNode; code: ExpectedDeath; untilMs: number }[] = [];
  #changeLogs: ChangeLog[] = [];
  #conflicts: string[] = [];
  #names = 0;
  #newestApplied = 0;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.world = new SimWorld({ seed: options.seed, autoRun: false });
    this.#clientEnv = this.world.machine('client');
    this.recorder = new Recorder(this.clock);
    observeWorld(this.world, {
      onRaft: (observation) => this.safety.observe(observation),
      onApply: (member, machine, entry) => this.#onApply(member, machine, entry),
    });
    const names = Array.from({ length: options.size }, (_, i) => `m${i + 1}`);
    for (let i = 0; i < options.size; i++) this.newNode('new', names);
  }

  // --- Time and log ------------------------------------------------------------------------------

  /** Of the world: no member's clock. */
  get clock() {
    return this.#clientEnv.clock;
  }

  get timers() {
    return this.#clientEnv.timers;
  }

  get nowMs(): number {
    return this.world.scheduler.nowMs;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.timers.after(ms, resolve));
  }

  /** Whether it came true in time. */
  async until(holds: () => boolean, timeoutMs: number, stepMs = 20): Promise<boolean> {
    const endMs = this.nowMs + timeoutMs;
    while (!holds()) {
      if (this.nowMs >= endMs) return false;
      await this.sleep(stepMs);
    }
    return true;
  }

  log(text: string): void {
    this.#options.log(`${(this.nowMs / 1000).toFixed(3).padStart(9)} ${text}`);
  }

  wrong(rule: string, text: string): void {
    this.violations.push({ rule, text: `at ${Math.round(this.nowMs)} ms: ${text}` });
    this.log(`VIOLATION ${rule}: ${text}`);
  }

  // --- Nodes -------------------------------------------------------------------------------------

  /** A machine of its own name; without `names`, it joins those that are there. */
  newNode(state: 'new' | 'existing', names?: readonly string[]): SimNode {
    const name = `m${++this.#names}`;
    const node = new SimNode(
      {
        name,
        world: this.world,
        settings: this.#options.settings,
        walSegmentSize: this.#options.walSegmentSize,
        onLog: (from, line) => this.#onLog(from, line),
        onStarting: ({ name: from }) => this.authStates.began(from, this.recorder.moment().order),
        onStarted: (from) => this.log(`${from.name} serves`),
        onDeath: (from, death) => this.#onDeath(from, death),
      },
      { state, names: names ?? [name] },
    );
    this.nodes.push(node);
    return node;
  }

  get running(): SimNode[] {
    return this.nodes.filter((node) => node.member !== undefined && !node.paused);
  }

  get leader(): SimNode | undefined {
    // Of several who believe it, the newest is right.
    const leaders = this.running.filter((node) => node.leads);
    return leaders.sort((a, b) => b.member!.parts.raft.term - a.member!.parts.raft.term)[0];
  }

  /** Deaths of this node with one of these codes are a fault's doing, for some time. */
  expectDeath(node: SimNode, ...codes: readonly ExpectedDeath[]): void {
    for (const code of codes)
      this.#expected.push({ node, code, untilMs: this.nowMs + EXPECTED_MS });
  }

  #onDeath(node: SimNode, { error }: Death): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const expected = this.#expected.some(
      (each) => each.node === node && each.untilMs >= this.nowMs && hasCode(error, each.code),
    );
    if (expected) {
      this.log(`${node.name} died as expected: ${text.split('\n')[0]}`);
      return;
    }
    const rule = error instanceof InvariantError ? 'invariant' : 'no member dies by itself';
    this.wrong(rule, `${node.name}: ${text}\n${node.log.slice(-10).join('\n')}`);
  }

  count(event: string, times = 1): void {
    this.events.set(event, (this.events.get(event) ?? 0) + times);
  }

  #onApply(member: string, machine: StateMachine, entry: raftpb.Entry): void {
    if (entry.index > this.#newestApplied) {
      this.#newestApplied = entry.index;
      if (this.#options.recordsCompactions === true) this.#recordCompaction(machine, entry);
    }
    const moment = this.recorder.moment();
    this.#compareVersions(member, machine, this.versions.applies(entry, moment));
    const known = this.authStates.applies(member, entry, moment.order);
    const { enabled, revision } = machine.auth.state;
    if (revision === known.revision && enabled === known.enabled) return;
    const text = `${member} is at auth revision ${revision} (${enabled}), the log at ${known.revision}`;
    this.wrong('same auth state', `before entry ${entry.index} ${text} (${known.enabled})`);
  }

  /** Before an entry that the member begins to apply. */
  #compareVersions(member: string, { cluster }: StateMachine, known: VersionState): void {
    const { version, downgrade } = cluster;
    const text = version === undefined ? '' : formatStoredVersion(version);
    if (text === known.version && downgrade.targetVersion === known.target) return;
    const own = `"${text}" and goes down to "${downgrade.targetVersion}"`;
    const ofLog = `"${known.version}" and "${known.target}" since entry ${known.index}`;
    this.wrong('same cluster version', `${member} is at ${own}, the log at ${ofLog}`);
  }

  /** One of the cluster's own, which no client has asked for: it takes effect from here on. */
  #recordCompaction(machine: StateMachine, entry: raftpb.Entry): void {
    const { kv } = machine;
    const revision = requestIn(entry)?.compaction?.revision ?? 0;
    if (revision <= Math.max(0, kv.compactedRev) || revision > kv.currentRev) return;
    this.count('(automatic compaction)');
    this.#saveRowsOf(machine);
    const [called, returned] = [this.recorder.moment(), this.recorder.moment()];
    this.recorder.note({
      client: 'cluster',
      request: { kind: 'compact', revision },
      ...{ called, returned },
      outcome: {
        ...{ kind: 'ok', revision: kv.currentRev, member: '', term: entry.term },
        result: { kind: 'empty' },
      },
    });
  }

  #onLog(node: SimNode, line: string): void {
    for (const text of COUNTED) if (line.includes(text)) this.count(`(${text})`);
    const [, term] = /became leader at term (\d+)/.exec(line) ?? [];
    if (term === undefined) return;
    this.log(`${node.name} leads in term ${term}`);
    this.safety.observe({ kind: 'leader', member: node.name, term: Number(term) });
  }

  // --- Clients -----------------------------------------------------------------------------------

  get runtime() {
    const { clock, timers, entropy, network } = this.#clientEnv;
    return {
      clock,
      timers,
      entropy,
      connect: (endpoint: { readonly host: string; readonly port: number }, timeoutMs: number) =>
        network.connect(endpoint, timeoutMs),
    };
  }

  endpoints(nodes: readonly SimNode[] = this.nodes) {
    return nodes.map(({ name }) => ({ host: name, port: CLIENT_PORT }));
  }

  /** As the operator unless `auth` names another user, or nobody. */
  client(
    nodes: readonly SimNode[] = this.nodes,
    auth: ClusterOptions['operator'] | null = this.#options.operator,
  ): Client {
    const endpoints = nodes.map(({ name }) => `${name}:${CLIENT_PORT}`);
    const { runtime } = this;
    const limits = { timeoutMs: CALL_TIMEOUT_MS, connectTimeoutMs: 1000 };
    return new Client({ endpoints, runtime, auth: auth ?? undefined, ...limits });
  }

  /** One call of an operator; undefined if it failed, which is logged. */
  async call<T>(
    what: string,
    work: (client: Client) => Promise<T>,
    nodes: readonly SimNode[] = this.running,
  ): Promise<T | undefined> {
    if (nodes.length === 0) return undefined;
    const client = this.client(nodes);
    try {
      return await work(client);
    } catch (error) {
      const text = error instanceof EtcdError ? error.code : String(error);
      this.log(`${what}: ${text}`);
      return undefined;
    } finally {
      client.close();
    }
  }

  // --- What happened to the keys -----------------------------------------------------------------

  /** Remembers the rows of a member, as long as it has them. */
  saveRows(node: SimNode): void {
    const { member } = node;
    if (member !== undefined) this.#saveRowsOf(member.parts.store.machine);
  }

  #saveRowsOf(machine: StateMachine): void {
    this.#changeLogs.push(changeLogOfMember(machine));
    if (this.#changeLogs.length >= MERGE_AT) this.#changeLogs = [this.#merge().log];
  }

  /** Before a compaction: false if no client has seen everything up to its revision. */
  saveBeforeCompaction(revision: number): boolean {
    const node = this.running.find(({ member }) => {
      const { kv } = member!.parts.store.machine;
      return kv.currentRev >= revision && kv.compactedRev < revision;
    });
    if (node === undefined) return false;
    this.saveRows(node);
    return true;
  }

  #merge(): MergedLogs {
    const merged = mergeChangeLogs(this.#changeLogs);
    this.#conflicts.push(...merged.conflicts);
    return merged;
  }

  /** Everything that is known of the keys, after the rows of all members were compared. */
  changeLog(): ChangeLog {
    for (const node of this.running) this.saveRows(node);
    const { log } = this.#merge();
    this.#changeLogs = [log];
    for (const text of this.#conflicts.splice(0)) this.wrong('same history', text);
    return log;
  }

  // --- Membership --------------------------------------------------------------------------------

  /** Names of the members as of a list that one of them gave. */
  async memberNames(): Promise<readonly string[] | undefined> {
    const list = await this.call('member list', (client) => client.cluster.memberList());
    return list?.members.map(({ peerURLs }) => nameOfPeerUrl(peerURLs[0] ?? ''));
  }

  async memberId(node: SimNode): Promise<bigint | undefined> {
    const list = await this.call('member list', (client) => client.cluster.memberList());
    return list?.members.find((each) => each.peerURLs[0] === peerUrlOf(node.name))?.id;
  }
}

function nameOfPeerUrl(url: string): string {
  return new URL(url).hostname;
}
