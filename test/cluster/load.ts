// Writers that continue when single members fail, and know afterwards what must be there.

import type { ApiClient, Login, Message } from '../helpers/api.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterMember } from './cluster-member.ts';
import { pause, until } from './until.ts';

const ATTEMPT_TIMEOUT_MS = 5_000;
const PAUSE_MS = 4;
const WRITERS = 4;
const KEYS_PER_WRITER = 25;
/** Within what the user `uma` of `test/auth/users.ts` may write. */
const PREFIX = 'kept/';
const WRONG_MAX = 10;
/** Of `Compare`: the version of a key, equal. */
const VERSION_EQUALS = { target: 0, result: 0 } as const;

/** A key that one writer alone writes. */
interface Kept {
  readonly key: string;
  /** How many of its writes are known to be done, each of which made the next version. */
  version: number;
  /** The answer to an attempt at the next one was lost. */
  isInDoubt: boolean;
}

/**
 * Each writer writes its keys in turn, each write through the next member that is up, until it is
 * acknowledged. A write is a transaction that requires the version that the one before it left: one that
 * was acknowledged and is lost, or was done twice, makes the next fail.
 */
export class Load {
  static #count = 0;
  /** Of its keys; each load has its own. */
  readonly #prefix = `${PREFIX}${++Load.#count}/`;
  readonly #cluster: Cluster;
  readonly #login: Login | undefined;
  readonly #clients = new Map<ClusterMember, ApiClient>();
  readonly #kept: readonly (readonly Kept[])[];
  readonly #wrong: string[] = [];
  readonly #writers: Promise<void>[];
  #acknowledged = 0;
  #stopping = false;
  #lastAt = performance.now();
  #longestGapMs = 0;

  /** In the name of `login`, or as the cluster's own clients. */
  constructor(cluster: Cluster, login?: Login) {
    this.#cluster = cluster;
    this.#login = login;
    this.#kept = Array.from({ length: WRITERS }, (_, writer) =>
      Array.from({ length: KEYS_PER_WRITER }, (_, i) => ({
        ...{ key: `${this.#prefix}${writer}/${i}`, version: 0, isInDoubt: false },
      })),
    );
    this.#writers = this.#kept.map((keys, writer) => this.#write(keys, writer));
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** The longest time in which no write was acknowledged. */
  get longestGapMs(): number {
    return this.#longestGapMs;
  }

  /** Resolves when so many more writes are acknowledged, or one was seen to be wrong. */
  async goesOn(writes = 40): Promise<void> {
    const goal = this.#acknowledged + writes;
    await until(
      `${writes} writes`,
      () => this.#acknowledged >= goal || this.#stopping || undefined,
    );
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#writers);
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  /** Everything acknowledged that `client` does not have, and what else was seen to be wrong. */
  async missing(client: ApiClient): Promise<string[]> {
    const expected = this.#kept.flat().map((one) => ({ ...one }));
    const range = { key: this.#prefix, range_end: this.#prefix.replace(/\/$/, '0') };
    const reply = await client.must('KV/Range', range);
    const pairs = reply['kvs'] as readonly Message[];
    const found = new Map(pairs.map((one) => [String(one['key']), Number(one['version'])]));
    const missing = expected
      .filter(({ key, version }) => (found.get(key) ?? 0) < version)
      .map(({ key, version }) => `version ${version} of ${key} was acknowledged and is lost`);
    const tooMany = expected
      .filter(({ key, version, isInDoubt }) => (found.get(key) ?? 0) > version + Number(isInDoubt))
      .map(({ key, version }) => `${key} has more than the ${version} versions written`);
    // While writers write, there may be more than was known when the read began.
    return [...this.#wrong, ...missing, ...(this.#stopping ? tooMany : [])].slice(0, WRONG_MAX);
  }

  async #write(keys: readonly Kept[], writer: number): Promise<void> {
    let revision = 0;
    let turn = writer;
    for (let i = 0; !this.#stopping; ) {
      const up = this.#cluster.running;
      const member = up[turn++ % Math.max(1, up.length)];
      if (member !== undefined) {
        const one = keys[i % keys.length]!;
        const at = await this.#attempt(one, member);
        if (at !== undefined) {
          if (at <= revision) this.#wrong.push(`${one.key} at ${at}, after ${revision}`);
          revision = at;
          i++;
          this.#acknowledged++;
          this.#noteTime();
        }
      }
      await pause(PAUSE_MS);
    }
  }

  /** The revision of the write if it is now known to be done. */
  async #attempt(one: Kept, member: ClusterMember): Promise<number | undefined> {
    const { key, version } = one;
    const value = `value ${version + 1}`;
    const request = {
      compare: [{ key, ...VERSION_EQUALS, version: String(version) }],
      success: [{ request_put: { key, value } }],
      failure: [{ request_range: { key } }],
    };
    const options = { timeoutMs: ATTEMPT_TIMEOUT_MS };
    const { message } = await this.#client(member).call('KV/Txn', request, options);
    if (message === undefined) {
      one.isInDoubt = true;
      return undefined;
    }
    let at = Number((message['header'] as Message)['revision']);
    if (message['succeeded'] !== true) {
      const [answer] = message['responses'] as readonly { response_range: Message }[];
      const [pair] = answer!.response_range['kvs'] as readonly Message[];
      const isOwn = pair?.['version'] === String(version + 1) && pair['value'] === value;
      if (!one.isInDoubt || !isOwn) {
        this.#wrong.push(`${key} ${JSON.stringify(pair)} instead of version ${version}`);
        this.#stopping = true;
        return undefined;
      }
      at = Number(pair['mod_revision']);
    }
    one.version = version + 1;
    one.isInDoubt = false;
    return at;
  }

  #noteTime(): void {
    const now = performance.now();
    this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#lastAt);
    this.#lastAt = now;
  }

  #client(member: ClusterMember): ApiClient {
    let client = this.#clients.get(member);
    if (client === undefined) {
      client = member.connect(this.#login);
      this.#clients.set(member, client);
    }
    return client;
  }
}

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
