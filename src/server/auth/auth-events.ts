// What the state machine tells of authentication while it applies the log: tokens come and go with it.

import { bytesFromLatin1, utf8FromBytes } from '../../base/index.ts';
import type { Entropy } from '../../env/index.ts';
import { authpb, EtcdError } from '../../protocol/index.ts';
import { type AuthHost, REQUEST_KIND } from '../../store/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { LogFields, Logger } from '../telemetry/log.ts';
import { isHashable, runPasswordJob, SALT_BYTES, saltOf } from './bcrypt.ts';
import type { Passwords } from './passwords.ts';
import type { TokenProvider } from './token-provider.ts';

interface AuthEventsParts {
  readonly config: Pick<ServerConfig, 'auth'>;
  readonly env: { readonly entropy: Entropy };
  readonly log: Logger;
  readonly tokens: TokenProvider;
  readonly passwords: Pick<Passwords, 'forget'>;
}

type TokenRequest = Parameters<AuthHost['assignToken']>[0];
type AuthOperation = Parameters<AuthHost['onChanged']>[0];

export class AuthEvents implements AuthHost {
  readonly #parts: AuthEventsParts;

  constructor(parts: AuthEventsParts) {
    this.#parts = parts;
  }

  onEnabled(): void {
    this.#parts.passwords.forget();
    this.#parts.tokens.enable();
  }

  onDisabled(): void {
    this.#parts.passwords.forget();
    this.#parts.tokens.disable();
  }

  onReplaced(): void {
    this.onDisabled();
  }

  onUserChanged(username: string): void {
    this.#parts.tokens.invalidateUser(username);
  }

  assignToken({ username, simpleToken, index }: TokenRequest): string {
    return this.#parts.tokens.assign({ username, prefix: simpleToken, index });
  }

  readonly hashPassword = (password: string): Uint8Array => {
    if (!isHashable(password)) throw new EtcdError('NO_PASSWORD_USER');
    const { config, env } = this.#parts;
    const salt = saltOf(config.auth.bcryptCost, env.entropy.bytes(SALT_BYTES));
    return bytesFromLatin1(String(runPasswordJob({ kind: 'hash', password, salt })));
  };

  onChanged(operation: AuthOperation): void {
    this.#parts.passwords.forget();
    const [msg, fields] = lineOf(operation);
    this.#parts.log.info(msg, fields);
  }
}

/** Etcd's lines; no password is in them, and no hash. */
function lineOf(operation: AuthOperation): readonly [msg: string, fields?: LogFields] {
  switch (operation.kind) {
    case REQUEST_KIND.AUTH_ENABLE:
      return ['enabled authentication'];
    case REQUEST_KIND.AUTH_DISABLE:
      return ['disabled authentication'];
    case REQUEST_KIND.AUTH_USER_ADD:
      return ['added a user', { 'user-name': operation.request.name }];
    case REQUEST_KIND.AUTH_USER_DELETE:
      return ['deleted a user', { 'user-name': operation.request.name }];
    case REQUEST_KIND.AUTH_USER_CHANGE_PASSWORD:
      return ['changed a password of a user', { 'user-name': operation.request.name }];
    case REQUEST_KIND.AUTH_USER_GRANT_ROLE: {
      const { user, role } = operation.request;
      return ['granted a role to a user', { 'user-name': user, 'added-role-name': role }];
    }
    case REQUEST_KIND.AUTH_USER_REVOKE_ROLE: {
      const { name, role } = operation.request;
      return ['revoked a role from a user', { 'user-name': name, 'revoked-role-name': role }];
    }
    case REQUEST_KIND.AUTH_ROLE_ADD:
      return ['created a role', { 'role-name': operation.request.name }];
    case REQUEST_KIND.AUTH_ROLE_DELETE:
      return ['deleted a role', { 'role-name': operation.request.role }];
    case REQUEST_KIND.AUTH_ROLE_GRANT_PERMISSION:
      return ['granted/updated a permission to a role', permissionFields(operation.request)];
    case REQUEST_KIND.AUTH_ROLE_REVOKE_PERMISSION: {
      const { role, key, rangeEnd } = operation.request;
      return [
        'revoked a permission on range',
        { 'role-name': role, ...rangeFields(key, rangeEnd) },
      ];
    }
    default:
      return ['a request about users was applied'];
  }
}

function permissionFields({
  name,
  perm,
}: {
  readonly name: string;
  readonly perm: authpb.Permission | undefined;
}): LogFields {
  if (perm === undefined) return { 'role-name': name };
  const type = PERMISSION_NAMES[perm.permType] ?? String(perm.permType);
  return {
    'role-name': name,
    'permission-name': type,
    ...rangeFields(perm.key, perm.rangeEnd),
  };
}

function rangeFields(key: Uint8Array, rangeEnd: Uint8Array): LogFields {
  return { key: utf8FromBytes(key), 'range-end': utf8FromBytes(rangeEnd) };
}

const PERMISSION_NAMES: Readonly<Record<number, string>> = {
  [authpb.Type.READ]: 'READ',
  [authpb.Type.WRITE]: 'WRITE',
  [authpb.Type.READWRITE]: 'READWRITE',
};
