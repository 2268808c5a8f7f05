import { describe, expect, test } from 'vitest';
import { STATUS } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { connect, type EtcdError, hasCode, isEtcdError, op, statusOf } from '../index.ts';
import { ClientWorld } from '../sim-etcd.fixture.ts';

const RANGE = etcdserverpb.KVService.methods.range.path;
const PUT = etcdserverpb.KVService.methods.put.path;

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it succeeded');
}

describe('a call that fails UNAVAILABLE', () => {
  test('is repeated if it reads', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      let left = 3;
      world.etcd.beforeUnary = () =>
        left-- > 0
          ? { status: STATUS.UNAVAILABLE, text: 'etcdserver: leader changed', applied: false }
          : undefined;
      await world.client().kv.get('a');
      expect(world.etcd.counts.get(RANGE)).toBe(4);
    });
  });

  test('is repeated a bounded number of times', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.etcd.beforeUnary = () => ({
        status: STATUS.UNAVAILABLE,
        text: 'etcdserver: request timed out',
        applied: false,
      });
      const error = await failureOf(world.client({ retriesMax: 2 }).kv.get('a'));
      expect(isEtcdError(error, 'TIMEOUT')).toBe(true);
      expect(world.etcd.counts.get(RANGE)).toBe(3);
    });
  });

  test('is never repeated if it writes and the server may have done it', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.etcd.beforeUnary = () => ({
        status: STATUS.UNAVAILABLE,
        text: 'etcdserver: request timed out',
        applied: true,
      });
      const client = world.client();
      const error = (await failureOf(client.kv.put('a', '1'))) as EtcdError;
      expect(error.code).toBe('TIMEOUT');
      expect(statusOf(error)).toBe(STATUS.UNAVAILABLE);
      await failureOf(client.kv.txn().then(op.put('a', '2')).commit());
      expect(world.etcd.counts.get(PUT)).toBe(1);
      expect(world.etcd.revision).toBe(2);
    });
  });

  test('is not repeated if the connection breaks under a write', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.etcd.beforeUnary = () => {
        world.reset();
        return undefined;
      };
      const error = await failureOf(world.client().kv.put('a', '1'));
      expect(statusOf(error)).toBe(STATUS.UNAVAILABLE);
      expect(world.etcd.counts.get(PUT)).toBe(1);
    });
  });

  test('is repeated even if it writes when no server could have seen it', async () => {
    const world = new ClientWorld();
    await world.run(
      async () => {
        const put = world.client().kv.put('a', '1');
        await world.sleep(300);
        await world.etcd.listen();
        await put;
        expect(world.etcd.counts.get(PUT)).toBe(1);
      },
      { listen: false },
    );
  });

  test('waits for a server as long as it is told to', async () => {
    const world = new ClientWorld();
    await world.run(
      async () => {
        const put = world.client({ waitForReady: true }).kv.put('a', '1', { timeoutMs: 60_000 });
        await world.sleep(30_000);
        await world.etcd.listen();
        await put;
      },
      { listen: false },
    );
  });
});

