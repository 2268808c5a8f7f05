// One port for gRPC and HTTP: who gets which connection and which request.

import { once } from 'node:events';
import http, { type Server as HttpServer } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ERROR_CODES, hasCode } from '../../base/index.ts';
import {
  BYTES_ENCODER,
  createChannel,
  createServer,
  type Server,
  type ServerOptions,
} from '../../grpc/index.ts';
import { addMethods, clock, entropy, timers } from '../../grpc/testing/rig.fixture.ts';
import {
  bind,
  fixedTls,
  listen,
  type PortListener,
  type ServerTls,
  socketConnect,
} from '../../net/index.ts';
import {
  CA_CERT,
  CLIENT_CERT,
  CLIENT_KEY,
  SERVER_CERT,
  SERVER_KEY,
} from '../../net/testing/certificates.fixture.ts';
import { bridged } from '../http/http2-bridge.ts';

const same = (bytes: Buffer) => bytes;

/** Answers what it was asked, and a large body under /large. */
function httpServer(): HttpServer {
  return http.createServer((request, response) => {
    if (request.url === '/large') {
      response.setHeader('content-type', 'application/octet-stream');
      for (let i = 0; i < 100; i++) response.write(Buffer.alloc(20_000, i));
      response.end();
      return;
    }
    if (request.url === '/broken') {
      response.write('half');
      setImmediate(() => request.socket.destroy());
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.setHeader('x-seen', ['a', 'b']);
      response.statusCode = 201;
      response.end(
        JSON.stringify({
          method: request.method,
          url: request.url,
          host: request.headers.host,
          cookie: request.headers.cookie,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
  });
}

interface Rig {
  readonly server: Server;
  readonly port: number;
  /** `127.0.0.1:port`. */
  readonly target: string;
  close(): Promise<void>;
}

/** One port with the methods of the rig and {@link httpServer}. */
async function startRig(tls?: ServerTls, options: Partial<ServerOptions> = {}): Promise<Rig> {
  const server = createServer({ timers, clock, ...options });
  addMethods(server);
  const http = httpServer();
  const listener: PortListener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    http2: bridged(server, http),
    http,
    ...(tls === undefined ? {} : { tls }),
  });
  const { port } = listener.address;
  return {
    server,
    port,
    target: `127.0.0.1:${port}`,
    close: async () => {
      server.close();
      await listener.close();
    },
  };
}

function callUnary(client: grpc.Client, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest('/test.Echo/Unary', same, same, Buffer.from(body), (error, value) =>
      error ? reject(error) : resolve(value!.toString()),
    );
  });
}

