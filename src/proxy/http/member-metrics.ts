// The metrics page of a member, fetched for those who reach the proxy only.

import { request as requestPlain } from 'node:http';
import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import type { Endpoint } from '../../grpc/index.ts';
import type { ClientTls } from '../../net/index.ts';
import { METRICS_PAGE_BYTES_MAX, METRICS_TIMEOUT_MS } from '../limits.ts';

/** Rejects with UNAVAILABLE, or LIMIT_EXCEEDED for a page that is too large. */
export async function fetchMetrics(endpoint: Endpoint, tls: ClientTls): Promise<Uint8Array> {
  const { host, port, path: socketPath, scheme } = endpoint;
  const where = socketPath === undefined ? { host, port } : { socketPath };
  const isSecure = scheme === 'https';
  const request = isSecure ? (await import('node:https')).request : requestPlain;
  return new Promise((resolve, reject) => {
    const fail = (text: string): void => {
      sent.destroy();
      reject(new TetcdError(ERROR_CODES.UNAVAILABLE, `metrics of ${host}:${port}: ${text}`));
    };
    const sent = request(
      {
        ...where,
        ...(isSecure ? tls.current() : {}),
        path: '/metrics',
        agent: false,
        timeout: METRICS_TIMEOUT_MS,
      },
      (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > METRICS_PAGE_BYTES_MAX) fail('the page is too large');
          else chunks.push(chunk);
        });
        response.on('end', () => resolve(Buffer.concat(chunks)));
        response.on('error', (error) => fail(error.message));
      },
    );
    sent.on('timeout', () => fail('no answer in time'));
    sent.on('error', (error) => fail(error.message));
    sent.end();
  });
}
