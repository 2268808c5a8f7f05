import { afterEach, expect, test } from 'vitest';
import type { ByteStream, ByteStreamHandler } from '../../env/index.ts';
import { type SimEnv, SimWorld } from '../../env/sim/index.ts';
import { EndpointPicker, type GatewayEndpoint } from './endpoint-picker.ts';
import { startTcpGateway } from './tcp-gateway.ts';

const SEED = 41;
const worlds: SimWorld[] = [];
afterEach(() => {
  for (const world of worlds.splice(0)) world.scheduler.stop();
});

class Recorder implements ByteStreamHandler {
  text = '';
  ended = false;
  closed = false;

  onData(bytes: Uint8Array): void {
    this.text += new TextDecoder().decode(bytes);
  }
  onDrain(): void {}
  onEnd(): void {
    this.ended = true;
  }
  onClose(): void {
    this.closed = true;
  }
}

/** A server that greets with its name and sends back what it gets. */
async function startEcho(env: SimEnv, port: number): Promise<ByteStream[]> {
  const streams: ByteStream[] = [];
  await env.network.listen({ host: env.name, port }, (stream) => {
    streams.push(stream);
    stream.handler = {
      onData: (bytes) => void stream.write(Uint8Array.from(bytes)),
      onDrain() {},
      onEnd: () => stream.end(),
      onClose() {},
    };
    stream.write(new TextEncoder().encode(`${env.name}:`));
  });
  return streams;
}

function setUp(names: readonly string[]) {
  const world = new SimWorld({ seed: SEED });
  worlds.push(world);
  const log: string[] = [];
  const note = (msg: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    log.push(`${msg} ${String(fields['address'] ?? fields['endpoints'])}`);
  };
  return {
    world,
    log,
    proxyLog: { debug: note, info: note, warn: note, error: note },
    machines: new Map(names.map((name) => [name, world.machine(name)])),
  };
}

async function gatewayOf(
  { world, proxyLog }: ReturnType<typeof setUp>,
  endpoints: readonly GatewayEndpoint[],
) {
  const env = world.machine('gateway');
  const listen = { host: 'gateway', port: 23790 };
  const options = { listen, endpoints, retryDelayMs: 1000, env, log: proxyLog };
  return { env, gateway: await startTcpGateway(options) };
}

async function connected(env: SimEnv): Promise<{ stream: ByteStream; got: Recorder }> {
  const stream = await env.network.connect({ host: 'gateway', port: 23790 }, 1000);
  const got = new Recorder();
  stream.handler = got;
  return { stream, got };
}

test('connections go round; bytes and half-closes pass both ways', async () => {
  const setting = setUp(['a', 'b', 'client']);
  const client = setting.machines.get('client')!;
  await startEcho(setting.machines.get('a')!, 1);
  await startEcho(setting.machines.get('b')!, 1);
  await gatewayOf(setting, [
    { host: 'a', port: 1 },
    { host: 'b', port: 1 },
  ]);
  const seen: string[] = [];
  for (let i = 0; i < 4; i++) {
    const { stream, got } = await connected(client);
    stream.write(new TextEncoder().encode('x'.repeat(100_000)));
    stream.end();
    await client.runUntil(() => got.ended, 5000);
    expect(got.text).toHaveLength(100_002);
    seen.push(got.text[0]!);
  }
  expect(seen.sort()).toEqual(['a', 'a', 'b', 'b']);
});

test('an endpoint that fails is left out, tried again, and used again', async () => {
  const setting = setUp(['a', 'b', 'client']);
  const client = setting.machines.get('client')!;
  await startEcho(setting.machines.get('a')!, 1);
  await gatewayOf(setting, [
    { host: 'a', port: 1 },
    { host: 'b', port: 1 },
  ]);
  for (let i = 0; i < 3; i++) {
    const { got } = await connected(client);
    await client.runUntil(() => got.text === 'a:', 10_000);
  }
  await client.runUntil(() => setting.log.some((line) => line.startsWith('failed to')), 10_000);
  await startEcho(setting.machines.get('b')!, 1);
  await client.runUntil(() => setting.log.includes('activated b:1'), 10_000);
  const seen = new Set<string>();
  for (let i = 0; i < 2; i++) {
    const { got } = await connected(client);
    await client.runUntil(() => got.text.length === 2, 10_000);
    seen.add(got.text);
  }
  expect([...seen].sort()).toEqual(['a:', 'b:']);
  expect(setting.log.filter((line) => line.startsWith('deactivated'))).toEqual([
    'deactivated endpoint b:1',
  ]);
});

test('without an endpoint that answers, a client is closed and not left waiting', async () => {
  const setting = setUp(['client']);
  const client = setting.machines.get('client')!;
  await gatewayOf(setting, [{ host: 'a', port: 1 }]);
  const { got } = await connected(client);
  await client.runUntil(() => got.ended || got.closed, 20_000);
});

test('closing the gateway closes what goes through it', async () => {
  const setting = setUp(['a', 'client']);
  const client = setting.machines.get('client')!;
  await startEcho(setting.machines.get('a')!, 1);
  const { gateway } = await gatewayOf(setting, [{ host: 'a', port: 1 }]);
  const { got } = await connected(client);
  await client.runUntil(() => got.text !== '', 10_000);
  await gateway.close();
  await client.runUntil(() => got.ended || got.closed, 10_000);
  await expect(connected(client)).rejects.toThrow();
});

test('priority before weight; weights are shares; without weight is seldom', () => {
  const env = new SimWorld({ seed: SEED }).machine('x');
  const picker = new EndpointPicker(
    [
      { host: 'later', port: 1, priority: 2, weight: 100 },
      { host: 'most', port: 1, priority: 1, weight: 30 },
      { host: 'some', port: 1, priority: 1, weight: 10 },
      { host: 'none', port: 1, priority: 1 },
    ],
    env.entropy,
  );
  const counts = new Map<string, number>();
  for (let i = 0; i < 10_000; i++) {
    const { host } = picker.pick()!;
    counts.set(host, (counts.get(host) ?? 0) + 1);
  }
  expect(counts.has('later')).toBe(false);
  expect(counts.get('most')! / counts.get('some')!).toBeCloseTo(3, 0);
  expect(counts.get('none')! / 10_000).toBeCloseTo(0.01, 2);
  for (const endpoint of picker.endpoints) endpoint.active = endpoint.host === 'later';
  expect(picker.pick()!.host).toBe('later');
  for (const endpoint of picker.endpoints) endpoint.active = false;
  expect(picker.pick()).toBeUndefined();
});