async function readAll(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe('plaintext', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig();
  });
  afterAll(() => rig.close());

  test('gRPC and HTTP/1.1 on the same port', async () => {
    const client = new grpc.Client(rig.target, grpc.credentials.createInsecure());
    expect(await callUnary(client, 'x')).toBe('x');
    client.close();
    const response = await fetch(`http://${rig.target}/version?a=b`, {
      method: 'POST',
      body: 'hi',
    });
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({
      method: 'POST',
      url: '/version?a=b',
      body: 'hi',
    });
  });

  /** Sends `pieces` one by one and returns all that comes back until the other side closes. */
  async function talk(pieces: readonly string[]): Promise<string> {
    const socket = net.connect(rig.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.setNoDelay(true);
    for (const piece of pieces) {
      socket.write(piece, 'latin1');
      await timers.nextTurn();
    }
    return (await readAll(socket)).toString('latin1');
  }

  const GET = 'GET /v HTTP/1.1\r\nhost: me\r\nconnection: close\r\n\r\n';

  test('HTTP/1.1 that arrives byte by byte', async () => {
    expect(await talk([...GET])).toMatch(/^HTTP\/1\.1 201 Created.*"host":"me"/s);
  });

  test('a method that begins like the preface', async () => {
    const text = await talk([...GET.replace('GET', 'PROPFIND')]);
    expect(text).toMatch(/^HTTP\/1\.1 201 Created.*"PROPFIND"/s);
  });

  test('an upgrade to h2c is answered as HTTP/1.1', async () => {
    const text = await talk([
      'GET /v HTTP/1.1\r\nhost: me\r\nconnection: Upgrade, HTTP2-Settings, close\r\n' +
        'upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n',
    ]);
    expect(text).toMatch(/^HTTP\/1\.1 201 Created/);
  });

  test('the preface byte by byte', async () => {
    const socket = net.connect(rig.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.setNoDelay(true);
    for (const char of 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0') {
      socket.write(char, 'latin1');
      await timers.nextTurn();
    }
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    expect(chunk[3]).toBe(4);
    socket.destroy();
  });

  test('a request that is not gRPC on an HTTP/2 connection gets 415', async () => {
    const session = http2.connect(`http://${rig.target}`);
    const request = session.request({ ':path': '/version' });
    const [headers] = (await once(request, 'response')) as [http2.IncomingHttpHeaders];
    expect(headers[':status']).toBe(415);
    expect(headers['grpc-message']).toBe('invalid gRPC request content-type ""');
    session.destroy();
  });

  test('a connection that says nothing is closed', async () => {
    const quiet = await listen({
      address: { host: '127.0.0.1', port: 0 },
      http2: rig.server,
      handshakeTimeoutMs: 20,
    });
    const socket = net.connect(quiet.address.port, '127.0.0.1');
    await once(socket, 'close');
    await quiet.close();
  });

  test('a slow HTTP request is given up', async () => {
    const slow = http.createServer({ connectionsCheckingInterval: 10 });
    slow.headersTimeout = 30;
    slow.requestTimeout = 30;
    const port = await listen({ address: { host: '127.0.0.1', port: 0 }, http: slow });
    const socket = net.connect(port.address.port, '127.0.0.1');
    socket.write('GET /v HT');
    expect((await readAll(socket)).toString()).toMatch(/^HTTP\/1\.1 408/);
    await port.close();
    slow.close();
  });

  test('without an HTTP server such connections are closed', async () => {
    const only = await listen({ address: { host: '127.0.0.1', port: 0 }, http2: rig.server });
    await expect(fetch(`http://127.0.0.1:${only.address.port}/`)).rejects.toThrow();
    await only.close();
  });

  test('who comes before the port serves waits, and is served then', async () => {
    const port = await bind({ address: { host: '127.0.0.1', port: 0 } });
    const target = `127.0.0.1:${port.address.port}`;
    const left = net.connect(port.address.port, '127.0.0.1');
    await once(left, 'connect');
    left.destroy();
    const client = new grpc.Client(target, grpc.credentials.createInsecure());
    const asked = [fetch(`http://${target}/`).then((answer) => answer.status)];
    let answers = 0;
    const called = callUnary(client, 'early').then((answer) => {
      answers++;
      return answer;
    });
    void asked[0]!.then(() => answers++);
    const known = net.connect(port.address.port, '127.0.0.1');
    await once(known, 'connect');
    expect(answers).toBe(0);
    const server = httpServer();
    port.serve({ http2: rig.server, http: server });
    expect(await called).toBe('early');
    expect(await asked[0]).toBe(201);
    client.close();
    known.destroy();
    await port.close();
    server.closeAllConnections();
  });

  test('who waits at a port that is given up is cut off', async () => {
    const port = await bind({ address: { host: '127.0.0.1', port: 0 } });
    const waiting = net.connect(port.address.port, '127.0.0.1');
    waiting.on('error', () => {});
    await once(waiting, 'connect');
    waiting.write('GET / HTTP/1.1\r\n\r\n');
    const closed = new Promise((resolve) => waiting.once('close', resolve));
    await port.close();
    await closed;
  });

  test('a port that is taken', async () => {
    const again = listen({ address: { host: '127.0.0.1', port: rig.port }, http2: rig.server });
    await expect(again).rejects.toSatisfy((error) => hasCode(error, ERROR_CODES.ALREADY_EXISTS));
  });
});

