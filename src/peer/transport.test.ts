import { afterEach, describe, expect, test } from 'vitest';
import { SimWorld } from '../env/sim/index.ts';
import { createNodeEnv } from '../net/index.ts';
import {
  connectAll,
  entries,
  type Member,
  MessageType,
  message,
  startMember,
  startMembers,
  stopAll,
} from './rig.fixture.ts';

let running: Member[] = [];

afterEach(async () => {
  const members = running;
  running = [];
  await stopAll(members);
});

const linked = (members: readonly Member[]): boolean =>
  members.every((member) => {
    const established = member.log.lines.filter((line) =>
      line.text.startsWith('established TCP streaming'),
    );
    return established.length >= 4 * (members.length - 1);
  });

describe('two members in a simulated world', () => {
  async function pair(seed: number): Promise<{ world: SimWorld; a: Member; b: Member }> {
    const world = new SimWorld({ seed });
    const { members } = await startMembers(world, 2);
    running = members;
    await world.scheduler.runUntil(() => linked(members), 10_000);
    return { world, a: members[0]!, b: members[1]! };
  }

  test('exchange heartbeats and appends over their streams, in order', async () => {
    const { world, a, b } = await pair(1);
    for (let i = 0; i < 100; i++) {
      a.transport.send(
        message({
          type: MessageType.MsgApp,
          from: 1n,
          to: 2n,
          term: 3,
          logTerm: 3,
          index: 10 + i,
          entries: entries(11 + i, 1, 3),
          commit: 10,
        }),
      );
      b.transport.send(message({ type: MessageType.MsgHeartbeatResp, from: 2n, to: 1n, term: 3 }));
    }
    await world.scheduler.runUntil(
      () => b.host.received.length === 100 && a.host.received.length === 100,
      1000,
    );
    expect(b.host.received.map((one) => one.index)).toEqual(
      Array.from({ length: 100 }, (_, i) => 10 + i),
    );
    expect(b.host.received[57]!.entries).toEqual(entries(68, 1, 3));
    expect(a.host.received[0]!.type).toBe(MessageType.MsgHeartbeatResp);
    expect(a.transport.activeSince(2n)).toBeTypeOf('number');
  });

  test('stay linked for a minute without messages, and probe each other', async () => {
    const { world, a, b } = await pair(2);
    const lines = a.log.lines.length;
    await world.scheduler.runFor(60_000);
    expect(a.log.lines.slice(lines)).toEqual([]);
    expect(b.log.has('lost TCP streaming connection with remote peer')).toBe(false);
    const probes = a.metrics.roundTripSeconds('2');
    expect(probes.counts.reduce((sum, one) => sum + one, 0)).toBeGreaterThan(3);
    expect(probes.sum).toBeGreaterThan(0);
  });

  test('a snapshot arrives whole, with its digest checked', async () => {
    const { world, a, b } = await pair(3);
    const piece = new Uint8Array(100_000).map((_, i) => i % 253);
    let closes = 0;
    const sent = await world.scheduler.run(() =>
      a.transport.sendSnapshot(
        message({
          type: MessageType.MsgSnap,
          from: 1n,
          to: 2n,
          term: 1,
          snapshot: {
            data: new Uint8Array(0),
            metadata: { confState: undefined, index: 5, term: 1 },
          },
        }),
        {
          size: 20 * piece.length,
          async *chunks() {
            for (let i = 0; i < 20; i++) yield piece.slice();
          },
          close: () => closes++,
        },
      ),
    );
    expect(sent).toBe(true);
    expect(closes).toBe(1);
    expect(b.host.databases[0]!.length).toBe(20 * piece.length);
    expect(b.host.received.at(-1)!.type).toBe(MessageType.MsgSnap);
  });
});

test('two members over real sockets', async () => {
  const env = createNodeEnv();
  const a = await startMember(env, { id: 1n, host: '127.0.0.1', port: 0 });
  const b = await startMember(env, { id: 2n, host: '127.0.0.1', port: 0 });
  running = [a, b];
  connectAll(running);
  await expect.poll(() => linked(running), { timeout: 5000 }).toBe(true);
  for (let i = 0; i < 1000; i++) {
    a.transport.send(
      message({
        type: MessageType.MsgApp,
        from: 1n,
        to: 2n,
        term: 1,
        logTerm: 1,
        index: i,
        entries: entries(i + 1, 1, 1, 1000),
      }),
    );
  }
  await expect.poll(() => b.host.received.length, { timeout: 5000 }).toBe(1000);
});

test('messages are posted to a remote, and to a peer without streams', async () => {
  const world = new SimWorld({ seed: 5 });
  const { members } = await startMembers(world, 2);
  running = members;
  const [a, b] = members;
  a!.transport.addRemote(9n, [b!.url]);
  a!.transport.send(message({ type: MessageType.MsgVote, from: 1n, to: 9n, term: 1 }));
  a!.transport.send(message({ type: MessageType.MsgVote, from: 1n, to: 2n, term: 1 }));
  await world.scheduler.runUntil(() => b!.host.received.length === 2, 5000);
  expect(b!.host.received.map((one) => one.to).sort()).toEqual([2n, 9n]);
});

test('a post whose connection breaks before the answer is not made again', async () => {
  const world = new SimWorld({ seed: 6 });
  const { members } = await startMembers(world, 2);
  running = members;
  const [a, b] = members;
  a!.transport.addRemote(9n, [b!.url]);
  const proposal = message({ type: MessageType.MsgProp, from: 1n, to: 9n });
  a!.transport.send(proposal);
  await world.scheduler.runUntil(() => b!.host.received.length === 1, 5000);
  await world.scheduler.runFor(100);
  // The next one goes over the connection that was kept.
  const { receive } = b!.host;
  b!.host.receive = (one) => {
    world.network.reset('m1', 'm2');
    return receive.call(b!.host, one);
  };
  a!.transport.send(proposal);
  await world.scheduler.runFor(5000);
  expect(b!.host.received).toHaveLength(2);
  expect(a!.host.unreachable).toContain(9n);
});
