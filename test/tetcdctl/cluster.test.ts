// tetcdctl beside real etcdctls on clusters of three members: what is printed of and done to members.

import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '../../src/client/index.ts';
import { Cluster } from '../cluster/cluster.ts';
import type { ClusterMember, Server } from '../cluster/cluster-member.ts';
import { until } from '../cluster/until.ts';
import { type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, type Found, need, type RealEtcd } from '../helpers/real-etcd.ts';
import type { RunResult } from '../helpers/run.ts';
import { freePort } from '../helpers/server-process.ts';
import { inOrder, readableProtobuf } from './cluster-normal-form.ts';
import { CLUSTER_STEPS, type ClusterStep } from './cluster-steps.ts';
import { type Known, normalForm } from './normal-form.ts';
import type { Like } from './steps.ts';
import { ours, realPrograms, type Tool, theirs } from './tools.ts';

const TEST_TIMEOUT_MS = 300_000;
const CALL_TIMEOUT_MS = 10_000;

/** One program on one cluster, with what it has learned of it. */
class Side {
  readonly #cluster: Cluster;
  readonly #server: Server;
  readonly #tool: Tool;
  readonly #client: Client;
  /** Where nobody listens. */
  readonly #deadPort: number;
  /**
   * Of the next member that is added. Another one after each: within a second, the same URL makes the
   * same id, and an id that was removed does not come back.
   */
  #freePort: number;
  #learner: ClusterMember | undefined;
  #clusterId = 0n;
  /** By name: `m1` to `m3`, then whoever was added. */
  readonly #ids = new Map<string, bigint>();
  #added = 3;

  private constructor(
    cluster: Cluster,
    tool: Tool,
    ports: { readonly dead: number; readonly free: number },
  ) {
    this.#cluster = cluster;
    this.#server = cluster.members[0]!.server;
    this.#tool = tool;
    // That which was asked for changes: 3.4 answers a member list from what the member knows.
    const { endpoint } = cluster.member('m1');
    this.#client = new Client({ endpoints: endpoint, timeoutMs: CALL_TIMEOUT_MS });
    this.#deadPort = ports.dead;
    this.#freePort = ports.free;
  }

  static async start(program: Program, tool: Tool): Promise<Side> {
    const server = { program };
    const cluster = await Cluster.start({
      servers: [server, server, server],
      // Members are added and removed at once, not five seconds after the start.
      flags: ['--strict-reconfig-check=false'],
    });
    const ports = { dead: await freePort(), free: await freePort() };
    const side = new Side(cluster, tool, ports);
    await side.#lead();
    return side;
  }

  async dispose(): Promise<void> {
    this.#client.close();
    await this.#cluster.dispose();
  }

