// A client of several endpoints, some of which are gone, cut off, without a leader, or behind.

import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { STATUS } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { type Client, isEtcdError, type LeaseKeeper, statusOf } from '../index.ts';
import { ClientWorld, type SimEtcd } from '../sim-etcd.fixture.ts';
import type { Watcher } from '../watch/watcher.ts';

const RANGE = etcdserverpb.KVService.methods.range.path;
const PUT = etcdserverpb.KVService.methods.put.path;
const LEASE = 0x1234n;

function counts(world: ClientWorld, path: string): readonly number[] {
  return world.etcds.map((etcd) => etcd.counts.get(path) ?? 0);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it succeeded');
}

/** Connects to all endpoints. */
async function warm(client: Client): Promise<void> {
  await Promise.all(Array.from({ length: 9 }, () => client.kv.get('warm')));
  await Promise.all(Array.from({ length: 9 }, () => client.kv.get('warm')));
}

function elapsedMs(world: ClientWorld): () => number {
  const startMs = world.clientEnv.clock.monotonicMs();
  return () => world.clientEnv.clock.monotonicMs() - startMs;
}

/** Reads in the background; the end is its error, or 'closed'. */
function read(watcher: Watcher): { readonly events: string[]; readonly end: Promise<unknown> } {
  const events: string[] = [];
  const end = (async () => {
    for await (const { kv } of watcher) events.push(`${kv.modRevision} ${kv.keyText}`);
  })().then(
    () => 'closed',
    (error: unknown) => error,
  );
  return { events, end };
}

function lossOf(keeper: LeaseKeeper): { reason: unknown } {
  const loss: { reason: unknown } = { reason: undefined };
  void keeper.lost.then((reason) => {
    loss.reason = reason;
  });
  return loss;
}

