// A cluster of real processes on loopback ports: any mixture of programs, each with a directory of
// its own, and between them, if asked for, links that can be cut and slowed.

import type { ApiClient, Message } from '../helpers/api.ts';
import { PORT_TAKEN } from '../helpers/member.ts';
import { freePort } from '../helpers/server-process.ts';
import { ClusterMember, type MemberPlace, type Membership, type Server } from './cluster-member.ts';
import { PeerLinks } from './links.ts';
import { until } from './until.ts';

export interface ClusterOptions {
  /** One for each member; they are called m1, m2 and so on. */
  readonly servers: readonly Server[];
  /** For every member, after the usual ones. */
  readonly flags?: readonly string[];
  /** Whether peers talk through `links`. */
  readonly linked?: boolean;
  readonly prefix?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const PORT_ATTEMPTS = 5;
const LEADER_TIMEOUT_MS = 30_000;
const CATCH_UP_TIMEOUT_MS = 60_000;
const CHANGE_TIMEOUT_MS = 8_000;
const CHANGES_TIMEOUT_MS = 40_000;

export interface MemberHash {
  readonly name: string;
  readonly hash: string;
  readonly compactRevision: string;
}

export class Cluster {
  /** Those that belong to it, running or not. */
  readonly members: ClusterMember[] = [];
  readonly #left: ClusterMember[] = [];
  readonly #options: ClusterOptions;
  readonly #links: PeerLinks | undefined;
  #named = 0;

  private constructor(options: ClusterOptions) {
    this.#options = options;
    this.#links = options.linked ? new PeerLinks() : undefined;
  }

  /** Resolves when every member serves clients. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    for (let attempt = 1; ; attempt++) {
      const cluster = new Cluster(options);
      try {
        for (const server of options.servers) cluster.members.push(await cluster.#place(server));
        const membership: Membership = { peers: cluster.#peers(), state: 'new' };
        await Promise.all(cluster.members.map((one) => one.start(membership, options.flags)));
        return cluster;
      } catch (error) {
        const logs = cluster.logs();
        await cluster.dispose();
        if (attempt === PORT_ATTEMPTS || !PORT_TAKEN.test(logs)) throw error;
      }
    }
  }

  get links(): PeerLinks {
    if (this.#links === undefined) throw new Error('a cluster without links');
    return this.#links;
  }

  get running(): ClusterMember[] {
    return this.members.filter((one) => one.isUp);
  }

  member(name: string): ClusterMember {
    const found = this.members.find((one) => one.name === name);
    if (found === undefined) throw new Error(`no member ${name}`);
    return found;
  }

  /** The leader that a majority of the members knows, which is itself up. */
  leader(timeoutMs: number = LEADER_TIMEOUT_MS): Promise<ClusterMember> {
    const look = async (): Promise<ClusterMember | undefined> => {
      const known = await Promise.all(
        this.running.map((one) =>
          one.status().then(
            ({ leader }) => leader,
            () => '0',
          ),
        ),
      );
      return this.running.find((one) => {
        const agreeing = known.filter((leader) => leader === one.id).length;
        return agreeing * 2 > this.members.length && known.length > 0;
      });
    };
    return until('a leader', look, timeoutMs);
  }

  /** A member that is up and does not lead. */
  async follower(): Promise<ClusterMember> {
    const leader = await this.leader();
    return this.running.find((one) => one !== leader)!;
  }

  /** Hands leadership to `target`; resolves when a majority knows it. */
  async moveLeader(target: ClusterMember): Promise<void> {
    await until(`leadership of ${target.name}`, async () => {
      const leader = await this.leader();
      if (leader === target) return true;
      await leader.client.call('Maintenance/MoveLeader', { targetID: target.id });
      return undefined;
    });
  }

