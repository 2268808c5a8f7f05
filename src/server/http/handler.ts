// The HTTP handlers of the client port: health, version, metrics.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HealthHandler } from './health.ts';
import { allowGet, respond, respondError } from './respond.ts';

/** What `/version` shows, each as text. */
export interface Versions {
  readonly server: string;
  /** `not_decided` until the cluster has agreed on one. */
  readonly cluster: string;
  /** `unknown` while the backend does not say. */
  readonly storage: string;
}

export interface HttpSource {
  readonly health: HealthHandler;
  versions(): Versions;
  /** Prometheus text and its content type. */
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** Answers one HTTP/1.1 (or non-gRPC HTTP/2) request. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** The handler of client URLs, or with `metricsOnly` of `--listen-metrics-urls`. */
export function createHttpHandler(source: HttpSource, metricsOnly = false): HttpHandler {
  return (request, response) => {
    const url = parseTarget(request.url ?? '/');
    if (url === undefined) respondError(response, 400, '400 Bad Request');
    else if (url.pathname === '/metrics') void answerMetrics(source, response);
    else if (source.health.handle(request, response, url)) return;
    else if (url.pathname === '/version' && !metricsOnly) answerVersion(source, request, response);
    else respondError(response, 404, '404 page not found');
  };
}

function parseTarget(target: string): URL | undefined {
  const base = 'http://localhost';
  return URL.canParse(target, base) ? new URL(target, base) : undefined;
}

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
