// One member whose ports are encrypted: real clients are served, strangers are not, at any port.

import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { TestAuthority } from '../../src/net/testing/authority.fixture.ts';
import { httpsGet } from '../helpers/https-get.ts';
import { serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, realEtcd } from '../helpers/real-etcd.ts';
import { freePort } from '../helpers/server-process.ts';
import { etcdctl, LOOPBACK, SecureMember, securePorts } from './secure-member.ts';

const ours = serverUnderTest();
const authority = new TestAuthority('authority');
const client = authority.issue({ commonName: 'client', ...LOOPBACK });
const stranger = new TestAuthority('elsewhere').issue({ commonName: 'client', ...LOOPBACK });
const trusting = { ca: authority.cert, ...pairOf(client) };

function pairOf({ cert, key }: { readonly cert: string; readonly key: string }) {
  return { cert, key };
}

/** The newest line about a refused connection, without what differs from run to run. */
async function rejection(member: SecureMember, pattern: RegExp): Promise<Record<string, unknown>> {
  const line = await member.line(pattern);
  const { level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  delete fields['ts'];
  delete fields['caller'];
  return { level, msg, ...fields };
}

describeWith('a member with TLS everywhere', [ours], () => {
  let member: SecureMember;
  let socket: string;
  beforeAll(async () => {
    member = new SecureMember('m1', await securePorts()).certify(authority);
    member.pem.putPair('client', client);
    socket = `${member.root}/client.sock`;
    const { client: port } = member.ports;
    const urls = [`https://127.0.0.1:${port}`, `http://127.0.0.1:${port}`, `unixs://${socket}`];
    const flags = member.flags().map((flag) => {
      return flag.startsWith('--listen-client-urls=')
        ? `--listen-client-urls=${urls.join(',')}`
        : flag;
    });
    await member.start(need(ours), [...flags, '--log-level=debug']);
  });
  afterAll(() => member.dispose());

  for (const release of ['3.5', '3.7'] as const) {
    const real = realEtcd(release);
    describeWith(`and etcdctl ${release}`, [real], () => {
      test('writes and reads with a certificate', async () => {
        const tool = need(real).etcdctl;
        const put = await etcdctl(tool, member.clientUrl, member.pem, ['put', release, 'value']);
        expect(put).toMatchObject({ code: 0, stdout: 'OK\n' });
        const get = await etcdctl(tool, member.clientUrl, member.pem, ['get', release]);
        expect(get.stdout).toBe(`${release}\nvalue\n`);
      });
    });
  }

  test('serves HTTP with and without encryption on one port, and on a Unix socket', async () => {
    const { client: port } = member.ports;
    expect(await httpsGet(port, '/health', trusting)).toMatchObject({
      status: 200,
      body: '{"health":"true","reason":""}',
    });
    const plain = await fetch(`http://127.0.0.1:${port}/health`);
    expect(plain.status).toBe(200);
    const secured = connectTls({ path: socket, servername: 'localhost', ...trusting });
    const body = await new Promise<string>((resolve, reject) => {
      const asked = request({ path: '/health', createConnection: () => secured }, (response) => {
        response.setEncoding('utf8').on('data', resolve);
      });
      asked.on('error', reject).end();
    });
    expect(body).toBe('{"health":"true","reason":""}');
    expect(await member.line(/serving client traffic securely/)).toContain('"traffic":"grpc+http"');
    expect(await member.line(/serving client traffic insecurely/)).toContain(`:${port}"`);
  });

  test('offers no HTTP/2 where it has only HTTP', async () => {
    const socket = connectTls({
      port: member.ports.metrics,
      host: '127.0.0.1',
      ALPNProtocols: ['h2', 'http/1.1'],
      ...trusting,
    });
    const protocol = await new Promise((resolve) => {
      socket.once('secureConnect', () => resolve(socket.alpnProtocol));
    });
    socket.destroy();
    expect(protocol).toBe('http/1.1');
  });

  describe('turns away', () => {
    test.each([
      ['client', 'client'],
      ['metrics', 'client'],
      ['peer', 'peer'],
    ] as const)('strangers at the %s port', async (port, endpoint) => {
      const ca = authority.cert;
      const at = member.ports[port];
      const path = port === 'peer' ? '/members' : '/health';
      expect((await httpsGet(at, path, trusting)).status).toBe(200);
      await expect(httpsGet(at, path, { ca })).rejects.toThrow();
      await expect(httpsGet(at, path, { ca, ...pairOf(stranger) })).rejects.toThrow();
      const msg = `rejected connection on ${endpoint} endpoint`;
      const address = expect.stringMatching(/^127\.0\.0\.1:\d+$/);
      for (const [word, error] of [
        ['provide', "tls: client didn't provide a certificate"],
        [
          'unknown',
          'tls: failed to verify certificate: x509: certificate signed by unknown authority',
        ],
      ]) {
        const line = await rejection(member, new RegExp(`on ${endpoint} endpoint.*${word}`));
        expect(line).toEqual({
          ...{ level: 'warn', msg, error },
          ...{ 'remote-addr': address, 'server-name': '' },
        });
      }
    });

    test('a client with a certificate for elsewhere at the peer port', async () => {
      const elsewhere = authority.issue({
        commonName: 'x',
        dns: ['x.invalid'],
        ip: [[10, 9, 9, 9]],
      });
      const tls = { ca: authority.cert, ...pairOf(elsewhere) };
      await expect(httpsGet(member.ports.peer, '/members', tls)).rejects.toThrow();
      expect((await httpsGet(member.ports.client, '/health', tls)).status).toBe(200);
      const line = await rejection(member, /x\.invalid/);
      expect(line).toMatchObject({
        level: 'warn',
        msg: 'rejected connection on peer endpoint',
        'ip-addresses': ['10.9.9.9'],
        'dns-names': ['x.invalid'],
        error: expect.stringMatching(
          /^tls: "127\.0\.0\.1" does not match any of DNSNames \["x\.invalid"\] \(lookup /,
        ),
      });
    });
  });

  test('counts refusals, and the days that its certificates are valid', async () => {
    const { body } = await httpsGet(member.ports.metrics, '/metrics', trusting);
    expect(body).toMatch(/^tetcd_tls_rejected_connections_total\{endpoint="peer"\} [1-9]/m);
    expect(body).toMatch(/^tetcd_tls_rejected_connections_total\{endpoint="client"\} [1-9]/m);
    const days = /^tetcd_tls_certificate_expiry_days\{endpoint="(\w+)",file=".*\/(.*)"\} (.*)$/gm;
    const found = [...body.matchAll(days)];
    expect(found.map(([, endpoint, file]) => `${endpoint} ${file}`).sort()).toEqual([
      'client ca.crt',
      'client server.crt',
      'peer ca.crt',
      'peer server.crt',
    ]);
    for (const [, , , text] of found) expect(Number(text)).toBeGreaterThan(3_000);
  });
});

describeWith('GHSA-3wh4-j44w-pg92: revoked certificates', [ours], () => {
  const members: SecureMember[] = [];
  afterEach(async () => {
    for (const member of members.splice(0)) await member.dispose();
  });

  test.each(['one port', 'split ports'])('are refused on every listener, %s', async (layout) => {
    const member = new SecureMember('m1', await securePorts()).certify(authority);
    members.push(member);
    const list = member.pem.put('list.pem', authority.revoke());
    const httpPort = layout === 'one port' ? member.ports.client : await freePort();
    const split =
      layout === 'one port' ? [] : [`--listen-client-http-urls=https://127.0.0.1:${httpPort}`];
    await member.start(need(ours), [
      ...member.flags(),
      ...split,
      `--client-crl-file=${list}`,
      `--peer-crl-file=${list}`,
    ]);
    const kept = authority.issue({ commonName: 'kept', ...LOOPBACK });
    const lost = authority.issue({ commonName: 'lost', ...LOOPBACK });
    const { ports } = member;
    const ways: readonly (readonly [string, (tls: object) => Promise<unknown>])[] = [
      ['HTTP', (tls) => httpsGet(httpPort, '/health', tls)],
      ['metrics', (tls) => httpsGet(ports.metrics, '/health', tls)],
      ['peer', (tls) => httpsGet(ports.peer, '/members', tls)],
      ['gRPC', (tls) => speaksHttp2(ports.client, tls)],
    ];
    const ca = authority.cert;
    for (const [way, ask] of ways)
      await expect(ask({ ca, ...pairOf(lost) }), way).resolves.toBeDefined();
    member.pem.put('list.pem', authority.revoke(lost));
    const serial = lost.serialNumber.toLowerCase();
    for (const [way, ask] of ways) {
      await expect(ask({ ca, ...pairOf(kept) }), way).resolves.toBeDefined();
      await expect(ask({ ca, ...pairOf(lost) }), way).rejects.toThrow();
    }
    for (const endpoint of ['client', 'peer']) {
      const line = await rejection(member, new RegExp(`${endpoint} endpoint.*revoked`));
      expect(line['error']).toBe(`transport: certificate serial ${serial} revoked`);
    }
  });
});

/** Resolves when the server's first frame arrives; rejects if it hangs up. */
function speaksHttp2(port: number, tls: object): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', ALPNProtocols: ['h2'], ...tls });
    socket.on('error', reject);
    socket.once('close', () => reject(new Error('closed')));
    socket.once('data', () => {
      resolve('h2');
      socket.destroy();
    });
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1');
  });
}

describeWith('a start with certificates that cannot be used', [ours], () => {
  let member: SecureMember;
  afterEach(() => member.dispose());

  test.each<[string, (member: SecureMember) => void, string]>([
    ['missing', ({ pem }) => pem.removeAll(), 'no such file or directory'],
    [
      'of another key',
      ({ pem }) => pem.put('server.key', client.key),
      'tls: private key does not match public key',
    ],
    [
      'garbage',
      ({ pem }) => pem.put('ca.crt', 'garbage'),
      'x509: no certificate among the PEM blocks',
    ],
  ])('%s, is refused by file and reason before anything is written', async (_, spoil, reason) => {
    member = new SecureMember('m1', await securePorts()).certify(authority);
    spoil(member);
    const started = member.launch(need(ours));
    expect(await started.ended(30_000)).toBe('1');
    const last = JSON.parse(started.log().split('\n').at(-1)!) as Record<string, unknown>;
    expect(last).toMatchObject({ level: 'fatal', msg: 'failed to start etcd' });
    expect(last['error']).toContain(member.pem.directory);
    expect(last['error']).toContain(reason);
    expect(existsSync(member.directory)).toBe(false);
  });
});