describe('calls', () => {
  test('are spread over the endpoints, and go to those that are left', async () => {
    const world = new ClientWorld(1, 3);
    await world.run(async () => {
      const client = world.client();
      await warm(client);
      expect(counts(world, RANGE).every((count) => count > 2)).toBe(true);
      await world.etcds[0]!.stop();
      await world.etcds[2]!.stop();
      const took = elapsedMs(world);
      for (let i = 0; i < 20; i++) await client.kv.get('a');
      for (let i = 0; i < 20; i++) await client.kv.put('a', `${i}`);
      expect(counts(world, PUT)).toEqual([0, 20, 0]);
      expect(took()).toBeLessThan(100);
    });
  });

  test('come back when every endpoint was gone', async () => {
    const world = new ClientWorld(1, 3);
    await world.run(async () => {
      const client = world.client({ waitForReady: true });
      await warm(client);
      for (const etcd of world.etcds) await etcd.stop();
      await world.sleep(10);
      const put = client.kv.put('a', '1');
      await world.sleep(3_000);
      await world.etcds[1]!.listen();
      await put;
      expect(counts(world, PUT)).toEqual([0, 1, 0]);
    });
  });

  test.each([
    'etcdserver: leader changed',
    'etcdserver: no leader',
    'etcdserver: request timed out',
    'etcdserver: request timed out, possibly due to previous leader failure',
    'etcdserver: request timed out, possibly due to connection lost',
    'etcdserver: request timed out, waiting for the applied index took too long',
    'etcdserver: server stopped',
    'etcdserver: too many requests',
  ])('that read are repeated elsewhere at once after "%s", others not at all', async (text) => {
    const isTransient = text !== 'etcdserver: too many requests';
    const status = isTransient ? STATUS.UNAVAILABLE : STATUS.RESOURCE_EXHAUSTED;
    const world = new ClientWorld(1, 3);
    await world.run(async () => {
      const client = world.client();
      await warm(client);
      let failures = 0;
      world.etcds[1]!.beforeUnary = () => {
        failures++;
        return { status, text, applied: false };
      };
      const took = elapsedMs(world);
      const reads = await Promise.allSettled(
        [1, 2, 3].map(() => client.kv.get('a')).concat([client.kv.get('b')]),
      );
      expect(failures).toBeGreaterThan(0);
      const failed = reads.filter((each) => each.status === 'rejected').length;
      expect(failed).toBe(isTransient ? 0 : failures);
      expect(took()).toBeLessThan(40);
      failures = 0;
      const writes = [1, 2, 3].map(() => client.kv.put('a', '1'));
      const written = await Promise.allSettled(writes);
      expect(written.filter((each) => each.status === 'rejected')).toHaveLength(failures);
      expect(failures).toBeGreaterThan(0);
    });
  });

  test('wait only after a majority of the endpoints was asked', async () => {
    const world = new ClientWorld(1, 5);
    await world.run(async () => {
      const client = world.client({ retriesMax: 3 });
      await warm(client);
      const before = sum(counts(world, RANGE));
      for (const etcd of world.etcds) etcd.hasLeader = false;
      const took = elapsedMs(world);
      const error = await failureOf(client.kv.get('a', { requireLeader: true }));
      expect(isEtcdError(error, 'NO_LEADER')).toBe(true);
      // Three rounds of three, each but the last followed by a wait.
      expect(sum(counts(world, RANGE)) - before).toBe(10);
      expect(took()).toBeGreaterThan((50 + 100 + 200) * 0.8);
      expect(took()).toBeLessThan((50 + 100 + 200) * 1.2 + 20);
    });
  });

  test('that need a leader say so; others wait for what the member does', async () => {
    const world = new ClientWorld(1, 3);
    await world.run(async () => {
      const client = world.client();
      await warm(client);
      world.etcds[0]!.hasLeader = false;
      for (let i = 0; i < 9; i++) {
        const { header } = await client.kv.get('a', { requireLeader: true });
        expect(header.memberId).not.toBe(2n);
      }
      const members = new Set<bigint>();
      for (let i = 0; i < 9; i++) members.add((await client.kv.get('a')).header.memberId);
      expect(members).toContain(2n);
      const strict = world.client({ requireLeader: true, retriesMax: 0, endpoints: 'server' });
      expect(isEtcdError(await failureOf(strict.kv.get('a')), 'NO_LEADER')).toBe(true);
      await strict.kv.get('a', { requireLeader: false });
    });
  });

  test('that a learner refuses go elsewhere, whatever they do', async () => {
    const world = new ClientWorld(1, 3);
    await world.run(async () => {
      const client = world.client();
      world.etcds[0]!.isLearner = true;
      world.etcds[2]!.isLearner = true;
      for (let i = 0; i < 10; i++) await client.kv.put('a', `${i}`);
      expect(world.etcd.revision).toBe(11);
      const alone = world.client({ endpoints: 'server' });
      const error = await failureOf(alone.kv.get('a'));
      expect(isEtcdError(error, 'NOT_SUPPORTED_FOR_LEARNER')).toBe(true);
    });
  });

  test('of leases are repeated where twice does no harm', async () => {
    const world = new ClientWorld(1, 2);
    await world.run(async () => {
      const client = world.client();
      let left = 1;
      for (const etcd of world.etcds) {
        etcd.beforeUnary = () =>
          left-- > 0
            ? { status: STATUS.UNAVAILABLE, text: 'etcdserver: leader changed', applied: true }
            : undefined;
      }
      const { id } = await client.lease.grant(10);
      left = 1;
      await client.lease.revoke(id);
      left = 1;
      const error = await failureOf(client.lease.grant(10, { id: 77n }));
      expect(isEtcdError(error, 'LEADER_CHANGED')).toBe(true);
    });
  });

  test('on a connection that is cut end with its pings, and reads go on elsewhere', async () => {
    const world = new ClientWorld(1, 3);
    await world.run(async () => {
      const client = world.client({ keepalive: { intervalMs: 10_000, timeoutMs: 2_000 } });
      await warm(client);
      world.world.network.partition(['client'], ['server2']);
      const took = elapsedMs(world);
      await Promise.all(Array.from({ length: 12 }, () => client.kv.get('a')));
      expect(took()).toBeLessThan(14_000);
      const again = elapsedMs(world);
      await Promise.all(Array.from({ length: 12 }, () => client.kv.get('a')));
      expect(again()).toBeLessThan(10);
    });
  });
});

