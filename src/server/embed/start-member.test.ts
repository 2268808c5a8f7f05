import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { connect } from '../../client/index.ts';
import { createMemoryDisk } from '../../env/index.ts';
import { createSimEnv, SimDisk } from '../../env/sim/index.ts';
import { type RunningMember, type StartMemberOptions, startMember } from '../index.ts';

const FREE = ['http://127.0.0.1:0'];
const undo: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** A member in memory at ports of its own, closed when the test ends. */
async function start(options: StartMemberOptions = {}): Promise<RunningMember> {
  const member = await startMember({
    env: { disk: createMemoryDisk() },
    listenClientUrls: FREE,
    listenPeerUrls: FREE,
    ...options,
  });
  undo.push(() => member.close().catch(() => undefined));
  return member;
}

async function client(member: RunningMember) {
  const connected = await connect({ endpoints: member.clientUrls });
  undo.push(() => connected.close());
  return connected;
}

test('a member in memory serves, and its data is there for the next one', async () => {
  const env = { disk: createMemoryDisk() };
  const signals = process.listenerCount('SIGTERM') + process.listenerCount('uncaughtException');
  const member = await start({ env, name: 'a' });
  expect(member.clientUrls).toHaveLength(1);
  expect(member.clientUrls[0]).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
  expect(member.peerUrls[0]).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
  const { kv, cluster } = await client(member);
  await kv.put('greeting', 'hello');
  const { members } = await cluster.memberList();
  expect(members).toMatchObject([
    { id: member.memberId, name: 'a', clientURLs: member.clientUrls, peerURLs: member.peerUrls },
  ]);
  const health = await fetch(`${member.clientUrls[0]}/health`);
  expect(await health.json()).toEqual({ health: 'true', reason: '' });
  expect(process.listenerCount('SIGTERM') + process.listenerCount('uncaughtException')).toBe(
    signals,
  );
  await member.close();
  await member.close();
  expect(await member.closed).toEqual({ reason: 'closed' });

  const again = await start({ env, name: 'a' });
  expect([again.memberId, again.clusterId]).toEqual([member.memberId, member.clusterId]);
  expect((await (await client(again)).kv.get('greeting')).kv?.valueText).toBe('hello');
  await again[Symbol.asyncDispose]();
  await expect(fetch(`${again.clientUrls[0]}/health`)).rejects.toThrow();
});

test('a member on a real disk has its directory for itself', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'tetcd-embed-'));
  undo.push(() => rmSync(dataDir, { recursive: true }));
  const member = await start({ env: {}, dataDir });
  await (await client(member)).kv.put('a', '1');
  await expect(start({ env: {}, dataDir })).rejects.toMatchObject({ code: 'LOCKED' });
  await member.close();
  const again = await start({ env: {}, dataDir });
  expect((await (await client(again)).kv.get('a')).kv?.valueText).toBe('1');
});

test('a port that is taken is an error that names it, and leaves nothing behind', async () => {
  const first = await start();
  const env = { disk: createMemoryDisk() };
  const { clientUrls } = first;
  await expect(start({ env, listenClientUrls: clientUrls })).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
    message: expect.stringContaining(new URL(clientUrls[0]!).port),
  });
  await start({ env });
});

test('options are refused by name before anything happens', async () => {
  const disk = createMemoryDisk();
  const refused = (options: object) => expect(start({ env: { disk }, ...options })).rejects;
  await refused({ heartbeat: 1 }).toThrow('unknown option heartbeat');
  await refused({ log: 'stderr' }).toThrow('option log must be a function, not stderr');
  await refused({ log: () => {}, logOutputs: ['stderr'] }).toThrow('contradict');
  await refused({ signal: AbortSignal.abort(new Error('too late')) }).toThrow('too late');
  expect(await disk.list('/')).toEqual([]);
});

test('every port may be left to the system', async () => {
  const first = await start({ listenMetricsUrls: FREE });
  const second = await start({ listenMetricsUrls: FREE });
  const urls = [first, second].flatMap((each) => [
    ...each.clientUrls,
    ...each.metricsUrls,
    ...each.peerUrls,
  ]);
  expect(new Set(urls).size).toBe(6);
  expect(urls.filter((url) => !/^http:\/\/127\.0\.0\.1:[1-9]\d*$/.test(url))).toEqual([]);
  const metrics = await fetch(`${second.metricsUrls[0]}/metrics`);
  expect(await metrics.text()).toContain('etcd_server_has_leader 1');
});

test('lines of the log go where they are asked for', async () => {
  const lines: string[] = [];
  await start({ log: (line) => lines.push(line), logFormat: 'json' });
  const messages = lines.map((line) => JSON.parse(line).msg);
  expect(messages).toContain('ready to serve client requests');
  expect(lines.every((line) => line.endsWith('\n'))).toBe(true);
});

test('a start that waits for other members can be given up', async () => {
  const giveUp = new AbortController();
  const starting = start({
    signal: giveUp.signal,
    name: 'a',
    initialCluster: 'a=http://127.0.0.1:1,b=http://127.0.0.1:2',
    initialAdvertisePeerUrls: ['http://127.0.0.1:1'],
    log: (line) => {
      if (line.includes('serving peer traffic')) giveUp.abort(new Error('enough'));
    },
  });
  await expect(starting).rejects.toThrow('enough');
});

test('the signal closes a running member', async () => {
  const end = new AbortController();
  const member = await start({ signal: end.signal });
  end.abort();
  expect(await member.closed).toEqual({ reason: 'closed' });
});

test('a member that cannot go on says why', async () => {
  const disk = new SimDisk({ seed: 7 });
  const member = await start({ env: { disk } });
  const { kv } = await client(member);
  await kv.put('a', '1');
  disk.intercept = ({ kind }) => (kind === 'sync' ? 'failed' : undefined);
  void kv.put('a', '2').catch(() => undefined);
  expect(await member.closed).toMatchObject({
    reason: 'failed',
    error: { code: 'DISK_FAILED' },
  });
});

test('a member in a simulated world', async () => {
  const env = createSimEnv({ seed: 7 });
  await env.run(async () => {
    const member = await startMember({ env, listenClientUrls: ['http://127.0.0.1:2379'] });
    const stream = await env.network.connect({ host: 'localhost', port: 2379 }, 1_000);
    stream.destroy();
    await member.close();
    expect(await member.closed).toEqual({ reason: 'closed' });
    await expect(env.network.connect({ host: 'localhost', port: 2379 }, 1_000)).rejects.toThrow();
    const again = await startMember({ env, listenClientUrls: FREE, listenPeerUrls: FREE });
    expect(new URL(again.clientUrls[0]!).port).toMatch(/^[1-9]/);
    await again.close();
    const listenMetricsUrls = ['http://127.0.0.1:1'];
    await expect(startMember({ env, listenMetricsUrls })).rejects.toThrow('listenMetricsUrls');
  });
  env.stop();
});
