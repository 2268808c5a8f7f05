// The token that a server with authentication wants with every call.

import { isEtcdError } from '../../protocol/index.ts';
import type { AuthOptions } from '../options.ts';

/** Asks the server for a token; the call that does so carries none. */
type Authenticate = (user: string, password: string) => Promise<string>;

export class TokenSource {
  readonly #auth: AuthOptions | undefined;
  readonly #authenticate: Authenticate;
  #token: string | undefined;
  /** The request for a token that is under way: all calls that need one wait for the same. */
  #asking: Promise<string | undefined> | undefined;

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

  /** Resolves when `current` can be used. Rejects if the server refuses the user. */
  async obtain(): Promise<void> {
    if (this.ready || this.#auth === undefined || !('user' in this.#auth)) return;
    const { user, password } = this.#auth;
    this.#asking ??= this.#ask(user, password).finally(() => {
      this.#asking = undefined;
    });
    this.#token = await this.#asking;
  }

  async #ask(user: string, password: string): Promise<string | undefined> {
    try {
      return await this.#authenticate(user, password);
    } catch (error) {
      // A cluster without authentication accepts any user, as etcd's client sees it.
      if (isEtcdError(error, 'AUTH_NOT_ENABLED')) return '';
      throw error;
    }
  }

  /**
   * Whether a call that failed with `error` while carrying `used` may be tried with another token.
   * The server has then refused it before looking at the request.
   */
  refresh(error: unknown, used: string | undefined): boolean {
    if (this.#auth === undefined || !('user' in this.#auth)) return false;
    const stale =
      isEtcdError(error, 'INVALID_AUTH_TOKEN') ||
      isEtcdError(error, 'AUTH_OLD_REVISION') ||
      (used === '' && isEtcdError(error, 'USER_EMPTY'));
    if (stale && this.#token === used) this.#token = undefined;
    return stale;
  }
}