describe('a watch', () => {
  test('goes on at another endpoint, without gap or repetition', async () => {
    const world = new ClientWorld(1, 3);
    await world.run(async () => {
      const client = world.client();
      const watcher = client.watch('k', { prefix: true });
      const { events } = read(watcher);
      await watcher.created;
      const expected: string[] = [];
      for (let round = 0; round < 6; round++) {
        const serving = world.etcds.find((etcd) => etcd.watches > 0)!;
        for (let i = 0; i < 3; i++) expected.push(`${world.etcd.apply({ key: 'k', value: '' })} k`);
        await serving.stop();
        for (let i = 0; i < 3; i++) expected.push(`${world.etcd.apply({ key: 'k', value: '' })} k`);
        await world.sleep(1_000);
        expect(events).toEqual(expected);
        await serving.listen();
      }
      watcher.close();
    });
  });

  test('does not go back at a member that is behind', async () => {
    const world = new ClientWorld(1, 2);
    await world.run(async () => {
      const [first, second] = world.etcds as [SimEtcd, SimEtcd];
      await second.stop();
      const client = world.client();
      const watcher = client.watch('k');
      const { events } = read(watcher);
      await watcher.created;
      for (let i = 0; i < 5; i++) first.apply({ key: 'k', value: '' });
      await world.sleep(10);
      second.lag = 4;
      await second.listen();
      await first.stop();
      await world.sleep(2_000);
      expect(second.watches).toBe(1);
      first.apply({ key: 'k', value: '' });
      await world.sleep(100);
      expect(events).toEqual([2, 3, 4, 5, 6].map((revision) => `${revision} k`));
      second.catchUp();
      await world.sleep(100);
      expect(events.at(-1)).toBe('7 k');
      watcher.close();
    });
  });

  test('leaves a member that loses its leader, or fails if that was asked for', async () => {
    const world = new ClientWorld(1, 3);
    await world.run(async () => {
      const client = world.client();
      const patient = client.watch('k');
      const strict = client.watch('k', { requireLeader: true });
      const readers = [read(patient), read(strict)];
      await Promise.all([patient.created, strict.created]);
      world.etcd.apply({ key: 'k', value: '' });
      await world.sleep(10);
      const serving = world.etcds.find((etcd) => etcd.watches > 0)!;
      serving.loseLeader();
      world.etcd.apply({ key: 'k', value: '' });
      await world.sleep(1_000);
      expect(await readers[1]!.end).toMatchObject({ code: 'NO_LEADER' });
      expect(readers.map(({ events }) => events)).toEqual([['2 k', '3 k'], ['2 k']]);
      expect(serving.watches).toBe(0);
      // The cluster has none for a while.
      for (const etcd of world.etcds) etcd.loseLeader();
      world.etcd.apply({ key: 'k', value: '' });
      await world.sleep(3_000);
      expect(readers[0]!.events).toHaveLength(2);
      for (const etcd of world.etcds) etcd.hasLeader = true;
      await world.sleep(5_000);
      expect(readers[0]!.events).toEqual(['2 k', '3 k', '4 k']);
      patient.close();
    });
  });

  test('leaves a learner for a member that serves it', async () => {
    const world = new ClientWorld(1, 2);
    await world.run(async () => {
      world.etcd.isLearner = true;
      const client = world.client();
      const watchers = Array.from({ length: 3 }, () => client.watch('k'));
      await Promise.all(watchers.map(({ created }) => created));
      expect(world.etcds.map(({ watches }) => watches)).toEqual([0, 3]);
      const alone = world.client({ endpoints: 'server' }).watch('k');
      await expect(alone.created).rejects.toMatchObject({ code: 'NOT_SUPPORTED_FOR_LEARNER' });
    });
  });
});

