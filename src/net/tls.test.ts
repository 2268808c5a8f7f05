// The TLS contract of a port: settings that change while it listens, who connects, and plaintext beside.

import { once } from 'node:events';
import { createServer as createHttp } from 'node:http';
import https from 'node:https';
import {
  type AddressInfo,
  connect as connectPlain,
  createServer as createPlain,
  Socket,
} from 'node:net';
import {
  type ConnectionOptions,
  connect as connectTls,
  TLSSocket,
  type TlsOptions,
} from 'node:tls';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { bytesFromLatin1, latin1FromBytes } from '../base/index.ts';
import { type ByteStream, createNodeTimers } from '../env/index.ts';
import { socketConnect } from './connect.ts';
import { alternativeNames, type PeerIdentity } from './identity.ts';
import { type BindOptions, listen } from './listener.ts';
import { TestAuthority } from './testing/authority.fixture.ts';
import { fixedTls, type ServerTls } from './tls.ts';

const authority = new TestAuthority('test authority');
const LOOPBACK = { dns: ['localhost'], ip: [[127, 0, 0, 1]] };
const member = authority.issue({ commonName: 'member', ...LOOPBACK });
const PREFACE = bytesFromLatin1('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Served {
  readonly port: number;
  /** Of every HTTP/2 connection, in order. */
  readonly peers: PeerIdentity[];
  readonly failures: string[];
}

/** Answers HTTP/2 with what it got, HTTP/1 with its URL. */
async function serve(tls: ServerTls, options: Partial<BindOptions> = {}): Promise<Served> {
  const served: Served = { port: 0, peers: [], failures: [] };
  const http = createHttp((request, response) => response.end(`http ${request.url}`));
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    tls,
    onConnectionError: (_, error) => served.failures.push(error.message),
    http2: {
      accept: (stream, { peer }) => {
        // As it is when the connection begins: the certificate is read while there is one.
        const { address, encrypted, certificate } = peer;
        served.peers.push({ address, encrypted, certificate });
        echo(stream);
      },
    },
    http,
    ...options,
  });
  closers.push(
    () => listener.close(),
    () => http.closeAllConnections(),
  );
  return { ...served, port: listener.address.port };
}

function echo(stream: ByteStream): void {
  closers.push(() => stream.destroy());
  stream.handler = {
    onData: (bytes) => void stream.write(Uint8Array.from(bytes)),
    onDrain: () => {},
    onEnd: () => stream.end(),
    onClose: () => {},
  };
}

/** Sends the preface over HTTP/2; what came back. Rejects if the connection does. */
async function echoed(port: number, tls: ConnectionOptions): Promise<string> {
  const connect = socketConnect({ tls: fixedTls({ ca: authority.cert, ...tls }), protocol: 'h2' });
  const stream = await connect({ host: 'localhost', port }, 5000);
  return exchange(stream);
}

/** Whether the port serves who presents `tls`: in TLS 1.3 a refusal may come after the handshake. */
async function reaches(port: number, tls: ConnectionOptions): Promise<boolean> {
  const answer = await echoed(port, tls).catch(() => '');
  return answer === latin1FromBytes(PREFACE);
}

function exchange(stream: ByteStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen = '';
    stream.handler = {
      onData: (bytes) => {
        seen += latin1FromBytes(bytes);
        if (seen.length === PREFACE.length) stream.end();
      },
      onDrain: () => {},
      onEnd: () => stream.end(),
      onClose: (error) => (error === undefined ? resolve(seen) : reject(error)),
    };
    stream.write(PREFACE);
  });
}

function secureGet(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', path: '/secure', ca: authority.cert, agent: false };
    const request = https.get(options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve(body));
    });
    request.on('error', reject);
  });
}

/** What a TLS client sends first. */
async function clientHello(): Promise<Uint8Array> {
  const recorder = createPlain();
  await new Promise<void>((resolve) => recorder.listen(0, '127.0.0.1', resolve));
  const client = connectTls({ port: (recorder.address() as AddressInfo).port, host: '127.0.0.1' });
  client.on('error', () => {});
  const [socket] = (await once(recorder, 'connection')) as [NodeJS.ReadableStream];
  const [bytes] = (await once(socket, 'data')) as [Uint8Array];
  client.destroy();
  recorder.close();
  return bytes;
}

/** Settings that a test changes. */
class Changing implements ServerTls {
  value: TlsOptions;
  asked = 0;

