// Our client on real clusters of three, whose members are killed under it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client, isEtcdError, STATUS, statusOf, type Watcher } from '../../src/client/index.ts';
import { Cluster } from '../cluster/cluster.ts';
import type { ClusterMember } from '../cluster/cluster-member.ts';
import { type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need } from '../helpers/real-etcd.ts';
import { realPrograms } from '../tetcdctl/tools.ts';

const PUTS_PER_ROUND = 40;
const LEASE_SECONDS = 10;

/** Reads a watch in the background. */
class Events {
  readonly seen: string[] = [];
  readonly end: Promise<unknown>;
  /** Who sent the last response. */
  memberId = 0n;
  #until: { readonly key: string; readonly resolve: () => void } | undefined;

  constructor(watcher: Watcher) {
    this.end = this.#read(watcher).catch((error: unknown) => error);
  }

  async #read(watcher: Watcher): Promise<void> {
    for await (const { header, events } of watcher.responses()) {
      this.memberId = header.memberId;
      for (const { kv } of events) {
        this.seen.push(`${kv.modRevision} ${kv.keyText}`);
        if (kv.keyText === this.#until?.key) this.#until.resolve();
      }
    }
  }

  /** Resolves when a key has come. */
  until(key: string): Promise<void> {
    return new Promise((resolve) => {
      if (this.seen.some((each) => each.endsWith(` ${key}`))) resolve();
      else this.#until = { key, resolve };
    });
  }
}

/** Puts keys that are put once only; a failure that may hide a success is a maybe. */
class Writer {
  readonly acknowledged = new Set<string>();
  readonly attempted = new Set<string>();
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async put(key: string): Promise<boolean> {
    this.attempted.add(key);
    try {
      await this.#client.kv.put(key, 'x');
      this.acknowledged.add(key);
      return true;
    } catch (error) {
      if (statusOf(error) !== STATUS.UNAVAILABLE) throw error;
      return false;
    }
  }

  /** Tries until one is certain. */
  async putSurely(key: string): Promise<string> {
    for (let attempt = 0; ; attempt++) {
      const name = `${key}-${attempt}`;
      if (await this.put(name)) return name;
    }
  }
}

function survives(program: () => Program): void {
  let cluster: Cluster;
  let endpoints: readonly string[];
  let client: Client;

  beforeAll(async () => {
    const server = { program: program() };
    cluster = await Cluster.start({ servers: [server, server, server] });
    endpoints = cluster.members.map(({ endpoint }) => endpoint);
    client = new Client({ endpoints, timeoutMs: 20_000, waitForReady: true });
  });

  afterAll(async () => {
    client.close();
    await cluster.dispose();
  });

  async function memberOf(id: bigint): Promise<ClusterMember> {
    for (const member of cluster.members) {
      const { header } = await client.maintenance.status({ endpoint: member.endpoint });
      if (header!.memberId === id) return member;
    }
    throw new Error(`no member ${id.toString(16)}`);
  }

  test('a watch, a lease, reads and writes outlive whoever serves them', async () => {
    const { id } = await client.lease.grant(LEASE_SECONDS);
    const keeper = client.lease.keepAlive(id);
    await client.kv.put('lease', 'alive', { lease: id });
    const watcher = client.watch('k', { prefix: true });
    const events = new Events(watcher);
    await watcher.created;
    const writer = new Writer(client);
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < PUTS_PER_ROUND / 2; i++) await writer.put(`k${round}-${i}`);
      await writer.putSurely(`k${round}-seen`);
      // The one that serves the watch; in every other round the leader.
      const { leader } = await client.maintenance.status();
      const victim = await memberOf(round % 2 === 0 ? events.memberId : leader);
      const killed = victim.kill();
      for (let i = 0; i < PUTS_PER_ROUND / 2; i++) {
        await writer.put(`k${round}-late-${i}`);
        await client.kv.get('lease');
      }
      await killed;
      await events.until(await writer.putSurely(`k${round}-last`));
      await victim.restart();
    }
    const { kvs } = await client.kv.get('k', { prefix: true, sortBy: 'modRevision' });
    expect(events.seen).toEqual(kvs.map((kv) => `${kv.modRevision} ${kv.keyText}`));
    const stored = new Set(kvs.map(({ keyText }) => keyText));
    expect([...writer.acknowledged].filter((key) => !stored.has(key))).toEqual([]);
    expect(keeper.kept).toBe(true);
    expect((await client.kv.get('lease')).kv?.valueText).toBe('alive');
    keeper.close();
    watcher.close();
  });

  test('those who require a leader are told when there is none', async () => {
    const strict = new Events(client.watch('n', { requireLeader: true }));
    const watcher = client.watch('n');
    const patient = new Events(watcher);
    await watcher.created;
    const [first, second, third] = cluster.members;
    await Promise.all([first!.kill(), second!.kill()]);
    expect(await strict.end).toMatchObject({ code: 'NO_LEADER' });
    const options = { endpoints: third!.endpoint, timeoutMs: 20_000, retriesMax: 0 };
    const alone = new Client(options);
    const error = await alone.kv.get('n', { requireLeader: true }).catch((reason) => reason);
    expect(isEtcdError(error, 'NO_LEADER')).toBe(true);
    expect((await alone.kv.get('lease', { serializable: true })).kv?.keyText).toBe('lease');
    alone.close();
    await Promise.all([first!.restart(), second!.restart()]);
    await client.kv.put('n', 'again');
    await patient.until('n');
    watcher.close();
  });

  test('endpoints follow the member list', async () => {
    const one = new Client({ endpoints: endpoints[1]!, timeoutMs: 20_000 });
    const urls = endpoints.map((endpoint) => `http://${endpoint}`);
    expect([...(await one.sync())].sort()).toEqual([...urls].sort());
    await cluster.members[1]!.kill();
    for (let i = 0; i < 6; i++) await one.kv.get('lease');
    await cluster.members[1]!.restart();
    one.close();
  });
}

describe('the client', () => {
  const ours = serverUnderTest();
  describeWith('on a cluster of ours', [ours], () => survives(() => need(ours)));
  for (const [release, found] of realPrograms()) {
    describeWith(`on a cluster of etcd ${release}`, [found], () =>
      survives(() => realProgram(need(found))),
    );
  }
});