describe('a kept lease', () => {
  test('is renewed through another endpoint when one is gone, silent or without leader', async () => {
    const world = new ClientWorld(1, 3);
    await world.run(async () => {
      world.etcd.leases.set(LEASE, 9);
      const loss = lossOf(world.client().lease.keepAlive(LEASE));
      await world.sleep(20_000);
      await world.etcds[0]!.stop();
      await world.sleep(20_000);
      world.etcds[1]!.keepsSilent = true;
      await world.sleep(60_000);
      await world.etcds[0]!.listen();
      world.etcds[1]!.keepsSilent = false;
      world.etcds[2]!.loseLeader();
      await world.sleep(60_000);
      expect(loss.reason).toBeUndefined();
      const times = world.etcd.keptAliveAtMs;
      const gaps = times.slice(1).map((time, i) => time - times[i]!);
      expect(Math.max(...gaps)).toBeLessThan(9_000);
    });
  });

  test('outlives a cluster without leader for less than its time, unless told not to', async () => {
    const world = new ClientWorld(1, 3);
    await world.run(async () => {
      world.etcd.leases.set(LEASE, 9).set(LEASE + 1n, 9);
      const { lease } = world.client();
      const loss = lossOf(lease.keepAlive(LEASE));
      const strictLoss = lossOf(lease.keepAlive(LEASE + 1n, { requireLeader: true }));
      await world.sleep(10_000);
      for (const etcd of world.etcds) etcd.loseLeader();
      await world.sleep(4_000);
      expect(isEtcdError(strictLoss.reason, 'NO_LEADER')).toBe(true);
      for (const etcd of world.etcds) etcd.hasLeader = true;
      await world.sleep(20_000);
      expect(loss.reason).toBeUndefined();
      // Longer than it lives, it is lost.
      for (const etcd of world.etcds) etcd.loseLeader();
      await world.sleep(10_000);
      expect(isEtcdError(loss.reason, 'LEASE_NOT_FOUND')).toBe(true);
    });
  });

  test('stays on a silent stream if there is no other endpoint', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      etcd.leases.set(LEASE, 9);
      const loss = lossOf(world.client().lease.keepAlive(LEASE));
      await world.sleep(100);
      etcd.keepsSilent = true;
      await world.sleep(7_000);
      expect(loss.reason).toBeUndefined();
      etcd.keepsSilent = false;
      await world.sleep(9_000);
      expect(loss.reason).toBeUndefined();
      etcd.keepsSilent = true;
      await world.sleep(10_000);
      expect(isEtcdError(loss.reason, 'LEASE_NOT_FOUND')).toBe(true);
    });
  });
});

describe('endpoints', () => {
  const member = (id: bigint, name: string, url: string, isLearner = false) => ({
    id,
    name,
    clientURLs: [url],
    isLearner,
  });

  test('are taken from the member list, without learners and members that have not started', async () => {
    const world = new ClientWorld(1, 3);
    await world.run(async () => {
      const client = world.client({ endpoints: 'server:2379' });
      world.etcd.members = [
        member(1n, 'a', 'http://server2:2379'),
        member(2n, 'b', 'http://server3:2379'),
        member(3n, '', 'http://nowhere:1'),
        member(4n, 'd', 'http://server:2379', true),
      ];
      const found = ['http://server2:2379', 'http://server3:2379'];
      expect(await client.sync()).toEqual(found);
      expect(client.endpoints).toEqual(found);
      for (let i = 0; i < 6; i++) await client.kv.get('a');
      expect(counts(world, RANGE)[0]).toBe(0);
    });
  });

  test('are taken from it again and again, if asked for, and stay when that fails', async () => {
    const world = new ClientWorld(1, 3);
    await world.run(async () => {
      const client = world.client({ endpoints: 'server', autoSyncIntervalMs: 10_000 });
      const watcher = client.watch('k');
      const { events } = read(watcher);
      await watcher.created;
      world.etcd.members = [member(1n, 'a', 'http://server2:2379')];
      await world.sleep(9_000);
      expect(client.endpoints).toEqual(['server']);
      await world.sleep(2_000);
      expect(client.endpoints).toEqual(['http://server2:2379']);
      // What was under way goes on, until its member leaves.
      world.etcd.apply({ key: 'k', value: '' });
      await world.etcd.stop();
      world.etcd.apply({ key: 'k', value: '' });
      await world.sleep(1_000);
      expect(events).toEqual(['2 k', '3 k']);
      for (const members of [[], [member(1n, 'a', 'https://server3:2379')]]) {
        world.etcd.members = members;
        await world.sleep(11_000);
        expect(client.endpoints).toEqual(['http://server2:2379']);
      }
      client.close();
    });
  });

  test('are set by hand, all or none', async () => {
    const world = new ClientWorld(1, 2);
    await world.run(async () => {
      const client = world.client();
      client.setEndpoints(['server2']);
      for (let i = 0; i < 4; i++) await client.kv.get('a');
      expect(counts(world, RANGE)).toEqual([0, 4]);
      for (const bad of [[], ['http://'], ['https://server', 'server:x']]) {
        expect(() => client.setEndpoints(bad)).toThrow(
          expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
        );
        expect(client.endpoints).toEqual(['server2']);
      }
      client.close();
      expect(() => client.setEndpoints(['server'])).toThrow(
        expect.objectContaining({ code: 'CLOSED' }),
      );
    });
  });

  test('can be asked one by one about themselves', async () => {
    const world = new ClientWorld(1, 3);
    await world.run(async () => {
      const client = world.client({ endpoints: 'server', auth: { user: 'root', password: 'x' } });
      for (const [i, endpoint] of world.names.entries()) {
        const { header } = await client.maintenance.status({ endpoint });
        expect(header?.memberId).toBe(BigInt(i + 2));
      }
      await world.etcds[1]!.stop();
      const error = await failureOf(client.maintenance.status({ endpoint: 'server2' }));
      expect(statusOf(error)).toBe(STATUS.UNAVAILABLE);
      const wrong = await failureOf(client.maintenance.status({ endpoint: 'http://' }));
      expect(wrong).toMatchObject({ code: 'INVALID_ARGUMENT' });
      // One token for all of them.
      const authenticate = etcdserverpb.AuthService.methods.authenticate.path;
      expect(sum(counts(world, authenticate))).toBe(1);
    });
  });
});

