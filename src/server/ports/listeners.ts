// The ports of a member: client URLs serve gRPC and HTTP on one port, or, with
// `--listen-client-http-urls`, each its own; metrics URLs serve health and metrics only.
//
// They are bound before anything is written. Who comes to a client URL before the member is ready waits,
// as with etcd; metrics URLs answer as soon as there is a member to ask.

import { createServer, type Server as HttpServer } from 'node:http';
import type { Env, StreamAddress } from '../../env/index.ts';
import type { Server } from '../../grpc/index.ts';
import { bind, type PortListener } from '../../net/index.ts';
import type { ListenUrl, ServerConfig } from '../config/index.ts';
import type { HttpHandler } from '../http/handler.ts';
import { bridged } from '../http/http2-bridge.ts';
import { HTTP_HEADERS_BYTES_MAX, HTTP_HEADERS_TIMEOUT_MS } from '../limits.ts';
import type { Logger } from '../telemetry/log.ts';
import { addressOf, bindAt } from './bind.ts';

export interface ListenersOptions {
  readonly config: ServerConfig;
  readonly log: Logger;
  readonly env: Pick<Env, 'disk' | 'network'>;
}

export class Listeners {
  readonly #options: ListenersOptions;
  readonly #clients: PortListener[] = [];
  readonly #clientHttp: PortListener[] = [];
  readonly #metrics: PortListener[] = [];
  readonly #http: HttpServer[] = [];

  /** Binds everywhere. If one address cannot be had, none is kept, and the error names it. */
  static async bind(options: ListenersOptions): Promise<Listeners> {
    const listeners = new Listeners(options);
    const { listenClientUrls, listenClientHttpUrls, listenMetricsUrls } = options.config;
    options.log.info('configuring client listeners', {
      'listen-client-urls': listenClientUrls.map(({ text }) => text),
    });
    try {
      await listeners.#bind(listenClientUrls, listeners.#clients);
      await listeners.#bind(listenClientHttpUrls, listeners.#clientHttp);
      await listeners.#bind(listenMetricsUrls, listeners.#metrics);
      return listeners;
    } catch (error) {
      await listeners.close();
      throw error;
    }
  }

  private constructor(options: ListenersOptions) {
    this.#options = options;
  }

  /** Where clients are served, in the order of the URLs; the chosen ports if 0 was asked for. */
  get clientAddresses(): StreamAddress[] {
    return this.#clients.map((port) => port.address);
  }

  get clientHttpAddresses(): StreamAddress[] {
    return this.#clientHttp.map((port) => port.address);
  }

  get metricsAddresses(): StreamAddress[] {
    return this.#metrics.map((port) => port.address);
  }

  serveMetrics(handler: HttpHandler): void {
    if (this.#metrics.length === 0) return;
    const http = this.#createHttp(handler);
    for (const port of this.#metrics) port.serve({ http });
  }

  serveClients(grpc: Server, handler: HttpHandler): void {
    const http = this.#createHttp(handler);
    const isSplit = this.#clientHttp.length > 0;
    for (const port of this.#clients) {
      port.serve(isSplit ? { http2: grpc } : { http2: bridged(grpc, http), http });
      this.#options.log.info('serving client traffic insecurely; this is strongly discouraged!', {
        address: textOf(port.address),
      });
    }
    for (const port of this.#clientHttp) port.serve({ http });
  }

  /** Stops accepting; HTTP connections are closed. Calls under way are the gRPC server's business. */
  async close(): Promise<void> {
    const ports = [...this.#clients, ...this.#clientHttp, ...this.#metrics];
    await Promise.all(ports.map((port) => port.close()));
    for (const server of this.#http) server.closeAllConnections();
  }

  #createHttp(handler: HttpHandler): HttpServer {
    const server = createServer({ maxHeaderSize: HTTP_HEADERS_BYTES_MAX }, handler);
    server.headersTimeout = HTTP_HEADERS_TIMEOUT_MS;
    this.#http.push(server);
    return server;
  }

  async #bind(urls: readonly ListenUrl[], ports: PortListener[]): Promise<void> {
    const { env, log } = this.#options;
    const onConnectionError = (address: string, error: Error) =>
      log.debug('a connection failed before it had a protocol', { address, error });
    for (const url of urls) {
      ports.push(
        await bindAt(env, addressOf(url), (address) => bind({ address, onConnectionError })),
      );
    }
  }
}

function textOf(address: StreamAddress): string {
  return address.path ?? `${address.host}:${address.port}`;
}
