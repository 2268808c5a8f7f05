// The client: what it is made of, and how it begins and ends.

import type { ConnectionOptions } from 'node:tls';
import { createNodeClock, createNodeEntropy, createNodeTimers } from '../env/index.ts';
import { type Connect, createChannel, STATUS, socketConnect } from '../grpc/index.ts';
import { health, type MethodDescriptor } from '../protocol/index.ts';
import { Calls } from './calls.ts';
import { ClusterClient } from './cluster.ts';
import { parseEndpoints } from './endpoint.ts';
import { clientClosed, invalidArgument, statusOf } from './errors.ts';
import type { Bytes } from './key-range.ts';
import { KvClient } from './kv.ts';
import { LeaseClient } from './lease.ts';
import {
  CHANNEL_BACKOFF_MS_MAX,
  CHANNEL_BACKOFF_MS_MIN,
  CONNECT_TIMEOUT_MS,
  KEEPALIVE_INTERVAL_MS_MIN,
  RETRIES_MAX,
  SEND_BYTES_MAX,
} from './limits.ts';
import { MaintenanceClient } from './maintenance.ts';
import type {
  CallOptions,
  ClientOptions,
  KeepaliveOptions,
  Runtime,
  TlsOptions,
} from './options.ts';
import { serverStream } from './server-stream.ts';
import { WatchStream } from './watch-stream.ts';
import type { Watcher, WatchOptions } from './watcher.ts';

/** A lease must be renewed for the first time within this long after the time to connect. */
const FIRST_KEEP_ALIVE_EXTRA_MS = 1_000;

export class Client {
  readonly kv: KvClient;
  readonly lease: LeaseClient;
  readonly maintenance: MaintenanceClient;
  readonly cluster: ClusterClient;
  readonly #calls: Calls;
  readonly #watches: WatchStream;

  /** Connects when the first call needs it. INVALID_ARGUMENT if the options make no sense. */
  constructor(options: ClientOptions) {
    this.#calls = callsOf(options);
    const connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    this.kv = new KvClient(this.#calls);
    this.lease = new LeaseClient(this.#calls, connectTimeoutMs + FIRST_KEEP_ALIVE_EXTRA_MS);
    this.maintenance = new MaintenanceClient(this.#calls);
    this.cluster = new ClusterClient(this.#calls);
    this.#watches = new WatchStream(this.#calls);
  }

  /** Events of a key or a range of keys, from a revision on. Close it, or leave the loop over it. */
  watch(key: Bytes, options: WatchOptions = {}): Watcher {
    return this.#watches.watch(key, options);
  }

  /** Asks the server to tell every watch of this client how far it is. */
  requestWatchProgress(): void {
    this.#watches.requestProgress();
  }

  /**
   * Any unary method with the protocol's own types. `repeatable` (default false): calling it twice is
   * as good as once, so a failure of the connection may be answered by another attempt.
   */
  call<Request, RequestInit, Response, ResponseInit>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    request: RequestInit,
    options: CallOptions & { readonly repeatable?: boolean } = {},
  ): Promise<Response> {
    if (method.clientStreaming || method.serverStreaming) {
      return Promise.reject(invalidArgument(`${method.path} is a stream`));
    }
    const repeat = options.repeatable === true ? 'read' : 'write';
    return this.#calls.unary(method, method.request.create(request), options, repeat);
  }

  /** As {@link call}, of a method whose answer is a stream. */
  callStream<Request, RequestInit, Response, ResponseInit>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    request: RequestInit,
    options: CallOptions = {},
  ): AsyncGenerator<Response, void, undefined> {
    if (this.#calls.closed) throw clientClosed();
    return serverStream(this.#calls, method, method.request.create(request), options);
  }

  /** Ends watches and kept leases, cancels calls, closes connections. Nothing keeps the process. */
  close(): void {
    if (this.#calls.closed) return;
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
    // A server that does not know the question is a server.
    if (statusOf(error) !== STATUS.UNIMPLEMENTED) {
      client.close();
      throw error;
    }
  }
  return client;
}

function callsOf(options: ClientOptions): Calls {
  const texts = typeof options.endpoints === 'string' ? [options.endpoints] : options.endpoints;
  const { endpoints, secure } = parseEndpoints(texts, options.tls !== undefined);
  const connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
  const tls = options.tls === undefined || options.tls === true ? {} : options.tls;
  const runtime = options.runtime ?? nodeRuntime(secure ? tls : undefined);
  const failures = new ConnectFailures(runtime.connect);
  const channel = createChannel({
    endpoints,
    connect: failures.connect,
    clock: runtime.clock,
    timers: runtime.timers,
    entropy: runtime.entropy,
    scheme: secure ? 'https' : 'http',
    userAgent: 'tetcd-client',
    ...(options.keepalive === undefined ? {} : { keepalive: keepaliveOf(options.keepalive) }),
    limits: {
      connectTimeoutMs,
      backoffMsMin: CHANNEL_BACKOFF_MS_MIN,
      backoffMsMax: CHANNEL_BACKOFF_MS_MAX,
      ...(options.receiveBytesMax === undefined
        ? {}
        : { receiveBytesMax: options.receiveBytesMax }),
    },
  });
  return new Calls({
    channel,
    lastConnectError: () => failures.last,
    runtime,
    auth: options.auth,
    timeoutMs: options.timeoutMs ?? Number.POSITIVE_INFINITY,
    waitForReady: options.waitForReady ?? false,
    sendBytesMax: options.sendBytesMax ?? SEND_BYTES_MAX,
    retriesMax: options.retriesMax ?? RETRIES_MAX,
  });
}

function keepaliveOf({ intervalMs, timeoutMs }: KeepaliveOptions): KeepaliveOptions {
  return { intervalMs: Math.max(intervalMs, KEEPALIVE_INTERVAL_MS_MIN), timeoutMs };
}

/** Remembers why no connection could be had, for calls whose time is over before there is one. */
class ConnectFailures {
  readonly connect: Connect;
  last: string | undefined = undefined;

  constructor(connect: Connect) {
    this.connect = async (endpoint, timeoutMs) => {
      try {
        const stream = await connect(endpoint, timeoutMs);
        this.last = undefined;
        return stream;
      } catch (error) {
        this.last = error instanceof Error ? error.message : String(error);
        throw error;
      }
    };
  }
}

function nodeRuntime(tls: TlsOptions | undefined): Runtime {
  return {
    clock: createNodeClock(),
    timers: createNodeTimers(),
    entropy: createNodeEntropy(),
    connect: tls === undefined ? socketConnect() : socketConnect({ tls: nodeTls(tls) }),
  };
}

function nodeTls(tls: TlsOptions): ConnectionOptions {
  const pem = (value: string | Uint8Array): string | Buffer =>
    typeof value === 'string' ? value : Buffer.from(value);
  return {
    ...(tls.ca === undefined ? {} : { ca: pem(tls.ca) }),
    ...(tls.cert === undefined ? {} : { cert: pem(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: pem(tls.key) }),
    ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
    rejectUnauthorized: tls.skipVerify !== true,
  };
}
