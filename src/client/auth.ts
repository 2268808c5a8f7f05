// Administration of users, roles and permissions.

import { utf8FromBytes } from '../base/index.ts';
import { authpb, etcdserverpb, type MethodDescriptor } from '../protocol/index.ts';
import { checkName, checkSecret, checkText } from './arguments.ts';
import { type Bytes, prefixEnd, type RangeOptions, rangeOf } from './key-range.ts';
import type { CallOptions } from './options.ts';
import { Printed, printed } from './printed.ts';
import { type ResponseHeader, resultHeader } from './results.ts';
import type { Calls } from './transport/calls.ts';

const { methods } = etcdserverpb.AuthService;

const TYPES = {
  read: authpb.Type.READ,
  write: authpb.Type.WRITE,
  readwrite: authpb.Type.READWRITE,
} as const;

/** The kinds of permissions. */
export type PermissionType = keyof typeof TYPES;

/** Whether authentication is enabled. */
export interface AuthStatusResult {
  readonly header: ResponseHeader;
  readonly enabled: boolean;
  /** Revision of users and roles: incremented by every change of them. */
  readonly authRevision: number;
}

/** Result of `userGet`: the roles of a user. */
export interface UserGetResult {
  readonly header: ResponseHeader;
  /** Names of the user's roles. */
  readonly roles: readonly string[];
}

/** Result of `userList`. */
export interface UserListResult {
  readonly header: ResponseHeader;
  /** Their names. */
  readonly users: readonly string[];
}

/** Result of `roleGet`: the permissions of a role. */
export interface RoleGetResult {
  readonly header: ResponseHeader;
  /** Empty for the role `root`, which has all permissions. */
  readonly permissions: readonly Permission[];
}

/** Result of `roleList`. */
export interface RoleListResult {
  readonly header: ResponseHeader;
  /** Their names. */
  readonly roles: readonly string[];
}

/** A permission of a role for a key or a range of keys. Has every field of `authpb.Permission`. */
export class Permission extends Printed implements authpb.Permission {
  /** Undefined for a kind that this release does not know. */
  readonly type: PermissionType | undefined;
  readonly key: Uint8Array;
  /** Empty: the one key. A zero byte: all keys from `key` on. Else all up to this one, exclusive. */
  readonly rangeEnd: Uint8Array;
  readonly #permType: number;

  constructor(fields: authpb.Permission) {
    super();
    this.#permType = fields.permType;
    this.type = (Object.keys(TYPES) as PermissionType[]).find(
      (name) => TYPES[name] === fields.permType,
    );
    this.key = fields.key;
    this.rangeEnd = fields.rangeEnd;
  }

  /** The number of the kind in the protocol. */
  get permType(): number {
    return this.#permType;
  }

  /** The key as UTF-8; bytes that are none become U+FFFD. */
  get keyText(): string {
    return utf8FromBytes(this.key);
  }

  /** Whether it is for all keys that begin with `key`, as `{ prefix: true }` grants it. */
  get isPrefix(): boolean {
    const end = this.key.length === 0 ? undefined : prefixEnd(this.key);
    return end !== undefined && Buffer.compare(end, this.rangeEnd) === 0;
  }
}

/** Users and roles, and whether authentication is enabled. */
export class AuthClient {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /**
   * Requests a token for the client's user now instead of with the first call. Rejects with AUTH_FAILED if
   * the server refuses the user. No effect with a token already, without a user, or where authentication
   * is not enabled.
   */
  async authenticate(options: CallOptions = {}): Promise<void> {
    await this.#calls.obtainToken(options);
  }

  /** ROOT_USER_NOT_EXIST or ROOT_ROLE_NOT_EXIST unless there is a user `root` with the role `root`. */
  async enable(options: CallOptions = {}): Promise<ResponseHeader> {
    const { authEnable: method } = methods;
    return this.#change(method, method.request.create(), options);
  }

  async disable(options: CallOptions = {}): Promise<ResponseHeader> {
    const { authDisable: method } = methods;
    return this.#change(method, method.request.create(), options);
  }

  async status(options: CallOptions = {}): Promise<AuthStatusResult> {
    const { authStatus: method } = methods;
    const response = await this.#calls.unary(method, method.request.create(), options, 'always');
    const { header, enabled, authRevision } = response;
    return printed({ header: resultHeader(header), enabled, authRevision });
  }

  // Users

  /** USER_ALREADY_EXIST if there is one of that name. */
  async userAdd(
    name: string,
    password: string,
    options: CallOptions = {},
  ): Promise<ResponseHeader> {
    checkText(name, 'name');
    checkSecret(password, 'password');
    const { userAdd: method } = methods;
    const request = { name, password, options: { noPassword: false } };
    return this.#change(method, method.request.create(request), options);
  }

  /** Adds a user without a password, identified only by the common name of a client certificate. */
  async userAddWithoutPassword(name: string, options: CallOptions = {}): Promise<ResponseHeader> {
    checkText(name, 'name');
    const { userAdd: method } = methods;
    const request = { name, options: { noPassword: true } };
    return this.#change(method, method.request.create(request), options);
  }

