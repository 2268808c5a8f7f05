// How a client's options become a channel and calls over it.

import type { ConnectionOptions } from 'node:tls';
import { createNodeClock, createNodeEntropy, createNodeTimers } from '../../env/index.ts';
import { type Connect, createChannel } from '../../grpc/index.ts';
import { fixedTls, socketConnect } from '../../net/index.ts';
import { checkFlags, checkNumber, checkObject, checkText } from '../arguments.ts';
import {
  CHANNEL_BACKOFF_MS_MAX,
  CHANNEL_BACKOFF_MS_MIN,
  CONNECT_TIMEOUT_MS,
  KEEPALIVE_INTERVAL_MS_MIN,
  RETRIES_MAX,
  SEND_BYTES_MAX,
} from '../limits.ts';
import type { ClientOptions, KeepaliveOptions, Runtime, TlsOptions } from '../options.ts';
import { Calls } from './calls.ts';
import { parseEndpoints } from './endpoint.ts';
import { Endpoints } from './endpoints.ts';
import type { TokenSource } from './token.ts';

interface Connection {
  readonly calls: Calls;
  readonly endpoints: Endpoints;
}

/** Connects with the first call. INVALID_ARGUMENT if the options make no sense. */
export function connectionOf(options: ClientOptions, tokens?: TokenSource): Connection {
  checkClientOptions(options);
  const texts = typeof options.endpoints === 'string' ? [options.endpoints] : options.endpoints;
  const given = options.tls !== undefined;
  const { endpoints, secure } = parseEndpoints(texts, given);
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
  const live = new Endpoints(channel, texts, { given, used: secure });
  const calls = new Calls({
    channel,
    endpointCount: () => live.texts.length,
    lastConnectError: () => failures.last,
    runtime,
    auth: options.auth,
    tokens,
    timeoutMs: options.timeoutMs ?? Number.POSITIVE_INFINITY,
    waitForReady: options.waitForReady ?? false,
    sendBytesMax: options.sendBytesMax ?? SEND_BYTES_MAX,
    retriesMax: options.retriesMax ?? RETRIES_MAX,
    requireLeader: options.requireLeader ?? false,
  });
  return { calls, endpoints: live };
}

const LIMITS = [
  'timeoutMs',
  'connectTimeoutMs',
  'sendBytesMax',
  'receiveBytesMax',
  'retriesMax',
  'autoSyncIntervalMs',
] as const;

function checkClientOptions(options: ClientOptions): void {
  checkFlags(options, ['waitForReady', 'requireLeader']);
  for (const name of LIMITS) if (options[name] !== undefined) checkNumber(options[name], name);
  const { auth, keepalive, tls } = options;
  if (keepalive !== undefined) {
    checkObject(keepalive, 'keepalive');
    checkNumber(keepalive.intervalMs, 'keepalive.intervalMs');
    checkNumber(keepalive.timeoutMs, 'keepalive.timeoutMs');
  }
  if (tls !== undefined && tls !== true) checkObject(tls, 'tls');
  if (auth === undefined) return;
  checkObject(auth, 'auth');
  if ('token' in auth) checkText(auth.token, 'auth.token');
  else {
    checkText(auth.user, 'auth.user');
    checkText(auth.password, 'auth.password');
  }
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
    connect: socketConnect(tls && { tls: fixedTls(nodeTls(tls)), protocol: 'h2' }),
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