  async take(step: ClusterStep): Promise<RunResult> {
    if (step.first === 'lead') await this.#lead();
    if (step.first === 'learner') await this.#startLearner();
    const args = step.args.map((word) => this.#filledIn(word));
    const hasEndpoints = args.some((word) => word.startsWith('--endpoints'));
    const endpoint = this.#cluster.members[0]!.endpoint;
    const result = await this.#tool(hasEndpoints ? args : [`--endpoints=${endpoint}`, ...args], {});
    await this.#learn();
    const { code, stdout, stderr } = normalForm(readableProtobuf(args, result), this.#known());
    if (step.args[1] === 'remove') await this.#forgetNewest();
    return { code, stdout: inOrder(stdout), stderr: inOrder(stderr) };
  }

  #filledIn(word: string): string {
    const voters = this.#cluster.members.slice(0, 3);
    const id = (name: string): string => (this.#ids.get(name) ?? 0n).toString(16);
    return word
      .replaceAll('{all}', voters.map(({ endpoint }) => endpoint).join(','))
      .replaceAll('{dead}', `127.0.0.1:${this.#deadPort}`)
      .replaceAll('{free}', `http://127.0.0.1:${this.#freePort}`)
      .replaceAll('{new}', id(`m${this.#added}`))
      .replaceAll('{m4}', this.#learner?.endpoint ?? '')
      .replace(/\{m(\d)\}/g, (_all, n: string) => voters[Number(n) - 1]!.endpoint)
      .replace(/\{peer(\d)\}/g, (_all, n: string) => voters[Number(n) - 1]!.peerUrl)
      .replace(/\{id(\d)\}/g, (_all, n: string) => id(`m${n}`));
  }

  #known(): Known {
    const portOf = (place: string): number => Number(/:(\d+)$/.exec(place)![1]);
    return {
      ids: [['cluster', this.#clusterId], ...this.#ids],
      ports: [
        ...this.#cluster.members.flatMap(({ name, endpoint, peerUrl }) => [
          [name, portOf(endpoint)] as const,
          [`${name} peer`, portOf(peerUrl)] as const,
        ]),
        ['dead', this.#deadPort],
        ['free', this.#freePort],
      ],
    };
  }

  /** The member that was added last is no more. */
  async #forgetNewest(): Promise<void> {
    this.#freePort = await freePort();
    await Promise.all(this.#cluster.members.splice(3).map((member) => member.dispose()));
    this.#learner = undefined;
  }

  /** Ids of members, those that were added since the last look included. */
  async #learn(): Promise<void> {
    const { header, members } = await this.#client.cluster.memberList();
    this.#clusterId = header!.clusterId;
    for (const { id, name } of members) {
      if ([...this.#ids.values()].includes(id)) continue;
      if (/^m[123]$/.test(name)) this.#ids.set(name, id);
      else this.#ids.set(`m${++this.#added}`, id);
    }
  }

  /** Makes m1 the leader. */
  async #lead(): Promise<void> {
    await this.#cluster.moveLeader(this.#cluster.member('m1'));
    await this.#learn();
  }

  /** Adds a learner, starts it, and waits until it has all that the leader has. */
  async #startLearner(): Promise<void> {
    const learner = await this.#cluster.add(this.#server, { learner: true });
    this.#learner = learner;
    await this.#learn();
    await until('a learner in sync', async () => {
      const { leader, appliedIndex } = await learner.status();
      const { raftAppliedIndex } = await this.#client.maintenance.status();
      return leader !== '0' && appliedIndex >= raftAppliedIndex ? true : undefined;
    });
  }
}

/** `server`: what tetcdctl talks to; the real one talks to its own kind. */
function compareWith(
  like: Like,
  found: Found<RealEtcd>,
  server: Found<Program> = found.missing === undefined
    ? { value: realProgram(found.value) }
    : found,
): void {
  const where = server.missing ?? server.value.name;
  describeWith(`tetcdctl on ${where} beside etcdctl ${like}`, [found, server], () => {
    let sides: readonly Side[] = [];

    beforeAll(async () => {
      const real = need(found);
      sides = await Promise.all([
        Side.start(need(server), ours),
        Side.start(realProgram(real), theirs(real.etcdctl)),
      ]);
    });

    afterAll(async () => {
      await Promise.all(sides.map((side) => side.dispose()));
    });

    test(
      'the same commands end and print the same',
      async () => {
        const differences: string[] = [];
        for (const step of CLUSTER_STEPS) {
          if (step.like !== undefined && !step.like.includes(like)) continue;
          const [own, real] = await Promise.all(sides.map((side) => side.take(step)));
          if (isDeepStrictEqual(own, real)) continue;
          const shown = [own, real].map((result) => JSON.stringify(result));
          differences.push(`${step.args.join(' ')}\n  ours   ${shown[0]}\n  theirs ${shown[1]}`);
        }
        expect(differences.join('\n')).toBe('');
      },
      TEST_TIMEOUT_MS,
    );
  });
}

describe('commands about members', () => {
  for (const [like, found] of realPrograms()) {
    compareWith(like, found);
    // Ours is of that release, and says what it says.
    if (like === '3.7') compareWith(like, found, serverUnderTest());
  }
});