describe('TLS', () => {
  let rig: Rig;
  const peers: string[] = [];
  beforeAll(async () => {
    const tls = fixedTls({
      key: SERVER_KEY,
      cert: SERVER_CERT,
      ca: CA_CERT,
      requestCert: true,
      rejectUnauthorized: false,
    });
    rig = await startRig(tls, {
      onCallEnd: ({ peer }) => peers.push(`${peer.encrypted} ${peer.certificate?.commonName}`),
    });
  });
  afterAll(() => rig.close());

  test('grpc-js, with and without a certificate', async () => {
    const ca = Buffer.from(CA_CERT);
    const known = new grpc.Client(
      rig.target,
      grpc.credentials.createSsl(ca, Buffer.from(CLIENT_KEY), Buffer.from(CLIENT_CERT)),
    );
    const anonymous = new grpc.Client(rig.target, grpc.credentials.createSsl(ca));
    expect(await callUnary(known, 'x')).toBe('x');
    expect(await callUnary(anonymous, 'x')).toBe('x');
    expect(peers.splice(0)).toEqual(['true client name', 'true undefined']);
    known.close();
    anonymous.close();
  });

  test('our client', async () => {
    const channel = createChannel({
      endpoints: [{ host: '127.0.0.1', port: rig.port }],
      connect: socketConnect({ tls: fixedTls({ ca: CA_CERT }), protocol: 'h2' }),
      scheme: 'https',
      timers,
      clock,
      entropy,
    });
    const body = new Uint8Array(1_000_000).fill(1);
    expect(await channel.request('/test.Echo/Unary', BYTES_ENCODER, body)).toHaveLength(1_000_000);
    channel.close();
  });

  test('a certificate that is not trusted', async () => {
    const channel = createChannel({
      endpoints: [{ host: '127.0.0.1', port: rig.port }],
      connect: socketConnect({ tls: fixedTls({}), protocol: 'h2' }),
      timers,
      clock,
      entropy,
    });
    const call = channel.request('/test.Echo/Unary', BYTES_ENCODER, new Uint8Array(0));
    await expect(call).rejects.toThrow(/Unavailable.*certificate/);
    channel.close();
  });

  test('HTTP/2 that is not gRPC reaches the HTTP handlers', async () => {
    const session = http2.connect(`https://${rig.target}`, { ca: CA_CERT });
    const request = session.request({ ':method': 'PUT', ':path': '/v?q', cookie: ['a=1', 'b=2'] });
    request.end('a body');
    const [headers] = (await once(request, 'response')) as [http2.IncomingHttpHeaders];
    expect(headers[':status']).toBe(201);
    expect(headers['x-seen']).toBe('a, b');
    expect(headers.connection).toBeUndefined();
    expect(JSON.parse((await readAll(request)).toString())).toEqual({
      method: 'PUT',
      url: '/v?q',
      host: rig.target,
      cookie: 'a=1; b=2',
      body: 'a body',
    });
    session.close();
  });

  test('large bodies both ways, and gRPC beside them', async () => {
    const session = http2.connect(`https://${rig.target}`, { ca: CA_CERT });
    const down = session.request({ ':path': '/large' });
    expect((await readAll(down)).length).toBe(2_000_000);
    const up = session.request({ ':method': 'POST', ':path': '/up' });
    up.end(Buffer.alloc(3_000_000, 'z'));
    expect(JSON.parse((await readAll(up)).toString()).body.length).toBe(3_000_000);
    const call = session.request({
      ':method': 'POST',
      ':path': '/test.Echo/Unary',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    call.end(Buffer.from([0, 0, 0, 0, 1, 9]));
    expect(await readAll(call)).toEqual(Buffer.from([0, 0, 0, 0, 1, 9]));
    session.close();
  });

  test('a handler that breaks off resets the stream', async () => {
    const session = http2.connect(`https://${rig.target}`, { ca: CA_CERT });
    const request = session.request({ ':path': '/broken' });
    await expect(readAll(request)).rejects.toThrow(/INTERNAL_ERROR/);
    session.close();
  });

  test('HTTP/1.1 by ALPN', async () => {
    const agent = new https.Agent({ ca: CA_CERT, ALPNProtocols: ['http/1.1'] });
    const body = await new Promise<string>((resolve, reject) => {
      https
        .get(`https://${rig.target}/v`, { agent }, (response) => {
          readAll(response).then((bytes) => resolve(bytes.toString()), reject);
        })
        .on('error', reject);
    });
    expect(JSON.parse(body).url).toBe('/v');
  });

  test.each<[string, string, string]>([
    [
      'HTTP/1.1',
      'GET /v HTTP/1.1\r\nhost: me\r\nconnection: close\r\n\r\n',
      'HTTP/1.1 201 Created',
    ],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', '\0\0\x12\x04'],
  ])('%s without ALPN', async (_name, text, answer) => {
    const socket = tls.connect({ port: rig.port, host: '127.0.0.1', ca: CA_CERT });
    await once(socket, 'secureConnect');
    expect(socket.alpnProtocol).toBe(false);
    socket.write(text, 'latin1');
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    expect(chunk.toString('latin1').slice(0, answer.length)).toBe(answer);
    socket.destroy();
  });

  test('a connection that is no TLS', async () => {
    const socket = net.connect(rig.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await once(socket, 'close');
  });
});
