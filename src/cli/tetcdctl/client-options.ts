// The client's options as the global flags say.

import {
  type AuthOptions,
  type ClientOptions,
  type KeepaliveOptions,
  parseEndpoint,
  type TlsOptions,
} from '../../client/index.ts';
import { EXIT, ExitError } from '../shell/exit.ts';
import { clampedNumber } from '../shell/go-numbers.ts';
import type { Io } from '../shell/io.ts';
import type { GlobalOptions } from './global-flags.ts';

/** The longest time that a timer can wait. */
const DELAY_MS_MAX = 2 ** 31 - 1;
const KEEPALIVE_TIMEOUT_MS = 20_000;

/** Who the client is, and whom it trusts. */
export interface Credentials {
  readonly auth: AuthOptions | undefined;
  readonly tls: TlsOptions;
}

export function clientOptions(
  options: GlobalOptions,
  endpoints: readonly string[],
  { auth, tls }: Credentials,
): ClientOptions {
  return {
    endpoints,
    waitForReady: true,
    connectTimeoutMs: dialTimeoutMs(options),
    ...(options.keepaliveTime > 0 ? { keepalive: keepaliveOptions(options) } : {}),
    ...(auth === undefined ? {} : { auth }),
    ...(isEncrypted(options, endpoints, tls) ? { tls } : {}),
    ...(options.maxRequestBytes > 0n
      ? { sendBytesMax: clampedNumber(options.maxRequestBytes) }
      : {}),
    ...(options.maxRecvBytes > 0n ? { receiveBytesMax: clampedNumber(options.maxRecvBytes) } : {}),
  };
}

/** 0, or less, is no limit. */
export function dialTimeoutMs({ dialTimeout }: GlobalOptions): number {
  return dialTimeout > 0 ? Math.min(dialTimeout, DELAY_MS_MAX) : DELAY_MS_MAX;
}

/** As Go's gRPC: without a time to wait for the answer, 20 seconds. */
function keepaliveOptions({ keepaliveTime, keepaliveTimeout }: GlobalOptions): KeepaliveOptions {
  const timeoutMs = keepaliveTimeout > 0 ? keepaliveTimeout : KEEPALIVE_TIMEOUT_MS;
  return {
    intervalMs: Math.min(keepaliveTime, DELAY_MS_MAX),
    timeoutMs: Math.min(timeoutMs, DELAY_MS_MAX),
  };
}

/** Certificates in the environment do not turn endpoints that say `http://` into encrypted ones. */
function isEncrypted(
  { insecureTransport, cert, cacert }: GlobalOptions,
  endpoints: readonly string[],
  { insecureSkipVerify, serverName }: TlsOptions,
): boolean {
  const says = endpoints.map((endpoint) => parseEndpoint(endpoint).secure);
  const isAsked =
    cert !== '' ||
    cacert !== '' ||
    serverName !== undefined ||
    !insecureTransport ||
    insecureSkipVerify === true;
  return says.includes(true) || (isAsked && says.includes(undefined));
}

/** BAD_ARGS for a flag of a file, among those `given`, that names none. */
export function checkFileFlags(options: GlobalOptions, given: ReadonlySet<string>): void {
  for (const name of ['cert', 'key', 'cacert'] as const) {
    if (options[name] === '' && given.has(name)) {
      throw new ExitError(EXIT.BAD_ARGS, `empty string is passed to --${name} option`);
    }
  }
}

/**
 * Asks for the password of a user if it is missing. Without a name or without a password there is no
 * user, as etcdctl sees it.
 */
export async function readAuth(
  io: Io,
  { authJwtToken, user, password }: Pick<GlobalOptions, 'authJwtToken' | 'user' | 'password'>,
  prompt = 'Password: ',
): Promise<AuthOptions | undefined> {
  if (authJwtToken !== '') return { token: authJwtToken };
  if (user === '') return undefined;
  if (password !== '') return { user, password };
  const colon = user.indexOf(':');
  const given =
    colon < 0
      ? { user, password: await askedPassword(io, prompt) }
      : { user: user.slice(0, colon), password: user.slice(colon + 1) };
  return given.user === '' || given.password === '' ? undefined : given;
}

async function askedPassword(io: Io, prompt: string): Promise<string> {
  // Loaded where a password is asked for.
  const { askPassword } = await import('../shell/prompts.ts');
  return askPassword(io, prompt);
}

/** BAD_ARGS if a file cannot be read, or is not what it should be. */
export async function readTls(io: Io, options: GlobalOptions): Promise<TlsOptions> {
  const { cert, key, cacert, insecureSkipTlsVerify: insecureSkipVerify } = options;
  const { discoverySrv, insecureDiscovery } = options;
  // Whoever trusts nothing in plaintext has servers show that they are of the domain.
  const named = discoverySrv !== '' && !insecureDiscovery ? { serverName: discoverySrv } : {};
  if (cert === '' && key === '' && cacert === '') return { insecureSkipVerify, ...named };
  // Loaded where there are files.
  const { readTlsFiles } = await import('./tls-files.ts');
  return { ...(await readTlsFiles(io, options)), insecureSkipVerify, ...named };
}