  /** Adds a member and starts it; resolves when it serves clients. */
  async add(server: Server, options: { readonly learner?: boolean } = {}): Promise<ClusterMember> {
    const member = await this.announce(server, options);
    await member.start(undefined, this.#options.flags);
    return member;
  }

  /** Adds a member without starting it. */
  async announce(
    server: Server,
    options: { readonly learner?: boolean } = {},
  ): Promise<ClusterMember> {
    const member = await this.#place(server);
    const request = { peerURLs: [member.peerUrl], isLearner: options.learner === true };
    await this.#change('Cluster/MemberAdd', request, /Peer URLs already exists/);
    // With a second voter that is not started, nothing linearizable can be asked.
    const known = await this.#voter().must('Cluster/MemberList', { linearizable: false });
    const isNew = ({ peerURLs }: Message): boolean => String(peerURLs) === member.peerUrl;
    member.id = String((known['members'] as readonly Message[]).find(isNew)!['ID']);
    this.members.push(member);
    member.adopt({ peers: this.#peers(), state: 'existing' });
    return member;
  }

  /** Removes a member from the cluster, then ends its process, if it has not ended itself. */
  async remove(member: ClusterMember): Promise<void> {
    this.members.splice(this.members.indexOf(member), 1);
    this.#left.push(member);
    await this.#change('Cluster/MemberRemove', { ID: member.id }, /member not found/);
    if (member.isRunning) await member.kill();
  }

  /** A member that the others know no longer; its process has ended. */
  async forget(member: ClusterMember): Promise<void> {
    this.members.splice(this.members.indexOf(member), 1);
    this.#left.push(member);
    if (member.isRunning) await member.kill();
  }

  /** Makes a voting member of a learner; resolves when it has caught up and is one. */
  async promote(member: ClusterMember): Promise<void> {
    await this.#change('Cluster/MemberPromote', { ID: member.id }, /promote a learner member$/);
  }

  /** Every member as one of them lists it. */
  async list(from?: ClusterMember): Promise<readonly Message[]> {
    const { client } = from ?? (await this.leader());
    return (await client.must('Cluster/MemberList', { linearizable: true }))[
      'members'
    ] as readonly Message[];
  }

  /** The newest revision, by a linearizable read. */
  async revision(): Promise<number> {
    const leader = await this.leader();
    return until('a linearizable read', async () => {
      const reply = await leader.client.call('KV/Range', { key: 'none' });
      if (reply.message === undefined) return undefined;
      return Number((reply.message['header'] as Message)['revision']);
    });
  }

  /** Resolves when every running member has applied all there is now; with that revision. */
  async caughtUp(timeoutMs: number = CATCH_UP_TIMEOUT_MS): Promise<number> {
    const revision = await this.revision();
    for (const member of this.running) {
      const look = async (): Promise<true | undefined> => {
        const status = await member.status().catch(() => undefined);
        return status !== undefined && status.revision >= revision ? true : undefined;
      };
      await until(`${member.name} at revision ${revision}`, look, timeoutMs);
    }
    return revision;
  }

  /** HashKV of every running member at one revision, now that all have it. */
  async hashes(): Promise<MemberHash[]> {
    const revision = await this.caughtUp();
    return Promise.all(
      this.running.map(async ({ name, client }) => {
        const reply = await client.must('Maintenance/HashKV', { revision: String(revision) });
        const { hash, compact_revision: compactRevision } = reply;
        return { name, hash: String(hash), compactRevision: String(compactRevision) };
      }),
    );
  }

  /** Rejects with the hashes when they differ. */
  async expectEqualHashes(): Promise<void> {
    const hashes = await this.hashes();
    const kinds = new Set(hashes.map((one) => `${one.hash} ${one.compactRevision}`));
    if (kinds.size > 1) throw new Error(`HashKV differs: ${JSON.stringify(hashes)}`);
  }

  /** The ends of all logs, for a test that fails. */
  logs(): string {
    return [...this.members, ...this.#left].map((one) => one.logTails()).join('\n');
  }

  async dispose(): Promise<void> {
    for (const member of [...this.members, ...this.#left]) await member.dispose();
    await this.#links?.close();
  }

  #peers(): Membership['peers'] {
    return this.members.map((one) => [one.name, one.peerUrl] as const);
  }

  async #place(server: Server): Promise<ClusterMember> {
    const name = `m${++this.#named}`;
    const clientPort = await freePort();
    let peerPort = await freePort();
    while (peerPort === clientPort) peerPort = await freePort();
    const links = this.#links;
    const { prefix, env } = this.#options;
    const place: MemberPlace = {
      ...{ name, clientPort, peerPort },
      advertisedPort: (await links?.open(name, peerPort)) ?? peerPort,
      ...(prefix === undefined ? {} : { prefix }),
      ...(env === undefined ? {} : { env }),
      onProcess: (pid) => links?.setProcess(name, pid),
    };
    return new ClusterMember(place, server);
  }

  /**
   * A change of membership, tried again while the cluster is not ready for it. A leader that has yet
   * to apply the last change drops the next without a word: then the call runs into its time limit,
   * and whether it was carried out shows at the next attempt.
   */
  async #change(rpc: string, request: Message, isDone?: RegExp): Promise<Message> {
    let said = '';
    const look = async (): Promise<Message | undefined> => {
      const wasLost = LOST.test(said);
      const reply = await this.#voter().call(rpc, request, { timeoutMs: CHANGE_TIMEOUT_MS });
      if (reply.message !== undefined) return reply.message;
      said = `${reply.code} ${reply.details}`;
      if (wasLost && isDone?.test(said)) return {};
      if (LOST.test(said) || NOT_YET.test(said)) return undefined;
      throw new Error(`${rpc} ${JSON.stringify(request)}: ${said}`);
    };
    return until(rpc, look, CHANGES_TIMEOUT_MS).catch((error: Error) => {
      throw new Error(`${error.message}; it said ${said}`);
    });
  }

  #voter(): ApiClient {
    const { running } = this;
    if (running.length === 0) throw new Error('no member is up');
    return running[0]!.client;
  }
}

const NOT_YET = /unhealthy cluster|not enough started members|in sync with leader|no leader/;
const LOST = /request timed out|Deadline exceeded/;
