// Calls of any method: encoding, timeouts, cancellation, the token, and retries where they are safe.

import type {
  CallStatus,
  Channel,
  CallOptions as ChannelCallOptions,
  ClientCall,
  ClientStream,
  ClientStreamHandler,
  MetadataInit,
} from '../../grpc/index.ts';
import { GrpcStatusError, STATUS } from '../../grpc/index.ts';
import { etcdserverpb, isEtcdError, type MethodDescriptor } from '../../protocol/index.ts';
import { checkCallOptions } from '../arguments.ts';
import { clientClosed, deadlineExceeded, errorOfStatus, statusOf } from '../errors.ts';
import {
  DELAY_MS_MAX,
  RETRY_WAIT_MS_MAX,
  RETRY_WAIT_MS_MIN,
  TOKEN_RENEWALS_MAX,
} from '../limits.ts';
import type { AuthOptions, CallOptions, Runtime } from '../options.ts';
import { TokenSource } from './token.ts';
import { backoffMs, inTime, sleep } from './wait.ts';

/**
 * When a call is retried after UNAVAILABLE: one that reads or is idempotent always; any other only if no
 * server has begun to process it, since it may have succeeded.
 */
type Repeat = 'always' | 'unbegun';

interface CallsOptions {
  readonly channel: Channel;
  /** Current number of endpoints of the channel. */
  readonly endpointCount: () => number;
  readonly runtime: Runtime;
  readonly auth: AuthOptions | undefined;
  /** Token source shared with other calls; undefined for a separate one. */
  readonly tokens?: TokenSource | undefined;
  readonly timeoutMs: number;
  /** Timeout of Authenticate at one member. */
  readonly connectTimeoutMs: number;
  readonly waitForReady: boolean;
  readonly sendBytesMax: number;
  readonly retriesMax: number;
  readonly requireLeader: boolean;
}

interface StreamOptions {
  /** Default: none. */
  readonly timeoutMs?: number | undefined;
  readonly waitForReady?: boolean | undefined;
  readonly metadata?: MetadataInit | undefined;
}

type Outcome<Response> =
  | { readonly ok: true; readonly response: Response }
  | { readonly ok: false; readonly error: Error; readonly mayRepeat: boolean };

/** Limits of one call. */
interface Limits {
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
  readonly repeat: Repeat;
  readonly requireLeader: boolean;
}

/** Metadata of a call that requires a leader: a member without one refuses it immediately. */
export const REQUIRE_LEADER: Readonly<Record<string, string>> = { hasleader: 'true' };

export class Calls {
  readonly runtime: Runtime;
  readonly tokens: TokenSource;
  readonly #options: CallsOptions;
  #closed = false;

  constructor(options: CallsOptions) {
    this.#options = options;
    this.runtime = options.runtime;
    this.tokens =
      options.tokens ??
      new TokenSource(options.auth, (user, password, signal) =>
        this.#authenticate(user, password, signal),
      );
  }

  get endpointCount(): number {
    return this.#options.endpointCount();
  }

