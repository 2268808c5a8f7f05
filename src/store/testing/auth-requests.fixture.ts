// Log entries about users and roles, in short.

import { bytesFromLatin1, bytesFromUtf8 } from '../../base/index.ts';
import { authpb, etcdserverpb } from '../../protocol/index.ts';
import { REQUEST_KIND, type RequestKind, type RequestUser } from '../apply/request-envelope.ts';
import type { Applied, StoreRig } from './store.fixture.ts';

export type AuthEntry = readonly [kind: RequestKind, body: Uint8Array];

export const { READ, WRITE, READWRITE } = authpb.Type;

interface Encodes<Init> {
  create(init: Init): unknown;
  encode(message: never): Uint8Array;
}

function encoded<Init>(codec: Encodes<Init>, init: Init): Uint8Array {
  return codec.encode(codec.create(init) as never);
}

const api = etcdserverpb;
const K = REQUEST_KIND;

/** A hash as entries have it. */
export function hashed(password: string): string {
  return Buffer.from(bytesFromUtf8(`hash of ${password}`)).toString('base64');
}

export const authEntry = {
  enable: (): AuthEntry => [K.AUTH_ENABLE, new Uint8Array(0)],
  disable: (): AuthEntry => [K.AUTH_DISABLE, new Uint8Array(0)],
  status: (): AuthEntry => [K.AUTH_STATUS, new Uint8Array(0)],
  authenticate: (name: string, simpleToken = 'token'): AuthEntry => [
    K.AUTHENTICATE,
    encoded(api.InternalAuthenticateRequestCodec, { name, simpleToken }),
  ],
  addUser: (name: string, more: etcdserverpb.AuthUserAddRequestInit = {}): AuthEntry => [
    K.AUTH_USER_ADD,
    encoded(api.AuthUserAddRequestCodec, { name, hashedPassword: hashed('x'), ...more }),
  ],
  deleteUser: (name: string): AuthEntry => [
    K.AUTH_USER_DELETE,
    encoded(api.AuthUserDeleteRequestCodec, { name }),
  ],
  changePassword: (name: string, password: string): AuthEntry => [
    K.AUTH_USER_CHANGE_PASSWORD,
    encoded(api.AuthUserChangePasswordRequestCodec, { name, hashedPassword: hashed(password) }),
  ],
  getUser: (name: string): AuthEntry => [
    K.AUTH_USER_GET,
    encoded(api.AuthUserGetRequestCodec, { name }),
  ],
  listUsers: (): AuthEntry => [K.AUTH_USER_LIST, new Uint8Array(0)],
  grantRole: (user: string, role: string): AuthEntry => [
    K.AUTH_USER_GRANT_ROLE,
    encoded(api.AuthUserGrantRoleRequestCodec, { user, role }),
  ],
  revokeRole: (name: string, role: string): AuthEntry => [
    K.AUTH_USER_REVOKE_ROLE,
    encoded(api.AuthUserRevokeRoleRequestCodec, { name, role }),
  ],
  addRole: (name: string): AuthEntry => [
    K.AUTH_ROLE_ADD,
    encoded(api.AuthRoleAddRequestCodec, { name }),
  ],
  deleteRole: (role: string): AuthEntry => [
    K.AUTH_ROLE_DELETE,
    encoded(api.AuthRoleDeleteRequestCodec, { role }),
  ],
  getRole: (role: string): AuthEntry => [
    K.AUTH_ROLE_GET,
    encoded(api.AuthRoleGetRequestCodec, { role }),
  ],
  listRoles: (): AuthEntry => [K.AUTH_ROLE_LIST, new Uint8Array(0)],
  grant: (name: string, permType: authpb.Type, key: string, end = ''): AuthEntry => [
    K.AUTH_ROLE_GRANT_PERMISSION,
    encoded(api.AuthRoleGrantPermissionRequestCodec, {
      name,
      perm: authpb.PermissionCodec.create({
        permType,
        key: bytesFromLatin1(key),
        rangeEnd: bytesFromLatin1(end),
      }),
    }),
  ],
  revoke: (role: string, key: string, end = ''): AuthEntry => [
    K.AUTH_ROLE_REVOKE_PERMISSION,
    encoded(api.AuthRoleRevokePermissionRequestCodec, {
      role,
      key: bytesFromLatin1(key),
      rangeEnd: bytesFromLatin1(end),
    }),
  ],
};

/** Root and its role, a role for each of some users, and authentication on. */
export function secure(
  rig: StoreRig,
  grants: Readonly<Record<string, readonly [authpb.Type, string, string?][]>> = {},
): void {
  const apply = (entry: AuthEntry) => {
    const applied = rig.apply(...entry);
    if (applied.error !== undefined) throw new Error(applied.error);
  };
  apply(authEntry.addUser('root'));
  apply(authEntry.grantRole('root', 'root'));
  for (const [name, permissions] of Object.entries(grants)) {
    apply(authEntry.addUser(name));
    apply(authEntry.addRole(name));
    for (const permission of permissions) apply(authEntry.grant(name, ...permission));
    apply(authEntry.grantRole(name, name));
  }
  apply(authEntry.enable());
}

/** The user, authenticated now. */
export function userOf(rig: StoreRig, username: string): RequestUser {
  return { username, authRevision: rig.machine.auth.state.revision };
}

/** What a user's entry comes to: its error, or the kind of its result. */
export function outcome(rig: StoreRig, username: string, entry: AuthEntry): string {
  const applied: Applied = rig.apply(...entry, userOf(rig, username));
  return applied.error ?? applied.kind;
}
