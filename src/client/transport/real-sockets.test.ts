// The client over real sockets: TCP, TLS and Unix.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { createNodeClock, createNodeTimers } from '../../env/index.ts';
import { createServer } from '../../grpc/index.ts';
import { type BindOptions, fixedTls, listen } from '../../net/index.ts';
import {
  CA_CERT,
  CLIENT_CERT,
  CLIENT_KEY,
  SERVER_CERT,
  SERVER_KEY,
} from '../../net/testing/certificates.fixture.ts';
import { etcdserverpb, health } from '../../protocol/index.ts';
import { Client, connect, STATUS, statusOf } from '../index.ts';

const directory = mkdtempSync(join(tmpdir(), 'tetcd-client-'));
const closers: Array<() => Promise<void> | void> = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

afterAll(() => rmSync(directory, { recursive: true }));

/** A server that answers every get with how the client presented itself. */
async function serve(options: BindOptions): Promise<number> {
  const server = createServer({ clock: createNodeClock(), timers: createNodeTimers() });
  const { range } = etcdserverpb.KVService.methods;
  server.unary(range.path, (call) => {
    const { peer } = call;
    const key = Buffer.from(`${peer.encrypted} ${peer.certificate?.commonName ?? 'anonymous'}`);
    const kvs = [{ key, value: key, createRevision: 1, modRevision: 1, version: 1, lease: 0n }];
    call.reply(range.response, range.response.create({ kvs, count: 1 }));
  });
  const { check } = health.HealthService.methods;
  server.unary(check.path, (call) => call.reply(check.response, check.response.create()));
  const listener = await listen({ ...options, http2: server });
  closers.push(async () => {
    server.close();
    await listener.close();
  });
  return listener.address.port;
}

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const TLS = fixedTls({
  key: SERVER_KEY,
  cert: SERVER_CERT,
  ca: CA_CERT,
  requestCert: true,
  rejectUnauthorized: false,
});

async function nameOf(client: Client): Promise<string | undefined> {
  closers.push(() => client.close());
  return (await client.kv.get('a', { timeoutMs: 5_000 })).kv?.keyText;
}

describe('the client reaches a server', () => {
  test('over TCP', async () => {
    const port = await serve({ address: LOOPBACK });
    const client = await connect({ endpoints: `127.0.0.1:${port}` });
    expect(await nameOf(client)).toBe('false anonymous');
  });

  test('over a Unix socket', async () => {
    const path = join(directory, 'socket');
    await serve({ address: { host: '', port: 0, path } });
    expect(await nameOf(new Client({ endpoints: `unix://${path}` }))).toBe('false anonymous');
  });

  test('over TLS, with and without a certificate of its own', async () => {
    const port = await serve({ address: LOOPBACK, tls: TLS });
    const endpoints = `https://127.0.0.1:${port}`;
    const anonymous = new Client({ endpoints, tls: { ca: CA_CERT } });
    expect(await nameOf(anonymous)).toBe('true anonymous');
    const tls = { ca: CA_CERT, cert: CLIENT_CERT, key: Buffer.from(CLIENT_KEY) };
    const named = new Client({ endpoints: `127.0.0.1:${port}`, tls });
    expect(await nameOf(named)).toBe('true client name');
    const careless = new Client({ endpoints, tls: { skipVerify: true } });
    expect(await nameOf(careless)).toBe('true anonymous');
  });

  test('not over TLS with a certificate that nobody vouches for', async () => {
    const port = await serve({ address: LOOPBACK, tls: TLS });
    const options = { endpoints: `https://127.0.0.1:${port}`, connectTimeoutMs: 2_000 };
    const failure = await connect(options).catch((error: unknown) => error);
    expect(statusOf(failure)).toBe(STATUS.UNAVAILABLE);
    expect(String(failure)).toMatch(/certificate/);
  });

  test('that is one of several endpoints', async () => {
    const port = await serve({ address: LOOPBACK });
    const dead = await serve({ address: LOOPBACK });
    await closers.pop()!();
    const client = new Client({ endpoints: [`127.0.0.1:${dead}`, `127.0.0.1:${port}`] });
    for (let i = 0; i < 10; i++) expect(await nameOf(client)).toBe('false anonymous');
  });
});
