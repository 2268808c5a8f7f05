// Members in a simulated network that breaks: what the links do, what they hold, what they report.

import { afterEach, describe, expect, test } from 'vitest';
import { seededRandom } from '../base/index.ts';
import { type SimEnv, SimWorld } from '../env/sim/index.ts';
import { raftpb } from '../protocol/index.ts';
import { requestPeer } from './index.ts';
import { REMOTES_MAX, STREAM_BYTES_MAX, STREAM_MESSAGES_MAX } from './limits.ts';
import {
  entries,
  type Member,
  MessageType,
  message,
  PORT,
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

interface Rig {
  readonly world: SimWorld;
  readonly envs: SimEnv[];
  readonly members: Member[];
}

async function rig(seed: number, count: number): Promise<Rig> {
  const world = new SimWorld({ seed });
  const { envs, members } = await startMembers(world, count);
  running = members;
  await world.scheduler.runUntil(() => members.every(isLinked(members)), 10_000);
  return { world, envs, members };
}

/** Both streams to and from every other member are open, as far as its log tells. */
function isLinked(members: readonly Member[]): (member: Member) => boolean {
  return (member) => {
    const wanted = 4 * (members.length - 1);
    const established = member.log.lines.filter((line) => line.text.startsWith('established'));
    return established.length >= wanted;
  };
}

const heartbeat = (from: bigint, to: bigint, term = 1) =>
  message({ type: MessageType.MsgHeartbeat, from, to, term });

const append = (from: bigint, to: bigint, index: number, size: number) =>
  message({
    type: MessageType.MsgApp,
    from,
    to,
    term: 1,
    logTerm: 1,
    index,
    entries: entries(index + 1, 1, 1, size),
  });

describe('three members', () => {
  test.each([11, 12, 13])('get everything through a slow network (seed %i)', async (seed) => {
    const { world, members } = await rig(seed, 3);
    world.network.setDefaults({ delayMs: 40, jitterMs: 80, bytesPerMs: 2000 });
    const random = seededRandom(seed);
    for (let i = 0; i < 300; i++) {
      const from = members[random.below(3)]!;
      const to = members[random.below(3)]!;
      if (from === to) continue;
      from.transport.send(append(from.id, to.id, i, random.below(5000)));
      from.transport.send(heartbeat(from.id, to.id, i));
      if (i % 10 === 0) await world.scheduler.runFor(20);
    }
    await world.scheduler.runFor(5000);
    for (const member of members) {
      for (const other of members) {
        const terms = member.host.received
          .filter((one) => one.type === MessageType.MsgHeartbeat && one.from === other.id)
          .map((one) => one.term);
        expect(terms).toEqual([...terms].sort((a, b) => a - b));
      }
    }
    const all = members.flatMap((member) => member.host.received);
    expect(all.filter((one) => one.type === MessageType.MsgApp)).toHaveLength(all.length / 2);
    expect(members.flatMap((member) => member.host.unreachable)).toEqual([]);
  });

  test.each([21, 22])('link again after every loss (seed %i)', async (seed) => {
    const { world, members } = await rig(seed, 3);
    world.network.setDefaults({ lossProbability: 0.05 });
    for (let i = 0; i < 200; i++) {
      for (const a of members) {
        for (const b of members) if (a !== b) a.transport.send(heartbeat(a.id, b.id));
      }
      await world.scheduler.runFor(50);
    }
    world.network.setDefaults({ lossProbability: 0 });
    await world.scheduler.runFor(1000);
    for (const member of members) member.host.received.length = 0;
    for (const a of members) {
      for (const b of members) if (a !== b) a.transport.send(heartbeat(a.id, b.id));
    }
    await world.scheduler.runFor(1000);
    for (const member of members) expect(member.host.received).toHaveLength(2);
  });

  test('a partition is noticed on both sides and ends', async () => {
    const { world, members } = await rig(31, 3);
    const [a, b, c] = members as [Member, Member, Member];
    world.network.partition(['m1'], ['m2', 'm3']);
    await world.scheduler.runFor(15_000);
    expect(a.transport.activeSince(2n)).toBeUndefined();
    expect(b.transport.activeSince(1n)).toBeUndefined();
    expect(b.transport.activeSince(3n)).toBeTypeOf('number');
    expect(a.log.has('prober detected unhealthy status')).toBe(true);
    expect(a.metrics.disconnectedPeers('1', '2').value).toBeGreaterThan(0);
    expect(a.metrics.activePeers('1', '2').value).toBe(0);
    world.network.heal();
    await world.scheduler.runFor(5000);
    c.transport.send(heartbeat(3n, 1n));
    a.transport.send(heartbeat(1n, 2n));
    await world.scheduler.runFor(500);
    expect(a.host.received.length).toBeGreaterThan(0);
    expect(b.host.received.length).toBeGreaterThan(0);
    expect(a.transport.activeSince(2n)).toBeTypeOf('number');
  });

  test('a cut in one direction ends the links of both', async () => {
    const { world, members } = await rig(32, 2);
    const [a, b] = members as [Member, Member];
    world.network.cut('m1', 'm2');
    await world.scheduler.runFor(20_000);
    expect(a.transport.activeSince(2n)).toBeUndefined();
    expect(b.transport.activeSince(1n)).toBeUndefined();
  });

  test('who hears nothing gives the links up after the i/o timeout, and links again', async () => {
    const { world, members } = await rig(34, 2);
    const [a, b] = members as [Member, Member];
    const lost = (): boolean => b.log.has('lost TCP streaming connection with remote peer');
    world.network.cut('m1', 'm2');
    await world.scheduler.runFor(3000);
    expect(lost()).toBe(false);
    await world.scheduler.runFor(3000);
    expect(lost()).toBe(true);
    world.network.heal();
    await world.scheduler.runFor(5000);
    a.transport.send(heartbeat(1n, 2n));
    b.transport.send(heartbeat(2n, 1n));
    await world.scheduler.runFor(100);
    expect(a.host.received).toHaveLength(1);
    expect(b.host.received).toHaveLength(1);
  });

  test('a dial that is accepted and not answered is repeated before the i/o timeout', async () => {
    const world = new SimWorld({ seed: 35 });
    const env = world.machine('m2');
    const ignored = { onData: () => {}, onDrain: () => {}, onEnd: () => {}, onClose: () => {} };
    const silent = await env.network.listen({ host: '', port: PORT }, (stream) => {
      stream.handler = ignored;
    });
    const a = await startMember(world.machine('m1'), { id: 1n, host: 'm1', port: PORT });
    running = [a];
    a.transport.addPeer(2n, [`http://m2:${PORT}`]);
    await world.scheduler.runFor(500);
    await silent.close();
    const b = await startMember(env, { id: 2n, host: 'm2', port: PORT });
    running = [a, b];
    b.transport.addPeer(1n, [a.url]);
    await world.scheduler.runUntil(() => [a, b].every(isLinked([a, b])), 3_000);
    expect([a, b].every(isLinked([a, b]))).toBe(true);
  });

  test('a member that restarts is linked again', async () => {
    const { world, envs, members } = await rig(33, 2);
    const [a] = members as [Member, Member];
    const env = envs[1]!.crash({ unsynced: 'kept' });
    await world.scheduler.runFor(3000);
    const again = await startMember(env, { id: 2n, host: 'm2', port: PORT });
    again.transport.addPeer(1n, [a.url]);
    running = [a, again];
    await world.scheduler.runFor(1000);
    a.transport.send(heartbeat(1n, 2n));
    again.transport.send(heartbeat(2n, 1n));
    await world.scheduler.runFor(100);
    expect(again.host.received).toHaveLength(1);
    expect(a.host.received).toHaveLength(1);
  });
});

describe('what waits is bounded', () => {
  test('a peer that reads slowly costs no more than the bound; heartbeats pass', async () => {
    const { world, members } = await rig(41, 2);
    const [a, b] = members as [Member, Member];
    world.network.setLink('m1', 'm2', { bytesPerMs: 1000 });
    const size = 1 << 20;
    for (let i = 0; i < 200; i++) a.transport.send(append(1n, 2n, i, size));
    const dropped = a.host.unreachable.length;
    expect(dropped).toBe(200 - STREAM_BYTES_MAX / size + 1);
    expect(a.metrics.sentFailures('2').value).toBe(dropped);
    expect(a.log.has('dropped internal Raft message since sending buffer is full')).toBe(true);
    a.transport.send(heartbeat(1n, 2n));
    await world.scheduler.runFor(2000);
    expect(b.host.received.some((one) => one.type === MessageType.MsgHeartbeat)).toBe(true);
    expect(b.host.received.filter((one) => one.type === MessageType.MsgApp).length).toBeLessThan(9);
    await world.scheduler.runFor(80_000);
    const taken = b.host.received.filter((one) => one.type === MessageType.MsgApp);
    expect(taken.map((one) => one.index)).toEqual(taken.map((_, i) => i));
    expect(taken.length).toBe(200 - dropped);
  });

  test('a stream takes 4096 messages while the socket takes none', async () => {
    const { world, members } = await rig(42, 2);
    const [a] = members as [Member, Member];
    world.network.cut('m1', 'm2');
    // Fills what the network and the socket hold.
    const proposal = raftpb.EntryCodec.create({ data: new Uint8Array(1 << 20) });
    a.transport.send(message({ type: MessageType.MsgProp, from: 1n, to: 2n, entries: [proposal] }));
    await world.scheduler.runFor(1);
    for (let i = 0; i < 5000; i++) a.transport.send(heartbeat(1n, 2n));
    // The proposal is one of those that wait.
    expect(a.host.unreachable.length).toBe(5000 - STREAM_MESSAGES_MAX + 1);
  });

  test('a link that takes nothing for the i/o timeout is given up', async () => {
    const { world, members } = await rig(43, 2);
    const [a] = members as [Member, Member];
    world.network.cut('m1', 'm2');
    for (let i = 0; i < 20; i++) a.transport.send(append(1n, 2n, i, 1 << 20));
    await world.scheduler.runFor(8000);
    expect(a.log.has('lost TCP streaming connection with remote peer')).toBe(true);
    expect(a.host.unreachable).toContain(2n);
  });

  test('posts wait in a short queue', async () => {
    const world = new SimWorld({ seed: 44 });
    const env = world.machine('m1');
    const a = await startMember(env, { id: 1n, host: 'm1' });
    running = [a];
    a.transport.addRemote(9n, ['http://nowhere:1']);
    for (let i = 0; i < 100; i++) a.transport.send(heartbeat(1n, 9n));
    expect(a.metrics.sentFailures('9').value).toBe(100 - 64 - 4);
    await world.scheduler.runFor(5000);
    expect(a.metrics.sentFailures('9').value).toBe(100);
  });
});

test('of strangers who name an address, the newest are known', async () => {
  const world = new SimWorld({ seed: 45 });
  const a = await startMember(world.machine('m1'), { id: 1n, host: 'm1' });
  const b = await startMember(world.machine('m2'), { id: 0xffn, host: 'm2' });
  running = [a, b];
  const stranger = async (id: number): Promise<void> => {
    const headers = {
      'X-Server-Version': '3.5.0',
      'X-Min-Cluster-Version': '3.0.0',
      'X-Etcd-Cluster-ID': 'cafe',
      'X-Server-From': id.toString(16),
      'X-PeerURLs': id % 2 === 0 ? 'http://m2:2380' : 'http://m2:2380,nonsense',
    };
    const options = { url: a.url, method: 'POST', path: '/raft', headers } as const;
    const env = world.machine('m3');
    await requestPeer(env, { ...options, timeoutMs: 1000, bodyBytesMax: 1000 });
  };
  await world.scheduler.run(async () => {
    for (let id = 100; id < 100 + 4 * REMOTES_MAX; id++) await stranger(id);
  });
  for (let id = 100; id < 100 + 4 * REMOTES_MAX; id++) {
    a.transport.send(heartbeat(1n, BigInt(id)));
    await world.scheduler.runFor(20);
  }
  const reached = b.host.received.map((one) => Number(one.to));
  expect(reached).toHaveLength(REMOTES_MAX);
  expect(Math.min(...reached)).toBe(100 + 2 * REMOTES_MAX);
});

describe('who is gone', () => {
  test('a removed member learns it from its streams', async () => {
    const { world, members } = await rig(51, 2);
    const [a, b] = members as [Member, Member];
    a.host.removed.add(2n);
    a.transport.removePeer(2n);
    await world.scheduler.runFor(1000);
    expect(b.host.removals.length).toBeGreaterThan(0);
    expect(a.log.has('rejected stream from remote peer because it was removed')).toBe(true);
  });

  test('a removed member learns it from a post', async () => {
    const world = new SimWorld({ seed: 52 });
    const a = await startMember(world.machine('m1'), { id: 1n, host: 'm1' });
    const b = await startMember(world.machine('m2'), { id: 2n, host: 'm2' });
    running = [a, b];
    a.host.removed.add(2n);
    b.transport.addRemote(1n, [a.url]);
    b.transport.send(heartbeat(2n, 1n));
    await world.scheduler.runUntil(() => b.host.removals.length === 1, 1000);
    expect(a.host.received).toEqual([]);
  });

  test('an unknown dialler becomes a remote, and another cluster is refused', async () => {
    const world = new SimWorld({ seed: 53 });
    const a = await startMember(world.machine('m1'), { id: 1n, host: 'm1' });
    const b = await startMember(world.machine('m2'), { id: 2n, host: 'm2' });
    const c = await startMember(world.machine('m3'), { id: 3n, host: 'm3', clusterId: 7n });
    running = [a, b, c];
    b.transport.addPeer(1n, [a.url]);
    c.transport.addPeer(1n, [a.url]);
    await world.scheduler.runFor(500);
    a.transport.send(heartbeat(1n, 2n));
    a.transport.send(heartbeat(1n, 3n));
    await world.scheduler.runFor(500);
    expect(b.host.received).toHaveLength(1);
    expect(c.host.received).toHaveLength(0);
    expect(a.log.has('failed to find remote peer in cluster')).toBe(true);
    expect(a.log.has('request cluster ID mismatch')).toBe(true);
    expect(c.log.has('request sent was ignored by remote peer due to cluster ID mismatch')).toBe(
      true,
    );
  });
});

test('a clock that runs ahead is noticed', async () => {
  const { world, envs, members } = await rig(62, 2);
  envs[0]!.clock.jumpWall(5000);
  await world.scheduler.runFor(70_000);
  expect(members[0]!.log.has('prober found high clock drift')).toBe(true);
  expect(members[1]!.log.has('prober found high clock drift')).toBe(false);
});

test('a port that is fed with garbage serves on', async () => {
  const { world, members } = await rig(71, 2);
  const [a, b] = members as [Member, Member];
  const attacker = world.machine('attacker');
  const random = seededRandom(71);
  const good =
    'Host: a\r\nX-Server-Version: 3.5.0\r\nX-Min-Cluster-Version: 3.0.0\r\n' +
    'X-Etcd-Cluster-ID: cafe\r\nX-Raft-To: 1\r\nX-Server-From: 2\r\nX-PeerURLs: nonsense\r\n';
  const starts = [
    'GET /raft/stream/message/9 HTTP/1.1\r\n',
    'POST /raft HTTP/1.1\r\nContent-Length: 40\r\n',
    'POST /raft/snapshot HTTP/1.1\r\nTransfer-Encoding: chunked\r\n',
    'POST /leases HTTP/1.1\r\nContent-Length: 70000\r\n',
    'GET /%zz HTTP/1.1\r\n',
    '',
  ];
  let closed = 0;
  for (let i = 0; i < 120; i++) {
    const stream = await attacker.network.connect({ host: 'm1', port: PORT }, 1000);
    stream.handler = {
      onData: () => {},
      onDrain: () => {},
      onEnd: () => stream.destroy(),
      onClose: () => closed++,
    };
    const start = starts[i % starts.length]!;
    if (start !== '') stream.write(Buffer.from(`${start}${good}\r\n`));
    const noise = Uint8Array.from({ length: 1 + random.below(200) }, () => random.below(256));
    stream.write(noise);
    if (random.below(3) === 0) stream.end();
  }
  await world.scheduler.runFor(12_000);
  expect(closed).toBe(120);
  a.transport.send(heartbeat(1n, 2n));
  b.transport.send(heartbeat(2n, 1n));
  await world.scheduler.runFor(100);
  expect(a.host.received).toHaveLength(1);
  expect(b.host.received).toHaveLength(1);
});

test('nothing is left when a transport has stopped, even while it dials', async () => {
  const world = new SimWorld({ seed: 61, autoRun: false });
  const env = world.machine('m1');
  const a = await startMember(env, { id: 1n, host: 'm1' });
  world.network.partition(['m1'], ['m2']);
  a.transport.addPeer(2n, ['http://m2:2380']);
  a.transport.addPeer(3n, ['http://nowhere:2380']);
  a.transport.send(heartbeat(1n, 2n));
  await world.scheduler.runFor(10_500);
  await world.scheduler.run(() => a.transport.stop());
  // Without any timer or stream left, simulated time has nothing to run.
  await world.scheduler.settle();
  const endMs = world.scheduler.nowMs;
  await world.scheduler.settle();
  expect(world.scheduler.nowMs).toBe(endMs);
});
