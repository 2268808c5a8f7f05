import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createHttpHandler, createUpgradeHandler, type HttpSource } from './handler.ts';
import { HttpAccess } from './http-access.ts';

const logged: unknown[] = [];
const log = { warn: (...line: unknown[]) => void logged.push(line) };
const ALL = { hosts: ['*'], origins: ['*'] };
const source = {
  health: { handle: () => false },
  versions: () => ({ server: '3.7.1', cluster: 'not_decided', storage: 'unknown' }),
  metricsPage: {
    answer: (_request: IncomingMessage, response: ServerResponse) => response.end('m 1\n'),
  },
  debug: [],
} as unknown as HttpSource;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
  logged.length = 0;
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

interface Asking {
  readonly metricsOnly?: boolean;
  readonly access?: typeof ALL;
  readonly headers?: Readonly<Record<string, string>>;
}

async function ask(method: string, path: string, asking: Asking = {}): Promise<Answer> {
  const { metricsOnly = false, access = ALL, headers = {} } = asking;
  const whole = { ...source, access: new HttpAccess(access, log) };
  const server = createServer(createHttpHandler(whole, metricsOnly));
  closers.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    const asked = request({ port, method, path, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('latin1').on('data', (text) => {
        body += text;
      });
      const { statusCode: status, headers } = response;
      response.on('end', () => resolve({ status, headers, body }));
    });
    asked.on('error', reject).end();
  });
}

test('the version, for GET only', async () => {
  const { status, body } = await ask('GET', '/version');
  expect(status).toBe(200);
  expect(body).toBe('{"etcdserver":"3.7.1","etcdcluster":"not_decided","storage":"unknown"}');
  expect(await ask('POST', '/version')).toMatchObject({
    status: 405,
    headers: { allow: 'GET' },
    body: 'Method Not Allowed\n',
  });
});

test('every origin may ask, but on the metrics port', async () => {
  const headers = {
    'access-control-allow-origin': '*',
    'access-control-allow-methods': 'POST, GET, OPTIONS, PUT, DELETE',
    'access-control-allow-headers': 'accept, content-type, authorization',
  };
  expect(await ask('GET', '/nosuch')).toMatchObject({ status: 404, headers });
  expect(await ask('OPTIONS', '/nosuch')).toMatchObject({ status: 200, headers, body: '' });
  const plain = await ask('GET', '/metrics', { metricsOnly: true });
  expect(plain).toMatchObject({ status: 200, body: 'm 1\n' });
  expect(plain.headers).not.toHaveProperty('access-control-allow-origin');
  expect((await ask('GET', '/version', { metricsOnly: true })).status).toBe(404);
});

// What real etcd 3.7.1 answers to each.
test('CVE-2018-1098: only pages of the origins that are listed may read an answer', async () => {
  const access = { ...ALL, origins: ['http://a.example:1', 'http://b.example:1'] };
  for (const [origin, allowed] of [
    ['http://a.example:1', 'http://a.example:1'],
    ['http://b.example:1', 'http://b.example:1'],
    ['http://A.example:1', undefined],
    ['http://a.example', undefined],
    ['null', undefined],
    ['*', undefined],
    ['', undefined],
  ]) {
    for (const [method, path] of [
      ['GET', '/version'],
      ['GET', '/nosuch'],
      ['OPTIONS', '/v3/kv/range'],
    ] as const) {
      const { headers } = await ask(method, path, { access, headers: { origin: origin! } });
      expect([origin, path, headers['access-control-allow-origin']]).toEqual([
        ...[origin, path, allowed],
      ]);
      expect(headers['access-control-allow-methods'] !== undefined).toBe(allowed !== undefined);
    }
  }
  const anonymous = await ask('GET', '/version', { access });
  expect(anonymous.headers).not.toHaveProperty('access-control-allow-origin');
});

test('CVE-2018-1099: without TLS, a request for a host that is not listed goes nowhere', async () => {
  const access = { ...ALL, hosts: ['a.example', '::1'] };
  const answered = async (host: string, path: string, metricsOnly = false) =>
    (await ask('GET', path, { access, metricsOnly, headers: { host } })).status;
  for (const host of ['a.example', 'a.example:99', 'a.example:', '[::1]:1']) {
    expect([host, await answered(host, '/version')]).toEqual([host, 200]);
  }
  const refused = ['A.example', 'evil.example:1', 'a.example.evil.example', '[::1]', '127.0.0.1'];
  for (const host of refused) {
    for (const path of ['/version', '/metrics', '/v3/kv/range', '//', '/%zz', '/nosuch']) {
      const status = path === '/%zz' ? 400 : 421;
      expect([host, path, await answered(host, path)]).toEqual([host, path, status]);
    }
  }
  // The target's host is what counts, and the ports for metrics ask nobody.
  expect(await answered('a.example', 'http://evil.example/version')).toBe(421);
  expect(await answered('evil.example', 'http://a.example/version')).toBe(200);
  expect(await answered('evil.example', '/metrics', true)).toBe(200);
  logged.length = 0;
  const options = await ask('OPTIONS', '/version', { access, headers: { host: 'b"c' } });
  expect(options).toMatchObject({ status: 421, headers: { 'x-content-type-options': 'nosniff' } });
  expect(options.headers).not.toHaveProperty('access-control-allow-origin');
  expect(options.body).toContain('e.g. etcd --host-whitelist "b\\"c"\n');
  expect(logged).toEqual([
    ['rejecting HTTP request to prevent DNS rebinding attacks', { host: 'b"c' }],
  ]);
});

test('CVE-2018-1099: nor does a WebSocket for another host', () => {
  const upgraded: string[] = [];
  const gateway = { upgrade: (_: unknown, __: unknown, path: string) => upgraded.push(path) };
  const access = new HttpAccess({ ...ALL, hosts: ['a.example'] }, log);
  const upgrade = createUpgradeHandler({ ...source, access, gateway } as unknown as HttpSource);
  const asking = (host: string, encrypted: boolean) =>
    upgrade(
      {
        ...{ url: '/v3/watch', method: 'GET', socket: { encrypted } },
        headers: { host, connection: 'Upgrade', upgrade: 'websocket' },
      } as unknown as IncomingMessage,
      Buffer.alloc(0),
    );
  expect(asking('evil.example', false)).toBe(false);
  expect(upgraded).toEqual([]);
  expect(asking('a.example:1', false)).toBe(true);
  expect(asking('evil.example', true)).toBe(true);
  expect(upgraded).toEqual(['/v3/watch', '/v3/watch']);
});

test('unclean paths are redirected, with their query', async () => {
  expect(await ask('GET', '//version?a=b&c')).toMatchObject({
    status: 307,
    headers: { location: '/version?a=b&c' },
    body: '<a href="/version?a=b&amp;c">Temporary Redirect</a>.\n\n',
  });
  expect(await ask('POST', '/a/../version')).toMatchObject({
    status: 307,
    headers: { location: '/version' },
    body: '',
  });
});

test('a path that cannot be read', async () => {
  expect(await ask('GET', '/%zz')).toMatchObject({ status: 400, body: '400 Bad Request' });
});
