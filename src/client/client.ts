// The client: its parts, its connection, its end.

import type { Timer } from '../env/index.ts';
import { STATUS } from '../grpc/index.ts';
import { health, type MethodDescriptor } from '../protocol/index.ts';
import { checkFields, checkFlags } from './arguments.ts';
import { AuthClient } from './auth.ts';
import { ClusterClient } from './cluster.ts';
import { clientClosed, invalidArgument, statusOf } from './errors.ts';
import type { Bytes } from './key-range.ts';
import { KvClient } from './kv.ts';
import { LeaseClient } from './lease/lease.ts';
import { AUTO_SYNC_TIMEOUT_MS, CONNECT_TIMEOUT_MS, DELAY_MS_MAX } from './limits.ts';
import { MaintenanceClient } from './maintenance.ts';
import type { CallOptions, ClientOptions } from './options.ts';
import { printed } from './printed.ts';
import type { Calls } from './transport/calls.ts';
import { connectionAt, connectionOf } from './transport/connection.ts';
import { clientUrlsOf, type Endpoints } from './transport/endpoints.ts';
import { serverStream } from './transport/server-stream.ts';
import { WatchStream } from './watch/watch-stream.ts';
import type { Watcher, WatchOptions } from './watch/watcher.ts';

/** A lease must be renewed for the first time within this long after the time to connect. */
const FIRST_KEEP_ALIVE_EXTRA_MS = 1_000;

/**
 * A client of a cluster: its parts by concern. Connects when the first call needs it; ended by
 * `close`.
 */
export class Client {
  readonly kv: KvClient;
  readonly lease: LeaseClient;
  readonly maintenance: MaintenanceClient;
  readonly cluster: ClusterClient;
  readonly auth: AuthClient;
  readonly #calls: Calls;
  readonly #endpoints: Endpoints;
  readonly #watches: WatchStream;
  #syncTimer: Timer | undefined = undefined;

  /** Connects when the first call needs it. INVALID_ARGUMENT if the options make no sense. */
  constructor(options: ClientOptions) {
    const { calls, endpoints } = connectionOf(options);
    this.#calls = calls;
    this.#endpoints = endpoints;
    const connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    this.kv = new KvClient(this.#calls);
    this.lease = new LeaseClient(this.#calls, connectTimeoutMs + FIRST_KEEP_ALIVE_EXTRA_MS);
    this.maintenance = new MaintenanceClient(calls, (endpoint) =>
      connectionAt(endpoint, options, endpoints, calls.tokens),
    );
    this.cluster = new ClusterClient(this.#calls);
    this.auth = new AuthClient(this.#calls);
    this.#watches = new WatchStream(this.#calls);
    const { autoSyncIntervalMs = 0 } = options;
    if (autoSyncIntervalMs > 0) this.#syncEvery(Math.min(autoSyncIntervalMs, DELAY_MS_MAX));
  }

  /** The current endpoints: as given, set, or found by `sync`. */
  get endpoints(): readonly string[] {
    return this.#endpoints.texts;
  }

  /**
   * Replaces the endpoints. Calls in progress continue; new calls use the new ones. INVALID_ARGUMENT, with
   * nothing changed, if one is malformed.
   */
  setEndpoints(endpoints: readonly string[]): void {
    if (this.#calls.closed) throw clientClosed();
    this.#endpoints.set(endpoints);
  }

  /**
   * Replaces the endpoints by the client URLs of the cluster's members, except learners and members that
   * have not started. Resolves with the new endpoints. INVALID_ARGUMENT, with nothing changed, if they
   * are encrypted and none was before, or are not and all were.
   */
  async sync(options: CallOptions = {}): Promise<readonly string[]> {
    const found = clientUrlsOf(await this.cluster.memberList(options));
    if (this.#calls.closed) throw clientClosed();
    this.#endpoints.setFound(found);
    return this.#endpoints.texts;
  }

  #syncEvery(intervalMs: number): void {
    this.#syncTimer = this.#calls.runtime.timers.after(intervalMs, () => {
      this.sync({ timeoutMs: AUTO_SYNC_TIMEOUT_MS })
        // On a failure the known endpoints stay.
        .catch(() => {})
        .finally(() => {
          if (!this.#calls.closed) this.#syncEvery(intervalMs);
        });
    });
  }

  /** Watches a key or a range of keys. Ends when it is closed or a loop over it is left. */
  watch(key: Bytes, options: WatchOptions = {}): Watcher {
    return this.#watches.watch(key, options);
  }

  /** Requests a progress notification for every watch of this client. */
  requestWatchProgress(): void {
    this.#watches.requestProgress();
  }

  /**
   * Calls any unary method with the protocol's own types. `repeatable` (default false): the call is
   * idempotent, so that it is retried after a failure of the connection. Rejects as all calls do.
   */
  async call<Request extends object, RequestInit, Response extends object, ResponseInit>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    request: RequestInit,
    options: CallOptions & { readonly repeatable?: boolean | undefined } = {},
  ): Promise<Response> {
    if (method.clientStreaming || method.serverStreaming) {
      throw invalidArgument(`${method.path} is a stream`);
    }
    checkFields(request, method.request.create());
    checkFlags(options, ['repeatable']);
    const repeat = options.repeatable === true ? 'always' : 'unbegun';
    const message = method.request.create(request);
    return printed(await this.#calls.unary(method, message, options, repeat));
  }

  /** As {@link call}, for a method with a streamed response: yields each message. */
  callStream<Request extends object, RequestInit, Response, ResponseInit>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    request: RequestInit,
    options: CallOptions = {},
  ): AsyncGenerator<Response, void, undefined> {
    checkFields(request, method.request.create());
    if (this.#calls.closed) throw clientClosed();
    return serverStream(this.#calls, method, method.request.create(request), options);
  }

  /** Ends watches and kept leases, cancels calls, closes connections. Nothing keeps the process. */
  close(): void {
    if (this.#calls.closed) return;
    this.#syncTimer?.cancel();
    this.#watches.close();
    this.lease.close();
    this.#calls.close();
  }
}

/** A client that has reached an endpoint. Rejects UNAVAILABLE if none answers in `connectTimeoutMs`. */
export async function connect(options: ClientOptions & CallOptions): Promise<Client> {
  const client = new Client(options);
  const { signal, connectTimeoutMs: timeoutMs = CONNECT_TIMEOUT_MS } = options;
  try {
    const limits = signal === undefined ? { timeoutMs } : { timeoutMs, signal };
    await client.call(health.HealthService.methods.check, {}, { repeatable: true, ...limits });
  } catch (error) {
    // A server that does not know the method has answered.
    if (statusOf(error) !== STATUS.UNIMPLEMENTED) {
      client.close();
      throw error;
    }
  }
  return client;
}
