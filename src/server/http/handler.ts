// The HTTP handlers of the client port: health, version, metrics.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Versions } from '../cluster/own-versions.ts';
import type { HealthHandler } from './health.ts';
import { allowGet, redirect, respond, respondError, respondText } from './respond.ts';
import { cleanPath, parseTarget } from './target.ts';

export interface HttpSource {
  readonly health: HealthHandler;
  /** What `/version` shows. */
  versions(): Versions;
  /** Prometheus text and its content type. */
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** Answers one HTTP/1.1 (or non-gRPC HTTP/2) request. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** The handler of client URLs, or with `metricsOnly` of `--listen-metrics-urls`. */
export function createHttpHandler(source: HttpSource, metricsOnly = false): HttpHandler {
  return (request, response) => {
    const target = parseTarget(request.url ?? '/');
    if (target === undefined) {
      response.setHeader('Connection', 'close');
      respondText(response, 400, '400 Bad Request');
      return;
    }
    if (!metricsOnly) {
      for (const [name, value] of CORS) response.setHeader(name, value);
      if (request.method === 'OPTIONS') {
        response.writeHead(200, { 'Content-Length': 0 }).end();
        return;
      }
    }
    const clean = cleanPath(target.path);
    if (clean !== undefined) redirect(request, response, encodeURI(clean) + target.search);
    else if (target.path === '/metrics') void answerMetrics(source, response);
    else if (source.health.handle(request, response, target)) return;
    else if (target.path === '/version' && !metricsOnly) answerVersion(source, request, response);
    else respondError(response, 404, '404 page not found');
  };
}

/** What `--cors` stands for by default: every origin is allowed. */
const CORS: ReadonlyArray<readonly [name: string, value: string]> = [
  ['Access-Control-Allow-Methods', 'POST, GET, OPTIONS, PUT, DELETE'],
  ['Access-Control-Allow-Origin', '*'],
  ['Access-Control-Allow-Headers', 'accept, content-type, authorization'],
];

function answerVersion(
  source: HttpSource,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (!allowGet(request, response)) return;
  const { server, cluster, storage } = source.versions();
  const body = JSON.stringify({ etcdserver: server, etcdcluster: cluster, storage });
  respond(response, 200, 'application/json', body);
}

async function answerMetrics(source: HttpSource, response: ServerResponse): Promise<void> {
  const { contentType, body } = await source.metrics();
  respond(response, 200, contentType, body);
}
