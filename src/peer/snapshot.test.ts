// Databases between members: whole, or not at all.

import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { latin1FromBytes } from '../base/index.ts';
import type { ByteStream } from '../env/index.ts';
import { SimWorld } from '../env/sim/index.ts';
import { raftpb } from '../protocol/index.ts';
import {
  type Member,
  MessageType,
  message,
  startMember,
  startMembers,
  stopAll,
} from './rig.fixture.ts';
import { type OutgoingSnapshot, SENDERS } from './types.ts';

let running: Member[] = [];

afterEach(async () => {
  const members = running;
  running = [];
  await stopAll(members);
});

const SNAPSHOT = message({
  type: MessageType.MsgSnap,
  from: 1n,
  to: 2n,
  term: 1,
  snapshot: { data: new Uint8Array(0), metadata: { confState: undefined, index: 5, term: 1 } },
});

class Database implements OutgoingSnapshot {
  readonly size: number;
  closes = 0;
  yielded = 0;
  readonly #pieces: number;
  readonly #failAt: number;

  constructor(pieces: number, options: { readonly failAt?: number; readonly size?: number } = {}) {
    this.#pieces = pieces;
    this.#failAt = options.failAt ?? -1;
    this.size = options.size ?? pieces * PIECE_BYTES;
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < this.#pieces; i++) {
      if (i === this.#failAt) throw new Error('the disk failed');
      this.yielded++;
      yield new Uint8Array(PIECE_BYTES).fill(i);
    }
  }

  close(): void {
    this.closes++;
  }
}

const PIECE_BYTES = 65_536;

async function pair(seed: number): Promise<{ world: SimWorld; a: Member; b: Member }> {
  const world = new SimWorld({ seed });
  const { members } = await startMembers(world, 2);
  running = members;
  await world.scheduler.runFor(1000);
  return { world, a: members[0]!, b: members[1]! };
}

describe('a transfer', () => {
  test('that is cut off stores nothing and is reported', async () => {
    const { world, a, b } = await pair(1);
    world.network.setLink('m1', 'm2', { bytesPerMs: 1000 });
    const database = new Database(100);
    const sending = a.transport.sendSnapshot(SNAPSHOT, database);
    await world.scheduler.runFor(2000);
    expect(b.metrics.snapshotReceiveInflight('1').value).toBe(1);
    world.network.reset('m1', 'm2');
    expect(await world.scheduler.run(() => sending)).toBe(false);
    await world.scheduler.runFor(100);
    expect(b.host.databases).toEqual([]);
    expect(b.host.databaseErrors).toHaveLength(1);
    expect(b.host.received).toEqual([]);
    expect(b.metrics.snapshotReceiveInflight('1').value).toBe(0);
    expect(b.metrics.snapshotReceiveFailures('1').value).toBe(1);
    expect(database.closes).toBe(1);
    expect(a.host.unreachable).toEqual([2n]);
    expect(a.metrics.snapshotSendFailures('2').value).toBe(1);
  });

  test('whose sender falls silent ends by the read deadline', async () => {
    const { world, a, b } = await pair(2);
    world.network.setLink('m1', 'm2', { bytesPerMs: 1000 });
    const sending = a.transport.sendSnapshot(SNAPSHOT, new Database(100));
    await world.scheduler.runFor(2000);
    world.network.cut('m1', 'm2');
    await world.scheduler.runFor(7000);
    expect(b.host.databaseErrors).toEqual(['i/o timeout']);
    world.network.heal();
    expect(await world.scheduler.run(() => sending)).toBe(false);
  });

  test('that fails at its source stores nothing', async () => {
    const { world, a, b } = await pair(3);
    const broken = new Database(20, { failAt: 10 });
    expect(await world.scheduler.run(() => a.transport.sendSnapshot(SNAPSHOT, broken))).toBe(false);
    const short = new Database(20, { size: 21 * PIECE_BYTES });
    expect(await world.scheduler.run(() => a.transport.sendSnapshot(SNAPSHOT, short))).toBe(false);
    await world.scheduler.runFor(100);
    expect(b.host.databases).toEqual([]);
    expect(b.host.received).toEqual([]);
    expect([broken.closes, short.closes]).toEqual([1, 1]);
  });

  test('that the receiver cannot keep is refused, and not sent to its end', async () => {
    const { world, a, b } = await pair(4);
    world.network.setDefaults({ bytesPerMs: 10_000 });
    b.host.store = async (_message, body) => {
      for await (const _piece of body) throw new Error('disk full');
    };
    const database = new Database(2000);
    expect(await world.scheduler.run(() => a.transport.sendSnapshot(SNAPSHOT, database))).toBe(
      false,
    );
    expect(database.yielded).toBeLessThan(2000);
    expect(b.host.received).toEqual([]);
    expect(b.log.has('failed to save incoming database snapshot')).toBe(true);
  });

  test('waits for a receiver that is slow to store', async () => {
    const { world, a, b } = await pair(5);
    let most = 0;
    let stored = 0;
    const database = new Database(200);
    b.host.store = async (_message, body) => {
      for await (const piece of body) {
        stored += piece.length;
        most = Math.max(most, database.yielded * PIECE_BYTES - stored);
        await new Promise<void>((resolve) => world.scheduler.after(50, resolve));
      }
    };
    expect(await world.scheduler.run(() => a.transport.sendSnapshot(SNAPSHOT, database))).toBe(
      true,
    );
    expect(stored).toBe(200 * PIECE_BYTES);
    // Both queues, and what the simulated network holds.
    expect(most).toBeLessThan(1_500_000);
  });

  test('is the only one to a member', async () => {
    const { world, a } = await pair(6);
    const first = a.transport.sendSnapshot(SNAPSHOT, new Database(10));
    const second = new Database(10);
    expect(await a.transport.sendSnapshot(SNAPSHOT, second)).toBe(false);
    expect([second.closes, second.yielded]).toEqual([1, 0]);
    expect(await world.scheduler.run(() => first)).toBe(true);
  });

  test('ends when the transport stops', async () => {
    const { world, a } = await pair(7);
    world.network.setLink('m1', 'm2', { bytesPerMs: 100 });
    const sending = a.transport.sendSnapshot(SNAPSHOT, new Database(100));
    await world.scheduler.runFor(500);
    await world.scheduler.run(() => a.transport.stop());
    expect(await sending).toBe(false);
  });

  test('from a removed member, or for another one, is refused before it is stored', async () => {
    const { world, a, b } = await pair(8);
    b.host.removed.add(1n);
    expect(
      await world.scheduler.run(() => a.transport.sendSnapshot(SNAPSHOT, new Database(500))),
    ).toBe(false);
    expect(a.host.removals).toHaveLength(1);
    expect(b.host.databases).toEqual([]);
  });
});

