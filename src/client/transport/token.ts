// The token that a server with authentication wants with every call.
//
//     none -> asked for -> current      refused: none again, and asked for by the next call
//      ^---------------------'          All calls wait for the same answer.

import { isEtcdError } from '../../protocol/index.ts';
import type { AuthOptions } from '../options.ts';

/** Asks the server for a token; the call that does so carries none. Ends when the signal is aborted. */
type Authenticate = (user: string, password: string, signal: AbortSignal) => Promise<string>;

/** How long somebody waits: rejects when that is over, whatever becomes of the promise. */
type Patience = <T>(promise: Promise<T>) => Promise<T>;

/** The request for a token that is under way. */
interface Asking {
  readonly answer: Promise<void>;
  readonly controller: AbortController;
  /** When nobody waits for it any more it is given up. */
  waiting: number;
}

/** What a server gives where nobody needs a token. */
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

  /** Without users this is known at once: undefined. */
  get ready(): boolean {
    return this.#auth === undefined || this.#token !== undefined;
  }

  /** Valid if `ready`. */
  get current(): string | undefined {
    return this.#token;
  }

  /**
   * Resolves when `current` can be used. Rejects if the server refuses the user, if it cannot be asked,
   * or if `patience` is over.
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
        // A cluster without authentication takes any user, as etcd's client sees it.
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

  /** No effect on one that has been answered. */
  #giveUp(asking: Asking): void {
    if (this.#asking !== asking) return;
    this.#asking = undefined;
    asking.controller.abort();
  }

  /**
   * Whether a call that failed with `error` while carrying the token `used` may be made again, then with
   * another token if need be. The server has refused it before it did anything.
   */
  refresh(error: unknown, used: string | undefined): boolean {
    // Somebody has changed users or roles under the call; whom a certificate names needs nothing new.
    if (this.#auth === undefined) return isEtcdError(error, 'AUTH_OLD_REVISION');
    if (!('user' in this.#auth)) return false;
    const isStale =
      isEtcdError(error, 'INVALID_AUTH_TOKEN') ||
      isEtcdError(error, 'AUTH_OLD_REVISION') ||
      // Authentication was enabled under the client.
      (used === NO_TOKEN && isEtcdError(error, 'USER_EMPTY'));
    if (isStale && this.#token === used) this.#token = undefined;
    return isStale;
  }
}
