import { describe, expect, test } from 'vitest';
import { bytesFromLatin1, latin1FromBytes } from '../../base/index.ts';
import { clockContract } from '../clock-contract.fixture.ts';
import { OPEN_MODES } from '../index.ts';
import { networkContract, Recorder } from '../network-contract.fixture.ts';
import { createSimEnv, type SimEnv, SimWorld } from './sim-env.ts';

const text = bytesFromLatin1;

describe('the simulated clock and timers', () => {
  clockContract(() => createSimEnv({ seed: 1 }));
});

describe('the simulated network', () => {
  let seed = 1;
  networkContract(() => {
    const { network } = createSimEnv({ seed: seed++ });
    return { network, host: '127.0.0.1' };
  });
});

describe('simulated time', () => {
  test('leaps, and orders equal times as asked', async () => {
    const env = createSimEnv({ seed: 1, autoRun: false });
    const order: string[] = [];
    await env.run(async () => {
      env.timers.after(3_600_000, () => order.push('hour'));
      env.timers.after(1, () => order.push('a'));
      env.timers.after(1, () => order.push('b'));
      await new Promise<void>((resolve) => env.timers.after(3_600_001, resolve));
      order.push('body');
    });
    expect(order).toEqual(['a', 'b', 'hour', 'body']);
    expect(env.clock.monotonicMs()).toBeCloseTo(3_600_001, 0);
  });

  test('a body that waits for nothing is reported', async () => {
    const env = createSimEnv({ seed: 1, autoRun: false });
    await expect(env.run(() => new Promise(() => {}))).rejects.toThrow(/simulation stuck/);
    await expect(env.runUntil(() => false, 100)).rejects.toThrow(/does not hold after 100 ms/);
    await expect(env.run(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
  });

  test('runs exactly the same twice', async () => {
    const history = async (): Promise<string[]> => {
      const world = new SimWorld({ seed: 99, autoRun: false });
      const events: string[] = [];
      const hosts = ['a', 'b'].map((name) => world.machine(name));
      await world.scheduler.run(async () => {
        const work = hosts.map(async (env) => {
          const file = await env.disk.open('/f', OPEN_MODES.CREATE);
          for (let i = 0; i < 20; i++) {
            file.writeSync(text(`${i}`), i * 3);
            await file.sync();
            events.push(`${env.name} ${i} ${env.clock.monotonicMs()}`);
          }
        });
        await Promise.all(work);
      });
      return events;
    };
    const first = await history();
    expect(first).toHaveLength(40);
    expect(await history()).toEqual(first);
  });
});

async function connect(from: SimEnv, to: SimEnv): Promise<[Recorder, Recorder]> {
  let server: Recorder | undefined;
  const listener = await to.network.listen({ host: '', port: 0 }, (stream) => {
    server = new Recorder(stream);
  });
  const { port } = listener.address;
  const client = new Recorder(await from.network.connect({ host: to.name, port }, 1000));
  return [client, server!];
}

describe('network faults', () => {
  test('a partition holds everything back until it is healed', async () => {
    const world = new SimWorld({ seed: 3, autoRun: false });
    const [a, b] = [world.machine('a'), world.machine('b')];
    await world.scheduler.run(async () => {
      const [client, server] = await connect(a, b);
      world.network.partition(['a'], ['b']);
      client.stream.write(text('held'));
      await new Promise<void>((resolve) => a.timers.after(10_000, resolve));
      expect(server.received).toBe('');
      const connecting = a.network.connect({ host: 'b', port: 1 }, 50);
      await expect(connecting).rejects.toThrow(/no connection within 50 ms/);
      world.network.heal();
      await server.until(() => server.received === 'held');
      world.network.reset('a', 'b');
      await client.until(() => client.closes > 0);
      await server.until(() => server.closes > 0);
      expect(server.error).toMatchObject({ code: 'UNAVAILABLE' });
    });
  });

  test('loss breaks streams; bandwidth and delay take time', async () => {
    const world = new SimWorld({ seed: 4, autoRun: false });
    const [a, b] = [world.machine('a'), world.machine('b')];
    world.network.setLink('a', 'b', { delayMs: 100, jitterMs: 0, bytesPerMs: 100 });
    await world.scheduler.run(async () => {
      const [client, server] = await connect(a, b);
      const start = a.clock.monotonicMs();
      client.stream.write(new Uint8Array(10_000));
      await server.until(() => server.received.length === 10_000);
      const elapsedMs = a.clock.monotonicMs() - start;
      expect(elapsedMs).toBeGreaterThanOrEqual(200);
      expect(elapsedMs).toBeLessThan(201);
      world.network.setDefaults({ lossProbability: 0.5 });
      for (let i = 0; i < 100 && server.closes === 0; i++) {
        server.stream.write(text('x'));
        await a.timers.nextTurn();
      }
      await client.until(() => client.closes > 0);
    });
  });
});

describe('a crash of a process', () => {
  test('stops its code, resets its streams, frees its addresses and locks', async () => {
    const world = new SimWorld({ seed: 5, autoRun: false });
    const [a, b] = [world.machine('a'), world.machine('b')];
    let lived = 0;
    await world.scheduler.run(async () => {
      const file = await a.disk.open('/f', OPEN_MODES.CREATE);
      await file.lock();
      await file.write([text('synced')], 0);
      await file.sync();
      await a.disk.syncDirectory('/');
      const tick = (): void => {
        lived++;
        a.timers.after(1, tick);
      };
      tick();
      const [client, server] = await connect(b, a);
      const listener = await a.network.listen({ host: 'a', port: 2379 }, () => {});
      const writing = file.write([text('unsynced')], 6).then(() => lived++);
      const next = a.crash();
      const before = lived;
      await client.until(() => client.closes > 0);
      expect(client.error).toMatchObject({ code: 'UNAVAILABLE' });
      expect(server.closes).toBe(0);
      await new Promise<void>((resolve) => b.timers.after(100, resolve));
      expect(lived).toBe(before);
      expect(writing).toBeInstanceOf(Promise);
      await next.network.listen(listener.address, () => {});
      const found = await next.disk.open('/f', OPEN_MODES.WRITE);
      await found.lock();
      const bytes = new Uint8Array(6);
      await found.read(bytes, 0);
      expect(latin1FromBytes(bytes)).toBe('synced');
    });
  });
});

describe('a process that is paused', () => {
  test('gets no time; its system keeps what arrives; then it goes on in order', async () => {
    const world = new SimWorld({ seed: 6, autoRun: false });
    const [a, b] = [world.machine('a'), world.machine('b')];
    const pause = (ms: number) => new Promise<void>((resolve) => b.timers.after(ms, resolve));
    await world.scheduler.run(async () => {
      const order: string[] = [];
      const [client, server] = await connect(b, a);
      const file = await a.disk.open('/f', OPEN_MODES.CREATE);
      a.timers.after(5, () => order.push(`timer at ${Math.round(a.clock.monotonicMs())}`));
      const cancelled = a.timers.after(6, () => order.push('cancelled'));
      a.timers.after(7, () => cancelled.cancel());
      a.timers.after(8, () => order.push('later timer'));
      a.timers.atEndOfTurn(() => order.push('end of turn'));
      void file.sync().then(() => order.push('synced'));
      await a.network.listen({ host: '', port: 7 }, (stream) => {
        new Recorder(stream);
        order.push('accepted');
      });
      const startMs = a.clock.monotonicMs();
      a.pause();
      client.stream.write(text('data'));
      const second = await b.network.connect({ host: 'a', port: 7 }, 1000);
      second.write(text('x'));
      await pause(100);
      expect(order).toEqual([]);
      expect(server.received).toBe('');
      expect(a.clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(100);
      a.resume();
      a.resume();
      await server.until(() => server.received === 'data');
      await pause(1);
      const [, , , timer] = order;
      expect(Number(/\d+$/.exec(timer ?? '')?.[0])).toBeGreaterThanOrEqual(100);
      const names = order.map((each) => each.replace(/ at .*/, ''));
      expect(names.sort()).toEqual(
        ['accepted', 'cancelled', 'end of turn', 'later timer', 'synced', 'timer'].sort(),
      );
      expect(order.indexOf('end of turn')).toBeLessThan(order.indexOf('synced'));
      expect(order.indexOf(timer!)).toBeLessThan(order.indexOf('later timer'));
    });
  });

  test('a reader that is paused fills its window, and no more', async () => {
    const world = new SimWorld({ seed: 7, autoRun: false });
    const [a, b] = [world.machine('a'), world.machine('b')];
    await world.scheduler.run(async () => {
      const [client, server] = await connect(b, a);
      a.pause();
      for (let i = 0; i < 100; i++) client.stream.write(new Uint8Array(10_000).fill(97));
      await new Promise<void>((resolve) => b.timers.after(1000, resolve));
      expect(client.stream.bufferedBytes).toBeGreaterThan(500_000);
      a.resume();
      await server.until(() => server.received.length === 1_000_000);
    });
  });

  test('may be killed', async () => {
    const world = new SimWorld({ seed: 8, autoRun: false });
    const [a, b] = [world.machine('a'), world.machine('b')];
    await world.scheduler.run(async () => {
      const [client, server] = await connect(b, a);
      a.pause();
      client.stream.write(text('data'));
      await new Promise<void>((resolve) => b.timers.after(10, resolve));
      a.crash();
      a.resume();
      await client.until(() => client.closes > 0);
      expect([server.received, server.closes]).toEqual(['', 0]);
    });
  });
});

describe('a clock that drifts', () => {
  test('measures other times than the world, and so do its timers', async () => {
    const world = new SimWorld({ seed: 9, autoRun: false });
    const [fast, slow] = [world.machine('fast'), world.machine('slow')];
    fast.clock.drift(1.25);
    slow.clock.drift(0.5);
    await world.scheduler.run(async () => {
      const wallMs = fast.clock.wallMs();
      const fired: string[] = [];
      fast.timers.after(1000, () => fired.push(`fast ${Math.round(world.scheduler.nowMs)}`));
      slow.timers.after(300, () => fired.push(`slow ${Math.round(world.scheduler.nowMs)}`));
      await new Promise<void>((resolve) => fast.timers.after(1250, resolve));
      expect(fired).toEqual(['slow 600', 'fast 800']);
      expect(fast.clock.wallMs() - wallMs).toBe(1250);
      expect(slow.clock.monotonicMs()).toBeCloseTo(500, 0);
    });
  });

  test('a timer waits for a clock that was slowed down', async () => {
    const world = new SimWorld({ seed: 10, autoRun: false });
    const a = world.machine('a');
    await world.scheduler.run(async () => {
      const due = new Promise<void>((resolve) => a.timers.after(100, resolve));
      a.clock.drift(0.5);
      await due;
      expect(a.clock.monotonicMs()).toBeGreaterThanOrEqual(100 - 1e-6);
      expect(world.scheduler.nowMs).toBeCloseTo(200, 0);
    });
  });
});

test('equal seeds have equal fingerprints, different ones do not', async () => {
  const fingerprint = async (seed: number): Promise<number> => {
    const env = createSimEnv({ seed, autoRun: false });
    await env.run(async () => {
      const file = await env.disk.open('/f', OPEN_MODES.CREATE);
      for (let i = 0; i < 10; i++) await file.sync();
    });
    return env.world.scheduler.fingerprint;
  };
  expect(await fingerprint(1)).toBe(await fingerprint(1));
  expect(await fingerprint(1)).not.toBe(await fingerprint(2));
});
