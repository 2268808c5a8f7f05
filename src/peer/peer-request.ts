// A request with a small body and a small response, over a given connection or a new one.

import { ERROR_CODES, TetcdError } from '../base/index.ts';
import type { Env } from '../env/index.ts';
import { hostOfUrl, parsePeerUrl } from './address.ts';
import { ClientConnection, requestHeadBytes } from './http1/index.ts';
import type { PeerResponse, RequestOptions } from './types.ts';

export type PeerEnv = Pick<Env, 'clock' | 'timers' | 'network'>;

/**
 * One request to another member's peer port. Resolves with the response of any status, header names in
 * lower case. Rejects with a TetcdError that names the URL: INVALID_ARGUMENT for a bad URL, UNAVAILABLE,
 * TIMEOUT, MALFORMED for a response that is not HTTP, LIMIT_EXCEEDED for a body above `bodyBytesMax`.
 */
export async function requestPeer(env: PeerEnv, options: RequestOptions): Promise<PeerResponse> {
  const dueMs = env.clock.monotonicMs() + options.timeoutMs;
  const connection = await dial(env, options.url, options.timeoutMs);
  const leftMs = Math.max(0, dueMs - env.clock.monotonicMs());
  try {
    return await exchange(env, connection, { ...options, timeoutMs: leftMs, close: true });
  } finally {
    connection.destroy();
  }
}

/** A connection to a peer URL. To be used in the turn in which the promise resolves. */
export async function dial(
  env: PeerEnv,
  url: string,
  timeoutMs: number,
): Promise<ClientConnection> {
  const address = parsePeerUrl(url);
  const dueMs = env.clock.monotonicMs() + timeoutMs;
  try {
    return new ClientConnection(await env.network.connect(address, timeoutMs), url);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const late = env.clock.monotonicMs() >= dueMs;
    const code = late ? ERROR_CODES.TIMEOUT : ERROR_CODES.UNAVAILABLE;
    throw new TetcdError(code, `${url}: ${reason}`, { cause: error });
  }
}

interface ExchangeOptions extends RequestOptions {
  /** Whether the connection ends with this exchange. */
  readonly close: boolean;
}

/** One exchange. If it rejects, the connection is destroyed. */
export function exchange(
  env: PeerEnv,
  connection: ClientConnection,
  options: ExchangeOptions,
): Promise<PeerResponse> {
  return new Promise((resolve, reject) => {
    let status = 0;
    let headers: Record<string, string> = {};
    let body = new Uint8Array(0);
    let size = 0;
    const timer = env.timers.after(options.timeoutMs, () => {
      const text = `${options.url}: no answer within ${options.timeoutMs} ms`;
      refuse(new TetcdError(ERROR_CODES.TIMEOUT, text));
    });
    const refuse = (error: TetcdError): void => {
      timer.cancel();
      connection.destroy();
      reject(error);
    };
    connection.start(requestBytes(options), {
      onHead: (head) => {
        status = head.status;
        headers = Object.fromEntries(head.headers);
      },
      onBody: (bytes) => {
        if (size + bytes.length > options.bodyBytesMax) {
          const text = `${options.url}: the answer exceeds ${options.bodyBytesMax} bytes`;
          refuse(new TetcdError(ERROR_CODES.LIMIT_EXCEEDED, text));
          return;
        }
        if (size + bytes.length > body.length) {
          const larger = new Uint8Array(Math.max(size + bytes.length, 2 * body.length));
          larger.set(body);
          body = larger;
        }
        body.set(bytes, size);
        size += bytes.length;
      },
      onEnd: () => {
        timer.cancel();
        resolve({ status, headers, body: body.subarray(0, size) });
      },
      onFail: refuse,
    });
  });
}

function requestBytes(options: ExchangeOptions): Uint8Array {
  const { body } = options;
  const head = requestHeadBytes({
    method: options.method,
    path: options.path,
    host: hostOfUrl(options.url),
    headers: options.headers ?? {},
    bodyLength: body?.length ?? (options.method === 'POST' ? 0 : undefined),
    close: options.close,
  });
  if (body === undefined || body.length === 0) return head;
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}