  constructor(value: TlsOptions) {
    this.value = value;
  }

  current(): TlsOptions {
    this.asked++;
    return this.value;
  }
}

const TRUSTING = {
  cert: member.cert,
  key: member.key,
  ca: authority.cert,
  requestCert: true,
  rejectUnauthorized: true,
};

describe('settings that change while a port listens', () => {
  test('are asked for at every handshake', async () => {
    const tls = new Changing({ cert: member.cert, key: member.key });
    const { port } = await serve(tls);
    const before = tls.asked;
    await echoed(port, {});
    await echoed(port, {});
    expect(tls.asked - before).toBe(2);
  });

  test('another certificate', async () => {
    const tls = new Changing({ cert: member.cert, key: member.key });
    const { port } = await serve(tls);
    const names: unknown[] = [];
    const look = async () => {
      const socket = connectTls({ port, host: '127.0.0.1', ca: authority.cert });
      await once(socket, 'secureConnect');
      names.push(socket.getPeerCertificate().subject.CN);
      return socket;
    };
    const first = await look();
    const next = authority.issue({ commonName: 'next', ...LOOPBACK });
    tls.value = { cert: next.cert, key: next.key };
    const second = await look();
    expect(names).toEqual(['member', 'next']);
    // The old connection goes on.
    first.write(PREFACE);
    const [bytes] = (await once(first, 'data')) as [Uint8Array];
    expect(bytes).toHaveLength(PREFACE.length);
    first.destroy();
    second.destroy();
  });

  test('another authority', async () => {
    const other = new TestAuthority('other authority');
    const [old, fresh] = [authority.issue({ commonName: 'a' }), other.issue({ commonName: 'b' })];
    const tls = new Changing(TRUSTING);
    const { port, peers } = await serve(tls);
    expect(await reaches(port, old)).toBe(true);
    expect(await reaches(port, fresh)).toBe(false);
    tls.value = { ...TRUSTING, ca: other.cert };
    expect(await reaches(port, fresh)).toBe(true);
    expect(await reaches(port, old)).toBe(false);
    expect(peers.map(({ encrypted }) => encrypted)).toEqual([true, true]);
  });

  test('a certificate that has been revoked', async () => {
    const [kept, lost] = [
      authority.issue({ commonName: 'a' }),
      authority.issue({ commonName: 'b' }),
    ];
    const tls = new Changing({ ...TRUSTING, crl: authority.revoke() });
    const { port, failures } = await serve(tls);
    expect(await reaches(port, lost)).toBe(true);
    tls.value = { ...TRUSTING, crl: authority.revoke(lost) };
    expect(await reaches(port, lost)).toBe(false);
    expect(await reaches(port, kept)).toBe(true);
    expect(failures).toEqual(['tls: failed to verify certificate: CERT_REVOKED']);
  });

  test('settings that make no sense fail their handshakes alone', async () => {
    const tls = new Changing({ cert: member.cert, key: member.key });
    const { port, failures } = await serve(tls);
    const good = tls.value;
    tls.value = { cert: 'no certificate', key: member.key };
    await expect(echoed(port, {})).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(failures).toEqual([expect.stringContaining('PEM')]);
    tls.value = good;
    expect(await echoed(port, {})).toHaveLength(PREFACE.length);
    await expect(serve(fixedTls({ cert: 'no certificate' }))).rejects.toThrow(/PEM/);
  });
});

