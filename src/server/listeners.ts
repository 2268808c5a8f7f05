// The ports of a member: client URLs serve gRPC and HTTP on one port, or, with
// `--listen-client-http-urls`, each its own; metrics URLs serve health and metrics only.

import { createServer, type Server as HttpServer } from 'node:http';
import { hasCode } from '../base/index.ts';
import type { Disk, StreamAddress } from '../env/index.ts';
import { type ListenOptions, listen, type PortListener, type Server } from '../grpc/index.ts';
import type { ListenUrl, ServerConfig } from './config/index.ts';
import type { HttpHandler } from './http/handler.ts';
import { HTTP_HEADERS_BYTES_MAX, HTTP_HEADERS_TIMEOUT_MS } from './limits.ts';
import type { Logger } from './log.ts';

export interface ListenersOptions {
  readonly config: ServerConfig;
  readonly log: Logger;
  readonly disk: Pick<Disk, 'remove'>;
  readonly grpc: Server;
  readonly handler: HttpHandler;
  readonly metricsHandler: HttpHandler;
}

export class Listeners {
  readonly #ports: PortListener[] = [];
  readonly #http: HttpServer[] = [];
  readonly #disk: Pick<Disk, 'remove'>;

  /** Where clients are served, in the order of the URLs; the chosen ports if 0 was asked for. */
  readonly clientAddresses: StreamAddress[] = [];

  /** Listens everywhere. If one address cannot be had, none is kept, and the error names it. */
  static async open(options: ListenersOptions): Promise<Listeners> {
    const listeners = new Listeners(options.disk);
    try {
      await listeners.#open(options);
      return listeners;
    } catch (error) {
      await listeners.close();
      throw error;
    }
  }

  private constructor(disk: Pick<Disk, 'remove'>) {
    this.#disk = disk;
  }

  async #open({ config, log, grpc, handler, metricsHandler }: ListenersOptions): Promise<void> {
    const urls = config.listenClientUrls.map(({ text }) => text);
    log.info('configuring client listeners', { 'listen-client-urls': urls });
    const http = this.#createHttp(handler);
    const split = config.listenClientHttpUrls.length > 0;
    const onConnectionError = (address: string, error: Error) =>
      log.debug('a connection failed before it had a protocol', { address, error });
    for (const url of config.listenClientUrls) {
      const options: Omit<ListenOptions, 'address'> = split ? { grpc } : { grpc, http };
      const port = await this.#listen(url, { ...options, onConnectionError });
      this.clientAddresses.push(port.address);
      log.info('serving client traffic insecurely; this is strongly discouraged!', {
        address: textOf(port.address),
      });
    }
    for (const url of config.listenClientHttpUrls) {
      await this.#listen(url, { http, onConnectionError });
    }
    if (config.listenMetricsUrls.length === 0) return;
    const metrics = this.#createHttp(metricsHandler);
    for (const url of config.listenMetricsUrls) {
      await this.#listen(url, { http: metrics, onConnectionError });
    }
  }

  /** Accepts no more; HTTP connections are closed. Calls under way are the gRPC server's business. */
  async close(): Promise<void> {
    await Promise.all(this.#ports.map((port) => port.close()));
    for (const server of this.#http) server.closeAllConnections();
  }

  #createHttp(handler: HttpHandler): HttpServer {
    const server = createServer({ maxHeaderSize: HTTP_HEADERS_BYTES_MAX }, handler);
    server.headersTimeout = HTTP_HEADERS_TIMEOUT_MS;
    this.#http.push(server);
    return server;
  }

  async #listen(url: ListenUrl, options: Omit<ListenOptions, 'address'>): Promise<PortListener> {
    const address: StreamAddress =
      url.scheme === 'unix'
        ? { host: '', port: 0, path: url.path }
        : { host: url.host, port: url.port };
    if (address.path !== undefined) await this.#removeSocket(address.path);
    const port = await listen({ ...options, address });
    this.#ports.push(port);
    return port;
  }

  /** A process that was killed leaves its socket behind, at which nobody else could listen. */
  async #removeSocket(path: string): Promise<void> {
    try {
      await this.#disk.remove(path);
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND')) throw error;
    }
  }
}

function textOf(address: StreamAddress): string {
  return address.path ?? `${address.host}:${address.port}`;
}