  /** One request, one response. Rejects with the errors of `errors.ts`, or the signal's reason. */
  async unary<Request, RequestInit, Response, ResponseInit>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    request: Request,
    options: CallOptions,
    repeat: Repeat,
  ): Promise<Response> {
    checkCallOptions(options);
    this.#checkSize(method.request.size(request));
    const { signal, requireLeader = this.#options.requireLeader } = options;
    const deadlineMs = this.#deadlineMs(options.timeoutMs ?? this.#options.timeoutMs);
    return this.#call(method, request, { deadlineMs, signal, repeat, requireLeader }, this.tokens);
  }

  /** `tokens`: the user's; undefined for the call of Authenticate itself. */
  async #call<Request, RequestInit, Response, ResponseInit>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    request: Request,
    limits: Limits,
    tokens: TokenSource | undefined,
  ): Promise<Response> {
    let retries = 0;
    let renewals = 0;
    for (;;) {
      limits.signal?.throwIfAborted();
      if (this.#closed) throw clientClosed();
      if (tokens?.ready === false) await this.#tokenInTime(tokens, limits);
      const token = tokens?.current;
      const outcome = await this.#attempt(method, request, token, limits);
      if (outcome.ok) return outcome.response;
      const { error } = outcome;
      if (tokens?.refresh(error, token, renewals === 0) === true) {
        if (renewals >= TOKEN_RENEWALS_MAX) throw error;
        if (renewals > 0) await this.#pause(renewals - 1, limits, error);
        renewals++;
        continue;
      }
      // A round tries a majority of the endpoints, one after the other; then it waits.
      const perRound = Math.floor(this.endpointCount / 2) + 1;
      if (!outcome.mayRepeat || retries >= this.#options.retriesMax * perRound) throw error;
      retries++;
      if (retries % perRound === 0) await this.#pause(retries / perRound - 1, limits, error);
    }
  }

  #deadlineMs(timeoutMs: number): number {
    return this.runtime.clock.monotonicMs() + timeoutMs;
  }

  /** Waits between attempts, `count` waits before; throws `error` if the deadline comes first. */
  async #pause(count: number, { deadlineMs, signal }: Limits, error: Error): Promise<void> {
    const bounds = { minMs: RETRY_WAIT_MS_MIN, maxMs: RETRY_WAIT_MS_MAX };
    const waitMs = backoffMs(this.runtime.entropy, count, bounds);
    if (this.#deadlineMs(waitMs) >= deadlineMs) throw error;
    await sleep(this.runtime, waitMs, signal);
  }

  /** Resolves when `stream` can use a token; immediately without authentication. */
  obtainToken(options: Pick<CallOptions, 'timeoutMs' | 'signal'> = {}): Promise<void> {
    const { timeoutMs = Number.POSITIVE_INFINITY, signal } = options;
    return this.#tokenInTime(this.tokens, { deadlineMs: this.#deadlineMs(timeoutMs), signal });
  }

  #tokenInTime(
    tokens: TokenSource,
    { deadlineMs, signal }: Pick<Limits, 'deadlineMs' | 'signal'>,
  ): Promise<void> {
    const { connectFailure } = this.#options.channel;
    const late = (): Error => deadlineExceeded(connectFailure);
    return tokens.obtain((answer) => {
      const delayMs = Math.max(0, deadlineMs - this.runtime.clock.monotonicMs());
      return inTime(this.runtime, answer, { delayMs, signal, late });
    });
  }

  #attempt<Request, RequestInit, Response, ResponseInit>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    request: Request,
    token: string | undefined,
    { deadlineMs, signal, repeat, requireLeader }: Limits,
  ): Promise<Outcome<Response>> {
    return new Promise((resolve, reject) => {
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
          const error = this.#closed ? clientClosed() : errorOfStatus(status);
          const mayRepeat = !this.#closed && this.#mayRepeat(status, error, repeat);
          settle({ ok: false, error, mayRepeat });
        },
      };
      const caller = { token, requireLeader };
      const options = this.#channelOptions(leftMs, caller, this.#options.waitForReady);
      call = this.#options.channel.unary(method.path, method.request, request, sink, options);
    });
  }

  #mayRepeat(status: CallStatus, error: Error, repeat: Repeat): boolean {
    if (this.isRefusalOfLearner(error)) return true;
    return status.code === STATUS.UNAVAILABLE && (repeat === 'always' || status.unprocessed);
  }

  /** Whether a learner has refused a request that a voting member would serve. */
  isRefusalOfLearner(error: unknown): boolean {
    return isEtcdError(error, 'NOT_SUPPORTED_FOR_LEARNER') && this.endpointCount > 1;
  }

  /**
   * Opens a stream. The token must be ready; after a failure with an outdated one, the owner opens it
   * again.
   */
  stream(path: string, handler: ClientStreamHandler, options: StreamOptions = {}): ClientStream {
    const { timeoutMs = Number.POSITIVE_INFINITY, metadata } = options;
    const waitForReady = options.waitForReady ?? this.#options.waitForReady;
    const caller = { token: this.tokens.current, requireLeader: false };
    const given = this.#channelOptions(timeoutMs, caller, waitForReady);
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
    {
      token,
      requireLeader,
    }: { readonly token: string | undefined; readonly requireLeader: boolean },
    waitForReady: boolean,
  ): ChannelCallOptions {
    const hasToken = token !== undefined && token !== '';
    return {
      waitForReady,
      ...(leftMs === Number.POSITIVE_INFINITY ? {} : { timeoutMs: Math.min(leftMs, DELAY_MS_MAX) }),
      ...(hasToken || requireLeader
        ? { metadata: { ...(hasToken && { token }), ...(requireLeader && REQUIRE_LEADER) } }
        : {}),
    };
  }

  #checkSize(bytes: number): void {
    const max = this.#options.sendBytesMax;
    if (bytes <= max) return;
    const text = `trying to send message larger than max (${bytes} vs. ${max})`;
    throw new GrpcStatusError(STATUS.RESOURCE_EXHAUSTED, text);
  }

  /** After a timeout another member is tried, so that one member does not block all calls of the user. */
  async #authenticate(user: string, password: string, signal: AbortSignal): Promise<string> {
    const method = etcdserverpb.AuthService.methods.authenticate;
    const request = method.request.create({ name: user, password });
    const limits = { signal, repeat: 'always', requireLeader: false } as const;
    for (let count = 0; ; count++) {
      const deadlineMs = this.#deadlineMs(this.#options.connectTimeoutMs);
      try {
        const { token } = await this.#call(method, request, { ...limits, deadlineMs }, undefined);
        return token;
      } catch (error) {
        if (statusOf(error) !== STATUS.DEADLINE_EXCEEDED) throw error;
        const bounds = { minMs: RETRY_WAIT_MS_MIN, maxMs: RETRY_WAIT_MS_MAX };
        await sleep(this.runtime, backoffMs(this.runtime.entropy, count, bounds), signal);
      }
    }
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
