// The token of a user, sent with every call to a server with authentication.
//
//     none -> requested -> current      refused: none again, and requested by the next call
//      ^---------------------'          All calls wait for the same request.

import { GrpcStatusError } from '../../grpc/index.ts';
import { isEtcdError } from '../../protocol/index.ts';
import type { AuthOptions } from '../options.ts';

/** Calls Authenticate, without a token. Ends when the signal is aborted. */
type Authenticate = (user: string, password: string, signal: AbortSignal) => Promise<string>;

/** A caller's time limit: rejects when it is over, without affecting the promise. */
type Patience = <T>(promise: Promise<T>) => Promise<T>;

/** The request for a token in progress. */
interface Asking {
  readonly answer: Promise<void>;
  readonly controller: AbortController;
  /** Number of waiting calls; at 0 the request is cancelled. */
  waiting: number;
}

/** Stands for no token, for a server without authentication. */
const NO_TOKEN = '';

export class TokenSource {
  readonly #auth: AuthOptions | undefined;
  readonly #authenticate: Authenticate;
  #token: string | undefined;
  #asking: Asking | undefined;

  constructor(auth: AuthOptions | undefined, authenticate: Authenticate) {
    this.#auth = auth;
    this.#authenticate = authenticate;
    if (auth !== undefined && 'token' in auth) this.#token = auth.token;
  }

  /** Whether the token is known; always, for a client without a user. */
  get ready(): boolean {
    return this.#auth === undefined || this.#token !== undefined;
  }

  /** Valid if `ready`. */
  get current(): string | undefined {
    return this.#token;
  }

  /**
   * Resolves when `current` can be used. Rejects if the server refuses the user, if the request fails, or
   * if `patience` is over.
   */
  async obtain(patience: Patience): Promise<void> {
    if (this.ready || this.#auth === undefined || !('user' in this.#auth)) return;
    this.#asking ??= this.#ask(this.#auth.user, this.#auth.password);
    const asking = this.#asking;
    asking.waiting++;
    try {
      await patience(asking.answer);
    } finally {
      asking.waiting--;
      if (asking.waiting === 0) this.#giveUp(asking);
    }
  }

  #ask(user: string, password: string): Asking {
    const controller = new AbortController();
    const answer = this.#authenticate(user, password, controller.signal).then(
      (token) => this.#onAnswer(asking, token),
      (error: unknown) => {
        // As in etcd's client, a cluster without authentication accepts any user.
        if (isEtcdError(error, 'AUTH_NOT_ENABLED')) this.#onAnswer(asking, NO_TOKEN);
        else {
          this.#giveUp(asking);
          throw error;
        }
      },
    );
    const asking: Asking = { answer, controller, waiting: 0 };
    return asking;
  }

  #onAnswer(asking: Asking, token: string): void {
    if (this.#asking !== asking) return;
    this.#token = token;
    this.#asking = undefined;
  }

  /** Cancels the request; no effect on one that has been answered. */
  #giveUp(asking: Asking): void {
    if (this.#asking !== asking) return;
    this.#asking = undefined;
    asking.controller.abort();
  }

  /**
   * Whether a call that failed with `error` while carrying the token `used` may be made again, then with
   * another token if need be: the server has refused it before it did anything. `isFirst`: it was not
   * made again before.
   */
  refresh(error: unknown, used: string | undefined, isFirst: boolean): boolean {
    // Users or roles have changed under the call; whom a certificate names needs nothing new.
    if (this.#auth === undefined) return isEtcdError(error, 'AUTH_OLD_REVISION');
    if (!('user' in this.#auth)) return false;
    // A simple token is good for the users and roles as they are now; one that is signed is not. To ask
    // for another one costs the server a hash that is made to be slow.
    if (isEtcdError(error, 'AUTH_OLD_REVISION') && isFirst) return true;
    const isStale =
      isEtcdError(error, 'AUTH_OLD_REVISION') ||
      isInvalidToken(error) ||
      (used === NO_TOKEN && isRefusalWithoutToken(error, isFirst));
    if (isStale && this.#token === used) this.#token = undefined;
    return isStale;
  }
}

/** A stream of etcd 3.5 ends with its own text. */
function isInvalidToken(error: unknown): boolean {
  if (isEtcdError(error, 'INVALID_AUTH_TOKEN')) return true;
  return error instanceof GrpcStatusError && error.details === 'auth: invalid auth token';
}

/**
 * Authentication may have been enabled since. A server then takes the client for whom its certificate
 * names, if it has one: for somebody else, who is not known or may not. That can also be the answer.
 */
function isRefusalWithoutToken(error: unknown, isFirst: boolean): boolean {
  if (isEtcdError(error, 'USER_EMPTY')) return true;
  return (
    isFirst && (isEtcdError(error, 'PERMISSION_DENIED') || isEtcdError(error, 'USER_NOT_FOUND'))
  );
}
