// Garbage on the client port: each connection gets an answer or its end, and the member serves on.

import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Random, seededRandom } from '../../src/base/index.ts';
import { edgeCases } from '../compare/edge-cases.ts';
import { ApiClient, encode } from '../helpers/api.ts';
import { Member, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need } from '../helpers/real-etcd.ts';

const SEED = Number(process.env['GARBAGE_SEED'] ?? 1);
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const SETTINGS = Buffer.from('000000040000000000', 'hex');

const ours = serverUnderTest();

function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.below(256)));
}

/** A frame with plausible header and random rest. */
function randomFrame(random: Random): Buffer {
  const payload = randomBytes(random, random.below(60));
  const header = Buffer.alloc(9);
  const lie = random.below(8) === 0 ? random.below(1 << 20) : payload.length;
  header.writeUIntBE(lie, 0, 3);
  header[3] = random.below(11);
  header[4] = random.below(256);
  header.writeUInt32BE(random.below(4) === 0 ? 0 : random.below(9), 5);
  return Buffer.concat([header, payload]);
}

/** Sends and waits until the server closes or falls silent with everything read. */
function sendGarbage(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.on('connect', () => socket.end(bytes));
    socket.resume();
    socket.setTimeout(2_000, () => socket.destroy());
  });
}

describeWith('garbage on the client port', [ours], () => {
  let member: Member;
  let client: ApiClient;
  beforeAll(async () => {
    member = await Member.start(need(ours));
    client = new ApiClient(member.endpoint);
    await client.must('KV/Put', { key: 'kept', value: 'as it was' });
  });
  afterAll(async () => {
    client?.close();
    await member?.dispose();
  });

  async function servesOn(): Promise<void> {
    const { pid } = member;
    expect(pid).toBeGreaterThan(0);
    const response = await client.must('KV/Range', { key: 'kept' });
    expect(response['kvs']).toMatchObject([{ value: 'as it was' }]);
  }

  test('GO-2026-4559: random bytes, half requests, frames out of order', async () => {
    const random = seededRandom(SEED);
    const hello = Buffer.from('16030100c8010000c40303', 'hex');
    for (let i = 0; i < 60; i++) {
      const frames = Array.from({ length: 1 + random.below(12) }, () => randomFrame(random));
      const inputs = [
        randomBytes(random, 1 + random.below(500)),
        Buffer.concat([Buffer.from(PREFACE), SETTINGS, ...frames]),
        Buffer.concat([Buffer.from(PREFACE.slice(0, random.below(24))), randomBytes(random, 40)]),
        Buffer.concat([hello, randomBytes(random, 100)]),
        Buffer.from(`GET /${'x'.repeat(random.below(20_000))} HTTP/1.1\r\nhost: a\r\n`),
      ];
      await Promise.all(inputs.map((input) => sendGarbage(member.port, input)));
    }
    await servesOn();
  });

  test('valid requests with bytes changed, cut and added', async () => {
    const random = seededRandom(SEED);
    const seeds = edgeCases().flatMap((operation) => {
      if (operation.kind !== 'call' || JSON.stringify(operation).length > 5_000) return [];
      if (!operation.rpc.startsWith('KV/') && !operation.rpc.startsWith('Lease/')) return [];
      const type = `${operation.rpc.split('/')[1]!.replace('Compact', 'Compaction')}Request`;
      return [{ rpc: operation.rpc, bytes: encode(type, operation.request) }];
    });
    const codes = new Set<number>();
    for (let i = 0; i < 1_500; i++) {
      const { rpc, bytes } = seeds[random.below(seeds.length)]!;
      // Deleting everything or compacting away would be a correct answer to some of them.
      if (rpc === 'KV/DeleteRange' || rpc === 'KV/Compact' || rpc === 'KV/Txn') continue;
      const mutated = mutate(random, bytes);
      if (mutated.includes('kept')) continue;
      codes.add((await client.callRaw(rpc, mutated)).code);
    }
    expect([...codes]).toContain(13);
    expect([...codes].filter((code) => [2, 4, 14].includes(code))).toEqual([]);
    await servesOn();
  });
});

function mutate(random: Random, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  switch (random.below(3)) {
    case 0:
      if (copy.length > 0) copy[random.below(copy.length)] = random.below(256);
      return copy;
    case 1:
      return copy.subarray(0, random.below(copy.length + 1));
    default:
      return Buffer.concat([copy, randomBytes(random, random.below(12))]);
  }
}
