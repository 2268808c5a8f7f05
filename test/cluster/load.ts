// Writers that continue when single members fail, and know afterwards what must be there.

import { ApiClient, type Message } from '../helpers/api.ts';
import type { Cluster } from './cluster.ts';
import { pause } from './until.ts';

const ATTEMPT_TIMEOUT_MS = 5_000;
const PAUSE_MS = 4;
const PREFIX = 'load/';
const PREFIX_END = 'load0';
const WRONG_MAX = 10;

/**
 * Each writer puts one key after the other, each through the next member that is up, again until
 * it is acknowledged.
 */
export class Load {
  readonly #cluster: Cluster;
  readonly #clients = new Map<string, ApiClient>();
  /** Acknowledged writes of each writer: its keys are numbered from 0 without a gap. */
  readonly #counts: number[];
  readonly #wrong: string[] = [];
  readonly #writers: Promise<void>[];
  #stopping = false;
  #lastAt = performance.now();
  #longestGapMs = 0;

  constructor(cluster: Cluster, writers = 4) {
    this.#cluster = cluster;
    this.#counts = Array.from({ length: writers }, () => 0);
    this.#writers = this.#counts.map((_, writer) => this.#write(writer));
  }

  get acknowledged(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** The longest time in which no write was acknowledged. */
  get longestGapMs(): number {
    return this.#longestGapMs;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#writers);
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  /** Everything acknowledged that `client` does not have, and what else was seen to be wrong. */
  async missing(client: ApiClient): Promise<string[]> {
    const counts = [...this.#counts];
    const range = { key: PREFIX, range_end: PREFIX_END, keys_only: true };
    const reply = await client.must('KV/Range', range);
    const found = new Set((reply['kvs'] as readonly Message[]).map((one) => String(one['key'])));
    const missing = counts.flatMap((count, writer) =>
      Array.from({ length: count }, (_, i) => keyOf(writer, i)).filter((key) => !found.has(key)),
    );
    return [...this.#wrong, ...missing.map((key) => `${key} was acknowledged and is lost`)].slice(
      0,
      WRONG_MAX,
    );
  }

  async #write(writer: number): Promise<void> {
    let revision = 0;
    let turn = writer;
    while (!this.#stopping) {
      const count = this.#counts[writer]!;
      const up = this.#cluster.running;
      const member = up[turn++ % Math.max(1, up.length)];
      if (member === undefined) {
        await pause(PAUSE_MS);
        continue;
      }
      const request = { key: keyOf(writer, count), value: `value ${count}` };
      const reply = await this.#client(member.endpoint).call('KV/Put', request, {
        timeoutMs: ATTEMPT_TIMEOUT_MS,
      });
      if (reply.message !== undefined) {
        const at = Number((reply.message['header'] as Message)['revision']);
        if (at <= revision) this.#wrong.push(`${request.key} at ${at}, after ${revision}`);
        revision = at;
        this.#counts[writer] = count + 1;
        this.#noteTime();
      }
      await pause(PAUSE_MS);
    }
  }

  #noteTime(): void {
    const now = performance.now();
    this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#lastAt);
    this.#lastAt = now;
  }

  #client(endpoint: string): ApiClient {
    let client = this.#clients.get(endpoint);
    if (client === undefined) {
      client = new ApiClient(endpoint);
      this.#clients.set(endpoint, client);
    }
    return client;
  }
}

const keyOf = (writer: number, i: number): string => `${PREFIX}${writer}/${i}`;

/** So many puts, many at a time, all acknowledged. */
export async function putMany(client: ApiClient, prefix: string, count: number): Promise<void> {
  const AT_A_TIME = 64;
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < count) {
      const i = next++;
      await client.must('KV/Put', { key: `${prefix}${i % 100}`, value: `value ${i}` });
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, one));
}
