// The session of a command: a client and a printer, by its flags.

import type { RequestOptions } from 'node:https';
import { invariant } from '../../base/index.ts';
import { type CallOptions, Client, GrpcStatusError, STATUS } from '../../client/index.ts';
import { errorText } from '../shell/error-text.ts';
import { EXIT, ExitError } from '../shell/exit.ts';
import type { Io } from '../shell/io.ts';
import { logLine } from '../shell/log-line.ts';
import {
  type Credentials,
  checkFileFlags,
  clientOptions,
  dialTimeoutMs,
  readAuth,
  readTls,
} from './client-options.ts';
import type { GlobalOptions } from './global-flags.ts';
import { makePrinter } from './printers/index.ts';
import type { Printer } from './printers/printer.ts';

/** What is said of another cluster. */
export interface OtherCluster
  extends Pick<
    GlobalOptions,
    'cert' | 'key' | 'cacert' | 'insecureTransport' | 'user' | 'password'
  > {
  readonly passwordPrompt: string;
}

interface Parts {
  readonly options: GlobalOptions;
  readonly printer: Printer;
  readonly credentials: Credentials;
  readonly given: ReadonlySet<string>;
  readonly found: readonly string[];
}

export class Session {
  readonly io: Io;
  readonly options: GlobalOptions;
  readonly printer: Printer;
  readonly #credentials: Credentials;
  readonly #given: ReadonlySet<string>;
  /** Endpoints by `--discovery-srv`. */
  readonly #found: readonly string[];
  readonly #clients: Client[] = [];
  #client: Client | undefined;

  private constructor(io: Io, { options, printer, credentials, given, found }: Parts) {
    this.io = io;
    this.#given = given;
    this.options = options;
    this.printer = printer;
    this.#credentials = credentials;
    this.#found = found;
  }

  /**
   * BAD_FEATURE, BAD_ARGS if a global flag makes no sense, ERROR if the DNS names no endpoint.
   * `given`: names of the flags that the command line or the environment sets.
   */
  static async open(
    io: Io,
    options: GlobalOptions,
    given: ReadonlySet<string> = new Set(),
  ): Promise<Session> {
    // In etcdctl's order: the first problem is the one reported.
    const found = options.discoverySrv === '' ? [] : await foundEndpoints(io, options);
    checkFileFlags(options, given);
    const auth = await readAuth(io, options);
    const printer = makePrinter(io, options.writeOut, options.hex);
    const credentials = { auth, tls: await readTls(io, options) };
    return new Session(io, { options, printer, credentials, given, found });
  }

  /** Makes `client`. As `clientOf`. */
  async connect(code: number = EXIT.BAD_CONNECTION): Promise<void> {
    const endpoints = this.#found.length > 0 ? this.#found : this.endpoints;
    this.#client ??= await this.clientOf(endpoints, code);
  }

  /** A client of all endpoints. */
  get client(): Client {
    invariant(this.#client !== undefined, 'a client is used after connect');
    return this.#client;
  }

  /** Those of `--endpoints`. */
  get endpoints(): readonly string[] {
    return this.options.endpoints.map((endpoint) => endpoint.trim());
  }

  /**
   * A client of its own for these endpoints, closed with the session. Ends the program with `code` if
   * the user is refused, or nobody can be asked.
   */
  async clientOf(
    endpoints: readonly string[],
    code: number = EXIT.BAD_CONNECTION,
  ): Promise<Client> {
    return this.#connected(this.options, endpoints, this.#credentials, code);
  }

  /** A client of another cluster, with the times and limits of this one; closed with the session. */
  async clientOfOther(endpoint: string, { passwordPrompt, ...own }: OtherCluster): Promise<Client> {
    const options = { ...this.options, ...own, authJwtToken: '', insecureSkipTlsVerify: false };
    const auth = await readAuth(this.io, options, passwordPrompt);
    const credentials = { auth, tls: await readTls(this.io, options) };
    return this.#connected(options, [endpoint], credentials, EXIT.BAD_CONNECTION);
  }

  async #connected(
    options: GlobalOptions,
    endpoints: readonly string[],
    credentials: Credentials,
    code: number,
  ): Promise<Client> {
    const client = this.#newClient(options, endpoints, credentials);
    const timeoutMs = dialTimeoutMs(options);
    await this.ask(client.auth.authenticate({ timeoutMs }), code);
    return client;
  }

  #newClient(
    options: GlobalOptions,
    endpoints: readonly string[],
    credentials: Credentials,
  ): Client {
    try {
      const client = new Client(clientOptions(options, endpoints, credentials));
      this.#clients.push(client);
      return client;
    } catch (error) {
      throw new ExitError(EXIT.BAD_ARGS, errorText(error));
    }
  }

  /** For pages of the endpoints that are served over HTTPS. */
  get tlsOfPages(): RequestOptions {
    const { ca, cert, key, insecureSkipVerify } = this.#credentials.tls;
    return {
      ...(ca === undefined ? {} : { ca: ca as string }),
      ...(cert === undefined ? {} : { cert: cert as string }),
      ...(key === undefined ? {} : { key: key as string }),
      rejectUnauthorized: insecureSkipVerify !== true,
    };
  }

  /** Timeout of a short call. With 0 it fails immediately, as in etcdctl. */
  get limits(): CallOptions {
    return { timeoutMs: this.options.commandTimeout };
  }

  /** For a call that may be long: no timeout, unless one was set. */
  get limitsIfSet(): CallOptions {
    return this.#given.has('command-timeout') ? this.limits : {};
  }

  /** For several calls that share one time limit: what is left of it. */
  readonly limitsInAll = (): (() => CallOptions) => {
    const endNs = this.io.monotonicNs() + this.options.commandTimeout * 1e6;
    return () => ({ timeoutMs: Math.max(0, (endNs - this.io.monotonicNs()) / 1e6) });
  };

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
    const text = `rpc error: code = DeadlineExceeded desc = ${error.details}`;
    logLine(this.io, 'warn', 'call failed', { logger: 'etcd-client', error: text });
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}

async function foundEndpoints(io: Io, options: GlobalOptions): Promise<readonly string[]> {
  // Loaded by those that ask the DNS.
  const { discoveredEndpoints } = await import('./discovered-endpoints.ts');
  return discoveredEndpoints(io, options);
}