describe('who connects', () => {
  test('all names of a verified certificate', async () => {
    const { port, peers } = await serve(fixedTls(TRUSTING));
    const named = authority.issue({
      commonName: 'client, "name"',
      dns: ['a.example', 'x, DNS:b.example'],
      ip: [
        [10, 0, 0, 1],
        [...new Array<number>(15).fill(0), 1],
      ],
      uri: ['spiffe://example/one'],
      email: ['one@example'],
    });
    await echoed(port, named);
    expect(peers).toEqual([
      {
        address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
        encrypted: true,
        certificate: {
          commonName: 'client, "name"',
          dnsNames: ['a.example', 'x, DNS:b.example'],
          ipAddresses: ['10.0.0.1', '::1'],
          uris: ['spiffe://example/one'],
          emailAddresses: ['one@example'],
          serialNumber: named.serialNumber,
        },
      },
    ]);
  });

  test('a certificate without any name, one that was not verified, and none', async () => {
    const { port, peers } = await serve(fixedTls({ ...TRUSTING, rejectUnauthorized: false }));
    const nameless = authority.issue({});
    const stranger = new TestAuthority('elsewhere').issue({ commonName: 'root' });
    for (const tls of [nameless, stranger, {}]) await echoed(port, tls);
    expect(peers.map(({ certificate }) => certificate)).toEqual([
      {
        commonName: undefined,
        dnsNames: [],
        ipAddresses: [],
        uris: [],
        emailAddresses: [],
        serialNumber: nameless.serialNumber,
      },
      undefined,
      undefined,
    ]);
  });

  test('names that are not understood are none', () => {
    const none = { dnsNames: [], ipAddresses: [], uris: [], emailAddresses: [] };
    expect(alternativeNames('')).toEqual(none);
    expect(alternativeNames('DNS:a, DNS:"b')).toBeUndefined();
    expect(alternativeNames('DNS:a, othername:<unsupported>, DirName:"CN = x"')).toEqual({
      ...none,
      dnsNames: ['a'],
    });
  });
});

test('a port that closes cuts off handshakes, and nothing else', async () => {
  const accepted: ByteStream[] = [];
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    tls: fixedTls({ cert: member.cert, key: member.key }),
    handshakeTimeoutMs: 120_000,
    http2: {
      accept: (stream) => {
        accepted.push(stream);
        echo(stream);
      },
    },
  });
  const { port } = listener.address;
  const tls = fixedTls({ ca: authority.cert });
  const stream = await socketConnect({ tls, protocol: 'h2' })({ host: 'localhost', port }, 5000);
  const silent = connectPlain(port, '127.0.0.1');
  silent.on('error', () => {});
  // Half of a record: the handshake has begun when its connection has been accepted after the other's.
  silent.write((await clientHello()).subarray(0, 9));
  await expect.poll(() => accepted.length).toBe(1);
  const later = await socketConnect({ tls, protocol: 'h2' })({ host: 'localhost', port }, 5000);
  closers.push(() => later.destroy());
  const cut = once(silent, 'close');
  await listener.close();
  await cut;
  expect(await exchange(stream)).toBe(latin1FromBytes(PREFACE));
});

describe('plaintext beside TLS on one port', () => {
  const tls = fixedTls({ cert: member.cert, key: member.key });

  test('http:// and https://, HTTP/1 and HTTP/2', async () => {
    const { port, peers } = await serve(tls, { plaintext: true });
    const plain = await fetch(`http://127.0.0.1:${port}/plain`);
    expect(await plain.text()).toBe('http /plain');
    expect(await secureGet(port)).toBe('http /secure');
    expect(await echoed(port, {})).toHaveLength(PREFACE.length);
    const stream = await socketConnect()({ host: '127.0.0.1', port }, 5000);
    expect(await exchange(stream)).toHaveLength(PREFACE.length);
    expect(peers.map(({ encrypted }) => encrypted)).toEqual([true, false]);
  });

  test('a handshake that comes byte by byte', async () => {
    const { port } = await serve(tls, { plaintext: true });
    const recorded = await clientHello();
    const socket = connectPlain(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.setNoDelay(true);
    for (const byte of recorded) {
      socket.write(Uint8Array.of(byte));
      await createNodeTimers().nextTurn();
    }
    const [answer] = (await once(socket, 'data')) as [Uint8Array];
    // A handshake record that holds a ServerHello.
    expect([answer[0], answer[5]]).toEqual([0x16, 2]);
    socket.destroy();
  });

  test('without it, plaintext is refused', async () => {
    const { port, peers } = await serve(tls);
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
    expect(peers).toEqual([]);
  });
});

test('an outgoing connection sends small pieces at once and is probed when idle', async () => {
  const set: string[] = [];
  for (const name of ['setNoDelay', 'setKeepAlive'] as const) {
    const spy = vi.spyOn(Socket.prototype, name).mockImplementation(function (
      this: Socket,
      ...args: readonly unknown[]
    ) {
      // What is set before there is a connection is lost.
      if (this instanceof TLSSocket && !this.connecting) set.push(`${name} ${args}`);
      return this;
    });
    closers.push(() => spy.mockRestore());
  }
  const { port } = await serve(fixedTls({ cert: member.cert, key: member.key }));
  await echoed(port, {});
  expect(set).toEqual(['setNoDelay true', 'setKeepAlive true,30000']);
});
