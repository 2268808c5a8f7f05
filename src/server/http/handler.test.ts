import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createHttpHandler, type HttpSource } from './handler.ts';

const source = {
  health: { handle: () => false },
  versions: () => ({ server: '3.7.1', cluster: 'not_decided', storage: 'unknown' }),
  metrics: async () => ({ contentType: 'text/plain', body: 'm 1\n' }),
} as unknown as HttpSource;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

async function ask(method: string, path: string, metricsOnly = false): Promise<Answer> {
  const server = createServer(createHttpHandler(source, metricsOnly));
  closers.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    const asked = request({ port, method, path, agent: false }, (response) => {
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
  const plain = await ask('GET', '/metrics', true);
  expect(plain).toMatchObject({ status: 200, body: 'm 1\n' });
  expect(plain.headers).not.toHaveProperty('access-control-allow-origin');
  expect((await ask('GET', '/version', true)).status).toBe(404);
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
