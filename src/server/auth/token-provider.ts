// Tokens: who issues them and what they say. Which kind is in use is decided by `--auth-token`.

import { EtcdError, type EtcdErrorName } from '../../protocol/index.ts';

/** What a valid token says. */
export interface TokenInfo {
  readonly username: string;
  /**
   * Revision of the users and roles that the user was authenticated against; undefined where the token
   * is good for as long as this member knows it.
   */
  readonly authRevision: number | undefined;
}

/** Undefined: the token is not valid, or not known here. */
export type TokenOutcome = TokenInfo | 'REQUEST_TOO_MANY_REQUESTS' | undefined;

/** A login that is applied. */
export interface Login {
  readonly username: string;
  /** What the member that was asked has put into the entry; see {@link TokenProvider.newPrefix}. */
  readonly prefix: string;
  /** Of the entry. */
  readonly index: number;
}

/** Makes and reads tokens. */
export interface TokenProvider {
  /** For the log entry of a login; what cannot be guessed of a simple token. */
  newPrefix(): string;
  /**
   * Called for every login that is applied, on every member. The token, or '' where the member that was
   * asked signs it. Throws an EtcdError if there will be none.
   */
  assign(login: Login): string;
  /** Signs a token; only where {@link assign} makes none. */
  sign(username: string, authRevision: number): Promise<string>;
  /**
   * What the token says, at once where that is possible. One from a member that has applied more may not
   * be known yet, see {@link entryOf}.
   */
  info(token: string): TokenOutcome | Promise<TokenOutcome>;
  /** The entry of the log with which {@link info} knows the token; undefined if no entry matters. */
  entryOf(token: string): number | undefined;
  /** The user was deleted or has another password. */
  invalidateUser(username: string): void;
  /** Authentication is on from now on; also called when it already is. */
  enable(): void;
  /** Authentication is off: no token is good any more. */
  disable(): void;
}

function refuse(error: EtcdErrorName): never {
  throw new EtcdError(error);
}

/** `--auth-token ''`: nobody gets a token, and none is good. */
export const NO_TOKENS: TokenProvider = {
  newPrefix: () => '',
  assign: () => refuse('AUTH_FAILED'),
  sign: () => refuse('AUTH_FAILED'),
  info: () => undefined,
  entryOf: () => undefined,
  invalidateUser: () => {},
  enable: () => {},
  disable: () => {},
};