describe('the one place for a database that arrives', () => {
  const from = (id: bigint) => ({ ...SNAPSHOT, from: id, to: 3n });

  /** Members 1 and 2, each of whom may send to 3. */
  async function three(seed: number) {
    const world = new SimWorld({ seed });
    const { members } = await startMembers(world, 3);
    running = members;
    await world.scheduler.runFor(1000);
    const [a, b, c] = members as [Member, Member, Member];
    return { world, a, b, c };
  }

  const refusals = (c: Member): unknown[] =>
    c.log.lines
      .filter(({ text }) => text === 'failed to save incoming database snapshot')
      .map(({ fields }) => fields['error']);

  test('is not for strangers', async () => {
    const { world, a, c } = await three(31);
    c.host.senders.set(1n, SENDERS.UNKNOWN);
    const sending = a.transport.sendSnapshot(from(1n), new Database(500));
    expect(await world.scheduler.run(() => sending)).toBe(false);
    expect(c.host.databases).toEqual([]);
    expect(refusals(c)).toEqual(['its sender is no member of the cluster']);
  });

  test('is kept by a member that sends', async () => {
    const { world, a, b, c } = await three(32);
    world.network.setLink('m1', 'm3', { bytesPerMs: 4000 });
    const first = a.transport.sendSnapshot(from(1n), new Database(200));
    await world.scheduler.runFor(2000);
    const second = b.transport.sendSnapshot(from(2n), new Database(1));
    expect(await world.scheduler.run(() => second)).toBe(false);
    expect(await world.scheduler.run(() => first)).toBe(true);
    expect(refusals(c)).toEqual(['another snapshot is being received']);
  });

  test('is taken over by the leader', async () => {
    const { world, a, b, c } = await three(33);
    world.network.setLink('m1', 'm3', { bytesPerMs: 4000 });
    c.host.senders.set(1n, SENDERS.MEMBER);
    const first = a.transport.sendSnapshot(from(1n), new Database(200));
    await world.scheduler.runFor(2000);
    const second = b.transport.sendSnapshot(from(2n), new Database(1));
    expect(await world.scheduler.run(() => second)).toBe(true);
    expect(await world.scheduler.run(() => first)).toBe(false);
    expect(refusals(c)).toEqual(['another member sends its database']);
  });

  test('is taken away from one that is slow, even from one with the leader’s name', async () => {
    const { world, a, b, c } = await three(34);
    world.network.setLink('m1', 'm3', { bytesPerMs: 100 });
    const first = a.transport.sendSnapshot(from(1n), new Database(500));
    await world.scheduler.runFor(3000);
    const second = b.transport.sendSnapshot(from(2n), new Database(20));
    expect(await world.scheduler.run(() => second)).toBe(true);
    expect(await world.scheduler.run(() => first)).toBe(false);
    expect(c.host.databases).toHaveLength(1);
  });

  test('2eac5b062: is not made for a message that announces a terabyte', async () => {
    for (const announced of [900_000_000n, 1n << 40n, (1n << 64n) - 1n]) {
      const world = new SimWorld({ seed: 36 });
      const c = await startMember(world.machine('m2'), { id: 2n, host: 'm2' });
      running = [c];
      const { stream, answer } = await dial(world);
      const whole = Buffer.from(headAndMessage('a database'));
      const at = whole.indexOf('\r\n', whole.indexOf('\r\n\r\n') + 4) + 2;
      whole.writeBigUInt64BE(announced, at);
      stream.write(whole);
      await world.scheduler.runFor(1000);
      expect(answer()).toMatch(/^HTTP\/1\.1 400 /);
      expect(c.host.databases).toEqual([]);
    }
  });

  test('is not kept by single bytes', async () => {
    const world = new SimWorld({ seed: 35 });
    const c = await startMember(world.machine('m2'), { id: 2n, host: 'm2' });
    running = [c];
    const { stream } = await dial(world);
    stream.write(headAndMessage());
    for (let i = 0; i < 20 && refusals(c).length === 0; i++) {
      await world.scheduler.runFor(1000);
      stream.write(Buffer.from('1\r\nx\r\n'));
    }
    expect(refusals(c)).toEqual(['the request comes too slowly']);
  });
});

