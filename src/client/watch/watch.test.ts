import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import { STATUS } from '../../grpc/index.ts';
import type { mvccpb } from '../../protocol/index.ts';
import { ClientWorld, type SimEtcd } from '../sim-etcd.fixture.ts';
import type { Watcher } from './watcher.ts';

/** Reads `count` events. */
async function take(watcher: Watcher, count: number): Promise<string[]> {
  const events: string[] = [];
  if (count === 0) return events;
  for await (const { kv, type } of watcher) {
    events.push(`${kv.modRevision} ${type} ${kv.keyText}=${kv.valueText}`);
    if (events.length === count) break;
  }
  return events;
}

/** Reads in the background. */
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

describe('a watch', () => {
  test('delivers what happens from its creation on', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      etcd.apply({ key: 'a', value: 'before' });
      const watcher = world.client().watch('a');
      await watcher.created;
      etcd.apply({ key: 'b', value: 'other' });
      etcd.apply({ key: 'a', value: '1' }, { key: 'ab', value: '2' });
      etcd.apply({ key: 'a', value: undefined });
      expect(await take(watcher, 2)).toEqual(['4 put a=1', '5 delete a=']);
      await world.sleep(100);
      // Leaving the loop has ended the only watch, and the stream with it.
      expect(etcd.watchStreams).toBe(0);
    });
  });

  test('begins at a revision of the past, over a prefix, on a stream shared with others', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      for (let i = 0; i < 5; i++) etcd.apply({ key: `k${i}`, value: `${i}` });
      const client = world.client();
      const watchers = [0, 1, 2].map((i) =>
        client.watch('k', { prefix: true, startRevision: 2 + i }),
      );
      const all = await Promise.all(watchers.map((each, i) => take(each, 5 - i)));
      expect(all[0]).toEqual([0, 1, 2, 3, 4].map((i) => `${2 + i} put k${i}=${i}`));
      expect(all[2]).toEqual(all[0]!.slice(2));
    });
  });

  test('many share one stream and are created without waiting for each other', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const client = world.client();
      const watchers = Array.from({ length: 500 }, (_unused, i) => client.watch(`k${i}`));
      const readers = watchers.map(read);
      await Promise.all(watchers.map(({ created }) => created));
      expect(world.etcd.watchStreams).toBe(1);
      for (let i = 0; i < 500; i++) world.etcd.apply({ key: `k${i}`, value: '' });
      await world.sleep(100);
      expect(readers.map(({ events }) => events.length)).toEqual(readers.map(() => 1));
      world.reset();
      await world.sleep(1_000);
      for (let i = 0; i < 500; i++) world.etcd.apply({ key: `k${i}`, value: '' });
      await world.sleep(100);
      expect(readers.map(({ events }) => events.length)).toEqual(readers.map(() => 2));
      for (const watcher of watchers) watcher.close();
      await world.sleep(100);
      expect(world.etcd.watchStreams).toBe(0);
    });
  });

  test('that the server refuses fails alone', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const client = world.client();
      const [first, forbidden, last] = ['a', 'forbidden', 'b'].map((key) => client.watch(key));
      await expect(forbidden!.created).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
      await expect(read(forbidden!).end).resolves.toMatchObject({ code: 'PERMISSION_DENIED' });
      await Promise.all([first!.created, last!.created]);
      world.etcd.apply({ key: 'b', value: '1' });
      expect(await take(last!, 1)).toEqual(['2 put b=1']);
    });
  });

  test('reports progress, and what was asked for by hand', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const client = world.client();
      const watcher = client.watch('a', { progressNotify: true });
      await watcher.created;
      world.etcd.apply({ key: 'other', value: '' });
      world.etcd.progress();
      const responses = watcher.responses();
      const { value } = await responses.next();
      expect(value).toMatchObject({ isProgress: true, events: [], header: { revision: 2 } });
      client.requestWatchProgress();
      expect((await responses.next()).value).toMatchObject({ isProgress: true });
      // After a break it goes on from there: the revision may be gone below.
      world.etcd.compact(2);
      world.reset();
      await world.sleep(1_000);
      world.etcd.apply({ key: 'a', value: 'x' });
      expect((await responses.next()).value!.events).toHaveLength(1);
    });
  });

  test('is ended by a signal with its reason, and by close without one', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const client = world.client();
      const controller = new AbortController();
      const aborted = read(client.watch('a', { signal: controller.signal }));
      const closed = client.watch('a');
      const closedReader = read(closed);
      await world.sleep(100);
      controller.abort(new Error('enough'));
      closed.close();
      await expect(aborted.end).resolves.toMatchObject({ message: 'enough' });
      await expect(closedReader.end).resolves.toBe('closed');
      const late = read(client.watch('a', { signal: controller.signal }));
      await expect(late.end).resolves.toMatchObject({ message: 'enough' });
      const open = read(client.watch('b'));
      client.close();
      await expect(open.end).resolves.toBe('closed');
      expect(() => client.watch('b')).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    });
  });
});

