// Users and roles in plain lists, and keys asked one by one: slow, short, and read off etcd's manual.

import type { EtcdErrorName } from '../protocol/index.ts';
import { READ, READWRITE, WRITE } from './auth-state.fixture.ts';

const ALPHABET = ['\0', 'a', 'b', '\xff'] as const;

/** What keys of requests and permissions are made of: up to two chars. */
export const SHORT_KEYS: readonly string[] = ALPHABET.flatMap((char) => [
  char,
  ...ALPHABET.map((second) => char + second),
]);
/** One char longer: a range between short keys that holds a key holds one of these. */
const KEYS: readonly string[] = SHORT_KEYS.flatMap((key) =>
  key.length === 1 ? [key] : [key, ...ALPHABET.map((char) => key + char)],
);

interface NaivePermission {
  type: number;
  readonly key: string;
  readonly end: string;
}

type Refusal = EtcdErrorName | undefined;

export class NaiveAuth {
  enabled = false;
  revision = 1;
  /** User, roles. */
  users: [string, string[]][] = [];
  roles: [string, NaivePermission[]][] = [];
  readonly #keys: readonly string[];

  /** Every range that is asked about holds one of these, if it holds a key that matters. */
  constructor(keys: readonly string[] = KEYS) {
    this.#keys = keys;
  }

  #user(name: string): string[] | undefined {
    return this.users.find(([one]) => one === name)?.[1];
  }

  #role(name: string): NaivePermission[] | undefined {
    return this.roles.find(([one]) => one === name)?.[1];
  }

  #isRoot(name: string): boolean {
    return this.#user(name)?.includes('root') === true;
  }

  enable(): Refusal {
    if (this.enabled) return undefined;
    if (this.#user('root') === undefined) return 'ROOT_USER_NOT_EXIST';
    if (!this.#isRoot('root')) return 'ROOT_ROLE_NOT_EXIST';
    this.enabled = true;
    return undefined;
  }

  disable(): Refusal {
    if (this.enabled) this.revision++;
    this.enabled = false;
    return undefined;
  }

  addUser(name: string): Refusal {
    if (this.#user(name) !== undefined) return 'USER_ALREADY_EXIST';
    this.users.push([name, []]);
    this.revision++;
    return undefined;
  }

  deleteUser(name: string): Refusal {
    if (this.enabled && name === 'root') return 'INVALID_AUTH_MGMT';
    if (this.#user(name) === undefined) return 'USER_NOT_FOUND';
    this.users = this.users.filter(([one]) => one !== name);
    this.revision++;
    return undefined;
  }

  grantRole(name: string, role: string): Refusal {
    const roles = this.#user(name);
    if (roles === undefined) return 'USER_NOT_FOUND';
    if (role !== 'root' && this.#role(role) === undefined) return 'ROLE_NOT_FOUND';
    if (roles.includes(role)) return undefined;
    roles.push(role);
    this.revision++;
    return undefined;
  }

  revokeRole(name: string, role: string): Refusal {
    if (this.enabled && name === 'root' && role === 'root') return 'INVALID_AUTH_MGMT';
    const roles = this.#user(name);
    if (roles === undefined) return 'USER_NOT_FOUND';
    if (!roles.includes(role)) return 'ROLE_NOT_GRANTED';
    roles.splice(roles.indexOf(role), 1);
    this.revision++;
    return undefined;
  }

  addRole(name: string): Refusal {
    if (this.#role(name) !== undefined) return 'ROLE_ALREADY_EXIST';
    this.roles.push([name, []]);
    this.revision++;
    return undefined;
  }

  deleteRole(name: string): Refusal {
    if (this.enabled && name === 'root') return 'INVALID_AUTH_MGMT';
    if (this.#role(name) === undefined) return 'ROLE_NOT_FOUND';
    this.roles = this.roles.filter(([one]) => one !== name);
    for (const user of this.users) user[1] = user[1].filter((role) => role !== name);
    this.revision++;
    return undefined;
  }

  /** Of one key and one range at most one permission; the caller sees to that. */
  grant(name: string, type: number, key: string, end: string): Refusal {
    if (end !== '' && end !== '\0' && key >= end) return 'INVALID_AUTH_MGMT';
    const permissions = this.#role(name);
    if (permissions === undefined) return 'ROLE_NOT_FOUND';
    const same = permissions.find((one) => one.key === key && one.end === end);
    if (same === undefined) permissions.push({ type, key, end });
    else same.type = type;
    this.revision++;
    return undefined;
  }

  revoke(name: string, key: string, end: string): Refusal {
    const permissions = this.#role(name);
    if (permissions === undefined) return 'ROLE_NOT_FOUND';
    const left = permissions.filter((one) => one.key !== key || one.end !== end);
    if (left.length === permissions.length) return 'PERMISSION_NOT_GRANTED';
    permissions.splice(0, permissions.length, ...left);
    this.revision++;
    return undefined;
  }

  /** Undefined if the range holds no key: what etcd says then is not decided by its keys. */
  may(name: string, revision: number, to: 'read' | 'write', key: string, end: string) {
    const wanted = this.#keys.filter((candidate) => isIn(candidate, key, end));
    if (wanted.length === 0) return undefined;
    if (!this.enabled) return 'yes';
    if (revision === 0) return 'USER_EMPTY';
    if (revision < this.revision) return 'AUTH_OLD_REVISION';
    if (this.#isRoot(name)) return 'yes';
    const granted = (this.#user(name) ?? []).flatMap((role) => this.#role(role) ?? []);
    const types = to === 'read' ? [READ, READWRITE] : [WRITE, READWRITE];
    const counting = granted.filter(({ type }) => types.includes(type as never));
    const all = wanted.every((one) => counting.some((permission) => permits(permission, one)));
    return all ? 'yes' : 'PERMISSION_DENIED';
  }
}

function permits({ key, end }: NaivePermission, candidate: string): boolean {
  return isIn(candidate, key, end);
}

function isIn(candidate: string, key: string, end: string): boolean {
  if (end === '') return candidate === key;
  return candidate >= key && (end === '\0' || candidate < end);
}
