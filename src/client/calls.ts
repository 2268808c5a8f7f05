// Calls of any method: encoding, time limits, cancelling, the token, and repetition where it is safe.

import type {
  CallStatus,
  Channel,
  CallOptions as ChannelCallOptions,
  ClientCall,
  ClientStream,
  ClientStreamHandler,
  MetadataInit,
} from '../grpc/index.ts';
import { GrpcStatusError, STATUS } from '../grpc/index.ts';
import { etcdserverpb, type MethodDescriptor } from '../protocol/index.ts';
import { clientClosed, deadlineExceeded, errorOfStatus } from './errors.ts';
import { DELAY_MS_MAX, RETRY_WAIT_MS_MAX, RETRY_WAIT_MS_MIN } from './limits.ts';
import type { AuthOptions, CallOptions, Runtime } from './options.ts';
import { TokenSource } from './token.ts';
import { backoffMs, sleep } from './wait.ts';

/**
 * May a call be sent again after it failed UNAVAILABLE? A read always; a write only if no server has
 * begun to process it, since the failure may hide a success.
 */
export type Repeat = 'read' | 'write';

export interface CallsOptions {
  readonly channel: Channel;
  /** Why the last attempt to connect failed; undefined if it did not. */
  readonly lastConnectError: () => string | undefined;
  readonly runtime: Runtime;
  readonly auth: AuthOptions | undefined;
  readonly timeoutMs: number;
  readonly waitForReady: boolean;
  readonly sendBytesMax: number;
  readonly retriesMax: number;
}

export interface StreamOptions {
  /** Default: none. */
  readonly timeoutMs?: number;
  readonly waitForReady?: boolean;
  readonly metadata?: MetadataInit;
}

type Outcome<Response> =
  | { readonly ok: true; readonly response: Response }
  | { readonly ok: false; readonly error: Error; readonly mayRepeat: boolean };

interface Attempt {
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
  readonly repeat: Repeat;
  readonly token: string | undefined;
}

export class Calls {
  readonly runtime: Runtime;
  readonly tokens: TokenSource;
  readonly #options: CallsOptions;
  #closed = false;

  constructor(options: CallsOptions) {
    this.#options = options;
    this.runtime = options.runtime;
    this.tokens = new TokenSource(options.auth, (user, password) =>
      this.#authenticate(user, password),
    );
  }

  /** One request, one response. Rejects with the errors of `errors.ts`, or the signal's reason. */
  async unary<Request, RequestInit, Response, ResponseInit>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    request: Request,
    options: CallOptions,
    repeat: Repeat,
  ): Promise<Response> {
    this.#checkSize(method.request.size(request));
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs;
    const { clock, entropy } = this.runtime;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    const { signal } = options;
    let hasRefreshed = false;
    for (let retries = 0; ; retries++) {
      signal?.throwIfAborted();
      if (this.#closed) throw clientClosed();
      if (!this.tokens.ready) await this.tokens.obtain();
      const token = this.tokens.current;
      const outcome = await this.#attempt(method, request, { deadlineMs, signal, repeat, token });
      if (outcome.ok) return outcome.response;
      const { error } = outcome;
      if (!hasRefreshed && this.tokens.refresh(error, token)) {
        hasRefreshed = true;
        continue;
      }
      if (!outcome.mayRepeat || retries >= this.#options.retriesMax) throw error;
      const bounds = { minMs: RETRY_WAIT_MS_MIN, maxMs: RETRY_WAIT_MS_MAX };
      const waitMs = backoffMs(entropy, retries, bounds);
      if (clock.monotonicMs() + waitMs >= deadlineMs) throw error;
      await sleep(this.runtime, waitMs, signal);
    }
  }

  #attempt<Request, RequestInit, Response, ResponseInit>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    request: Request,
    attempt: Attempt,
  ): Promise<Outcome<Response>> {
    return new Promise((resolve, reject) => {
      const { signal, deadlineMs } = attempt;
      const leftMs = deadlineMs - this.runtime.clock.monotonicMs();
      if (leftMs <= 0) {
        resolve({ ok: false, error: deadlineExceeded(), mayRepeat: false });
        return;
      }
      let call: ClientCall | undefined;
      const onAbort = (): void => call?.cancel();
      const settle = (outcome: Outcome<Response>): void => {
        signal?.removeEventListener('abort', onAbort);
        if (signal?.aborted === true) reject(signal.reason);
        else resolve(outcome);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const sink = {
        onReply: (reply: Uint8Array): void => settle(decoded(method, reply)),
        onFailure: (status: CallStatus): void => {
          const isRepeatable = attempt.repeat === 'read' || status.unprocessed;
          settle({
            ok: false,
            error: this.#closed ? clientClosed() : this.#errorOf(status),
            mayRepeat: isRepeatable && status.code === STATUS.UNAVAILABLE && !this.#closed,
          });
        },
      };
      const options = this.#channelOptions(leftMs, attempt.token, this.#options.waitForReady);
      call = this.#options.channel.unary(method.path, method.request, request, sink, options);
    });
  }

  #errorOf(status: CallStatus): Error {
    const { code, unprocessed } = status;
    const reason = this.#options.lastConnectError();
    if (code !== STATUS.DEADLINE_EXCEEDED || !unprocessed || reason === undefined) {
      return errorOfStatus(status);
    }
    const message = `latest balancer error: connection error: desc = ${JSON.stringify(reason)}`;
    return new GrpcStatusError(code, message);
  }

  /**
   * A stream. The token must be ready; a stream that fails with a stale one is for its owner to open
   * again.
   */
  stream(path: string, handler: ClientStreamHandler, options: StreamOptions = {}): ClientStream {
    const { timeoutMs = Number.POSITIVE_INFINITY, metadata } = options;
    const waitForReady = options.waitForReady ?? this.#options.waitForReady;
    const given = this.#channelOptions(timeoutMs, this.tokens.current, waitForReady);
    return this.#options.channel.stream(path, handler, {
      ...given,
      metadata: { ...given.metadata, ...metadata },
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
    this.#options.channel.close();
  }

  #channelOptions(
    leftMs: number,
    token: string | undefined,
    waitForReady: boolean,
  ): ChannelCallOptions {
    return {
      waitForReady,
      ...(leftMs === Number.POSITIVE_INFINITY ? {} : { timeoutMs: Math.min(leftMs, DELAY_MS_MAX) }),
      ...(token === undefined || token === '' ? {} : { metadata: { token } }),
    };
  }

  #checkSize(bytes: number): void {
    const max = this.#options.sendBytesMax;
    if (bytes <= max) return;
    const text = `trying to send message larger than max (${bytes} vs. ${max})`;
    throw new GrpcStatusError(STATUS.RESOURCE_EXHAUSTED, text);
  }

  async #authenticate(user: string, password: string): Promise<string> {
    const method = etcdserverpb.AuthService.methods.authenticate;
    const request = method.request.create({ name: user, password });
    const deadlineMs = this.runtime.clock.monotonicMs() + this.#options.timeoutMs;
    const outcome = await this.#attempt(method, request, {
      deadlineMs,
      signal: undefined,
      repeat: 'read',
      token: undefined,
    });
    if (!outcome.ok) throw outcome.error;
    return outcome.response.token;
  }
}

function decoded<Request, RequestInit, Response, ResponseInit>(
  method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
  reply: Uint8Array,
): Outcome<Response> {
  try {
    // The transport's bytes are valid during this call only; the message keeps views of them.
    return { ok: true, response: method.response.decode(Uint8Array.from(reply)) };
  } catch (error) {
    return { ok: false, error: error as Error, mayRepeat: false };
  }
}