describe('a watch goes on', () => {
  const breaks: ReadonlyArray<readonly [string, (world: ClientWorld) => void]> = [
    ['a broken connection', (world) => world.reset()],
    ['a server that restarts', (world) => world.etcd.restart()],
    [
      'UNAVAILABLE',
      ({ etcd }) => etcd.endWatchStreams(STATUS.UNAVAILABLE, 'etcdserver: no leader'),
    ],
    ['a stream ended in order', ({ etcd }) => etcd.endWatchStreams(STATUS.OK)],
  ];

  test.each(breaks)('after %s, without loss or repetition', async (_name, breakIt) => {
    const world = new ClientWorld();
    await world.run(async () => {
      const watcher = world.client().watch('k', { prefix: true });
      const { events } = read(watcher);
      await watcher.created;
      const expected: string[] = [];
      for (let round = 0; round < 5; round++) {
        for (let i = 0; i < 3; i++) expected.push(`${world.etcd.apply({ key: 'k', value: '' })} k`);
        // With what was just sent still on its way.
        if (round % 2 === 1) await world.sleep(5);
        breakIt(world);
        for (let i = 0; i < 3; i++) expected.push(`${world.etcd.apply({ key: 'k', value: '' })} k`);
        await world.sleep(2_000);
        expect(events).toEqual(expected);
      }
    });
  });

  test('while the server is unreachable for long', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const watcher = world.client().watch('k');
      const { events } = read(watcher);
      await watcher.created;
      world.world.network.partition(['client'], ['server']);
      world.reset();
      await world.sleep(60_000);
      world.etcd.apply({ key: 'k', value: '' });
      world.world.network.heal();
      await world.sleep(20_000);
      expect(events).toEqual(['2 k']);
    });
  });

  test('between the fragments of one revision', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      etcd.fragmentEvents = 2;
      const watcher = world.client().watch('k', { prefix: true, fragment: true });
      const { events } = read(watcher);
      await watcher.created;
      let sent = 0;
      etcd.beforeEvents = () => (++sent % 5 === 3 ? 'break' : 'send');
      const names = Array.from({ length: 7 }, (_unused, i) => `k${i}`);
      for (let round = 0; round < 3; round++) {
        etcd.apply(...names.map((key) => ({ key, value: '' })));
        await world.sleep(5_000);
      }
      expect(events).toEqual([2, 3, 4].flatMap((revision) => names.map((n) => `${revision} ${n}`)));
    });
  });

  test('though the server repeats events', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      const watcher = world.client().watch('k', { prefix: true });
      const { events } = read(watcher);
      await watcher.created;
      etcd.apply({ key: 'k1', value: '' });
      etcd.apply({ key: 'k2', value: '' });
      etcd.inject({ events: [...etcd.history[2]!, ...etcd.history[3]!] });
      etcd.apply({ key: 'k3', value: '' });
      await world.sleep(10);
      expect(events).toEqual(['2 k1', '3 k2', '4 k3']);
    });
  });
});

describe('a watch fails', () => {
  test('when its start is compacted, with the revision that is left', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      for (let i = 0; i < 9; i++) world.etcd.apply({ key: 'k', value: '' });
      world.etcd.compact(5);
      const watcher = world.client().watch('k', { startRevision: 3 });
      await expect(read(watcher).end).resolves.toMatchObject({
        code: 'COMPACTED',
        compactRevision: 5,
      });
      expect(watcher.cancellation).toMatchObject({ canceled: true, compactRevision: 5 });
      expect(watcher.open).toBe(false);
    });
  });

  test('when the place where it broke off is compacted, after what had arrived', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      const watcher = world.client().watch('k');
      await watcher.created;
      etcd.apply({ key: 'k', value: '1' });
      await world.sleep(10);
      world.world.network.partition(['client'], ['server']);
      world.reset();
      for (let i = 0; i < 9; i++) etcd.apply({ key: 'k', value: '' });
      etcd.compact(8);
      world.world.network.heal();
      const reader = read(watcher);
      await expect(reader.end).resolves.toMatchObject({ code: 'COMPACTED', compactRevision: 8 });
      expect(reader.events).toEqual(['2 k']);
    });
  });

  test('when the server cancels it, with the reason', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const client = world.client();
      const first = client.watch('a');
      await first.created;
      world.etcd.cancelWatches('etcdserver: permission denied');
      await expect(read(first).end).resolves.toMatchObject({ code: 'PERMISSION_DENIED' });
      const second = client.watch('a');
      await second.created;
      world.etcd.cancelWatches('');
      await expect(read(second).end).resolves.toMatchObject({ code: 'WATCH_CANCELED' });
    });
  });

  test('when the stream is refused for good', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.etcd.refuseWatches = { status: STATUS.UNIMPLEMENTED, text: 'unknown service' };
      const client = world.client();
      const readers = [read(client.watch('a')), read(client.watch('b'))];
      for (const { end } of readers) {
        await expect(end).resolves.toMatchObject({ code: STATUS.UNIMPLEMENTED });
      }
    });
  });

  test('not when the stream is refused for now', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.etcd.refuseWatches = { status: STATUS.UNAVAILABLE, text: 'etcdserver: no leader' };
      const watcher = world.client().watch('a');
      await world.sleep(30_000);
      world.etcd.refuseWatches = undefined;
      await watcher.created;
    });
  });

  test('by a message that makes no sense', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const watcher = world.client().watch('a');
      await watcher.created;
      world.etcd.inject({ header: { clusterId: 1n, memberId: 1n, revision: -1, raftTerm: 0 } });
      world.etcd.apply({ key: 'a', value: 'still there' });
      const response = await watcher.responses().next();
      expect(response.value).toMatchObject({ isProgress: true });
    });
  });
});

