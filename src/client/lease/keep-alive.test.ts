import { describe, expect, test } from 'vitest';
import { STATUS } from '../../grpc/index.ts';
import type { LeaseKeeper } from '../index.ts';
import { ClientWorld } from '../sim-etcd.fixture.ts';

const LEASE = 0x1234n;

function outcomeOf(keeper: LeaseKeeper): { lost: unknown } {
  const outcome: { lost: unknown } = { lost: undefined };
  void keeper.lost.then((reason) => {
    outcome.lost = reason;
  });
  return outcome;
}

describe('a kept lease', () => {
  test('is renewed when a third of its time has passed, until it is closed', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      etcd.leases.set(LEASE, 9);
      const keeper = world.client().lease.keepAlive(LEASE);
      expect((await keeper.next()).value).toMatchObject({ id: LEASE, ttl: 9 });
      await world.sleep(30_500);
      const times = etcd.keptAliveAtMs;
      expect(times).toHaveLength(11);
      for (let i = 1; i < times.length; i++) {
        expect(times[i]! - times[i - 1]!).toBeGreaterThan(2_990);
        expect(times[i]! - times[i - 1]!).toBeLessThan(3_100);
      }
      keeper.close();
      await world.sleep(30_000);
      expect(times).toHaveLength(11);
    });
  });

  test('yields answers to a loop, the newest few to a slow one', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.etcd.leases.set(LEASE, 3);
      const keeper = world.client().lease.keepAlive(LEASE);
      await world.sleep(100_000);
      let count = 0;
      for await (const { ttl } of keeper) {
        expect(ttl).toBe(3);
        if (++count === 16) break;
      }
      expect(keeper.kept).toBe(false);
    });
  });

  test('that is closed is not lost: `lost` resolves with undefined', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.etcd.leases.set(LEASE, 3);
      const client = world.client();
      const keeper = client.lease.keepAlive(LEASE);
      await keeper.next();
      keeper.close();
      expect(await keeper.lost).toBeUndefined();
      const other = client.lease.keepAlive(LEASE);
      client.close();
      expect(await other.lost).toBeUndefined();
    });
  });

  test('is lost when the server says so', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.etcd.leases.set(LEASE, 3);
      const keeper = world.client().lease.keepAlive(LEASE);
      const outcome = outcomeOf(keeper);
      await world.sleep(5_000);
      expect(outcome.lost).toBeUndefined();
      world.etcd.leases.delete(LEASE);
      await world.sleep(2_000);
      expect(outcome.lost).toMatchObject({ code: 'LEASE_NOT_FOUND' });
      const drain = async (): Promise<void> => {
        for await (const _ of keeper);
      };
      await expect(drain()).rejects.toMatchObject({ code: 'LEASE_NOT_FOUND' });
    });
  });

  test('survives breaks that are shorter than its time', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      etcd.leases.set(LEASE, 10);
      const outcome = outcomeOf(world.client().lease.keepAlive(LEASE));
      for (let round = 0; round < 4; round++) {
        await world.sleep(4_000);
        if (round === 0) world.reset();
        if (round === 1) etcd.restart();
        if (round === 2) etcd.endKeepAliveStreams(STATUS.UNAVAILABLE, 'etcdserver: no leader');
        if (round === 3) etcd.endKeepAliveStreams(STATUS.OK);
      }
      await world.sleep(20_000);
      expect(outcome.lost).toBeUndefined();
      // Each break is followed by a renewal at once.
      expect(etcd.keptAliveAtMs.length).toBeGreaterThan(12);
    });
  });

  test('is lost when its time is over without an answer', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.etcd.leases.set(LEASE, 6);
      const keeper = world.client().lease.keepAlive(LEASE);
      const outcome = outcomeOf(keeper);
      await keeper.next();
      const startMs = world.clientEnv.clock.monotonicMs();
      world.world.network.partition(['client'], ['server']);
      await world.sleep(5_900);
      expect(outcome.lost).toBeUndefined();
      await world.sleep(200);
      expect(outcome.lost).toMatchObject({ code: 'LEASE_NOT_FOUND' });
      expect(world.clientEnv.clock.monotonicMs() - startMs).toBeLessThan(6_200);
    });
  });

  test('that was never answered is given up', async () => {
    const world = new ClientWorld();
    await world.run(
      async () => {
        const outcome = outcomeOf(world.client({ connectTimeoutMs: 2_000 }).lease.keepAlive(LEASE));
        await world.sleep(2_900);
        expect(outcome.lost).toBeUndefined();
        await world.sleep(200);
        expect(outcome.lost).toMatchObject({ code: 'LEASE_NOT_FOUND' });
      },
      { listen: false },
    );
  });

  test('is one of many on one stream, each with its own end', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      const client = world.client();
      const outcomes = Array.from({ length: 200 }, (_unused, i) => {
        const id = BigInt(i + 1);
        etcd.leases.set(id, 3 + (i % 5));
        return outcomeOf(client.lease.keepAlive(id));
      });
      // Two keepers of one lease.
      const twin = outcomeOf(client.lease.keepAlive(7n));
      await world.sleep(20_000);
      expect(outcomes.every(({ lost }) => lost === undefined)).toBe(true);
      etcd.leases.delete(7n);
      await world.sleep(5_000);
      expect(outcomes.filter(({ lost }) => lost !== undefined)).toHaveLength(1);
      expect(twin.lost).toBeDefined();
    });
  });

  test('is let go by a signal', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.etcd.leases.set(LEASE, 3);
      const controller = new AbortController();
      const client = world.client();
      const outcome = outcomeOf(client.lease.keepAlive(LEASE, { signal: controller.signal }));
      await world.sleep(2_000);
      controller.abort(new Error('enough'));
      await world.sleep(10);
      expect(outcome.lost).toMatchObject({ message: 'enough' });
      const { length } = world.etcd.keptAliveAtMs;
      await world.sleep(10_000);
      expect(world.etcd.keptAliveAtMs).toHaveLength(length);
    });
  });
});

test('a lease is renewed once by a call of its own', async () => {
  const world = new ClientWorld();
  await world.run(async () => {
    world.etcd.leases.set(LEASE, 3);
    const client = world.client();
    expect(await client.lease.keepAliveOnce(LEASE)).toMatchObject({ id: LEASE, ttl: 3 });
    await expect(client.lease.keepAliveOnce(5n)).rejects.toMatchObject({
      code: 'LEASE_NOT_FOUND',
    });
  });
});
