// The ports of a member: client URLs serve gRPC and HTTP on one port, or, with
// `--listen-client-http-urls`, each its own; metrics URLs serve health and metrics only. An `http://` and an
// `https://` URL of one address share its port.
//
// They are bound before anything is written. Connections to a client URL are held until the member is
// ready, as in etcd; metrics URLs answer as soon as the member exists.

import { createServer, type Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { invariant } from '../../base/index.ts';
import type { Env, StreamAddress } from '../../env/index.ts';
import type { Server } from '../../grpc/index.ts';
import { bind, type PortListener, type ServerTls } from '../../net/index.ts';
import type { ListenUrl, ServerConfig } from '../config/index.ts';
import { PPROF_PATH } from '../debug/paths.ts';
import type { HttpHandler } from '../http/handler.ts';
import { bridged } from '../http/http2-bridge.ts';
import { serveUpgrades, type UpgradeHandler } from '../http/upgrades.ts';
import {
  HTTP_HEADERS_BYTES_MAX,
  HTTP_HEADERS_TIMEOUT_MS,
  HTTP_IDLE_TIMEOUT_MS,
} from '../limits.ts';
import type { Logger } from '../telemetry/log.ts';
import { type ClientPortsTls, isSecure } from '../tls/member-tls.ts';
import { bindAt, streamAddressOf } from './bind.ts';

export interface ListenersOptions {
  readonly config: ServerConfig;
  readonly log: Logger;
  readonly env: Pick<Env, 'disk' | 'network'>;
  /** TLS settings of encrypted URLs. */
  readonly tls?: ClientPortsTls | undefined;
}

/** URLs of one address, and the port there. */
interface BoundPort {
  readonly urls: readonly ListenUrl[];
  readonly listener: PortListener;
}

export class Listeners {
  readonly #options: ListenersOptions;
  readonly #clients: BoundPort[] = [];
  readonly #clientHttp: BoundPort[] = [];
  readonly #metrics: BoundPort[] = [];
  readonly #http: HttpServer[] = [];
  #webSockets: ReadonlySet<Socket> = new Set();

  /** Binds all addresses. If one fails, the others are closed, and the error names it. */
  static async bind(options: ListenersOptions): Promise<Listeners> {
    const listeners = new Listeners(options);
    const { listenClientUrls, listenClientHttpUrls, listenMetricsUrls } = options.config;
    const { tls } = options;
    options.log.info('configuring client listeners', {
      'listen-client-urls': listenClientUrls.map(({ text }) => text),
    });
    if (options.config.enablePprof) {
      options.log.info('pprof is enabled', { path: PPROF_PATH });
    }
    try {
      const http = { offersHttp2: false };
      await listeners.#bind(listenClientUrls, { tls: tls?.clients }, listeners.#clients);
      await listeners.#bind(
        listenClientHttpUrls,
        { tls: tls?.clients, ...http },
        listeners.#clientHttp,
      );
      await listeners.#bind(listenMetricsUrls, { tls: tls?.metrics, ...http }, listeners.#metrics);
      return listeners;
    } catch (error) {
      await listeners.close();
      throw error;
    }
  }

  private constructor(options: ListenersOptions) {
    this.#options = options;
  }

  /** Addresses for clients, in the order of the URLs, with the ports chosen for 0. */
  get clientAddresses(): StreamAddress[] {
    return addressesOf(this.#options.config.listenClientUrls, this.#clients);
  }

  get clientHttpAddresses(): StreamAddress[] {
    return addressesOf(this.#options.config.listenClientHttpUrls, this.#clientHttp);
  }

  get metricsAddresses(): StreamAddress[] {
    return addressesOf(this.#options.config.listenMetricsUrls, this.#metrics);
  }

  serveMetrics(handler: HttpHandler): void {
    if (this.#metrics.length === 0) return;
    const http = this.#createHttp(handler);
    for (const { listener } of this.#metrics) listener.serve({ http });
  }

  serveClients(grpc: Server, handler: HttpHandler, upgradeHandler: UpgradeHandler): void {
    const http = this.#createHttp(handler);
    this.#webSockets = serveUpgrades(http, upgradeHandler);
    const isSplit = this.#clientHttp.length > 0;
    for (const port of this.#clients) {
      port.listener.serve(isSplit ? { http2: grpc } : { http2: bridged(grpc, http), http });
      this.#logServing(port, isSplit ? 'grpc' : 'grpc+http');
    }
    for (const port of this.#clientHttp) {
      port.listener.serve({ http });
      this.#logServing(port, 'http');
    }
  }

  #logServing({ urls, listener }: BoundPort, traffic: string): void {
    const fields = { traffic, address: textOf(listener.address) };
    const { log } = this.#options;
    if (!urls.every(isSecure)) {
      log.info('serving client traffic insecurely; this is strongly discouraged!', fields);
    }
    if (urls.some(isSecure)) log.info('serving client traffic securely', fields);
  }

  /** Stops accepting and closes HTTP connections. The gRPC server ends its own. */
  async close(): Promise<void> {
    const ports = [...this.#clients, ...this.#clientHttp, ...this.#metrics];
    await Promise.all(ports.map(({ listener }) => listener.close()));
    for (const server of this.#http) server.closeAllConnections();
    for (const socket of this.#webSockets) socket.destroy();
  }

  #createHttp(handler: HttpHandler): HttpServer {
    const server = createServer({ maxHeaderSize: HTTP_HEADERS_BYTES_MAX }, handler);
    server.headersTimeout = HTTP_HEADERS_TIMEOUT_MS;
    server.keepAliveTimeout = HTTP_IDLE_TIMEOUT_MS;
    // A stream's requests come for as long as its client likes; other bodies have limits of their own.
    server.requestTimeout = 0;
    this.#http.push(server);
    return server;
  }

  async #bind(
    urls: readonly ListenUrl[],
    { tls, offersHttp2 = true }: { readonly tls: ServerTls | undefined; offersHttp2?: boolean },
    ports: BoundPort[],
  ): Promise<void> {
    const { config, env, log } = this.#options;
    const common = {
      offersHttp2,
      reusePort: config.socketReusePort,
      onConnectionError: (address: string, error: Error) =>
        log.debug('a connection failed before it had a protocol', { address, error }),
    };
    const encrypted = tls && { tls, onHandshakeFailure: this.#options.tls!.onHandshakeFailure };
    for (const group of byAddress(urls)) {
      const isEncrypted = group.some(isSecure);
      invariant(!isEncrypted || encrypted !== undefined, 'an encrypted URL has TLS settings');
      const secure = isEncrypted ? { ...encrypted, plaintext: !group.every(isSecure) } : {};
      const listener = await bindAt(env, streamAddressOf(group[0]!), (address) =>
        bind({ address, ...common, ...secure }),
      );
      ports.push({ urls: group, listener });
    }
  }
}

/** Groups URLs by address, in the order of the first of each. */
function byAddress(urls: readonly ListenUrl[]): ListenUrl[][] {
  const groups = new Map<string, ListenUrl[]>();
  for (const url of urls) {
    const key = `${url.host}:${url.port} ${url.path}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [url]);
    else group.push(url);
  }
  return [...groups.values()];
}

function addressesOf(urls: readonly ListenUrl[], ports: readonly BoundPort[]): StreamAddress[] {
  return urls.map((url) => {
    const port = ports.find((bound) => bound.urls.includes(url));
    invariant(port !== undefined, 'every URL has been bound');
    return port.listener.address;
  });
}

function textOf(address: StreamAddress): string {
  return address.path ?? `${address.host}:${address.port}`;
}
