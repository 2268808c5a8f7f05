// A GET over TLS, with or without a certificate of one's own.

import { request } from 'node:https';
import type { ConnectionOptions } from 'node:tls';

/** Status and body over HTTP/1.1; rejects if the connection does. */
export function httpsGet(
  port: number,
  path: string,
  tls: ConnectionOptions,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, agent: false, ...tls };
    const asked = request(options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    asked.on('error', reject).end();
  });
}
