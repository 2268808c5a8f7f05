// What the state machine tells its member of authentication, and asks of it.

import type { HashPassword } from '../../auth/index.ts';
import type { LogIndex } from '../../base/index.ts';
import type { AuthOperation } from './auth-operation.ts';

export interface AuthHost {
  /**
   * Authentication is on: of the database that is opened, or from this entry on. A member that cannot
   * honour that throws, and stops.
   */
  onEnabled(): void;
  /** Authentication is off from this entry on: no token is good any more. */
  onDisabled(): void;
  /**
   * A database with other users or roles takes the place of this one. What ended tokens may be in entries
   * that were never applied here: no token is good any more.
   */
  onReplaced(): void;
  /** The user is gone or has another password: its tokens are no good any more. */
  onUserChanged(username: string): void;
  /**
   * The token of a user who has shown a password; made in the same way on every member, where
   * tokens are not signed. Called for every such entry. Throws an EtcdError if none can be made.
   */
  assignToken(request: TokenRequest): string;
  /**
   * Called when a release up to 3.4 has logged a password in the clear. Every member makes a salt of its
   * own, as there.
   */
  readonly hashPassword: HashPassword;
  /** A request has changed users, roles or authentication; for the log, which must not have the hash. */
  onChanged(operation: AuthOperation): void;
}

export interface TokenRequest {
  readonly username: string;
  readonly authRevision: number;
  /** As the entry has it; empty if the member that proposed it signs its tokens. */
  readonly simpleToken: string;
  /** Of the entry; a part of the token. */
  readonly index: LogIndex;
  /** Somebody here waits for the token. */
  readonly awaited: boolean;
}
