import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import type { Logger } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { MetricsPage } from './metrics-page.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function serve(render: () => Promise<string>) {
  const metrics = createMetrics({ extensive: false, runtime: false });
  const log = { error: () => undefined } as unknown as Logger;
  const page = new MetricsPage({ log, metrics: metrics.records, render });
  const server = createServer((request, response) => void page.answer(request, response));
  closers.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const ask = (headers: Readonly<Record<string, string>>, method = 'GET') =>
    new Promise<{ response: IncomingMessage; body: Buffer }>((resolve, reject) => {
      const asked = request({ port, method, headers, agent: false }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part) => parts.push(part));
        response.on('end', () => resolve({ response, body: Buffer.concat(parts) }));
      });
      asked.on('error', reject).end();
    });
  return { ask, metrics };
}

test('the page is compressed for who accepts it, and names are escaped as asked', async () => {
  const { ask } = await serve(async () => 'm 1\n');
  for (const encoding of ['gzip', 'gzip, deflate', 'zstd, gzip;q=0.5']) {
    const { response, body } = await ask({ 'accept-encoding': encoding });
    expect(response.headers['content-encoding'], encoding).toBe('gzip');
    expect(gunzipSync(body).toString()).toBe('m 1\n');
  }
  for (const encoding of ['', 'identity', 'gzip;q=0', 'gzip; q=0.0', 'zstd', '*']) {
    const { response, body } = await ask({ 'accept-encoding': encoding });
    expect(response.headers['content-encoding'], encoding).toBe(undefined);
    expect(response.headers['content-type']).toBe(
      'text/plain; version=0.0.4; charset=utf-8; escaping=underscores',
    );
    expect(body.toString()).toBe('m 1\n');
  }
  const accept = 'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.2';
  const { response } = await ask({ accept }, 'POST');
  expect(response.headers['content-type']).toMatch(/escaping=allow-utf-8$/);
});

test('scrapes are counted', async () => {
  let fails = false;
  const { ask, metrics } = await serve(async () => {
    if (fails) throw new Error('no');
    return metrics.render();
  });
  const { body } = await ask({});
  expect(body.toString()).toContain('promhttp_metric_handler_requests_in_flight 1\n');
  expect(body.toString()).toContain('promhttp_metric_handler_requests_total{code="200"} 0\n');
  fails = true;
  expect((await ask({})).response.statusCode).toBe(500);
  fails = false;
  const { body: later } = await ask({});
  expect(later.toString()).toContain('promhttp_metric_handler_requests_total{code="200"} 1\n');
  expect(later.toString()).toContain('promhttp_metric_handler_requests_total{code="500"} 1\n');
  expect(metrics.records.scrapes.inFlight.value).toBe(0);
});
