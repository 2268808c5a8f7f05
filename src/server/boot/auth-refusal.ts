// Where permissions cannot be checked before a request is proposed, a store that asks for them is not
// served: neither a database in which authentication is on nor a log that turns it on.

import type { AuthState } from '../../auth/index.ts';
import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import type { AuthHost } from '../../store/index.ts';

/** UNSUPPORTED if authentication is on. */
export function refuseAuth({ enabled }: Pick<AuthState, 'enabled'>): void {
  if (!enabled) return;
  throw new TetcdError(
    ERROR_CODES.UNSUPPORTED,
    'authentication is enabled, and this release cannot check it; ' +
      'it does not serve a secured store openly',
  );
}

/** Of a member that refuses authentication. */
export const REFUSING_AUTH_HOST: AuthHost = {
  onEnabled: () => refuseAuth({ enabled: true }),
  onDisabled: () => {},
  onUserChanged: () => {},
  assignToken: () => refuseTokens(),
  hashPassword: () => refuseTokens(),
  onChanged: () => {},
};

function refuseTokens(): never {
  throw new TetcdError(
    ERROR_CODES.UNSUPPORTED,
    'this release makes no tokens and hashes no passwords',
  );
}
