// The rows of the buckets `auth`, `authUsers` and `authRoles`, byte for byte those of etcd.

import {
  bytesFromLatin1,
  ERROR_CODES,
  invariant,
  latin1FromBytes,
  placed,
  readUint64,
  TetcdError,
  writeUint64,
} from '../base/index.ts';
import { authpb } from '../protocol/index.ts';
import { mayBeReplaced, type Name, nameFromText, textFromName } from './names.ts';
import type { Permission } from './permission.ts';
import type { Role } from './role.ts';
import type { User } from './user.ts';

export type AuthBucket = 'auth' | 'authUsers' | 'authRoles';

/** A row to write, or (`value` undefined) to delete. Keys have one char per byte. */
export interface AuthRowChange {
  readonly bucket: AuthBucket;
  readonly key: string;
  /** The bytes never change afterwards. */
  readonly value: Uint8Array | undefined;
}

/** A row read back. */
export interface AuthRow {
  /** Where it stands, for messages: file, page, bucket and key. */
  readonly place: () => string;
  readonly bucket: AuthBucket;
  readonly key: string;
  readonly value: Uint8Array;
}

/** What the rows say. */
export interface RestoredAuth {
  readonly enabled: boolean;
  /** 0 if the row is missing. */
  readonly revision: number;
  readonly users: ReadonlyMap<Name, User>;
  readonly roles: ReadonlyMap<Name, Role>;
}

const ENABLED_KEY = 'authEnabled';
const REVISION_KEY = 'authRevision';
const REVISION_BYTES = 8;

export function enabledRow(enabled: boolean): AuthRowChange {
  return { bucket: 'auth', key: ENABLED_KEY, value: Uint8Array.of(enabled ? 1 : 0) };
}

/** 8 bytes, big-endian. */
export function revisionRow(revision: number): AuthRowChange {
  invariant(Number.isSafeInteger(revision) && revision > 0, 'auth revisions begin at 1');
  const value = new Uint8Array(REVISION_BYTES);
  writeUint64(revision, value, 0);
  return { bucket: 'auth', key: REVISION_KEY, value };
}

export function userRow({ name, password, roles, options }: User): AuthRowChange {
  const value = authpb.UserCodec.encode({
    name: bytesFromLatin1(name),
    password,
    roles: roles.map(textFromName),
    options: options && authpb.UserAddOptionsCodec.create(options),
  });
  return { bucket: 'authUsers', key: name, value };
}

export function userDeletion(name: Name): AuthRowChange {
  return { bucket: 'authUsers', key: name, value: undefined };
}

export function roleRow({ name, permissions }: Role): AuthRowChange {
  const keyPermission = permissions.map(messageOfPermission);
  const value = authpb.RoleCodec.encode({ name: bytesFromLatin1(name), keyPermission });
  return { bucket: 'authRoles', key: name, value };
}

export function roleDeletion(name: Name): AuthRowChange {
  return { bucket: 'authRoles', key: name, value: undefined };
}

/** A permission as rows and responses have it. */
export function messageOfPermission({ type, key, rangeEnd }: Permission): authpb.Permission {
  return authpb.PermissionCodec.create({
    permType: type as authpb.Type,
    key: bytesFromLatin1(key),
    rangeEnd: bytesFromLatin1(rangeEnd),
  });
}

/** CORRUPT, MALFORMED, NUMBER_TOO_LARGE or UNSUPPORTED, with the place, for a row that does not decode. */
export function readAuthRows(rows: Iterable<AuthRow>): RestoredAuth {
  const users = new Map<Name, User>();
  const roles = new Map<Name, Role>();
  let enabled = false;
  let revision = 0;
  for (const row of rows) {
    try {
      if (row.bucket === 'authUsers') users.set(row.key, readUser(row));
      else if (row.bucket === 'authRoles') roles.set(row.key, readRole(row));
      else if (row.key === ENABLED_KEY) enabled = readEnabled(row);
      else if (row.key === REVISION_KEY) revision = readRevision(row);
      else throw new TetcdError(ERROR_CODES.UNSUPPORTED, 'a row of unknown meaning');
    } catch (error) {
      throw placed(error, row.place());
    }
  }
  return { enabled, revision, users, roles };
}

/** Etcd takes whatever is not 1 for "off"; a store whose lock is damaged is not opened here. */
function readEnabled({ value }: AuthRow): boolean {
  if (value.length === 1 && value[0]! <= 1) return value[0] === 1;
  throw new TetcdError(ERROR_CODES.CORRUPT, 'whether authentication is on is neither 0 nor 1');
}

function readRevision({ value }: AuthRow): number {
  if (value.length !== REVISION_BYTES) {
    throw new TetcdError(ERROR_CODES.CORRUPT, `${value.length} bytes that are no 64-bit count`);
  }
  return readUint64(value, 0, 'the auth revision');
}

function readUser({ key, value }: AuthRow): User {
  let user = authpb.UserCodec.decode(value);
  // Names of roles are text: invalid UTF-8 is refused, as by 3.7, and not replaced.
  if (user.roles.some(mayBeReplaced)) user = authpb.UserCodec.decodeRequest(value);
  const name = nameOfRow(key, user.name);
  const { password, options } = user;
  return { name, password: password.slice(), roles: user.roles.map(nameFromText), options };
}

function readRole({ key, value }: AuthRow): Role {
  const { name, keyPermission } = authpb.RoleCodec.decode(value);
  return { name: nameOfRow(key, name), permissions: keyPermission.map(permissionOfMessage) };
}

/** A permission of a row or request. */
export function permissionOfMessage(message: authpb.Permission): Permission {
  const { permType, key, rangeEnd } = message;
  return { type: permType, key: latin1FromBytes(key), rangeEnd: latin1FromBytes(rangeEnd) };
}

function nameOfRow(key: string, name: Uint8Array): Name {
  if (latin1FromBytes(name) === key) return key;
  throw new TetcdError(ERROR_CODES.CORRUPT, 'the row of a user or role has the key of another');
}
