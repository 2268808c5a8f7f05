// tetcdctl beside real etcdctls on clusters of three members: what is printed of and done to members.

import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '../../src/client/index.ts';
import { realProgram } from '../member.ts';
import { describeWith, type Found, need, type RealEtcd } from '../real-etcd.ts';
import type { RunResult } from '../run.ts';
import { inOrder, readableProtobuf } from './cluster-normal-form.ts';
import { CLUSTER_STEPS, type ClusterStep } from './cluster-steps.ts';
import { type Known, normalForm } from './normal-form.ts';
import { freePlace, type Place, peerUrlOf, RealCluster } from './real-cluster.ts';
import type { Like } from './steps.ts';
import { ours, realPrograms, type Tool, theirs } from './tools.ts';

const TEST_TIMEOUT_MS = 300_000;
const SYNC_TIMEOUT_MS = 30_000;

/** One program on one cluster, with what it has learned of it. */
class Side {
  readonly #cluster: RealCluster;
  readonly #tool: Tool;
  readonly #client: Client;
  /** Where nobody listens. */
  readonly #dead: Place;
  /**
   * That of the next member. Another one after each: within a second, the same URL makes the same id,
   * and an id that was removed does not come back.
   */
  #free: Place;
  #clusterId = 0n;
  /** By name: `m1` to `m3`, then whoever was added. */
  readonly #ids = new Map<string, bigint>();
  #added = 3;

  private constructor(cluster: RealCluster, tool: Tool, places: readonly [Place, Place]) {
    this.#cluster = cluster;
    this.#tool = tool;
    this.#client = new Client({ endpoints: cluster.endpoints, timeoutMs: 10_000 });
    [this.#dead, this.#free] = places;
  }

  static async start(real: RealEtcd, tool: Tool): Promise<Side> {
    const cluster = await RealCluster.start(realProgram(real));
    const side = new Side(cluster, tool, [await freePlace('dead'), await freePlace('m4')]);
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
    if (step.args[1] === 'remove') this.#free = await freePlace('m4');
    return { code, stdout: inOrder(stdout), stderr: inOrder(stderr) };
  }

  #filledIn(word: string): string {
    const { members } = this.#cluster;
    const id = (name: string): string => (this.#ids.get(name) ?? 0n).toString(16);
    return word
      .replaceAll(
        '{all}',
        members
          .slice(0, 3)
          .map(({ endpoint }) => endpoint)
          .join(','),
      )
      .replaceAll('{dead}', `127.0.0.1:${this.#dead.clientPort}`)
      .replaceAll('{free}', peerUrlOf(this.#free))
      .replaceAll('{new}', id(`m${this.#added}`))
      .replaceAll('{m4}', `127.0.0.1:${this.#free.clientPort}`)
      .replace(/\{m(\d)\}/g, (_all, n: string) => members[Number(n) - 1]!.endpoint)
      .replace(/\{peer(\d)\}/g, (_all, n: string) => members[Number(n) - 1]!.peerUrl)
      .replace(/\{id(\d)\}/g, (_all, n: string) => id(`m${n}`));
  }

  #known(): Known {
    const places: readonly Place[] = [...this.#cluster.members.slice(0, 3), this.#dead, this.#free];
    return {
      ids: [['cluster', this.#clusterId], ...this.#ids],
      ports: places.flatMap(({ name, clientPort, peerPort }) => [
        [name, clientPort] as const,
        [`${name} peer`, peerPort] as const,
      ]),
    };
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
    await this.#learn();
    const target = this.#ids.get('m1')!;
    for (const { endpoint } of this.#cluster.members.slice(0, 3)) {
      const client = new Client({ endpoints: endpoint, timeoutMs: 10_000 });
      const { header, leader } = await client.maintenance.status();
      if (header!.memberId === leader && leader !== target) {
        await client.maintenance.moveLeader(target);
      }
      client.close();
    }
  }

  /** Adds a learner, starts it, and waits until it has all that the leader has. */
  async #startLearner(): Promise<void> {
    await this.#client.cluster.memberAddAsLearner([peerUrlOf(this.#free)]);
    await this.#learn();
    const left = this.#cluster.members.splice(3);
    await Promise.all(left.map(({ process }) => process.dispose()));
    const { endpoint } = await this.#cluster.join(this.#free);
    const learner = new Client({ endpoints: endpoint, timeoutMs: SYNC_TIMEOUT_MS });
    const deadline = performance.now() + SYNC_TIMEOUT_MS;
    for (;;) {
      // Before it has heard of itself it answers with an error.
      const own = await learner.maintenance.status().catch(() => undefined);
      const all = await this.#client.maintenance.status();
      if ((own?.leader ?? 0n) !== 0n && own!.raftAppliedIndex >= all.raftAppliedIndex) break;
      if (performance.now() > deadline) throw new Error('the learner does not catch up');
    }
    learner.close();
  }
}

function compareWith(like: Like, found: Found<RealEtcd>): void {
  describeWith(`tetcdctl beside etcdctl ${like} on a cluster`, [found], () => {
    let sides: readonly Side[] = [];

    beforeAll(async () => {
      const real = need(found);
      sides = await Promise.all([Side.start(real, ours), Side.start(real, theirs(real.etcdctl))]);
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
  for (const [like, found] of realPrograms()) compareWith(like, found);
});
