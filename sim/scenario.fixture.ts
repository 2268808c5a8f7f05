// A simulated cluster for scenarios: what happens is written down step by step, not drawn from a seed.

import { expect } from 'vitest';
import type { Client } from '../src/client/index.ts';
import type { ServerConfig } from '../src/server/config/index.ts';
import type { WatchRequest } from './check/history.ts';
import { RawWatch } from './check/raw-watch.ts';
import { checkWatches } from './check/watch-guarantees.ts';
import { SimCluster } from './cluster.ts';
import type { SimNode } from './node.ts';

export interface ScenarioOptions {
  /** Default 3. */
  readonly size?: number;
  readonly settings?: Partial<ServerConfig>;
  /** Whose calls those of `clientOf` are. */
  readonly operator?: { readonly user: string; readonly password: string };
}

const START_MS_MAX = 10_000;

export class Scenario {
  readonly cluster: SimCluster;
  /** Who led when all had started. */
  leader!: SimNode;
  readonly #clients: Client[] = [];
  readonly #watches: RawWatch[] = [];

  constructor(cluster: SimCluster) {
    this.cluster = cluster;
  }

  get node(): SimNode {
    return this.cluster.nodes[0]!;
  }

  clientOf(...nodes: readonly SimNode[]): Client {
    const client = this.cluster.client(nodes);
    this.#clients.push(client);
    return client;
  }

  /** All keys from `a` to `z` unless `key` (and `end`) say otherwise, as this member serves them. */
  watch(node: SimNode, request: Partial<WatchRequest>): RawWatch {
    const { cluster } = this;
    const { recorder, runtime } = cluster;
    const watch = new RawWatch({
      ...{ recorder, runtime, endpoints: cluster.endpoints([node]) },
      client: `w${this.#watches.length}`,
      request: {
        ...(request.key === undefined ? { key: 'a', end: 'z' } : { key: request.key }),
        ...{ startRevision: 0, ...request },
      },
    });
    this.#watches.push(watch);
    return watch;
  }

  /** What the watch with this number was sent: `revision key`, with a minus if deleted; `=revision`. */
  seen(number: number): string[] {
    const { watches } = this.cluster.recorder.history('');
    const own = watches.filter(({ client }) => client === `w${number}`);
    return own.flatMap(({ responses }) =>
      responses.flatMap(({ revision, events }) =>
        events.length === 0
          ? [`=${revision}`]
          : events.map(({ type, kv }) => `${kv.modRevision} ${type === 'put' ? '' : '-'}${kv.key}`),
      ),
    );
  }

  /** Closes all watches, which must have seen everything by now, and holds them to etcd's promises. */
  checkWatches(): void {
    const { cluster } = this;
    const log = cluster.changeLog();
    for (const watch of this.#watches) watch.close(log.last);
    expect(checkWatches(cluster.recorder.history(''), log)).toEqual([]);
  }

  close(): void {
    for (const watch of this.#watches) watch.close(0);
    for (const client of this.#clients) client.close();
  }
}

/** Runs `body` with a cluster that serves; nothing may go wrong in it that a run of the sim reports. */
export async function runScenario(
  options: ScenarioOptions,
  body: (scenario: Scenario) => Promise<void>,
): Promise<void> {
  const { size = 3, settings = {}, operator } = options;
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const cluster = new SimCluster({
    ...{ seed: 1, size, settings, walSegmentSize: 65_536, operator, log },
  });
  const scenario = new Scenario(cluster);
  await cluster.world.scheduler.run(async () => {
    for (const node of cluster.nodes) node.start();
    const isUp = () => cluster.running.length === size && cluster.leader !== undefined;
    expect(await cluster.until(isUp, START_MS_MAX)).toBe(true);
    scenario.leader = cluster.leader!;
    await body(scenario);
    scenario.close();
  });
  const violations = [...cluster.violations, ...cluster.safety.violations];
  expect(violations, lines.join('\n')).toEqual([]);
}
