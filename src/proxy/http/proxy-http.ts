// What a proxy serves over HTTP: the metrics page of a member and its own, and whether it is healthy.

import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { ProxyLog } from '../log.ts';

/** Undefined: healthy; else why not. */
export type HealthCheck = () => Promise<string | undefined>;

/** More pages, of the owner. */
export interface OwnPages {
  /** Returns whether it answers the request. */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
  close(): void;
}

interface ProxyHttpParts {
  readonly log: ProxyLog;
  /** Of the cluster: `/health`. */
  readonly checkCluster: HealthCheck;
  /** Of the proxy itself, through its own port: `/proxy/health`. */
  readonly checkProxy: HealthCheck;
  /** A member's page; rejects if there is none. */
  readonly memberMetrics: () => Promise<Uint8Array>;
  readonly pages?: OwnPages | undefined;
  readonly proxyMetrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
}

const TEXT = 'text/plain; charset=utf-8';
/** Of the page of a member, whatever that says. */
const MEMBER_PAGE = 'text/plain; version=0.0.4';

export function proxyHttp(parts: ProxyHttpParts): RequestListener {
  return (request, response) => {
    void answer(parts, request, response).catch((error: unknown) => {
      parts.log.error('cannot answer an HTTP request', { error: error as Error });
      response.destroy();
    });
  };
}

async function answer(
  parts: ProxyHttpParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '').replace(/[?#].*$/s, '');
  switch (path) {
    case '/health':
      return await answerHealth(parts, path, parts.checkCluster, request, response);
    case '/proxy/health':
      return await answerHealth(parts, path, parts.checkProxy, request, response);
    case '/proxy/metrics': {
      const { contentType, body } = await parts.proxyMetrics();
      return respond(response, 200, contentType, body);
    }
    case '/metrics':
      return await answerMemberMetrics(parts, response);
    default:
      if (parts.pages?.handle(request, response) === true) return;
      return refuse(response, 404, '404 page not found');
  }
}

async function answerHealth(
  { log }: ProxyHttpParts,
  path: string,
  check: HealthCheck,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'GET') {
    response.setHeader('Allow', 'GET');
    return refuse(response, 405, 'Method Not Allowed');
  }
  const reason = await check();
  const body = JSON.stringify({ health: String(reason === undefined), reason: reason ?? '' });
  if (reason === undefined) return respond(response, 200, TEXT, body);
  log.warn('/health error', { path, output: body, 'status-code': 503 });
  return refuse(response, 503, body);
}

async function answerMemberMetrics(
  { log, memberMetrics }: ProxyHttpParts,
  response: ServerResponse,
): Promise<void> {
  try {
    respond(response, 200, MEMBER_PAGE, await memberMetrics());
  } catch (error) {
    log.warn('cannot get the metrics of a member', { error: error as Error });
    refuse(response, 500, 'Internal server error');
  }
}

function respond(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string | Uint8Array,
): void {
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
}

/** As Go's `http.Error`. */
function refuse(response: ServerResponse, status: number, text: string): void {
  response.setHeader('X-Content-Type-Options', 'nosniff');
  respond(response, status, TEXT, `${text}\n`);
}
