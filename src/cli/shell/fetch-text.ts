// A page of an HTTP server, as text.

import type { IncomingMessage } from 'node:http';
import type { RequestOptions } from 'node:https';

/** Longer pages are refused. */
const TEXT_BYTES_MAX = 64 * 1024 * 1024;

/** Rejects if it cannot be had whole, or is not 200. TLS options are of `https:` URLs. */
export async function fetchText(url: string, tls: RequestOptions): Promise<string> {
  const { get } = await import(url.startsWith('https:') ? 'node:https' : 'node:http');
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { ...tls, agent: false }, resolve).once('error', reject);
  });
  if (response.statusCode !== 200) {
    response.destroy();
    throw new Error(`${url} answered ${response.statusCode}`);
  }
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > TEXT_BYTES_MAX) throw new Error(`${url} has more than ${TEXT_BYTES_MAX} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}
