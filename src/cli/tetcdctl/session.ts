// The session of a command: a client and a printer, by its flags.

import {
  type AuthOptions,
  type CallOptions,
  Client,
  type ClientOptions,
  GrpcStatusError,
  type KeepaliveOptions,
  parseEndpoint,
  STATUS,
  type TlsOptions,
} from '../../client/index.ts';
import { errorText } from '../shell/error-text.ts';
import { EXIT, ExitError } from '../shell/exit.ts';
import { clampedNumber } from '../shell/go-numbers.ts';
import type { Io } from '../shell/io.ts';
import type { GlobalOptions } from './global-flags.ts';
import { makePrinter } from './printers/index.ts';
import type { Printer } from './printers/printer.ts';

/** Options that are not implemented, refused by name. */
const NOT_YET: ReadonlyArray<readonly [keyof GlobalOptions, string]> = [
  ['discoverySrv', '--discovery-srv'],
  ['discoverySrvName', '--discovery-srv-name'],
];

/** The longest time that a timer can wait. */
const DELAY_MS_MAX = 2 ** 31 - 1;
const KEEPALIVE_TIMEOUT_MS = 20_000;

export class Session {
  readonly io: Io;
  readonly options: GlobalOptions;
  readonly printer: Printer;
  readonly #files: TlsFiles;
  readonly #clients: Client[] = [];
  #client: Client | undefined;

  private constructor(io: Io, options: GlobalOptions, printer: Printer, files: TlsFiles) {
    this.io = io;
    this.options = options;
    this.printer = printer;
    this.#files = files;
  }

  /** BAD_FEATURE or BAD_ARGS for an invalid global flag. */
  static async open(io: Io, options: GlobalOptions): Promise<Session> {
    for (const [name, flag] of NOT_YET) {
      if (options[name] !== '') {
        throw new ExitError(EXIT.BAD_FEATURE, `${flag} is not implemented yet`);
      }
    }
    const printer = makePrinter(io, options.writeOut, options.hex);
    return new Session(io, options, printer, await readTlsFiles(io, options));
  }

  /** A client of all endpoints. */
  get client(): Client {
    this.#client ??= this.clientOf(this.endpoints);
    return this.#client;
  }

  get endpoints(): readonly string[] {
    return this.options.endpoints.map((endpoint) => endpoint.trim());
  }

  /** A separate client for these endpoints; closed with the session. */
  clientOf(endpoints: readonly string[]): Client {
    try {
      const client = new Client(clientOptions(this.options, endpoints, this.#files));
      this.#clients.push(client);
      return client;
    } catch (error) {
      if (error instanceof ExitError) throw error;
      throw new ExitError(EXIT.BAD_ARGS, errorText(error));
    }
  }

  /** Timeout of a short call. With 0 it fails immediately, as in etcdctl. */
  get limits(): CallOptions {
    return { timeoutMs: this.options.commandTimeout };
  }

  /** Awaits a call; a failure ends the program with `code` and the error in etcdctl's words. */
  readonly ask = async <T>(
    call: Promise<T>,
    code: number = EXIT.ERROR,
    prefix = '',
    suffix = '',
  ): Promise<T> => {
    try {
      return await call;
    } catch (error) {
      this.noteFailure(error);
      throw new ExitError(code, `${prefix}${errorText(error)}${suffix}`);
    }
  };

  /** Prints to standard error why there was no connection in time, as etcdctl logs it. */
  noteFailure(error: unknown): void {
    if (!(error instanceof GrpcStatusError) || error.code !== STATUS.DEADLINE_EXCEEDED) return;
    const ts = new Date(this.io.wallMs()).toISOString();
    const text = `rpc error: code = DeadlineExceeded desc = ${error.details}`;
    const line = { level: 'warn', ts, logger: 'etcd-client', msg: 'call failed', error: text };
    this.io.err(`${JSON.stringify(line)}\n`);
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}

function clientOptions(
  options: GlobalOptions,
  endpoints: readonly string[],
  files: TlsFiles,
): ClientOptions {
  const auth = authOptions(options);
  const tls = tlsOptions(options, endpoints, files);
  return {
    endpoints,
    waitForReady: true,
    connectTimeoutMs: dialTimeoutMs(options),
    ...(options.keepaliveTime > 0 ? { keepalive: keepaliveOptions(options) } : {}),
    ...(auth === undefined ? {} : { auth }),
    ...(tls === undefined ? {} : { tls }),
    ...(options.maxRequestBytes > 0n
      ? { sendBytesMax: clampedNumber(options.maxRequestBytes) }
      : {}),
    ...(options.maxRecvBytes > 0n ? { receiveBytesMax: clampedNumber(options.maxRecvBytes) } : {}),
  };
}

/** 0, or less, is no limit. */
function dialTimeoutMs({ dialTimeout }: GlobalOptions): number {
  return dialTimeout > 0 ? Math.min(dialTimeout, DELAY_MS_MAX) : DELAY_MS_MAX;
}

/** As in Go's gRPC, the timeout is 20 seconds by default. */
function keepaliveOptions({ keepaliveTime, keepaliveTimeout }: GlobalOptions): KeepaliveOptions {
  const timeoutMs = keepaliveTimeout > 0 ? keepaliveTimeout : KEEPALIVE_TIMEOUT_MS;
  return {
    intervalMs: Math.min(keepaliveTime, DELAY_MS_MAX),
    timeoutMs: Math.min(timeoutMs, DELAY_MS_MAX),
  };
}

function authOptions({ authJwtToken, user, password }: GlobalOptions): AuthOptions | undefined {
  if (authJwtToken !== '') return { token: authJwtToken };
  if (user === '') return undefined;
  if (password !== '') return { user, password };
  const colon = user.indexOf(':');
  if (colon < 0) {
    const text = '--user without a password: give --password or --user name:password';
    throw new ExitError(EXIT.BAD_ARGS, text);
  }
  return { user: user.slice(0, colon), password: user.slice(colon + 1) };
}

interface TlsFiles {
  readonly cert?: Uint8Array;
  readonly key?: Uint8Array;
  readonly ca?: Uint8Array;
}

async function readTlsFiles(io: Io, { cert, key, cacert }: GlobalOptions): Promise<TlsFiles> {
  if ((cert === '') !== (key === '')) {
    const text = `KeyFile and CertFile must both be present[key: ${key}, cert: ${cert}]`;
    throw new ExitError(EXIT.BAD_ARGS, text);
  }
  const read = async (flag: string, path: string): Promise<Uint8Array> => {
    try {
      return await io.readFile(path);
    } catch (error) {
      throw new ExitError(EXIT.BAD_ARGS, `${flag}: ${errorText(error)}`);
    }
  };
  return {
    ...(cert === '' ? {} : { cert: await read('--cert', cert), key: await read('--key', key) }),
    ...(cacert === '' ? {} : { ca: await read('--cacert', cacert) }),
  };
}

function tlsOptions(
  { insecureTransport, insecureSkipTlsVerify }: GlobalOptions,
  endpoints: readonly string[],
  files: TlsFiles,
): TlsOptions | undefined {
  const parsed = endpoints.map((endpoint) => parseEndpoint(endpoint).secure);
  const isAsked = Object.keys(files).length > 0 || !insecureTransport;
  // Certificates in the environment do not make plaintext endpoints encrypted.
  const isPlain = parsed.length > 0 && parsed.every((secure) => secure === false);
  if (isPlain || (!isAsked && !parsed.includes(true))) return undefined;
  return { ...files, insecureSkipVerify: insecureSkipTlsVerify };
}
