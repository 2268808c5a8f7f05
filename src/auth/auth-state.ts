// Users, roles, and whether authentication is on: what they permit, and how requests change them.
//
// Deterministic: the same requests make the same rows on every member. A change is decided first and
// then made as a whole; a refusal is thrown as an EtcdError and has had no effect.

import { EMPTY_BYTES, latin1FromBytes } from '../base/index.ts';
import {
  type authpb,
  EtcdError,
  type EtcdErrorName,
  type etcdserverpb,
} from '../protocol/index.ts';
import { Access, type AuthInfo } from './access.ts';
import { type Name, nameFromText, ROOT, textFromName } from './names.ts';
import { type HashPassword, storedPassword } from './password.ts';
import { isPermissionRange, ROOT_PERMISSION } from './permission.ts';
import { type Role, withoutPermission, withPermission } from './role.ts';
import {
  type AuthRowChange,
  enabledRow,
  messageOfPermission,
  permissionOfMessage,
  type RestoredAuth,
  revisionRow,
  roleDeletion,
  roleRow,
  userDeletion,
  userRow,
} from './rows.ts';
import { hasNoPassword, hasRole, isRoot, type User, withoutRole, withRole } from './user.ts';
import { accessOfUser } from './user-access.ts';

/** The rows that a change writes; none if all is as it was asked to be. */
type Rows = readonly AuthRowChange[];

const NOTHING: Rows = [];
/** Roles whose names begin with this byte are not listed by etcd, and no text does. */
const ROLES_LISTED_BELOW: Name = '\u00ff';

export class AuthState {
  #enabled: boolean;
  #revision: number;
  readonly #users: Map<Name, User>;
  readonly #roles: Map<Name, Role>;
  /** Of the users that were asked for since the last change. */
  readonly #access = new Map<Name, Access>();

  constructor({ enabled, revision, users, roles }: RestoredAuth) {
    this.#enabled = enabled;
    this.#revision = revision;
    this.#users = new Map(users);
    this.#roles = new Map(roles);
  }

  // --- Asking ------------------------------------------------------------------------------------

  get enabled(): boolean {
    return this.#enabled;
  }

  /** Grows with every change but that authentication is turned on. */
  get revision(): number {
    return this.#revision;
  }

