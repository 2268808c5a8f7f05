// A program of somebody else: uses every entry of both packages, in strict TypeScript. Prints `ok`.

import assert from 'node:assert/strict';
import { connect as connectAlone, EtcdError } from '@tetcd/client';
import { createMemoryDisk, hasCode, type RunningMember, startMember } from 'tetcd';
import { type Database, openDatabase } from 'tetcd/bbolt';
import { compare, connect, isEtcdError, op } from 'tetcd/client';
import { createNodeEnv, type Disk, type Env, OPEN_MODES } from 'tetcd/env';
import { BYTES_ENCODER, createChannel, createServer, listen, socketConnect } from 'tetcd/grpc';
import { type Config, MemoryStorage, RawNode, ROLES, seededRandom } from 'tetcd/raft';
import { createSimEnv } from 'tetcd/sim';
import { createWal, openWal, type WalAppend } from 'tetcd/wal';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

async function useMemberAndClients(): Promise<void> {
  const member: RunningMember = await startMember({
    env: { disk: createMemoryDisk() },
    listenClientUrls: ['http://127.0.0.1:0'],
    listenPeerUrls: ['http://127.0.0.1:0'],
  });
  const client = await connect({ endpoints: member.clientUrls });
  const { succeeded } = await client.kv
    .txn()
    .if(compare('a', 'version', '=', 0))
    .then(op.put('a', '1'))
    .commit();
  assert.equal(succeeded, true);
  await assert.rejects(client.kv.put('', 'x'), (error) => isEtcdError(error, 'EMPTY_KEY'));
  client.close();

  const alone = await connectAlone({ endpoints: member.clientUrls });
  const { kv } = await alone.kv.get('a');
  assert.equal(kv?.valueText, '1');
  await assert.rejects(alone.kv.put('', 'x'), EtcdError);
  alone.close();
  await member.close();
  assert.deepEqual(await member.closed, { reason: 'closed' });
  // @ts-expect-error No such option.
  await assert.rejects(startMember({ dataDirectory: 'x' }), (error) =>
    hasCode(error, 'INVALID_ARGUMENT'),
  );
}

async function useFiles(): Promise<void> {
  const disk: Disk = createMemoryDisk();
  const env: Env = { ...createNodeEnv(), disk };
  const file = await disk.open('/a', OPEN_MODES.CREATE);
  file.writeSync(encode('x'), 0);
  assert.equal(file.size(), 1);
  await file.close();

  const database: Database = await openDatabase(env, '/db');
  const writing = await database.beginWrite();
  writing.createBucket(encode('b')).put(encode('k'), encode('v'));
  await writing.commit();
  const reading = database.beginRead();
  assert.deepEqual(reading.bucket(encode('b'))?.get(encode('k')), encode('v'));
  reading.close();
  await database.close();

  const wal = await createWal(env, '/wal', encode('meta'));
  await new Promise<void>((resolve, reject) => {
    const append: WalAppend = {
      hardState: { term: 1, vote: 1n, commit: 1 },
      entries: [{ type: 0, term: 1, index: 1, data: encode('e') }],
      mustSync: true,
      complete: (error) => (error === undefined ? resolve() : reject(error)),
    };
    wal.append(append);
  });
  await wal.close();
  const opened = await openWal(env, '/wal', { index: 0, term: 0 });
  assert.equal(opened.entries.length, 1);
  await opened.wal.close();
}

function useRaft(): void {
  const storage = new MemoryStorage();
  const config: Config = {
    ...{ id: 1n, electionTicks: 10, heartbeatTicks: 1, storage, random: seededRandom(1) },
    ...{ messageBytesMax: 1024, inflightMessagesMax: 16 },
  };
  const node = new RawNode(config);
  node.bootstrap([{ id: 1n, context: new Uint8Array(0) }]);
  const { hardState, entries } = node.ready();
  if (hardState !== undefined) storage.setHardState(hardState);
  storage.append(entries);
  node.advance();
  assert.equal(node.basicStatus().role, ROLES.FOLLOWER);
}

async function useGrpc(): Promise<void> {
  const { clock, timers, entropy } = createNodeEnv();
  const server = createServer({ clock, timers });
  server.unary('/a.B/C', (call, request) => call.reply(BYTES_ENCODER, request));
  const port = await listen({ address: { host: '127.0.0.1', port: 0 }, http2: server });
  const endpoint = { ...port.address, authority: 'localhost' };
  const connecting = socketConnect();
  const channel = createChannel({
    endpoints: [endpoint],
    connect: connecting,
    ...{ clock, timers, entropy },
  });
  const reply = await channel.request('/a.B/C', BYTES_ENCODER, encode('x'));
  assert.deepEqual(new Uint8Array(reply), encode('x'));
  channel.close();
  await port.close();
  server.close();
}

async function useSimulation(): Promise<void> {
  const env = createSimEnv({ seed: 7 });
  await env.run(async () => {
    const before = env.clock.monotonicMs();
    await new Promise<void>((resolve) => env.timers.after(60_000, resolve));
    assert.equal(env.clock.monotonicMs() - before, 60_000);
  });
  env.stop();
}

await useMemberAndClients();
await useFiles();
useRaft();
await useGrpc();
await useSimulation();
console.log('ok');
