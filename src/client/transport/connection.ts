// Makes a channel and calls over it from a client's options.

import { createNodeClock, createNodeEntropy, createNodeTimers } from '../../env/index.ts';
import { createChannel } from '../../grpc/index.ts';
import { type ClientTls, clientTls, socketConnect } from '../../net/index.ts';
import {
  checkBytes,
  checkFlags,
  checkNumber,
  checkObject,
  checkSecret,
  checkText,
} from '../arguments.ts';
import { invalidArgument } from '../errors.ts';
import {
  CHANNEL_BACKOFF_MS_MAX,
  CHANNEL_BACKOFF_MS_MIN,
  CONNECT_TIMEOUT_MS,
  KEEPALIVE_INTERVAL_MS_MIN,
  RETRIES_MAX,
  SEND_BYTES_MAX,
} from '../limits.ts';
import type {
  AuthOptions,
  ClientOptions,
  KeepaliveOptions,
  Runtime,
  TlsOptions,
} from '../options.ts';
import { Calls } from './calls.ts';
import { isEncrypted, parseEndpoints } from './endpoint.ts';
import { Endpoints } from './endpoints.ts';
import type { TokenSource } from './token.ts';

interface Connection {
  readonly calls: Calls;
  readonly endpoints: Endpoints;
}

/** Connects with the first call. INVALID_ARGUMENT for invalid options. */
export function connectionOf(options: ClientOptions): Connection {
  checkClientOptions(options);
  const { tls } = options;
  const texts = typeof options.endpoints === 'string' ? [options.endpoints] : options.endpoints;
  const encrypts = parseEndpoints(texts, tls !== undefined).some(isEncrypted);
  if (tls !== undefined && !encrypts) {
    throw invalidArgument(`tls is given, and no endpoint is encrypted: ${texts.join(', ')}`);
  }
  return assembled(options, texts, encrypts, undefined);
}

/** A connection to one endpoint, for a client with these options, whose `tokens` it shares. */
export function connectionAt(
  endpoint: string,
  options: ClientOptions,
  { encrypts }: Endpoints,
  tokens: TokenSource,
): Calls {
  return assembled(options, [endpoint], encrypts, tokens).calls;
}

function assembled(
  options: ClientOptions,
  texts: readonly string[],
  encrypts: boolean,
  tokens: TokenSource | undefined,
): Connection {
  const runtime = options.runtime ?? nodeRuntime(options.tls);
  const { connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
  const channel = createChannel({
    endpoints: parseEndpoints(texts, encrypts),
    connect: runtime.connect,
    clock: runtime.clock,
    timers: runtime.timers,
    entropy: runtime.entropy,
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
  const endpoints = new Endpoints(channel, texts, encrypts);
  const calls = new Calls({
    channel,
    endpointCount: () => endpoints.texts.length,
    runtime,
    auth: options.auth,
    tokens,
    timeoutMs: options.timeoutMs ?? Number.POSITIVE_INFINITY,
    connectTimeoutMs,
    waitForReady: options.waitForReady ?? false,
    sendBytesMax: options.sendBytesMax ?? SEND_BYTES_MAX,
    retriesMax: options.retriesMax ?? RETRIES_MAX,
    requireLeader: options.requireLeader ?? false,
  });
  return { calls, endpoints };
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
  if (typeof tls === 'object') checkTls(tls);
  else if (tls !== undefined && tls !== true && typeof tls !== 'function') checkObject(tls, 'tls');
  if (auth !== undefined) checkAuth(auth);
}

function checkTls(tls: TlsOptions): void {
  checkObject(tls, 'tls');
  const { ca, cert, key, serverName } = tls;
  if (ca !== undefined) for (const each of [ca].flat()) checkBytes(each, 'tls.ca');
  if (cert !== undefined) checkBytes(cert, 'tls.cert');
  if (key !== undefined) checkBytes(key, 'tls.key');
  if (serverName !== undefined) checkText(serverName, 'tls.serverName');
  checkFlags(tls, ['insecureSkipVerify']);
}

function checkAuth(auth: AuthOptions): void {
  checkObject(auth, 'auth');
  const hasUser = 'user' in auth || 'password' in auth;
  if ('token' in auth) {
    if (hasUser) throw invalidArgument('auth has a token and a user: one of them is needed');
    checkSecret(auth.token, 'auth.token');
    if (auth.token === '') throw invalidArgument('auth.token is empty');
    return;
  }
  checkText(auth.user, 'auth.user');
  checkSecret(auth.password, 'auth.password');
  if (auth.user === '') throw invalidArgument('auth.user is empty');
}

function keepaliveOf({ intervalMs, timeoutMs }: KeepaliveOptions): KeepaliveOptions {
  return { intervalMs: Math.max(intervalMs, KEEPALIVE_INTERVAL_MS_MIN), timeoutMs };
}

function nodeRuntime(tls: ClientOptions['tls']): Runtime {
  const plain = socketConnect();
  const encrypted = socketConnect({ tls: tlsSource(tls), protocol: 'h2' });
  return {
    clock: createNodeClock(),
    timers: createNodeTimers(),
    entropy: createNodeEntropy(),
    connect: (endpoint, timeoutMs) =>
      (isEncrypted(endpoint) ? encrypted : plain)(endpoint, timeoutMs),
  };
}

/** INVALID_ARGUMENT for invalid settings; with a function, from `current` of the source. */
function tlsSource(tls: ClientOptions['tls']): ClientTls {
  if (typeof tls !== 'function') return clientTls(tls === undefined || tls === true ? {} : tls);
  let given: TlsOptions | undefined;
  let source: ClientTls | undefined;
  return {
    current() {
      const options = tls();
      checkTls(options);
      if (source === undefined || options !== given) source = clientTls(options);
      given = options;
      return source.current();
    },
  };
}