describe('limits of a call', () => {
  test('its time', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.world.network.partition(['client'], ['server']);
      const client = world.client({ timeoutMs: 2_000 });
      const startMs = world.clientEnv.clock.monotonicMs();
      const error = await failureOf(client.kv.get('a'));
      expect(error).toMatchObject({ code: STATUS.DEADLINE_EXCEEDED });
      expect(world.clientEnv.clock.monotonicMs() - startMs).toBeLessThan(2_200);
      const shorter = await failureOf(client.kv.get('a', { timeoutMs: 100 }));
      expect(shorter).toMatchObject({ code: STATUS.DEADLINE_EXCEEDED });
      expect(await failureOf(client.kv.get('a', { timeoutMs: 0 }))).toMatchObject({
        code: STATUS.DEADLINE_EXCEEDED,
      });
    });
  });

  test('its signal, before and while it runs', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.world.network.partition(['client'], ['server']);
      const client = world.client();
      const controller = new AbortController();
      const { signal } = controller;
      const running = failureOf(client.kv.get('a', { signal }));
      await world.sleep(10);
      controller.abort(new Error('enough'));
      expect(await running).toMatchObject({ message: 'enough' });
      expect(await failureOf(client.kv.get('a', { signal }))).toMatchObject({ message: 'enough' });
    });
  });

  test('its size, before anything is sent', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const client = world.client({ sendBytesMax: 1_000 });
      const error = await failureOf(client.kv.put('a', 'x'.repeat(1_000)));
      expect(error).toMatchObject({ code: STATUS.RESOURCE_EXHAUSTED });
      expect(world.etcd.counts.get(PUT)).toBeUndefined();
    });
  });

  test('the end of the client', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.world.network.partition(['client'], ['server']);
      const client = world.client();
      const running = failureOf(client.kv.get('a'));
      await world.sleep(10);
      client.close();
      expect(hasCode(await running, 'CLOSED')).toBe(true);
      expect(hasCode(await failureOf(client.kv.get('a')), 'CLOSED')).toBe(true);
    });
  });
});

describe('a user', () => {
  test('gets one token for many calls, and another when it is no longer taken', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.etcd.token = 'unknown yet';
      const client = world.client({ auth: { user: 'root', password: 'x' } });
      await Promise.all(Array.from({ length: 20 }, () => client.kv.get('a')));
      const authenticate = etcdserverpb.AuthService.methods.authenticate.path;
      expect(world.etcd.counts.get(authenticate)).toBe(1);
      world.etcd.token = 'the server was restarted';
      await client.kv.put('a', '1');
      expect(world.etcd.counts.get(authenticate)).toBe(2);
      expect(world.etcd.revision).toBe(2);
    });
  });

  test('watches on with another token after a break', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      etcd.token = 'unknown yet';
      const client = world.client({ auth: { user: 'root', password: 'x' } });
      const watchers = ['a', 'b'].map((key) => client.watch(key));
      const seen: string[] = [];
      for (const watcher of watchers) {
        void (async () => {
          for await (const { kv } of watcher) seen.push(kv.keyText);
        })();
      }
      await Promise.all(watchers.map(({ created }) => created));
      etcd.token = 'the server was restarted';
      etcd.apply({ key: 'a', value: '' });
      world.reset();
      etcd.apply({ key: 'b', value: '' });
      await world.sleep(2_000);
      expect(seen).toEqual(['a', 'b']);
    });
  });

  test('whose watch is refused with any token is told', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const client = world.client({ auth: { user: 'root', password: 'x' } });
      await client.kv.get('a');
      world.etcd.refusesTokens = true;
      await expect(client.watch('a').created).rejects.toMatchObject({ code: 'INVALID_AUTH_TOKEN' });
    });
  });

  test('with a token of its own is refused when it is not taken', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.etcd.token = 'right';
      await world.client({ auth: { token: 'right' } }).kv.get('a');
      const error = await failureOf(world.client({ auth: { token: 'wrong' } }).kv.get('a'));
      expect(isEtcdError(error, 'INVALID_AUTH_TOKEN')).toBe(true);
    });
  });
});

describe('connect', () => {
  test('resolves when a server has answered, rejects when none does', async () => {
    const world = new ClientWorld();
    await world.run(
      async () => {
        const { clock, timers, entropy, network } = world.clientEnv;
        const options = {
          endpoints: ['server:1', 'server'],
          runtime: { clock, timers, entropy, connect: network.connect },
        };
        const error = await failureOf(connect(options));
        expect(statusOf(error)).toBe(STATUS.UNAVAILABLE);
        expect(String(error)).toContain('nothing listens there');
        await world.etcd.listen();
        const client = await connect(options);
        await client.kv.put('a', '1');
        client.close();
      },
      { listen: false },
    );
  });
});
