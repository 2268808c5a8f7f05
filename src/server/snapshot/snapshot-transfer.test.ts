// Snapshots between members, on their way.

import { describe, expect, test } from 'vitest';
import { raftpb } from '../../protocol/index.ts';
import {
  type FakeMember,
  peerUrlOf,
  SimCluster,
  type SimHost,
  SNAP_DIR,
} from '../testing/sim-cluster.fixture.ts';

const { MessageType } = raftpb;

const THREE = ['m1', 'm2', 'm3'];

describe('a snapshot is sent', () => {
  test('by a leader that has applied nothing since its start', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { leader, followers } = await cluster.leaderOf(hosts);
      const [behind, other] = followers as [SimHost, SimHost];
      behind.crash('kept');
      for (let i = 0; i < 150; i++) await leader.up.put(`k${i % 10}`, String(i));
      await other.stop();
      await leader.stop();
      // Only together can these two commit anything.
      const started = [leader.start(), behind.start()];
      await cluster.until('both serve', () => behind.running !== undefined);
      await Promise.all(started);
      await behind.up.put('after', '1');
      await cluster.even([leader, behind]);
      expect(behind.up.pairs()).toEqual(leader.up.pairs());
    });
  });

  test('again after it was interrupted, and leaves nothing behind', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { leader, followers } = await cluster.leaderOf(hosts);
      const [behind] = followers as [SimHost];
      behind.crash('kept');
      for (let i = 0; i < 150; i++) await leader.up.put(`k${i % 10}`, 'v'.repeat(2000));
      cluster.world.network.setLink(leader.name, behind.name, { bytesPerMs: 1000 });
      const started = behind.start();
      for (let i = 1; i < 4; i++) {
        await cluster.until('a transfer', () => behind.logged('receiving database snapshot'));
        await cluster.sleep(10 * i);
        cluster.world.network.reset(leader.name, behind.name);
        await cluster.until('its end', () => behind.logged('failed to save incoming database'));
        expect((await behind.env.disk.list(SNAP_DIR)).filter(isPartial)).toEqual([]);
        behind.log.length = 0;
      }
      await started;
      await cluster.even(hosts);
      expect(behind.up.pairs()).toEqual(leader.up.pairs());
      expect(leader.logged('failed to send merged snapshot')).toBe(true);
    });
  });

  test('and followed by one entry that changes nothing, though nobody writes', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { leader, followers } = await cluster.leaderOf(hosts);
      const [behind] = followers as [SimHost];
      cluster.cutOff(behind.name);
      for (const { name } of hosts) cluster.world.network.reset(behind.name, name);
      for (let i = 0; i < 150; i++) await leader.up.put(`k${i % 10}`, 'v');
      const clusterAt = ({ up }: SimHost) => ({
        ...up.member.parts.store.machine.cluster.state(),
        appliedIndex: 'its own',
      });
      const { machine } = leader.up.member.parts.store;
      const [index, state] = [machine.appliedIndex, clusterAt(leader)];
      cluster.world.network.heal();
      await cluster.until('a snapshot', () => behind.logged('applied snapshot'));
      await cluster.until('an entry', () => machine.appliedIndex > index);
      // Longer than the leader asks the members for their versions.
      await cluster.sleep(10_000);
      await cluster.even(hosts);
      expect(machine.appliedIndex).toBe(index + 1);
      for (const host of hosts) expect(clusterAt(host)).toEqual(state);
    });
  });

  test('while the log stays as it is, and some time after', async () => {
    await SimCluster.run(async (cluster) => {
      const hosts = await cluster.found(THREE);
      const { leader, followers } = await cluster.leaderOf(hosts);
      const [behind] = followers as [SimHost];
      behind.crash('kept');
      for (let i = 0; i < 150; i++) await leader.up.put(`k${i % 10}`, 'v');
      // So slow that by the end the log would have been cut many times.
      behind.env.disk.extraLatencyMs = ({ kind, path }) =>
        kind === 'sync' && path.includes('/snap/tmp-') ? 2000 : 0;
      void behind.start();
      await cluster.until('a transfer', () => behind.logged('receiving database snapshot'));
      for (let i = 0; i < 300; i++) await leader.up.put(`k${i % 10}`, 'w');
      await cluster.until('it serves', () => behind.running !== undefined);
      await cluster.even(hosts);
      const sent = leader.log.filter((line) => line.includes('sending merged snapshot'));
      expect(sent).toHaveLength(1);
    });
  });
});

function isPartial(name: string): boolean {
  return name.startsWith('tmp') || name.endsWith('.snap.db');
}