describe('under faults at random', () => {
  // CLIENT_SEED=77 CLIENT_RUNS=1 repeats one run.
  const firstSeed = Number(process.env['CLIENT_SEED'] ?? 1);
  const runs = Number(process.env['CLIENT_RUNS'] ?? 8);
  const seeds = Array.from({ length: runs }, (_unused, i) => firstSeed + i);

  test.each(seeds)('watches miss and repeat nothing (seed %i)', async (seed) => {
    const random = seededRandom(seed);
    const world = new ClientWorld(seed, 3);
    await world.run(async () => {
      const client = world.client({ keepalive: { intervalMs: 10_000, timeoutMs: 2_000 } });
      world.etcd.leases.set(LEASE, 60);
      const loss = lossOf(client.lease.keepAlive(LEASE));
      const watchers = [1, 2, 3].map(() => client.watch('k', { prefix: true }));
      const readers = watchers.map(read);
      await Promise.all(watchers.map(({ created }) => created));
      const expected: string[] = [];
      for (let step = 0; step < 150; step++) {
        const i = random.below(3);
        const etcd = world.etcds[i]!;
        await faults(world, etcd, world.names[i]!, random.below(8));
        for (let n = random.below(4); n > 0; n--) {
          const changes = Array.from({ length: 1 + random.below(3) }, (_unused, key) => ({
            key: `k${key}`,
            value: '',
          }));
          const revision = world.etcd.apply(...changes);
          expected.push(...changes.map(({ key }) => `${revision} ${key}`));
        }
        await world.sleep(random.below(2_000));
      }
      world.world.network.heal();
      for (const etcd of world.etcds) {
        etcd.fragmentEvents = Number.POSITIVE_INFINITY;
        etcd.hasLeader = true;
        if (!etcd.listens) await etcd.listen();
        etcd.catchUp();
      }
      await world.sleep(30_000);
      for (const { events } of readers) expect(events).toEqual(expected);
      expect(loss.reason).toBeUndefined();
      client.close();
    });
  });

  async function faults(
    world: ClientWorld,
    etcd: SimEtcd,
    name: string,
    kind: number,
  ): Promise<void> {
    // Never more than one member is in trouble.
    world.world.network.heal();
    for (const each of world.etcds) {
      each.hasLeader = true;
      if (!each.listens) await each.listen();
      if (each.lag > 0) each.catchUp();
    }
    if (kind === 0) await etcd.stop();
    else if (kind === 1) etcd.loseLeader();
    else if (kind === 2) world.world.network.partition(['client'], [name]);
    else if (kind === 3) etcd.lag = 1;
    else if (kind === 4) etcd.fragmentEvents = 1;
    else if (kind === 5) world.reset();
  }
});
