// One user: which roles it has.

import { type Name, ROOT } from './names.ts';
import { lowerBound } from './sorted.ts';

/** Replaced as a whole, never changed. */
export interface User {
  readonly name: Name;
  /** The text of a bcrypt hash; empty if there is no password. */
  readonly password: Uint8Array;
  /** Ascending. */
  readonly roles: readonly Name[];
  /** Undefined for a user that a release up to 3.3 added. */
  readonly options: { readonly noPassword: boolean } | undefined;
}

export function hasRole({ roles }: User, role: Name): boolean {
  return roles[lowerBound(roles, (one) => one < role)] === role;
}

export function isRoot(user: User): boolean {
  return hasRole(user, ROOT);
}

/** Whether it can authenticate with a certificate only. */
export function hasNoPassword({ options }: Pick<User, 'options'>): boolean {
  return options?.noPassword === true;
}

/** The user with one role more; undefined if it has it. */
export function withRole(user: User, role: Name): User | undefined {
  if (hasRole(user, role)) return undefined;
  return { ...user, roles: [...user.roles, role].sort((a, b) => (a < b ? -1 : 1)) };
}

/** The user without a role; undefined if it does not have it. */
export function withoutRole(user: User, role: Name): User | undefined {
  const roles = user.roles.filter((one) => one !== role);
  return roles.length === user.roles.length ? undefined : { ...user, roles };
}