describe('a snapshot that cannot be taken', () => {
  /** A member, and another one that a test plays. */
  async function withSender(cluster: SimCluster) {
    const [host] = (await cluster.found(['m1'])) as [SimHost];
    const { member } = host.up;
    for (let i = 0; i < 10; i++) await host.up.put(`k${i}`, 'v');
    const { id } = await member.parts.changes.add([peerUrlOf('x')], true);
    const { clusterId, memberId } = member;
    const sender = await cluster.fake('x', () => undefined, { clusterId, id });
    sender.transport.addPeer(memberId, [peerUrlOf('m1')]);
    const copy = await member.parts.store.machine.backend.openCopy();
    const pieces: Uint8Array[] = [];
    for await (const piece of copy.chunks()) pieces.push(piece.slice());
    copy.close();
    const { index, term, membership } = copy.durable;
    const messageAt = (by: number): raftpb.Message =>
      raftpb.MessageCodec.create({
        type: MessageType.MsgSnap,
        from: id,
        to: memberId,
        term: 100,
        snapshot: {
          data: new Uint8Array(0),
          metadata: { index: index + by, term, confState: membership!.confState },
        },
      });
    return { host, sender, pieces, messageAt };
  }

  const send = (
    { transport }: FakeMember,
    message: raftpb.Message,
    chunks: () => AsyncIterable<Uint8Array>,
    size: number,
  ) => transport.sendSnapshot(message, { size, chunks, close: () => undefined });

  async function* all(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
    yield* pieces;
  }

  const sizeOf = (pieces: readonly Uint8Array[]) =>
    pieces.reduce((sum, piece) => sum + piece.length, 0);

  test('is refused: garbage, one that breaks off, nothing, and one without a v2 store', async () => {
    await SimCluster.run(async (cluster) => {
      const { host, sender, pieces, messageAt } = await withSender(cluster);
      const garbage = [new Uint8Array(50_000).fill(7)];
      expect(await send(sender, messageAt(5), () => all(garbage), 50_000)).toBe(false);
      const size = sizeOf(pieces);
      const cutOff = () => all(pieces.slice(0, 1));
      expect(await send(sender, messageAt(5), cutOff, size)).toBe(false);
      expect(await send(sender, messageAt(5), () => all([]), 0)).toBe(false);
      expect(await send(sender, messageAt(5), () => all(pieces), size)).toBe(false);
      const left = (await host.env.disk.list(SNAP_DIR)).filter(isPartial);
      expect(left).toEqual([]);
      // Raft has heard of none of them.
      expect(host.leads).toBe(true);
      expect(host.up.member.parts.raft.term).toBeLessThan(100);
      await host.up.put('after', 'v');
      expect(host.fatal).toEqual([]);
    });
  });

  test('is refused from a stranger', async () => {
    await SimCluster.run(async (cluster) => {
      const { host, pieces, messageAt } = await withSender(cluster);
      const { clusterId, memberId } = host.up.member;
      const stranger = await cluster.fake('y', () => undefined, { clusterId, id: 99n });
      stranger.transport.addPeer(memberId, [peerUrlOf('m1')]);
      const message = { ...messageAt(0), from: 99n };
      expect(await send(stranger, message, () => all(pieces), sizeOf(pieces))).toBe(false);
      expect(host.logged('its sender is no member of the cluster')).toBe(true);
    });
  });

  test('is refused without its database', async () => {
    await SimCluster.run(async (cluster) => {
      const { host, sender, messageAt } = await withSender(cluster);
      sender.transport.send(messageAt(5));
      const text = 'rejected a snapshot message without its database';
      await cluster.until('it is refused', () => host.logged(text));
      expect(host.leads).toBe(true);
    });
  });

  test('goes no further than what the member has: read, and left aside', async () => {
    await SimCluster.run(async (cluster) => {
      const { host, sender, pieces, messageAt } = await withSender(cluster);
      await host.up.put('more', 'v');
      expect(await send(sender, messageAt(0), () => all(pieces), sizeOf(pieces))).toBe(true);
      expect((await host.env.disk.list(SNAP_DIR)).filter(isPartial)).toEqual([]);
      await cluster.until('it leads again', () => host.leads);
      expect(host.up.pairs()).toHaveLength(11);
      expect(host.fatal).toEqual([]);
    });
  });

  test('arrives while the member stops', async () => {
    await SimCluster.run(async (cluster) => {
      const { host, sender, pieces, messageAt } = await withSender(cluster);
      async function* slowly(): AsyncGenerator<Uint8Array> {
        for (const piece of pieces) {
          await cluster.sleep(500);
          yield piece;
        }
      }
      const sent = send(sender, messageAt(5), slowly, sizeOf(pieces));
      await cluster.sleep(800);
      await host.stop();
      expect(await sent).toBe(false);
      await host.start();
      expect((await host.env.disk.list(SNAP_DIR)).filter(isPartial)).toEqual([]);
      expect(host.up.pairs()).toHaveLength(10);
    });
  });
});