  /** What may be done with keys in this name. Undefined and revision 0 stand for nobody. */
  accessOf(info: AuthInfo | undefined): Access {
    if (!this.#enabled) return Access.EVERYTHING;
    if (info === undefined || info.authRevision === 0) return Access.refused('USER_EMPTY');
    if (info.authRevision < this.#revision) return Access.refused('AUTH_OLD_REVISION');
    const name = nameFromText(info.username);
    const known = this.#access.get(name);
    if (known !== undefined) return known;
    const user = this.#users.get(name);
    if (user === undefined) return Access.refused('PERMISSION_DENIED');
    const access = isRoot(user) ? Access.EVERYTHING : accessOfUser(user, this.#roles);
    this.#access.set(name, access);
    return access;
  }

  /** Why this name may not administer the cluster; undefined if it may. Revisions do not matter. */
  adminRefusal(info: AuthInfo | undefined): EtcdErrorName | undefined {
    if (!this.#enabled) return undefined;
    if (info === undefined || info.username === '') return 'USER_EMPTY';
    const user = this.#user(info.username);
    if (user === undefined) return 'USER_NOT_FOUND';
    return isRoot(user) ? undefined : 'PERMISSION_DENIED';
  }

  /** Why this name may not be told of a user's roles. */
  userGetRefusal(info: AuthInfo | undefined, username: string): EtcdErrorName | undefined {
    const refusal = this.adminRefusal(info);
    return username === (info?.username ?? '') ? undefined : refusal;
  }

  /** Why this name may not be told of a role's permissions. */
  roleGetRefusal(info: AuthInfo | undefined, role: string): EtcdErrorName | undefined {
    const refusal = this.adminRefusal(info);
    if (refusal === undefined) return undefined;
    const user = this.#user(info?.username ?? '');
    return user !== undefined && hasRole(user, nameFromText(role)) ? undefined : refusal;
  }

  /** The user, for its password to be checked. */
  user(name: string): User | undefined {
    return this.#user(name);
  }

  /** EtcdError USER_NOT_FOUND. */
  rolesOf(name: string): string[] {
    return this.#mustUser(name).roles.map(textFromName);
  }

  /** Of the role `root` that there is: every key. EtcdError ROLE_NOT_FOUND. */
  permissionsOf(name: string): authpb.Permission[] {
    const role = this.#mustRole(name);
    const permissions = role.name === ROOT ? [ROOT_PERMISSION] : role.permissions;
    return permissions.map(messageOfPermission);
  }

  /** In byte order. */
  userNames(): string[] {
    return [...this.#users.keys()].sort().map(textFromName);
  }

  /** In byte order. */
  roleNames(): string[] {
    const names = [...this.#roles.keys()].filter((name) => name < ROLES_LISTED_BELOW);
    return names.sort().map(textFromName);
  }

  #user(name: string): User | undefined {
    return this.#users.get(nameFromText(name));
  }

  #mustUser(name: string): User {
    const user = this.#user(name);
    if (user === undefined) throw new EtcdError('USER_NOT_FOUND');
    return user;
  }

  #mustRole(name: string): Role {
    const role = this.#roles.get(nameFromText(name));
    if (role === undefined) throw new EtcdError('ROLE_NOT_FOUND');
    return role;
  }

  // --- Changing ----------------------------------------------------------------------------------

  /** A database without a revision gets its first. */
  begin(): Rows {
    return this.#revision === 0 ? this.#changed([]) : NOTHING;
  }

  /** EtcdError ROOT_USER_NOT_EXIST or ROOT_ROLE_NOT_EXIST. */
  enable(): Rows {
    if (this.#enabled) return NOTHING;
    const root = this.#user(ROOT);
    if (root === undefined) throw new EtcdError('ROOT_USER_NOT_EXIST');
    if (!isRoot(root)) throw new EtcdError('ROOT_ROLE_NOT_EXIST');
    this.#enabled = true;
    return [enabledRow(true)];
  }

  disable(): Rows {
    if (!this.#enabled) return NOTHING;
    this.#enabled = false;
    return this.#changed([enabledRow(false)]);
  }

  /** EtcdError USER_EMPTY, USER_ALREADY_EXIST or NO_PASSWORD_USER. */
  addUser(request: etcdserverpb.AuthUserAddRequest, hash: HashPassword): Rows {
    const name = nameFromText(request.name);
    if (name === '') throw new EtcdError('USER_EMPTY');
    if (this.#users.has(name)) throw new EtcdError('USER_ALREADY_EXIST');
    const options = { noPassword: request.options?.noPassword === true };
    return this.#putUser(this.#withPassword({ name, roles: [], options }, request, hash));
  }

  /** EtcdError INVALID_AUTH_MGMT or USER_NOT_FOUND. */
  deleteUser({ name }: etcdserverpb.AuthUserDeleteRequest): Rows {
    if (this.#enabled && name === ROOT) throw new EtcdError('INVALID_AUTH_MGMT');
    const user = this.#mustUser(name);
    this.#users.delete(user.name);
    return this.#changed([userDeletion(user.name)]);
  }

  /** EtcdError USER_NOT_FOUND or NO_PASSWORD_USER. */
  changePassword(request: etcdserverpb.AuthUserChangePasswordRequest, hash: HashPassword): Rows {
    const user = this.#mustUser(request.name);
    return this.#putUser(this.#withPassword(user, request, hash));
  }

  #withPassword(
    user: Omit<User, 'password'>,
    request: Parameters<typeof storedPassword>[0],
    hash: HashPassword,
  ): User {
    const password = hasNoPassword(user) ? EMPTY_BYTES : storedPassword(request, hash);
    return { ...user, password };
  }

  /** The role `root` need not exist. EtcdError USER_NOT_FOUND or ROLE_NOT_FOUND. */
  grantRole(request: etcdserverpb.AuthUserGrantRoleRequest): Rows {
    const user = this.#mustUser(request.user);
    if (request.role !== ROOT) this.#mustRole(request.role);
    const granted = withRole(user, nameFromText(request.role));
    return granted === undefined ? NOTHING : this.#putUser(granted);
  }

  /** EtcdError INVALID_AUTH_MGMT, USER_NOT_FOUND or ROLE_NOT_GRANTED. */
  revokeRole({ name, role }: etcdserverpb.AuthUserRevokeRoleRequest): Rows {
    if (this.#enabled && name === ROOT && role === ROOT) throw new EtcdError('INVALID_AUTH_MGMT');
    const revoked = withoutRole(this.#mustUser(name), nameFromText(role));
    if (revoked === undefined) throw new EtcdError('ROLE_NOT_GRANTED');
    return this.#putUser(revoked);
  }

  /** EtcdError ROLE_EMPTY or ROLE_ALREADY_EXIST. */
  addRole(request: etcdserverpb.AuthRoleAddRequest): Rows {
    const name = nameFromText(request.name);
    if (name === '') throw new EtcdError('ROLE_EMPTY');
    if (this.#roles.has(name)) throw new EtcdError('ROLE_ALREADY_EXIST');
    return this.#putRole({ name, permissions: [] });
  }

  /** Users lose the role. EtcdError INVALID_AUTH_MGMT or ROLE_NOT_FOUND. */
  deleteRole(request: etcdserverpb.AuthRoleDeleteRequest): Rows {
    if (this.#enabled && request.role === ROOT) throw new EtcdError('INVALID_AUTH_MGMT');
    const { name } = this.#mustRole(request.role);
    this.#roles.delete(name);
    const rows = [roleDeletion(name)];
    for (const user of this.#users.values()) {
      const revoked = withoutRole(user, name);
      if (revoked === undefined) continue;
      this.#users.set(user.name, revoked);
      rows.push(userRow(revoked));
    }
    return this.#changed(rows);
  }

  /** EtcdError PERMISSION_NOT_GIVEN, INVALID_AUTH_MGMT or ROLE_NOT_FOUND. */
  grantPermission({ name, perm }: etcdserverpb.AuthRoleGrantPermissionRequest): Rows {
    if (perm === undefined) throw new EtcdError('PERMISSION_NOT_GIVEN');
    const permission = permissionOfMessage(perm);
    if (!isPermissionRange(permission.key, permission.rangeEnd)) {
      throw new EtcdError('INVALID_AUTH_MGMT');
    }
    return this.#putRole(withPermission(this.#mustRole(name), permission));
  }

  /** EtcdError ROLE_NOT_FOUND or PERMISSION_NOT_GRANTED. */
  revokePermission(request: etcdserverpb.AuthRoleRevokePermissionRequest): Rows {
    const role = this.#mustRole(request.role);
    const { key, rangeEnd } = request;
    const revoked = withoutPermission(role, latin1FromBytes(key), latin1FromBytes(rangeEnd));
    if (revoked === undefined) throw new EtcdError('PERMISSION_NOT_GRANTED');
    return this.#putRole(revoked);
  }

  #putUser(user: User): Rows {
    this.#users.set(user.name, user);
    return this.#changed([userRow(user)]);
  }

  #putRole(role: Role): Rows {
    this.#roles.set(role.name, role);
    return this.#changed([roleRow(role)]);
  }

  #changed(rows: readonly AuthRowChange[]): Rows {
    this.#revision++;
    this.#access.clear();
    return [...rows, revisionRow(this.#revision)];
  }
}
