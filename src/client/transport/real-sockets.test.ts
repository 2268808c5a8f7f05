// The client over real sockets: TCP, TLS and Unix.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { createNodeClock, createNodeTimers } from '../../env/index.ts';
import { createServer } from '../../grpc/index.ts';
import { type BindOptions, fixedTls, listen } from '../../net/index.ts';
import { type Issued, TestAuthority } from '../../net/testing/authority.fixture.ts';
import {
  CA_CERT,
  CLIENT_CERT,
  CLIENT_KEY,
  SERVER_CERT,
  SERVER_KEY,
} from '../../net/testing/certificates.fixture.ts';
import { etcdserverpb, health } from '../../protocol/index.ts';
import {
  Client,
  type ClientOptions,
  connect,
  STATUS,
  statusOf,
  type TlsOptions,
} from '../index.ts';

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

/** Why such a client cannot connect. */
async function failureOf(options: ClientOptions): Promise<string> {
  const failure = await connect({ connectTimeoutMs: 5_000, retriesMax: 0, ...options }).then(
    (client) => client.close(),
    (error: unknown) => error,
  );
  expect(statusOf(failure)).toBe(STATUS.UNAVAILABLE);
  return String(failure);
}

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
    const careless = new Client({ endpoints, tls: { insecureSkipVerify: true } });
    expect(await nameOf(careless)).toBe('true anonymous');
  });

  test('over TLS on a Unix socket, whose file has the name of the server', async () => {
    const path = join(directory, 'localhost:1');
    await serve({ address: { host: '', port: 0, path }, tls: TLS });
    const client = new Client({ endpoints: `unixs://${path}`, tls: { ca: CA_CERT } });
    expect(await nameOf(client)).toBe('true anonymous');
    const other = join(directory, 'elsewhere');
    await serve({ address: { host: '', port: 0, path: other }, tls: TLS });
    const failure = await failureOf({ endpoints: `unixs://${other}`, tls: { ca: CA_CERT } });
    expect(failure).toMatch(/x509: certificate is valid for localhost, not elsewhere/);
  });

  test('over TLS and in plaintext, as each endpoint says', async () => {
    const encrypted = `https://127.0.0.1:${await serve({ address: LOOPBACK, tls: TLS })}`;
    const plain = `http://127.0.0.1:${await serve({ address: LOOPBACK })}`;
    const client = new Client({ endpoints: [encrypted, plain], tls: { ca: CA_CERT } });
    const seen = new Set<string | undefined>();
    await expect
      .poll(async () => seen.add(await nameOf(client)))
      .toEqual(new Set(['true anonymous', 'false anonymous']));
    client.setEndpoints([plain]);
    expect(await nameOf(client)).toBe('false anonymous');
  });

  test('with certificates as they are at the moment', async () => {
    const port = await serve({ address: LOOPBACK, tls: TLS });
    let own: TlsOptions = { ca: CA_CERT };
    const client = new Client({ endpoints: `localhost:${port}`, tls: () => own });
    expect(await nameOf(client)).toBe('true anonymous');
    own = { ca: CA_CERT, cert: CLIENT_CERT, key: CLIENT_KEY };
    client.setEndpoints([`127.0.0.1:${port}`]);
    expect(await nameOf(client)).toBe('true client name');
  });

  test('that is one of several endpoints', async () => {
    const port = await serve({ address: LOOPBACK });
    const dead = await serve({ address: LOOPBACK });
    await closers.pop()!();
    const client = new Client({ endpoints: [`127.0.0.1:${dead}`, `127.0.0.1:${port}`] });
    for (let i = 0; i < 10; i++) expect(await nameOf(client)).toBe('false anonymous');
  });
});

describe('a handshake that fails names endpoint and reason', () => {
  const authority = new TestAuthority('an authority');
  const names = { dns: ['localhost'], ip: [[127, 0, 0, 1]] };
  const good = authority.issue(names);
  const strangers = new TestAuthority('another authority').issue(names);

  /** A server that shows `issued`, and wants a certificate of `authority` if `asks`. */
  const serveAs = async (issued: Issued, asks = false): Promise<string> => {
    const { cert, key } = issued;
    const own = { cert, key, ca: authority.cert, requestCert: asks, rejectUnauthorized: asks };
    return `127.0.0.1:${await serve({ address: LOOPBACK, tls: fixedTls(own) })}`;
  };
  const reasonAt = (endpoint: string, tls: TlsOptions = {}): Promise<string> =>
    failureOf({ endpoints: `https://${endpoint}`, tls: { ca: authority.cert, ...tls } });

  test.each<readonly [string, string, Issued]>([
    [
      'expired',
      'certificate has expired or is not yet valid',
      authority.issue({ ...names, notAfter: '200102000000Z' }),
    ],
    ['unknown', 'certificate signed by unknown authority', strangers],
    [
      'of another host',
      "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs",
      authority.issue({ dns: ['other.example'] }),
    ],
  ])('a certificate that is %s', async (_what, reason, issued) => {
    const endpoint = await serveAs(issued);
    const text = `connect to ${endpoint}: tls: failed to verify certificate: x509: ${reason}`;
    expect(await reasonAt(endpoint)).toContain(text);
  });

  test('a name that the certificate does not have', async () => {
    const failure = await reasonAt(await serveAs(good), { serverName: 'b.example' });
    expect(failure).toContain('certificate is valid for localhost, not b.example');
    const address = await reasonAt(await serveAs(good), { serverName: '10.0.0.1' });
    expect(address).toContain('certificate is valid for 127.0.0.1, not 10.0.0.1');
  });

  test('no certificate where the server wants one, or one that it does not accept', async () => {
    const endpoint = await serveAs(good, true);
    expect(await reasonAt(endpoint)).toContain(endpoint);
    const { cert, key } = strangers;
    expect(await reasonAt(endpoint, { cert, key })).toContain(endpoint);
  });

  test('a server without TLS', async () => {
    const endpoint = `127.0.0.1:${await serve({ address: LOOPBACK })}`;
    expect(await reasonAt(endpoint)).toMatch(/does it speak TLS\?|first record does not look like/);
  });

  test('a server with TLS, asked in plaintext', async () => {
    const endpoint = await serveAs(good);
    expect(await failureOf({ endpoints: endpoint })).toContain(endpoint);
  });

  test('also where the time is over', async () => {
    const endpoint = await serveAs(strangers);
    const options = { endpoints: endpoint, tls: { ca: authority.cert }, waitForReady: true };
    const failure = await new Client({ ...options, timeoutMs: 1_000 }).kv.get('a').catch(String);
    expect(failure).toMatch(/latest balancer error: .*unknown authority/);
  });

  test('also each of several', async () => {
    const [first, second] = [await serveAs(strangers), await serveAs(strangers)];
    const tls = { ca: authority.cert };
    const failure = await failureOf({ endpoints: [first, second], tls });
    expect(failure).toContain(first);
    expect(failure).toContain(second);
  });
});