/** A connection to member 2 by hand. */
async function dial(world: SimWorld): Promise<{ stream: ByteStream; answer: () => string }> {
  const client = world.machine('m1');
  const stream = await client.network.connect({ host: 'm2', port: 2380 }, 1000);
  let text = '';
  stream.handler = {
    onData: (bytes) => {
      text += latin1FromBytes(bytes);
    },
    onDrain: () => {},
    onEnd: () => stream.destroy(),
    onClose: () => {},
  };
  return { stream, answer: () => text };
}

/** The head of a request, and the message with the beginning of its database as a chunk. */
function headAndMessage(data = ''): Uint8Array {
  const encoded = raftpb.MessageCodec.encode(SNAPSHOT);
  const frame = Buffer.alloc(8 + encoded.length);
  frame.writeBigUInt64BE(BigInt(encoded.length));
  frame.set(encoded, 8);
  const body = Buffer.concat([frame, Buffer.from(data, 'latin1')]);
  const head =
    'POST /raft/snapshot HTTP/1.1\r\nHost: m2\r\nTransfer-Encoding: chunked\r\n' +
    'X-Server-Version: 3.7.1\r\nX-Min-Cluster-Version: 3.0.0\r\n' +
    'X-Etcd-Cluster-ID: cafe\r\nConnection: close\r\n\r\n';
  return Buffer.concat([
    Buffer.from(`${head}${body.length.toString(16)}\r\n`),
    body,
    Buffer.from('\r\n'),
  ]);
}

/** Posts a snapshot by hand and returns the answer. */
async function post(seed: number, trailer: string, data: string, end = '0\r\n') {
  const world = new SimWorld({ seed });
  const b = await startMember(world.machine('m2'), { id: 2n, host: 'm2' });
  running = [b];
  const { stream, answer } = await dial(world);
  stream.write(Buffer.concat([headAndMessage(data), Buffer.from(`${end}${trailer}`)]));
  stream.end();
  await world.scheduler.runFor(1000);
  return { answer: answer(), b };
}

describe('a digest', () => {
  const digestOf = (data: string): string =>
    `Content-Digest: sha-256=:${createHash('sha256').update(data).digest('base64')}:\r\n\r\n`;

  test('that is right, absent or of a kind we do not know lets the database in', async () => {
    for (const trailer of [digestOf('data'), '\r\n', 'Content-Digest: md5=:AAAA:\r\n\r\n']) {
      const { answer, b } = await post(21, trailer, 'data');
      expect(answer).toContain('204 No Content');
      expect(b.host.databases.map((one) => latin1FromBytes(one))).toEqual(['data']);
      expect(b.host.received).toHaveLength(1);
    }
  });

  test('that is wrong keeps it out', async () => {
    const { answer, b } = await post(22, digestOf('date'), 'data');
    expect(answer).toContain('500 Internal Server Error');
    expect(answer).toContain('failed to save KV snapshot (the digest of the database is wrong)');
    expect(b.host.databases).toEqual([]);
    expect(b.host.received).toEqual([]);
  });

  test('a body that just ends is no database', async () => {
    const { b } = await post(23, '', 'data', '');
    expect(b.host.databases).toEqual([]);
    expect(b.host.databaseErrors).toHaveLength(1);
  });
});