  async userDelete(name: string, options: CallOptions = {}): Promise<ResponseHeader> {
    checkText(name, 'name');
    const { userDelete: method } = methods;
    return this.#change(method, method.request.create({ name }), options);
  }

  /** USER_NOT_FOUND if there is none of that name. */
  async userGet(name: string, options: CallOptions = {}): Promise<UserGetResult> {
    checkText(name, 'name');
    const { userGet: method } = methods;
    const request = method.request.create({ name });
    const { header, roles } = await this.#calls.unary(method, request, options, 'always');
    return printed({ header: resultHeader(header), roles });
  }

  async userList(options: CallOptions = {}): Promise<UserListResult> {
    const { userList: method } = methods;
    const request = method.request.create();
    const { header, users } = await this.#calls.unary(method, request, options, 'always');
    return printed({ header: resultHeader(header), users });
  }

  /** Invalidates the tokens of the user. */
  async userChangePassword(
    name: string,
    password: string,
    options: CallOptions = {},
  ): Promise<ResponseHeader> {
    checkText(name, 'name');
    checkSecret(password, 'password');
    const { userChangePassword: method } = methods;
    return this.#change(method, method.request.create({ name, password }), options);
  }

  /** ROLE_NOT_FOUND if there is no such role. */
  async userGrantRole(
    user: string,
    role: string,
    options: CallOptions = {},
  ): Promise<ResponseHeader> {
    checkText(user, 'user');
    checkText(role, 'role');
    const { userGrantRole: method } = methods;
    return this.#change(method, method.request.create({ user, role }), options);
  }

  /** ROLE_NOT_GRANTED if the user does not have it. */
  async userRevokeRole(
    user: string,
    role: string,
    options: CallOptions = {},
  ): Promise<ResponseHeader> {
    checkText(user, 'user');
    checkText(role, 'role');
    const { userRevokeRole: method } = methods;
    return this.#change(method, method.request.create({ name: user, role }), options);
  }

  // Roles

  /** ROLE_ALREADY_EXIST if there is one of that name. */
  async roleAdd(name: string, options: CallOptions = {}): Promise<ResponseHeader> {
    checkText(name, 'name');
    const { roleAdd: method } = methods;
    return this.#change(method, method.request.create({ name }), options);
  }

  /** Deletes a role, also from its users. */
  async roleDelete(name: string, options: CallOptions = {}): Promise<ResponseHeader> {
    checkText(name, 'name');
    const { roleDelete: method } = methods;
    return this.#change(method, method.request.create({ role: name }), options);
  }

  /** ROLE_NOT_FOUND if there is none of that name. */
  async roleGet(name: string, options: CallOptions = {}): Promise<RoleGetResult> {
    checkText(name, 'name');
    const { roleGet: method } = methods;
    const request = method.request.create({ role: name });
    const { header, perm } = await this.#calls.unary(method, request, options, 'always');
    const permissions = perm.map((fields) => new Permission(fields));
    return printed({ header: resultHeader(header), permissions });
  }

  async roleList(options: CallOptions = {}): Promise<RoleListResult> {
    const { roleList: method } = methods;
    const request = method.request.create();
    const { header, roles } = await this.#calls.unary(method, request, options, 'always');
    return printed({ header: resultHeader(header), roles });
  }

  /**
   * Grants a role a permission for `key`, or the range of the options. Replaces the role's permission for
   * exactly the same range.
   */
  async roleGrantPermission(
    name: string,
    type: PermissionType,
    key: Bytes,
    options: RangeOptions & CallOptions = {},
  ): Promise<ResponseHeader> {
    checkText(name, 'name');
    checkName(type, Object.keys(TYPES), 'type');
    const { roleGrantPermission: method } = methods;
    const perm = { permType: TYPES[type], ...rangeOf(key, options) };
    return this.#change(method, method.request.create({ name, perm }), options);
  }

  /** Revokes a permission. PERMISSION_NOT_GRANTED unless it was granted for exactly the same range. */
  async roleRevokePermission(
    name: string,
    key: Bytes,
    options: RangeOptions & CallOptions = {},
  ): Promise<ResponseHeader> {
    checkText(name, 'name');
    const { roleRevokePermission: method } = methods;
    const request = { role: name, ...rangeOf(key, options) };
    return this.#change(method, method.request.create(request), options);
  }

  async #change<Request, RequestInit, ResponseInit>(
    method: ChangeMethod<Request, RequestInit, ResponseInit>,
    request: Request,
    options: CallOptions,
  ): Promise<ResponseHeader> {
    const { header } = await this.#calls.unary(method, request, options, 'unbegun');
    return resultHeader(header);
  }
}

/** A method whose response has only a header. */
type ChangeMethod<Request, RequestInit, ResponseInit> = MethodDescriptor<
  Request,
  RequestInit,
  { header: ResponseHeader | undefined },
  ResponseInit
>;