describe('a slow reader', () => {
  const VALUE = 'x'.repeat(100_000);

  test('costs a bounded buffer and holds nobody up', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      const client = world.client();
      const slow = client.watch('k');
      const fast = client.watch('k');
      const { events } = read(fast);
      await Promise.all([slow.created, fast.created]);
      for (let i = 0; i < 200; i++) {
        etcd.apply({ key: 'k', value: VALUE });
        if (i % 10 === 0) await world.sleep(50);
      }
      await world.sleep(1_000);
      expect(events).toHaveLength(200);
      // Ended at the server until its reader comes back.
      expect(etcd.watches).toBe(1);
      const seen = (await take(slow, 200)).map((event) => Number.parseInt(event, 10));
      expect(seen).toEqual(Array.from({ length: 200 }, (_unused, i) => i + 2));
    });
  });

  test('goes on after a break in which it was suspended', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      const watcher = world.client().watch('k');
      await watcher.created;
      for (let i = 0; i < 60; i++) {
        etcd.apply({ key: 'k', value: VALUE });
        if (i % 5 === 0) await world.sleep(50);
      }
      expect(etcd.watches).toBe(0);
      world.reset();
      await world.sleep(5_000);
      expect(await take(watcher, 60)).toHaveLength(60);
    });
  });
});

/** Watches under random faults; what each was delivered is compared with the history. */
async function randomRun(seed: number): Promise<void> {
  const world = new ClientWorld(seed);
  const random = seededRandom(seed);
  const { etcd } = world;
  etcd.fragmentEvents = 1 + random.below(3);
  await world.run(async () => {
    const client = world.client();
    const watches: Array<{ prefix: string; from: number; seen: string[] }> = [];
    const value = 'v'.repeat(1 << random.below(16));
    for (let step = 0; step < 150; step++) {
      const dice = random.below(100);
      if (dice < 10 && watches.length < 8) await addWatch(world, client, watches, random.below(4));
      else if (dice < 15) world.reset();
      else if (dice < 17) etcd.restart();
      else if (dice < 20) etcd.endWatchStreams(STATUS.UNAVAILABLE, 'x');
      else if (dice < 23) etcd.progress();
      else if (dice < 40) await world.sleep(random.below(300));
      else {
        etcd.beforeEvents = () => (random.below(40) === 0 ? 'break' : 'send');
        const count = 1 + random.below(5);
        etcd.apply(...Array.from({ length: count }, (_unused, i) => ({ key: `k${i}`, value })));
      }
    }
    etcd.beforeEvents = undefined;
    await world.sleep(30_000);
    for (const { prefix, from, seen } of watches) {
      expect(seen, `seed ${seed}`).toEqual(namesOf(etcd, prefix, from));
    }
    client.close();
  });
}

async function addWatch(
  world: ClientWorld,
  client: ReturnType<ClientWorld['client']>,
  watches: Array<{ prefix: string; from: number; seen: string[] }>,
  kind: number,
): Promise<void> {
  const prefix = kind === 3 ? 'k1' : 'k';
  const from = kind === 0 ? 1 : world.etcd.revision + 1;
  const watcher = client.watch(prefix, { prefix: true, startRevision: from, fragment: true });
  const seen: string[] = [];
  watches.push({ prefix, from, seen });
  void (async () => {
    for await (const { kv } of watcher) {
      seen.push(`${kv.modRevision} ${kv.keyText}`);
      if (kind === 2) await world.sleep(20);
    }
  })();
}

function namesOf(etcd: SimEtcd, prefix: string, from: number): string[] {
  return etcd.history
    .slice(from)
    .flatMap((events) =>
      events
        .filter(({ kv }: mvccpb.Event) => Buffer.from(kv!.key).toString().startsWith(prefix))
        .map(({ kv }) => `${kv!.modRevision} ${Buffer.from(kv!.key).toString()}`),
    );
}

// Another run: TETCD_SEED=123 npx vitest run src/client/watch/watch.test.ts
const SEEDS = process.env['TETCD_SEED']
  ? [Number(process.env['TETCD_SEED'])]
  : Array.from({ length: 30 }, (_unused, i) => i + 1);

describe('watches under random faults', () => {
  test.each(SEEDS)('deliver the history once and in order (seed %i)', async (seed) => {
    await randomRun(seed);
  });
});
