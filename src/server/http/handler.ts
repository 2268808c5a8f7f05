// The HTTP handlers of the client port: health, version, metrics.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { type JsonGateway, wantsWebSocket } from '../../gateway/index.ts';
import { identityOf } from '../../net/index.ts';
import type { Versions } from '../cluster/own-versions.ts';
import { answerDebugVars, type DebugVarsParts } from './debug-vars.ts';
import type { HealthHandler } from './health.ts';
import type { HttpAccess } from './http-access.ts';
import { PairEnd } from './http2-bridge.ts';
import type { MetricsPage } from './metrics-page.ts';
import { allowGet, redirect, respond, respondError, respondText } from './respond.ts';
import { cleanPath, parseTarget, type Target } from './target.ts';
import type { UpgradeHandler } from './upgrades.ts';

/** Pages for who looks into a running member. */
export interface DebugPages {
  /** Answers, now or later; false if no page has this path. */
  handle(request: IncomingMessage, response: ServerResponse, target: Target): boolean;
  /** Nothing is answered afterwards. */
  close(): void;
}

export interface HttpSource {
  readonly access: HttpAccess;
  readonly health: HealthHandler;
  /** In the order in which they are asked; none unless they are switched on. */
  readonly debug: readonly DebugPages[];
  /** Undefined if it is switched off. */
  readonly gateway: JsonGateway | undefined;
  /** Whether the gateway is closed to who shows a certificate with a name, which would not be the user. */
  readonly refusesNamedCertificates: boolean;
  /** What `/version` shows. */
  versions(): Versions;
  readonly metricsPage: MetricsPage;
  readonly debugVars: DebugVarsParts;
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
      if (!source.access.isForUs(request)) {
        source.access.refuse(request, response);
        return;
      }
      if (isNamedAtGateway(source, request, target)) {
        respondError(response, 400, NAME_IGNORED);
        return;
      }
      source.access.setHeaders(request, response);
      if (request.method === 'OPTIONS') {
        response.writeHead(200, { 'Content-Length': 0 }).end();
        return;
      }
    }
    const clean = cleanPath(target.path);
    if (clean !== undefined) redirect(request, response, encodeURI(clean) + target.search);
    else if (!metricsOnly && handleByGateway(source, request, response, target)) return;
    else if (!metricsOnly && source.debug.some((pages) => pages.handle(request, response, target)))
      return;
    else if (target.path === '/metrics') void source.metricsPage.answer(request, response);
    else if (source.health.handle(request, response, target)) return;
    else if (target.path === '/debug/vars' && !metricsOnly)
      void answerDebugVars(source.debugVars, request, response);
    else if (target.path === '/version' && !metricsOnly) answerVersion(source, request, response);
    else respondError(response, 404, '404 page not found');
  };
}

/** Makes WebSockets of what asks for one below `/v3/`. */
export function createUpgradeHandler(source: HttpSource): UpgradeHandler {
  return (request, head) => {
    const { access, gateway } = source;
    const target = parseTarget(request.url ?? '/');
    if (gateway === undefined || target === undefined || !wantsWebSocket(request)) return false;
    if (!access.isForUs(request) || isNamedAtGateway(source, request, target)) return false;
    const path = gatewayPath(target);
    if (path === undefined || cleanPath(target.path) !== undefined) return false;
    void gateway.upgrade(request, head, path);
    return true;
  };
}

const NAME_IGNORED =
  'CommonName of client sending a request against gateway will be ignored and not used as expected';

function isNamedAtGateway(
  { gateway, refusesNamedCertificates }: HttpSource,
  { socket }: IncomingMessage,
  { path }: Target,
): boolean {
  if (gateway === undefined || !/^\/v3(?:beta)?\//.test(path)) return false;
  if (!refusesNamedCertificates) return false;
  const peer = socket instanceof PairEnd ? socket.peer : identityOf(socket);
  return (peer.certificate?.commonName ?? '') !== '';
}

/** Below `/v3/`, and below `/v3beta/` as of old. False if the path is another one. */
function handleByGateway(
  { gateway }: HttpSource,
  request: IncomingMessage,
  response: ServerResponse,
  target: Target,
): boolean {
  if (gateway === undefined) return false;
  const path = gatewayPath(target);
  if (path !== undefined) gateway.handle(request, response, path);
  else if (target.path === '/v3') redirect(request, response, `/v3/${target.search}`);
  else return false;
  return true;
}

function gatewayPath({ path, firstPart }: Target): string | undefined {
  if (firstPart !== 'v3' && firstPart !== 'v3beta') return undefined;
  const prefix = `/${firstPart}/`;
  return path.startsWith(prefix) ? `/v3/${path.slice(prefix.length)}` : undefined;
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
