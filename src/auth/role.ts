// One role: what it permits.

import { goSort } from './go-sort.ts';
import type { Name } from './names.ts';
import type { Permission } from './permission.ts';
import { lowerBound } from './sorted.ts';

/** Replaced as a whole, never changed. */
export interface Role {
  readonly name: Name;
  /** Ascending by key; those of one key lie as `goSort` left them. */
  readonly permissions: readonly Permission[];
}

/**
 * The role with the permission. It takes the place of the first one of its key if that has its range,
 * and otherwise comes in addition, even where a later one has its range.
 */
export function withPermission(role: Role, added: Permission): Role {
  const permissions = [...role.permissions];
  const at = lowerBound(permissions, ({ key }) => key < added.key);
  const found = permissions[at];
  if (found !== undefined && isRange(found, added.key, added.rangeEnd)) {
    permissions[at] = added;
  } else {
    permissions.push(added);
    goSort(permissions, (a, b) => a.key < b.key);
  }
  return { ...role, permissions };
}

/** The role without the permissions of a range; undefined if it has none. */
export function withoutPermission(role: Role, key: string, rangeEnd: string): Role | undefined {
  const permissions = role.permissions.filter((one) => !isRange(one, key, rangeEnd));
  return permissions.length === role.permissions.length ? undefined : { ...role, permissions };
}

function isRange(permission: Permission, key: string, rangeEnd: string): boolean {
  return permission.key === key && permission.rangeEnd === rangeEnd;
}
